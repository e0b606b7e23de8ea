"""Open surfaces of a settled house, what stands on them, and places for more.

Source: sheet molmospaces section 15, episode sampling order, items 1 and 2.
Differs: the surfaces are those that the asset library states, where upstream looks for a supporting geom.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from zoo.envs.assets.library import AssetFacts
from zoo.envs.houses.footprints import Footprint
from zoo.envs.kinematics.poses import yaw_of
from zoo.envs.sampling.stage import Stage

STANDS_M = 0.03  # largest height of a bottom over or under the surface that carries it
EDGE_M = 0.01  # from what is added to the edge of its surface


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenSurface:
    """A level place under the open sky or between open boards, in the world.

    Args:
        host: Name of the object that it belongs to.
        centre_m: In the plane.
        height_m: Above the floor.
        size_m: Extents along the host's x and y.
        yaw: Of the host.
        clearance_m: Free height above it.
    """

    host: str
    centre_m: tuple[float, float]
    height_m: float
    size_m: tuple[float, float]
    yaw: float
    clearance_m: float

    def holds(self, footprint: Footprint, edge_m: float = 0.0) -> bool:
        """Whether a footprint lies within it, so far from its edges."""
        corners = np.array(footprint.corners) - self.centre_m
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        own = np.abs(corners @ np.array([[c, -s], [s, c]]))
        return bool((own <= np.array(self.size_m) / 2 - edge_m).all())


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A thing that one hand can lift, on an open surface.

    Args:
        name: Of its root body.
        facts: Of its asset.
        surface: That carries it.
    """

    name: str
    facts: AssetFacts
    surface: OpenSurface


def open_surfaces(stage: Stage) -> dict[str, list[OpenSurface]]:
    """Of furniture as it stands after settling, by host. Surfaces of moving parts are not among them."""
    found: dict[str, list[OpenSurface]] = {}
    for item in stage.place.scene.objects:
        facts = stage.facts[item.name]
        if facts.is_pickupable:
            continue
        x, y, z, *quat_wxyz = stage.world.pose7(item.name)
        yaw = float(yaw_of(quat_wxyz))
        c, s = math.cos(yaw), math.sin(yaw)
        for surface in facts.surfaces:
            if surface.body or surface.is_inside:
                continue
            own_x, own_y, own_z = (item.scale * value for value in surface.centre_m)
            found.setdefault(item.name, []).append(
                OpenSurface(
                    host=item.name,
                    centre_m=(x + c * own_x - s * own_y, y + s * own_x + c * own_y),
                    height_m=z + own_z,
                    size_m=(item.scale * surface.size_m[0], item.scale * surface.size_m[1]),
                    yaw=yaw,
                    clearance_m=item.scale * surface.clearance_m,
                )
            )
    return found


def standing_things(stage: Stage) -> list[Standing]:
    """Free things that one hand can lift, on open surfaces of furniture, in the order of the scene."""
    surfaces = open_surfaces(stage)
    found = []
    for item in stage.place.scene.objects:
        facts = stage.facts[item.name]
        if not facts.is_pickupable or not stage.is_free(item.name) or item.support not in surfaces:
            continue
        x, y, z = stage.world.position(item.name)
        here = Footprint(float(x), float(y), 0.0, 0.0, 0.0)
        for surface in surfaces[item.support]:
            if surface.holds(here) and abs(z - surface.height_m) <= STANDS_M:
                found.append(Standing(name=item.name, facts=facts, surface=surface))
                break
    return found


def is_inside(stage: Stage, name: str) -> bool:
    """Whether an object stands within a cabinet or fridge, where nobody sees it."""
    item = stage.place.scene.object(name)
    host = stage.facts.get(item.support)
    if host is None:
        return False
    height = float(stage.world.position(name)[2] - stage.world.position(item.support)[2])
    scale = stage.place.scene.object(item.support).scale
    own = [surface for surface in host.surfaces if not surface.body]
    nearest = min(own, key=lambda surface: abs(scale * surface.centre_m[2] - height), default=None)
    return nearest is not None and nearest.is_inside


def draw_place(
    stage: Stage,
    rng: np.random.Generator,
    surface: OpenSurface,
    facts: AssetFacts,
    *,
    around_m: np.ndarray,
    distance_m: tuple[float, float],
    obstacles: list[Footprint],
    gap_m: float,
) -> Footprint | None:
    """One draw of a place for another object at a distance from a point; None where it does not fit.

    Args:
        stage: The house.
        rng: Three draws.
        surface: That it is to stand on.
        facts: Of its asset.
        around_m: (2,) the point.
        distance_m: Least and most, from its middle.
        obstacles: What stands there.
        gap_m: Least distance to them.
    """
    distance, angle = rng.uniform(*distance_m), rng.uniform(-math.pi, math.pi)
    yaw = float(rng.uniform(-math.pi, math.pi))
    x, y = around_m + distance * np.array([math.cos(angle), math.sin(angle)])
    length, width, height = facts.size_m
    footprint = Footprint(float(x), float(y), length, width, yaw)
    is_clear = height <= surface.clearance_m and surface.holds(footprint, EDGE_M)
    return footprint if is_clear and not any(footprint.overlaps(other, gap_m) for other in obstacles) else None


def obstacles_on(stage: Stage, surface: OpenSurface, height_m: float) -> list[Footprint]:
    """Shadows of the objects that reach into a layer of this height above a surface, but for its host."""
    found = []
    for name in stage.world.objects:
        if name == surface.host or name in stage.spares:
            continue
        centre, half = stage.world.box(name)
        if centre[2] + half[2] > surface.height_m and centre[2] - half[2] < surface.height_m + height_m:
            found.append(Footprint(float(centre[0]), float(centre[1]), 2 * float(half[0]), 2 * float(half[1]), 0.0))
    return found
