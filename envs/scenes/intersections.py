"""How deep things are in one another at the start of a scene, also pairs that the physics never lets touch.

Source: sheet molmospaces section 12: contact depth beyond 0.01 m; of a free and a fixed thing the free one goes, of two
free ones the smaller.
Differs: MuJoCo makes no contact between two things that cannot move, so fixed things inside walls or in one another are
measured by the distance of their geoms. Of two fixed objects the smaller goes; a wall, a floor or a door stays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from zoo.envs.scenes.inventory import NOBODY, Inventory, geom_boxes
from zoo.envs.scenes.report import Finding
from zoo.envs.simulator import mujoco


class Overlap(NamedTuple):
    """Two geoms in one another."""

    depth_m: float
    geoms: tuple[int, int]


def intersection_findings(inventory: Inventory, depth_m: float) -> list[Finding]:
    """One finding per object: how deep it is in whatever it would have to make room for.

    Args:
        inventory: The scene at its start.
        depth_m: Largest depth that passes.
    """
    worst: dict[int, tuple[float, str]] = {}
    for overlap in [*_contacts(inventory), *_fixed_overlaps(inventory, depth_m)]:
        loser, other = _loser(inventory, *overlap.geoms)
        if loser != NOBODY and overlap.depth_m > worst.get(loser, (0.0, ""))[0]:
            worst[loser] = (overlap.depth_m, inventory.name_of_geom(other))
    findings = []
    for number, item in enumerate(inventory.items):
        if item.is_door:
            continue
        depth, other = worst.get(number, (0.0, ""))
        passed = depth <= depth_m
        findings.append(
            Finding(
                gate="intersection",
                object=item.name,
                passed=passed,
                measured=depth,
                limit=depth_m,
                unit="m",
                reason=f"{depth:.3f} m inside {other!r}" if other else "touches nothing",
                culprits=() if passed else (item.name,),
            )
        )
    return findings


def _contacts(inventory: Inventory) -> list[Overlap]:
    """What MuJoCo sees at the start."""
    contact = inventory.start.contact
    return [
        Overlap(-float(distance), (int(first), int(second)))
        for distance, (first, second) in zip(contact.dist, contact.geom, strict=True)
        if distance < 0
    ]


def _fixed_overlaps(inventory: Inventory, depth_m: float) -> list[Overlap]:
    """Between fixed objects, and between them and walls: what contact bits and MuJoCo's own filters leave out.

    The floor is not looked at: fixed things stand in it where their legs are not level.
    """
    model, data = inventory.model, inventory.start
    fixed = [number for number, item in enumerate(inventory.items) if not item.is_free]
    is_plane = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE.value
    collides = (model.geom_contype != 0) | (model.geom_conaffinity != 0)
    owners = inventory.owner[model.geom_bodyid]
    is_still = model.body_weldid[model.geom_bodyid] == 0  # a robot in the scene is neither an object nor a wall
    candidates = np.flatnonzero(collides & ~is_plane & (np.isin(owners, fixed) | ((owners == NOBODY) & is_still)))
    owners = owners[candidates]
    low, high = geom_boxes(model, data, candidates)
    overlaps = []
    for place in np.flatnonzero(owners != NOBODY):
        meets = np.all((low[place] + depth_m < high) & (low + depth_m < high[place]), axis=1) & (
            owners != owners[place]
        )
        meets[:place] &= owners[:place] == NOBODY  # each pair of objects once
        for other in np.flatnonzero(meets):
            pair = (int(candidates[place]), int(candidates[other]))
            distance = mujoco.mj_geomDistance(model, data, *pair, 0.0, None)
            if distance < 0:
                overlaps.append(Overlap(-distance, pair))
    return overlaps


def _loser(inventory: Inventory, first: int, second: int) -> tuple[int, int]:
    """(item that has to go, geom of the other); NOBODY where both are of one thing or neither is an object."""
    owners = inventory.owner_of_geom(first), inventory.owner_of_geom(second)
    if owners[0] == owners[1]:
        return NOBODY, second
    ranks = [_rank(inventory, owner) for owner in owners]
    place = 0 if ranks[0] < ranks[1] else 1
    if ranks[place][0] == _HOUSE:
        return NOBODY, second
    return owners[place], (second, first)[place]


_FREE, _FIXED, _HOUSE = range(3)


def _rank(inventory: Inventory, owner: int) -> tuple[int, float, int]:
    """What stays is greater: the house, then fixed, then large, then early in the scene."""
    if owner == NOBODY or inventory.items[owner].is_door:
        return (_HOUSE, 0.0, 0)
    item = inventory.items[owner]
    return (_FREE if item.is_free else _FIXED, item.volume_m3, -owner)
