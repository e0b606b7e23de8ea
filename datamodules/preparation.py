"""From an encoded sample to an example, in two phases.

`plan` needs the questions and the table of the video, `materialise` decodes the frames. Packing puts planned samples
together before any is decoded; all others are planned a batch at a time as well, because planning one by one, between
decoding, takes twice as long (the CPU's caches are full of frames then). What is asked is drawn from (seed, epoch,
sample key) alone.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol
from zlib import crc32

import numpy as np

from zoo.errors import DataError, ZooError
from zoo.packing import PackSize
from zoo.shards.decode import ShownFrames, decode_sample, shown_frames
from zoo.shards.faults import FaultCounter
from zoo.shards.reader import Sample
from zoo.shards.sampling import FrameSampling


class SampleProcessor(Protocol):
    """What the streams need of `zoo.processor.Processor`; picklable. Trees are `zoo.message_tree.MessageTree`."""

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

    def size(self, tree: Any) -> PackSize: ...


@dataclass(frozen=True, slots=True)
class Planned:
    """A sample that waits to be decoded.

    Args:
        sample: Still encoded.
        shown: Which of its frames are to be decoded.
        tree: Its text, tokenised.
    """

    sample: Sample
    shown: ShownFrames
    tree: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparation:
    """Both phases for the samples of one reader and epoch.

    Args:
        processor: Of the module that is fed.
        faults: Told of samples that cannot be planned or decoded.
        seed: Of the stream.
        epoch: Another epoch draws other questions; evaluation passes 0.
        training: Also render text that is only learnt from.
        labels: Also render what the label arrays say about the shown frames.
        max_tokens: Of a pack; what is beyond is cut off the tree. None cuts nothing.
    """

    processor: SampleProcessor
    faults: FaultCounter
    seed: int
    epoch: int
    training: bool
    labels: bool
    max_tokens: int | None = None

    def plan(self, sample: Sample) -> Planned | None:
        """What is asked about a sample, a pure function of it; None where no head asks anything.

        Raises:
            DataError: names shard and key.
        """
        return plan(
            sample,
            self.processor,
            seed=self.seed,
            epoch=self.epoch,
            max_tokens=self.max_tokens,
            training=self.training,
        )

    def plan_or_report(self, sample: Sample) -> Planned | None:
        """The same, where a bad sample is reported; a good one counts as such until it fails to decode."""
        try:
            planned = self.plan(sample)
        except DataError as error:
            self.faults.report(error)
            return None
        self.faults.num_good += planned is not None
        return planned

    def decode(self, planned: Iterable[Planned]) -> list[Any]:
        """Examples of the samples that decode."""
        examples = []
        for each in planned:
            try:
                made = materialise(each, self.processor, labels=self.labels)
            except DataError as error:
                self.faults.num_good -= 1
                self.faults.report(error)
            else:
                examples.append(made)
        return examples

    def batches(self, samples: Iterator[Sample], size: int) -> Iterator[list[Any]]:
        """Groups of so many examples, the last of which may be smaller; no more samples are read than a group takes."""
        while group := self._batch(samples, size):
            yield group

    def _batch(self, samples: Iterator[Sample], size: int) -> list[Any]:
        group: list[Any] = []
        # Planned while they are drawn: whoever draws asks after a pass whether any of its samples was good.
        while drawn := [self.plan_or_report(sample) for sample in islice(samples, size - len(group))]:
            group += self.decode(planned for planned in drawn if planned is not None)
        return group


def plan(
    sample: Sample,
    processor: SampleProcessor,
    *,
    seed: int,
    epoch: int,
    max_tokens: int | None = None,
    training: bool = True,
) -> Planned | None:
    """What is asked about a sample, without decoding; None where no head asks anything.

    Args:
        sample: As read from a shard.
        processor: Of the module that is fed.
        seed: Of the stream.
        epoch: Another epoch draws other questions.
        max_tokens: Of a pack; what is beyond is cut off the tree. None cuts nothing.
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
            tree = processor.plan(
                sample, times_s=shown.times_s, messages=messages, max_tokens=max_tokens, training=training
            )
        return Planned(sample, shown, tree)


def materialise(planned: Planned, processor: SampleProcessor, *, labels: bool) -> Any:
    """Decode the frames that a planned tree is about.

    Args:
        planned: From `plan`.
        processor: Of the module that is fed.
        labels: Also render what the label arrays say about the shown frames.
    Raises:
        DataError: names shard and key.
    """
    sample = planned.sample
    with _noted(sample):
        clip = decode_sample(sample, planned.shown)
        known = processor.labels(sample, clip.indices) if labels else ()
        with _placed(sample):
            return processor.with_frames(planned.tree, clip.frames, known)


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
