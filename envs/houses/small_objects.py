"""Small objects on and in furniture: upright, apart from each other, within their surface, 1 mm above it.

Only surfaces of an asset's root body are used: where a moving part, such as a drawer, has its frame is not among the
facts of an asset, and nothing is built here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from zoo.envs.assets.library import AssetFacts, Surface
from zoo.envs.draws import pick, weighted
from zoo.envs.houses.appearance import Style
from zoo.envs.houses.footprints import Footprint
from zoo.envs.houses.furniture_table import ON_TOP
from zoo.envs.houses.placed import REST_M, Catalogue, Placed
from zoo.envs.houses.small_objects_table import BY_HOST, BY_ROOM, RELUCTANCE, WITHIN

PER_ROOM = (3.5, 6.0)
PER_HOUSE = 6
MIN_TARGETS = 5
"""Objects that one hand can lift from an open surface, in every house whose library and furniture allow it."""

EDGE_M = 0.02  # to the edge of the surface
OPEN_GAP_M = 0.05  # between objects, so that fingers get between
INSIDE_GAP_M = 0.02
HEADROOM_M = 0.02  # below the next board
OPEN_TOP_M = (0.2, 1.5)  # heights of open surfaces that people put things on
INSIDE_SHARE = 0.3  # chance of a closed place, of that of an open one
AREA_PER_OBJECT_M2 = 0.07
MAX_PER_SURFACE = 7
TRIES = 10  # positions of one object
DRAWS_PER_OBJECT = 4


@dataclass(slots=True, eq=False)
class Spot:
    """A surface of a placed host.

    Args:
        host: Whose it is.
        surface: In the frame of the host.
        weights: Of the categories that are found here.
        items: What stands here already.
    """

    host: Placed
    surface: Surface
    weights: Mapping[str, float]
    items: list[Footprint] = field(default_factory=list)

    @property
    def height_m(self) -> float:
        return self.host.z + self.surface.centre_m[2]

    @property
    def is_full(self) -> bool:
        length, width = self.surface.size_m
        return len(self.items) >= min(MAX_PER_SURFACE, max(1, int(length * width / AREA_PER_OBJECT_M2)))

    @property
    def chance(self) -> float:
        """Relative to other spots."""
        length, width = self.surface.size_m
        share = INSIDE_SHARE if self.surface.is_inside else 1.0
        return share * RELUCTANCE.get(self.host.facts.category, 1.0) * math.sqrt(length * width)

    def footprint(self, facts: AssetFacts, x: float, y: float, yaw: float) -> Footprint:
        """Of an asset at a place of the surface, from its middle, in the world."""
        c, s = math.cos(self.host.yaw), math.sin(self.host.yaw)
        x, y = x + self.surface.centre_m[0], y + self.surface.centre_m[1]
        return Footprint(
            self.host.x + c * x - s * y,
            self.host.y + s * x + c * y,
            facts.size_m[0],
            facts.size_m[1],
            math.remainder(self.host.yaw + yaw, 2 * math.pi),
        )

    def room_for(self, facts: AssetFacts, yaw: float) -> tuple[float, float] | None:
        """How far from the middle of the surface the asset may stand along x and y; None where it does not fit."""
        box = Footprint(0.0, 0.0, facts.size_m[0], facts.size_m[1], yaw).box
        x = (self.surface.size_m[0] - box.width) / 2 - EDGE_M
        y = (self.surface.size_m[1] - box.depth) / 2 - EDGE_M
        is_low = facts.size_m[2] + HEADROOM_M <= self.surface.clearance_m
        return (x, y) if min(x, y) >= 0 and is_low else None

    def is_free(self, footprint: Footprint) -> bool:
        gap = INSIDE_GAP_M if self.surface.is_inside else OPEN_GAP_M
        return not any(footprint.overlaps(other, gap) for other in self.items)


class Scatterer:
    """Puts small objects into a furnished house.

    Args:
        rng: Source of all randomness.
        catalogue: Assets to choose from.
        style: Colours of the house.
        room_types: Of the rooms.
    """

    def __init__(self, rng: np.random.Generator, catalogue: Catalogue, style: Style, room_types: Sequence[str]) -> None:
        self.placed: list[Placed] = []
        self._hanging: list[Placed] = []
        self._rng, self._catalogue, self._style, self._types = rng, catalogue, style, room_types

    def scatter(self, furniture: Sequence[Placed]) -> list[Placed]:
        """Put what belongs at the back of furniture there, then small objects wherever there is room."""
        self._hanging = [item for item in furniture if item.facts.mounting == "wall"]
        spots = [spot for host in furniture for spot in self._spots(host)]
        for spot in _first_open(spots):
            self._put_on_top(spot)
        spots += [spot for host in self.placed if not host.facts.is_pickupable for spot in self._spots(host)]
        wanted = PER_HOUSE + round(len(self._types) * float(self._rng.uniform(*PER_ROOM)))
        self._fill(spots, wanted)
        is_target = [item.facts.is_pickupable for item in self.placed if _is_on_open_surface(item, spots)]
        self._fill([spot for spot in spots if not spot.surface.is_inside], MIN_TARGETS - sum(is_target))
        return self.placed

    def _spots(self, host: Placed) -> Iterator[Spot]:
        category, of_room = host.facts.category, BY_ROOM[self._types[host.room]]
        for surface in host.facts.surfaces:
            low, high = OPEN_TOP_M
            is_within_reach = surface.is_inside or low <= host.z + surface.centre_m[2] <= high
            if surface.body or not is_within_reach:
                continue
            table = WITHIN if surface.is_inside else BY_HOST
            weights = {k: w for k, w in table.get(category, of_room).items() if self._catalogue.of(k, "surface")}
            if not weights and category not in table:  # a library of other categories
                weights = dict.fromkeys(self._catalogue.pickupable(), 1.0)
            yield Spot(host, surface, weights)

    def _put_on_top(self, spot: Spot) -> None:
        for category, chance in ON_TOP.get(spot.host.facts.category, ()):
            if self._rng.random() >= chance:
                continue
            instances = self._catalogue.instances(self._rng, (category,), "surface")
            fitting = ((facts, room) for facts in instances if (room := spot.room_for(facts, 0.0)))
            for facts, room in itertools.islice(fitting, 1):
                for share in (0.0, *self._rng.uniform(-1, 1, TRIES).tolist()):
                    if self._add(spot, facts, -room[0], share * room[1], 0.0):
                        break

    def _fill(self, spots: Sequence[Spot], wanted: int) -> None:
        """Add so many objects, or fewer where there is no room."""
        usable = {spot: spot.chance for spot in spots if spot.weights}
        draws = DRAWS_PER_OBJECT * wanted
        while wanted > 0 and draws > 0 and usable:
            draws -= 1
            spot = weighted(self._rng, usable)
            if spot.is_full:
                del usable[spot]
                continue
            facts = self._catalogue.draw(self._rng, (weighted(self._rng, spot.weights),), "surface")
            assert facts is not None, "spots name only categories that there are"
            wanted -= self._put_anywhere(spot, facts)

    def _put_anywhere(self, spot: Spot, facts: AssetFacts) -> bool:
        for _ in range(TRIES):
            yaw = float(self._rng.uniform(-math.pi, math.pi))
            room = spot.room_for(facts, yaw) or spot.room_for(facts, yaw := pick(self._rng, (0.0, math.pi / 2)))
            if room is None:
                continue
            x, y = self._rng.uniform(-1, 1, 2).tolist()
            if self._add(spot, facts, x * room[0], y * room[1], yaw):
                return True
        return False

    def _add(self, spot: Spot, facts: AssetFacts, x: float, y: float, yaw: float) -> bool:
        footprint = spot.footprint(facts, x, y, yaw)
        if not spot.is_free(footprint) or self._reaches_what_hangs(spot, facts, footprint):
            return False
        spot.items.append(footprint)
        item = Placed(
            facts=facts,
            x=footprint.x,
            y=footprint.y,
            z=spot.height_m + REST_M,
            yaw=footprint.yaw,
            room=spot.host.room,
            support=spot.host,
            colours=self._style.colours(self._rng, facts),
        )
        self.placed.append(item)
        return True

    def _reaches_what_hangs(self, spot: Spot, facts: AssetFacts, footprint: Footprint) -> bool:
        """Whether an object would stand in something on the wall, as a bottle on a microwave below a cabinet."""
        low, high = spot.height_m, spot.height_m + facts.size_m[2] + HEADROOM_M
        return any(
            item is not spot.host
            and item.room == spot.host.room
            and item.z < high
            and low < item.z + item.facts.size_m[2]
            and footprint.overlaps(item.footprint)
            for item in self._hanging
        )


def _first_open(spots: Sequence[Spot]) -> list[Spot]:
    """The first open surface of each host."""
    first: dict[int, Spot] = {}
    for spot in spots:
        if not spot.surface.is_inside:
            first.setdefault(id(spot.host), spot)
    return list(first.values())


def _is_on_open_surface(item: Placed, spots: Sequence[Spot]) -> bool:
    return any(
        spot.host is item.support and not spot.surface.is_inside and math.isclose(spot.height_m + REST_M, item.z)
        for spot in spots
    )
