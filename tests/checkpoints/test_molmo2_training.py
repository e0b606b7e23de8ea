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
    eps=1e-4,  # where a gradient is next to nothing, the sign of its rounding error would decide about a whole step
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Norms behind, some layers scaled: the longer way round."""
    torch.manual_seed(0)
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


def ten_steps(optimizer, loss_now):
    """Losses of ten steps, each before its step."""
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = loss_now()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def both_of(folder):
    """A module of ours and transformers' model, each with its optimiser: ours from its settings, theirs by hand."""
    ours, theirs = zoo.from_pretrained(folder).train(), Molmo2ForConditionalGeneration.from_pretrained(folder).train()
    vision = {id(p) for p in theirs.model.vision_tower.parameters()}
    groups = [
        {"params": [p for p in theirs.parameters() if (id(p) in vision) == in_vision], "lr": rate}
        for in_vision, rate in ((True, VISION), (False, LANGUAGE))
    ]
    by_hand = torch.optim.AdamW(groups, betas=SETTINGS.betas, eps=SETTINGS.eps, weight_decay=0.0)
    return (ours, build_optimizer(parameter_groups(ours.components(), SETTINGS), SETTINGS)), (theirs, by_hand)


@pytest.mark.parametrize("questions", [2, 3])
def test_ten_steps_lose_what_transformers_loses(folder, questions):
    (ours, optimizer), (theirs, by_hand) = both_of(folder)
    batch = batch_of(ours, questions)
    padded = padded_tensors(ours, batch)
    assert len(padded.labels) == 2 * questions - 1
    z_loss = ours.heads["qa"].z_loss
    given = ten_steps(optimizer, lambda: ours.heads["qa"].loss(ours(batch), batch)["loss"])
    assert given == pytest.approx(ten_steps(by_hand, lambda: loss_of(theirs, padded, z_loss)), rel=1e-4)
    assert given[-1] < 0.9 * given[0]


@pytest.mark.parametrize("kind", released.KINDS)
def test_ten_steps_on_what_transformers_processor_makes(folder, kind):
    """Text, images, images in some rows and clips, padded: the tensors that both take."""
    (ours, optimizer), (theirs, by_hand) = both_of(folder)
    for group in (*optimizer.param_groups, *by_hand.param_groups):
        group["lr"] /= 4  # so few tokens are soon known by heart, and then the last digits decide
    inputs = released.inputs(kind)
    ids, valid = inputs["input_ids"], inputs["attention_mask"].bool()
    is_text = valid & (ids < ours.model.language.vocab_size)
    row, place = (is_text[:, 1:] & valid[:, :-1]).nonzero().unbind(1)  # whose next token is text

    def loss(logits):
        return F.cross_entropy(logits[row, place], ids[row, place + 1])

    given = ten_steps(optimizer, lambda: loss(ours.logits(**inputs)))
    assert given == pytest.approx(ten_steps(by_hand, lambda: loss(theirs(**inputs).logits)), rel=1e-4)
    assert given[-1] < 0.97 * given[0]
