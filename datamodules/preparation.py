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
from zoo.shards.decode import Clip, ShownFrames, decode_sample, shown_frames
from zoo.shards.reader import Sample
from zoo.shards.sampling import FrameSampling


class SampleProcessor(Protocol):
    """What the streams need of `zoo.processor.Processor`; picklable."""

    sampling: FrameSampling
    suffixes: Collection[str]
    asked_suffixes: Collection[str]

    def sampling_of(self, sample: Sample, *, training: bool) -> FrameSampling: ...

    def messages(
        self, sample: Sample, shown: ShownFrames, generator: np.random.Generator, *, training: bool
    ) -> Sequence[Any]: ...

    def plan(
        self,
        sample: Sample,
        *,
        times_s: np.ndarray,
        messages: Sequence[Any],
        max_tokens: int | None = None,
        training: bool = True,
    ) -> Any: ...

    def with_frames(self, tree: Any, frames: Sequence[np.ndarray], labels: Sequence[Any]) -> Any: ...

    def labels(self, sample: Sample, indices: np.ndarray) -> Sequence[Any]: ...

    def collate(self, examples: Sequence[Any]) -> Any: ...


class PackingProcessor(SampleProcessor, Protocol):
    """What packing needs beside; trees are `zoo.message_tree.MessageTree`."""

    def size(self, tree: Any) -> PackSize: ...


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
        shown = shown_frames(sample, processor.sampling_of(sample, training=training))
        messages = _messages(sample, shown, processor, seed=seed, epoch=epoch, training=training)
        if not messages:
            return None
        clip = decode_sample(sample, processor.sampling_of(sample, training=training))
        with _placed(sample):
            tree = processor.plan(sample, times_s=shown.times_s, messages=messages, training=training)
        return _with_frames(sample, tree, clip, processor, labels=labels)


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
        shown = shown_frames(sample, processor.sampling_of(sample, training=training))
        messages = _messages(sample, shown, processor, seed=seed, epoch=epoch, training=training)
        if not messages:
            return None
        with _placed(sample):
            return processor.plan(
                sample, times_s=shown.times_s, messages=messages, max_tokens=max_tokens, training=training
            )


def materialise(sample: Sample, tree: Any, processor: PackingProcessor, *, labels: bool, training: bool = True) -> Any:
    """Decode the frames that a planned tree is about.

    Args:
        sample: The planned sample.
        tree: From `plan`.
        processor: Of the module that is fed.
        labels: Also render what the label arrays say about the shown frames.
        training: As the tree was planned.
    Raises:
        DataError: names shard and key.
    """
    with _noted(sample):
        clip = decode_sample(sample, processor.sampling_of(sample, training=training))
        return _with_frames(sample, tree, clip, processor, labels=labels)


def _with_frames(sample: Sample, tree: Any, clip: Clip, processor: SampleProcessor, *, labels: bool) -> Any:
    known = processor.labels(sample, clip.indices) if labels else ()
    with _placed(sample):
        return processor.with_frames(tree, clip.frames, known)


@contextmanager
def _placed(sample: Sample) -> Iterator[None]:
    """Say which shard a sample is from, of which the processor knows the key alone."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{sample.shard}: sample {error}") from error


def _messages(
    sample: Sample, shown: ShownFrames, processor: SampleProcessor, *, seed: int, epoch: int, training: bool
) -> Sequence[Any]:
    generator = np.random.default_rng([seed, epoch, crc32(sample.key.encode())])
    return processor.messages(sample, shown, generator, training=training)


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
