"""How much of an object an eye would see, by rays instead of rendering."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from zoo.envs.kinematics.poses import Array
from zoo.envs.simulation.simulation import Simulation
from zoo.envs.simulator import mujoco

SHOWN_GROUPS = np.array([1, 1, 1, 0, 0, 0], np.uint8)  # geom groups that pictures show
AWAY_M = 1e3  # where the robot's own body is in nobody's way
SHARES = (-0.8, 0.8)  # of a geom's half extents, where rays aim beside its middle


class Sight:
    """Rays through a scene as it is now, without its robot.

    Args:
        simulation: Is only read.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._model = simulation.model
        self._data = copy.copy(simulation.data)
        self._roots = self._model.body_rootid[self._model.geom_bodyid]
        self._world = simulation.world
        robot = simulation.robot.group("base").joints[0]
        self._data.qpos[self._model.joint(f"{simulation.view.prefix}{robot}").qposadr[0]] += AWAY_M
        mujoco.mj_kinematics(self._model, self._data)

    def share(self, name: str, eye_m: Array) -> float:
        """Of the points of an object that rays aim at, how many they meet first; 0 to 1.

        Args:
            name: Of the object.
            eye_m: (3,) where the rays begin.
        """
        root = self._world.root(name)
        points = self._points(root)
        rays = points - eye_m
        number = len(points)
        geoms, distances = np.full(number, -1, np.int32), np.zeros(number)
        mujoco.mj_multiRay(
            self._model, self._data, eye_m, rays.ravel(), SHOWN_GROUPS, 1, -1, geoms, distances, None, number, 1e10
        )
        return float((self._roots[geoms[geoms >= 0]] == root).sum() / number)

    def middle(self, name: str) -> Array:
        """(3,) middle of the box around an object."""
        return self._world.box(name)[0]

    def _points(self, root: int) -> Array:
        """(points, 3) in the middle and towards the ends of each geom that shows."""
        model, data = self._model, self._data
        geoms = np.flatnonzero((self._roots == root) & (SHOWN_GROUPS[model.geom_group] > 0))
        steps: Sequence[Array] = [np.zeros(3)] + [share * axis for axis in np.eye(3) for share in SHARES]
        offsets = np.array(steps)
        local = model.geom_aabb[geoms, None, :3] + offsets * model.geom_aabb[geoms, None, 3:]
        rotations = data.geom_xmat[geoms].reshape(-1, 3, 3)
        return (data.geom_xpos[geoms, None] + np.einsum("gij,gpj->gpi", rotations, local)).reshape(-1, 3)
