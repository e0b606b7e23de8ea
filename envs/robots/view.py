"""A robot in a running scene: its state, its tool, and what actions make of its actuators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from zoo.envs.kinematics.chain import Chain
from zoo.envs.kinematics.poses import (
    Array,
    compose,
    invert,
    pose7,
    quat_from_matrix,
    quat_from_yaw,
    rotate,
    wrapped,
    yaw_of,
)
from zoo.envs.robots.gripper import CTRL_CLOSED, MAX_OPENING_M
from zoo.envs.robots.planar_base import check_upright
from zoo.envs.robots.robot import Mode, MoveGroup, Robot
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError

MAX_NOISE_DRAWS = 1000


class RobotView:
    """Reads and commands one robot of a model. Poses come from `data`: after changing positions, `mj_forward` it.

    Args:
        robot: What was built.
        model: Holds it.
        data: Its state.
        prefix: It was built with.
    """

    def __init__(self, robot: Robot, model: mujoco.MjModel, data: mujoco.MjData, prefix: str) -> None:
        self.robot, self.model, self.data, self.prefix = robot, model, data, prefix
        self.base_id = _find(model, mujoco.mjtObj.mjOBJ_BODY, f"{prefix}base", robot)
        self._qpos: dict[str, np.ndarray] = {}
        self._dof: dict[str, np.ndarray] = {}
        self._ctrl: dict[str, np.ndarray] = {}
        self._tcp: dict[str, int] = {}
        self._chains: dict[str, Chain] = {}
        for group in robot.groups:
            joints = [_find(model, mujoco.mjtObj.mjOBJ_JOINT, prefix + name, robot) for name in group.joints]
            self._qpos[group.name], self._dof[group.name] = model.jnt_qposadr[joints], model.jnt_dofadr[joints]
            self._ctrl[group.name] = np.array(
                [_find(model, mujoco.mjtObj.mjOBJ_ACTUATOR, prefix + name, robot) for name in group.actuators]
            )
            if group.tcp is not None:
                self._tcp[group.name] = _find(model, mujoco.mjtObj.mjOBJ_SITE, prefix + group.tcp, robot)
        root = int(model.body_rootid[self.base_id])
        self.body_ids = np.flatnonzero(model.body_rootid == root)
        self.geom_ids = np.flatnonzero(np.isin(model.geom_bodyid, self.body_ids))

    def qpos(self, group: str) -> Array:
        """Joint positions of a group: a copy."""
        return self.data.qpos[self._index(self._qpos, group)]

    def qpos_addresses(self, group: str) -> np.ndarray:
        """Where the joint positions of a group lie in `data.qpos`."""
        return self._index(self._qpos, group)

    def qvel(self, group: str) -> Array:
        """Joint velocities of a group: a copy."""
        return self.data.qvel[self._index(self._dof, group)]

    def ctrl(self, group: str) -> Array:
        """What the actuators of a group are told: a copy."""
        return self.data.ctrl[self._index(self._ctrl, group)]

    def set_qpos(self, positions: Mapping[str, ArrayLike]) -> None:
        """Put groups into positions, at rest, with actuators that hold them there."""
        for name, values in positions.items():
            group = self.robot.group(name)
            self.data.qpos[self._qpos[name]] = _checked(values, len(group.joints), f"positions of {name!r}")
            self.data.qvel[self._dof[name]] = 0
            self.data.ctrl[self._ctrl[name]] = self.noop_ctrl(name)

    def start_qpos(self, rng: np.random.Generator | None = None) -> dict[str, Array]:
        """Home positions of all groups but the base, with the start noise of the sheet.

        Args:
            rng: Draws the noise; without it, home exactly.
        """
        return {
            group.name: self._noisy_home(group, rng) if rng is not None and group.noise else np.array(group.home)
            for group in self.robot.groups
            if group.kind != "base"
        }

    def noop_ctrl(self, group: str) -> Array:
        """Actuator values that hold a group where it is."""
        if self.robot.group(group).kind == "gripper":
            return np.array([CTRL_CLOSED * np.clip(self.gripper_closed(group), 0, 1)])
        return self.qpos(group)

    def hold(self) -> None:
        """Tell every group to stay where it is, but a gripper to go on with what it does."""
        for group in self.robot.groups:
            if group.kind != "gripper":
                self.data.ctrl[self._ctrl[group.name]] = self.noop_ctrl(group.name)

    def base_pose(self) -> Array:
        """world_from_base, pose7."""
        return pose7(self.data.xpos[self.base_id], self.data.xquat[self.base_id])

    def set_base_pose(self, base_pose7: ArrayLike) -> None:
        """Put the robot elsewhere, at rest, base actuators included.

        Raises:
            ConfigError: the pose leans or has another height, and the base has wheels.
        """
        pose = _checked(base_pose7, 7, "base_pose7")
        mocap = int(self.model.body_mocapid[self.base_id])
        if mocap >= 0:
            self.data.mocap_pos[mocap], self.data.mocap_quat[mocap] = pose[:3], pose[3:]
            return
        check_upright(pose, self.prefix)
        floor = float(self.model.body_pos[self.model.body_parentid[self.base_id], 2])
        if abs(pose[2] - floor) > 1e-3:
            raise ConfigError(f"base of {self.prefix!r} is at height {floor:g} m and has wheels, not {pose[2]:g} m")
        self.set_qpos({"base": [pose[0], pose[1], float(yaw_of(pose[3:]))]})

    def tcp_pose(self, group: str, *, in_world: bool = False) -> Array:
        """Pose7 of a group's tool or leaf frame, in the base or in the world.

        Raises:
            ConfigError: the group has no such frame.
        """
        site = self._tcp_id(group)
        pose = pose7(self.data.site_xpos[site], quat_from_matrix(self.data.site_xmat[site].reshape(3, 3)))
        return pose if in_world else compose(invert(self.base_pose()), pose)

    def gripper_closed(self, group: str) -> float:
        """0 open to 1 closed."""
        return float(self.qpos(group).sum() / MAX_OPENING_M)

    def chain(self, group: str) -> Chain:
        """Kinematics from the base to a group's tool, other joints as they are at the first call or `refresh_chain`."""
        if group not in self._chains:
            self.refresh_chain(group)
        return self._chains[group]

    def refresh_chain(self, group: str) -> None:
        """Take the joints below an arm (a torso, a lift) as they are now."""
        site = self.model.site(self._tcp_id(group)).name
        joints = [self.prefix + name for name in self.robot.group(group).joints]
        self._chains[group] = Chain(
            self.model, joints=joints, site=site, root=f"{self.prefix}base", qpos=self.data.qpos
        )

    def state_vector(self, groups: Sequence[str] | None = None) -> np.ndarray:
        """Positions in one row, float32: joints of each group, of a gripper one number, 0 open to 1 closed.

        Args:
            groups: In this order; None is all but the base.
        """
        names = [g.name for g in self.robot.groups if g.kind != "base"] if groups is None else groups
        parts = [
            [self.gripper_closed(name)] if self.robot.group(name).kind == "gripper" else self.qpos(name)
            for name in names
        ]
        return np.concatenate(parts).astype(np.float32)

    def command(self, action: Mapping[str, ArrayLike], modes: Mapping[str, Mode] | None = None) -> None:
        """Set the targets of the groups that an action names; the others keep theirs. Targets are kept within limits.

        Args:
            action: Values by group, as in `Robot.action_space`; relative ones count from the measured positions.
            modes: What they mean, by group; the usual mode where a group is not named.
        Raises:
            ConfigError: an unknown group or mode, another size, or a value that is not finite. Nothing is set then.
        """
        asked = modes or {}
        targets = {}
        for name, values in action.items():
            group = self.robot.group(name)
            mode = group.mode(asked.get(name))
            lower, upper = group.bounds(mode)
            asked_for = _checked(values, len(lower), f"action of {name!r} ({mode})")
            target = TARGETS[mode](self, group, np.clip(asked_for, lower, upper))
            targets[name] = np.clip(target, *np.array(group.limits).T)
        for name, target in targets.items():
            self.data.ctrl[self._ctrl[name]] = target

    def _noisy_home(self, group: MoveGroup, rng: np.random.Generator) -> Array:
        noise, home = np.array(group.noise), np.array(group.home)
        if group.kind == "gripper":  # both fingers as one
            lower, upper = np.zeros(2), np.full(2, MAX_OPENING_M / 2)
            return np.clip(home + rng.uniform(-1, 1) * noise, lower, upper)
        lower, upper = np.array(group.limits).T
        for _ in range(MAX_NOISE_DRAWS):
            start = np.clip(home + rng.uniform(-noise, noise), lower, upper)
            if group.tcp is None or not np.isfinite(group.max_tcp_shift_m):
                return start
            places = self.chain(group.name).forward(np.stack([home, start]))[:, :3]
            if np.linalg.norm(places[1] - places[0]) <= group.max_tcp_shift_m:
                return start
        raise ConfigError(
            f"start noise of {group.name!r} moved its tool by more than {group.max_tcp_shift_m:g} m in "
            f"{MAX_NOISE_DRAWS} draws; give less noise"
        )

    def _tcp_id(self, group: str) -> int:
        self.robot.group(group)
        if group not in self._tcp:
            raise ConfigError(f"move group {group!r} has no tool; these have: {', '.join(self._tcp)}")
        return self._tcp[group]

    def _index(self, table: Mapping[str, np.ndarray], group: str) -> np.ndarray:
        self.robot.group(group)
        return table[group]


def _absolute(view: RobotView, group: MoveGroup, values: Array) -> Array:
    return values


def _relative(view: RobotView, group: MoveGroup, values: Array) -> Array:
    return values + (view.ctrl(group.name) if group.kind == "gripper" else view.qpos(group.name))


def _planar(view: RobotView, group: MoveGroup, values: Array) -> Array:
    yaw = view.qpos(group.name)[2]
    return np.array([*values[:2], yaw + wrapped(values[2] - yaw)])  # the shorter way round


def _planar_relative(view: RobotView, group: MoveGroup, values: Array) -> Array:
    now = view.qpos(group.name)
    step = rotate(quat_from_yaw(now[2]), [values[0], values[1], 0])
    return now + np.array([step[0], step[1], values[2]])


def _height(view: RobotView, group: MoveGroup, values: Array) -> Array:
    return np.array(group.height) * values[0]


TARGETS: Mapping[Mode, Callable[[RobotView, MoveGroup, Array], Array]] = {
    "joint_position": _absolute,
    "joint_rel_position": _relative,
    "holo_joint_planar_position": _planar,
    "holo_joint_rel_planar_position": _planar_relative,
    "height": _height,
}


def _checked(values: ArrayLike, size: int, what: str) -> Array:
    array = np.asarray(values, np.float64)
    if array.shape != (size,):
        raise ConfigError(f"{what} has shape {array.shape}, expected ({size},)")
    if not np.isfinite(array).all():
        raise ConfigError(f"{what} is {array.tolist()}, expected finite numbers")
    return array


def _find(model: mujoco.MjModel, kind: mujoco.mjtObj, name: str, robot: Robot) -> int:
    number = mujoco.mj_name2id(model, kind, name)
    if number < 0:
        raise ConfigError(
            f"the model has no {kind.name.removeprefix('mjOBJ_').lower()} {name!r} of robot {robot.name!r}; build it "
            "with add_to and the same prefix before compiling"
        )
    return number
