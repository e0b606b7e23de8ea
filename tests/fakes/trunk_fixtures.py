"""Fixtures of the trunk: small real parts, clips of random pixels, questions with short answers."""

from collections.abc import Callable

import numpy as np
import pytest

from zoo.backbones.attention_pool import AttentionPool
from zoo.backbones.decoder import qwen3_tiny
from zoo.backbones.tokenizers import words
from zoo.backbones.vit import vit_tiny
from zoo.batch import Batch
from zoo.frames import Frames
from zoo.head import Message
from zoo.heads.qa import QuestionAnswering
from zoo.module import ZooModule
from zoo.pruner import Pruner

WINDOW = (3, 3)


@pytest.fixture
def clips() -> Frames:
    """Two clips, of three and two frames."""
    return Frames(
        clip=(0, 0, 0, 1, 1), time_s=(0.0, 0.5, 1.0, 0.0, 0.5), size_px=((144, 144),) * 5, window=(WINDOW,) * 5
    )


def build_module(pruner: Pruner | list[Pruner] | None = None, **arguments: object) -> ZooModule:
    """A module of a few thousand weights: 24 pixels, 3 x 3 patches, one window a frame unless `image_size` says
    more."""
    parts = {
        "vision": vit_tiny(
            image_size=arguments.pop("image_size", 48), hidden_size=32, num_blocks=3, num_heads=2, stem_channels=16
        ),
        "connector": AttentionPool(head_dim=16),
        "language": qwen3_tiny(hidden_size=32, num_layers=3, num_heads=2),
        "tokenizer": words(),
        "heads": [QuestionAnswering(max_new_tokens=3)],
    }
    return ZooModule(
        **(parts | arguments),
        pruner=pruner,
        max_frames=4,
    ).eval()


@pytest.fixture
def module_of() -> Callable[..., ZooModule]:
    return build_module


@pytest.fixture
def module() -> ZooModule:
    return build_module()


QUESTIONS = (
    ("What colour is the cube?", "red"),
    ("How many objects are there?", "3"),
    ("Did the red object move?", "no"),
)


def build_batch(module: ZooModule, frames: tuple[int, ...] = (3, 2), questions: tuple[int, ...] = (3, 2)) -> Batch:
    """One clip of random pixels an entry, with the first so many questions."""
    generator = np.random.default_rng(5)
    examples = []
    for number, (count, asked) in enumerate(zip(frames, questions, strict=True)):
        messages = [
            Message(head="qa", prompt=prompt, answer=answer, family=f"family{i}", temporal=i == 2)
            for i, (prompt, answer) in enumerate(QUESTIONS[:asked])
        ]
        pixels = generator.integers(0, 256, (count, 40, 56, 3), dtype=np.uint8)
        examples.append(
            module.processor.example(
                key=f"clip{number}", frames=pixels, times_s=np.arange(count) / 2, messages=messages, is_video=count > 1
            )
        )
    return module.processor.collate(examples)


@pytest.fixture
def batch_of() -> Callable[..., Batch]:
    return build_batch
