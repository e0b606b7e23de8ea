"""Task specifications between SPOC's fields and ours."""

import pytest

from zoo.datamodules.readers.spoc.specification import from_public, targets_of, to_public, worded
from zoo.shards.policy_episode import EpisodeFault

ATTRIBUTE = {
    "task_type": "ObjectNavRelAttribute",
    "synsets": ["chair.n.01"],
    "room_type": "Kitchen",
    "rel_attribute": ["furthest", "refrigerator.n.01"],
}


def test_old_names_of_tasks():
    assert from_public({"task_type": "SimpleExploreHouse", "num_rooms_in_house": 3})["task_type"] == "room_visit"
    assert from_public({"task_type": "ObjectNavOpenVocab"})["task_type"] == "object_nav_description"


def test_pairs_and_single_types_become_lists():
    spec = from_public(ATTRIBUTE)
    assert spec == {
        "task_type": "object_nav_rel_attribute",
        "synsets": ["chair.n.01"],
        "room_types": ["Kitchen"],
        "rel_attribute": "furthest from",
        "reference_synsets": ["refrigerator.n.01"],
    }
    public = to_public(spec)
    assert public["rel_attribute"] == ["furthest", "refrigerator.n.01"]
    assert public["room_type"] == "Kitchen"
    assert public["task_type"] == "ObjectNavRelAttribute"


def test_rooms_by_type():
    spec = from_public(
        {"task_type": "RoomNav", "room_types": ["Kitchen"], "room_ids": {"Kitchen": ["room|1", "room|4"]}}
    )
    assert spec["room_ids"] == ["room|1", "room|4"]
    assert to_public(spec)["room_ids"] == {"Kitchen": ["room|1", "room|4"]}


def test_poses_and_class_names_of_ours_stay_here():
    assert to_public({"task_type": "pickup_type", "task_cls": "x.Y", "robot_base_pose": [0] * 7}) == {
        "task_type": "PickupType"
    }


def test_targets_are_those_of_all_synsets():
    assert targets_of({"broad_synset_to_object_ids": {"a": ["2", "1"], "b": ["1", "3"]}}) == ["1", "2", "3"]
    assert targets_of({"room_types": ["Kitchen"]}) == []


def test_a_goal_is_worded_the_same_way_every_time():
    spec = from_public({"task_type": "FetchType", "synsets": ["alarm_clock.n.01"]})
    assert "an alarm clock and " in worded(spec, "a")
    assert worded(spec, "a") == worded(spec, "a")
    assert len({worded(spec, str(number)) for number in range(20)}) > 3
    assert worded(spec | {"natural_language_spec": "get me the clock"}, "a") == "get me the clock"


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ([], "expected an object"),
        ({}, "task_type None"),
        ({"task_type": "Dance"}, "task_type 'Dance', expected one of"),
    ],
)
def test_no_specification(spec, match):
    with pytest.raises(EpisodeFault, match=match) as caught:
        from_public(spec)
    assert caught.value.reason == "bad_record"


def test_a_goal_that_cannot_be_worded_is_empty():
    with pytest.raises(EpisodeFault, match="needs synsets") as caught:
        worded({"task_type": "object_nav_type", "synsets": []}, "a")
    assert caught.value.reason == "empty_goal"
