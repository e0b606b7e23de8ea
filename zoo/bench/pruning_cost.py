"""What pruners were measured to cost, beside the dense model: rows, JSON and a table."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any, Literal

DENSE = "none"
FORWARD, TRAIN = "forward", "train"
STAGES = ("vision", "connector", "language")
"""Parts of the trunk whose forward passes are timed apart; the rest are embeddings, splicing and logits."""

MEGABYTE = 1_000_000

Pass = Literal["forward", "train"]


@dataclass(kw_only=True)
class ArmCost:
    """What one arm took at one number of frames.

    Args:
        method: As it would be typed.
        remove: Share.
        frames: Of each clip.
        seconds: Of every round, by pass, and by stage of the forward pass.
        flops: By pass.
        peak_bytes: Most bytes of tensors at a time, by pass; weights included.
        tokens: Vision tokens that were left behind each cut, all clips together.
        windows: Vision tokens that entered the language model.
        sequence: Tokens that entered it, text included.
        bin_fill: Share of the slots that surviving patches take, frames in as few bins of a frame's size as first fit
            needs; None where nothing leaves within the vision encoder.
    """

    method: str
    remove: float
    frames: int
    seconds: dict[str, list[float]] = field(default_factory=dict)
    flops: dict[str, int] = field(default_factory=dict)
    peak_bytes: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    windows: int = 0
    sequence: int = 0
    bin_fill: float | None = None

    def add(self, name: str, seconds: float) -> None:
        self.seconds.setdefault(name, []).append(seconds)

    @property
    def memory_of(self) -> Pass:
        """The pass whose memory counts: training where it was measured."""
        return TRAIN if TRAIN in self.peak_bytes else FORWARD

    @property
    def peak_memory_mb(self) -> float:
        return self.peak_bytes[self.memory_of] / MEGABYTE

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON; of seconds the quickest round."""
        return {
            "method": self.method,
            "remove": self.remove,
            "frames": self.frames,
            **{f"{name}_s": min(taken) for name, taken in self.seconds.items()},
            **{f"{name}_flops": count for name, count in self.flops.items()},
            "peak_memory_mb": self.peak_memory_mb,
            "memory_of": self.memory_of,
            "tokens": self.tokens,
            "windows": self.windows,
            "sequence": self.sequence,
            "bin_fill": self.bin_fill,
        }


@dataclass(frozen=True, kw_only=True)
class Row:
    """A method beside the dense model.

    Args:
        own: What it took.
        dense: What the dense model took in the same rounds.
    """

    own: ArmCost
    dense: ArmCost

    def speedup(self, name: str) -> float | None:
        """Median over rounds, of a pass or a stage; None where it was not measured."""
        if name not in self.own.seconds:
            return None
        pairs = zip(self.dense.seconds[name], self.own.seconds[name], strict=True)
        return statistics.median(dense / own for dense, own in pairs)

    def best(self, name: str) -> float | None:
        """The same of each side's quickest round."""
        return min(self.dense.seconds[name]) / min(self.own.seconds[name]) if name in self.own.seconds else None

    def bound(self, name: Pass) -> float | None:
        """How many times more operations the dense model executed."""
        return self.dense.flops[name] / self.own.flops[name] if name in self.own.flops else None

    def share_of_bound(self, name: Pass) -> float | None:
        speedup, bound = self.speedup(name), self.bound(name)
        return None if speedup is None or bound is None else speedup / bound

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        names = (FORWARD, TRAIN)
        return {
            **self.own.as_dict(),
            **{f"{name}_speedup": self.speedup(name) for name in (*names, *STAGES)},
            **{f"{name}_speedup_best": self.best(name) for name in names},
            "flops_speedup": self.bound(FORWARD),
            "train_flops_speedup": self.bound(TRAIN),
            **{f"{name}_share_of_bound": self.share_of_bound(name) for name in names},
            "peak_memory_ratio": self.dense.peak_memory_mb / self.own.peak_memory_mb,
            "windows_kept": self.own.windows / self.dense.windows,
        }


@dataclass(frozen=True, kw_only=True)
class PruningCost:
    """Result of `measure_pruning`.

    Args:
        rows: One for each method, share and number of frames.
        dense: The dense model, for each number of frames.
        setting: What was measured where.
    """

    rows: tuple[Row, ...]
    dense: tuple[ArmCost, ...]
    setting: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "rows": [row.as_dict() for row in self.rows],
            "dense": [cost.as_dict() for cost in self.dense],
            **self.setting,
        }

    def as_text(self) -> str:
        """One line for each row; shares are of the speed-up that counted operations would allow."""
        setting, rows = self.setting, [row.as_dict() for row in self.rows]
        widest = max(len(row["method"]) for row in rows)
        lines = [
            f"{setting['device']}, {setting['dtype']}, {setting['threads']} threads, {setting['rounds']} rounds, "
            f"{setting['clips']} clips; times faster than {DENSE}, median of rounds",
            f"{'method':<{widest}}" + "".join(f"{title:>{width}}" for title, width, _ in COLUMNS),
        ]
        lines += [
            f"{row['method']:<{widest}}" + "".join(_cell(row[key], width) for _, width, key in COLUMNS) for row in rows
        ]
        for cost in self.dense:
            taken = ", ".join(f"{name} {min(seconds):.2f} s" for name, seconds in cost.seconds.items())
            lines.append(f"{DENSE} at {cost.frames} frames, {cost.sequence} tokens: {taken}")
        return "\n".join(lines)


COLUMNS = (
    ("remove", 8, "remove"),
    ("frames", 8, "frames"),
    ("forward", 9, "forward_speedup"),
    ("bound", 7, "flops_speedup"),
    ("share", 7, "forward_share_of_bound"),
    ("vision", 8, "vision_speedup"),
    ("language", 10, "language_speedup"),
    ("train", 7, "train_speedup"),
    ("bound", 7, "train_flops_speedup"),
    ("share", 7, "train_share_of_bound"),
    ("memory", 8, "peak_memory_ratio"),
    ("windows", 9, "windows"),
    ("fill", 6, "bin_fill"),
)
"""Of the table: title, width, key of a row; `memory` is how many times more bytes the dense model held."""


def _cell(value: Any, width: int) -> str:
    if isinstance(value, float):
        return f"{value:>{width}.2f}"
    return f"{'-' if value is None else value:>{width}}"
