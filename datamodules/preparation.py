"""From an encoded sample to an example, at once or in two phases.

Packing plans before it decodes: `plan` needs the questions and the table of the video, `materialise` decodes what a
pack holds. What is asked is drawn from (seed, epoch, sample key) alone, planned or not.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from zlib import crc32

import numpy as np

from zoo.errors import DataError, ZooError
from zoo.packing import PackSize
from zoo.shards.decode import VIDEO_SUFFIXES, decode_sample, media_suffix, sampled_times
from zoo.shards.reader import Sample
from zoo.shards.sampling import FrameSampling


class SampleProcessor(Protocol):
    """What the streams need of `zoo.processor.Processor`; picklable."""

    sampling: FrameSampling
    suffixes: Collection[str]

    def messages(self, sample: Sample, generator: np.random.Generator, *, training: bool) -> Sequence[Any]: ...

    def example(
        self,
        *,
        key: str,
        frames: np.ndarray,
        times_s: np.ndarray,
        messages: Sequence[Any],
        labels: Sequence[Any],
        is_video: bool,
    ) -> Any: ...

    def labels(self, sample: Sample, indices: np.ndarray) -> Sequence[Any]: ...

    def collate(self, examples: Sequence[Any]) -> Any: ...


class PackingProcessor(SampleProcessor, Protocol):
    """What packing needs beside; trees are `zoo.processor.MessageTree`."""

    def tree(
        self, *, key: str, times_s: np.ndarray, messages: Sequence[Any], is_video: bool, max_tokens: int | None
    ) -> Any: ...

    def size(self, tree: Any) -> PackSize: ...

    def with_frames(self, tree: Any, frames: np.ndarray, labels: Sequence[Any]) -> Any: ...


def prepare(
    sample: Sample, processor: SampleProcessor, *, seed: int, epoch: int, training: bool, labels: bool
) -> Any | None:
    """Decode, sample frames and render questions; None where no head asks anything about the sample.

    Args:
        sample: As read from a shard.
        processor: Of the module that is fed.
        seed: Of the stream.
        epoch: Another epoch draws other questions; evaluation passes 0.
        training: Also render text that is only learnt from.
        labels: Also render what the label arrays say about the shown frames.
    Raises:
        DataError: names shard and key.
    """
    with _noted(sample):
        messages = _messages(sample, processor, seed=seed, epoch=epoch, training=training)
        if not messages:
            return None
        clip = decode_sample(sample, processor.sampling)
        return processor.example(
            key=sample.key,
            frames=clip.frames,
            times_s=clip.times_s,
            messages=messages,
            labels=processor.labels(sample, clip.indices) if labels else (),
            is_video=_is_video(sample),
        )


def plan(
    sample: Sample, processor: PackingProcessor, *, seed: int, epoch: int, max_tokens: int, training: bool = True
) -> Any | None:
    """The message tree that training makes of a sample, without decoding; None where no head asks anything.

    Args:
        sample: As read from a shard.
        processor: Of the module that is fed.
        seed: Of the stream.
        epoch: Another epoch draws other questions.
        max_tokens: Of a pack; what is beyond is cut off the tree.
        training: False asks all that a test would ask, in the stored order.
    Raises:
        DataError: names shard and key.
    """
    with _noted(sample):
        messages = _messages(sample, processor, seed=seed, epoch=epoch, training=training)
        if not messages:
            return None
        times_s = sampled_times(sample, processor.sampling)
        try:
            return processor.tree(
                key=sample.key, times_s=times_s, messages=messages, is_video=_is_video(sample), max_tokens=max_tokens
            )
        except DataError as error:
            raise DataError(f"{sample.shard}: sample {error}") from error


def materialise(sample: Sample, tree: Any, processor: PackingProcessor, *, labels: bool) -> Any:
    """Decode the frames that a planned tree is about.

    Args:
        sample: The planned sample.
        tree: From `plan`.
        processor: Of the module that is fed.
        labels: Also render what the label arrays say about the shown frames.
    Raises:
        DataError: names shard and key.
    """
    with _noted(sample):
        clip = decode_sample(sample, processor.sampling)
        return processor.with_frames(tree, clip.frames, processor.labels(sample, clip.indices) if labels else ())


def _messages(sample: Sample, processor: SampleProcessor, *, seed: int, epoch: int, training: bool) -> Sequence[Any]:
    generator = np.random.default_rng([seed, epoch, crc32(sample.key.encode())])
    return processor.messages(sample, generator, training=training)


def _is_video(sample: Sample) -> bool:
    return media_suffix(sample.files) in VIDEO_SUFFIXES


@contextmanager
def _noted(sample: Sample) -> Iterator[None]:
    """Let a bug in a processor name the sample that it met."""
    try:
        yield
    except ZooError:
        raise
    except Exception as error:
        error.add_note(f"while preparing sample {sample.key!r} of {sample.shard}")
        raise
