"""Whole houses from a seed: plan, openings, furniture, wall things, small objects, looks, in the terms of a `Scene`.

Source: the procedure follows the ProcTHOR-like scene family of sheet molmospaces section 1 (1 to 10 rooms, some 70
objects, splits by seed and by asset instance), body names section 12, looks section 17. Every stage draws from a
generator of its own, so a change of one leaves the others' draws as they are.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import numpy as np

from zoo import registry
from zoo.envs.assets.library import AssetFacts, AssetLibrary, Split
from zoo.envs.houses.appearance import Style, draw_lights
from zoo.envs.houses.floor_plan import EXTRA_DOOR_CHANCE, FloorPlan, draw_height, draw_plan
from zoo.envs.houses.floor_space import FloorSpace
from zoo.envs.houses.furnishing import Furnisher
from zoo.envs.houses.openings import WALL_THICKNESS_M, HouseOpenings, draw_openings
from zoo.envs.houses.placed import Catalogue, Placed
from zoo.envs.houses.repainting import RepaintedStyle
from zoo.envs.houses.small_objects import Scatterer
from zoo.envs.houses.wall_things import WallHanger
from zoo.envs.scenes.specification import Material, Placement, Room, Scene, Wall
from zoo.errors import ConfigError

MAX_ROOMS = 10
HOME_ROOMS = (3, 6)
PLAN_TRIES = 200
SPLITS: tuple[Split, ...] = get_args(Split)
DATASET = "procedural"


@dataclass(frozen=True, kw_only=True, slots=True)
class HouseSettings:
    """What all houses of one family have in common.

    Args:
        num_rooms: Fewest and most.
        closed_door_share: Of the doors between rooms, how many are closed at the start; 0 lets everybody through
            without opening any.
        extra_door_chance: That two rooms which suit each other get a door although there is another way.
        repainted_share: Of the things that no hand lifts, how many are painted in any colours.

    Raises:
        ConfigError: a value out of its range.
    """

    num_rooms: tuple[int, int] = (1, MAX_ROOMS)
    closed_door_share: float = 0.0
    extra_door_chance: float = EXTRA_DOOR_CHANCE
    repainted_share: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.num_rooms
        if not 1 <= low <= high <= MAX_ROOMS:
            raise ConfigError(
                f"num_rooms is {low} to {high}, expected the fewest first, then the most, both from 1 to {MAX_ROOMS}, "
                f"as (1, {MAX_ROOMS}) or (3, 3)"
            )
        for name in ("closed_door_share", "extra_door_chance", "repainted_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected a share from 0 to 1, as 0.2")


DEFAULT_SETTINGS = HouseSettings()


def generate_house(
    seed: int,
    *,
    library: AssetLibrary,
    library_name: str = "primitives",
    split: Split = "train",
    index: int = 0,
    settings: HouseSettings = DEFAULT_SETTINGS,
) -> Scene:
    """Make a house.

    Args:
        seed: Of everything; the same seed and arguments give the same scene in any process.
        library: Whose assets it is furnished with; only their facts are used.
        library_name: Under which the registry knows the library.
        split: Whose asset instances are used.
        index: Number of the scene within its split.
        settings: Of its family.

    Raises:
        ConfigError: a negative seed, or a library without assets of this split.
    """
    if seed < 0:
        raise ConfigError(f"seed is {seed}, expected 0 or more")
    catalogue = Catalogue(library, split)
    layout, furniture, walls, things, looks = (
        np.random.default_rng(sequence) for sequence in np.random.SeedSequence(seed).spawn(5)
    )
    style = RepaintedStyle(looks, share=settings.repainted_share) if settings.repainted_share else Style(looks)
    plan, openings, height_m = _draw_layout(layout, settings, style)
    spaces = [
        FloorSpace(rect.grown(-WALL_THICKNESS_M / 2), asked)
        for rect, asked in zip(plan.rects, openings.by_room, strict=True)
    ]
    placed: list[Placed] = []
    for room, (kind, space) in enumerate(zip(plan.types, spaces, strict=True)):
        placed += Furnisher(furniture, catalogue, style, room, space).furnish(kind, plan.types)
    for room, (kind, space) in enumerate(zip(plan.types, spaces, strict=True)):
        hanger = WallHanger(walls, catalogue, style, room, space, height_m)
        hanger.hang(kind, plan.segments, openings.by_segment, has_television=_has(placed, room, "tv stand"))
        placed += hanger.placed + hanger.hang_lamp()
    placed += Scatterer(things, catalogue, style, plan.types).scatter(placed)
    rooms = _rooms(looks, plan, style)
    return Scene(
        name=f"{split}_{index}",
        dataset=DATASET,
        split=split,
        index=index,
        rooms=rooms,
        walls=_walls(looks, plan, openings, style, height_m),
        lights=draw_lights(looks, plan.rects, height_m),
        objects=_placements(placed, rooms, library_name),
        notes={"seed": seed, "library_digest": library.digest},
    )


def _draw_layout(
    rng: np.random.Generator, settings: HouseSettings, style: Style
) -> tuple[FloorPlan, HouseOpenings, float]:
    num_rooms = int(rng.integers(settings.num_rooms[0], settings.num_rooms[1] + 1))
    for _ in range(PLAN_TRIES):
        plan = draw_plan(rng, num_rooms=num_rooms, extra_doors=settings.extra_door_chance)
        openings = draw_openings(rng, plan, closed_share=settings.closed_door_share, wood=style.doors())
        if openings is not None:
            return plan, openings, draw_height(rng)
    raise AssertionError(f"no plan of {num_rooms} rooms in {PLAN_TRIES} has room for its doors")


def _has(placed: Sequence[Placed], room: int, category: str) -> bool:
    return any(item.room == room and item.facts.category == category for item in placed)


def _rooms(rng: np.random.Generator, plan: FloorPlan, style: Style) -> tuple[Room, ...]:
    return tuple(
        Room(
            name=f"room_{index}",
            room_type=kind,
            polygon_m=((r.x0, r.y0), (r.x1, r.y0), (r.x1, r.y1), (r.x0, r.y1)),
            floor=style.floor(rng, kind),
            ceiling=style.ceiling,
        )
        for index, (kind, r) in enumerate(zip(plan.types, plan.rects, strict=True))
    )


def _walls(
    rng: np.random.Generator, plan: FloorPlan, openings: HouseOpenings, style: Style, height_m: float
) -> tuple[Wall, ...]:
    inner = [style.wall(rng, kind) for kind in plan.types]
    outer = style.outer_wall()

    def face(room: int | None) -> Material:
        return outer if room is None else inner[room]

    return tuple(
        Wall(
            name=_wall_name(index),
            start_m=segment.start,
            end_m=segment.end,
            height_m=height_m,
            thickness_m=WALL_THICKNESS_M,
            rooms=tuple(None if room is None else f"room_{room}" for room in (segment.left, segment.right)),
            materials=(face(segment.left), face(segment.right)),
            openings=tuple(openings.by_segment.get(index, ())),
        )
        for index, segment in enumerate(plan.segments)
    )


def _wall_name(index: int) -> str:
    return f"wall_{index}"


def _placements(placed: Sequence[Placed], rooms: Sequence[Room], library_name: str) -> tuple[Placement, ...]:
    """Names and final poses; supports come before what rests on them."""
    counts: Counter[str] = Counter()
    names: dict[int, str] = {}
    found = []
    for item in placed:
        counts[item.facts.uid] += 1
        name = body_name(item.facts, counts[item.facts.uid], item.room)
        names[id(item)] = name
        if isinstance(item.support, Placed):
            support = names[id(item.support)]
        else:
            support = item.support if isinstance(item.support, str) else _wall_name(item.support)
        found.append(
            Placement(
                name=name,
                asset=item.facts.uid,
                library=library_name,
                position_m=(round(item.x, 4), round(item.y, 4), round(item.z, 4)),
                quat_wxyz=(round(math.cos(item.yaw / 2), 6), 0.0, 0.0, round(math.sin(item.yaw / 2), 6)),
                room=rooms[item.room].name,
                support=support,
                is_static=item.facts.is_static or item.facts.mounting in ("wall", "ceiling"),
                colours=dict(item.colours),
            )
        )
    return tuple(found)


def body_name(facts: AssetFacts, count: int, room: int) -> str:
    """Of an object's root body: `lemma_hash_count_bodyindex_room` (sheet section 12), as `mug_3f2a9c01_1_0_2`.

    Args:
        facts: Of its asset; the lemma is the category, the hash is of the identifier.
        count: Which of the house's objects of this asset it is, from 1.
        room: Index of its room.
    """
    lemma = re.sub(r"[^a-z0-9]+", "_", facts.category.lower()).strip("_")
    digest = hashlib.blake2b(facts.uid.encode(), digest_size=4).hexdigest()
    return f"{lemma}_{digest}_{count}_0_{room}"


class ProceduralHouses:
    """Draws houses by split and index; splits share neither seeds nor asset instances.

    Args:
        library: Registry name of the asset library, as `primitives`.
        seed: Another seed gives other houses under the same indices.
        num_rooms: Fewest and most, 1 to 10.
        closed_door_share: Of the doors between rooms, how many are closed at the start, 0 to 1.
        extra_door_chance: That two rooms which suit each other get a door although there is another way, 0 to 1.
        repainted_share: Of the furniture, how much is painted in any colours, 0 to 1; descriptions that name colours,
            as those of `primitives` do, are untrue then.
    """

    kind: ClassVar[str] = "scene_planner"
    example_args: ClassVar[dict[str, Any]] = {"num_rooms": (1, 2)}

    def __init__(
        self,
        *,
        library: str = "primitives",
        seed: int = 0,
        num_rooms: tuple[int, int] = (1, MAX_ROOMS),
        closed_door_share: float = 0.0,
        extra_door_chance: float = EXTRA_DOOR_CHANCE,
        repainted_share: float = 0.0,
    ) -> None:
        if seed < 0:
            raise ConfigError(f"seed is {seed}, expected 0 or more")
        self.settings = HouseSettings(
            num_rooms=tuple(num_rooms),
            closed_door_share=closed_door_share,
            extra_door_chance=extra_door_chance,
            repainted_share=repainted_share,
        )
        self.library_name, self.seed = library, seed
        self._library: AssetLibrary = registry.build("asset_library", library)

    def plan(self, split: Split, index: int) -> Scene:
        """The house of a number within a split.

        Args:
            split: train, val or test.
            index: From 0.

        Raises:
            ConfigError: a split or index that there is not, or a library without assets of this split.
        """
        if split not in SPLITS or not 0 <= index < 2**32:
            raise ConfigError(
                f"house {index} of split {split!r}: expected a number from 0 to {2**32 - 1} and a split, one of "
                f"{', '.join(SPLITS)}"
            )
        return generate_house(
            (self.seed * 2**32 + index) * len(SPLITS) + SPLITS.index(split),
            library=self._library,
            library_name=self.library_name,
            split=split,
            index=index,
            settings=self.settings,
        )


class Homes(ProceduralHouses):
    """The houses of the navigation recipes: 3 to 6 rooms, so that there is somewhere to go.

    Args:
        library: Registry name of the asset library, as `primitives`.
        seed: Another seed gives other houses under the same indices.
    """

    example_args: ClassVar[dict[str, Any]] = {}

    def __init__(self, *, library: str = "primitives", seed: int = 0) -> None:
        super().__init__(library=library, seed=seed, num_rooms=HOME_ROOMS)
