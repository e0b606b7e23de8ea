"""From an episode to a running simulation: house, added and removed objects, robot, cameras, start poses.

Source: sheet molmospaces section 5, "Replay". Timing is the robot's or the caller's, never the episode's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo import registry
from zoo.envs.assets.library import Asset
from zoo.envs.episodes.schema import Camera, Episode, ExocentricCamera, MountedCamera
from zoo.envs.episodes.tasks import ColorTask, DoorTask, OpenTask
from zoo.envs.kinematics.poses import Array, angle_between, quat_from_matrix
from zoo.envs.robots.discrete_moves import DiscreteActions, Outcome
from zoo.envs.robots.robot import Clocks, Robot
from zoo.envs.scenes.physics import TIMESTEP_S
from zoo.envs.simulation.camera_rig import CameraRig
from zoo.envs.simulation.houses import House, house
from zoo.envs.simulation.world import ObjectFacts, World
from zoo.envs.simulator import mujoco
from zoo.errors import DataError, ZooError
from zoo.navigation_actions import SpocAction

PREFIX = "robot_0/"
SETTLE_STEPS = 500
"""Of physics after loading a scene whose objects the episode does not all place (sheet section 2)."""
FALL_STEPS = 1000
"""Of physics after a robot without physics dropped something: 2 s (sheet spoc_ring section 1.2)."""
POSE_TOLERANCE_M, POSE_TOLERANCE = 1e-3, 0.01
"""Objects that are no farther than this from their listed pose stay where they are (sheet section 5)."""
SLEEP_TOLERANCE = 1e-3
"""Speed below which what lies still is not simulated (sheet section 15)."""
UNSTABLE = (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)


class UnstableError(ZooError):
    """The physics blew up: an episode cannot go on."""


class Simulation:
    """One episode, set up and ready to be stepped.

    Args:
        episode: What to set up.
        clocks: Of physics, controller and policy; None takes the robot's.
        rig: Renders, so that what needs sight can be judged.
        reuse: Another episode's simulation, whose model is taken over where both were built alike.

    Raises:
        UnknownNameError: no such data set, robot or asset.
        DataError: a name of the episode is not in its scene.
        ConfigError: the robot cannot stand or move as it is told to.
    """

    def __init__(
        self,
        episode: Episode,
        *,
        clocks: Clocks | None = None,
        rig: CameraRig | None = None,
        reuse: Simulation | None = None,
    ) -> None:
        self.episode = episode
        self.built_as = _build_plan(episode)
        added = _added_assets(episode)
        if reuse is not None and reuse.built_as == self.built_as:
            self.house, self.robot, self.model = reuse.house, reuse.robot, reuse.model
        else:
            self.house = house(*episode.house)
            self.robot: Robot = registry.build("robot", episode.robot.robot_name, **episode.robot.arguments)
            self.model = _compiled(self.house, self.robot, episode, added)
        self.clocks = clocks or self.robot.clocks
        self.model.opt.timestep = self.clocks.sim_dt
        _place_cameras(self.model, episode)
        _colour_objects(self.model, episode)
        self.data = mujoco.MjData(self.model)
        self.view = self.robot.bind(self.model, self.data, prefix=PREFIX)
        sight: dict[str, Any] = {}
        if rig is not None:
            sight = {"visible_pixels": rig.visible_pixels, "unoccluded_pixels": rig.unoccluded_pixels}
            sight["picture_px"] = rig.width * rig.height
        self.world = World(
            self.model,
            self.data,
            objects=_objects(self.house, episode, added),
            robot_root=self.model.body(self.model.body_rootid[self.view.base_id]).name,
            robot_base=f"{PREFIX}base",
            rooms=self.house.scene.rooms,
            **sight,
        )
        self._start()
        self.actions = self._actions() if self.robot.is_discrete else None

    @property
    def cameras(self) -> dict[str, str]:
        """Names in the model, by the names that the episode gives."""
        return {camera.name: _camera_name(camera) for camera in self.episode.cameras}

    def step(self) -> None:
        """Simulate for one policy step under what the robot was last told.

        Raises:
            UnstableError: positions, velocities or accelerations grew without bound.
        """
        mujoco.mj_step(self.model, self.data, nstep=self.clocks.policy_steps)
        self._check_stable()

    def _check_stable(self) -> None:
        if any(self.data.warning[kind].number for kind in UNSTABLE):
            raise UnstableError(
                f"physics of house {self.house.scene.name!r} became unstable after {self.data.time:.3f} s: positions "
                "or velocities grew without bound. Check the scene: zoo scene check"
            )

    def act(self, action: SpocAction, *, rng: np.random.Generator | None = None) -> Outcome:
        """Carry out a step of a robot that moves in discrete steps; the world stands still but for what it does.

        What it drops falls and comes to rest within the step (sheet spoc_ring section 1.2: 2 s of physics).

        Args:
            action: Which.
            rng: Draws the noise of the base; none without it.
        Raises:
            UnstableError: the physics of the fall blew up.
        """
        assert self.actions is not None, "act of a robot that is commanded by groups"
        outcome = self.actions.step(action, rng=rng)
        if action == SpocAction.DROPOFF and outcome.moved:
            self._let_fall()
        held = self.actions.held
        self.world.said, self.world.held = action, () if held is None else (self.model.body(held).name,)
        return outcome

    def sim_state(self) -> np.ndarray:
        """Everything that physics depends on, float64; equal states go on equally."""
        kind = mujoco.mjtState.mjSTATE_INTEGRATION
        state = np.empty(mujoco.mj_stateSize(self.model, kind))
        mujoco.mj_getState(self.model, self.data, state, kind)
        return state

    def free_joints(self) -> dict[str, int]:
        """Free joints of the scene's objects, by object."""
        model = self.model
        is_free = model.jnt_type == int(mujoco.mjtJoint.mjJNT_FREE)
        names = {model.body(body).name: joint for joint, body in enumerate(model.jnt_bodyid) if is_free[joint]}
        return {name: joint for name, joint in names.items() if name in self.world.objects}

    def free_poses(self) -> dict[str, Array]:
        """pose7 of every free object now."""
        return {name: self.world.pose7(name) for name in self.free_joints()}

    def _start(self) -> None:
        episode, model, data = self.episode, self.model, self.data
        mujoco.mj_resetData(model, data)
        for name, value in self.house.start_positions(model).items():
            data.qpos[model.joint(name).qposadr[0]] = value
        _set_task_joint(self.world, episode)
        self.view.set_base_pose(episode.task.robot_base_pose)
        self.view.set_qpos({name: values for name, values in episode.robot.init_qpos.items() if len(values)})
        mujoco.mj_forward(model, data)
        free, listed = self.free_joints(), episode.scene_modifications.object_poses
        if set(free) - set(listed):
            self._settle()
        for name, pose in listed.items():
            self._set_pose(name, pose, free)
        data.qvel[:] = 0
        data.qacc_warmstart[:] = 0
        data.time = 0.0
        self.view.set_qpos({name: values for name, values in episode.robot.init_qpos.items() if len(values)})
        mujoco.mj_forward(model, data)

    def _settle(self, steps: int = SETTLE_STEPS) -> None:
        """Let things come to rest, at the scene's own time step, whatever the robot's clocks are."""
        timestep, self.model.opt.timestep = self.model.opt.timestep, TIMESTEP_S
        mujoco.mj_step(self.model, self.data, nstep=steps)
        self.model.opt.timestep = timestep

    def _actions(self) -> DiscreteActions:
        free = [self.world.root(name) for name in self.free_joints()]
        return self.robot.actions(self.view, pickupable=free)

    def _let_fall(self) -> None:
        """Two seconds of physics, after which the robot stands as it stood."""
        stance = {group.name: self.view.qpos(group.name) for group in self.robot.groups}
        self._settle(FALL_STEPS)
        self._check_stable()
        self.view.set_qpos(stance)
        self.data.qvel[:] = 0
        mujoco.mj_forward(self.model, self.data)

    def _set_pose(self, name: str, pose: Sequence[float], free: dict[str, int]) -> None:
        root = self.world.root(name)
        wanted = np.asarray(pose, np.float64)
        here = np.concatenate([self.data.xpos[root], self.data.xquat[root]])
        is_near = np.linalg.norm(here[:3] - wanted[:3]) <= POSE_TOLERANCE_M
        if is_near and angle_between(here[3:], wanted[3:]) <= POSE_TOLERANCE and name not in free:
            return
        if name not in free:
            raise DataError(f"object {name!r} is fixed in its house, but the episode puts it elsewhere: {list(pose)}")
        address = int(self.model.jnt_qposadr[free[name]])
        self.data.qpos[address : address + 7] = wanted


def _build_plan(episode: Episode) -> str:
    """All that decides about the compiled model, as text."""
    changes = episode.scene_modifications
    cameras = [(_camera_name(camera), _bodies_of(camera)) for camera in episode.cameras]
    size = list(episode.img_resolution)
    colours = {name: list(rgba) for name, rgba in _colours(episode).items()}
    body = [episode.robot.robot_name, dict(episode.robot.arguments)]
    parts = [episode.house, body, dict(changes.added_objects), changes.removed_objects, colours]
    return json.dumps([*parts, cameras, size, episode.task.robot_base_pose[2]])


def _compiled(found: House, robot: Robot, episode: Episode, added: Mapping[str, Asset]) -> mujoco.MjModel:
    spec = found.build()
    for name in episode.scene_modifications.removed_objects:
        body = spec.body(name)
        if body is None:
            raise DataError(f"the episode removes {name!r}, which house {found.scene.name!r} does not have")
        spec.delete(body)
    for name, asset in added.items():
        asset.add_to(spec.worldbody, name, position_m=(0.0, 0.0, 0.0), quat_wxyz=(1.0, 0.0, 0.0, 0.0), is_free=True)
    pose = episode.task.robot_base_pose
    if robot.is_discrete:  # built where the first episode has it, it would be off by rounding errors in later ones
        pose = (0.0, 0.0, pose[2], 1.0, 0.0, 0.0, 0.0)
    robot.add_to(spec, prefix=PREFIX, base_pose7=pose)
    for camera in episode.cameras:
        _add_camera(spec, camera)
    width, height = episode.img_resolution
    visual = spec.visual.global_
    visual.offwidth, visual.offheight = max(visual.offwidth, width), max(visual.offheight, height)
    spec.option.enableflags |= int(mujoco.mjtEnableBit.mjENBL_SLEEP)
    spec.option.sleep_tolerance = SLEEP_TOLERANCE
    return spec.compile()


def _added_assets(episode: Episode) -> dict[str, Asset]:
    """Assets of `added_objects`, by the name of the body; ours are written `library:uid`."""
    assets = {}
    for name, asset in episode.scene_modifications.added_objects.items():
        library, separator, uid = asset.partition(":")
        if not separator:
            raise DataError(
                f"the episode adds {name!r} from {asset!r}, a file of the public asset sets; ours are written "
                "'library:uid', as 'primitives:mug_0'"
            )
        assets[name] = registry.build("asset_library", library).asset(uid)
    return assets


def _objects(found: House, episode: Episode, added: Mapping[str, Asset]) -> dict[str, ObjectFacts]:
    removed = episode.scene_modifications.removed_objects
    objects = {name: facts for name, facts in found.objects.items() if name not in removed}
    return objects | {name: ObjectFacts(name=name, category=asset.facts.category) for name, asset in added.items()}


def _camera_name(camera: Camera) -> str:
    return f"episode/{camera.name}"


def _bodies_of(camera: Camera) -> tuple[str, ...]:
    return camera.reference_body_names if isinstance(camera, MountedCamera) else ()


def _add_camera(spec: mujoco.MjSpec, camera: Camera) -> None:
    parent = spec.worldbody
    if isinstance(camera, MountedCamera):
        bodies = [body for name in camera.reference_body_names if (body := spec.body(name)) is not None]
        if not bodies:
            raise DataError(
                f"camera {camera.name!r} hangs at {' or '.join(camera.reference_body_names)}, which the robot lacks"
            )
        parent = bodies[0]
    parent.add_camera(name=_camera_name(camera))


def _place_cameras(model: mujoco.MjModel, episode: Episode) -> None:
    for camera in episode.cameras:
        number = model.camera(_camera_name(camera)).id
        if isinstance(camera, ExocentricCamera):
            position, quaternion = camera.pos, _quat_looking(camera.forward, camera.up)
        else:
            assert isinstance(camera, MountedCamera)
            position, quaternion = camera.camera_offset, camera.camera_quaternion
        model.cam_pos[number], model.cam_quat[number], model.cam_fovy[number] = position, quaternion, camera.fov


def _quat_looking(forward: Sequence[float], up: Sequence[float]) -> Array:
    """Rotation of a camera that looks along `forward` with `up` up in its picture."""
    ahead = np.asarray(forward, np.float64) / np.linalg.norm(forward)
    right = np.cross(ahead, up)
    if np.linalg.norm(right) < 1e-9:
        raise DataError(f"a camera looks along its own up direction, {list(up)}")
    right /= np.linalg.norm(right)
    return quat_from_matrix(np.stack([right, np.cross(right, ahead), -ahead], axis=1))


def _colours(episode: Episode) -> Mapping[str, Sequence[float]]:
    """RGBA by body, of the one task that has colours."""
    return episode.task.object_colors if isinstance(episode.task, ColorTask) else {}


def _colour_objects(model: mujoco.MjModel, episode: Episode) -> None:
    roots = model.body_rootid[model.geom_bodyid]
    for name, rgba in _colours(episode).items():
        body = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, name)
        if body < 0:
            raise DataError(f"the episode colours {name!r}, which its scene does not have")
        geoms = np.flatnonzero(roots == body)
        model.geom_rgba[geoms], model.geom_matid[geoms] = rgba, -1


def _set_task_joint(world: World, episode: Episode) -> None:
    """The joint that the task is about, where its episode says how it begins."""
    task = episode.task
    if isinstance(task, DoorTask):
        joint, start = int(world.model.body_jntadr[world.body(task.door_body_name)]), task.articulated_joint_reset_state
    elif isinstance(task, OpenTask):
        joint, start = world.joint(task.joint_name), task.joint_start_position
    else:
        return
    if start is None:
        return
    value = start if isinstance(start, (int, float)) else start[0]
    low, high = world.model.jnt_range[joint]
    if not math.isfinite(value) or not low - 1e-3 <= value <= high + 1e-3:
        raise DataError(f"joint {world.model.joint(joint).name!r} begins at {value:g}, expected {low:g} to {high:g}")
    world.data.qpos[world.model.jnt_qposadr[joint]] = value
