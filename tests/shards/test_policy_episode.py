"""Recorded episodes: what is written is read back, and what cannot be learned from is refused with its reason."""

import json
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import DataError
from zoo.navigation_actions import SpocAction
from zoo.shards.encode import encode_mp4
from zoo.shards.policy_episode import (
    ARRAYS,
    MISSING_BOX,
    POLICY_SAMPLES,
    EpisodeFault,
    PolicyEpisode,
    check_arrays,
    check_policy_record,
    policy_episode,
    read_policy_sample,
)
from zoo.shards.reader import read_again, read_shard
from zoo.shards.writer import ShardWriter

STEPS = 4
VIDEO = encode_mp4(np.arange(STEPS * 16 * 16 * 3, dtype=np.uint8).reshape(STEPS, 16, 16, 3), fps=5)
SHORT = encode_mp4(np.zeros((STEPS - 1, 16, 16, 3), np.uint8), fps=5)
LONG = encode_mp4(np.zeros((STEPS + 1, 16, 16, 3), np.uint8), fps=5)


def example(key="train-000000-00000", cameras=("manipulation_camera", "navigation_camera")) -> PolicyEpisode:
    record = {
        "schema": "policy_episode",
        "version": 1,
        "key": key,
        "task": "object_nav_type",
        "goal": "find a bed",
        "goal_spec": {"task_type": "object_nav_type", "broad_synset_to_object_ids": {"bed.n.01": ["bed_0"]}},
        "cameras": [{"name": name, "width": 16, "height": 16, "fovy_deg": 59.0} for name in cameras],
        "fps": 5.0,
        "num_steps": STEPS,
        "robot": "stretch",
        "embodiment": None,
        "episode": None,
        "house": {
            "dataset": "procedural",
            "split": "train",
            "index": 7,
            "rooms": [{"id": "room_0", "type": "kitchen"}],
        },
        "expert_steps": STEPS,
        "path_m": 0.4,
        "shortest_m": None,
        "success": True,
        "meta": {},
    }
    shapes = {name: tuple(len(cameras) if size == "cameras" else size for size in c.row) for name, c in ARRAYS.items()}
    arrays = {name: np.zeros((STEPS, *shapes[name]), column.dtype) for name, column in ARRAYS.items()}
    arrays["actions"][:] = [1, 0, 0, SpocAction.DONE]
    arrays["boxes"][:] = MISSING_BOX
    return PolicyEpisode(record, arrays, dict.fromkeys(cameras, VIDEO))


def changed(**fields) -> PolicyEpisode:
    episode = example()
    return replace(episode, record=episode.record | fields)


def with_array(name: str, values: np.ndarray) -> PolicyEpisode:
    episode = example()
    return replace(episode, arrays=episode.arrays | {name: values})


def with_shows(categories=("bed", "sofa"), highest=3) -> PolicyEpisode:
    shows = np.zeros((STEPS, 2, 8, 14), np.uint32)
    shows[1, 0, 2, 3] = highest
    episode = with_array("shows", shows)
    return replace(episode, record=episode.record | {"categories": list(categories)})


def test_files_are_read_back():
    episode = example()
    found = read_policy_sample(episode.files())
    assert found.record == episode.record
    assert found.media == dict(episode.media)
    assert set(found.arrays) == set(ARRAYS)
    for name, array in episode.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)
    assert (found.key, found.num_steps) == ("train-000000-00000", STEPS)
    assert found.cameras == ("manipulation_camera", "navigation_camera")


def test_labels_are_the_expert_s_where_somebody_else_acted():
    np.testing.assert_array_equal(example().labels, example().arrays["actions"])
    labels = np.array([SpocAction.DONE, 2, SpocAction.DONE, SpocAction.DONE], np.int8)  # done anywhere: it was not made
    episode = with_array("expert_actions", labels)
    episode.check()
    found = read_policy_sample(episode.files())
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_array_equal(found.arrays["actions"], example().arrays["actions"])


def test_what_the_cells_show_is_read_back():
    episode = with_shows()
    found = read_policy_sample(episode.files())
    assert found.record["categories"] == ["bed", "sofa"]
    np.testing.assert_array_equal(found.arrays["shows"], episode.arrays["shows"])
    with_shows([f"kind {number}" for number in range(32)], 2**32 - 1).check()


def test_a_task_that_chores_does_not_have_may_be_about_rooms():
    spec = {"task_type": "leave_room", "synsets": [], "broad_synset_to_object_ids": {}, "room_ids": ["room_0"]}
    changed(task="leave_room", goal_spec=spec).check()
    with pytest.raises(EpisodeFault, match="room_9 is in the house") as caught:
        changed(task="leave_room", goal_spec=spec | {"room_ids": ["room_9"]}).check()
    assert caught.value.reason == "house_without_target"


def test_a_shard_of_episodes_is_written_and_read(tmp_path):
    path = tmp_path / "shard-000000.tar"
    episodes = [example(f"train-000000-{number:05d}") for number in range(2)]
    with ShardWriter(path, schema=POLICY_SAMPLES) as writer:
        for one in episodes:
            writer.write(one.record, one.media, arrays=one.arrays)
    samples = list(read_shard(path, check=check_policy_record))
    assert [list(sample.files) for sample in samples] == [
        ["manipulation_camera.mp4", "navigation_camera.mp4", "npz"],
    ] * 2
    again = read_again(path, [samples[1].offset], check=check_policy_record)[samples[1].offset]
    assert policy_episode(again.record, again.files).record == episodes[1].record


def test_a_shard_of_episodes_is_none_of_questions(tmp_path):
    path = tmp_path / "shard-000000.tar"
    with ShardWriter(path, schema=POLICY_SAMPLES) as writer:
        writer.write(example().record, example().media, arrays=example().arrays)
    with pytest.raises(DataError, match="schema 'policy_episode', expected 'video_qa'"):
        list(read_shard(path))


FAULTY = {
    "no camera": (changed(cameras=[]), "bad_record", r"cameras: \[\] should be non-empty"),
    "camera with a dot": (
        changed(cameras=[{"name": "a.b", "width": 1, "height": 1, "fovy_deg": 9}]), "bad_record", "cameras"),
    "two of one name": (changed(cameras=[example().record["cameras"][0]] * 2), "bad_record", "two cameras of one"),
    "another schema": (changed(schema="video_qa"), "bad_record", "schema 'video_qa', expected 'policy_episode'"),
    "a newer version": (changed(version=2), "bad_record", "version 2, this installation reads 1"),
    "18 numbers": (changed(embodiment=[0.0] * 18), "bad_record", "embodiment"),
    "empty goal": (changed(goal=" \t"), "empty_goal", "the goal is an empty text"),
    "no target": (
        changed(goal_spec={"broad_synset_to_object_ids": {"bed.n.01": []}}), "house_without_target", r"target \(bed"),
    "no such room": (
        changed(task="room_nav", goal_spec={"room_ids": ["room_9"]}), "house_without_target", "room_9 is in the house"),
    "unknown action": (
        with_array("actions", np.array([0, 20, 0, 4], np.int8)), "unknown_action", "action 20 at step 1, known are"),
    "negative action": (with_array("actions", np.array([-1, 0, 0, 4], np.int8)), "unknown_action", "action -1 at"),
    "unknown label": (
        with_array("expert_actions", np.array([0, 1, 2, 99], np.int8)), "unknown_action", "expert_actions: action 99"),
    "too few labels": (
        with_array("expert_actions", np.zeros(3, np.int8)), "length_mismatch", "expert_actions has 3 rows"),
    "labels of another type": (
        with_array("expert_actions", np.zeros(STEPS)), "bad_arrays", "expert_actions is float64"),
    "cells of no category": (
        replace(with_shows(), record=example().record), "bad_arrays", "categories and the array shows belong together"),
    "categories without cells": (changed(categories=["bed"]), "bad_arrays", "shows belong together"),
    "a bit of no category": (with_shows(highest=4), "bad_arrays", "shows holds bit 2, the record has 2 categories"),
    "other cells": (
        replace(with_shows(), arrays=example().arrays | {"shows": np.zeros((STEPS, 2, 4, 7), np.uint32)}),
        "bad_arrays", r"shows is uint32 \(4, 2, 4, 7\), expected uint32 \(4, 2, 8, 14\)"),
    "one category twice": (with_shows(["bed", "bed"]), "bad_record", "one category twice in bed, bed"),
    "33 categories": (with_shows([f"kind {number}" for number in range(33)]), "bad_record", "categories"),
    "no categories": (with_shows([]), "bad_record", r"categories: \[\] should be non-empty"),
    "an array that nobody knows": (with_array("mood", np.zeros(STEPS)), "bad_arrays", "unknown: .'mood'"),
    "done inside": (with_array("actions", np.array([0, 4, 0, 4], np.int8)), "early_done", "done is said at step 1"),
    "another length": (
        with_array("actions", np.array([0, 0, 4], np.int8)), "length_mismatch", "3 rows"),
    "another type": (with_array("actions", np.zeros(STEPS)), "bad_arrays", r"float64 \(4,\), expected int8 \(4,\)"),
    "another shape": (
        with_array("boxes", np.zeros((4, 1, 2, 5), np.float32)), "bad_arrays", r"expected float32 \(4, 2, 2, 5\)"),
    "a hand of 2": (with_array("in_hand", np.full(STEPS, 2, np.int8)), "bad_arrays", "another number than"),
    "a room of none": (with_array("room", np.ones(STEPS, np.int16)), "bad_arrays", "the house has 1 rooms"),
    "no number": (with_array("base_pose", np.full((4, 3), np.nan, np.float32)), "bad_arrays", "base_pose holds"),
    "no such array": (
        replace(example(), arrays={k: v for k, v in example().arrays.items() if k != "arm"}), "bad_arrays", "arm"),
    "missing video": (
        replace(example(), media={"navigation_camera": VIDEO}), "missing_frames", "no video of camera manipulation"),
    "short video": (
        replace(example(), media=dict(example().media, navigation_camera=SHORT)), "missing_frames", "has 3 frames"),
    "long video": (
        replace(example(), media=dict(example().media, navigation_camera=LONG)), "length_mismatch", "has 5 frames"),
    "broken video": (
        replace(example(), media=dict(example().media, navigation_camera=b"no")), "missing_frames", "navigation"),
    "video of nobody": (
        replace(example(), media=dict(example().media, other=VIDEO)), "bad_record", "unknown cameras: other"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTY)
def test_faults_have_reasons(name):
    episode, reason, words = FAULTY[name]
    with pytest.raises(EpisodeFault, match=words) as caught:
        episode.check()
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"json": None}, "bad_record"),
        ({"json": b"{"}, "bad_record"),
        ({"json": b"[]"}, "bad_record"),
        ({"npz": None}, "bad_arrays"),
        ({"npz": b"PK\3\4"}, "bad_arrays"),
        ({"navigation_camera.mp4": None}, "missing_frames"),
        ({"navigation_camera.mp4": VIDEO[: len(VIDEO) // 2]}, "missing_frames"),
    ],
)
def test_damaged_files(files, reason):
    given_files = {name: data for name, data in (example().files() | files).items() if data is not None}
    with pytest.raises(EpisodeFault) as caught:
        read_policy_sample(given_files, where="shard 3")
    assert caught.value.reason == reason
    assert "shard 3" in str(caught.value)


@pytest.mark.parametrize("spec", [{}, {"room_ids": []}, {"room_ids": ["room_0"], "broad_synset_to_object_ids": {}}])
def test_a_visit_of_rooms_needs_no_object(spec):
    changed(task="room_visit", goal_spec=spec).check()


def test_distances_may_be_unknown():
    with_array("distance_m", np.full(STEPS, np.nan, np.float32)).check()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-3, 23), min_size=1, max_size=12))
def test_actions_pass_if_known_and_done_is_last(actions):
    record = MappingProxyType(example().record | {"num_steps": len(actions)})
    arrays = {name: np.resize(array, (len(actions), *array.shape[1:])) for name, array in example().arrays.items()} | {
        "actions": np.array(actions, np.int8)
    }
    is_good = all(0 <= action < 20 for action in actions) and SpocAction.DONE not in actions[:-1]
    if is_good:
        check_arrays(record, arrays)
    else:
        with pytest.raises(EpisodeFault):
            check_arrays(record, arrays)


def test_equal_episodes_give_equal_bytes():
    assert example().files() == example().files()
    assert json.loads(example().files()["json"]) == example().record
