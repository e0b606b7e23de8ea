"""Things to point at, to count and to follow: they are what their labels say, and no label gives their number away."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from zoo.envs.tabletop_facts import ClipFacts, ObjectFacts
from zoo.envs.tabletop_places import SEED_LABEL, PlaceBalancer
from zoo.envs.tabletop_questions import BALANCE_SLACK, COLOUR_NAMES, SIZE_NAMES
from zoo.envs.tabletop_scene import SHAPES


def scene(rng, number):
    """A scene as the sampler draws them: colours differ, the rest is free."""
    colours = rng.permutation(COLOUR_NAMES)[:number]
    objects = tuple(
        ObjectFacts(
            colour=str(colour),
            shape=str(rng.choice(SHAPES)),
            size=str(rng.choice(SIZE_NAMES)),
            moved=bool(rng.random() < 0.5),
            onset_s=None,
            direction=None,
            view="stayed",
        )
        for colour in colours
    )
    return ClipFacts(objects=objects, touched=frozenset(), apart=frozenset(), sides={}, right_of={}, behind={})


@pytest.fixture(scope="module")
def shard():
    """Facts and entries of 240 clips."""
    balancer = PlaceBalancer()
    rng = np.random.default_rng(4)
    scenes = [scene(rng, 1 + index % 6) for index in range(240)]
    return [
        (facts, balancer.pick(facts, np.random.default_rng(index), is_still=False))
        for index, facts in enumerate(scenes)
    ]


def matches(item, label):
    words = label.split()
    if label == "objects that moved":
        return item.moved
    return all(
        word in ("object", "objects") or word in (item.colour, item.size) or word.removesuffix("s") == item.shape
        for word in words
    )


def test_entries_speak_of_all_objects_that_their_label_fits(shard):
    for facts, entries in shard:
        for entry in entries:
            if entry["label"] != SEED_LABEL:
                fitting = [index for index, item in enumerate(facts.objects) if matches(item, entry["label"])]
                assert entry["objects"] == fitting
            if "count" in entry:
                assert entry["count"] == len(entry["objects"])
            if entry["kind"] != "points":
                assert entry["objects"]


def test_all_kinds_are_there_often_enough(shard):
    kinds = Counter((e["kind"], e.get("style"), "count" in e) for _, entries in shard for e in entries)
    per_clip = {kind: count / len(shard) for kind, count in kinds.items()}
    assert per_clip[("points", "point", False)] > 4
    assert per_clip[("points", None, True)] > 2.5
    assert per_clip[("tracks", None, False)] > 2.5
    assert per_clip[("ground", None, False)] > 1
    assert per_clip[("single_point", None, False)] > 1


def test_no_text_gives_its_number_away(shard):
    numbers = defaultdict(Counter)
    for _, entries in shard:
        for entry in entries:
            asked = "count" if "count" in entry else entry["kind"]
            if "object" not in entry["label"].split():  # a single thing is one thing, wherever it is
                is_named = entry["label"].split()[0] in COLOUR_NAMES
                numbers[asked, "named" if is_named else entry["label"]][len(entry["objects"])] += 1
    assert len(numbers) > 40
    for (asked, label), counts in numbers.items():
        possible = {"objects": range(1, 7), "named": range(2)}.get(label, range(asked == "tracks", 4))
        assert set(counts) <= set(possible)
        assert max(counts.values()) - min(counts[number] for number in possible) <= BALANCE_SLACK, (asked, label)


def test_pictures_are_asked_nothing_about_motion():
    facts = scene(np.random.default_rng(0), 6)
    entries = PlaceBalancer().pick(facts, np.random.default_rng(0), is_still=True)
    assert entries
    assert {entry["kind"] for entry in entries} == {"points"}
    assert not any("moved" in entry["label"] for entry in entries)
