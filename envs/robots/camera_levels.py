"""How far a camera sweep of an evaluation moves the cameras of an episode, by level from 0 to 100.

Source: sheet of MolmoSpaces section 10, last item: values are piecewise linear between levels 0, 10, 40, 75 and 100.
Differs: the sheet gives azimuths of 0, 45, 90 and 180 degrees without saying at which of the five levels; here they are
0 up to level 10, then 45, 90 and 180. It gives only the ends of the other ranges; here distance and field of view
reach a share of them that grows with the level, and wrist noise is full from level 10 on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from zoo.envs.robots.cameras import CameraNoise, PlacedCamera, axes_of, looking_at
from zoo.errors import ConfigError

LEVELS = (0.0, 10.0, 40.0, 75.0, 100.0)
AZIMUTH_DEG = (0.0, 0.0, 45.0, 90.0, 180.0)
NEARER_M = (0.0, 0.05, 0.2, 0.35, 0.5)
FARTHER_M = (0.0, 0.05, 0.5, 1.0, 1.5)
NARROWER_DEG = WIDER_DEG = (0.0, 1.0, 3.0, 5.0, 7.0)  # 71 becomes 64 to 78
WRIST_SHARE = (0.0, 1.0, 1.0, 1.0, 1.0)
WRIST_NOISE = CameraNoise(position_m=(0.015, 0.005, 0.01), roll_deg=8, pitch_deg=4, yaw_deg=4, fovy_deg=4)
MIN_DISTANCE_M = 0.15  # from the centre, level


def perturb(
    cameras: Sequence[PlacedCamera],
    level: float,
    rng: np.random.Generator,
    *,
    centre_m: ArrayLike,
    moving: Sequence[str],
) -> tuple[PlacedCamera, ...]:
    """Cameras of an episode at a level of the sweep; level 0 leaves them as they are.

    Args:
        cameras: As the episode has them.
        level: 0 to 100.
        rng: Derived from the episode, so that runs repeat.
        centre_m: What the cameras that stand still look at, in the frame that their places are in.
        moving: Names of those that move with a hand: they get the noise of the wrist, the others go around the centre.
    Raises:
        ConfigError: the level is out of range, or a name is no camera's.
    """
    if not 0 <= level <= LEVELS[-1]:
        raise ConfigError(f"camera level is {level:g}, expected 0 to {LEVELS[-1]:g}")
    unknown = [name for name in moving if name not in {camera.name for camera in cameras}]
    if unknown:
        known = ", ".join(camera.name for camera in cameras)
        raise ConfigError(f"no camera {', '.join(unknown)}; the episode has {known}")
    if level == 0:
        return tuple(cameras)
    return tuple(
        _wrist_noise(level).apply(camera, rng) if camera.name in moving else _around(camera, level, rng, centre_m)
        for camera in cameras
    )


def _at(level: float, values: Sequence[float]) -> float:
    return float(np.interp(level, LEVELS, values))


def _wrist_noise(level: float) -> CameraNoise:
    share = _at(level, WRIST_SHARE)
    x, y, z = WRIST_NOISE.position_m
    return replace(
        WRIST_NOISE,
        position_m=(x * share, y * share, z * share),
        roll_deg=WRIST_NOISE.roll_deg * share,
        pitch_deg=WRIST_NOISE.pitch_deg * share,
        yaw_deg=WRIST_NOISE.yaw_deg * share,
        fovy_deg=WRIST_NOISE.fovy_deg * share,
    )


def _around(camera: PlacedCamera, level: float, rng: np.random.Generator, centre_m: ArrayLike) -> PlacedCamera:
    """The camera turned around the centre, nearer or farther, looking at the same point of its line of sight."""
    centre = np.asarray(centre_m, np.float64)
    offset = np.array(camera.position_m) - centre
    forward, _ = axes_of(camera.quat_wxyz)
    focus = np.array(camera.position_m) + forward * max(float(-offset @ forward), MIN_DISTANCE_M)
    turn = math.radians(rng.uniform(-1, 1) * _at(level, AZIMUTH_DEG))
    change = rng.uniform(-_at(level, NEARER_M), _at(level, FARTHER_M))
    fovy = camera.fovy_deg + rng.uniform(-_at(level, NARROWER_DEG), _at(level, WIDER_DEG))
    level_distance = float(np.hypot(*offset[:2]))
    scale = max(level_distance + change, MIN_DISTANCE_M) / max(level_distance, 1e-9)
    x, y = offset[:2] * scale
    turned = np.array([x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn), offset[2]])
    return looking_at(camera.name, centre + turned, focus, fovy_deg=fovy, body=camera.body)
