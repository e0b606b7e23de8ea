"""Which of an object's grasps to use from where the hand is, and which of them are free in a scene.

Source: sheet of MolmoSpaces section 15, "grasp choice", and 14, "in-scene check".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.envs.grasps.files import ROBOT, MissingGraspsError, find_grasps, read_grasps
from zoo.envs.grasps.surface import ConvexPiece, boxes_are_clear
from zoo.envs.robots.gripper import TIP_BEYOND_TCP_M

DISTANCE_COST = 1.0  # per metre from the hand
ROTATION_COST = 0.01  # per degree from the hand
UP_COST = 2.0  # times the upward part of the approach: from above is cheapest
ORIGIN_COST = 8.0  # per metre from the object's origin
LEVEL_COST = 10.0  # times the square of that upward part, for opening: level is cheapest
MAX_RANKED = 512
BATCH = 128
PRE_GRASP_M = 0.04  # back along the approach

PROXY_OPENING_M = 0.08  # between the fingers
PROXY_LENGTH_M = 0.05
PROXY_THICKNESS_M = 0.01
_SIDE = (PROXY_OPENING_M + PROXY_THICKNESS_M) / 2


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RankedGrasps:
    """The cheapest grasps first.

    Args:
        indices: (..., ranked) into the grasps that were given.
        poses: (..., ranked, 4, 4) of the tool frame in the world.
        costs: (..., ranked).
    """

    indices: np.ndarray
    poses: np.ndarray
    costs: np.ndarray


class GraspBook:
    """Grasps of one or more libraries; each file is read once.

    Args:
        roots: Folders, in order of priority; see `zoo.envs.grasps.files`.
        robot: Whose gripper they are for.
    """

    def __init__(self, roots: Sequence[Path], robot: str = ROBOT) -> None:
        self.roots, self.robot = tuple(map(Path, roots)), robot
        self._read: dict[tuple[str, str | None], np.ndarray] = {}

    def grasps(self, uid: str, joint: str | None = None) -> np.ndarray:
        """(grasps, 4, 4) of an asset of scale 1, or of its articulated part, twins included; read-only.

        Raises:
            DataError: no library has a file of them, or the file holds something else.
        """
        key = uid, joint
        if key not in self._read:
            self._read[key] = read_grasps(find_grasps(self.roots, uid, joint, self.robot))
            self._read[key].flags.writeable = False
        return self._read[key]

    def has_grasps(self, uid: str, joint: str | None = None) -> bool:
        """Whether there is at least one; a target of a task must have some."""
        try:
            return len(self.grasps(uid, joint)) > 0
        except MissingGraspsError:
            return False

    def best(
        self,
        uid: str,
        object_pose: np.ndarray,
        tcp_pose: np.ndarray,
        *,
        joint: str | None = None,
        limit: int = MAX_RANKED,
    ) -> RankedGrasps:
        """The cheapest grasps of an asset, for lifting it or, with a joint, for opening and closing.

        Args:
            uid: Of the asset.
            object_pose: (..., 4, 4) of its body in the world, or of the joint's body.
            tcp_pose: (..., 4, 4) of the tool frame now.
            joint: Of the articulated part.
            limit: How many to return at most.
        """
        grasps = self.grasps(uid, joint)
        return best_grasps(grasps, object_pose, tcp_pose, is_opening=joint is not None, limit=limit)


def grasp_costs(
    poses: np.ndarray, tcp_pose: np.ndarray, origin_m: np.ndarray, *, is_opening: bool = False
) -> np.ndarray:
    """How far off each grasp is.

    Args:
        poses: (..., grasps, 4, 4) of the tool frame in the world.
        tcp_pose: (..., 4, 4), where the tool frame is now.
        origin_m: (..., 3) of the object.
        is_opening: The object is to be opened or closed rather than lifted.
    Returns:
        (..., grasps).
    """
    places = poses[..., :3, 3]
    distance = np.linalg.norm(places - tcp_pose[..., None, :3, 3], axis=-1)
    between = np.einsum("...nij,...ij->...n", poses[..., :3, :3], tcp_pose[..., :3, :3])  # trace of the difference
    rotation_deg = np.rad2deg(np.arccos(np.clip((between - 1) / 2, -1, 1)))
    up = poses[..., 2, 2]
    off_origin = np.linalg.norm(places - origin_m[..., None, :], axis=-1)
    costs = DISTANCE_COST * distance + ROTATION_COST * rotation_deg + UP_COST * up + ORIGIN_COST * off_origin
    return costs + LEVEL_COST * up**2 if is_opening else costs


def best_grasps(
    grasps: np.ndarray,
    object_pose: np.ndarray,
    tcp_pose: np.ndarray,
    *,
    is_opening: bool = False,
    limit: int = MAX_RANKED,
) -> RankedGrasps:
    """The cheapest grasps of an object, for one or many situations at once.

    Args:
        grasps: (grasps, 4, 4) in the object's frame, with their twins, as `zoo.envs.grasps.files.read_grasps` gives.
        object_pose: (..., 4, 4) in the world; of the joint's body for an articulated part.
        tcp_pose: (..., 4, 4) in the world, where the tool frame is now; the leading axes broadcast.
        is_opening: The object is to be opened or closed rather than lifted.
        limit: How many to return at most.
    """
    object_pose, tcp_pose = np.asarray(object_pose, np.float64), np.asarray(tcp_pose, np.float64)
    leading = np.broadcast_shapes(object_pose.shape[:-2], tcp_pose.shape[:-2])
    object_pose, tcp_pose = (np.broadcast_to(pose, (*leading, 4, 4)) for pose in (object_pose, tcp_pose))
    poses = object_pose[..., None, :, :] @ grasps
    costs = grasp_costs(poses, tcp_pose, object_pose[..., :3, 3], is_opening=is_opening)
    indices = np.argsort(costs, axis=-1, kind="stable")[..., :limit]
    return RankedGrasps(
        indices=indices,
        poses=np.take_along_axis(poses, indices[..., None, None], axis=-3),
        costs=np.take_along_axis(costs, indices, axis=-1),
    )


def free_grasps(poses: np.ndarray, scene: Sequence[ConvexPiece], *, wanted: int | None = None) -> np.ndarray:
    """Which grasps thin proxies of the hand can reach: neither they, nor their way from 4 cm back, nor the fingers as
    they close touch anything.

    Args:
        poses: (grasps, 4, 4) of the tool frame in the world, best first.
        scene: What is in the way, from `zoo.envs.grasps.surface.pieces_near`; without the object to be grasped, which
            the fingers enclose.
        wanted: Stop as soon as there are this many.
    Returns:
        (free,) indices in ascending order.
    """
    free: list[int] = []
    for start in range(0, len(poses), BATCH):
        clear = boxes_are_clear(scene, poses[start : start + BATCH], *_swept_proxies())
        free += [start + int(index) for index in np.flatnonzero(clear)]
        if wanted is not None and len(free) >= wanted:
            return np.array(free[:wanted], np.int64)
    return np.array(free, np.int64)


def _swept_proxies() -> tuple[np.ndarray, np.ndarray]:
    """Centres and half sizes, (4, 3) each, of what the hand sweeps.

    Two fingers and what joins them, from the pre-grasp to the grasp; then the fingers as they close. A box that moves
    along its own edge sweeps a box, so the way is tested exactly.
    """
    half = PROXY_THICKNESS_M / 2
    tip, back = TIP_BEYOND_TCP_M, TIP_BEYOND_TCP_M - PROXY_LENGTH_M
    finger = [half, half, (PROXY_LENGTH_M + PRE_GRASP_M) / 2]
    finger_z = (tip + back - PRE_GRASP_M) / 2
    bar = [half, _SIDE + half, (PROXY_THICKNESS_M + PRE_GRASP_M) / 2]
    bar_z = back - (PROXY_THICKNESS_M + PRE_GRASP_M) / 2
    gap = [half, _SIDE, PROXY_LENGTH_M / 2]
    centres = [[0, _SIDE, finger_z], [0, -_SIDE, finger_z], [0, 0, bar_z], [0, 0, (tip + back) / 2]]
    return np.array(centres), np.array([finger, finger, bar, gap])
