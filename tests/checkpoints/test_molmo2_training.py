"""Training a released checkpoint here is training it with transformers and a loop written by hand."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from transformers import Molmo2ForConditionalGeneration

import zoo
from tests.fakes import released
from zoo.batch import IGNORE_INDEX
from zoo.bench.molmo2 import padded_tensors
from zoo.head import Message
from zoo.optimisation import Group, OptimiserSettings, build_optimizer, parameter_groups

QUESTIONS = (("What colour is the cube?", "red"), ("Did it move?", "no, it did not"), ("How many?", "3"))
LANGUAGE, VISION = 2e-4, 1e-4
SETTINGS = OptimiserSettings(
    vision=Group(learning_rate=VISION, warmup_steps=0),
    connector=Group(learning_rate=LANGUAGE, warmup_steps=0),  # the extra embedding is its, transformers has one table
    language=Group(learning_rate=LANGUAGE, warmup_steps=0),
    clip_norm=0,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Norms behind, some layers scaled: the longer way round."""
    text = released.TEXTS["olmo, some layers scaled"]
    return released.save(released.model_of(text), tmp_path_factory.mktemp("released"))


def batch_of(module, questions):
    """Two clips packed, of three and five frames, with the first so many questions each as a tree."""
    generator = np.random.default_rng(0)
    examples = []
    for number, frames in enumerate((3, 5)):
        pixels = generator.integers(0, 256, (frames, 40, 60, 3), dtype=np.uint8)
        messages = [Message(head="qa", prompt=p, answer=a, family="") for p, a in QUESTIONS[number:questions]]
        times = np.arange(frames) / 2
        examples.append(module.processor.example(key=str(number), frames=pixels, times_s=times, messages=messages))
    return module.processor.collate(examples)


def loss_of(theirs, padded, z_loss):
    """Sheet A7.1: a weighted mean of cross entropies, and the squared log normaliser."""
    logits = theirs(**padded.inputs).logits[padded.labels != IGNORE_INDEX]
    targets = padded.labels[padded.labels != IGNORE_INDEX]
    weights = padded.weights[padded.labels != IGNORE_INDEX]
    terms = F.cross_entropy(logits, targets, reduction="none") + z_loss * logits.logsumexp(-1) ** 2
    return (weights * terms).sum() / weights.sum()


@pytest.mark.parametrize("questions", [2, 3])
def test_ten_steps_lose_what_transformers_loses(folder, questions):
    ours, theirs = zoo.from_pretrained(folder).train(), Molmo2ForConditionalGeneration.from_pretrained(folder).train()
    batch = batch_of(ours, questions)
    padded = padded_tensors(ours, batch)
    assert len(padded.labels) == 2 * questions - 1
    optimizer = build_optimizer(parameter_groups(ours.components(), SETTINGS), SETTINGS)
    vision = {id(p) for p in theirs.model.vision_tower.parameters()}
    groups = [
        {"params": [p for p in theirs.parameters() if (id(p) in vision) == in_vision], "lr": rate}
        for in_vision, rate in ((True, VISION), (False, LANGUAGE))
    ]
    by_hand = torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-6, weight_decay=0.0)
    given, expected = [], []
    for _ in range(10):
        optimizer.zero_grad()
        loss = ours.heads["qa"].loss(ours(batch), batch)["loss"]
        loss.backward()
        optimizer.step()
        given.append(loss.item())
        by_hand.zero_grad()
        loss = loss_of(theirs, padded, ours.heads["qa"].z_loss)
        loss.backward()
        by_hand.step()
        expected.append(loss.item())
    assert given == pytest.approx(expected, rel=1e-4)
    assert given[-1] < 0.9 * given[0]
