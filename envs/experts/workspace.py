"""What an expert plans in: the arm's kinematics, and a copy of the scene in which it may try things out.

The running simulation is only read. A copy costs 0.1 ms, a collision test of the whole scene less, because everything
that sleeps is tested against what moves alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.envs.kinematics.inverse import Solution, solve
from zoo.envs.kinematics.poses import Array, compose, invert
from zoo.envs.robots.gripper import CTRL_CLOSED, MAX_OPENING_M, opening_of
from zoo.envs.simulation.environment import EpisodeEnv
from zoo.envs.simulation.world import World
from zoo.envs.simulator import mujoco

ARM, GRIPPER = "arm", "gripper"
CONTACT_DEPTH_M = 0.001
"""Shapes that overlap by less touch without being in each other's way: that is what lies on a table does."""
IK_RESTARTS, IK_ITERATIONS, IK_TOLERANCE = 1, 40, 5e-4
"""Of inverse kinematics here: out of many targets some do, and the rest should not cost much."""
ELBOWS = ((0.0, 0.0), (-0.7, 0.9), (0.7, -0.9), (-1.3, 1.7), (1.3, -1.7))
"""Changes of the first and third joint that swing the elbow of the home posture to the sides, radians."""
HANGING_S = 0.3
"""For which an object must stay in the hand when a grasp is rehearsed."""


@dataclass(frozen=True, slots=True)
class Held:
    """An object in the hand.

    Args:
        name: Its root body.
        tcp_from_object: pose7.
    """

    name: str
    tcp_from_object: Array


class Workspace:
    """One arm with a parallel gripper in one scene.

    Args:
        env: Freshly reset; its simulation is never changed.
    """

    def __init__(self, env: EpisodeEnv) -> None:
        simulation = env.simulation
        assert simulation is not None, "an expert begins after the reset of its environment"
        self.model, self.view, self.world = simulation.model, simulation.view, simulation.world
        self.dt, self.sim_steps = simulation.clocks.policy_dt, simulation.clocks.policy_steps
        self.home = np.array(simulation.robot.group(ARM).home)
        self.postures = tuple(self.home + np.array([first, 0, third, 0, 0, 0, 0]) for first, third in ELBOWS)
        self.chain = self.view.chain(ARM)
        self._live = simulation.data
        self.data = mujoco.MjData(self.model)
        self.trial = World(self.model, self.data, objects=self.world.objects)
        self._base = self.view.base_pose()
        model, view = self.model, self.view
        names = [view.prefix + name for name in simulation.robot.group(GRIPPER).joints]
        self._fingers = np.array([int(model.joint(name).qposadr[0]) for name in names])
        arm_actuators = simulation.robot.group(ARM).actuators
        self._arm_actuators = np.array([model.actuator(view.prefix + name).id for name in arm_actuators])
        self._hand_actuator = model.actuator(view.prefix + simulation.robot.group(GRIPPER).actuators[0]).id
        self.robot_root = int(model.body_rootid[view.base_id])
        self._root_of_geom = model.body_rootid[model.geom_bodyid]
        self._moves = np.isin(model.geom_bodyid, [body for body in view.body_ids if _hangs_on_joint(model, body)])
        hand = int(model.body_parentid[model.jnt_bodyid[model.joint(names[0]).id]])
        self._hand = frozenset(body for body in map(int, view.body_ids) if _is_below(model, body, hand))
        self._resting: frozenset[tuple[int, int]] = frozenset()
        self.sync()

    def sync(self) -> None:
        """Take the scene as it is now; what the robot touches now is no collision from here on."""
        mujoco.mj_copyData(self.data, self.model, self._live)
        self._resting = frozenset()
        mujoco.mj_kinematics(self.model, self.data)
        in_hand = {root for pair in self._touching(set()) for root in map(int, self._root_of_geom[list(pair)])}
        self._resting = frozenset(self._touching(in_hand - {0, self.robot_root}))

    @property
    def q(self) -> Array:
        """(joints,) of the arm, measured."""
        return self.view.qpos(ARM)

    @property
    def told(self) -> Array:
        """(joints,) that the arm was last told."""
        return self.view.ctrl(ARM)

    @property
    def opening_m(self) -> float:
        """Between the pads, measured."""
        return opening_of(self.view.qpos(GRIPPER))

    def tcp(self, q: Array) -> Array:
        """world_from_tcp (..., 7) at arm positions (..., joints)."""
        return compose(self._base, self.chain.forward(q))

    def inverse(
        self, poses: Array, start: Array, *, rng: np.random.Generator | None = None, posture: Array | None = None
    ) -> Solution:
        """Arm positions that bring the tool to world poses.

        Args:
            poses: (n, 7) or (7,).
            start: Where the search begins, (joints,) or (n, joints).
            rng: Where it begins again after it failed; without one it does not.
            posture: What free joints drift to; None is the start.
        """
        targets = compose(invert(self._base), poses)
        return solve(
            self.chain,
            targets,
            initial=start,
            posture=posture,
            tolerance=IK_TOLERANCE,
            max_iterations=IK_ITERATIONS,
            restarts=0 if rng is None else IK_RESTARTS,
            rng=rng,
        )

    def put_arm(self, q: Array, opening_m: float) -> None:
        """Put the arm of the copy somewhere."""
        self.data.qpos[self.chain.qpos_index] = q
        self.data.qpos[self._fingers] = (MAX_OPENING_M - opening_m) / 2

    def put_object(self, name: str, pose7: Array) -> None:
        """Put a free object of the copy somewhere."""
        self.data.qpos[self._free_address(name) : self._free_address(name) + 7] = pose7

    def put_joint(self, joint: int, position: float) -> None:
        """Put a hinge or slide of the copy somewhere."""
        self.data.qpos[self.model.jnt_qposadr[joint]] = position

    def is_free(self, q: Array, opening_m: float, *, held: Held | None = None, allowed: Collection[int] = ()) -> bool:
        """Whether the arm touches nothing there, nor does what it holds.

        Args:
            q: Arm positions (joints,).
            opening_m: Of the gripper.
            held: What moves with the hand.
            allowed: Bodies that the hand may touch.
        """
        self.put_arm(q, opening_m)
        own: set[int] = set()
        if held is not None:
            self.put_object(held.name, compose(self.tcp(q), held.tcp_from_object))
            own.add(self.world.root(held.name))
        mujoco.mj_kinematics(self.model, self.data)
        for first, second in self._touching(own):
            if (first, second) not in self._resting and not self._may_touch(first, second, allowed):
                return False
        return True

    def bodies_of(self, name: str) -> frozenset[int]:
        """All bodies of an object."""
        return frozenset(map(int, np.flatnonzero(self.model.body_rootid == self.world.root(name))))

    def object_is_free(self, name: str, pose7: Array) -> bool:
        """Whether an object would touch nothing but the robot at a pose."""
        self.put_object(name, pose7)
        mujoco.mj_kinematics(self.model, self.data)
        root = self.world.root(name)
        mujoco.mj_collision(self.model, self.data)
        return not any(
            root in pair and self.robot_root not in pair and pair[0] != pair[1] for pair in self._root_pairs()
        )

    def rehearse(self, name: str, q: Array, lift: Array, close_s: float) -> float:
        """Close the hand around an object and lift it, in the copy.

        Args:
            name: Root body of the object.
            q: Arm positions of the grasp.
            lift: (steps, joints), one for each policy step.
            close_s: Seconds of closing.
        Returns:
            Metres that the object rose and stays there; 0 if something beside the robot touches it then.
        """
        self.sync()
        data, model = self.data, self.model
        self.put_arm(q, MAX_OPENING_M)
        data.qvel[:] = 0
        data.ctrl[self._arm_actuators], data.ctrl[self._hand_actuator] = q, CTRL_CLOSED
        start = self.trial.position(name)[2]
        mujoco.mj_step(model, data, nstep=round(close_s / model.opt.timestep))
        for target in lift:
            data.ctrl[self._arm_actuators] = target
            mujoco.mj_step(model, data, nstep=self.sim_steps)
        mujoco.mj_step(model, data, nstep=round(HANGING_S / model.opt.timestep))
        rose = float(self.trial.position(name)[2] - start)
        touching = {int(root) for root in self.trial.contacts(name).roots}
        return rose if touching == {self.robot_root} else 0.0

    def _may_touch(self, first: int, second: int, allowed: Collection[int]) -> bool:
        bodies = int(self.model.geom_bodyid[first]), int(self.model.geom_bodyid[second])
        return any(bodies[side] in self._hand and bodies[1 - side] in allowed for side in (0, 1))

    def _touching(self, own: set[int]) -> list[tuple[int, int]]:
        """Pairs of geoms that collide, one of which moves with the robot or belongs to the roots it holds."""
        mujoco.mj_collision(self.model, self.data)
        count = self.data.ncon
        geoms = self.data.contact.geom[:count][self.data.contact.dist[:count] < -CONTACT_DEPTH_M]
        roots = self._root_of_geom[geoms]
        is_held = np.isin(roots, sorted(own))
        is_robot = roots == self.robot_root
        mine = self._moves[geoms] | is_held
        hits = mine.any(1) & ~(is_held.any(1) & is_robot.any(1)) & ~is_held.all(1)
        return [(int(first), int(second)) for first, second in geoms[hits]]

    def _root_pairs(self) -> Sequence[tuple[int, int]]:
        count = self.data.ncon
        geoms = self.data.contact.geom[:count][self.data.contact.dist[:count] < -CONTACT_DEPTH_M]
        return [(int(first), int(second)) for first, second in self._root_of_geom[geoms]]

    def _free_address(self, name: str) -> int:
        joint = int(self.model.body_jntadr[self.world.root(name)])
        return int(self.model.jnt_qposadr[joint])


def _hangs_on_joint(model: mujoco.MjModel, body: int) -> bool:
    """Whether a body can move within its root."""
    while body:
        if model.body_dofnum[body]:
            return True
        body = int(model.body_parentid[body])
    return False


def _is_below(model: mujoco.MjModel, body: int, top: int) -> bool:
    """Whether a body is another or hangs on it."""
    while body and body != top:
        body = int(model.body_parentid[body])
    return body == top
