"""What a Molmo2 costs here and in transformers' own class: the same weights, the same examples, in turns.

Here examples are packed one behind the other, there they are rows that are padded to the longest. The optimiser is not
counted, nor is making the tensors. Of each side the quickest round counts: other programs can only slow it down.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from zoo.batch import IGNORE_INDEX, Batch
from zoo.checkpoints.molmo2_export import save_released
from zoo.checkpoints.recipe import Spec, build_module
from zoo.errors import ConfigError
from zoo.head import Message
from zoo.layout import TokenLayout
from zoo.module import ZooModule
from zoo.padded import patches_of_frames

if TYPE_CHECKING:
    from transformers import Molmo2ForConditionalGeneration

RECIPE: Spec = {
    "class_path": "vlm",
    "init_args": {
        "vision": {
            "class_path": "siglip",
            "init_args": {
                "image_size": [126, 126],
                "patch_size": 14,
                "hidden_size": 144,
                "intermediate_size": 540,
                "num_blocks": 4,
                "num_heads": 2,
                "final_norm": False,
                "feature_blocks": [3, 1],
            },
        },
        "connector": "attention_pool",
        "language": {
            "class_path": "molmo2",
            "init_args": {
                "hidden_size": 256,
                "intermediate_size": 768,
                "num_layers": 6,
                "num_heads": 4,
                "num_kv_heads": 2,
                "head_dim": 64,
                "vocab_size": 4096,
                "rope_theta": 1e6,
            },
        },
        "tokenizer": "words",
        "inputs": {"max_crops": 8},
        "heads": ["qa"],
    },
}
"""Molmo2 at a tenth of its width: small, and yet matrices outweigh everything else."""

FRAMES = (2, 8, 3, 5, 12, 1, 4, 6)
"""Frames of the clips, over and over."""

WORDS = ("red", "cube", "moves", "left", "then", "it", "stops", "there")


@dataclass(frozen=True, kw_only=True, slots=True)
class Padded:
    """Rows of single questions, one a turn of a batch.

    Args:
        inputs: What transformers' Molmo2 takes, by keyword.
        labels: (rows, tokens) int64, the next token where it is a target, else IGNORE_INDEX.
        weights: (rows, tokens) float32, of the targets.
    """

    inputs: dict[str, Tensor]
    labels: Tensor
    weights: Tensor


def padded_tensors(module: ZooModule, batch: Batch) -> Padded:
    """A batch of clips as transformers' Molmo2 would be given it; every question brings its clip's frames again.

    Args:
        module: That made the batch.
        batch: Examples with one clip each.
    Raises:
        ValueError: an example without frames.
    """
    if batch.frames.num_clips != len(batch):
        raise ValueError(f"{batch.frames.num_clips} clips in {len(batch)} examples; each must have one")
    vision = module.model.vision
    layout = TokenLayout.of_frames(batch.frames, vision.grid, batch.pixels.device)
    pooled, table = layout.pool()
    patches = patches_of_frames(vision.normalise(batch.pixels), vision.grid)
    clips = layout.clip_of_frame.tolist()
    rows = [[*range(*t.prefix), *range(*t.prompt), *range(*t.answer)] for t in batch.turns]
    longest = max(map(len, rows))
    index = torch.tensor([[*row, *[-1] * (longest - len(row))] for row in rows], device=batch.input_ids.device)
    real = index >= 0
    shown, tables, grids, before = [], [], [], 0
    for turn in batch.turns:
        first, count = clips.index(turn.example), clips.count(turn.example)
        own = table[pooled.clip_of_token == turn.example]
        tables.append(torch.where(own < 0, own, own + (before - first) * layout.patches_per_frame))
        shown.append(patches[first : first + count])
        window = batch.frames.window[first]
        grids.append([count, *(-(-side // step) for side, step in zip(vision.grid, window, strict=True))])
        before += count
    last = [row[-1] for row in rows]  # what would follow a row is another example's
    labels = batch.labels.clone()
    labels[last] = IGNORE_INDEX
    inputs = {
        "input_ids": batch.input_ids[index].masked_fill(~real, 0),
        "attention_mask": real.long(),
        "mm_token_type_ids": (batch.is_vision[index] & real).long(),
        "pixel_values_videos": torch.cat(shown),
        "video_token_pooling": torch.cat(tables),
        "video_grids": torch.tensor(grids, device=index.device),
    }
    return Padded(
        inputs=inputs,
        labels=labels[index].masked_fill(~real, IGNORE_INDEX),
        weights=batch.loss_weights[index] * real,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """Both sides of one measurement.

    Args:
        what: Name.
        ours: Seconds of each round.
        theirs: Seconds of each round.
    """

    what: str
    ours: Sequence[float]
    theirs: Sequence[float]

    @property
    def speedup(self) -> float:
        return min(self.theirs) / min(self.ours)


@dataclass(frozen=True, kw_only=True, slots=True)
class Molmo2Cost:
    """Result of `measure_molmo2`.

    Args:
        rows: One for each measurement.
        fill: Real tokens over all tokens of the padded rows.
        tokens: Packed.
        dtype: Of weights and numbers.
    """

    rows: tuple[Row, ...]
    fill: float
    tokens: int
    dtype: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        rows = [
            {"what": row.what, "speedup": row.speedup, "ours_s": min(row.ours), "transformers_s": min(row.theirs)}
            for row in self.rows
        ]
        return {
            "rows": rows,
            **{f"{row['what']}_speedup": row["speedup"] for row in rows},
            "padded_fill": self.fill,
            "tokens": self.tokens,
            "rounds": len(self.rows[0].ours),
            "dtype": self.dtype,
        }

    def as_text(self) -> str:
        """One line for each measurement."""
        lines = [
            f"{self.dtype}, {self.tokens} tokens packed, padded rows {self.fill:.2f} full; best of "
            f"{len(self.rows[0].ours)} rounds",
            f"{'':<16}{'ours s':>10}{'transformers s':>18}{'speedup':>10}",
        ]
        lines += [
            f"{row.what:<16}{min(row.ours):>10.3f}{min(row.theirs):>18.3f}{row.speedup:>10.2f}" for row in self.rows
        ]
        return "\n".join(lines)


def measure_molmo2(
    *,
    examples: int = 8,
    new_tokens: int = 48,
    rounds: int = 5,
    dtype: Literal["float32", "bfloat16"] = "float32",
    recipe: Spec = RECIPE,
) -> Molmo2Cost:
    """Time training on packed examples and on a single one, and decoding, here and in transformers.

    Args:
        examples: Clips of a batch, of different lengths, one question each.
        new_tokens: Decoded behind the longest of them.
        rounds: Of both sides, after one that is not counted.
        dtype: Of weights and numbers, on both sides.
        recipe: Of a module of Molmo2's shape.
    Raises:
        ConfigError: there is nothing to measure.
    """
    if min(examples, new_tokens, rounds) < 1:
        raise ConfigError(f"{examples} examples, {new_tokens} tokens, {rounds} rounds: one of each at least")
    from transformers import Molmo2ForConditionalGeneration

    numbers = getattr(torch, dtype)
    module = build_module(recipe)
    with tempfile.TemporaryDirectory() as folder:
        theirs = Molmo2ForConditionalGeneration.from_pretrained(save_released(module, Path(folder) / "out"))
    module, theirs = module.to(numbers).train(), theirs.to(numbers).train()
    batch = example_batch(module, FRAMES, examples)
    alone = example_batch(module, (max(FRAMES),), 1)
    padded = padded_tensors(module, batch)
    measured = {
        "packed": _training(module, theirs, batch),
        "single": _training(module, theirs, alone),
        "decode": _decoding(module, theirs, alone, new_tokens),
    }
    seconds: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in measured}
    for turn in tqdm(range(rounds + 1), desc="rounds", unit="round", leave=False, file=sys.stderr, disable=None):
        for name, sides in measured.items():
            for side, run in enumerate(sides):
                taken = run()
                if turn:  # the first round warms up
                    seconds[name][side].append(taken)
    real = padded.inputs["attention_mask"]
    return Molmo2Cost(
        rows=tuple(Row(what=name, ours=ours, theirs=others) for name, (ours, others) in seconds.items()),
        fill=float(real.sum()) / real.numel(),
        tokens=len(batch.input_ids),
        dtype=dtype,
    )


def example_batch(module: ZooModule, frames: Sequence[int], count: int) -> Batch:
    """Clips of random pixels with a question each, packed.

    Args:
        module: Makes the batch.
        frames: Frames of the clips, over and over.
        count: Clips.
    """
    generator = np.random.default_rng(0)
    height, width = module.processor.image_size
    examples = []
    for number in range(count):
        size = frames[number % len(frames)]
        words = [WORDS[i] for i in generator.integers(0, len(WORDS), 4 + 3 * size)]
        message = Message(head="qa", prompt=" ".join(words[: size + 2]), answer=" ".join(words[size + 2 :]), family="")
        shown = generator.integers(0, 256, (size, height, width, 3), dtype=np.uint8)
        times = np.arange(size) / 2
        examples.append(module.processor.example(key=f"clip{number}", frames=shown, times_s=times, messages=[message]))
    return module.processor.collate(examples)


def _timed(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def _training(
    module: ZooModule, theirs: "Molmo2ForConditionalGeneration", batch: Batch
) -> tuple[Callable[[], float], Callable[[], float]]:
    """Forward and backward of both sides over a batch."""
    padded = padded_tensors(module, batch)
    dtype = module.model.extra_embedding.weight.dtype
    pixels = padded.inputs["pixel_values_videos"].to(dtype)
    inputs = padded.inputs | {"pixel_values_videos": pixels}
    labels = padded.labels.roll(1, dims=1)  # transformers shifts them itself
    batch = replace(batch, pixels=module.model.vision.normalise(batch.pixels).to(dtype))

    def ours() -> None:
        module.zero_grad()
        outputs = module(batch)
        sum(head.loss(outputs, batch)["loss"] for head in module.heads.values()).backward()

    def others() -> None:
        theirs.zero_grad()
        theirs(**inputs, labels=labels, use_cache=False).loss.backward()

    return lambda: _timed(ours), lambda: _timed(others)


def _decoding(
    module: ZooModule, theirs: "Molmo2ForConditionalGeneration", batch: Batch, new_tokens: int
) -> tuple[Callable[[], float], Callable[[], float]]:
    """Greedy decoding of both sides behind the same prompt, whose own pass is not counted."""
    inputs = padded_tensors(module, batch).inputs
    inputs = inputs | {
        "pixel_values_videos": inputs["pixel_values_videos"].to(module.model.extra_embedding.weight.dtype)
    }

    @torch.no_grad()
    def ours() -> float:
        session = module.session(**inputs)

        def decode() -> None:
            for _ in range(new_tokens):
                session.append(session.logits.argmax(-1, keepdim=True))

        return _timed(decode)

    @torch.no_grad()
    def others() -> float:
        first = theirs(**inputs, use_cache=True, logits_to_keep=1)

        def decode() -> None:
            told = first
            for _ in range(new_tokens):
                token = told.logits[:, -1].argmax(-1, keepdim=True)
                told = theirs(
                    input_ids=token,
                    past_key_values=told.past_key_values,
                    mm_token_type_ids=torch.zeros_like(token),  # it wants them in training mode
                    use_cache=True,
                )

        return _timed(decode)

    return ours, others
