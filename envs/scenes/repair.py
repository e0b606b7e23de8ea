"""Take away from a scene what keeps it from passing the gates.

Source: sheet molmospaces section 12: the drifting object, the free or the smaller one of two that intersect, what is
stuck inside another, what blocks a joint.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zoo.envs.assets.library import AssetLibrary
from zoo.envs.scenes.compile import compile_scene
from zoo.envs.scenes.gate_limits import SHEET_LIMITS, GateLimits
from zoo.envs.scenes.gates import GateRun
from zoo.envs.scenes.inventory import Inventory
from zoo.envs.scenes.report import Finding, Gate, SceneReport
from zoo.envs.scenes.specification import Scene


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal:
    """An object that was taken away, by which gate, and why."""

    object: str
    gate: Gate
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Repair:
    """A scene from which nothing more is to be taken away.

    Args:
        scene: What is left.
        removed: What is not, in order.
        report: Of what is left; it may still fail where no object is to blame.
    """

    scene: Scene
    removed: tuple[Removal, ...]
    report: SceneReport


def repair(scene: Scene, libraries: Mapping[str, AssetLibrary], *, limits: GateLimits = SHEET_LIMITS) -> Repair:
    """Check, take away what the first failing gate blames, and begin again, until no gate blames an object.

    Args:
        scene: Is not changed.
        libraries: By the names that its placements use.
        limits: Thresholds of the gates.
    Raises:
        ZooError: the scene cannot be built, as `compile_scene` says.
    """
    removed: list[Removal] = []
    while True:
        run = GateRun(Inventory.of_scene(scene, compile_scene(scene, libraries)), limits)
        findings: list[Finding] = []
        gone: list[Removal] = []
        for _, found in run:
            findings += found
            gone = _blamed(found)
            if gone:
                break
        if not gone:
            return Repair(scene=scene, removed=tuple(removed), report=run.report(findings))
        scene, taken = without(scene, gone)
        removed += taken


def without(scene: Scene, removals: Sequence[Removal]) -> tuple[Scene, list[Removal]]:
    """A scene less some objects and everything that rests on them; and all that is gone."""
    gone = {removal.object: removal for removal in removals}
    for item in scene.objects:  # supports come first
        if item.name not in gone and item.support in gone:
            gone[item.name] = Removal(
                object=item.name, gate=gone[item.support].gate, reason=f"rested on {item.support!r}, which was removed"
            )
    left = tuple(item for item in scene.objects if item.name not in gone)
    return dataclasses.replace(scene, objects=left), [gone[item.name] for item in scene.objects if item.name in gone]


def _blamed(findings: Sequence[Finding]) -> list[Removal]:
    blamed: dict[str, Removal] = {}
    for finding in findings:
        for name in finding.culprits:
            what = finding.reason if name == finding.object else f"blocks {finding.joint!r}: {finding.reason}"
            blamed.setdefault(name, Removal(object=name, gate=finding.gate, reason=what))
    return list(blamed.values())
