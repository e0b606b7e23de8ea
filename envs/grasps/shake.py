"""Whether a grasp holds: a floating gripper closes on the object in simulation and moves it about.

Source: sheet of MolmoSpaces section 14, "rigid check" and "articulated check". Zero gravity; the hand is a free body
that is welded to a mocap body.
Differs: the sheet's mode is `thorough`. `quick` is for one core and differs in what is listed here:
    approach  The way of the open hand from 5 cm back is tested for contact at six places instead of being driven: a
              way without contact moves nothing.
    shaking   One cycle per axis instead of two, the same 0.1 m in a fifth of the time: the acceleration reaches 2 g
              instead of 0.1 g, so that what holds also holds when it is lifted.
    turning   The full turn in 1 s instead of 10 s.
    joints    The same way to the open end and back in half the time.
In both, movements begin and end at rest, so that the first instant does not strike the object.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np

from zoo.envs.assets.library import Articulation, Asset
from zoo.envs.kinematics.poses import quat_from_matrix, quat_from_yaw, quat_multiply
from zoo.envs.robots import gripper
from zoo.envs.scenes.physics import set_options
from zoo.envs.simulator import mujoco
from zoo.errors import DataError

Mode = Literal["quick", "thorough"]
Verdict = Literal[
    "held",
    "the open hand collides",
    "the approach moves the joint",
    "not both fingers touch",
    "lost while shaken along x",
    "lost while shaken along y",
    "lost while shaken along z",
    "lost while turned",
    "lost on the joint's way",
    "the joint moves too little",
]

LOST_ALONG: tuple[Verdict, ...] = (
    "lost while shaken along x",
    "lost while shaken along y",
    "lost while shaken along z",
)

SHAKE_M = 0.1
MIN_HELD_SHARE = 0.9  # of a joint's way there and back
HELD_TEST_INTERVAL = 10  # waypoints
WAYPOINTS = 401  # of a joint's way in one direction
MIN_TRAVEL_SHARE = 0.7  # of a joint's range
MAX_APPROACH_MOVE = 0.01  # rad or m of the joint
TOUCH_DEPTH_M = 0.5e-3  # deeper contact of the open hand counts as a collision; float16 alone moves it by 0.1 mm
CARRIER_MASS_KG = 20.0
CARRIER_INERTIA = 0.2  # kg m2
WELD_SOLREF, WELD_SOLIMP = (0.006, 1.0), (0.99, 0.99, 0.001, 0.5, 2.0)  # the hand follows within a few millimetres
HAND, OBJECT, TARGET = "hand/", "object", "hand_target"


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """Simulation steps of 2 ms in each phase.

    Args:
        back_m: Where the approach begins, along the approach axis.
        wait: Steps there with the hand opening, and then settling.
        approach: Steps of the way to the grasp; 0 tests the way without driving it.
        pause: Steps at the grasp before closing.
        close: Steps of closing.
        cycle: Steps of a shaking cycle.
        cycles: Per axis.
        turn: Steps of the full turn.
        waypoint: Steps from each waypoint of a joint's way to the next.
    """

    back_m: float
    wait: tuple[int, int]
    approach: int
    pause: int
    close: int
    cycle: int
    cycles: int
    turn: int
    waypoint: int


TIMINGS: dict[Mode, Timing] = {
    "quick": Timing(
        back_m=0.05, wait=(0, 0), approach=0, pause=0, close=250, cycle=400, cycles=1, turn=500, waypoint=4
    ),
    "thorough": Timing(
        back_m=0.3, wait=(3000, 500), approach=500, pause=300, close=300, cycle=2000, cycles=2, turn=5000, waypoint=8
    ),
}
SWEEP_PLACES = 6  # at which the way of the open hand is tested in quick mode


class GraspCheck(ABC):
    """One object and a floating hand in an empty world, ready to try grasps one after the other."""

    _held: np.ndarray
    """(geoms,) bool: what the fingers must touch."""

    def __init__(self, asset: Asset, mode: Mode, *, is_free: bool) -> None:
        self.timing = TIMINGS[mode]
        self.model = _build(asset, is_free=is_free)
        self.data = mujoco.MjData(self.model)
        names = gripper.GripperNames(HAND)
        self._actuator = self.model.actuator(names.actuator).id
        self._hand_qpos = int(self.model.joint(f"{HAND}free").qposadr[0])
        self._target = int(self.model.body_mocapid[self.model.body(TARGET).id])
        self._hand = np.zeros(self.model.ngeom, bool)
        self._fingers = np.zeros((2, self.model.ngeom), bool)
        for geom in range(self.model.ngeom):
            body = self.model.body(self.model.geom_bodyid[geom]).name
            self._hand[geom] = body.startswith(HAND)
            for side, finger in enumerate(names.fingers):
                self._fingers[side, geom] = body == finger
        root = self.model.body(OBJECT).id
        self.asset_bodies = [body for body in range(self.model.nbody) if self.model.body_rootid[body] == root]

    @abstractmethod
    def verdict(self, pose: np.ndarray) -> Verdict:
        """Try one grasp.

        Args:
            pose: (4, 4) of the tool frame, in the frame in which grasps of this object are stored.
        """

    def _start(self, home: np.ndarray) -> bool:
        """Bring the open hand to a world pose; False where something is in its way."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.ctrl[self._actuator] = gripper.CTRL_OPEN
        timing = self.timing
        back = home[:3, 3] - timing.back_m * home[:3, 2]
        turn = quat_from_matrix(home[:3, :3])
        if timing.approach:
            self._place_hand(back, turn)
            self._rest(sum(timing.wait))
            share = _smooth(np.arange(1, timing.approach + 1) / timing.approach)[:, None]
            self._follow(back + share * (home[:3, 3] - back), np.tile(turn, (timing.approach, 1)))
            self._rest(timing.pause)
            return True
        for share in np.linspace(0, 1, SWEEP_PLACES)[:, None]:
            self._place_hand(back + share * (home[:3, 3] - back), turn)
            mujoco.mj_fwdPosition(self.model, self.data)
            if self._collides():
                return False
        return True

    def _place_hand(self, position_m: np.ndarray, quat_wxyz: np.ndarray) -> None:
        self.data.qpos[self._hand_qpos : self._hand_qpos + 7] = (*position_m, *quat_wxyz)
        self.data.mocap_pos[self._target], self.data.mocap_quat[self._target] = position_m, quat_wxyz

    def _close(self) -> bool:
        """Close the hand; whether both fingers touch then."""
        self.data.ctrl[self._actuator] = gripper.CTRL_CLOSED
        self._rest(self.timing.close)
        return self._is_held()

    def _rest(self, steps: int) -> None:
        if steps:
            mujoco.mj_step(self.model, self.data, nstep=steps)

    def _follow(self, positions_m: np.ndarray, quats_wxyz: np.ndarray, tested: Collection[int] = ()) -> bool:
        """Move along (steps, 3) and (steps, 4); False as soon as a step that is tested finds the object lost."""
        for index, (position, turn) in enumerate(zip(positions_m, quats_wxyz, strict=True)):
            self.data.mocap_pos[self._target], self.data.mocap_quat[self._target] = position, turn
            mujoco.mj_step(self.model, self.data)
            if index in tested and not self._is_held():
                return False
        return True

    def _touching(self) -> tuple[np.ndarray, np.ndarray]:
        """(contacts, 2) geoms that touch, and (contacts,) how deep."""
        contact = self.data.contact
        is_active = contact.efc_address >= 0
        return contact.geom[is_active], -contact.dist[is_active]

    def _collides(self) -> bool:
        geoms, depth = self._touching()
        is_hand = self._hand[geoms]
        return bool(((is_hand[:, 0] != is_hand[:, 1]) & (depth > TOUCH_DEPTH_M)).any())

    def _is_held(self) -> bool:
        """Whether each finger touches what is to be held."""
        geoms, _ = self._touching()
        held = self._held[geoms]
        return all((finger[geoms] & held[:, ::-1]).any() for finger in self._fingers)


class RigidCheck(GraspCheck):
    """Grasp a free object, shake it along x, y and z, and turn it once about z.

    Args:
        asset: Is built with a free joint.
        mode: How long it takes; see the module's text.
    """

    def __init__(self, asset: Asset, mode: Mode = "quick") -> None:
        super().__init__(asset, mode, is_free=True)
        self.body = self.model.body(OBJECT).id
        self._held = np.isin(self.model.geom_bodyid, self.asset_bodies)

    def verdict(self, pose: np.ndarray) -> Verdict:
        if not self._start(pose):
            return "the open hand collides"
        if not self._close():
            return "not both fingers touch"
        turn = quat_from_matrix(pose[:3, :3])
        path, tested = _shaking(self.timing.cycle, self.timing.cycles)
        for axis, lost in zip(np.eye(3), LOST_ALONG, strict=True):
            if not self._follow(pose[:3, 3] + path[:, None] * axis, np.tile(turn, (len(path), 1)), tested):
                return lost
        angle = 2 * math.pi * _smooth(np.arange(1, self.timing.turn + 1) / self.timing.turn)
        turns = quat_multiply(quat_from_yaw(angle), turn)
        is_held = self._follow(np.tile(pose[:3, 3], (len(turns), 1)), turns, (len(turns) - 1,))
        return "held" if is_held else "lost while turned"


class ArticulatedCheck(GraspCheck):
    """Grasp the moving part of a fixture that stands still, follow its joint to the open end and back.

    Args:
        asset: Is built without a free joint.
        part: One of its articulations.
        mode: How long it takes; see the module's text.
    Raises:
        DataError: the asset's model lacks the joint or the handle that its facts name.
    """

    def __init__(self, asset: Asset, part: Articulation, mode: Mode = "quick") -> None:
        super().__init__(asset, mode, is_free=False)
        joint = mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_JOINT, f"{OBJECT}/{part.joint}")
        self.handle = mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_GEOM, f"{OBJECT}/{part.handle}")
        if min(joint, self.handle) < 0:
            raise DataError(
                f"asset {asset.facts.uid!r} lacks the joint {part.joint!r} or the handle {part.handle!r} that its "
                "facts name; mend whichever is wrong"
            )
        self.body = int(self.model.jnt_bodyid[joint])
        self.part_bodies = [body for body in self.asset_bodies if self._is_below(body)]
        self._held = np.isin(self.model.geom_bodyid, self.part_bodies)
        self._qpos = int(self.model.jnt_qposadr[joint])
        self._open = max(part.range, key=abs)
        num_steps = (
            1 + (WAYPOINTS - 1) * self.timing.waypoint
        )  # a pose for each: targets that jump shake the part loose
        self._way = self._body_poses(self._open * _smooth(np.linspace(0, 1, num_steps)))

    def verdict(self, pose: np.ndarray) -> Verdict:
        there = self._way @ pose
        if not self._start(there[0]):
            return "the open hand collides"
        if abs(self.data.qpos[self._qpos]) > MAX_APPROACH_MOVE:
            return "the approach moves the joint"
        if not self._close():
            return "not both fingers touch"
        turns = quat_from_matrix(there[:, :3, :3])
        positions, interval = there[:, :3, 3], HELD_TEST_INTERVAL * self.timing.waypoint
        num_tested = int(2 * MIN_HELD_SHARE * len(there))  # of the steps there and back
        if not self._follow(positions, turns, range(0, len(there), interval)):
            return "lost on the joint's way"
        if abs(self.data.qpos[self._qpos]) < MIN_TRAVEL_SHARE * abs(self._open):
            return "the joint moves too little"
        if not self._follow(positions[::-1], turns[::-1], range(0, num_tested - len(there), interval)):
            return "lost on the joint's way"
        return "held"

    def _is_below(self, body: int) -> bool:
        while body not in (0, self.body):
            body = int(self.model.body_parentid[body])
        return body == self.body

    def _body_poses(self, positions: np.ndarray) -> np.ndarray:
        """(positions, 4, 4) world poses of the joint's body."""
        scratch, poses = mujoco.MjData(self.model), np.tile(np.eye(4), (len(positions), 1, 1))
        for pose, position in zip(poses, positions, strict=True):
            scratch.qpos[self._qpos] = position
            mujoco.mj_kinematics(self.model, scratch)
            pose[:3, :3], pose[:3, 3] = scratch.xmat[self.body].reshape(3, 3), scratch.xpos[self.body]
        return poses


def _build(asset: Asset, *, is_free: bool) -> mujoco.MjModel:
    spec = mujoco.MjSpec()
    set_options(spec)
    spec.option.gravity = (0.0, 0.0, 0.0)
    world = spec.worldbody
    asset.add_to(world, OBJECT, position_m=(0, 0, 0), quat_wxyz=(1, 0, 0, 0), is_free=is_free)
    world.add_body(name=TARGET, mocap=True)
    carrier = world.add_body(
        name=f"{HAND}carrier", mass=CARRIER_MASS_KG, inertia=[CARRIER_INERTIA] * 3, explicitinertial=True, gravcomp=1
    )
    carrier.add_freejoint(name=f"{HAND}free")
    gripper.add_gripper(carrier, spec, HAND, position_m=(0, 0, -gripper.TCP_OFFSET_M))
    weld = spec.add_equality(
        name=TARGET,
        type=mujoco.mjtEq.mjEQ_WELD,
        objtype=mujoco.mjtObj.mjOBJ_BODY,
        name1=f"{HAND}carrier",
        name2=TARGET,
        solref=WELD_SOLREF,
        solimp=WELD_SOLIMP,
    )
    weld.data[:3] = 0.0  # held at the tool frame; the default is a point 1 m beside it
    return spec.compile()


def _shaking(cycle: int, cycles: int) -> tuple[np.ndarray, frozenset[int]]:
    """(steps,) displacement in metres, at rest at both ends, and the steps at one and three quarters of each cycle."""
    phase = np.arange(1, cycle * cycles + 1) / cycle
    envelope = _smooth(np.clip(4 * np.minimum(phase, cycles - phase), 0, 1))
    tested = {turn * cycle + part * cycle // 4 - 1 for turn in range(cycles) for part in (1, 3)}
    return SHAKE_M * envelope * np.sin(2 * math.pi * phase), frozenset(tested)


def _smooth(share: np.ndarray) -> np.ndarray:
    """From 0 to 1 with no speed at either end."""
    return share * share * (3 - 2 * share)
