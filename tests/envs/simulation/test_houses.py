"""Houses are kept, and what is kept is nobody's to change."""

from two_rooms import two_rooms

from zoo.envs.simulation.houses import forget_houses, house, library


def test_whoever_changes_a_specification_changes_no_other():
    place = two_rooms({"chair": ("chair_0", (2.0, 1.0, 0.0))})
    first = place.build()
    first.delete(first.body("chair"))
    second = place.build()
    assert second.body("chair") is not None
    assert second.compile().nbody > first.compile().nbody


def test_a_house_is_made_once_until_it_is_forgotten():
    first = house("procedural", "train", 0)
    assert house("procedural", "train", 0) is first
    forget_houses()
    again = house("procedural", "train", 0)
    assert again is not first
    assert again.scene == first.scene


def test_libraries_are_shared():
    assert library("primitives") is library("primitives")
