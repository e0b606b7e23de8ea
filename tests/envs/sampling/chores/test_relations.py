"""Relations of the drawn episodes, measured again on the house."""

import numpy as np
import pytest

from zoo.envs.navigation.success import largest_face_m2
from zoo.envs.sampling.chores.relations import (
    CLOSEST,
    FURTHEST,
    LARGEST,
    NEAR_M,
    SMALLEST,
    ObjectNavLocalRefSampler,
    ObjectNavRelAttributeSampler,
    extremes,
)
from zoo.envs.sampling.chores.vocabulary import counts_as


def test_extremes_need_a_margin():
    assert extremes(["a", "b", "c"], np.array([1.0, 5.0, 2.0]), 0.5, SMALLEST, LARGEST) == [
        (SMALLEST, "a"),
        (LARGEST, "b"),
    ]
    assert extremes(["a", "b", "c"], np.array([1.0, 5.0, 1.2]), 0.5, SMALLEST, LARGEST) == [(LARGEST, "b")]
    assert extremes(["a"], np.array([1.0]), 0.5, SMALLEST, LARGEST) == []


@pytest.fixture(scope="module")
def compared(home):
    """Every choice that the house offers."""
    sampler = ObjectNavRelAttributeSampler()
    site = sampler.site(home)
    choices = [sampler.choose(site, np.random.default_rng(seed)) for seed in range(60)]
    return site, choices


def test_all_four_comparisons_are_asked_for(compared):
    _, choices = compared
    assert {choice.fields["rel_attribute"] for choice in choices} <= {SMALLEST, LARGEST, CLOSEST, FURTHEST}
    assert len({choice.fields["rel_attribute"] for choice in choices}) >= 3


def test_the_one_target_is_the_extreme_one(compared):
    site, choices = compared
    types = {room.name: room.room_type for room in site.scene.rooms}
    for choice in choices:
        (target,), (synset,) = choice.targets, choice.fields["synsets"]
        rivals = [name for name in site.visible if counts_as(site.facts[name].synset, synset)]
        attribute = choice.fields["rel_attribute"]
        if attribute in (SMALLEST, LARGEST):
            (kind,) = choice.fields["room_types"]
            rivals = [name for name in rivals if types[site.room_of[name]] == kind]
            values = {name: largest_face_m2(2 * site.box(name)[1]) for name in rivals}
        else:
            (other,) = choice.fields["reference_synsets"]
            (reference,) = [name for name in site.visible if counts_as(site.facts[name].synset, other)]
            middle = site.box(reference)[0][:2]
            values = {name: float(np.linalg.norm(site.box(name)[0][:2] - middle)) for name in rivals}
        assert len(rivals) > 1
        best = min if attribute in (SMALLEST, CLOSEST) else max
        assert values[target] == best(values.values())


def test_what_is_on_or_near_something_is_so(home):
    sampler = ObjectNavLocalRefSampler()
    site = sampler.site(home)
    supports = {item.name: item.support for item in home.scene.objects}
    kinds = set()
    for seed in range(60):
        choice = sampler.choose(site, np.random.default_rng(seed))
        kind, references = choice.fields["reference_type"], choice.fields["reference_synsets"]
        kinds.add(kind)
        for target in choice.targets:
            if kind == "on":
                assert counts_as(site.facts[supports[target]].synset, references[0])
                continue
            for reference in references:
                gaps = [_gap_m(site, target, name) for name in site.visible if _is(site, name, reference, target)]
                assert min(gaps) <= NEAR_M + 1e-9
    assert kinds == {"on", "near"}


def _is(site, name, synset, target):
    return (
        name != target
        and site.room_of[name] == site.room_of[target]
        and counts_as(site.facts[name].synset, synset)
        and site.facts[name].mounting == "floor"
    )


def _gap_m(site, first, second):
    (a, half_a), (b, half_b) = site.box(first), site.box(second)
    return float(np.linalg.norm(np.maximum(np.abs(a - b)[:2] - (half_a + half_b)[:2], 0.0)))
