"""A Stretch-like robot: a base on wheels, a lift, an arm that extends to its right, a wrist, a magnetic gripper.

Source: sheet of SPOC sections 1.2 (cameras, steps, limits, arm proprioception) and 1.3 (the twenty actions), 1.18 (the
magnet is a weld that is switched on when an object's centre is in the gripper's sphere).
Differs: shapes are primitives; the radius of the sphere is not published. Positions of the wrist count clockwise, as
the simulator of the original does; 0 points along the arm, -90 degrees ahead.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from zoo.envs.kinematics.poses import Array, compose, invert, pose7, quat_from_rotation_vector, quat_multiply
from zoo.envs.robots.cameras import CameraNoise, CameraSystem, MountedCamera, PlacedCamera, quat_from_pitch
from zoo.envs.robots.discrete_moves import DiscreteActions, DiscreteMover, Outcome, nearest_within
from zoo.envs.robots.parts import add_joint, add_servo, add_solid
from zoo.envs.robots.planar_base import add_planar_base, base_group
from zoo.envs.robots.rby1 import NAVIGATION
from zoo.envs.robots.ring_body import BODIES
from zoo.envs.robots.robot import MoveGroup, Robot
from zoo.envs.robots.view import RobotView
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError
from zoo.navigation_actions import SpocAction

LIFT_OFFSET_M = 0.16297650337219238  # height of the wrist with the lift at 0
LIFT_LIMITS = (0.0, 1.1)
EXTENSION_M, NUM_SEGMENTS = 0.52, 4
WRIST_LIMITS = (math.radians(-260), math.radians(75))
WRIST_M = 0.2  # from the middle of the base to the wrist, arm drawn in
HAND_M = 0.2  # from the wrist to the middle of the magnet's sphere
MAGNET_RADIUS_M = 0.1
REACH_M = 0.867  # within which objects count as reachable
MAX_CARRIED_KG = 10.0
HOME = (0.4, 0.0, 0.0, 0.0, 0.0, -math.pi)  # lift, four segments, wrist: the hand lies over the base
CAMERA_HEIGHT_M = 1.44

BASE_SIZE_M = (0.33, 0.34, 0.14)
FLOOR_GAP_M = 0.02
MAST_X_M, MAST_TOP_M = -0.1, 1.41
DARK, WHITE, GREY = (0.15, 0.15, 0.17, 1.0), (0.9, 0.9, 0.9, 1.0), (0.5, 0.5, 0.53, 1.0)
ALONG_ARM = quat_multiply(
    quat_from_rotation_vector([math.pi / 2, 0, 0]), quat_from_rotation_vector([0, 0, math.pi / 2])
)  # tool frame in the hand's: +z along the arm, fingers open level


def _camera(name: str, pitch_deg: float, yaw_deg: float) -> MountedCamera:
    return MountedCamera(
        camera=PlacedCamera(
            name=name,
            body="base",
            position_m=(0.0, 0.0, CAMERA_HEIGHT_M),
            quat_wxyz=quat_from_pitch(pitch_deg, yaw_deg),
            fovy_deg=59,
        ),
        noise=CameraNoise(pitch_deg=2, fovy_deg=1, angle_step_deg=0.2, fovy_step_deg=0.1),
    )


CAMERAS = CameraSystem(
    name="stretch",
    width=396,  # SPOC cuts six columns off each side: 384x224 remain
    height=224,
    mounted=(_camera("navigation_camera", 27, 0), _camera("manipulation_camera", 33, -90)),
)


class Stretch(Robot):
    """Base, and an arm group: lift, four segments of the extension, wrist.

    Args:
        magnet_radius_m: Objects whose centre is in a sphere of this radius at the hand can be picked up.
    """

    is_discrete: ClassVar[bool] = True
    sensor_sizes: ClassVar[Mapping[str, int]] = MappingProxyType({"arm": 4})

    def __init__(self, magnet_radius_m: float = MAGNET_RADIUS_M) -> None:
        if magnet_radius_m <= 0:
            raise ConfigError(f"magnet_radius_m is {magnet_radius_m}, expected more than 0")
        self.magnet_radius_m = magnet_radius_m
        self.name = "stretch"
        self.clocks = NAVIGATION
        arm = ("lift", *(f"segment_{number}" for number in range(NUM_SEGMENTS)), "wrist")
        self.groups = (
            base_group(),
            MoveGroup(
                name="arm",
                kind="arm",
                joints=arm,
                actuators=arm,
                modes=("joint_position", "joint_rel_position"),
                limits=(LIFT_LIMITS, *((0.0, EXTENSION_M / NUM_SEGMENTS),) * NUM_SEGMENTS, WRIST_LIMITS),
                home=HOME,
                tcp="tcp",
            ),
        )
        self.camera_systems = {CAMERAS.name: CAMERAS}

    def embodiment(self) -> list[float]:
        return BODIES["stretch"].numbers()  # the same robot without its arm

    def add_to(self, spec: mujoco.MjSpec, *, prefix: str = "robot_0/", base_pose7: Sequence[float]) -> mujoco.MjsBody:
        """Build it; the pose must be upright, and its height stays."""
        base = add_planar_base(spec, prefix, base_pose7)
        _box(base, f"{prefix}base", (0, 0, FLOOR_GAP_M + BASE_SIZE_M[2] / 2), BASE_SIZE_M, 20.0, GREY)
        mast = MAST_TOP_M - BASE_SIZE_M[2] - FLOOR_GAP_M
        _box(base, f"{prefix}mast", (MAST_X_M, 0, MAST_TOP_M - mast / 2), (0.07, 0.07, mast), 3.0, DARK)
        lift = base.add_body(name=f"{prefix}lift", pos=[0, 0, LIFT_OFFSET_M], gravcomp=1)
        arm = self.group("arm")
        add_joint(lift, f"{prefix}lift", axis=(0, 0, 1), limits=arm.limits[0], is_slide=True, armature=1.0)
        add_servo(spec, f"{prefix}lift", stiffness=8000.0, damping=600.0)
        _box(lift, f"{prefix}carriage", (MAST_X_M + 0.05, -0.05, 0), (0.05, 0.2, 0.1), 1.5, WHITE)
        body = lift
        for number in range(NUM_SEGMENTS):
            name = f"{prefix}segment_{number}"
            body = body.add_body(name=name, gravcomp=1)
            add_joint(body, name, axis=(0, -1, 0), limits=arm.limits[1], is_slide=True, armature=0.5)
            add_servo(spec, name, stiffness=4000.0, damping=300.0)
            thick = 0.055 - 0.006 * number
            _box(body, name, (0, -WRIST_M + 0.1, 0), (thick, 0.18, thick), 0.3, WHITE if number % 2 else GREY)
        hand = body.add_body(name=f"{prefix}hand", pos=[0, -WRIST_M, 0], gravcomp=1)
        add_joint(hand, f"{prefix}wrist", axis=(0, 0, -1), limits=WRIST_LIMITS, armature=0.05)
        add_servo(spec, f"{prefix}wrist", stiffness=200.0, damping=14.0)
        _box(hand, f"{prefix}palm", (0, -0.05, 0), (0.06, 0.08, 0.04), 0.3, DARK)
        for side, sign in (("left", 1), ("right", -1)):
            _box(hand, f"{prefix}{side}_finger", (sign * 0.05, -0.13, 0), (0.012, 0.1, 0.02), 0.05, DARK)
        hand.add_site(name=f"{prefix}tcp", pos=[0, -HAND_M, 0], quat=ALONG_ARM, size=[0.01, 0.01, 0.01], group=4)
        parts = ("base", "lift", *(f"segment_{number}" for number in range(NUM_SEGMENTS)), "hand")
        for first, second in itertools.combinations(parts, 2):  # nested, and the hand folds over the base
            spec.add_exclude(bodyname1=prefix + first, bodyname2=prefix + second)
        magnet = spec.add_equality(
            name=f"{prefix}magnet",
            type=mujoco.mjtEq.mjEQ_WELD,
            objtype=mujoco.mjtObj.mjOBJ_BODY,
            name1=f"{prefix}hand",
            name2=f"{prefix}base",  # until there is something to hold
        )
        magnet.active = False
        return base

    def actions(self, view: RobotView, *, pickupable: Sequence[int] = ()) -> StretchActions:
        return StretchActions(view, pickupable=pickupable)


class StretchActions(DiscreteActions):
    """The twenty actions on a Stretch in a scene.

    Args:
        view: Of the robot.
        pickupable: Bodies that the magnet may take; heavier ones than `MAX_CARRIED_KG` never move.
    """

    def __init__(self, view: RobotView, *, pickupable: Sequence[int] = ()) -> None:
        if not isinstance(view.robot, Stretch):
            raise ConfigError(f"these actions are a Stretch's, not those of {view.robot.name!r}")
        self.view = view
        self.mover = DiscreteMover(view, arm="arm")
        self._radius_m = view.robot.magnet_radius_m
        self._pickupable = [int(b) for b in pickupable if view.model.body_subtreemass[b] <= MAX_CARRIED_KG]
        self._magnet = int(view.model.equality(f"{view.prefix}magnet").id)
        self._hand = int(view.model.body(f"{view.prefix}hand").id)

    def step(self, action: SpocAction, *, rng: np.random.Generator | None = None) -> Outcome:
        if action in (SpocAction.DONE, SpocAction.SUB_DONE):
            return Outcome(moved=True)
        if action == SpocAction.PICKUP:
            return Outcome(moved=self._pick_up())
        if action == SpocAction.DROPOFF:
            return Outcome(moved=self._drop())
        return self.mover.move(action.effect, rng=rng)

    def sensors(self) -> dict[str, np.ndarray]:
        """`arm`: see `proprioception`."""
        return {"arm": self.proprioception()}

    def proprioception(self) -> np.ndarray:
        """(4,) float32: wrist in the robot's frame, without the lift's offset (m), and its position (degrees)."""
        data, base = self.view.data, self.view.base_id
        place = data.xmat[base].reshape(3, 3).T @ (data.xpos[self._hand] - data.xpos[base])
        place[2] -= LIFT_OFFSET_M
        return np.array([*place, math.degrees(self.view.qpos("arm")[-1])], np.float32)

    def _pick_up(self) -> bool:
        if self.held is not None:
            return False
        data, model = self.view.data, self.view.model
        centre = self.view.tcp_pose("arm", in_world=True)[:3]
        body = nearest_within(data, self._pickupable, centre, self._radius_m)
        if body is None:
            return False
        self.mover.carry(body)
        hand = int(model.eq_obj1id[self._magnet])
        relative = compose(invert(self._pose(hand)), self._pose(body))
        model.eq_obj2id[self._magnet] = body
        model.eq_data[self._magnet, :3] = 0
        model.eq_data[self._magnet, 3:10] = relative
        data.eq_active[self._magnet] = 1
        return True

    def _drop(self) -> bool:
        if self.held is None:
            return False
        self.mover.carry(None)
        self.view.data.eq_active[self._magnet] = 0
        return True

    def _pose(self, body: int) -> Array:
        return pose7(self.view.data.xpos[body], self.view.data.xquat[body])


def _box(
    body: mujoco.MjsBody,
    name: str,
    middle_m: Sequence[float],
    size_m: Sequence[float],
    mass: float,
    rgba: Sequence[float],
) -> None:
    add_solid(
        body,
        name=name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=np.array(size_m) / 2,
        pos=middle_m,
        mass=mass,
        rgba=rgba,
    )
