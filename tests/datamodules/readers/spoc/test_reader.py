"""Hand-made trajectories of the public layout as shards: alignment, and every reason to reject one."""

import json
import shutil
import sys

import h5py
import numpy as np
import pytest
from spoc_files import SAID, SPEC, boxes, members, padded, pictures, videos, write_houses

from zoo import registry
from zoo.datamodules.readers.spoc.reader import SpocTrajectories
from zoo.errors import ConfigError, DataError, MissingLibraryError
from zoo.navigation_actions import SpocAction
from zoo.shards.decode import decode_video
from zoo.shards.encode import encode_mp4
from zoo.shards.faults import FaultCounter
from zoo.shards.policy_episode import MISSING_BOX, EpisodeFault, check_policy_record, policy_episode
from zoo.shards.reader import read_index, read_shard

STATES = len(SAID) + 1


@pytest.fixture(scope="module")
def media():
    """Videos of an episode, by camera."""
    return videos(STATES)


@pytest.fixture
def read_one(tmp_path, media):
    """The one episode of a data set, as the reader sees it."""

    def read(content, seen=media, *, release="spoc", **place):
        write_houses(tmp_path / "root", {("000123", "0"): (content, seen)}, **place)
        reader = SpocTrajectories(root=str(tmp_path / "root"), release=release)
        (entry,) = reader.entries(FaultCounter("raise"))
        return reader.episode(entry)

    return read


def frames_of(data):
    return decode_video(data, lambda times_s: np.arange(len(times_s))).frames


def test_actions_stand_one_row_below_what_was_seen(read_one, media):
    episode = read_one(members())
    steps = len(SAID)
    arrays, record = episode.arrays, episode.record
    assert record["num_steps"] == steps == STATES - 1
    names = ("MOVE_AHEAD", "ROTATE_RIGHT", "ROTATE_LEFT_SMALL", "PICKUP", "DONE")
    assert arrays["actions"].tolist() == [SpocAction[name] for name in names]
    assert arrays["action_success"].tolist() == [True, False, True, True, True]  # state 2 came of action 1
    assert arrays["is_recovery"].tolist() == [False, False, True, False, False]
    assert arrays["in_hand"].tolist() == [0, 0, 0, 0, 1]  # the hand before each action
    np.testing.assert_allclose(arrays["base_pose"][:, 0], range(steps))
    np.testing.assert_allclose(np.degrees(arrays["base_pose"][:, 2]), [90, 60, 30, 0, -30], atol=1e-4)
    np.testing.assert_allclose(arrays["arm"][1], [3, -1, 2, -180])
    np.testing.assert_allclose(arrays["distance_m"], [5, 4.5, 4, 3.5, 3])
    assert arrays["strict_success"].tolist() == [False] * 4 + [True]
    assert (arrays["room"] == -1).all()
    assert (arrays["visible"] == -1).all()
    assert episode.cameras == ("manipulation_camera", "navigation_camera")
    for camera, name in (("navigation_camera", "navigation"), ("manipulation_camera", "manipulation")):
        np.testing.assert_array_equal(frames_of(episode.media[camera]), frames_of(media[name])[:-1])


def test_boxes_are_the_larger_sensor_s_of_the_targets(read_one):
    boxes_of = read_one(members()).arrays["boxes"]
    manipulation, navigation = boxes_of[:, 0, 0], boxes_of[:, 1, 0]
    np.testing.assert_array_equal(navigation[0], MISSING_BOX)
    np.testing.assert_array_equal(navigation[1], [10, 20, 30, 40, 400])  # the accurate one is smaller
    np.testing.assert_array_equal(navigation[2], [5, 6, 9, 12, 24])  # the cup is no target
    np.testing.assert_array_equal(manipulation[0], [1, 2, 3, 7, 10])
    assert (boxes_of[:, :, 1] == np.array(MISSING_BOX, np.float32)).all()


def test_the_record(read_one):
    record = read_one(members()).record
    assert record["key"] == "fifteen_type-object_nav_type-train-000123-0"
    assert record["task"] == "object_nav_type"
    assert record["goal"] == "find a mug"
    assert record["goal_spec"]["task_type"] == "object_nav_type"
    assert record["house"] == {"dataset": "spoc", "split": "train", "index": 7, "rooms": []}
    assert record["fps"] == 5
    assert record["robot"] == "stretch"
    assert record["success"] is True
    assert record["expert_steps"] == len(SAID)
    np.testing.assert_allclose(record["path_m"], 4 * np.sqrt(2))
    assert record["cameras"][0] == {"name": "manipulation_camera", "width": 384, "height": 224, "fovy_deg": 59.0}


def test_what_ends_without_done_was_no_success(read_one):
    said = ["m", "rotate_right", "ls", "p", "move_back"]  # long names are known as well
    episode = read_one(members(said))
    assert episode.record["success"] is False
    assert episode.arrays["actions"][-1] == SpocAction.MOVE_BACK


def test_a_goal_that_is_not_stated_is_worded(read_one):
    spec = {name: value for name, value in SPEC.items() if name != "natural_language_spec"}
    assert read_one(members(spec=spec)).record["goal"].endswith(" a mug")


def test_ring_has_one_camera_of_any_size_and_no_arm(read_one):
    seen = {"navigation": encode_mp4(pictures(STATES, height=112, width=96), fps=10)}
    body = {"vector": list(range(19)), "name": "box"}
    arm = dict.fromkeys(("relative_arm_location_metadata", "an_object_is_in_hand"))
    content = members(**arm, embodiment_as_bytes=padded([json.dumps(body)] * STATES, 200))
    episode = read_one(content, seen, release="ring")
    record = episode.record
    assert (record["robot"], record["fps"]) == ("ring_body", 10)
    assert record["embodiment"] == list(range(19))
    assert record["meta"]["embodiment"] == body
    assert [(camera["width"], camera["height"]) for camera in record["cameras"]] == [(96, 112)]
    assert episode.arrays["boxes"].shape == (len(SAID), 1, 2, 5)
    assert not episode.arrays["arm"].any()


def test_a_body_by_other_names_is_kept_as_it_is(read_one):
    content = members(embodiment_as_bytes=padded(['{"size": 3}'] * STATES, 20))
    record = read_one(content, release="ring").record
    assert record["embodiment"] is None
    assert record["meta"]["embodiment"] == {"size": 3}


ROOM_VISIT = {"task_type": "SimpleExploreHouse", "num_rooms_in_house": 4, "extras": {}}


def test_a_visit_of_rooms_has_no_boxes_and_no_distance(read_one):
    none = {name: None for name in members() if name.endswith("_bbox")}
    content = members(spec=ROOM_VISIT, minimum_l2_target_distance=-np.ones((STATES, 1)), **none)
    episode = read_one(content, task="RoomVisit")
    assert episode.record["task"] == "room_visit"
    assert episode.record["goal"] == "visit all 4 rooms of this house"
    assert np.isnan(episode.arrays["distance_m"]).all()
    assert (episode.arrays["boxes"] == np.array(MISSING_BOX, np.float32)).all()


BAD = {
    "missing_frames": [
        (members(), lambda media: {"navigation": media["navigation"]}),
        (members(), lambda media: media | {"navigation": encode_mp4(pictures(STATES - 1), fps=5)}),
        (members(), lambda media: media | {"manipulation": b"no video"}),
    ],
    "length_mismatch": [
        (members(), lambda media: media | {"navigation": encode_mp4(pictures(STATES + 1), fps=5)}),
        (members(last_agent_location=np.zeros((STATES - 1, 6))), None),
        (members(nav_accurate_object_bbox=boxes(STATES + 1, ["mug|1"])), None),
        (members(last_action_str=padded([""], 200)), None),
        (members(last_action_str=padded(["m", *SAID], 200)), None),
    ],
    "unknown_action": [
        (members(said=["m", "jump", "ls", "p", "end"]), None),
        (members(said=["m", "", "ls", "p", "end"]), None),
    ],
    "empty_goal": [
        (members(spec=SPEC | {"natural_language_spec": "", "synsets": []}), None),
        (
            members(spec={"task_type": "ObjectNavDescription", "synsets": ["mug.n.01"], "uid": "abc", "extras": {}}),
            None,
        ),
    ],
    "frame_size": [
        (members(), lambda media: media | {"navigation": encode_mp4(pictures(STATES, height=256, width=256), fps=5)})
    ],
    "house_without_target": [(members(spec=SPEC | {"broad_synset_to_object_ids": {"mug.n.01": []}}), None)],
    "early_done": [(members(said=["m", "end", "ls", "p", "end"]), None)],
    "bad_arrays": [
        (members(last_action_success=None), None),
        (members(last_agent_location=np.zeros((STATES, 3))), None),
        (members(last_agent_location=np.full((STATES, 6), np.nan)), None),
        (members(an_object_is_in_hand=np.full((STATES, 1), 2)), None),
        (members(house_index=padded(["x"] * STATES, 3)), None),
        (members(nav_accurate_object_bbox=boxes(STATES, ["mug|1"]) | {"oids_as_bytes": padded(["?"], 4)}), None),
        (members(last_action_str=np.full((STATES, 3), 0xFF, np.uint8)), None),
    ],
    "bad_record": [
        (members(templated_task_spec=padded(["{"] * STATES, 9)), None),
        (members(spec={"task_type": "Dance"}), None),
        (members(templated_task_spec=np.full((STATES, 3), 0xFF, np.uint8)), None),
    ],
}


@pytest.mark.parametrize(
    ("reason", "place"), [(reason, place) for reason, cases in BAD.items() for place in range(len(cases))]
)
def test_what_cannot_be_learned_from_has_a_reason(read_one, media, reason, place):
    content, change = BAD[reason][place]
    with pytest.raises(EpisodeFault) as caught:
        read_one(content, media if change is None else change(media))
    assert caught.value.reason == reason, caught.value


def test_an_episode_that_is_listed_and_not_recorded(tmp_path, media):
    folder = write_houses(tmp_path, {("000001", "0"): (members(), media)})
    (folder / "house_id_to_sub_house_id_train.json").write_text('{"000001": ["0", "1"], "000002": ["0"]}')
    reader = SpocTrajectories(root=str(tmp_path))
    _, second, third = reader.entries(FaultCounter("raise"))
    with pytest.raises(EpisodeFault, match="no episode 1 among the 1 recorded"):
        reader.episode(second)
    with pytest.raises(EpisodeFault, match="hdf5 cannot be read"):
        reader.episode(third)


@pytest.fixture
def root(tmp_path, media):
    """Five good episodes and two bad ones of two tasks, and one to validate with."""
    root = tmp_path / "root"
    write_houses(
        root,
        {
            ("000001", "0"): (members(), media),
            ("000001", "1"): (members(), media),
            ("000007", "0"): (members(said=["m", "jump", "ls", "p", "end"]), media),
            ("000012", "5"): (members(), media),
            ("000013", "0"): (members(), {}),
        },
    )
    write_houses(root, {("000003", "0"): (members(), media)}, split="val")
    room_visit = {("000002", "0"): (members(spec=ROOM_VISIT), media)}
    write_houses(root, room_visit, task="RoomVisit", vocabulary="all_type")
    return root


def samples_of(folder, split):
    return [
        policy_episode(sample.record, sample.files)
        for shard in read_index(folder).get(split, ())
        for sample in read_shard(shard.path, check=check_policy_record)
    ]


def test_a_data_set_of_shards_with_what_was_rejected_counted(root, tmp_path):
    SpocTrajectories(root=str(root), samples_per_shard=2).generate(tmp_path / "made", workers=0)
    assert {episode.key for episode in samples_of(tmp_path / "made", "train")} == {
        "fifteen_type-object_nav_type-train-000001-0",
        "fifteen_type-object_nav_type-train-000001-1",
        "fifteen_type-object_nav_type-train-000012-5",
        "all_type-room_visit-train-000002-0",
    }
    (val,) = samples_of(tmp_path / "made", "val")
    assert val.record["house"]["split"] == "val"
    index = json.loads((tmp_path / "made" / "dataset.json").read_text())
    assert index["schema"] == "policy_episode"
    assert index["counts"] == {"rejected: missing_frames": 1, "rejected: unknown_action": 1}


def test_the_registry_has_it():
    assert registry.load("generator", "spoc_trajectories") is SpocTrajectories


def test_part_of_a_data_set(root):
    def keys(**arguments):
        reader = SpocTrajectories(root=str(root), **arguments)
        return [entry.key for entry in reader.entries(FaultCounter("raise"))]

    assert keys(tasks=["RoomVisit"]) == ["all_type-room_visit-train-000002-0"]
    assert keys(from_splits=["val"]) == ["fifteen_type-object_nav_type-val-000003-0"]
    some = keys(tasks=["object_nav_type"], from_splits=["train"], num_episodes=2)
    assert len(some) == 2
    assert set(some) < set(keys())


def test_the_same_source_is_read_the_same_way_by_any_number_of_workers(root, tmp_path):
    for place, workers in (("here", 0), ("there", 1)):
        SpocTrajectories(root=str(root), samples_per_shard=3).generate(tmp_path / place, workers=workers)
    made = sorted(path.relative_to(tmp_path / "here") for path in (tmp_path / "here").rglob("*.tar"))
    assert len(made) == 3
    for path in made:
        assert (tmp_path / "here" / path).read_bytes() == (tmp_path / "there" / path).read_bytes()


def test_the_first_bad_episode_can_end_the_work(root, tmp_path):
    with pytest.raises(DataError, match="000007 episode 0: action 'jump' at step 1|000013 episode 0: no video"):
        SpocTrajectories(root=str(root), on_bad_sample="raise").generate(tmp_path / "made", workers=0)


@pytest.mark.parametrize(("text", "match"), [("{", "is no JSON"), ("[]", "no list of houses")])
def test_no_list_of_houses(root, text, match):
    path = root / "fifteen_type" / "ObjectNavType" / "house_id_to_sub_house_id_train.json"
    path.write_text(text)
    with pytest.raises(DataError, match=match):
        SpocTrajectories(root=str(root)).plan()


def test_an_odd_house_is_reported_and_passed_over(root):
    path = root / "fifteen_type" / "ObjectNavType" / "house_id_to_sub_house_id_train.json"
    path.write_text('{"kitchen": ["0"], "000001": "0", "000012": ["5"]}')
    faults = FaultCounter("skip")
    found = list(SpocTrajectories(root=str(root), tasks=["ObjectNavType"], from_splits=["train"]).entries(faults))
    assert [entry.more["house"] for entry in found] == [12]
    assert faults.num_bad == 2


def test_the_wrong_folder(tmp_path):
    with pytest.raises(DataError, match="holds no fifteen_type or all_type with a task of object_nav_type"):
        SpocTrajectories(root=str(tmp_path), tasks=["ObjectNavType"]).plan()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"tasks": ["Dance"]}, "no task 'Dance'; tasks: object_nav_type"),
        ({"from_splits": ["test"]}, "split 'test', expected train or val"),
        ({"from_splits": []}, "from_splits is empty"),
        ({"release": "poliformer"}, "release 'poliformer', expected one of spoc, ring"),
        ({"num_episodes": 0}, "num_episodes 0"),
    ],
)
def test_faulty_arguments(arguments, match):
    with pytest.raises(ConfigError, match=match):
        SpocTrajectories(root="nowhere", **arguments)


def test_without_h5py_the_extra_is_named(monkeypatch, root):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingLibraryError, match=r"pip install 'molmo-zoo\[hdf5\]'"):
        SpocTrajectories(root=str(root)).plan()


def test_hdf5_files_are_closed_again(read_one, tmp_path):
    read_one(members())
    (sensors,) = tmp_path.rglob("hdf5_sensors.hdf5")
    with h5py.File(sensors, "a") as file:  # would be refused while somebody reads it
        assert list(file) == ["0"]
    shutil.rmtree(tmp_path / "root")
