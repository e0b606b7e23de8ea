"""A wheeled robot with a bending torso, two arms with grippers and a head, after the RB-Y1.

Source: sheet of MolmoSpaces sections 2, 5, 9 and 10: groups, homes of arms and head, start noise, gains of the base,
`height` command, clocks, cameras.
Differs: no model of it is public offline, so lengths, masses and joint limits are approximations with the right order
of axes, shapes are primitives, and the grippers are those of the Franka. The sheet gives no home of the torso: ours
bends the knees a little, so that `height` reaches both ways.
"""

from __future__ import annotations

from collections.abc import Sequence

from zoo.envs.robots.cameras import (
    CameraNoise,
    CameraSystem,
    MountedCamera,
    PlacedCamera,
    on_gripper,
    quat_from_pitch,
)
from zoo.envs.robots.gripper import CTRL_CLOSED, CTRL_OPEN, GripperNames, add_gripper
from zoo.envs.robots.parts import add_capsule, add_joint, add_servo, add_solid
from zoo.envs.robots.planar_base import add_planar_base, base_group
from zoo.envs.robots.robot import Clocks, MoveGroup, Robot
from zoo.envs.simulator import mujoco

MANIPULATION = Clocks(sim_dt=0.004, ctrl_dt=0.02, policy_dt=0.1)
NAVIGATION = Clocks(sim_dt=0.004, ctrl_dt=0.02, policy_dt=0.2)

SIDES = ("left", "right")
ARM_HOME = (0.5, 0.0, 0.0, -2.3, 0.0, -0.5, 0.0)
ARM_NOISE = (0.05, 0.05, 0.075, 0.1, 0.125, 0.15, 0.175)
HEAD_HOME, HEAD_NOISE = (0.0, 0.6), (0.2, 0.2)
GRIPPER_NOISE = (0.01, 0.01)
HEIGHT = (0.0, 1.0, -2.0, 1.0, 0.0, 0.0)  # positions of the torso per unit of a `height` command
HEIGHT_LIMITS = (0.0, 1.2)  # rad: upright, and 0.38 m lower
HEIGHT_HOME = 0.4

BASE_HALF_M, BASE_CLEARANCE_M, BASE_TOP_M = 0.25, 0.03, 0.25
THIGH_M = 0.3  # from knee to hip, and from ankle to knee
SHOULDER_M = (0.0, 0.22, 0.2)  # from the last torso joint
UPPER_ARM_M, FOREARM_M, HAND_M, ELBOW_M = 0.276, 0.256, 0.09, 0.03
NECK_M = 0.32

Part = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float], float, float, float]
X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
TORSO: tuple[Part, ...] = (  # place, axis, limits, mass (kg), stiffness, damping
    ((0, 0, BASE_TOP_M), X, (-0.36, 0.36), 4.0, 20000.0, 2000.0),
    ((0, 0, 0), Y, (-0.6, 1.4), 6.0, 20000.0, 2000.0),
    ((0, 0, THIGH_M), Y, (-2.6, 0.2), 6.0, 15000.0, 1300.0),
    ((0, 0, THIGH_M), Y, (-0.8, 1.57), 4.0, 10000.0, 800.0),
    ((0, 0, 0.1), X, (-0.52, 0.52), 3.0, 10000.0, 800.0),
    ((0, 0, 0.06), Z, (-2.35, 2.35), 10.0, 6000.0, 450.0),
)
ARM_LIMITS = ((-2.36, 2.36), (-0.1, 3.14), (-2.09, 2.09), (-2.6, 0.01), (-3.14, 3.14), (-1.57, 1.92), (-2.79, 2.79))
ARM: tuple[Part, ...] = (  # of the left side; limits of joint 1 are mirrored on the right
    (SHOULDER_M, Y, ARM_LIMITS[0], 2.0, 3000.0, 220.0),
    ((0, 0, 0), X, ARM_LIMITS[1], 1.5, 3000.0, 220.0),
    ((0, 0, 0), Z, ARM_LIMITS[2], 2.0, 2000.0, 140.0),
    ((ELBOW_M, 0, -UPPER_ARM_M), Y, ARM_LIMITS[3], 1.5, 2000.0, 140.0),
    ((-ELBOW_M, 0, 0), Z, ARM_LIMITS[4], 1.2, 1000.0, 65.0),
    ((0, 0, -FOREARM_M), Y, ARM_LIMITS[5], 0.8, 1000.0, 65.0),
    ((0, 0, 0), Z, ARM_LIMITS[6], 0.5, 1000.0, 65.0),
)
HEAD: tuple[Part, ...] = (
    ((0, 0, NECK_M), Z, (-0.523, 0.523), 0.5, 300.0, 20.0),
    ((0, 0, 0.05), Y, (-0.35, 1.57), 1.5, 300.0, 20.0),
)
ARMATURE = 0.1  # kg m2
WHITE, GREY, BLACK = (0.92, 0.92, 0.93, 1.0), (0.35, 0.36, 0.4, 1.0), (0.1, 0.1, 0.1, 1.0)

Capsule = tuple[tuple[float, float, float], tuple[float, float, float], float, tuple[float, float, float, float]]
TORSO_CAPSULES: tuple[Capsule, ...] = (  # start, end, radius (m), colour, in the frame of the part
    ((0, -0.06, 0), (0, 0.06, 0), 0.07, GREY),
    ((0, 0, 0), (0, 0, THIGH_M), 0.075, GREY),
    ((0, 0, 0), (0, 0, THIGH_M), 0.07, GREY),
    ((0, 0, 0), (0, 0, 0.1), 0.08, GREY),
    ((0, -0.04, 0), (0, 0.04, 0), 0.08, GREY),
    ((0, -0.1, SHOULDER_M[2]), (0, 0.1, SHOULDER_M[2]), 0.09, WHITE),
)
ARM_CAPSULES: tuple[Capsule, ...] = (
    ((0, -0.03, 0), (0, 0.03, 0), 0.06, WHITE),
    ((-0.03, 0, 0), (0.03, 0, 0), 0.055, GREY),
    ((0, 0, -0.05), (0, 0, -UPPER_ARM_M + 0.04), 0.05, WHITE),
    ((0, -0.025, 0), (0, 0.025, 0), 0.05, GREY),
    ((0, 0, -0.04), (0, 0, -FOREARM_M + 0.05), 0.045, WHITE),
    ((0, -0.02, 0), (0, 0.02, 0), 0.042, GREY),
    ((0, 0, -0.02), (0, 0, -HAND_M + 0.04), 0.04, WHITE),
)
HEAD_CAPSULES: tuple[Capsule, ...] = (((0, 0, -0.02), (0, 0, 0.02), 0.04, GREY),)


def _wrist(side: str) -> MountedCamera:
    return MountedCamera(
        camera=on_gripper(f"wrist_camera_{side}", body=f"{side}_gripper/base", fovy_deg=58),
        noise=CameraNoise(position_m=(0.015, 0.005, 0.01), roll_deg=8, pitch_deg=4, yaw_deg=4, fovy_deg=4),
    )


CAMERAS = CameraSystem(
    name="rby1",
    width=1024,
    height=576,
    mounted=(
        MountedCamera(
            camera=PlacedCamera(
                name="head_camera",
                body="head/link1",
                position_m=(0.1, 0.0, 0.05),
                quat_wxyz=quat_from_pitch(0),
                fovy_deg=139,
            ),
            noise=CameraNoise(position_m=(0.01, 0.01, 0.01), roll_deg=4, pitch_deg=4, yaw_deg=4, fovy_deg=3),
        ),
        _wrist("left"),
        _wrist("right"),
    ),
)


class Rby1(Robot):
    """Base, torso, two arms with grippers, head.

    Args:
        clocks: Those of manipulation, or `NAVIGATION`.
    """

    def __init__(self, clocks: Clocks = MANIPULATION) -> None:
        self.name = "rby1"
        self.clocks = clocks
        self.camera_systems = {CAMERAS.name: CAMERAS}
        torso = _names("torso", TORSO)
        self.groups = (
            base_group(),
            MoveGroup(
                name="torso",
                kind="torso",
                joints=torso,
                actuators=torso,
                modes=("height", "joint_position", "joint_rel_position"),
                limits=tuple(part[2] for part in TORSO),
                home=tuple(HEIGHT_HOME * share for share in HEIGHT),
                height=HEIGHT,
                height_limits=HEIGHT_LIMITS,
                tcp="torso/top",
            ),
            *(group for side in SIDES for group in _arm_groups(side)),
            MoveGroup(
                name="head",
                kind="head",
                joints=_names("head", HEAD),
                actuators=_names("head", HEAD),
                modes=("joint_position", "joint_rel_position"),
                limits=tuple(part[2] for part in HEAD),
                home=HEAD_HOME,
                noise=HEAD_NOISE,
                tcp="head/top",
            ),
        )

    def add_to(self, spec: mujoco.MjSpec, *, prefix: str = "robot_0/", base_pose7: Sequence[float]) -> mujoco.MjsBody:
        """Build it; the pose must be upright, and its height stays."""
        base = add_planar_base(spec, prefix, base_pose7)
        base.gravcomp = 1
        add_solid(
            base,
            name=f"{prefix}base",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[BASE_HALF_M, BASE_HALF_M, (BASE_TOP_M - BASE_CLEARANCE_M) / 2],
            pos=[0, 0, (BASE_TOP_M + BASE_CLEARANCE_M) / 2],
            mass=60.0,
            rgba=GREY,
        )
        torso = _add_parts(spec, base, f"{prefix}torso", TORSO)
        torso[-1].add_site(name=f"{prefix}torso/top", pos=[0, 0, SHOULDER_M[2]], group=4)
        _add_capsules(torso, f"{prefix}torso", TORSO, TORSO_CAPSULES)
        for side in SIDES:
            arm = _add_parts(spec, torso[-1], f"{prefix}{side}_arm", _arm_parts(side))
            _add_capsules(arm, f"{prefix}{side}_arm", ARM, ARM_CAPSULES)
            add_gripper(arm[-1], spec, f"{prefix}{side}_gripper/", position_m=(0, 0, -HAND_M), quat_wxyz=(0, 1, 0, 0))
            _exclude_near(spec, prefix, [f"{side}_arm/link{k}" for k in range(7)] + [f"{side}_gripper/base"])
            for part in ("link0", "link1", "link2"):  # the shoulder is buried in the chest
                spec.add_exclude(bodyname1=f"{prefix}torso/link5", bodyname2=f"{prefix}{side}_arm/{part}")
        head = _add_parts(spec, torso[-1], f"{prefix}head", HEAD)
        _add_capsules(head[:1], f"{prefix}head", HEAD[:1], HEAD_CAPSULES)
        add_solid(
            head[1],
            name=f"{prefix}head/link1",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[0.06, 0.08, 0.05],
            pos=[0.03, 0, 0.05],
            mass=HEAD[1][3],
            rgba=BLACK,
        )
        head[1].add_site(name=f"{prefix}head/top", pos=[0, 0, 0.05], group=4)
        _exclude_near(spec, prefix, ["base", *(f"torso/link{k}" for k in range(6)), "head/link0", "head/link1"])
        return base


def _arm_groups(side: str) -> tuple[MoveGroup, MoveGroup]:
    joints = _names(f"{side}_arm", ARM)
    gripper = GripperNames(f"{side}_gripper/")
    return (
        MoveGroup(
            name=f"{side}_arm",
            kind="arm",
            joints=joints,
            actuators=joints,
            modes=("joint_position", "joint_rel_position"),
            limits=tuple(part[2] for part in _arm_parts(side)),
            home=ARM_HOME,
            noise=ARM_NOISE,
            tcp=gripper.tcp,
        ),
        MoveGroup(
            name=f"{side}_gripper",
            kind="gripper",
            joints=gripper.fingers,
            actuators=(gripper.actuator,),
            modes=("joint_position",),
            limits=((CTRL_OPEN, CTRL_CLOSED),),
            home=(0.0, 0.0),
            noise=GRIPPER_NOISE,
            tcp=gripper.tcp,
        ),
    )


def _names(limb: str, parts: Sequence[Part]) -> tuple[str, ...]:
    return tuple(f"{limb}/joint{index}" for index in range(len(parts)))


def _arm_parts(side: str) -> tuple[Part, ...]:
    return ARM if side == "left" else tuple(_mirrored(part) for part in ARM)


def _mirrored(part: Part) -> Part:
    """The same part on the right: rolls outward the other way."""
    place, axis, limits, *rest = part
    if axis == X:
        limits = (-limits[1], -limits[0])
    return ((place[0], -place[1], place[2]), axis, limits, *rest)


def _add_parts(spec: mujoco.MjSpec, parent: mujoco.MjsBody, limb: str, parts: Sequence[Part]) -> list[mujoco.MjsBody]:
    """A chain of bodies, each with one joint and its servo."""
    bodies = []
    body = parent
    for index, (place, axis, limits, _, stiffness, damping) in enumerate(parts):
        body = body.add_body(name=f"{limb}/link{index}", pos=place, gravcomp=1)
        add_joint(body, f"{limb}/joint{index}", axis=axis, limits=limits, armature=ARMATURE)
        add_servo(spec, f"{limb}/joint{index}", stiffness=stiffness, damping=damping)
        bodies.append(body)
    return bodies


def _add_capsules(
    bodies: Sequence[mujoco.MjsBody], limb: str, parts: Sequence[Part], capsules: Sequence[Capsule]
) -> None:
    """The shape of each body of a chain, with the mass of its part."""
    links = zip(bodies, parts, capsules, strict=True)
    for index, (body, part, (start, end, radius, rgba)) in enumerate(links):
        add_capsule(body, f"{limb}/link{index}", start_m=start, end_m=end, radius_m=radius, mass=part[3], rgba=rgba)


def _exclude_near(spec: mujoco.MjSpec, prefix: str, chain: Sequence[str]) -> None:
    """Links two or three joints apart overlap where the joints between them have no length."""
    for apart in (2, 3):
        for first, second in zip(chain, chain[apart:], strict=False):
            spec.add_exclude(bodyname1=prefix + first, bodyname2=prefix + second)
