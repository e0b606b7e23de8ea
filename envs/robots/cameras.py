"""Camera systems of the benchmarks: where cameras sit, how they vary between episodes, and their matrices.

A camera looks along its -z with +x to the right and +y up (MuJoCo and OpenGL); OpenCV's frame has +x right, +y down, +z
forward. Fields of view are vertical, in degrees, as everywhere in MuJoCo; every view is a pinhole.
Source: sheet of MolmoSpaces section 10.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from zoo.envs.kinematics.poses import (
    Array,
    matrix_from_quat,
    quat_from_matrix,
    quat_from_rotation_vector,
    quat_multiply,
)
from zoo.envs.robots.gripper import TCP_OFFSET_M
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError

GL_FROM_CV = np.diag([1.0, -1.0, -1.0])
UP = (0.0, 0.0, 1.0)
ON_GRIPPER_M = (0.08, 0.0, 0.05)  # of a wrist camera from the flange: beside the palm
TRIES = 20  # of a random camera, before the last one is taken (sheet: normally 20, up to 100)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedCamera:
    """A camera of one episode.

    Args:
        name: Key of observations.
        body: The robot's own name of the body that carries it; None stands in the world.
        position_m: In that body's frame.
        quat_wxyz: Rotation in that frame.
        fovy_deg: Vertical field of view.
    """

    name: str
    body: str | None
    position_m: tuple[float, float, float]
    quat_wxyz: tuple[float, float, float, float]
    fovy_deg: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraNoise:
    """Half widths of the uniform noise of a mounted camera.

    Args:
        position_m: Along the axes of the body that carries it.
        roll_deg: Around its line of sight.
        pitch_deg: Up and down.
        yaw_deg: To the sides.
        fovy_deg: Of its field of view.
        angle_step_deg: Angles are multiples of it; 0 is continuous.
        fovy_step_deg: The same for the field of view.
    """

    position_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    roll_deg: float = 0.0
    pitch_deg: float = 0.0
    yaw_deg: float = 0.0
    fovy_deg: float = 0.0
    angle_step_deg: float = 0.0
    fovy_step_deg: float = 0.0

    def apply(self, camera: PlacedCamera, rng: np.random.Generator) -> PlacedCamera:
        """The camera with noise: seven draws, whatever the widths."""
        shift = rng.uniform(-1, 1, 3) * self.position_m
        angles = [_draw(rng, width, self.angle_step_deg) for width in (self.pitch_deg, self.yaw_deg, self.roll_deg)]
        fovy = camera.fovy_deg + _draw(rng, self.fovy_deg, self.fovy_step_deg)
        return replace(
            camera,
            position_m=_triple(np.array(camera.position_m) + shift),
            quat_wxyz=_quadruple(quat_multiply(camera.quat_wxyz, quat_from_rotation_vector(np.radians(angles)))),
            fovy_deg=float(fovy),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class MountedCamera:
    """A camera on the robot.

    Args:
        camera: Where it sits without noise.
        noise: Per episode.
    """

    camera: PlacedCamera
    noise: CameraNoise = CameraNoise()


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomCamera:
    """A camera in the world that looks at the workspace, somewhere else in every episode.

    Args:
        name: Key of observations.
        distance_m: Least and most, from the workspace's centre, level.
        height_m: Above that centre.
        azimuth_deg: Around it.
        fovy_deg: Vertical field of view.
        look_at_noise_m: Half width of the noise of the point that it looks at, per axis.
    """

    name: str
    distance_m: tuple[float, float]
    height_m: tuple[float, float]
    azimuth_deg: tuple[float, float] = (0.0, 360.0)
    fovy_deg: tuple[float, float]
    look_at_noise_m: float

    def draw(self, rng: np.random.Generator, centre_m: ArrayLike) -> PlacedCamera:
        """One of them, around a centre in the world: seven draws."""
        centre = np.asarray(centre_m, np.float64)
        distance, height = rng.uniform(*self.distance_m), rng.uniform(*self.height_m)
        azimuth = math.radians(rng.uniform(*self.azimuth_deg))
        fovy = rng.uniform(*self.fovy_deg)
        target = centre + rng.uniform(-1, 1, 3) * self.look_at_noise_m
        position = centre + np.array([distance * math.cos(azimuth), distance * math.sin(azimuth), height])
        return looking_at(self.name, position, target, fovy_deg=fovy)


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraSystem:
    """All cameras of a robot.

    Args:
        name: What episodes call it.
        width: Of every picture, pixels.
        height: Pixels.
        mounted: On the robot.
        random: In the world.
    """

    name: str
    width: int
    height: int
    mounted: tuple[MountedCamera, ...]
    random: tuple[RandomCamera, ...] = ()

    def nominal(self) -> tuple[PlacedCamera, ...]:
        """The mounted cameras without noise."""
        return tuple(item.camera for item in self.mounted)

    def draw(
        self,
        rng: np.random.Generator,
        *,
        centre_m: ArrayLike | None = None,
        accepts: Callable[[PlacedCamera], bool] | None = None,
        tries: int = TRIES,
    ) -> tuple[PlacedCamera, ...]:
        """Cameras of one episode: the mounted ones, then the random ones.

        Args:
            rng: Draws noise and places.
            centre_m: Of the workspace, in the world; needed for random cameras.
            accepts: Whether a random camera sees enough; all do where None.
            tries: How often one is drawn before the last is taken as it is.
        Raises:
            ConfigError: random cameras without a centre.
        """
        if self.random and centre_m is None:
            raise ConfigError(f"camera system {self.name!r} has random cameras: give centre_m, the workspace's centre")
        placed = [item.noise.apply(item.camera, rng) for item in self.mounted]
        for item in self.random:
            for _ in range(tries):
                camera = item.draw(rng, centre_m)
                if accepts is None or accepts(camera):
                    break
            placed.append(camera)
        return tuple(placed)


def add_cameras(spec: mujoco.MjSpec, cameras: Sequence[PlacedCamera], *, prefix: str = "robot_0/") -> None:
    """Put cameras into a scene, named as they are; mounted ones onto the robot of that prefix.

    Raises:
        ConfigError: the robot has no such body.
    """
    for camera in cameras:
        body = spec.worldbody if camera.body is None else spec.body(prefix + camera.body)
        if body is None:
            raise ConfigError(f"camera {camera.name!r} sits on {prefix + camera.body!r}, which is no body of the scene")
        body.add_camera(name=camera.name, pos=camera.position_m, quat=camera.quat_wxyz, fovy=camera.fovy_deg)


def move_camera(model: mujoco.MjModel, camera: PlacedCamera) -> None:
    """Give a camera of a compiled model another place on the same body."""
    item = model.camera(camera.name)
    model.cam_pos[item.id], model.cam_quat[item.id] = camera.position_m, camera.quat_wxyz
    model.cam_fovy[item.id] = camera.fovy_deg


def looking_at(
    name: str,
    position_m: ArrayLike,
    target_m: ArrayLike,
    *,
    fovy_deg: float,
    up: ArrayLike = UP,
    body: str | None = None,
) -> PlacedCamera:
    """A camera at a point that looks at another, upright.

    Raises:
        ConfigError: it would look along `up`.
    """
    forward = np.asarray(target_m, np.float64) - np.asarray(position_m, np.float64)
    return PlacedCamera(
        name=name,
        body=body,
        position_m=_triple(position_m),
        quat_wxyz=quat_from_axes(forward, up),
        fovy_deg=float(fovy_deg),
    )


def on_gripper(name: str, *, body: str, fovy_deg: float) -> PlacedCamera:
    """A camera beside the palm of the gripper whose base is `body`, that sees both fingers and what is beyond."""
    target = (0.0, 0.0, TCP_OFFSET_M + 0.12)
    return looking_at(name, ON_GRIPPER_M, target, fovy_deg=fovy_deg, up=(1.0, 0.0, 0.0), body=body)


def quat_from_axes(forward: ArrayLike, up: ArrayLike = UP) -> tuple[float, float, float, float]:
    """Rotation of a camera that looks along `forward` with `up` upwards; the lengths do not matter."""
    forward = np.asarray(forward, np.float64)
    right = np.cross(forward, np.asarray(up, np.float64))
    if np.linalg.norm(right) < 1e-9 * max(np.linalg.norm(forward), 1e-9):
        raise ConfigError(f"a camera cannot look along {forward.tolist()} with {list(up)} upwards; give another up")
    right = right / np.linalg.norm(right)
    back = -forward / np.linalg.norm(forward)
    return _quadruple(quat_from_matrix(np.stack([right, np.cross(back, right), back], axis=-1)))


def axes_of(quat_wxyz: ArrayLike) -> tuple[Array, Array]:
    """Forward and up, as episodes store them, of a camera's rotation."""
    rotation = matrix_from_quat(quat_wxyz)
    return -rotation[:, 2], rotation[:, 1]


def quat_from_pitch(pitch_deg: float, yaw_deg: float = 0.0) -> tuple[float, float, float, float]:
    """Rotation of a camera on a robot: it looks forward, turned counter-clockwise by yaw, then down by pitch."""
    pitch, yaw = math.radians(pitch_deg), math.radians(yaw_deg)
    level = math.cos(pitch)
    forward = (level * math.cos(yaw), level * math.sin(yaw), -math.sin(pitch))
    up = (math.sin(pitch) * math.cos(yaw), math.sin(pitch) * math.sin(yaw), level)  # holds when it looks straight down
    return quat_from_axes(forward, up)


def intrinsics(width: int, height: int, fovy_deg: float) -> Array:
    """Intrinsic matrix (3, 3), pixels: the principal point is the picture's centre, (0, 0) its outer corner."""
    focal = height / 2 / math.tan(math.radians(fovy_deg) / 2)
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])


def horizontal_fov_deg(fovy_deg: float, width: int, height: int) -> float:
    """Horizontal field of view: tan(v/2) = tan(h/2) height/width."""
    return math.degrees(2 * math.atan(math.tan(math.radians(fovy_deg) / 2) * width / height))


def world_from_camera_gl(data: mujoco.MjData, camera: int) -> Array:
    """(4, 4) in OpenGL's frame, of a camera's index."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = data.cam_xmat[camera].reshape(3, 3), data.cam_xpos[camera]
    return matrix


def camera_from_world_cv(data: mujoco.MjData, camera: int) -> Array:
    """(3, 4) extrinsic matrix in OpenCV's frame, of a camera's index."""
    rotation = (data.cam_xmat[camera].reshape(3, 3) @ GL_FROM_CV).T
    return np.concatenate([rotation, -rotation @ data.cam_xpos[camera][:, None]], axis=1)


def project(points_m: ArrayLike, intrinsic: ArrayLike, camera_from_world: ArrayLike) -> tuple[Array, Array]:
    """Where points of the world are seen.

    Args:
        points_m: (..., 3).
        intrinsic: (3, 3).
        camera_from_world: (3, 4), OpenCV.
    Returns:
        Pixels (..., 2), x right and y down from the picture's outer corner, nan behind the camera; depths (...) in
        metres.
    """
    extrinsic = np.asarray(camera_from_world, np.float64)
    seen = np.asarray(points_m, np.float64) @ extrinsic[:, :3].T + extrinsic[:, 3]
    depth = seen[..., 2]
    flat = seen @ np.asarray(intrinsic, np.float64).T
    safe = np.where(depth > 0, depth, np.nan)
    return flat[..., :2] / safe[..., None], depth


def _draw(rng: np.random.Generator, width: float, step: float) -> float:
    """Uniform within +-width, a multiple of step where there is one."""
    if step <= 0:
        return float(rng.uniform(-1, 1) * width)
    number = round(width / step)
    return float(rng.integers(-number, number + 1) * step)


def _triple(values: ArrayLike) -> tuple[float, float, float]:
    x, y, z = np.asarray(values, np.float64).tolist()
    return x, y, z


def _quadruple(values: ArrayLike) -> tuple[float, float, float, float]:
    w, x, y, z = np.asarray(values, np.float64).tolist()
    return w, x, y, z
