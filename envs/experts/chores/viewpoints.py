"""From where a camera on a robot would see an object well: by projection and rays instead of rendering.

Source: sheet spoc_ring_holodeck_graspmolmo section 1.13, the strict rule of ObjectNav. The judgement is an estimate;
experts ask the task itself before they say done.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.envs.episodes.schema import Episode, MountedCamera
from zoo.envs.kinematics.poses import Array, matrix_from_quat
from zoo.envs.navigation.success import asked_pixels, largest_face_m2
from zoo.envs.robots.cameras import PlacedCamera
from zoo.envs.simulation.world import World
from zoo.envs.simulator import mujoco
from zoo.envs.tasks.chores import NAVIGATION_CAMERA, RULE_PICTURE_PX
from zoo.errors import DataError

SHOWN_GROUPS = np.array([1, 1, 1, 0, 0, 0], np.uint8)  # geom groups that pictures show
AWAY_M = 1e3  # where the robot's own body is in nobody's way
SHARES = (-0.8, 0.8)  # of a geom's half extents, where rays aim beside its middle
MAX_POINTS = 48  # of an object that rays aim at
FREE_SHARE = 0.85  # of the points in the picture that nothing hides: the rule asks for 0.8 of the pixels
IN_PICTURE = 0.3  # share of all points, below which nothing else counts
MORE_PIXELS = 1.5  # than the rule asks for, because the estimate is rough
FILL = 0.5  # of the rectangle around an object in a picture


@dataclass(frozen=True, kw_only=True, slots=True)
class Eye:
    """A camera on a robot.

    Args:
        position_m: (3,) in the frame of the base.
        rotation: (3, 3) of the camera in that frame; it looks along its -z.
        slope: (2,) tangent of half the field of view, across and up.
        picture_px: Pixels of its picture.
    """

    position_m: Array
    rotation: Array
    slope: Array
    picture_px: int

    @classmethod
    def of(cls, camera: PlacedCamera, size: tuple[int, int]) -> Eye:
        """Of a camera that sits on the base, with pictures of a width and height."""
        return cls._of(camera.position_m, camera.quat_wxyz, camera.fovy_deg, size)

    @classmethod
    def of_episode(cls, episode: Episode, size: tuple[int, int]) -> Eye:
        """The navigation camera of an episode.

        Raises:
            DataError: it has none on its robot.
        """
        for camera in episode.cameras:
            if camera.name == NAVIGATION_CAMERA and isinstance(camera, MountedCamera):
                return cls._of(camera.camera_offset, camera.camera_quaternion, camera.fov, size)
        raise DataError(f"the episode has no camera {NAVIGATION_CAMERA!r} on its robot, which its task looks through")

    @classmethod
    def _of(
        cls, position_m: Sequence[float], quat_wxyz: Sequence[float], fovy_deg: float, size: tuple[int, int]
    ) -> Eye:
        up = math.tan(math.radians(fovy_deg) / 2)
        return cls(
            position_m=np.array(position_m, np.float64),
            rotation=matrix_from_quat(quat_wxyz),
            slope=np.array([up * size[0] / size[1], up]),
            picture_px=size[0] * size[1],
        )

    def place(self, pose: Array) -> tuple[Array, Array]:
        """Position (3,) and rotation (3, 3) in the world, of a base at x, y, yaw."""
        cos, sin = math.cos(pose[2]), math.sin(pose[2])
        turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        return turn @ self.position_m + [pose[0], pose[1], 0.0], turn @ self.rotation


@dataclass(frozen=True, slots=True)
class Sighted:
    """What an eye would see of an object.

    Args:
        in_picture: Share of its points that are in the picture.
        free: Of those, the share that nothing hides.
        pixels: Estimate, of pictures of the size that the rule is about.
    """

    in_picture: float
    free: float
    pixels: float


class Viewpoints:
    """Judges places in a scene as it is now, without the robot.

    Args:
        world: Of the scene; is only read.
        eye: On the robot.
    """

    def __init__(self, world: World, eye: Eye) -> None:
        self.eye, self._world, self._model = eye, world, world.model
        self._data = copy.copy(world.data)
        self._roots = self._model.body_rootid[self._model.geom_bodyid]
        if world.robot_root is not None:
            first = int(self._model.jnt_qposadr[self._model.body_jntadr[world.robot_root]])
            self._data.qpos[first] += AWAY_M
        mujoco.mj_kinematics(self._model, self._data)
        self._points: dict[str, Array] = {}
        self._boxes: dict[str, tuple[Array, Array]] = {}

    def box(self, name: str) -> tuple[Array, Array]:
        """Centre and half extents of the box around an object."""
        if name not in self._boxes:
            self._boxes[name] = self._world.box(name)
        return self._boxes[name]

    def facing(self, name: str, points_m: Array) -> Array:
        """(points, 3) poses at (points, 2) places from which a robot looks at the middle of an object."""
        toward = self.box(name)[0][:2] - points_m
        return np.column_stack([points_m, np.arctan2(toward[:, 1], toward[:, 0])])

    def distances_m(self, name: str, points_m: Array) -> Array:
        """(points,) from (points, 2) places to the box of an object, in the plane."""
        centre, half = self.box(name)
        return np.linalg.norm(np.maximum(np.abs(points_m - centre[:2]) - half[:2], 0.0), axis=1)

    def is_good(self, name: str, pose: Array) -> bool:
        """Whether a robot at a pose would see an object as well as the strict rule asks for."""
        seen = self.look(name, pose)
        asked = asked_pixels(largest_face_m2(2 * self.box(name)[1]))
        if seen.in_picture < IN_PICTURE:
            return seen.pixels * seen.free >= 2 * MORE_PIXELS * asked
        return seen.free >= FREE_SHARE or seen.pixels * seen.free >= MORE_PIXELS * asked

    def look(self, name: str, pose: Array) -> Sighted:
        """What a robot at x, y, yaw would see of an object."""
        eye, rotation = self.eye.place(pose)
        points = self._points_of(name)
        seen = (points - eye) @ rotation
        depth = -seen[:, 2]
        flat = seen[:, :2] / (np.where(depth > 0, depth, np.nan)[:, None] * self.eye.slope)
        inside = (np.abs(flat) <= 1).all(axis=1)  # not a number is not
        if not inside.any():
            return Sighted(0.0, 0.0, 0.0)
        free = self._is_free(name, eye, points[inside])
        extent = np.ptp(flat[inside], axis=0) / 2
        pixels = FILL * float(extent[0] * extent[1]) * max(self.eye.picture_px, RULE_PICTURE_PX)
        return Sighted(float(inside.mean()), float(free.mean()), pixels)

    def _is_free(self, name: str, eye: Array, points: Array) -> Array:
        """(points,) bool: rays meet the object first, or nothing on the way to a point that is beside its surface."""
        number, root = len(points), self._world.root(name)
        geoms, distances = np.full(number, -1, np.int32), np.zeros(number)
        rays = (points - eye).ravel()
        mujoco.mj_multiRay(
            self._model, self._data, eye, rays, SHOWN_GROUPS, 1, -1, geoms, distances, None, number, 1e10
        )
        return (geoms < 0) | (self._roots[geoms] == root) | (distances >= 1)  # in lengths of the ray

    def _points_of(self, name: str) -> Array:
        """(points, 3) in the middle and towards the ends of the geoms that show."""
        if name not in self._points:
            model, data, root = self._model, self._data, self._world.root(name)
            geoms = np.flatnonzero((self._roots == root) & (SHOWN_GROUPS[model.geom_group] > 0))
            offsets = np.array([np.zeros(3), *(share * axis for axis in np.eye(3) for share in SHARES)])
            local = model.geom_aabb[geoms, None, :3] + offsets * model.geom_aabb[geoms, None, 3:]
            rotations = data.geom_xmat[geoms].reshape(-1, 3, 3)
            points = (data.geom_xpos[geoms, None] + np.einsum("gij,gpj->gpi", rotations, local)).reshape(-1, 3)
            self._points[name] = points[:: max(1, math.ceil(len(points) / MAX_POINTS))]
        return self._points[name]
