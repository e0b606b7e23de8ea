"""What message trees and packing save: training annotations a second, against padded rows of single annotations.

Both sides train the same model on the same annotations of the same clips, forward and backward, within the same limits
of tokens and frames a batch; decoding and tokenising are done before and not counted, nor is the optimiser. They take
turns within each round, and of each batch the quickest round counts, because other programs can only slow it down.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tqdm import tqdm

from zoo.batch import Batch
from zoo.bench.padding import padded_batch, rows_within, single_annotations
from zoo.datamodules.preparation import Planned, materialise, plan
from zoo.errors import ConfigError
from zoo.module import ZooModule
from zoo.packing import Packer, PackLimits
from zoo.processor import Example, MessageTree, Processor
from zoo.shards.reader import Sample

PACKED, PADDED = "packed", "padded"

Precision = Callable[[], AbstractContextManager[None]]
"""Context of a training step, as autocast."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PackingRow:
    """Both sides at one number of annotations a clip.

    Args:
        annotations: Of each clip.
        clips: Trained on in each round.
        fill: Real tokens over the sequence limit, over all packs of the planned samples.
        padded_fill: Real tokens over all tokens of the padded batches.
        seconds: For each side, of each of its batches the seconds of every round.
    """

    annotations: int
    clips: int
    fill: float
    padded_fill: float
    seconds: Mapping[str, Sequence[Sequence[float]]]

    def per_second(self, side: str) -> float:
        """Training annotations a second."""
        return self.annotations * self.clips / sum(map(min, self.seconds[side]))

    @property
    def speedup(self) -> float:
        return self.per_second(PACKED) / self.per_second(PADDED)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "annotations": self.annotations,
            "speedup": self.speedup,
            "fill": self.fill,
            "clips": self.clips,
            "padded_fill": self.padded_fill,
            **{f"{side}_annotations_per_s": self.per_second(side) for side in (PACKED, PADDED)},
            **{f"{side}_batches": len(self.seconds[side]) for side in (PACKED, PADDED)},
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class PackingCost:
    """Result of `measure_packing`.

    Args:
        limits: Of a pack.
        rounds: Passes of both sides.
        planned: Samples whose packs give the fill.
        fill: Of the packs that training would make, with all that the heads ask.
        rows: One for each number of annotations.
    """

    limits: PackLimits
    rounds: int
    planned: int
    fill: float
    rows: tuple[PackingRow, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "rows": [row.as_dict() for row in self.rows],
            "fill": self.fill,
            "planned": self.planned,
            "max_tokens": self.limits.max_tokens,
            "max_frames": self.limits.max_frames,
            "rounds": self.rounds,
        }

    def as_text(self) -> str:
        """One line for each number of annotations."""
        limits = f"{self.limits.max_tokens} tokens and {self.limits.max_frames} frames a batch"
        lines = [
            f"forward and backward, {limits}, best of {self.rounds} rounds",
            f"{'annotations a clip':<20}{'packed /s':>12}{'padded /s':>12}{'speedup':>10}{'fill':>8}{'padded':>8}",
        ]
        lines += [
            f"{row.annotations:<20}{row.per_second(PACKED):>12.1f}{row.per_second(PADDED):>12.1f}"
            f"{row.speedup:>10.2f}{row.fill:>8.3f}{row.padded_fill:>8.3f}"
            for row in self.rows
        ]
        lines.append(f"fill of the packs of {self.planned} samples, asked as training asks: {self.fill:.3f}")
        return "\n".join(lines)


def fill_of(trees: Sequence[MessageTree], processor: Processor, limits: PackLimits) -> float:
    """Real tokens over the sequence limit, over all packs of some trees, the last ones included."""
    packer: Packer[int] = Packer(limits)
    sizes = [processor.size(tree) for tree in trees]
    packs = [pack for size in sizes if (pack := packer.add(size.tokens, size)) is not None]
    packs += packer.flush()
    return sum(map(sum, packs)) / (limits.max_tokens * len(packs))


def padded_fill(examples: Sequence[Example], limits: PackLimits) -> float:
    """Real tokens over all tokens of padded rows of single annotations."""
    groups = list(rows_within(single_annotations(examples), limits))
    real = sum(row.num_tokens for group in groups for row in group)
    return real / sum(len(group) * max(row.num_tokens for row in group) for group in groups)


def measure_packing(
    module: ZooModule,
    samples: Iterable[Sample],
    limits: PackLimits,
    *,
    drawn: Iterable[Sample],
    annotations: Sequence[int] = (1, 4, 16),
    clips: int = 32,
    rounds: int = 3,
    precision: Precision,
) -> PackingCost:
    """Time packed trees and padded rows of the same annotations.

    Args:
        module: Trained for a few steps' worth of gradients, which are thrown away; stays on its device.
        samples: Training samples with media; the first ones that hold enough annotations are trained on.
        limits: Of a batch, on both sides.
        drawn: What training draws from, in its order; planned for the fill, not decoded.
        annotations: Scored annotations of each clip, one row of the result each.
        clips: Trained on in each round.
        rounds: Passes of both sides, after one that is not counted.
        precision: Context of each step's forward pass.
    Raises:
        ConfigError: too few samples hold enough annotations, or there is no round.
        DataError: a sample that cannot be read.
    """
    processor = module.processor
    most = max(annotations)
    asking = partial(plan, processor=processor, seed=0, epoch=0, max_tokens=limits.max_tokens)
    asked: list[MessageTree] = []
    chosen: list[Planned] = []
    for sample in samples:
        planned = asking(sample, training=False)
        if planned is None:
            continue
        asked.append(planned.tree)
        if len(chosen) < clips and len(_first(planned.tree, most).branches) == most:
            chosen.append(planned)
    trees = [planned.tree for sample in drawn if (planned := asking(sample)) is not None]
    if not chosen or len(chosen) < clips or rounds < 1:
        raise ConfigError(
            f"bench: {len(chosen)} of {len(asked)} samples hold {most} annotations, asked for {clips} clips and "
            f"{rounds} rounds; expected at least one round, and that many such samples, one or more"
        )
    was_training = module.training
    module.train()
    rows = []
    try:
        for number in annotations:
            examples = [
                materialise(replace(planned, tree=_first(planned.tree, number)), processor, labels=False)
                for planned in chosen
            ]
            rows.append(
                PackingRow(
                    annotations=number,
                    clips=clips,
                    fill=fill_of([_first(tree, number) for tree in asked], processor, limits),
                    padded_fill=padded_fill(examples, limits),
                    seconds=_timed(module, examples, limits, rounds, precision),
                )
            )
    finally:
        module.zero_grad()
        module.train(was_training)
    return PackingCost(
        limits=limits,
        rounds=rounds,
        planned=len(trees),
        fill=fill_of(trees, processor, limits),
        rows=tuple(rows),
    )


def _first(tree: MessageTree, most: int) -> MessageTree:
    return replace(tree, branches=tree.branches[:most])


def _timed(
    module: ZooModule,
    examples: Sequence[Example],
    limits: PackLimits,
    rounds: int,
    precision: Precision,
) -> dict[str, list[list[float]]]:
    packer: Packer[Example] = Packer(limits)
    added = (packer.add(example, module.processor.size(example)) for example in examples)
    packs = [pack for pack in added if pack is not None]
    rows = rows_within(single_annotations(examples), limits)
    batches = {
        PACKED: [module.processor.collate(pack).to(module.device) for pack in [*packs, *packer.flush()]],
        PADDED: [padded_batch(module.processor, group).to(module.device) for group in rows],
    }
    seconds: dict[str, list[list[float]]] = {side: [[] for _ in batches[side]] for side in batches}
    for turn in tqdm(range(rounds + 1), desc="rounds", unit="round", leave=False, file=sys.stderr, disable=None):
        for side, number in _in_turns({side: len(of_side) for side, of_side in batches.items()}):
            taken = _step_seconds(module, batches[side][number], precision)
            if turn:  # the first round warms up
                seconds[side][number].append(taken)
    return seconds


def _in_turns(counts: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """All batches of all sides, each side spread evenly over the round."""
    places = [((number + 0.5) / count, side, number) for side, count in counts.items() for number in range(count)]
    for _, side, number in sorted(places):
        yield side, number


def _step_seconds(module: ZooModule, batch: Batch, precision: Precision) -> float:
    module.zero_grad()
    begin = time.perf_counter()
    with precision():
        outputs = module(batch)
        loss = sum(head.loss(outputs, batch)["loss"] for head in module.heads.values())
    loss.backward()
    loss.item()  # waits for a GPU
    return time.perf_counter() - begin
