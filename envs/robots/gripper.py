"""A parallel gripper with the measures of the Robotiq 2F-85, from primitives.

Source: sheet of MolmoSpaces sections 9 and 14 (opening, command range, TCP offset, half opening). The frame of the base
is that of the flange it is mounted on: +z is the approach, fingers open along y, x is along their width.
Differs: the real fingers swing on four-bar linkages and advance some millimetres while they close; ours slide. One
tendon pushes both with the same force, a soft equality keeps them symmetric, so that an object off the centre moves
the fingers by a few millimetres before it moves the arm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zoo.envs.robots.parts import add_solid
from zoo.envs.simulator import mujoco

MAX_OPENING_M = 0.087  # between the pads
HALF_OPENING_M = 0.048372  # from the middle to the middle plane of a pad, open
TCP_OFFSET_M = 0.155  # of the tool frame from the flange, along +z
CTRL_OPEN, CTRL_CLOSED = 0.0, 255.0

PAD_THICKNESS_M = 2 * (HALF_OPENING_M - MAX_OPENING_M / 2)  # along y: 9.7 mm
PAD_LENGTH_M = 0.05  # along z
PAD_WIDTH_M = 0.022  # along x
TIP_BEYOND_TCP_M = 0.02  # from the tool frame to the tip of the fingers
TIP_OFFSET_M = TCP_OFFSET_M + TIP_BEYOND_TCP_M  # of the tip from the flange
PALM_LENGTH_M = 0.09  # what is nearer to the flange is solid: an object can be this far from the tip at most
PALM_HALF_WIDTH_M = 0.06  # along y
PALM_HALF_THICKNESS_M = 0.025  # along x
MOUNT_RADIUS_M, MOUNT_LENGTH_M = 0.0375, 0.04  # between the flange and the palm

CLOSE_S, OPEN_S = 0.5, 0.25  # how long a command takes effect with the arm still (sheet section 9)
PALM_MASS_KG, FINGER_MASS_KG = 0.77, 0.08
ARMATURE_KG = 1.0  # of the gears, per finger: less lets heavy objects chatter between the pads
DAMPING = 400.0  # N s/m: with the force limit the fingers close at 0.1 m/s each
STIFFNESS = 8000.0  # N/m of the servo on the sum of both positions
FORCE_N = 40.0  # of each finger; the real one can be set from 20 to 235
PAD_FRICTION = (1.5, 0.02, 0.0001)  # sliding, torsional (m), rolling (m): silicone
PAD_SOLREF = (0.01, 1.0)  # stiffer than objects, or 40 N sink the pads in by millimetres
PAD_SOLIMP = (0.95, 0.99, 0.001, 0.5, 2.0)  # softer at first touch than other surfaces, for the same reason

DARK = (0.15, 0.15, 0.16, 1.0)
RUBBER = (0.07, 0.07, 0.07, 1.0)


@dataclass(frozen=True, slots=True)
class GripperNames:
    """What the parts of a gripper are called in a model.

    Args:
        prefix: The one it was built with.
    """

    prefix: str

    @property
    def base(self) -> str:
        """Body in the frame of the flange."""
        return f"{self.prefix}base"

    @property
    def tcp(self) -> str:
        """Site of the tool frame."""
        return f"{self.prefix}tcp"

    @property
    def actuator(self) -> str:
        """0 open to 255 closed."""
        return f"{self.prefix}fingers"

    @property
    def fingers(self) -> tuple[str, str]:
        """Bodies, and their joints, at +y and -y; a joint is 0 open and half of `MAX_OPENING_M` closed."""
        return f"{self.prefix}left_finger", f"{self.prefix}right_finger"

    @property
    def pads(self) -> tuple[str, str]:
        """Geoms that hold things."""
        return f"{self.prefix}left_pad", f"{self.prefix}right_pad"


def add_gripper(
    parent: mujoco.MjsBody,
    spec: mujoco.MjSpec,
    prefix: str,
    *,
    position_m: Sequence[float] = (0.0, 0.0, 0.0),
    quat_wxyz: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
) -> mujoco.MjsBody:
    """Build a gripper onto a body.

    Args:
        parent: Carries it.
        spec: The specification that the parent is in.
        prefix: Of the names of all its parts, see `GripperNames`.
        position_m: Of the flange, in the parent's frame.
        quat_wxyz: Rotation of the flange.
    Returns:
        The base body.
    """
    names = GripperNames(prefix)
    base = parent.add_body(name=names.base, pos=position_m, quat=quat_wxyz, gravcomp=1)
    add_solid(
        base,
        name=f"{prefix}mount",
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[MOUNT_RADIUS_M, MOUNT_LENGTH_M / 2, 0],
        pos=[0, 0, MOUNT_LENGTH_M / 2],
        mass=PALM_MASS_KG / 2,
        rgba=DARK,
    )
    add_solid(
        base,
        name=f"{prefix}palm",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[PALM_HALF_THICKNESS_M, PALM_HALF_WIDTH_M, (PALM_LENGTH_M - MOUNT_LENGTH_M) / 2],
        pos=[0, 0, (PALM_LENGTH_M + MOUNT_LENGTH_M) / 2],
        mass=PALM_MASS_KG / 2,
        rgba=DARK,
    )
    base.add_site(name=names.tcp, pos=[0, 0, TCP_OFFSET_M], size=[0.005, 0.005, 0.005], group=4)
    for finger, pad, side in zip(names.fingers, names.pads, (1, -1), strict=True):
        _add_finger(base, finger, pad, side)
    _couple(spec, names)
    return base


def opening_of(joint_positions: Sequence[float]) -> float:
    """Metres between the pads, from the positions of both finger joints."""
    return MAX_OPENING_M - float(joint_positions[0]) - float(joint_positions[1])


def _add_finger(base: mujoco.MjsBody, name: str, pad: str, side: int) -> None:
    body = base.add_body(name=name, pos=[0, side * MAX_OPENING_M / 2, 0], gravcomp=1)
    body.add_joint(
        name=name,
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=[0, -side, 0],
        range=[0, MAX_OPENING_M / 2],
        limited=mujoco.mjtLimited.mjLIMITED_TRUE,
        damping=DAMPING,
        armature=ARMATURE_KG,
    )
    middle = side * PAD_THICKNESS_M / 2
    pad_geom = add_solid(
        body,
        name=pad,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[PAD_WIDTH_M / 2, PAD_THICKNESS_M / 2, PAD_LENGTH_M / 2],
        pos=[0, middle, TIP_OFFSET_M - PAD_LENGTH_M / 2],
        mass=FINGER_MASS_KG / 2,
        rgba=RUBBER,
    )
    pad_geom.condim, pad_geom.priority = 4, 1
    pad_geom.friction, pad_geom.solref, pad_geom.solimp = PAD_FRICTION, PAD_SOLREF, PAD_SOLIMP
    length = TIP_OFFSET_M - PAD_LENGTH_M - PALM_LENGTH_M
    add_solid(
        body,
        name=f"{name}_link",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[PAD_WIDTH_M / 2, PAD_THICKNESS_M / 2, length / 2],
        pos=[0, middle, PALM_LENGTH_M + length / 2],
        mass=FINGER_MASS_KG / 2,
        rgba=DARK,
    )


def _couple(spec: mujoco.MjSpec, names: GripperNames) -> None:
    """One servo on both fingers, and what keeps them symmetric."""
    left, right = names.fingers
    tendon = spec.add_tendon(name=names.actuator)
    tendon.wrap_joint(left, 1.0)
    tendon.wrap_joint(right, 1.0)
    actuator = spec.add_actuator(name=names.actuator, target=names.actuator, trntype=mujoco.mjtTrn.mjTRN_TENDON)
    actuator.set_to_position(kp=STIFFNESS)
    actuator.gainprm[0] = STIFFNESS * MAX_OPENING_M / (CTRL_CLOSED - CTRL_OPEN)
    actuator.ctrlrange, actuator.ctrllimited = (CTRL_OPEN, CTRL_CLOSED), mujoco.mjtLimited.mjLIMITED_TRUE
    actuator.forcerange, actuator.forcelimited = (-FORCE_N, FORCE_N), mujoco.mjtLimited.mjLIMITED_TRUE
    equality = spec.add_equality(
        name=names.actuator, type=mujoco.mjtEq.mjEQ_JOINT, objtype=mujoco.mjtObj.mjOBJ_JOINT, name1=left, name2=right
    )
    equality.data[:5] = [0, 1, 0, 0, 0]
    equality.solref, equality.solimp = (0.02, 1.0), (0.9, 0.95, 0.001, 0.5, 2.0)  # gives way by some 4 mm at 40 N
    spec.add_exclude(bodyname1=left, bodyname2=right)  # closed pads lie on one another; the joints' limits stop them
