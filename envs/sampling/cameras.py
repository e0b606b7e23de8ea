"""Cameras of an episode: as records of its file, and whether one sees an object.

Source: sheet molmospaces sections 6 and 10; 15, item 4 (visibility is tested).
Differs: upstream renders to test visibility. Here rays from the camera to the middles of an object's geoms decide, so
that drawing episodes needs no GL library.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.envs.episodes.schema import Camera, ExocentricCamera, MountedCamera
from zoo.envs.kinematics.poses import compose, matrix_from_quat, pose7
from zoo.envs.robots.cameras import PlacedCamera, axes_of, intrinsics, project
from zoo.envs.sampling.stage import Stage
from zoo.envs.simulation.simulation import PREFIX
from zoo.envs.simulator import mujoco

LOOK_AHEAD_M = 1.0  # of the point that a mounted camera's record says it looks at


def records(cameras: Sequence[PlacedCamera]) -> tuple[Camera, ...]:
    """As episodes write them."""
    return tuple(_record(camera) for camera in cameras)


def sees(stage: Stage, camera: PlacedCamera, name: str, *, size: tuple[int, int]) -> bool:
    """Whether a camera has the middle of some geom of an object in its picture and in its line of sight.

    Args:
        stage: The state of the last `forward`.
        camera: On the robot, or in the world.
        name: Of the object.
        size: Width and height of the picture, pixels.
    """
    model, data = stage.model, stage.data
    pose = pose7(camera.position_m, camera.quat_wxyz)
    if camera.body is not None:
        body = model.body(PREFIX + camera.body).id
        pose = compose(pose7(data.xpos[body], data.xquat[body]), pose)
    root = stage.world.root(name)
    middles = data.geom_xpos[model.body_rootid[model.geom_bodyid] == root]
    rotation = matrix_from_quat(pose[3:]) @ np.diag([1.0, -1.0, -1.0])  # OpenCV's axes
    camera_from_world = np.concatenate([rotation.T, -rotation.T @ pose[:3, None]], axis=1)
    pixels, depth = project(middles, intrinsics(*size, camera.fovy_deg), camera_from_world)
    is_inside = (depth > 0) & ((pixels >= 0) & (pixels <= size)).all(axis=1)
    rays = middles[is_inside] - pose[:3]
    if not len(rays):
        return False
    hits, distances = np.full(len(rays), -1, np.int32), np.zeros(len(rays))
    start, far = pose[:3], mujoco.mjMAXVAL
    mujoco.mj_multiRay(model, data, start, rays.ravel(), None, True, -1, hits, distances, None, len(rays), far)
    return bool((model.body_rootid[model.geom_bodyid[hits[hits >= 0]]] == root).any())


def _record(camera: PlacedCamera) -> Camera:
    forward, up = axes_of(camera.quat_wxyz)
    if camera.body is None:
        return ExocentricCamera(
            name=camera.name, fov=camera.fovy_deg, pos=camera.position_m, up=tuple(up), forward=tuple(forward)
        )
    return MountedCamera(
        name=camera.name,
        fov=camera.fovy_deg,
        reference_body_names=(PREFIX + camera.body,),
        camera_offset=camera.position_m,
        lookat_offset=tuple(np.array(camera.position_m) + LOOK_AHEAD_M * forward),
        camera_quaternion=camera.quat_wxyz,
    )
