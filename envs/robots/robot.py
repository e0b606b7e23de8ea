"""Contract of robots: what they are made of, how they enter a scene, and how they are commanded in it.

A robot is move groups: an arm, a gripper, a base, a torso, a head. An action maps names of groups to arrays.
Frame of a robot: +x forward, +y left, +z up, origin on the floor. Metres and radians; gripper commands 0 open to 255
closed. Source: sheet of MolmoSpaces sections 2, 5 and 9.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from gymnasium import spaces

from zoo.envs.robots.cameras import CameraSystem
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError

if TYPE_CHECKING:
    from zoo.envs.robots.discrete_moves import DiscreteActions
    from zoo.envs.robots.view import RobotView

Mode = Literal[
    "joint_position", "joint_rel_position", "holo_joint_planar_position", "holo_joint_rel_planar_position", "height"
]
GroupKind = Literal["arm", "gripper", "base", "torso", "head"]
RELATIVE: tuple[Mode, ...] = ("joint_rel_position", "holo_joint_rel_planar_position")


@dataclass(frozen=True, kw_only=True, slots=True)
class Clocks:
    """Three nested clocks, seconds.

    Args:
        sim_dt: One step of physics.
        ctrl_dt: Between two updates of a controller.
        policy_dt: Between two actions.

    Raises:
        ConfigError: they do not divide evenly.
    """

    sim_dt: float
    ctrl_dt: float
    policy_dt: float

    def __post_init__(self) -> None:
        for inner, outer in ((self.sim_dt, self.ctrl_dt), (self.ctrl_dt, self.policy_dt)):
            if inner <= 0 or outer < inner or not math.isclose(outer / inner, round(outer / inner), abs_tol=1e-6):
                raise ConfigError(
                    f"clocks {self.sim_dt:g}, {self.ctrl_dt:g} and {self.policy_dt:g} s do not divide evenly: each "
                    "must be a multiple of the one before"
                )

    @property
    def policy_steps(self) -> int:
        """Physics steps in one policy step."""
        return round(self.policy_dt / self.sim_dt)


@dataclass(frozen=True, kw_only=True, slots=True)
class MoveGroup:
    """Joints that are commanded together. Names are the robot's own, without its prefix.

    Args:
        name: Key of actions and observations.
        kind: What sort of part it is.
        joints: In the order of its positions.
        actuators: In the order of its commands; where there are as many as joints, one for each.
        modes: What its commands can mean, the usual one first.
        limits: Lower and upper command, per actuator.
        max_step: Largest relative command, per actuator; as far as `limits` reach where empty.
        home: Positions at the start, per joint.
        noise: Half width of the uniform start noise, per joint; none where empty.
        max_tcp_shift_m: Start noise that moves the tool farther is drawn again.
        tcp: Site of the tool or leaf frame.
        height: Positions per unit of a `height` command, per joint.
        height_limits: Of that command.
    """

    name: str
    kind: GroupKind
    joints: tuple[str, ...]
    actuators: tuple[str, ...]
    modes: tuple[Mode, ...]
    limits: tuple[tuple[float, float], ...]
    home: tuple[float, ...]
    max_step: tuple[float, ...] = ()
    noise: tuple[float, ...] = ()
    max_tcp_shift_m: float = math.inf
    tcp: str | None = None
    height: tuple[float, ...] = ()
    height_limits: tuple[float, float] = (0.0, 0.0)

    def mode(self, asked: Mode | None = None) -> Mode:
        """The asked mode, or the usual one.

        Raises:
            ConfigError: this group has no such mode.
        """
        if asked is None:
            return self.modes[0]
        if asked not in self.modes:
            raise ConfigError(f"move group {self.name!r} has no mode {asked!r}; it has {', '.join(self.modes)}")
        return asked

    def bounds(self, mode: Mode | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest command of a mode, each (size,)."""
        mode = self.mode(mode)
        if mode == "height":
            return np.array(self.height_limits[:1]), np.array(self.height_limits[1:])
        lower, upper = np.array(self.limits, np.float64).T
        if mode not in RELATIVE:
            return lower, upper
        step = np.array(self.max_step) if self.max_step else upper - lower
        return -step, step


class Robot(ABC):
    """A kind of robot, before it stands in a scene."""

    kind: ClassVar[str] = "robot"
    example_args: ClassVar[dict[str, Any]] = {}
    is_discrete: ClassVar[bool] = False
    """It acts by SPOC's twenty actions and without physics, rather than by commands of move groups."""
    sensor_sizes: ClassVar[Mapping[str, int]] = MappingProxyType({})
    """How many numbers each sensor of its discrete actions has, by name."""

    name: str
    """What episodes call it."""
    clocks: Clocks
    """The usual ones."""
    groups: tuple[MoveGroup, ...]
    camera_systems: Mapping[str, CameraSystem]
    """By name, the usual one first."""

    @abstractmethod
    def add_to(self, spec: mujoco.MjSpec, *, prefix: str = "robot_0/", base_pose7: Sequence[float]) -> mujoco.MjsBody:
        """Build it into a scene.

        Args:
            spec: Of the scene.
            prefix: Of the names of all its parts.
            base_pose7: Where it stands, in the world.
        Returns:
            The body called `<prefix>base`, in the robot's frame.
        """

    def embodiment(self) -> list[float] | None:
        """The nineteen numbers of a body of RING's, as `policy_episode` records have them; None of others."""
        return None

    def group(self, name: str) -> MoveGroup:
        """A move group by name.

        Raises:
            ConfigError: there is none.
        """
        for group in self.groups:
            if group.name == name:
                return group
        known = ", ".join(group.name for group in self.groups)
        raise ConfigError(f"robot {self.name!r} has no move group {name!r}; it has {known}")

    def action_space(self, modes: Mapping[str, Mode] | None = None) -> spaces.Dict:
        """Boxes of the commands that a view takes, float64, by group.

        Args:
            modes: By group; the usual one where a group is not named.
        """
        asked = modes or {}
        for name in asked:
            self.group(name)
        boxes = {}
        for group in self.groups:
            lower, upper = group.bounds(asked.get(group.name))
            boxes[group.name] = spaces.Box(lower, upper, dtype=np.float64)
        return spaces.Dict(boxes)

    def bind(self, model: mujoco.MjModel, data: mujoco.MjData, *, prefix: str = "robot_0/") -> RobotView:
        """Connect to the robot that `add_to` built with this prefix.

        Raises:
            ConfigError: the model lacks a part.
        """
        from zoo.envs.robots.view import RobotView

        return RobotView(self, model, data, prefix)

    def actions(self, view: RobotView, *, pickupable: Sequence[int] = ()) -> DiscreteActions:
        """SPOC's actions on this robot in a scene.

        Args:
            view: Of this robot.
            pickupable: Bodies that it may take.
        Raises:
            ConfigError: it is commanded by move groups.
        """
        raise ConfigError(f"robot {self.name!r} is commanded by its move groups, not by discrete actions")
