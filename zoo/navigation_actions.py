"""The 20 discrete actions of SPOC, in the order of its released checkpoints.

Source: sheet spoc_ring_holodeck_graspmolmo section 1.3. Its simulator counts yaw clockwise; here yaw is
counter-clockwise, so a left turn is positive.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType


class SpocAction(IntEnum):
    """Index of an action; its lower-case name is the long name of the release."""

    MOVE_AHEAD = 0
    ROTATE_RIGHT = 1
    ROTATE_LEFT = 2
    MOVE_BACK = 3
    DONE = 4
    SUB_DONE = 5
    ROTATE_LEFT_SMALL = 6
    ROTATE_RIGHT_SMALL = 7
    PICKUP = 8
    MOVE_ARM_IN = 9
    MOVE_ARM_OUT = 10
    MOVE_ARM_UP = 11
    MOVE_ARM_DOWN = 12
    WRIST_OPEN = 13
    WRIST_CLOSE = 14
    MOVE_ARM_DOWN_SMALL = 15
    MOVE_ARM_IN_SMALL = 16
    MOVE_ARM_OUT_SMALL = 17
    MOVE_ARM_UP_SMALL = 18
    DROPOFF = 19

    @property
    def long_name(self) -> str:
        """As the release spells it: `move_ahead`."""
        return self.name.lower()

    @property
    def short_name(self) -> str:
        """As datasets and checkpoints abbreviate it: `m`."""
        return SHORT_NAMES[self]

    @property
    def effect(self) -> Effect:
        """What it moves, and how far."""
        return EFFECTS.get(self, NOTHING)


SHORT_NAMES = (
    *("m", "r", "l", "b", "end", "sub_done", "ls", "rs", "p", "zm"),
    *("zp", "yp", "ym", "wp", "wm", "yms", "zms", "zps", "yps", "d"),
)

NAVIGATION_ACTIONS = (
    SpocAction.MOVE_AHEAD,
    SpocAction.ROTATE_RIGHT,
    SpocAction.ROTATE_LEFT,
    SpocAction.MOVE_BACK,
    SpocAction.DONE,
    SpocAction.ROTATE_LEFT_SMALL,
    SpocAction.ROTATE_RIGHT_SMALL,
)
"""What RING's bodies do, of the twenty (sheet section 2.3)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """Commanded change of the robot's state.

    Args:
        forward_m: Of the base, along its front.
        turn_deg: Of the base, counter-clockwise.
        extend_m: Of the arm, outwards.
        lift_m: Of the arm, upwards.
        wrist_deg: Wrist yaw, in the sense of the release: closing is positive.
    """

    forward_m: float = 0.0
    turn_deg: float = 0.0
    extend_m: float = 0.0
    lift_m: float = 0.0
    wrist_deg: float = 0.0


NOTHING = Effect()
EFFECTS = MappingProxyType(
    {
        SpocAction.MOVE_AHEAD: Effect(forward_m=0.2),
        SpocAction.ROTATE_RIGHT: Effect(turn_deg=-30.0),
        SpocAction.ROTATE_LEFT: Effect(turn_deg=30.0),
        SpocAction.MOVE_BACK: Effect(forward_m=-0.2),
        SpocAction.ROTATE_LEFT_SMALL: Effect(turn_deg=6.0),
        SpocAction.ROTATE_RIGHT_SMALL: Effect(turn_deg=-6.0),
        SpocAction.MOVE_ARM_IN: Effect(extend_m=-0.1),
        SpocAction.MOVE_ARM_OUT: Effect(extend_m=0.1),
        SpocAction.MOVE_ARM_UP: Effect(lift_m=0.1),
        SpocAction.MOVE_ARM_DOWN: Effect(lift_m=-0.1),
        SpocAction.WRIST_OPEN: Effect(wrist_deg=-10.0),
        SpocAction.WRIST_CLOSE: Effect(wrist_deg=10.0),
        SpocAction.MOVE_ARM_DOWN_SMALL: Effect(lift_m=-0.02),
        SpocAction.MOVE_ARM_IN_SMALL: Effect(extend_m=-0.02),
        SpocAction.MOVE_ARM_OUT_SMALL: Effect(extend_m=0.02),
        SpocAction.MOVE_ARM_UP_SMALL: Effect(lift_m=0.02),
    }
)
"""Commanded state change of each action that has one; done, sub_done, pickup and dropoff move nothing."""
