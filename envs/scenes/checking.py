"""Check a scene as a whole: the four gates, and whether somebody can walk to every room; in words and as JSON.

Source: sheet molmospaces section 12 for the gates; the walk is ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy import ndimage

from zoo.envs.navigation.occupancy import OccupancyMap
from zoo.envs.scenes.gate_limits import SHEET_LIMITS
from zoo.envs.scenes.gates import check_inventory
from zoo.envs.scenes.repair import Removal, repair
from zoo.envs.scenes.report import GATES, Finding, SceneReport, pass_rates, pass_rates_json
from zoo.envs.scenes.sources import OpenedScene, SceneSources, SpecifiedScene
from zoo.envs.scenes.specification import Scene
from zoo.envs.spawned import spread
from zoo.errors import ConfigError, DataError
from zoo.executor import WorkerLostError

WALKER_RADIUS_M = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """Which rooms are connected for somebody who opens doors.

    Args:
        radius_m: Of whoever walks.
        reached: Rooms that are connected with one another.
        cut_off: The others.
    """

    radius_m: float
    reached: tuple[str, ...]
    cut_off: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneCheck:
    """What was found.

    Args:
        report: Of the gates.
        reach: Of the walk.
        removed: Objects that a repair took away before.
        repaired: What is left, after a repair.
        remarks: Of reading the scene.
    """

    report: SceneReport
    reach: Reach
    removed: tuple[Removal, ...] = ()
    repaired: Scene | None = None
    remarks: str = ""

    @property
    def passed(self) -> bool:
        return self.report.passed and not self.reach.cut_off

    def to_json(self) -> dict[str, Any]:
        return self.report.to_json() | {
            "passed": self.passed,
            "rooms": dataclasses.asdict(self.reach),
            "removed": [dataclasses.asdict(removal) for removal in self.removed],
            "remarks": self.remarks,
        }


def check_scene(opened: OpenedScene, *, mend: bool = False) -> SceneCheck:
    """Put a scene through the gates and walk through its rooms.

    Args:
        opened: The scene.
        mend: Take away first what the gates blame.
    Raises:
        ConfigError: a model without a description is to be mended.
        ZooError: it cannot be built.
    """
    if not mend:
        return _checked(opened)
    if not isinstance(opened, SpecifiedScene):
        raise ConfigError(f"scene {opened.name!r} is MJCF, which is not repaired here; expected scene.json or a house")
    mended = repair(opened.scene, opened.libraries)
    left = dataclasses.replace(opened, scene=mended.scene)
    model = left.compile()
    return SceneCheck(
        report=mended.report,
        reach=walk(left.plan(model, left.start(model))),
        removed=mended.removed,
        repaired=mended.scene,
        remarks=opened.remarks,
    )


def _checked(opened: OpenedScene) -> SceneCheck:
    model = opened.compile()
    return SceneCheck(
        report=check_inventory(opened.inventory(model)),
        reach=walk(opened.plan(model, opened.start(model))),
        remarks=opened.remarks,
    )


def check_scenes(names: Sequence[str], *, mend: bool = False, num_workers: int = 1) -> Iterator[SceneCheck]:
    """Open and check scenes; what is found does not depend on the number of workers.

    Args:
        names: Each of one scene, as `SceneSources.open` takes them.
        mend: As of `check_scene`.
        num_workers: Processes; 1 is this one.
    Yields:
        One check a scene, in the order of names.
    Raises:
        ConfigError: fewer than one worker.
        DataError: a worker process died; the scene that it was at is named.
        ZooError: as of opening and checking the first scene that cannot be.
    """
    if num_workers < 1:
        raise ConfigError(f"workers is {num_workers}, expected 1 or more")
    if min(num_workers, len(names)) < 2:
        sources = SceneSources()
        for name in names:
            yield check_scene(sources.open(name), mend=mend)
        return
    done: dict[int, Callable[[], SceneCheck]] = {}
    following = 0
    for number, result in spread(partial(_open_and_check, mend=mend), names, num_workers=num_workers):
        done[number] = result
        while following in done:
            yield _found(done.pop(following), names[following])
            following += 1


def _open_and_check(name: str, *, mend: bool) -> SceneCheck:
    return check_scene(SceneSources().open(name), mend=mend)  # anew each time, 0.05 s


def _found(result: Callable[[], SceneCheck], name: str) -> SceneCheck:
    try:
        return result()
    except WorkerLostError as error:
        raise DataError(
            f"the process that checked scene {name!r} ended without an answer (killed, or out of memory); look at that "
            f"one alone: zoo scene check {name}"
        ) from error


def walk(plan: OccupancyMap, *, radius_m: float = WALKER_RADIUS_M) -> Reach:
    """Rooms of the largest connected piece of floor, for somebody of a radius; a map without rooms has none."""
    pieces, _ = ndimage.label(~plan.dilated(radius_m).blocked)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0  # where nobody fits
    ids = set(np.unique(plan.rooms[pieces == sizes.argmax()]).tolist()) if sizes.any() else set()
    names = {number: name for number, name in plan.room_names.items() if (plan.rooms == number).any()}
    return Reach(
        radius_m=radius_m,
        reached=tuple(name for number, name in names.items() if number in ids),
        cut_off=tuple(name for number, name in names.items() if number not in ids),
    )


def summary(checks: Sequence[SceneCheck]) -> dict[str, Any]:
    """Plain JSON of several scenes: pass rates over all of them, thresholds, and every scene."""
    reached, cut_off = (sum(len(getattr(one.reach, part)) for one in checks) for part in ("reached", "cut_off"))
    return {
        "num_scenes": len(checks),
        "num_passed": sum(one.passed for one in checks),
        "pass_rates": pass_rates_json(pass_rates([one.report for one in checks])),
        "rooms": {"checked": reached + cut_off, "reached": reached},
        "limits": dataclasses.asdict(SHEET_LIMITS),
        "scenes": [one.to_json() for one in checks],
    }


def as_text(checks: Sequence[SceneCheck]) -> str:
    """For people: what failed in each scene, with what was measured, and pass rates over all of them."""
    told = summary(checks)
    lines = [line for one in checks for line in _scene_lines(one)]
    for gate in GATES:
        rate = told["pass_rates"][gate]
        share = "nothing to check" if rate["rate"] is None else f"{100 * rate['rate']:6.2f} %"
        lines.append(f"{gate:13s} {share}  {rate['passed']} of {rate['checked']}")
    rooms = told["rooms"]
    lines.append(f"{'rooms reached':13s} {rooms['reached']} of {rooms['checked']}")
    lines.append(f"{'scenes':13s} {told['num_passed']} of {told['num_scenes']} pass")
    return "\n".join(lines)


def _scene_lines(check: SceneCheck) -> list[str]:
    """Of one scene; none where there is nothing to say."""
    lines = [f"  note: {check.remarks}"] if check.remarks else []
    lines += [f"  removed {one.object} ({one.gate}): {one.reason}" for one in check.removed]
    lines += [f"  {_finding_text(finding)}" for finding in check.report.failures]
    lines += [f"  MuJoCo warns of {name}, {count} times" for name, count in check.report.warnings.items()]
    if check.reach.cut_off:
        lines.append(f"  rooms out of reach with radius {check.reach.radius_m:g} m: {', '.join(check.reach.cut_off)}")
    return [f"{check.report.scene}:", *lines] if lines else []


def _finding_text(finding: Finding) -> str:
    bound = "at most" if finding.gate in ("intersection", "stability") else "at least"
    unit = "m" if finding.unit == "m" else "of its range"
    measured = "-" if finding.measured is None else f"{finding.measured:.3g}"
    what = finding.object if finding.joint is None else f"{finding.object} {finding.joint}"
    return f"{finding.gate} {what}: {measured}, {bound} {finding.limit:g} {unit}; {finding.reason}"
