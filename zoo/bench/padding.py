"""The conventional batch: one annotation a row, each row with its own frames, rows padded to the longest.

What packed message trees are measured against. It runs through the same model; only the shape of the batch differs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from zoo.batch import IGNORE_INDEX, Batch, Turn
from zoo.packing import PackLimits
from zoo.processor import Example, Processor

PAD_ID = 0
"""Any id will do: nothing attends to padding, and no loss counts it."""


def single_annotations(examples: Sequence[Example]) -> list[Example]:
    """Every branch as an example of its own, the shortest first, so that rows of similar length meet."""
    singles = [replace(example, branches=(branch,)) for example in examples for branch in example.branches]
    return sorted(singles, key=lambda single: single.num_tokens)


def rows_within(examples: Sequence[Example], limits: PackLimits) -> Iterator[list[Example]]:
    """Runs of examples whose rows, padded to the longest, keep the limits of a pack; at least one a run.

    Args:
        examples: The shortest first.
        limits: Tokens, padding included, and frames.
    """
    rows: list[Example] = []
    for example in examples:
        tokens = (len(rows) + 1) * example.num_tokens
        frames = sum(row.num_frames for row in rows) + example.num_frames
        if rows and (tokens > limits.max_tokens or frames > limits.max_frames):
            yield rows
            rows = []
        rows.append(example)
    if rows:
        yield rows


def padded_batch(processor: Processor, examples: Sequence[Example]) -> Batch:
    """Examples of one branch as rows of one length, padded on the right.

    Args:
        processor: Collates.
        examples: One branch each.
    Returns:
        A batch whose every segment is one run of the longest example's tokens; padding follows the real tokens, so
        that causal attention masks it.
    Raises:
        ValueError: an example with another number of branches.
    """
    if any(len(example.branches) != 1 for example in examples):
        raise ValueError(f"a row holds one branch, got {[len(example.branches) for example in examples]}")
    batch = processor.collate(examples)
    lengths = [example.num_tokens for example in examples]
    longest = max(lengths)
    place = torch.cat([row * longest + torch.arange(length) for row, length in enumerate(lengths)])

    def spread(packed: Tensor, filler: float) -> Tensor:
        return packed.new_full((len(lengths) * longest,), filler).index_copy(0, place, packed)

    return replace(
        batch,
        input_ids=spread(batch.input_ids, PAD_ID),
        position_ids=torch.arange(longest).repeat(len(lengths)),
        runs=((longest,),) * len(lengths),
        is_vision=spread(batch.is_vision, False),
        is_patch=spread(batch.is_patch, False),
        labels=spread(batch.labels, IGNORE_INDEX),
        loss_weights=spread(batch.loss_weights, 0.0),
        turns=tuple(_moved(turn, int(place[turn.prefix[0]]) - turn.prefix[0]) for turn in batch.turns),
    )


def _moved(turn: Turn, by: int) -> Turn:
    spans = {name: getattr(turn, name) for name in ("prefix", "prompt", "answer")}
    return turn._replace(**{name: (start + by, stop + by) for name, (start, stop) in spans.items()})
