"""Discrete moves without physics: effects of SPOC's actions that take place as a whole or, when blocked, not at all.

A move goes through small steps; at each, shapes of the robot and of what it carries are tested against what is near.
That costs far less than physics, and nothing but the robot and its load is moved.
Source: sheet of SPOC and RING sections 1.2 (limits, noise, when an action counts as successful) and 2.9 (a blocked move
leaves the pose unchanged). The size of each action is in `zoo.navigation_actions`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zoo.envs.kinematics.poses import Array, compose, invert, pose7
from zoo.envs.robots.view import RobotView
from zoo.envs.scenes.physics import collides
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError
from zoo.navigation_actions import Effect, SpocAction

MAX_STEP_M, MAX_STEP_TURN = 0.05, math.radians(10)  # between two tests of one move
TOUCH_M = 0.001  # shapes that overlap by less do not block
TRANSLATION_NOISE_M, ROTATION_NOISE_DEG = 0.01, 0.5  # standard deviations
MIN_MOVE_M, MIN_TURN = 0.01, math.radians(2)  # smaller changes of the base count as failures
MIN_ARM_M, MIN_WRIST = 1e-3, math.radians(1e-3)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a move.

    Args:
        moved: The measured change is large enough to count.
        blocked_by: Geom that stood in the way, or None.
    """

    moved: bool
    blocked_by: int | None = None


class DiscreteActions(ABC):
    """SPOC's twenty actions on one robot in one scene."""

    mover: DiscreteMover

    @property
    def held(self) -> int | None:
        """Body in the hand."""
        return self.mover.carried

    @abstractmethod
    def step(self, action: SpocAction, *, rng: np.random.Generator | None = None) -> Outcome:
        """Carry out an action; `done` and `sub_done`, which are only said, always succeed.

        Args:
            action: Which of the twenty; one that this robot lacks does nothing and fails.
            rng: Draws the noise of the base; none without it.
        """

    def sensors(self) -> dict[str, np.ndarray]:
        """What the robot measures of itself beside its base's pose, float32 by name."""
        return {}


class DiscreteMover:
    """Moves a robot on wheels in steps, and what it carries with it.

    Args:
        view: Of the robot; its base has joints x, y and yaw.
        arm: Group with a lift, an extension and a wrist, in the order lift, parts of the extension, wrist; or None.
    """

    def __init__(self, view: RobotView, *, arm: str | None = None) -> None:
        self.view, self.arm = view, arm
        model = view.model
        self._carried: int | None = None
        self._tool_from_carried = np.zeros(7)
        self._solid = collides(model)
        self._is_own = np.isin(np.arange(model.ngeom), view.geom_ids)
        self._shapes = self._sorted_shapes()
        self._addresses = {name: view.qpos_addresses(name) for name in (("base",) if arm is None else ("base", arm))}

    @property
    def carried(self) -> int | None:
        """Body that moves with the tool."""
        return self._carried

    def carry(self, body: int | None) -> None:
        """Take a body along with the arm's tool from now on, or none.

        Raises:
            ConfigError: the body has no free joint, or the robot no arm.
        """
        if body is not None:
            if self.arm is None:
                raise ConfigError(f"robot {self.view.robot.name!r} has no arm to carry with")
            model, data = self.view.model, self.view.data
            first = int(model.body_jntadr[body])
            if first < 0 or int(model.jnt_type[first]) != int(mujoco.mjtJoint.mjJNT_FREE):
                raise ConfigError(f"body {model.body(body).name!r} has no free joint, so it cannot be carried")
            tool = self.view.tcp_pose(self.arm, in_world=True)
            self._tool_from_carried = compose(invert(tool), pose7(data.xpos[body], data.xquat[body]))
        self._carried = body
        self._shapes = self._sorted_shapes()

    def move(self, effect: Effect, *, rng: np.random.Generator | None = None) -> Outcome:
        """Bring an effect about, or leave everything as it was.

        Args:
            effect: Of an action, or of one's own.
            rng: Draws the noise of the base's moves; none without it.
        """
        effect = _with_noise(effect, rng) if rng is not None else effect
        start = self._positions()
        end = self._after(start, effect)
        number = max(1, math.ceil(_steps_between(start, end) - 1e-9))
        surroundings: _Surroundings | None = None
        for step in range(1, number + 1):
            self._pass({name: start[name] + (end[name] - start[name]) * step / number for name in start})
            if surroundings is None:
                surroundings = self._surroundings(start, end)
            obstacle = self._blocking(start, surroundings)
            if obstacle is not None:
                self._place(start)
                self._finish()
                return Outcome(moved=False, blocked_by=obstacle)
        self.view.set_qpos(end)
        self._finish()
        return Outcome(moved=_counts(start, end))

    def _positions(self) -> dict[str, Array]:
        return {name: self.view.data.qpos[addresses] for name, addresses in self._addresses.items()}

    def _after(self, start: Mapping[str, Array], effect: Effect) -> dict[str, Array]:
        """Positions at the end, within limits."""
        x, y, yaw = start["base"]
        step, turn = effect.forward_m, math.radians(effect.turn_deg)
        end = {"base": np.array([x + step * math.cos(yaw), y + step * math.sin(yaw), yaw + turn])}
        if self.arm is not None:
            group = self.view.robot.group(self.arm)
            parts = len(group.joints) - 2
            segments = (effect.extend_m / parts,) * parts
            change = np.array([effect.lift_m, *segments, math.radians(effect.wrist_deg)])
            lower, upper = np.array(group.limits).T
            end[self.arm] = np.clip(start[self.arm] + change, lower, upper)
        return end

    def _place(self, positions: Mapping[str, Array]) -> None:
        """Be at positions and at rest."""
        self.view.set_qpos(positions)
        self._pass(positions)

    def _pass(self, positions: Mapping[str, Array]) -> None:
        """Come through positions; speeds and actuators are left as they are."""
        view = self.view
        for name, values in positions.items():
            view.data.qpos[self._addresses[name]] = values
        mujoco.mj_kinematics(view.model, view.data)
        if self._carried is not None:
            pose = compose(view.tcp_pose(self.arm, in_world=True), self._tool_from_carried)
            joint = int(view.model.body_jntadr[self._carried])
            address, dof = int(view.model.jnt_qposadr[joint]), int(view.model.jnt_dofadr[joint])
            view.data.qpos[address : address + 7] = pose
            view.data.qvel[dof : dof + 6] = 0
            mujoco.mj_kinematics(view.model, view.data)

    def _finish(self) -> None:
        """What pictures need beside positions."""
        mujoco.mj_comPos(self.view.model, self.view.data)
        mujoco.mj_camlight(self.view.model, self.view.data)

    def _sorted_shapes(self) -> _Shapes:
        """What moves now, and what that may run into."""
        model = self.view.model
        moving = self._is_own.copy()
        if self._carried is not None:
            moving |= model.body_rootid[model.geom_bodyid] == model.body_rootid[self._carried]
        own, others = np.flatnonzero(self._solid & moving), np.flatnonzero(self._solid & ~moving)
        types, affinities = model.geom_contype, model.geom_conaffinity
        meets = (types[own][:, None] & affinities[others]) | (types[others] & affinities[own][:, None])
        is_plane = model.geom_type[others] == int(mujoco.mjtGeom.mjGEOM_PLANE)
        return _Shapes(own, others, meets != 0, (meets != 0).any(axis=0), is_plane)

    def _surroundings(self, start: Mapping[str, Array], end: Mapping[str, Array]) -> _Surroundings:
        """What the robot may meet on a move, from somewhere along which this is asked."""
        shapes, (model, data) = self._shapes, (self.view.model, self.view.data)
        places, radii = data.geom_xpos[shapes.own], model.geom_rbound[shapes.own]
        middle = places.mean(axis=0)
        around = float(np.max(np.linalg.norm(places - middle, axis=1) + radii))
        axis = data.xpos[self.view.base_id, :2]
        reach = float(np.max(np.hypot(*(places[:, :2] - axis).T) + radii))
        radius = around + _farthest(start, end, reach)
        apart = data.geom_xpos[shapes.others] - middle
        is_near = np.square(apart).sum(axis=1) <= np.square(radius + model.geom_rbound[shapes.others])
        near = _Surroundings.of(shapes, data, model, np.flatnonzero((is_near | shapes.is_plane) & shapes.is_met))
        return near.only(near.reached(middle[None], np.array([radius]))[0])

    def _blocking(self, start: Mapping[str, Array], surroundings: _Surroundings) -> int | None:
        """A geom that is deeper in the robot than it was at the start, or None."""
        for own, other, depth in self._overlaps(surroundings):
            here = self._positions()
            self._place(start)
            before = -_distance(self.view, own, other)
            self._place(here)
            if depth > before + 1e-4:  # a robot that stands in something may leave it
                return other
        return None

    def _overlaps(self, surroundings: _Surroundings) -> list[tuple[int, int, float]]:
        """Pairs of own and other geoms that overlap, and by how much (m)."""
        own = self._shapes.own
        reached = surroundings.reached(self.view.data.geom_xpos[own], self.view.model.geom_rbound[own])
        found = []
        for k, g in np.argwhere(reached & surroundings.meets):
            pair = int(own[k]), int(surroundings.others[g])
            depth = -_distance(self.view, *pair)
            if depth > TOUCH_M:
                found.append((*pair, depth))
        return found


@dataclass(frozen=True, slots=True)
class _Shapes:
    """Geoms by who moves.

    Args:
        own: (own,) of the robot and its load.
        others: (others,) that collide.
        meets: (own, others) bool: pairs that collide with each other.
        is_met: (others,) bool: collide with any own.
        is_plane: (others,) bool.
    """

    own: np.ndarray
    others: np.ndarray
    meets: np.ndarray
    is_met: np.ndarray
    is_plane: np.ndarray


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """Some of what stands still during a move.

    Args:
        others: (others,) geoms.
        meets: (own, others) bool, as of `_Shapes`.
        is_plane: (others,) bool.
        places_m: (others, 3) in the world.
        axes: (others, 3, 3).
        boxes_m: (others, 6) middle and half extents of the box around each, along its axes.
    """

    others: np.ndarray
    meets: np.ndarray
    is_plane: np.ndarray
    places_m: Array
    axes: Array
    boxes_m: Array

    @classmethod
    def of(cls, shapes: _Shapes, data: mujoco.MjData, model: mujoco.MjModel, chosen: np.ndarray) -> _Surroundings:
        """Those others whose places in the list are given."""
        others = shapes.others[chosen]
        return cls(
            others,
            shapes.meets[:, chosen],
            shapes.is_plane[chosen],
            data.geom_xpos[others],
            data.geom_xmat[others].reshape(-1, 3, 3),
            model.geom_aabb[others],
        )

    def only(self, chosen: np.ndarray) -> _Surroundings:
        """Those of a mask (others,)."""
        parts = self.is_plane, self.places_m, self.axes, self.boxes_m
        return _Surroundings(self.others[chosen], self.meets[:, chosen], *(part[chosen] for part in parts))

    def reached(self, centres_m: Array, radii_m: Array) -> np.ndarray:
        """(spheres, others) bool: spheres of centres (n, 3) and radii (n,) that reach into the box around a geom."""
        offset = np.einsum("soi,oij->soj", centres_m[:, None] - self.places_m, self.axes)
        beyond = np.abs(offset - self.boxes_m[:, :3]) - self.boxes_m[:, 3:]
        reaches = np.square(np.maximum(beyond, 0)).sum(axis=2) <= np.square(radii_m)[:, None]
        return reaches | self.is_plane  # a plane has no box around it


def _farthest(start: Mapping[str, Array], end: Mapping[str, Array], reach_m: float) -> float:
    """How far no point of a robot comes in a move, if none is farther than so much from its axis (m)."""
    base = end["base"] - start["base"]
    arms = [np.abs(end[name] - start[name]) for name in start if name != "base"]
    straight = float(np.linalg.norm(base[:2])) + sum(float(arm[:-1].sum()) for arm in arms)
    return straight + (abs(float(base[2])) + sum(float(arm[-1]) for arm in arms)) * (reach_m + straight)


def _distance(view: RobotView, first: int, second: int) -> float:
    return float(mujoco.mj_geomDistance(view.model, view.data, first, second, TOUCH_M, None))


def _steps_between(start: Mapping[str, Array], end: Mapping[str, Array]) -> float:
    """How many largest steps lie between two positions."""
    base = end["base"] - start["base"]
    arms = [np.abs(end[name] - start[name]) for name in start if name != "base"]
    lengths = [float(np.linalg.norm(base[:2])), *(float(max(arm[0], arm[1:-1].sum())) for arm in arms)]
    turns = [abs(float(base[2])), *(float(arm[-1]) for arm in arms)]
    return max(max(lengths) / MAX_STEP_M, max(turns) / MAX_STEP_TURN)


def _counts(start: Mapping[str, Array], end: Mapping[str, Array]) -> bool:
    base = np.abs(end["base"] - start["base"])
    if np.linalg.norm(base[:2]) > MIN_MOVE_M or base[2] > MIN_TURN:
        return True
    arms = [np.abs(end[name] - start[name]) for name in start if name != "base"]
    return any(arm[0] > MIN_ARM_M or arm[1:-1].sum() > MIN_ARM_M or arm[-1] > MIN_WRIST for arm in arms)


def _with_noise(effect: Effect, rng: np.random.Generator) -> Effect:
    """Noise on what the base is told to do."""
    if effect.forward_m:
        return replace(effect, forward_m=effect.forward_m + rng.normal(0, TRANSLATION_NOISE_M))
    if effect.turn_deg:
        return replace(effect, turn_deg=effect.turn_deg + rng.normal(0, ROTATION_NOISE_DEG))
    return effect


def nearest_within(data: mujoco.MjData, bodies: Sequence[int], centre_m: Array, radius_m: float) -> int | None:
    """The body of those whose centre of mass is in a sphere that is nearest to its middle, or None."""
    if not len(bodies):
        return None
    gaps = np.linalg.norm(data.xipos[list(bodies)] - centre_m, axis=1)
    best = int(np.argmin(gaps))
    return int(bodies[best]) if gaps[best] <= radius_m else None
