"""What steps of a policy were measured to cost: seconds, ratios, JSON and a table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from zoo.bench.meters import synchronised

PICTURES = 2
"""Encoded together: what the two cameras of one robot see."""
LIMIT = 1.1
"""Of what a late step may cost, as a multiple of an early one."""
FIRST, LAST = 10, 1000
"""The two steps that the limit is about."""


@dataclass(kw_only=True)
class StepCost:
    """Seconds of one kind of step, a number a turn.

    Args:
        wall: By the clock.
        cpu: Of this process, all threads together.
    """

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, run: Callable[[], Any], device: torch.device) -> None:
        """Run once, and count."""
        begin, cpu_begin = synchronised(device), time.process_time()
        run()
        self.wall.append(synchronised(device) - begin)
        self.cpu.append(time.process_time() - cpu_begin)

    @property
    def ms(self) -> float | None:
        """Quickest turn; None where there was none."""
        return 1e3 * min(self.wall) if self.wall else None

    def ratio(self, other: StepCost) -> float:
        """How many times as long as another, by the clock, of the quickest turns: other programs only slow down."""
        return min(self.wall) / min(other.wall)

    def ratio_cpu(self, other: StepCost) -> float:
        """The same by seconds of this process: the median over turns of the quotient within a turn."""
        return statistics.median(own / others for own, others in zip(self.cpu, other.cpu, strict=True))


@dataclass(frozen=True, kw_only=True)
class EncoderCost:
    """The encoders in front of some trunks.

    Args:
        vision: Registry name.
        text: Registry name.
        pictures: Seconds of `PICTURES`.
        instruction: Seconds of one.
    """

    vision: str
    text: str
    pictures: StepCost = field(default_factory=StepCost)
    instruction: StepCost = field(default_factory=StepCost)

    @property
    def picture_ms(self) -> float:
        """Of one picture."""
        return self.pictures.ms / PICTURES


@dataclass(frozen=True, kw_only=True)
class TrunkCost:
    """A trunk that acts for so many episodes at once.

    Args:
        trunk: Registry name.
        rows: Episodes.
        pictures: Of a step, all episodes together.
        encoders: Those whose channels the trunk reads; None where no pair is listed.
        cached: By number of the step.
        recomputed: By number of the step.
    """

    trunk: str
    rows: int
    pictures: int
    encoders: EncoderCost | None
    cached: Mapping[int, StepCost]
    recomputed: Mapping[int, StepCost]

    @property
    def first(self) -> int:
        """The earliest step, to which ratios are."""
        return min(self.cached)

    @property
    def vision_ms(self) -> float | None:
        """Of the pictures of a step."""
        return None if self.encoders is None else self.encoders.picture_ms * self.pictures

    def policy_ratio(self, step: int) -> float | None:
        """A step over the first, pictures included in both; None where no encoders are listed."""
        encoding, first = self.vision_ms, self.cached[self.first]
        return (
            None if encoding is None else (encoding + self.cached[step].ratio(first) * first.ms) / (encoding + first.ms)
        )

    @property
    def holds(self) -> bool | None:
        """Whether step 1,000 of the policy costs at most `LIMIT` times step 10; None where these two were not timed.

        Of a trunk without listed encoders it is the trunk's.
        """
        if not {FIRST, LAST} <= self.cached.keys() or self.first != FIRST:
            return None
        ratio = self.policy_ratio(LAST)
        return (self.cached[LAST].ratio(self.cached[FIRST]) if ratio is None else ratio) <= LIMIT

    def as_rows(self) -> list[dict[str, Any]]:
        """Plain JSON, an object a step."""
        first, encoding = self.cached[self.first], self.vision_ms
        rows = []
        for step, cached in self.cached.items():
            again = self.recomputed[step].ms
            rows.append(
                {
                    "trunk": self.trunk,
                    "rows": self.rows,
                    "step": step,
                    "cached_ms": cached.ms,
                    "cached_cpu_ms": 1e3 * min(cached.cpu),
                    "ratio": cached.ratio(first),
                    "ratio_cpu": cached.ratio_cpu(first),
                    "recomputed_ms": again,
                    "speedup": None if again is None else again / cached.ms,
                    "vision_ms": encoding,
                    "vision_share": None if encoding is None else encoding / (encoding + cached.ms),
                    "policy_ratio": self.policy_ratio(step),
                    "holds": self.holds if step == LAST else None,
                }
            )
        return rows


@dataclass(frozen=True, kw_only=True)
class PolicyCost:
    """Result of `measure_policy`.

    Args:
        trunks: One for each trunk and number of episodes.
        encoders: In front of them.
        setting: What was measured where.
    """

    trunks: tuple[TrunkCost, ...]
    encoders: tuple[EncoderCost, ...]
    setting: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        encoders = [
            {"vision": one.vision, "text": one.text, "picture_ms": one.picture_ms, "instruction_ms": one.instruction.ms}
            for one in self.encoders
        ]
        rows = [row for cost in self.trunks for row in cost.as_rows()]
        return {"rows": rows, "encoders": encoders, "limit": LIMIT, **self.setting}

    def as_text(self) -> str:
        """One line for each trunk, number of episodes and step."""
        told = self.as_dict()
        widest = max(len(row["trunk"]) for row in told["rows"])
        lines = [
            f"{told['device']}, {told['dtype']}, {told['threads']} threads; ms of the quickest of {told['rounds']} "
            f"rounds; ratios to step {self.trunks[0].first}",
            f"{'trunk':<{widest}}" + "".join(f"{title:>{width}}" for title, width, _, _ in COLUMNS),
        ]
        lines += [
            f"{row['trunk']:<{widest}}"
            + "".join(_cell(row[key], width, form) for _, width, key, form in COLUMNS)
            + ("" if row["holds"] is None else f"  {'within' if row['holds'] else 'ABOVE'} {LIMIT}")
            for row in told["rows"]
        ]
        lines += [
            f"{one['vision']}: {one['picture_ms']:.2f} ms a picture; {one['text']}: {one['instruction_ms']:.2f} ms an "
            "episode"
            for one in told["encoders"]
        ]
        return "\n".join(lines)


COLUMNS = (
    ("rows", 6, "rows", "d"),
    ("step", 6, "step", "d"),
    ("cached", 10, "cached_ms", ".2f"),
    ("ratio", 7, "ratio", ".3f"),
    ("CPU", 7, "ratio_cpu", ".3f"),
    ("recomputed", 12, "recomputed_ms", ".1f"),
    ("speedup", 9, "speedup", ".1f"),
    ("vision", 8, "vision_share", ".0%"),
    ("policy", 8, "policy_ratio", ".3f"),
)
"""Of the table: title, width, key of a row, form. `CPU` is the ratio by seconds of this
process, `vision` the share of
the pictures in a policy's step, `policy` the ratio with pictures."""


def _cell(value: Any, width: int, form: str) -> str:
    return f"{'-' if value is None else format(value, form):>{width}}"
