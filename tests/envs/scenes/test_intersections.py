"""The intersection gate: what is inside what, how deep, and who has to go."""

import pytest
from box_house import LIBRARIES, door, house, thing
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.envs.scenes.compile import compile_scene
from zoo.envs.scenes.intersections import intersection_findings
from zoo.envs.scenes.inventory import Inventory


def failures(*objects, **fields) -> dict[str, tuple[float, str]]:
    """Depth and reason by object that has to go."""
    scene = house(objects, **fields)
    findings = intersection_findings(Inventory.of_scene(scene, compile_scene(scene, LIBRARIES)), 0.01)
    assert [finding.object for finding in findings] == [item.name for item in scene.objects]
    for finding in findings:
        assert finding.passed == (finding.measured <= finding.limit)
        assert finding.culprits == (() if finding.passed else (finding.object,))
    return {finding.object: (finding.measured, finding.reason) for finding in findings if not finding.passed}


def fixed(name, asset, *place, **fields):
    return thing(name, asset, *place, is_static=True, **fields)


def test_what_stands_on_or_beside_something_passes():
    assert not failures(fixed("table", "table", 2.0, 2.0), thing("mug", "mug", 2.0, 2.0, 0.75))
    assert not failures(fixed("cabinet", "cabinet", 0.31, 2.0))  # its back at the wall
    assert not failures(fixed("first", "cabinet", 2.0, 2.0), fixed("second", "cabinet", 2.0, 2.6))


def test_of_free_and_fixed_the_free_goes():
    found = failures(thing("crate", "crate", 2.0, 2.0), fixed("cabinet", "cabinet", 2.4, 2.0))
    assert found == {"crate": (pytest.approx(0.05), "0.050 m inside 'cabinet'")}


def test_of_two_free_the_smaller_goes():
    found = failures(thing("ball", "ball", 2.22, 2.0), thing("crate", "crate", 2.0, 2.0))
    assert found == {"ball": (pytest.approx(0.03), "0.030 m inside 'crate'")}


def test_free_things_in_walls_and_floors_go():
    assert failures(thing("crate", "crate", 0.2, 2.0)) == {"crate": (pytest.approx(0.06), "0.060 m inside 'west'")}
    assert failures(thing("mug", "mug", 2.0, 2.0, -0.03)) == {"mug": (pytest.approx(0.03), "0.030 m inside 'floor'")}
    assert not failures(thing("mug", "mug", 2.0, 2.0, -0.008))


def test_fixed_things_in_walls_go_though_no_contact_says_so():
    found = failures(fixed("cabinet", "cabinet", 0.2, 2.0))
    assert set(found) == {"cabinet"}
    depth, reason = found["cabinet"]
    assert reason.endswith("inside 'west'")
    assert depth >= 0.01


def test_of_two_fixed_the_smaller_goes():
    found = failures(fixed("cabinet", "cabinet", 2.0, 2.0), fixed("table", "table", 2.36, 2.56))
    assert set(found) == {"cabinet"}
    twins = failures(fixed("first", "cabinet", 2.0, 2.0), fixed("second", "cabinet", 2.0, 2.3))
    assert set(twins) == {"second"}


def test_a_door_stays_and_what_stands_in_its_leaf_goes():
    ajar = {"openings": [door(angle=1.2)]}  # swings into the kitchen
    assert set(failures(thing("crate", "crate", 3.6, 1.25), **ajar)) == {"crate"}
    assert set(failures(fixed("cabinet", "cabinet", 3.6, 1.25), **ajar)) == {"cabinet"}


@settings(max_examples=25)
@given(st.floats(0.0, 0.04))
def test_the_limit_is_one_centimetre(depth):
    found = failures(thing("crate", "crate", 0.26 - depth, 2.0))
    if abs(depth - 0.01) > 1e-6:
        assert bool(found) == (depth > 0.01)
