"""Packs and trees through the whole composed model: every example and branch gets what it would get alone."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from tests.fakes.conversations import TREES, examples_of
from zoo.packing import Packer, PackLimits
from zoo.pruning.random import RandomPruner

TOLERANCE = {"rtol": 0, "atol": 1e-5}  # float32 sums in another order


def packs_of(processor, examples):
    """At least two packs of several examples."""
    packer = Packer(PackLimits(max_tokens=160, max_frames=9, pool=len(examples)))
    for example in examples:
        assert packer.add(example, processor.size(example)) is None
    packs = list(packer.flush())
    assert len(packs) >= 2 and max(map(len, packs)) >= 3
    return packs


@pytest.fixture(params=[None, "vit.block[1]", "llm.layer[1]"])
def module(request, module_of):
    pruner = None if request.param is None else RandomPruner(remove=0.5, site=request.param)
    return module_of(pruner)


def answers_of(module, examples):
    """Of every branch in order: the logits of its answer, and its weighted cross entropy."""
    batch = module.processor.collate(examples)
    with torch.no_grad():
        outputs = module(batch)
    counts = [len(answer) for example in examples for _, _, answer in example.branches]
    losses = outputs.weights * F.cross_entropy(outputs.logits, outputs.targets, reduction="none")
    return list(zip(outputs.logits.split(counts), losses.split(counts), strict=True)), outputs


def test_an_example_of_a_pack_gets_the_logits_and_losses_that_it_has_alone(module):
    for pack in packs_of(module.processor, examples_of(module.processor)):
        together, _ = answers_of(module, pack)
        alone = [answer for example in pack for answer in answers_of(module, [example])[0]]
        for (logits, losses), (expected_logits, expected_losses) in zip(together, alone, strict=True):
            torch.testing.assert_close(logits, expected_logits, **TOLERANCE)
            torch.testing.assert_close(losses, expected_losses, **TOLERANCE)


def test_a_branch_gets_the_logits_that_it_has_as_a_conversation_of_its_own(module):
    examples = examples_of(module.processor)
    together, _ = answers_of(module, examples)
    singles = [replace(e, branches=(branch,)) for e in examples for branch in e.branches]
    for single, (logits, _) in zip(singles, together, strict=True):
        (alone, _), *_ = answers_of(module, [single])[0]
        torch.testing.assert_close(logits, alone, **TOLERANCE)


def test_the_loss_of_a_pack_is_the_weighted_mean_of_its_examples(module):
    for pack in packs_of(module.processor, examples_of(module.processor)):
        losses, weights = [], []
        for examples in [pack, *([example] for example in pack)]:
            batch = module.processor.collate(examples)
            with torch.no_grad():
                outputs = module(batch)
                losses.append(module.heads["qa"].loss(outputs, batch)["loss"])
            weights.append(outputs.total_weight)
        expected = (torch.stack(losses[1:]) * torch.stack(weights[1:])).sum() / weights[0]
        torch.testing.assert_close(weights[0], torch.stack(weights[1:]).sum())
        torch.testing.assert_close(losses[0], expected, **TOLERANCE)


def test_processes_with_packs_of_other_weight_average_to_the_global_mean(module_of):
    """Sheet A7.1: every process divides by the mean of all weight sums, then gradients are averaged."""
    module = module_of().train()
    packs = packs_of(module.processor, examples_of(module.processor))[:2]
    batches = [module.processor.collate(pack) for pack in [*packs, packs[0] + packs[1]]]
    sums = [float(batch.loss_weights.sum()) for batch in batches]
    assert sums[0] != pytest.approx(sums[1], rel=0.05)

    def gradient(batch, total_weight):
        module.zero_grad()
        outputs = replace(module(batch), total_weight=torch.tensor(total_weight))
        module.heads["qa"].loss(outputs, batch)["loss"].backward()
        return torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])

    of_ranks = [gradient(batch, (sums[0] + sums[1]) / 2) for batch in batches[:2]]
    torch.testing.assert_close((of_ranks[0] + of_ranks[1]) / 2, gradient(batches[2], sums[2]), **TOLERANCE)


def test_positions_and_mask_are_those_of_the_sheet(module_of):
    """Sheet A6.2-A6.4, token by token: subsegment ids of 100000 an example, 10000 on the prefix, k on branch k."""
    processor = module_of().processor
    examples = examples_of(processor, TREES[:4])
    batch = processor.collate(examples)
    subsegments, positions = [], []
    for number, example in enumerate(examples):
        prefix = len(example.prefix)
        subsegments += [100_000 * number + 10_000] * prefix
        positions += range(prefix)
        for branch, (_, prompt, answer) in enumerate(example.branches):
            length = len(prompt) + len(answer)
            subsegments += [100_000 * number + branch] * length
            positions += range(prefix, prefix + length)
    assert batch.position_ids.tolist() == positions
    sub = torch.tensor(subsegments)
    index = torch.arange(len(sub))
    same = (sub // 100_000)[:, None] == (sub // 100_000)[None]
    both_vision = batch.is_vision[:, None] & batch.is_vision[None]
    expected = same & ((index[None] <= index[:, None]) | both_vision) & (sub[:, None] <= sub[None])
    segments = batch.stream(torch.zeros(len(sub), 1)).segments
    assert torch.equal(segments.dense_mask(), expected)
