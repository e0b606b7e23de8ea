"""What the gates found in a scene: one line per object or joint that was looked at, as plain JSON, and pass rates."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Gate = Literal["intersection", "stability", "lift", "articulation"]
GATES: tuple[Gate, ...] = get_args(Gate)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one gate says of one object or joint.

    Args:
        gate: Which one.
        object: Name of the object, or of a door's opening.
        joint: Of the model, where the gate looks at joints.
        passed: Within the limit.
        measured: The number that was compared; None where the simulation broke.
        limit: What it was compared with.
        unit: Of both: `m`, or `of range`.
        reason: What happened, in words.
        culprits: Objects to take away so that the gate passes.
    """

    gate: Gate
    object: str
    passed: bool
    measured: float | None
    limit: float
    unit: Literal["m", "of range"]
    reason: str
    joint: str | None = None
    culprits: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PassRate:
    """How many of those that a gate looked at passed; `rate` is None where there was none."""

    checked: int
    passed: int

    @property
    def rate(self) -> float | None:
        return self.passed / self.checked if self.checked else None


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneReport:
    """All that the gates say of a scene.

    Args:
        scene: Its name.
        findings: In the order of gates, and of objects within a gate.
        warnings: MuJoCo's warnings while it was simulated, by name, with how often.
        untested: Objects that a gate cannot judge, with the reason.
        seconds: Wall time by gate.
    """

    scene: str
    findings: tuple[Finding, ...]
    warnings: Mapping[str, int] = field(default_factory=dict)
    untested: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return not self.failures and not self.warnings

    @property
    def failures(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if not finding.passed)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `seconds` is left out, so that equal scenes have equal reports."""
        return {
            "scene": self.scene,
            "passed": self.passed,
            "pass_rates": pass_rates_json(pass_rates([self])),
            "warnings": dict(self.warnings),
            "untested": dict(self.untested),
            "findings": [{**dataclasses.asdict(item), "culprits": list(item.culprits)} for item in self.findings],
        }


def pass_rates(reports: Iterable[SceneReport]) -> dict[Gate, PassRate]:
    """Over all objects and joints of all scenes, by gate."""
    findings = [finding for report in reports for finding in report.findings]
    return {
        gate: PassRate(
            checked=sum(finding.gate == gate for finding in findings),
            passed=sum(finding.gate == gate and finding.passed for finding in findings),
        )
        for gate in GATES
    }


def pass_rates_json(rates: Mapping[Gate, PassRate]) -> dict[str, Any]:
    """Plain JSON values of pass rates."""
    return {gate: {"checked": rate.checked, "passed": rate.passed, "rate": rate.rate} for gate, rate in rates.items()}
