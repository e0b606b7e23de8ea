"""Episodes about an object by how it compares with others, or by what it is next to.

Source: sheet spoc_ring_holodeck_graspmolmo section 1.12: largest and smallest in a room, closest to and furthest from
another thing, near two things, on something. Margins are ours; they leave out what people would argue about.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from zoo.envs.navigation.success import largest_face_m2
from zoo.envs.sampling.chores.chore import Choice
from zoo.envs.sampling.chores.objects import ObjectNavSampler, about, one_of
from zoo.envs.sampling.chores.site import Site
from zoo.envs.sampling.chores.vocabulary import counts_as, with_broader

CLEARLY_LARGER = 1.2  # times the largest face of the next
CLEARLY_NEARER_M = 0.7  # than the next
NEAR_M = 1.2  # between boxes, in the plane
LARGEST, SMALLEST, CLOSEST, FURTHEST = "largest", "smallest", "closest to", "furthest from"
NOT_COMPARABLE = "nothing to compare"
NOT_RELATED = "nothing near two things, or on another"


class ObjectNavRelAttributeSampler(ObjectNavSampler):
    """The extreme one of several."""

    task: ClassVar[str] = "object_nav_rel_attribute"

    def choose(self, site: Site, rng: np.random.Generator) -> Choice:
        groups = {name: site.counting_as(name) for name in site.categories(self.categories)}
        several = {category: names for category, names in groups.items() if len(names) > 1}
        choices = [*self._by_size(site, several), *self._by_distance(site, several)]
        attribute = one_of(
            rng, list(dict.fromkeys(choice.fields["rel_attribute"] for choice in choices)), reason=NOT_COMPARABLE
        )
        return one_of(rng, [choice for choice in choices if choice.fields["rel_attribute"] == attribute])

    def _by_size(self, site: Site, groups: dict[str, list[str]]) -> list[Choice]:
        types = {room.name: room.room_type for room in site.scene.rooms}
        found = []
        for category, names in groups.items():
            for room_type in dict.fromkeys(types[site.room_of[name]] for name in names):
                there = [name for name in names if types[site.room_of[name]] == room_type]
                rooms = tuple(room for room, kind in types.items() if kind == room_type)
                sizes = [largest_face_m2(2 * site.box(name)[1]) for name in there]
                for attribute, name in extremes(there, np.log(sizes), float(np.log(CLEARLY_LARGER)), SMALLEST, LARGEST):
                    fields = {"rel_attribute": attribute, "room_types": (room_type,), "room_ids": rooms}
                    found.append(about(site.synset_of(category), [name], **fields))
        return found

    def _by_distance(self, site: Site, groups: dict[str, list[str]]) -> list[Choice]:
        single = [name for name in site.categories(None) if len(site.counting_as(name)) == 1]
        found = []
        for category, names in groups.items():
            for other in single:
                reference = site.counting_as(other)[0]
                middle = site.box(reference)[0][:2]
                apart = np.array([np.linalg.norm(site.box(name)[0][:2] - middle) for name in names])
                for attribute, name in extremes(names, apart, CLEARLY_NEARER_M, CLOSEST, FURTHEST):
                    fields = {"rel_attribute": attribute, "reference_synsets": (site.synset_of(other),)}
                    found.append(about(site.synset_of(category), [name], **fields))
        return found


class ObjectNavLocalRefSampler(ObjectNavSampler):
    """An object near two others, or on another."""

    task: ClassVar[str] = "object_nav_local_ref"

    def choose(self, site: Site, rng: np.random.Generator) -> Choice:
        wanted = site.categories(self.categories)
        on, near = self._on(site, wanted), self._near(site, wanted)
        offered = [choices for choices in (on, near) if choices]
        return one_of(rng, one_of(rng, offered, reason=NOT_RELATED))

    def _on(self, site: Site, wanted: Sequence[str]) -> list[Choice]:
        """Things on furniture, by both categories."""
        supports = {item.name: item.support for item in site.scene.objects}
        found: dict[tuple[str, str], list[str]] = {}
        for category in wanted:
            for name in site.counting_as(category):
                host = site.facts.get(supports[name])
                for synset in with_broader(host.synset) if host is not None else ():
                    found.setdefault((site.synset_of(category), synset), []).append(name)
        return [
            about(synset, names, reference_type="on", reference_synsets=(host,))
            for (synset, host), names in found.items()
        ]

    def _near(self, site: Site, wanted: Sequence[str]) -> list[Choice]:
        """Things near two of other kinds, by all three synsets."""
        around = {name: self._neighbours(site, name) for name in site.visible}
        found: dict[tuple[str, tuple[str, str]], list[str]] = {}
        for category in wanted:
            synset = site.synset_of(category)
            for name in site.counting_as(category):
                others = sorted(around[name] - {synset, *with_broader(site.facts[name].synset)})
                for pair in itertools.combinations(others, 2):
                    if not (counts_as(*pair) or counts_as(*pair[::-1])):  # one thing could be both
                        found.setdefault((synset, pair), []).append(name)
        return [
            about(synset, names, reference_type="near", reference_synsets=pair)
            for (synset, pair), names in found.items()
        ]

    def _neighbours(self, site: Site, name: str) -> frozenset[str]:
        """Synsets and hypernyms of what stands on the floor of the same room, so near that people would say so."""
        centre, half = site.box(name)
        found = set()
        for other in site.visible:
            if other == name or site.room_of[other] != site.room_of[name] or site.facts[other].mounting != "floor":
                continue
            middle, size = site.box(other)
            gap = np.maximum(np.abs(centre - middle)[:2] - (half + size)[:2], 0.0)
            if np.linalg.norm(gap) <= NEAR_M:
                found.update(with_broader(site.facts[other].synset))
        return frozenset(found)


def extremes(names: Sequence[str], values: np.ndarray, margin: float, least: str, most: str) -> list[tuple[str, str]]:
    """The names of least and greatest value, each with its word, where no other comes as near as a margin."""
    if len(names) < 2:
        return []
    order = np.argsort(values, kind="stable")
    found = []
    if values[order[1]] - values[order[0]] >= margin:
        found.append((least, names[order[0]]))
    if values[order[-1]] - values[order[-2]] >= margin:
        found.append((most, names[order[-1]]))
    return found
