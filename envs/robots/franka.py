"""A seven-joint arm with the kinematics of the Franka Research 3, a parallel gripper and a pedestal.

Source: public Denavit-Hartenberg parameters and joint limits of the FR3 (Franka Control Interface documentation); sheet
of MolmoSpaces sections 2, 9 and 10 for home, pedestal, start noise, clocks and cameras.
Differs: shapes are capsules; masses of links are near to the published ones (16 kg without base and gripper), inertias
those of the shapes; upstream identified its dynamics from real motions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from zoo.envs.kinematics.poses import quat_from_rotation_vector
from zoo.envs.robots.cameras import (
    CameraNoise,
    CameraSystem,
    MountedCamera,
    PlacedCamera,
    RandomCamera,
    looking_at,
    on_gripper,
)
from zoo.envs.robots.gripper import CTRL_CLOSED, CTRL_OPEN, GripperNames, add_gripper
from zoo.envs.robots.parts import add_capsule, add_joint, add_servo, add_solid
from zoo.envs.robots.robot import Clocks, MoveGroup, Robot
from zoo.envs.simulator import mujoco

DENAVIT_HARTENBERG = (  # modified (Craig): a (m) and alpha (rad) of the link before, d (m)
    (0.0, 0.0, 0.333),
    (0.0, -math.pi / 2, 0.0),
    (0.0, math.pi / 2, 0.316),
    (0.0825, math.pi / 2, 0.0),
    (-0.0825, -math.pi / 2, 0.384),
    (0.0, math.pi / 2, 0.0),
    (0.088, math.pi / 2, 0.0),
)
FLANGE_M = 0.107
LIMITS = (
    (-2.7437, 2.7437),
    (-1.7837, 1.7837),
    (-2.9007, 2.9007),
    (-3.0421, -0.1518),
    (-2.8065, 2.8065),
    (0.5445, 4.5169),
    (-3.0159, 3.0159),
)
TORQUE = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0)  # N m
HOME = (0.0, -0.7853, 0.0, -2.35619, 0.0, 1.57079, 0.0)
START_NOISE = (0.025, 0.05, 0.075, 0.1, 0.125, 0.15, 0.175)  # rad
MAX_START_SHIFT_M = 0.1  # of the tool
STIFFNESS = (4500.0, 4500.0, 3500.0, 3500.0, 2000.0, 2000.0, 2000.0)  # N m / rad
DAMPING = (300.0, 300.0, 230.0, 230.0, 120.0, 120.0, 120.0)  # N m s / rad: steps end after 0.3 s, without overshoot
ARMATURE = (0.2, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1)  # kg m2 of rotors and gears
LINK_MASS_KG = (2.93, 2.55, 2.28, 2.04, 2.29, 1.35, 0.63)
BASE_MASS_KG = 2.4
PEDESTAL_M = (0.5, 0.5, 0.58)

Capsule = tuple[tuple[float, float, float], tuple[float, float, float], float]
CAPSULES: tuple[tuple[Capsule, ...], ...] = (  # per link, in its Denavit-Hartenberg frame: start, end, radius (m)
    (((0, 0, -0.19), (0, 0, -0.02), 0.06),),
    (((0, 0, -0.05), (0, 0, 0.05), 0.06), ((0, 0, 0), (0, -0.13, 0), 0.058)),
    (((0, 0, -0.12), (0, 0, -0.03), 0.058), ((0.0825, -0.045, 0), (0.0825, 0.045, 0), 0.055)),
    (((0, 0, -0.045), (0, 0, 0.045), 0.055), ((-0.0825, 0.02, 0), (-0.0825, 0.11, 0), 0.055)),
    (((0, 0, -0.23), (0, 0.03, -0.14), 0.05), ((0, 0.05, -0.12), (0, 0, 0.0), 0.045)),
    (((0, 0, -0.03), (0, 0, 0.03), 0.05), ((0, 0, 0), (0.088, 0, 0), 0.045)),
    (((0, 0, -0.02), (0, 0, 0.06), 0.045),),
)
WHITE, GREY = (0.93, 0.93, 0.93, 1.0), (0.45, 0.45, 0.48, 1.0)

SHOULDER_M = (0.1, 0.57, 0.66)  # from the arm's first frame
WORKSPACE_M = (0.5, 0.0, 0.1)  # what cameras look at, from the arm's first frame


def _wrist(fovy_deg: float) -> PlacedCamera:
    return on_gripper("wrist_camera", body="gripper/base", fovy_deg=fovy_deg)


def _shoulder(name: str = "exo_camera_1") -> PlacedCamera:
    return looking_at(name, SHOULDER_M, WORKSPACE_M, fovy_deg=71, body="arm_base")


DROID = CameraSystem(
    name="droid",
    width=640,
    height=368,
    mounted=(MountedCamera(camera=_wrist(56.74)), MountedCamera(camera=_shoulder())),
)
OMNI = CameraSystem(
    name="omni",
    width=624,
    height=352,
    mounted=(
        MountedCamera(
            camera=_wrist(52),
            noise=CameraNoise(position_m=(0.015, 0.005, 0.02), roll_deg=8, pitch_deg=4, yaw_deg=4, fovy_deg=4),
        ),
        MountedCamera(
            camera=_shoulder(),
            noise=CameraNoise(position_m=(0.05, 0.05, 0.05), roll_deg=8, pitch_deg=8, yaw_deg=8),
        ),
    ),
    random=(
        *(
            RandomCamera(
                name=f"random_zed2_{number}",
                distance_m=(0.2, 0.8),
                height_m=(0.05, 0.6),
                fovy_deg=(64, 72),
                look_at_noise_m=0.1,
            )
            for number in (1, 2)
        ),
        RandomCamera(
            name="random_gopro_1",
            distance_m=(0.2, 0.5),
            height_m=(0.1, 0.6),
            fovy_deg=(137, 140),
            look_at_noise_m=0.1,
        ),
    ),
)
REALSENSE = CameraSystem(
    name="realsense",
    width=640,
    height=368,
    mounted=(MountedCamera(camera=_wrist(58), noise=CameraNoise(fovy_deg=10)),),
    random=(
        RandomCamera(
            name="exo_camera_1", distance_m=(0.2, 0.8), height_m=(0.4, 0.8), fovy_deg=(50, 90), look_at_noise_m=0.1
        ),
    ),
)


class FrankaDroid(Robot):
    """Arm and gripper on a pedestal that stands where one puts it; the base never moves by itself."""

    def __init__(self) -> None:
        self.name = "franka_droid"
        self.clocks = Clocks(sim_dt=0.002, ctrl_dt=0.002, policy_dt=0.066)
        joints = tuple(f"arm/joint{number}" for number in range(1, 8))
        gripper = GripperNames("gripper/")
        self.groups = (
            MoveGroup(
                name="arm",
                kind="arm",
                joints=joints,
                actuators=joints,
                modes=("joint_position", "joint_rel_position"),
                limits=LIMITS,
                home=HOME,
                noise=START_NOISE,
                max_tcp_shift_m=MAX_START_SHIFT_M,
                tcp=gripper.tcp,
            ),
            MoveGroup(
                name="gripper",
                kind="gripper",
                joints=gripper.fingers,
                actuators=(gripper.actuator,),
                modes=("joint_position",),
                limits=((CTRL_OPEN, CTRL_CLOSED),),
                home=(0.0, 0.0),
                tcp=gripper.tcp,
            ),
        )
        self.camera_systems = {system.name: system for system in (DROID, OMNI, REALSENSE)}

    def add_to(self, spec: mujoco.MjSpec, *, prefix: str = "robot_0/", base_pose7: Sequence[float]) -> mujoco.MjsBody:
        """Build it; `base_pose7` is the bottom of the pedestal, whose top carries the arm."""
        base = spec.worldbody.add_body(name=f"{prefix}base", pos=base_pose7[:3], quat=base_pose7[3:], mocap=True)
        add_solid(
            base,
            name=f"{prefix}pedestal",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=np.array(PEDESTAL_M) / 2,
            pos=[0, 0, PEDESTAL_M[2] / 2],
            mass=50.0,
            rgba=GREY,
        )
        arm_base = base.add_body(name=f"{prefix}arm_base", pos=[0, 0, PEDESTAL_M[2]])
        add_capsule(
            arm_base,
            f"{prefix}arm/link0",
            start_m=(-0.08, 0, 0.06),
            end_m=(0, 0, 0.06),
            radius_m=0.06,
            mass=BASE_MASS_KG,
            rgba=WHITE,
        )
        last = _add_links(spec, arm_base, prefix)
        add_gripper(last, spec, f"{prefix}gripper/", position_m=(0, 0, FLANGE_M))
        _exclude(spec, prefix)
        return base


def _add_links(spec: mujoco.MjSpec, arm_base: mujoco.MjsBody, prefix: str) -> mujoco.MjsBody:
    """Seven bodies in their Denavit-Hartenberg frames; the last one."""
    body = arm_base
    for index, (a, alpha, d) in enumerate(DENAVIT_HARTENBERG):
        joint = f"{prefix}arm/joint{index + 1}"
        body = body.add_body(
            name=f"{prefix}arm/link{index + 1}",
            pos=[a, -d * math.sin(alpha), d * math.cos(alpha)],
            quat=quat_from_rotation_vector([alpha, 0, 0]),
            gravcomp=1,
        )
        add_joint(body, joint, axis=(0, 0, 1), limits=LIMITS[index], armature=ARMATURE[index])
        add_servo(spec, joint, stiffness=STIFFNESS[index], damping=DAMPING[index], force=TORQUE[index])
        for number, (start, end, radius) in enumerate(CAPSULES[index]):
            add_capsule(
                body,
                f"{prefix}arm/link{index + 1}_{number}",
                start_m=start,
                end_m=end,
                radius_m=radius,
                mass=LINK_MASS_KG[index] / len(CAPSULES[index]),
                rgba=WHITE,
            )
    return body


def _exclude(spec: mujoco.MjSpec, prefix: str) -> None:
    """Links two joints apart overlap where the joint between them has no length."""
    chain = ["arm_base", *(f"arm/link{number}" for number in range(1, 8)), "gripper/base"]
    for first, second in zip(chain, chain[2:], strict=False):
        spec.add_exclude(bodyname1=prefix + first, bodyname2=prefix + second)
    spec.add_exclude(bodyname1=f"{prefix}base", bodyname2=f"{prefix}arm/link1")
