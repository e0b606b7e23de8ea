"""What loading costs: samples a second through the whole loader, against nothing but decoding the same clips.

The loader reads tars, decodes, renders questions, tokenises, resizes and collates, in this process and on one thread.
The other side is the loop of PyAV's documentation on one thread, over the same files already in memory, converting the
same frames to RGB and stopping after the last of them. The two take turns batch by batch, and of each batch the quickest
round counts, because other programs can only slow it down.
"""

import io
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from zoo.datamodules.stream import SampleProcessor, Source, StreamSpec, TrainStream
from zoo.errors import ConfigError, DataError
from zoo.shards.decode import VIDEO_SUFFIXES, decode_sample
from zoo.shards.reader import MEDIA_AND_JSON, read_shard


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """Seconds that each side took for each batch, over the same samples."""

    loader_s: tuple[float, ...]
    bare_s: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Loader throughput over bare throughput."""
        return sum(self.bare_s) / sum(self.loader_s)


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadingCost:
    """Result of `measure_loading`.

    Args:
        samples: Samples of each round.
        frames: Frames of each round.
        rounds: Times, in the order in which they were taken.
    """

    samples: int
    frames: int
    rounds: tuple[Round, ...]

    @property
    def loader_s(self) -> float:
        """Sum over the batches of the quickest round of each: what the work takes when nothing else runs."""
        return sum(map(min, zip(*(turn.loader_s for turn in self.rounds), strict=True)))

    @property
    def bare_s(self) -> float:
        """The same of bare decoding."""
        return sum(map(min, zip(*(turn.bare_s for turn in self.rounds), strict=True)))

    @property
    def ratio(self) -> float:
        """Loader throughput over bare throughput."""
        return self.bare_s / self.loader_s

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        sides = {"loader": self.loader_s, "bare": self.bare_s}
        return {
            "ratio": self.ratio,
            "ratio_median": statistics.median(turn.ratio for turn in self.rounds),
            "samples": self.samples,
            "frames": self.frames,
            **{
                side: {"samples_per_s": self.samples / seconds, "frames_per_s": self.frames / seconds}
                for side, seconds in sides.items()
            },
            "rounds": [
                {"loader_s": sum(turn.loader_s), "bare_s": sum(turn.bare_s), "ratio": turn.ratio}
                for turn in self.rounds
            ],
        }

    def as_text(self) -> str:
        """Table of both sides, and the ratio."""
        result = self.as_dict()
        lines = [f"{self.samples} clips, {self.frames} sampled frames, one thread, best of {len(self.rounds)} rounds"]
        for side, text in (("loader", "tar, decode, tokens, batch"), ("bare", "PyAV loop, files in memory")):
            speed = result[side]
            rates = f"{speed['samples_per_s']:8.1f} clips/s {speed['frames_per_s']:9.1f} frames/s"
            lines.append(f"{side:<7} {rates}  ({text})")
        spread = sorted(turn.ratio for turn in self.rounds)
        median = result["ratio_median"]
        lines.append(
            f"ratio   {self.ratio:8.2f}  (single rounds {spread[0]:.2f} to {spread[-1]:.2f}, median {median:.2f})"
        )
        return "\n".join(lines)


def measure_loading(
    source: Source, processor: SampleProcessor, *, samples: int = 200, batch_size: int = 20, rounds: int = 5
) -> LoadingCost:
    """Time the loader and bare decoding over the same clips.

    Args:
        source: Split to read; the first shards of it that hold enough samples are used.
        processor: Of the module that would be fed.
        samples: Samples of a round at most; rounded down to whole batches.
        batch_size: Samples a batch.
        rounds: Passes of both sides over the samples, after one of each that is not counted.
    Raises:
        ConfigError: fewer samples than a batch, or no round.
        DataError: a sample that cannot be decoded.
    """
    num_batches = min(samples, source.num_samples) // batch_size
    if num_batches < 1 or rounds < 1:
        raise ConfigError(
            f"bench: {min(samples, source.num_samples)} samples, batches of {batch_size}, {rounds} rounds; "
            "expected at least one batch and one round"
        )
    count = num_batches * batch_size
    # One shard after the other, so that both sides meet the same samples whatever the stream's shuffling does.
    source = replace(source, shards=_first_shards(source, count))
    spec = StreamSpec(sources=(source,), processor=processor, batch_size=batch_size, on_bad_sample="raise")
    stream = TrainStream(spec, num_batches=num_batches, same_epoch=True)
    keys = [key for batch in stream for key in batch.keys]
    clips = _clips(source, processor, keys)

    groups = [clips[start : start + batch_size] for start in range(0, count, batch_size)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a loader worker
    try:
        _bare(clips)
        turns = [_round(stream, groups) for _ in range(rounds)]
    finally:
        torch.set_num_threads(threads)
    frames = sum(len(indices) for _, indices in clips)
    return LoadingCost(samples=count, frames=frames, rounds=tuple(turns))


def _first_shards(source: Source, count: int) -> tuple:
    held = np.cumsum([shard.num_samples for shard in source.shards])
    return source.shards[: int(np.searchsorted(held, count)) + 1]


def _clips(source: Source, processor: SampleProcessor, keys: Sequence[str]) -> list[tuple[bytes, frozenset[int]]]:
    """(file, indices of the sampled frames) of each key."""
    wanted = set(keys)
    found = {}
    for shard in source.shards:
        for sample in read_shard(shard.path, suffixes=MEDIA_AND_JSON, wanted=lambda _, key: key in wanted):
            data = next((sample.files[suffix] for suffix in VIDEO_SUFFIXES if suffix in sample.files), None)
            if data is None:
                raise DataError(f"{sample.shard}: sample {sample.key!r} is no video; this bench decodes videos only")
            found[sample.key] = data, frozenset(decode_sample(sample, processor.sampling).indices.tolist())
    return [found[key] for key in keys]


def _round(stream: TrainStream, groups: Sequence[Sequence[tuple[bytes, frozenset[int]]]]) -> Round:
    batches = iter(stream)
    loader_s, bare_s = [], []
    for number, clips in enumerate(groups):
        sides = [
            (loader_s, lambda: next(batches)),
            (bare_s, lambda clips=clips: _bare(clips)),
        ]
        for seconds, run in sides if number % 2 else reversed(sides):
            seconds.append(_seconds(run))
    return Round(loader_s=tuple(loader_s), bare_s=tuple(bare_s))


def _bare(clips: Sequence[tuple[bytes, frozenset[int]]]) -> None:
    import av

    for data, indices in clips:
        last = max(indices)
        with av.open(io.BytesIO(data)) as container:
            stream = container.streams.video[0]
            stream.thread_type, stream.codec_context.thread_count = "NONE", 1
            for index, frame in enumerate(container.decode(stream)):
                if index in indices:
                    frame.to_ndarray(format="rgb24", threads=1)
                if index == last:
                    break


def _seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin
