"""Episodes about objects: any of a category, in a type of room, for a purpose, or the one of a description.

Source: sheet spoc_ring_holodeck_graspmolmo section 1.12. An episode is drawn only where the navigation camera of its
body can see a target as well as the strict rule of section 1.13 asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np

from zoo.envs.navigation.paths import RouteGrid
from zoo.envs.sampling.chores.chore import WITHOUT, Choice, ChoreSampler
from zoo.envs.sampling.chores.site import Scout, Site, Ways
from zoo.envs.sampling.chores.vocabulary import AFFORDANCES
from zoo.envs.sampling.sampler import RejectedError

T = TypeVar("T")


def one_of(rng: np.random.Generator, offered: Sequence[T], *, reason: str = WITHOUT) -> T:
    """Any of some, all alike.

    Raises:
        RejectedError: there is none, so this house will not do.
    """
    if not offered:
        raise RejectedError(reason, is_hopeless=True)
    return offered[int(rng.integers(len(offered)))]


def about(synset: str, targets: Sequence[str], **fields: Any) -> Choice:
    """A choice of objects under one synset."""
    return Choice(
        fields={"synsets": (synset,), "broad_synset_to_object_ids": {synset: tuple(targets)}, **fields},
        targets=tuple(targets),
    )


class ObjectNavSampler(ChoreSampler):
    """What the tasks have in common in which an object is to be seen."""

    no_goal: ClassVar[str] = "target seen from no place within reach"

    def ways(self, scout: Scout, grid: RouteGrid, choice: Choice) -> Ways | None:
        views = [scout.views_of(grid, name) for name in choice.targets]
        goals = np.concatenate(views) if views else np.zeros((0, 2), np.int64)
        return scout.ways_to(grid, goals) if len(goals) else None


class ObjectNavTypeSampler(ObjectNavSampler):
    """Any object of a category."""

    task: ClassVar[str] = "object_nav_type"

    def choose(self, site: Site, rng: np.random.Generator) -> Choice:
        category = one_of(rng, site.categories(self.categories))
        return about(site.synset_of(category), site.counting_as(category))


class ObjectNavRoomSampler(ObjectNavSampler):
    """Any object of a category in a type of room."""

    task: ClassVar[str] = "object_nav_room"

    def choose(self, site: Site, rng: np.random.Generator) -> Choice:
        category = one_of(rng, site.categories(self.categories))
        types = {room.name: room.room_type for room in site.scene.rooms}
        names = site.counting_as(category)
        room_type = one_of(rng, list(dict.fromkeys(types[site.room_of[name]] for name in names)))
        rooms = tuple(name for name, kind in types.items() if kind == room_type)
        there = [name for name in names if site.room_of[name] in rooms]
        return about(site.synset_of(category), there, room_types=(room_type,), room_ids=rooms)


class ObjectNavAffordanceSampler(ObjectNavSampler):
    """Anything that serves a purpose."""

    task: ClassVar[str] = "object_nav_affordance"

    def choose(self, site: Site, rng: np.random.Generator) -> Choice:
        present = site.categories(self.categories)
        offered = [name for name, categories in AFFORDANCES.items() if set(categories) & set(present)]
        affordance = one_of(rng, offered)
        found: dict[str, list[str]] = {}
        for category in AFFORDANCES[affordance]:
            for name in site.of_category(category):
                found.setdefault(site.facts[name].synset, []).append(name)
        return Choice(
            fields={
                "synsets": tuple(found),
                "broad_synset_to_object_ids": {synset: tuple(names) for synset, names in found.items()},
                "affordance": affordance,
            },
            targets=tuple(name for names in found.values() for name in names),
        )


class ObjectNavDescriptionSampler(ObjectNavSampler):
    """One asset, by the words that tell it from the others of its category; all its copies count."""

    task: ClassVar[str] = "object_nav_description"

    def choose(self, site: Site, rng: np.random.Generator) -> Choice:
        wanted = site.categories(self.categories)
        painted = {item.name for item in site.scene.objects if item.colours}  # of which the words may no longer be true
        found: dict[str, list[str]] = {}
        for name in site.visible:
            if site.facts[name].category in wanted:
                found.setdefault(site.facts[name].uid, []).append(name)
        plain = [uid for uid, names in found.items() if not painted & set(names)]
        uid = one_of(rng, plain)
        facts = site.facts[found[uid][0]]
        return about(facts.synset, found[uid], uid=uid, extra={"description": facts.description})
