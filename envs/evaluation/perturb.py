"""Sensitivity sweeps: the episodes of a benchmark, with one thing changed by a level.

Source: sheet molmospaces section 18 (prompt verb, start joints, camera occlusion) and 10, last item (camera levels).
Differs: like upstream nothing tests whether a changed start touches something; physics then pushes the arm out. The
sheet covers whole pictures; here a black box covers any share of one.

What an episode draws does not depend on the level, so that along a sweep the same arm goes farther the same way.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from zlib import crc32

import numpy as np

from zoo import registry
from zoo.envs.episodes.benchmark import Benchmark
from zoo.envs.episodes.schema import Camera, Episode, ExocentricCamera, MountedCamera
from zoo.envs.evaluation.wordings import reworded, wordings_of
from zoo.envs.kinematics.poses import Array, compose, invert, pose7, transform_points
from zoo.envs.robots import camera_levels
from zoo.envs.robots.cameras import PlacedCamera, axes_of, quat_from_axes
from zoo.envs.robots.robot import Robot
from zoo.envs.simulation.occlusion import with_occlusion
from zoo.envs.simulation.simulation import PREFIX
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError, DataError

Kind = Literal["prompt", "joints", "camera", "occlusion"]


def perturb_prompt(episode: Episode, level: float, rng: np.random.Generator) -> Episode:
    """The same task in other words.

    Args:
        episode: Whose prompt reads as the benchmarks' do.
        level: Number of the wording, from 1; 0 draws one.
        rng: Draws.
    Raises:
        ConfigError: the task has no such wording, or the prompt cannot be read.
    """
    drawn = int(rng.integers(len(wordings_of(episode).others))) + 1
    text = reworded(episode, round(level) or drawn)
    return replace(episode, language=replace(episode.language, task_description=text))


def perturb_joints(episode: Episode, level: float, rng: np.random.Generator) -> Episode:
    """Arms that start elsewhere: every joint within +-level of where it was, inside its limits.

    Args:
        episode: Of a robot with an arm.
        level: Radians; the sheet has 0.3 and 0.5. 0 leaves the episode as it is.
        rng: Draws.
    Raises:
        ConfigError: the robot has no arm, or the episode another number of joints.
    """
    if level == 0:
        return episode
    robot: Robot = registry.build("robot", episode.robot.robot_name, **episode.robot.arguments)
    starts = dict(episode.robot.init_qpos)
    arms = [group for group in robot.groups if group.kind == "arm"]
    if not arms:
        raise ConfigError(f"robot {robot.name!r} has no arm whose joints could start elsewhere; try --perturb camera")
    for group in arms:
        start = np.array(starts.get(group.name) or group.home)
        lower, upper = np.array(group.limits).T
        if start.shape != lower.shape:
            raise ConfigError(f"the episode gives {len(start)} joints of {group.name!r}, expected {len(lower)}")
        moved = np.clip(start + level * rng.uniform(-1, 1, len(start)), lower, upper)
        starts[group.name] = tuple(map(float, moved))
    return replace(episode, robot=replace(episode.robot, init_qpos=starts))


def perturb_camera(episode: Episode, level: float, rng: np.random.Generator) -> Episode:
    """Cameras elsewhere: standing ones turned around the workspace, those that a joint moves shaken on their mount.

    Args:
        episode: With cameras.
        level: 0 to 100; see `zoo.envs.robots.camera_levels`. 0 leaves the episode as it is.
        rng: Draws.
    Raises:
        ConfigError: the episode has no camera.
        DataError: a camera hangs at a body that the robot lacks.
    """
    if not episode.cameras:
        raise ConfigError("the episode has no camera that could be moved")
    if level == 0:
        return episode
    mounts = _mounts(registry.build("robot", episode.robot.robot_name, **episode.robot.arguments))
    cameras = tuple(_moved(episode, camera, mounts, level, rng) for camera in episode.cameras)
    return replace(episode, cameras=cameras)


def perturb_occlusion(episode: Episode, level: float, rng: np.random.Generator, cameras: Sequence[str] = ()) -> Episode:
    """A black box before some cameras; its place is drawn, and a larger box contains the smaller ones.

    Args:
        episode: With these cameras.
        level: Share of the picture's area, 0 to 1; 1 covers all of it. 0 leaves the episode as it is.
        rng: Draws.
        cameras: Names; empty: all of the episode.
    Raises:
        ConfigError: the episode has no camera, or none of a name.
    """
    known = [camera.name for camera in episode.cameras]
    missing = [name for name in cameras if name not in known]
    if missing or not known:
        asked = f"no camera {', '.join(missing)}" if missing else "no camera that could be covered"
        raise ConfigError(f"the episode has {asked}; it has {', '.join(known) or 'none'}")
    if level == 0:
        return episode
    side = math.sqrt(level)
    places = rng.uniform(size=(len(known), 2)) * (1 - side)  # one a camera, whichever are covered
    covered = tuple(
        with_occlusion(camera, (*place, *(place + side))) if camera.name in cameras or not cameras else camera
        for camera, place in zip(episode.cameras, places, strict=True)
    )
    return replace(episode, cameras=covered)


@dataclass(frozen=True, slots=True)
class Sweep:
    """One of the sweeps.

    Args:
        change: Episode, level and generator to another episode.
        usual: Level where none is asked for.
        highest: Largest level; the smallest is 0.
        unit: What a level is.
        is_whole: Levels are numbers of things.
    """

    change: Callable[[Episode, float, np.random.Generator], Episode]
    usual: float
    highest: float
    unit: str
    is_whole: bool = False


SWEEPS: Mapping[Kind, Sweep] = {
    "prompt": Sweep(perturb_prompt, 0, 4, "the number of a wording, or 0 to draw one an episode", is_whole=True),
    "joints": Sweep(perturb_joints, 0.3, math.pi, "radians"),
    "camera": Sweep(perturb_camera, 40, camera_levels.LEVELS[-1], "a share of 100"),
    "occlusion": Sweep(perturb_occlusion, 1, 1, "a share of the picture"),
}


def perturbed(
    benchmark: Benchmark, kind: Kind, level: float | None = None, *, cameras: Sequence[str] = ()
) -> Benchmark:
    """A benchmark with every episode changed; its name says how, and its digest is its own.

    Args:
        benchmark: As it is.
        kind: Of the change.
        level: How much, in the unit of the sweep; None takes the usual one.
        cameras: Names of those that occlusion covers; empty: all. Only of that sweep.
    Raises:
        ConfigError: the level is out of range, or an episode cannot be changed so; which one is told. Or cameras are
            named for another sweep.
    """
    sweep = SWEEPS[kind]
    if cameras and kind != "occlusion":
        raise ConfigError(f"cameras {', '.join(cameras)} are named to be covered, but {kind} is what is changed")
    change = functools.partial(perturb_occlusion, cameras=cameras) if cameras else sweep.change
    amount = sweep.usual if level is None else level
    is_fit = 0 <= amount <= sweep.highest and (not sweep.is_whole or amount == round(amount))
    if not is_fit:
        raise ConfigError(f"level {amount:g} of {kind}: expected 0 to {sweep.highest:g}, {sweep.unit}")
    episodes = []
    for index, episode in enumerate(benchmark.episodes):
        rng = np.random.default_rng([episode.seed_at(index), crc32(kind.encode())])
        try:
            episodes.append(change(episode, amount, rng))
        except (ConfigError, DataError) as error:
            raise ConfigError(f"episode {index} of {benchmark.name!r} cannot be changed by {kind}: {error}") from error
    name = "_".join([benchmark.name, kind, f"{amount:g}", *cameras])
    return replace(benchmark, name=name, episodes=tuple(episodes))


def _moved(
    episode: Episode, camera: Camera, mounts: Mapping[str, Array | None], level: float, rng: np.random.Generator
) -> Camera:
    centre = _workspace(episode)
    if isinstance(camera, ExocentricCamera):
        quat = quat_from_axes(camera.forward, camera.up)
        moved = _turned(camera, None, camera.pos, quat, level, rng, centre=centre, is_moving=False)
        forward, up = axes_of(moved.quat_wxyz)
        return replace(camera, pos=moved.position_m, fov=moved.fovy_deg, forward=tuple(forward), up=tuple(up))
    assert isinstance(camera, MountedCamera)
    body = next((name for name in camera.reference_body_names if name in mounts), None)
    if body is None:
        names = " or ".join(camera.reference_body_names)
        raise DataError(f"camera {camera.name!r} hangs at {names}, which the robot lacks")
    place = mounts[body]
    if place is not None:
        world_from_body = compose(np.array(episode.task.robot_base_pose), place)
        centre = transform_points(invert(world_from_body), centre)
    moved = _turned(
        camera,
        body,
        camera.camera_offset,
        camera.camera_quaternion,
        level,
        rng,
        centre=centre,
        is_moving=place is None,
    )
    ahead = float(np.linalg.norm(np.subtract(camera.lookat_offset, camera.camera_offset)))
    target = np.array(moved.position_m) + ahead * axes_of(moved.quat_wxyz)[0]
    return replace(
        camera,
        fov=moved.fovy_deg,
        camera_offset=moved.position_m,
        camera_quaternion=moved.quat_wxyz,
        lookat_offset=tuple(map(float, target)),
    )


def _turned(
    camera: Camera,
    body: str | None,
    position_m: tuple[float, ...],
    quat_wxyz: tuple[float, ...],
    level: float,
    rng: np.random.Generator,
    *,
    centre: Array,
    is_moving: bool,
) -> PlacedCamera:
    placed = PlacedCamera(name=camera.name, body=body, position_m=position_m, quat_wxyz=quat_wxyz, fovy_deg=camera.fov)
    moving = [camera.name] if is_moving else []
    return camera_levels.perturb([placed], level, rng, centre_m=centre, moving=moving)[0]


def _workspace(episode: Episode) -> Array:
    """(3,) what standing cameras go around: where the task's object starts, or the robot where there is none."""
    start = getattr(episode.task, "pickup_obj_start_pose", None)
    return np.array(start or episode.task.robot_base_pose)[:3]


@functools.cache
def _mounts(robot: Robot) -> dict[str, Array | None]:
    """base_from_body, pose7, of every body of a robot that no joint moves; None for the others."""
    spec = mujoco.MjSpec()
    robot.add_to(spec, prefix=PREFIX, base_pose7=(0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0))
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    base = model.body(f"{PREFIX}base").id
    found: dict[str, Array | None] = {}
    for body in range(1, model.nbody):
        is_still = model.body_weldid[body] == model.body_weldid[base]
        found[model.body(body).name] = pose7(data.xpos[body], data.xquat[body]) if is_still else None
    return found
