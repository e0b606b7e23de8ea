"""Words for objects, and prompts.

Source: sheet molmospaces section 7, prompt patterns; 13, referring expressions.
Differs: upstream scores expressions by CLIP. Here the shortest one that names no rival wins: the category, then the
description of the asset with its colour, then the side that it stands on as the robot sees it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zoo.envs.assets.design import COLOURS
from zoo.envs.assets.library import AssetFacts
from zoo.envs.kinematics.poses import yaw_of
from zoo.envs.scenes.specification import Colour

APART_M = 0.05  # along the robot's left-right axis, for one of two twins to be the left one

NAMED_COLOURS: dict[str, Colour] = {
    name: (*COLOURS[name], 1.0) for name in ("red", "yellow", "green", "blue", "white", "black")
}
"""Paints that nobody takes for one another."""


def expression(
    name: str,
    rivals: Mapping[str, AssetFacts],
    positions_m: Mapping[str, np.ndarray],
    base_pose7: np.ndarray,
) -> str | None:
    """Words that mean one object and none of its rivals; None where there are none.

    Args:
        name: Of the object, one of `rivals`.
        rivals: Objects that somebody might take for it, by name; itself among them.
        positions_m: (3,) of each.
        base_pose7: Where the robot stands.
    """
    facts = rivals[name]
    same = [other for other in rivals if rivals[other].category == facts.category]
    if len(same) == 1:
        return facts.category
    twins = [other for other in same if rivals[other].description == facts.description]
    if len(twins) == 1:
        return facts.description
    side = _side(name, {twin: positions_m[twin] for twin in twins}, base_pose7)
    return None if side is None else f"{side} {facts.description}"


def pick(target: str) -> str:
    """Prompt of the pick task."""
    return f"pick up the {target}"


def place(target: str, receptacle: str) -> str:
    """Prompt of pick-and-place, by whatever tells the receptacle."""
    return f"pick up the {target} and place it in or on the {receptacle}"


def place_next_to(target: str, other: str) -> str:
    """Prompt of pick-and-place-next-to."""
    return f"pick up the {target} and place it next to the {other}"


def go_to(category: str, count: int) -> str:
    """Prompt of navigation to one of so many."""
    return f"navigate to the {category}" if count == 1 else f"navigate to any {category} ({count} available)"


def _side(name: str, positions_m: Mapping[str, np.ndarray], base_pose7: np.ndarray) -> str | None:
    """`left`, `right`, `leftmost` or `rightmost` of some that look alike, as the robot sees them."""
    yaw = float(yaw_of(base_pose7[3:]))
    leftward = np.array([-np.sin(yaw), np.cos(yaw)])
    along = {other: float(position[:2] @ leftward) for other, position in positions_m.items()}
    own = along.pop(name)
    ending = "" if len(along) == 1 else "most"
    if own >= max(along.values()) + APART_M:
        return f"left{ending}"
    return f"right{ending}" if own <= min(along.values()) - APART_M else None
