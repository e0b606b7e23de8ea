"""The action table, pinned: its order is part of checkpoints."""

import pytest

from zoo.navigation_actions import EFFECTS, NAVIGATION_ACTIONS, SHORT_NAMES, SpocAction

RELEASED = (
    "m move_ahead, r rotate_right, l rotate_left, b move_back, end done, sub_done sub_done, ls rotate_left_small, "
    "rs rotate_right_small, p pickup, zm move_arm_in, zp move_arm_out, yp move_arm_up, ym move_arm_down, "
    "wp wrist_open, wm wrist_close, yms move_arm_down_small, zms move_arm_in_small, zps move_arm_out_small, "
    "yps move_arm_up_small, d dropoff"
)


def test_names_are_in_the_released_order():
    table = [tuple(entry.split()) for entry in RELEASED.split(", ")]
    assert [(action.short_name, action.long_name) for action in SpocAction] == table
    assert [int(action) for action in SpocAction] == list(range(20))
    assert len(set(SHORT_NAMES)) == 20


def test_effects():
    assert SpocAction.MOVE_AHEAD.effect.forward_m == 0.2 == -SpocAction.MOVE_BACK.effect.forward_m
    assert SpocAction.ROTATE_LEFT.effect.turn_deg == 30.0 == -SpocAction.ROTATE_RIGHT.effect.turn_deg
    assert SpocAction.ROTATE_LEFT_SMALL.effect.turn_deg == 6.0
    assert SpocAction.WRIST_OPEN.effect.wrist_deg == -10.0
    assert SpocAction.MOVE_ARM_DOWN_SMALL.effect.lift_m == -0.02
    still = {SpocAction.DONE, SpocAction.SUB_DONE, SpocAction.PICKUP, SpocAction.DROPOFF}
    assert set(SpocAction) - set(EFFECTS) == still
    assert all(action.effect == SpocAction.DONE.effect for action in still)


@pytest.mark.parametrize("action", EFFECTS)
def test_every_effect_moves_one_thing(action):
    effect = action.effect
    values = (effect.forward_m, effect.turn_deg, effect.extend_m, effect.lift_m, effect.wrist_deg)
    assert sum(value != 0 for value in values) == 1


def test_ring_does_seven_of_them():
    assert [action.long_name for action in NAVIGATION_ACTIONS] == [
        "move_ahead",
        "rotate_right",
        "rotate_left",
        "move_back",
        "done",
        "rotate_left_small",
        "rotate_right_small",
    ]
