"""The stability gate: does a scene that is left alone stay as it is?

Source: sheet molmospaces section 12: settle 1 s, watch 3 s; drift, drift of joints, accumulated jitter.
What has come to rest by the end of the settling sleeps while it is watched: slower than STILL_SPEED it would come
0.03 mm far, and a step costs a fraction. While a scene settles nothing sleeps: what stands badly begins to fall then.
"""

from __future__ import annotations

import numpy as np

from zoo.envs.scenes.gate_limits import SAMPLE_STEPS, GateLimits, allow_sleep, looks
from zoo.envs.scenes.inventory import NOBODY, Inventory
from zoo.envs.scenes.report import Finding
from zoo.envs.simulator import mujoco

FATAL = ("mjWARN_BADQPOS", "mjWARN_BADQVEL", "mjWARN_BADQACC")


class Watch:
    """The stability gate: positions of free objects and joints while a scene is left alone."""

    def __init__(self, inventory: Inventory, model: mujoco.MjModel, limits: GateLimits) -> None:
        self._inventory, self._model, self._limits = inventory, model, limits
        self.data = mujoco.MjData(model)
        mujoco.mj_copyData(self.data, model, inventory.start)
        self._free = [number for number, item in enumerate(inventory.items) if item.is_free]
        roots = [inventory.items[number].body for number in self._free]
        self._free_qpos = model.jnt_qposadr[model.body_jntadr[roots]][:, None] + np.arange(3)  # (free, 3)
        self._joints = [(number, joint) for number, item in enumerate(inventory.items) for joint in item.joints]
        self._joint_qpos = model.jnt_qposadr[[joint for _, joint in self._joints]].astype(int)
        self._broken: dict[int, str] = {}
        self.is_broken = False

    def run(self) -> dict[str, int]:
        """Simulate; returns MuJoCo's warnings with how often."""
        ranges = np.ptp(self._model.jnt_range[[joint for _, joint in self._joints]].reshape(-1, 2), axis=1)
        places = self._places()
        self._settling = np.zeros(len(self._free))
        if self._steps(self._limits.settle_s):
            settled, angles = self._places(), self.data.qpos[self._joint_qpos].copy()
            self._settling = np.linalg.norm(settled - places, axis=1)
        else:
            settled, angles = places, self.data.qpos[self._joint_qpos].copy()
        self.drift, self.way = np.zeros(len(self._free)), np.zeros(len(self._free))
        self.joint_drift = np.zeros(len(self._joints))
        before = settled
        allow_sleep(self._model)
        for _ in range(looks(self._model, self._limits.watch_s)):
            if self.is_broken or not self._steps(self._model.opt.timestep * SAMPLE_STEPS):
                break
            now = self._places()
            self.drift = np.maximum(self.drift, np.linalg.norm(now - settled, axis=1))
            self.way += np.linalg.norm(now - before, axis=1)
            before = now
            turned = np.abs(self.data.qpos[self._joint_qpos] - angles) / ranges
            self.joint_drift = np.maximum(self.joint_drift, turned)
        return _warnings(self.data)

    def findings(self) -> list[Finding]:
        """One per object or door that can move: the measure that is worst against its limit."""
        limits = self._limits
        measures: dict[int, list[tuple[float, float, str, str]]] = {}  # by item: measured, limit, unit, what
        for place, number in enumerate(self._free):
            settling = f"(and {self._settling[place]:.3f} m while settling)"
            measures.setdefault(number, []).extend(
                [
                    (float(self.drift[place]), limits.drift_m, "m", f"drifted {self.drift[place]:.3f} m {settling}"),
                    (float(self.way[place]), limits.jitter_m, "m", f"jittered along {self.way[place]:.3f} m"),
                ]
            )
        for (number, joint), drift in zip(self._joints, self.joint_drift, strict=True):
            what = f"{self._inventory.joint_name(joint)!r} drifted by {drift:.0%} of its range"
            measures.setdefault(number, []).append((float(drift), limits.joint_drift_share, "of range", what))
        return [self._finding(number, measures[number]) for number in sorted(measures)]

    def _finding(self, number: int, measures: list[tuple[float, float, str, str]]) -> Finding:
        item = self._inventory.items[number]
        measured, limit, unit, reason = max(measures, key=lambda entry: entry[0] / entry[1])
        is_broken = number in self._broken
        passed = measured <= limit and not is_broken
        return Finding(
            gate="stability",
            object=item.name,
            passed=passed,
            measured=None if is_broken else measured,
            limit=limit,
            unit=unit,
            reason=f"the simulation broke here ({self._broken[number]})" if is_broken else reason,
            culprits=() if passed or item.is_door else (item.name,),
        )

    def _places(self) -> np.ndarray:
        return self.data.qpos[self._free_qpos].copy()

    def _steps(self, seconds: float) -> bool:
        """Simulate for a time; False, with the objects to blame, once MuJoCo had to give up."""
        for _ in range(looks(self._model, seconds)):
            mujoco.mj_step(self._model, self.data, SAMPLE_STEPS)
            for name in FATAL:
                warning = self.data.warning[getattr(mujoco.mjtWarning, name).value]
                if warning.number:
                    self.is_broken = True
                    self._blame(name, int(warning.lastinfo))
            if self.is_broken:
                return False
        return True

    def _blame(self, warning: str, address: int) -> None:
        """Find the item by the number of the position or of the degree of freedom that MuJoCo complains about."""
        model = self._model
        starts = model.jnt_qposadr if warning == "mjWARN_BADQPOS" else model.jnt_dofadr
        joint = int(np.searchsorted(starts, address, side="right")) - 1
        owner = int(self._inventory.owner[model.jnt_bodyid[joint]])
        if owner != NOBODY:
            self._broken[owner] = warning.removeprefix("mjWARN_").lower()


def _warnings(data: mujoco.MjData) -> dict[str, int]:
    return {
        name.removeprefix("mjWARN_").lower(): int(data.warning[kind.value].number)
        for name, kind in mujoco.mjtWarning.__members__.items()
        if kind.value < len(data.warning) and data.warning[kind.value].number
    }
