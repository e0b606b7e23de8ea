"""Thresholds of the gates that a scene has to pass, and the rhythm in which they look at a simulation.

Source: sheet molmospaces section 12, the table of quality gates; section 21 for the share of a joint's range, where the
paper has 70 % and the released code 66.7 %.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError

SAMPLE_STEPS = 5  # between two looks at a simulation
STILL_SPEED = 1e-5  # m/s; what is slower for ten steps may sleep


@dataclass(frozen=True, kw_only=True, slots=True)
class GateLimits:
    """What the gates do and how much they let pass.

    Args:
        settle_s: Simulated before anything is watched.
        watch_s: Simulated while it is watched.
        drift_m: Largest distance from where it was after settling.
        joint_drift_share: The same for a joint, as a share of its range.
        jitter_m: Longest way that it may move to and fro while watched.
        depth_m: Largest depth of a contact at the start.
        lift_s: Longest time for a lift.
        lift_m: Distance that it must move.
        lift_acceleration: m/s2 upward beyond gravity.
        lift_extra_n: N added to the force.
        lift_force_n: Smallest and largest force, N.
        push_s: Longest time for an opening.
        push: N on a slide, N m on a hinge.
        covered_share: Share of a joint's range that it must cover.
    Raises:
        ConfigError: one is not more than 0.
    """

    settle_s: float = 1.0
    watch_s: float = 3.0
    drift_m: float = 0.05
    joint_drift_share: float = 0.1
    jitter_m: float = 0.1
    depth_m: float = 0.01
    lift_s: float = 1.0
    lift_m: float = 0.05
    lift_acceleration: float = 0.3
    lift_extra_n: float = 0.5
    lift_force_n: tuple[float, float] = (0.1, 30.0)
    push_s: float = 2.0
    push: float = 20.0
    covered_share: float = 0.667

    def __post_init__(self) -> None:
        values = {part.name: getattr(self, part.name) for part in fields(self)}
        wrong = [f"{name} {value}" for name, value in values.items() if np.min(value) <= 0]
        if wrong:
            raise ConfigError(f"gate limits must be more than 0, got {', '.join(wrong)}")

    def lift_force(self, mass_kg: float, gravity: float) -> float:
        """N upward on a mass, with gravity in m/s2."""
        wanted = mass_kg * (gravity + self.lift_acceleration) + self.lift_extra_n
        return float(np.clip(wanted, *self.lift_force_n))


SHEET_LIMITS = GateLimits()


def looks(model: mujoco.MjModel, seconds: float) -> int:
    """How many times SAMPLE_STEPS steps make a time."""
    return max(1, round(seconds / (model.opt.timestep * SAMPLE_STEPS)))


def allow_sleep(model: mujoco.MjModel) -> None:
    """From now on MuJoCo leaves out of a step what lies still; it wakes what is touched or pushed."""
    model.opt.sleep_tolerance = STILL_SPEED
    model.opt.enableflags |= mujoco.mjtEnableBit.mjENBL_SLEEP.value
