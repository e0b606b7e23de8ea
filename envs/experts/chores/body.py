"""The outline of a robot on wheels, and the floor as it is free for it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from zoo.envs.kinematics.poses import Array, planar_pose7
from zoo.envs.navigation.occupancy import OccupancyMap, build_map
from zoo.envs.navigation.paths import RouteCost, Router
from zoo.envs.robots.robot import Robot
from zoo.envs.scenes.physics import collides
from zoo.envs.scenes.specification import Scene
from zoo.envs.simulator import mujoco
from zoo.navigation_actions import SpocAction

PREFIX = "body/"
PX_PER_M = 40
ROUTE_FACTOR = 2  # routes are searched on cells of 5 cm
EDGE_SPACING_M, INNER_SPACING_M = 0.024, 0.06  # of points along the outline, less than a cell of the map, and within
MARGIN_M = 0.01  # around the outline: cells are blocked where anything touches them, so little is needed
LOW_M = 0.02  # what ends below is driven over: rugs
CLOSE_M = 0.05  # of radii that are not worth trying one after the other
COST = RouteCost(exponent=2.0, clip_m=0.4, easy_m=0.3)
"""Clearance is worth a detour up to 0.4 m from obstacles; more of it does not make a way better, only longer."""


@dataclass(frozen=True)
class Body:
    """A robot's outline on the floor with its arm folded, in the frame of its base, about which it turns.

    Args:
        low_m: (2,) back and right ends.
        high_m: (2,) front and left ends.
        height_m: Of its top.
    """

    low_m: tuple[float, float]
    high_m: tuple[float, float]
    height_m: float

    @classmethod
    def of(cls, robot: Robot) -> Body:
        """Measure a robot, built alone."""
        spec = mujoco.MjSpec()
        robot.add_to(spec, prefix=PREFIX, base_pose7=planar_pose7(0.0, 0.0, 0.0))
        model = spec.compile()
        data = mujoco.MjData(model)
        view = robot.bind(model, data, prefix=PREFIX)
        view.set_qpos(view.start_qpos())
        mujoco.mj_kinematics(model, data)
        geoms = view.geom_ids[collides(model)[view.geom_ids]]
        signs = np.array(list(itertools.product((-1, 1), repeat=3)))
        local = model.geom_aabb[geoms, None, :3] + signs * model.geom_aabb[geoms, None, 3:]
        rotations = data.geom_xmat[geoms].reshape(-1, 3, 3)
        corners = data.geom_xpos[geoms, None] + np.einsum("gij,gpj->gpi", rotations, local)
        low, high = corners.min((0, 1)), corners.max((0, 1))
        return cls((float(low[0]), float(low[1])), (float(high[0]), float(high[1])), float(high[2]))

    @property
    def outer_radius_m(self) -> float:
        """Of the circle that it sweeps when it turns."""
        return math.hypot(max(-self.low_m[0], self.high_m[0]), max(-self.low_m[1], self.high_m[1]))

    @property
    def radii_m(self) -> tuple[float, ...]:
        """To plan with, from the circle that it sweeps to the narrowest that it drives straight through.

        With the smaller ones it may have to find out how to turn.
        """
        side = max(-self.low_m[1], self.high_m[1])
        half = (self.high_m[1] - self.low_m[1]) / 2
        found = [self.outer_radius_m + MARGIN_M]
        for radius in ((self.outer_radius_m + side) / 2, side, (side + half) / 2, half):
            if radius < found[-1] - CLOSE_M:
                found.append(radius)
        return tuple(found)

    @cached_property
    def points_m(self) -> Array:
        """(points, 2) along the outline, and fewer within: what is there has come past the outline."""
        fine, coarse = (self._points(spacing) for spacing in (EDGE_SPACING_M, INNER_SPACING_M))
        is_edge = ((fine == fine.min(axis=0)) | (fine == fine.max(axis=0))).any(axis=1)
        return np.concatenate([fine[is_edge], coarse])

    def _points(self, spacing_m: float) -> Array:
        """(points, 2) all over the rectangle with its margin, at most so far apart."""
        axes = [
            np.linspace(low - MARGIN_M, high + MARGIN_M, math.ceil((high - low + 2 * MARGIN_M) / spacing_m) + 1)
            for low, high in zip(self.low_m, self.high_m, strict=True)
        ]
        return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)


class Floor:
    """Where a body may be, and where its moves lead.

    Args:
        occupancy: What stands in its way.
        body: Whose.
    """

    def __init__(self, occupancy: OccupancyMap, body: Body) -> None:
        self.occupancy, self.body = occupancy, body

    @cached_property
    def router(self) -> Router:
        """Ways for the middle of the body, by the radii that it may be taken for."""
        return Router(occupancy=self.occupancy, radii_m=self.body.radii_m, factor=ROUTE_FACTOR, cost=COST)

    def is_free(self, poses: Array) -> Array:
        """(...) bool for (..., 3) x, y, yaw."""
        cos, sin = np.cos(poses[..., 2, None]), np.sin(poses[..., 2, None])
        x, y = self.body.points_m.T
        places = [poses[..., 0, None] + cos * x - sin * y, poses[..., 1, None] + sin * x + cos * y]
        return self.occupancy.is_free(np.stack(places, axis=-1)).all(axis=-1)

    def leads_free(self, pose: Array, action: SpocAction) -> bool:
        """Whether an action of the base, from a pose, keeps the body free all the way."""
        return bool(self.is_free(positions_along(pose, action)).all())


def positions_along(pose: Array, action: SpocAction) -> Array:
    """(3, 3) poses after each third of an action of the base."""
    effect, (x, y, yaw) = action.effect, pose
    share = np.arange(1, 4) / 3
    ahead, turned = effect.forward_m * share, math.radians(effect.turn_deg) * share
    return np.stack([x + ahead * math.cos(yaw), y + ahead * math.sin(yaw), yaw + turned], axis=-1)


def floor_map(
    model: mujoco.MjModel, data: mujoco.MjData, scene: Scene, *, height_m: float, skip_bodies: tuple[str, ...]
) -> OccupancyMap:
    """What stands in the way of bodies of a height, doors as they stand.

    Args:
        model: Of the scene.
        data: Its state.
        scene: Has the rooms.
        height_m: Of the body.
        skip_bodies: That are no obstacles: robots.
    """
    return build_map(
        model,
        data,
        scene=scene,
        skip_bodies=skip_bodies,
        agent_height_m=height_m,
        floor_clearance_m=LOW_M,
        px_per_m=PX_PER_M,
    )
