"""Samples to packs in two phases: each is planned as it arrives, and decoded when its pack is emitted.

What waits in the pool is still encoded, so a pool of 48 clips costs their files, not their frames. Source: Molmo2 sheet
A6.5.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from zoo.datamodules.preparation import Planned, Preparation, SampleProcessor, plan
from zoo.errors import ConfigError, DataError
from zoo.packing import Packer, PackLimits, PackSize
from zoo.shards.reader import Sample, Shard, ignore_error, read_shard

SAMPLES_JUDGED = 64
"""Of each source, to estimate how many packs an epoch fills."""


class Packing:
    """Groups the samples of one reader and epoch into packs of examples.

    What waits is all that it remembers: with it, another one goes on where this one stopped.

    Args:
        limits: What a pack holds.
        preparation: Plans within these limits, and decodes.
    """

    def __init__(self, limits: PackLimits, preparation: Preparation) -> None:
        self.packer: Packer[Planned] = Packer(limits)
        self.preparation = preparation

    @property
    def waiting(self) -> list[Sample]:
        """The samples of the pool, in the order of arrival."""
        return [planned.sample for planned, _ in self.packer.waiting]

    def resume(self, waiting: Iterable[Sample]) -> None:
        """Take over the pool of an earlier packing with the same arguments.

        Args:
            waiting: As the earlier one's `waiting`.
        Raises:
            DataError: a sample cannot be planned any more.
        """
        plans = [planned for sample in waiting if (planned := self.preparation.plan(sample)) is not None]
        self.packer = Packer(self.packer.limits, [(planned, self._size(planned)) for planned in plans])

    def groups(self, samples: Iterable[Sample]) -> Iterator[list[Any]]:
        """The examples of each pack; when the samples end, the pool is emptied."""
        for sample in samples:
            pack = self._add(sample)
            if pack and (examples := self.preparation.decode(pack)):
                yield examples
        for pack in self.packer.flush():
            if examples := self.preparation.decode(pack):
                yield examples

    def _add(self, sample: Sample) -> list[Planned] | None:
        planned = self.preparation.plan_or_report(sample)
        return None if planned is None else self.packer.add(planned, self._size(planned))

    def _size(self, planned: Planned) -> PackSize:
        return self.preparation.processor.size(planned.tree)


def check_frames(limits: PackLimits, processor: SampleProcessor) -> None:
    """Refuse limits that a single clip may exceed.

    Raises:
        ConfigError: names both numbers.
    """
    most = processor.sampling.max_frames
    if most > limits.max_frames:
        raise ConfigError(
            f"packing: a pack holds {limits.max_frames} frames, a single clip up to {most}; raise packing.max_frames, "
            "or lower the model's max_frames"
        )


def expected_packs(
    limits: PackLimits,
    processor: SampleProcessor,
    sources: Iterable[tuple[Iterable[Shard], float]],
    *,
    samples: int,
    seed: int,
) -> int:
    """How many packs so many samples fill, judged by the first ones of every source.

    Args:
        limits: What a pack holds.
        processor: Of the module that is fed.
        sources: Shards and weight of each.
        samples: Drawn from all sources by weight.
        seed: Of the stream.
    Raises:
        DataError: none of the first samples of a source can be planned.
    """
    tokens = frames = total = 0.0
    for shards, weight in sources:
        sizes = _first_sizes(limits, processor, shards, seed)
        tokens += weight * sum(size.tokens for size in sizes) / len(sizes)
        frames += weight * sum(size.frames for size in sizes) / len(sizes)
        total += weight
    return int(samples / total * max(tokens / limits.max_tokens, frames / limits.max_frames))


def _first_sizes(limits: PackLimits, processor: SampleProcessor, shards: Iterable[Shard], seed: int) -> list[PackSize]:
    sizes, fault = [], "no head asks anything about them"
    suffixes = processor.asked_suffixes
    samples = (s for shard in shards for s in read_shard(shard.path, suffixes=suffixes, report=ignore_error))
    for sample in islice(samples, SAMPLES_JUDGED):
        try:
            planned = plan(sample, processor, seed=seed, epoch=0, max_tokens=limits.max_tokens)
        except DataError as error:
            fault = str(error)
            continue
        if planned is not None:
            sizes.append(processor.size(planned.tree))
    if not sizes:
        raise DataError(f"packing: none of the first {SAMPLES_JUDGED} samples can be packed; the last: {fault}")
    return sizes
