"""From facts to things to point at, to count and to follow: entries of a record's `points`, whose numbers no text gives
away.

Each candidate is a question whose answer is how many objects it speaks of, so the balancer of the other questions picks
among them too: text by text all numbers of a shard are about equally frequent, and where a text names a colour and a
shape, as many are there as are not. Where the objects are is taken from the label arrays, at the frames that a model
is shown.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from zoo.envs.tabletop_facts import ClipFacts, ObjectFacts
from zoo.envs.tabletop_questions import COLOUR_NAMES, FEW, SIZE_NAMES, Question, QuestionBalancer
from zoo.envs.tabletop_scene import SHAPES

PLACES_SEED = 311  # part of every seed, so that what else is drawn of a clip does not depend on these
POINTS_PER_CLIP = 6
COUNTS_PER_CLIP = 6
TRACKS_PER_CLIP = 8
PRESENCE = ("0", "1")
ONE = ("1",)
SOME = FEW[1:]
TOTAL = tuple(str(number) for number in range(1, 7))
SEED_LABEL = "object"
"""Of what is followed from a point on: its colour is for the model to see."""

Candidate = tuple[Question, dict[str, Any]]
Objects = Sequence[int]


class PlaceBalancer:
    """Picks the entries of one clip after the other, so that the numbers of a shard are balanced."""

    def __init__(self) -> None:
        self._families = {
            pointing: QuestionBalancer(per_clip=POINTS_PER_CLIP),
            counting: QuestionBalancer(per_clip=COUNTS_PER_CLIP),
            tracking: QuestionBalancer(per_clip=TRACKS_PER_CLIP),
        }

    def pick(self, facts: ClipFacts, rng: np.random.Generator, *, is_still: bool) -> list[dict[str, Any]]:
        """Entries of one clip.

        Args:
            facts: What it shows.
            rng: Its own: nothing else may be drawn from it.
            is_still: The clip is one picture, so nothing moves in it.
        """
        entries: list[dict[str, Any]] = []
        for family, balancer in self._families.items():
            if family is tracking and is_still:
                continue
            known = dict(family(facts, rng, is_still=is_still))
            entries += [known[question] for question in balancer.pick(list(known), rng)]
        return entries


def pointing(facts: ClipFacts, rng: np.random.Generator, *, is_still: bool) -> Iterator[Candidate]:
    """Things by colour, by colour and shape (which may not be there), and groups of them."""
    objects = facts.objects
    for index, item in enumerate(objects):
        yield _entry("pointing", "colour", f"{item.colour} object", [index], ONE, group="colour", style="point")
        yield _entry(
            "pointing", "named", f"{item.colour} {item.shape}", [index], PRESENCE, group="named", style="point"
        )
    for colour, shape in _absent(objects, rng):
        yield _entry("pointing", "named", f"{colour} {shape}", [], PRESENCE, group="named", style="point")
    for template, label, members in _groups(facts, is_still=is_still):
        if len(members) < len(FEW):
            yield _entry("pointing", template, label, members, FEW, style="point")


def counting(facts: ClipFacts, rng: np.random.Generator, *, is_still: bool) -> Iterator[Candidate]:
    """All objects, and groups of them; how the answer is worded is the head's choice."""
    everything = range(len(facts.objects))
    yield _entry("counting", "total", "objects", everything, TOTAL, count=len(everything))
    for template, label, members in _groups(facts, is_still=is_still):
        if len(members) < len(FEW):
            yield _entry("counting", template, label, members, FEW, count=len(members))


def tracking(facts: ClipFacts, rng: np.random.Generator, *, is_still: bool) -> Iterator[Candidate]:
    """Single things and groups through all frames, single things at their ends, and on from a point."""
    for index, item in enumerate(facts.objects):
        label = f"{item.colour} object"
        yield _entry("tracking", "colour", label, [index], ONE, group="colour", kind="tracks")
        yield _entry("tracking", "ground", label, [index], ONE, group="ground", kind="ground")
        question, entry = _entry("tracking", "seed", str(index), [index], ONE, group="seed", kind="single_point")
        yield question, entry | {"label": SEED_LABEL}
    for template, label, members in _groups(facts, is_still=is_still):
        if 0 < len(members) < len(FEW):
            yield _entry("tracking", template, label, members, SOME, kind="tracks")


def _groups(facts: ClipFacts, *, is_still: bool) -> Iterator[tuple[str, str, Objects]]:
    """(template, label, objects) of what objects have in common; every object that the clip ever shows counts."""
    objects = facts.objects

    def those(holds: Callable[[ObjectFacts], bool]) -> Objects:
        return [index for index, item in enumerate(objects) if holds(item)]

    for shape in SHAPES:
        yield "shape", f"{shape}s", those(lambda item, shape=shape: item.shape == shape)
    for size in SIZE_NAMES:
        yield "size", f"{size} objects", those(lambda item, size=size: item.size == size)
        for shape in SHAPES:
            both = those(lambda item, size=size, shape=shape: (item.size, item.shape) == (size, shape))
            yield "size_shape", f"{size} {shape}s", both
    if not is_still:
        yield "moved", "objects that moved", those(lambda item: item.moved)


def _absent(objects: Sequence[ObjectFacts], rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Colours and shapes that are not there together: of every colour there another shape, and as many others."""
    there = [item.colour for item in objects]
    for item in objects:
        yield item.colour, str(rng.choice([shape for shape in SHAPES if shape != item.shape]))
    others = [colour for colour in COLOUR_NAMES if colour not in there]
    for colour in rng.permutation(others)[: len(objects)]:
        yield str(colour), str(rng.choice(SHAPES))


def _entry(
    family: str,
    template: str,
    label: str,
    objects: Objects,
    numbers: tuple[str, ...],
    *,
    kind: str = "points",
    group: str = "",
    style: str | None = None,
    count: int | None = None,
) -> Candidate:
    """A candidate; `group` and `numbers` say what its number is balanced with and against."""
    question = Question(
        family=family,
        template=template,
        text=f"{family} {template} {label}",
        answer=str(len(objects)),
        choices=numbers,
        group=group,
        outcome=str(len(objects)),
        outcomes=numbers,
    )
    given = {"style": style, "count": count}
    entry = {"label": label, "kind": kind, "objects": list(objects), "masks": "npz"}
    return question, entry | {name: value for name, value in given.items() if value is not None}
