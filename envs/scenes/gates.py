"""Is a scene fit for use? Four gates in MuJoCo: nothing is inside another, all rests, all can be lifted, all opens.

Source: sheet molmospaces section 12, the table of quality gates. Where our reading departs from it is written in the
modules of the single gates: `intersections`, `stability`, `trials`. Lifts and openings begin where the stability gate
ends.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping

from zoo.envs.assets.library import AssetLibrary
from zoo.envs.scenes.compile import compile_scene
from zoo.envs.scenes.gate_limits import SHEET_LIMITS, GateLimits
from zoo.envs.scenes.intersections import intersection_findings
from zoo.envs.scenes.inventory import Inventory
from zoo.envs.scenes.report import Finding, Gate, SceneReport
from zoo.envs.scenes.specification import Scene
from zoo.envs.scenes.stability import Watch
from zoo.envs.scenes.trials import Trials


def check(scene: Scene, libraries: Mapping[str, AssetLibrary], *, limits: GateLimits = SHEET_LIMITS) -> SceneReport:
    """Put a scene through the four gates.

    Args:
        scene: Is compiled for this.
        libraries: By the names that its placements use.
        limits: Thresholds.
    Raises:
        ZooError: the scene cannot be built, as `compile_scene` says.
    """
    return check_inventory(Inventory.of_scene(scene, compile_scene(scene, libraries)), limits=limits)


def check_inventory(inventory: Inventory, *, limits: GateLimits = SHEET_LIMITS) -> SceneReport:
    """Put a model, of which one knows the objects, through the four gates."""
    run = GateRun(inventory, limits)
    return run.report([finding for _, findings in run for finding in findings])


class GateRun:
    """One walk of a scene through the gates, from which one may step off early.

    Iterating gives (gate, its findings) in the order of `GATES`.

    Args:
        inventory: The scene at its start.
        limits: Thresholds.
    """

    def __init__(self, inventory: Inventory, limits: GateLimits) -> None:
        self._inventory, self._limits = inventory, limits
        self._model = copy.copy(inventory.model)  # flags are changed
        self._warnings: dict[str, int] = {}
        self._untested: dict[str, str] = {}
        self._seconds: dict[str, float] = {}

    def __iter__(self) -> Iterator[tuple[Gate, list[Finding]]]:
        begin = time.perf_counter()
        yield self._timed(begin, "intersection", intersection_findings(self._inventory, self._limits.depth_m))
        begin = time.perf_counter()
        watch = Watch(self._inventory, self._model, self._limits)
        self._warnings = watch.run()
        yield self._timed(begin, "stability", watch.findings())
        if watch.is_broken:
            return  # there is no state to go on from
        begin = time.perf_counter()
        trials = Trials(self._inventory, self._model, watch.data, self._limits)
        lifts = trials.lifts()
        self._untested = trials.untested
        yield self._timed(begin, "lift", lifts)
        begin = time.perf_counter()
        yield self._timed(begin, "articulation", trials.openings())

    def report(self, findings: list[Finding]) -> SceneReport:
        """Everything known so far, with findings of this run."""
        return SceneReport(
            scene=self._inventory.name,
            findings=tuple(findings),
            warnings=self._warnings,
            untested=self._untested,
            seconds=self._seconds,
        )

    def _timed(self, begin: float, gate: Gate, findings: list[Finding]) -> tuple[Gate, list[Finding]]:
        self._seconds[gate] = time.perf_counter() - begin
        return gate, findings
