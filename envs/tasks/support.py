"""Whether a receptacle carries an object: by contact force, by geometry, or as a moment ago (sheet section 7)."""

from __future__ import annotations

import math

import numpy as np

from zoo.envs.simulation.world import World
from zoo.envs.simulator import mujoco

MAX_FORCE_ANGLE_DEG = 30.0
SAME_PLACE_M = 0.005
SAME_ROTATION_DEG = 10.0
RESTING_GAP_M = 0.01
"""Height above the receptacle's floor or rim at which an object without contact data counts as on it."""


class ReceptacleSupport:
    """Follows one object and one receptacle through an episode.

    The receptacle carries the object where its net contact force on it is within 30 degrees of the vertical and at
    least the asked share of the weight. Without a contact the geometry decides: the object's middle is over the
    receptacle and its bottom within it. Otherwise what was seen to be carried stays so while it has not moved against
    the receptacle.

    Args:
        name: Root body of the object.
        receptacle: Root body of the receptacle.
        weight_share: Share of the weight.
    """

    def __init__(self, name: str, receptacle: str, *, weight_share: float) -> None:
        self.name, self.receptacle, self.weight_share = name, receptacle, weight_share
        self._carried_pose: tuple[np.ndarray, np.ndarray] | None = None

    def bind(self, world: World) -> None:
        """Begin an episode."""
        self._world = world
        self._root, self._receptacle_root = world.root(self.name), world.root(self.receptacle)
        self._weight = world.mass(self.name) * float(np.linalg.norm(world.model.opt.gravity))
        self._carried_pose = None

    def holds(self) -> bool:
        """Whether the object is carried now."""
        pose = self._relative_pose()
        if self._by_contact() or self._by_geometry():
            self._carried_pose = pose
            return True
        if self._carried_pose is None:
            return False
        position, quaternion = self._carried_pose
        moved = float(np.linalg.norm(pose[0] - position))
        return moved <= SAME_PLACE_M and turned_deg(quaternion, pose[1])[1] <= SAME_ROTATION_DEG

    def _by_contact(self) -> bool:
        contacts = self._world.contacts(self.name)
        force = contacts.forces[contacts.roots == self._receptacle_root].sum(0)
        size = float(np.linalg.norm(force))
        if size == 0:
            return False
        is_upright = force[2] >= size * math.cos(math.radians(MAX_FORCE_ANGLE_DEG))
        return bool(is_upright and abs(force[2]) >= self.weight_share * self._weight)

    def _by_geometry(self) -> bool:
        if len(self._world.contacts(self.name).roots):
            return False  # contacts are conclusive: something else carries it
        (centre, half), (other, other_half) = self._world.box(self.name), self._world.box(self.receptacle)
        bottom = centre[2] - half[2]
        is_over = bool(np.all(np.abs(centre - other)[:2] <= other_half[:2]))
        return is_over and bool(abs(bottom - other[2]) <= other_half[2] + RESTING_GAP_M)

    def _relative_pose(self) -> tuple[np.ndarray, np.ndarray]:
        """Position and quaternion of the object in the receptacle's frame."""
        data = self._world.data
        inverse, position, quaternion = np.zeros(4), np.zeros(3), np.zeros(4)
        mujoco.mju_negQuat(inverse, data.xquat[self._receptacle_root])
        mujoco.mju_rotVecQuat(position, data.xpos[self._root] - data.xpos[self._receptacle_root], inverse)
        mujoco.mju_mulQuat(quaternion, inverse, data.xquat[self._root])
        return position, quaternion


def turned_deg(before_wxyz: np.ndarray, after_wxyz: np.ndarray) -> tuple[float, float]:
    """Degrees between two rotations: by how much the vertical axis tilted, and the whole angle."""
    difference, inverse = np.zeros(4), np.zeros(4)
    mujoco.mju_negQuat(inverse, np.asarray(before_wxyz, np.float64))
    mujoco.mju_mulQuat(difference, np.asarray(after_wxyz, np.float64), inverse)
    up = np.zeros(3)
    mujoco.mju_rotVecQuat(up, np.array([0.0, 0.0, 1.0]), difference)
    whole = 2 * math.degrees(math.acos(min(1.0, abs(float(difference[0])))))
    return math.degrees(math.acos(float(np.clip(up[2], -1.0, 1.0)))), whole
