"""A small data set of real clips, and a processor that keeps everything visible."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from small_clips import write_dataset

from zoo.packing import PackSize
from zoo.shards.reader import MEDIA_AND_JSON
from zoo.shards.sampling import FrameSampling


@dataclass(frozen=True)
class PlainBatch:
    """Lists, one entry a sample."""

    keys: tuple[str, ...]
    draws: tuple[int, ...]
    pixels: torch.Tensor

    def to(self, device, non_blocking=False):
        return self


@dataclass(frozen=True)
class PlainProcessor:
    """Examples are dictionaries of the key, a number drawn for the sample, and its frames."""

    sampling: FrameSampling = field(default_factory=lambda: FrameSampling(max_frames=4, frame_rate=4.0))

    def messages(self, sample, shown, generator, *, training):
        return [
            (note["question"], note["answer"], int(generator.integers(1 << 30)))
            for note in sample.record["annotations"]
        ]

    suffixes = asked_suffixes = MEDIA_AND_JSON

    def labels(self, sample, indices):
        return ()

    def sampling_of(self, sample, *, training):
        return self.sampling

    def plan(self, sample, *, times_s, messages, max_tokens=None, training=True):
        return {"key": sample.key, "draw": messages[0][2], "times_s": times_s}

    def with_frames(self, tree, frames, labels):
        assert frames.dtype == np.uint8
        return tree | {"pixels": torch.from_numpy(frames)}

    def collate(self, examples):
        return PlainBatch(
            keys=tuple(example["key"] for example in examples),
            draws=tuple(example["draw"] for example in examples),
            pixels=torch.cat([example["pixels"] for example in examples]),
        )


@dataclass(frozen=True)
class PackingProcessor(PlainProcessor):
    """Trees are what examples hold beside frames; the draw decides how many tokens one has."""

    def size(self, tree):
        return PackSize(tokens=20 + tree["draw"] % 60, frames=len(tree["times_s"]))


@pytest.fixture
def processor():
    return PlainProcessor()


@pytest.fixture
def packing_processor():
    return PackingProcessor()


@pytest.fixture(scope="session")
def processor_once():
    """The same for hypothesis, which wants fixtures that outlive an example."""
    return PlainProcessor()


@pytest.fixture(scope="session")
def undamaged(tmp_path_factory):
    """A small data set to be copied and damaged."""
    return write_dataset(tmp_path_factory.mktemp("whole") / "data", train=[["a", "b", "c"], ["x", "y", "z"]])


@pytest.fixture(scope="session")
def blocks(tmp_path_factory):
    """Train: 6 shards of 5 clips; val: 1 shard of 7; test: 2 shards of 4 and 3."""
    return write_dataset(
        tmp_path_factory.mktemp("blocks"),
        train=[[f"t{shard}{place}" for place in range(5)] for shard in range(6)],
        val=[[f"v{place}" for place in range(7)]],
        test=[[f"e0{place}" for place in range(4)], [f"e1{place}" for place in range(3)]],
    )


@pytest.fixture(scope="session")
def letters(tmp_path_factory):
    """A second data set: 3 shards of 4 clips, val 1 shard of 2."""
    return write_dataset(
        tmp_path_factory.mktemp("letters"),
        train=[[f"l{shard}{place}" for place in range(4)] for shard in range(3)],
        val=[["lv0", "lv1"]],
    )


@pytest.fixture
def make_dataset():
    """`write_dataset`, for tests that need clips of their own; test modules cannot import this file."""
    return write_dataset
