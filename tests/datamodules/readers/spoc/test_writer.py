"""Shards of ours in the public layout, read by hand as its own loader does, and by our reader."""

import json

import h5py
import numpy as np
import pytest
from spoc_files import pictures

from zoo.datamodules.readers.spoc import writer
from zoo.datamodules.readers.spoc.reader import SpocTrajectories
from zoo.datamodules.readers.spoc.writer import trajectories
from zoo.errors import ConfigError, DataError
from zoo.navigation_actions import SHORT_NAMES, SpocAction
from zoo.shards.decode import decode_video
from zoo.shards.encode import encode_mp4
from zoo.shards.policy_episode import (
    MISSING_BOX,
    POLICY_SAMPLES,
    PolicyEpisode,
    check_policy_record,
    policy_episode,
)
from zoo.shards.reader import read_index, read_shard
from zoo.shards.writer import ShardWriter, shard_name, write_index

CAMERAS = ("navigation_camera", "manipulation_camera")
"""Not in the reader's order."""
TARGETS = {"mug.n.01": ["mug_1", "mug_2"]}


def episode_of(key, *, house=7, steps=6, seed=0, cameras=CAMERAS, size=(224, 384), **changes):
    """One of ours, with numbers in every place."""
    rng = np.random.default_rng(seed)
    actions = rng.integers(0, 4, steps).astype(np.int8)
    actions[-1] = SpocAction.DONE
    boxes = np.tile(np.array(MISSING_BOX, np.float32), (steps, len(cameras), 2, 1))
    corners = rng.integers(0, 100, (steps, len(cameras), 2))
    sizes = rng.integers(0, 100, (steps, len(cameras), 2))
    boxes[1:, :, 0] = np.concatenate([corners, corners + sizes, sizes.prod(-1, keepdims=True)], axis=-1)[1:]
    arrays = {
        "actions": actions,
        "action_success": rng.random(steps) < 0.7,
        "is_recovery": rng.random(steps) < 0.3,
        "in_hand": rng.integers(0, 2, steps).astype(np.int8),
        "base_pose": rng.uniform(-3, 3, (steps, 3)).astype(np.float32),
        "arm": rng.uniform(-1, 1, (steps, 4)).astype(np.float32),
        "room": rng.integers(-1, 2, steps).astype(np.int16),
        "distance_m": np.where(rng.random(steps) < 0.3, np.nan, rng.uniform(0, 9, steps)).astype(np.float32),
        "strict_success": rng.random(steps) < 0.5,
        "boxes": boxes,
        "visible": rng.integers(0, 500, (steps, len(cameras))).astype(np.int32),
    }
    record = {
        "schema": "policy_episode",
        "version": 1,
        "key": key,
        "task": "object_nav_type",
        "goal": "search for a mug",
        "goal_spec": {
            "task_type": "object_nav_type",
            "task_cls": "zoo.chores.ObjectNavType",
            "robot_base_pose": [0.0, 0, 0, 1, 0, 0, 0],
            "synsets": ["mug.n.01"],
            "broad_synset_to_object_ids": TARGETS,
            "room_types": [],
        },
        "cameras": [{"name": name, "width": size[1], "height": size[0], "fovy_deg": 60.5} for name in cameras],
        "fps": 5.0,
        "num_steps": steps,
        "robot": "stretch",
        "embodiment": [float(number) for number in range(19)],
        "episode": {"house_index": house, "text": "Küche"},
        "house": {
            "dataset": "procthor",
            "split": "train",
            "index": house,
            "rooms": [{"id": "room|2", "type": "kitchen"}, {"id": "room|4", "type": "bedroom"}],
        },
        "expert_steps": steps,
        "path_m": 3.25,
        "shortest_m": None,
        "success": True,
        "meta": {"seed": 5},
    }
    frames = pictures(steps, height=size[0], width=size[1], shift=seed)
    media = {name: encode_mp4(frames[:, :, :: 1 - 2 * place], fps=5) for place, name in enumerate(cameras)}
    return PolicyEpisode(record | changes, arrays, media)


def write_shards(folder, episodes, *, split="train", per_shard=2):
    listing = []
    for place in range(0, len(episodes), per_shard):
        name = shard_name(place // per_shard)
        members = episodes[place : place + per_shard]
        with ShardWriter(folder / split / name, schema=POLICY_SAMPLES) as made:
            for episode in members:
                made.write(episode.record, episode.media, arrays=episode.arrays)
        listing.append((name, len(members)))
    write_index(folder, splits={split: listing}, generator={}, schema=POLICY_SAMPLES)
    return folder


@pytest.fixture(scope="module")
def episodes():
    """Of two houses, in no order."""
    return [
        episode_of("c", seed=1),
        episode_of("a", house=123, seed=2, steps=3),
        episode_of("b", seed=3, steps=21),
        episode_of("one_step", house=123, seed=4, steps=1),
    ]


@pytest.fixture
def data(tmp_path, episodes):
    return write_shards(tmp_path / "data", episodes)


def frames_of(data):
    return decode_video(data, lambda times_s: np.arange(len(times_s))).frames


def read_back(root, folder, **arguments):
    SpocTrajectories(root=str(root), **arguments).generate(folder, workers=0)
    return {
        sample.key: policy_episode(sample.record, sample.files)
        for shards in read_index(folder).values()
        for shard in shards
        for sample in read_shard(shard.path, check=check_policy_record)
    }


def assert_same(back, episode):
    assert back.record == episode.record
    for name, array in episode.arrays.items():
        assert back.arrays[name].dtype == array.dtype
        if name == "base_pose":
            turned = back.arrays[name][:, 2] - array[:, 2]  # a turn is counted from 0 to 360 degrees there
            np.testing.assert_allclose(np.sin(turned / 2), 0, atol=1e-6)
            np.testing.assert_array_equal(back.arrays[name][:, :2], array[:, :2])
        else:
            np.testing.assert_array_equal(back.arrays[name], array, err_msg=name)
    for camera, video in episode.media.items():
        np.testing.assert_array_equal(frames_of(back.media[camera]), frames_of(video))


def test_the_way_there_and_back(data, episodes, tmp_path):
    root = trajectories(data, out=tmp_path / "public")
    assert root == str(tmp_path / "public" / "fifteen_type")
    back = read_back(tmp_path / "public", tmp_path / "again")
    assert back.keys() == {episode.key for episode in episodes}
    for episode in episodes:
        assert_same(back[episode.key], episode)


def test_what_the_layout_s_own_loader_finds(data, episodes, tmp_path):
    """Null-padded bytes by numpy's views, as sheet 1.8 has them."""
    trajectories(data, out=tmp_path / "public")
    folder = tmp_path / "public" / "fifteen_type" / "ObjectNavType"
    houses = json.loads((folder / "house_id_to_sub_house_id_train.json").read_text())
    assert houses == {"000007": ["0", "1"], "000123": ["0", "1"]}
    place = folder / "train" / "000007"
    assert sorted(path.name for path in place.iterdir()) == [
        "hdf5_sensors.hdf5",
        *(f"raw_{camera}_camera__{number}.mp4" for camera in ("manipulation", "navigation") for number in "01"),
        "success.txt",
    ]
    episode = next(found for found in episodes if found.key == "b")
    states = episode.num_steps + 1
    with h5py.File(place / "hdf5_sensors.hdf5") as file:
        group = file["0"]
        assert group["last_action_str"].shape == (states, 200)
        assert group["last_action_str"].compression_opts == 6
        said = [row.view("S200")[0].decode() for row in group["last_action_str"][:]]
        assert said == ["", *(SHORT_NAMES[action] for action in episode.arrays["actions"])]
        text = group["templated_task_spec"][0]
        spec = json.loads(text.view(f"S{len(text)}")[0].decode())
        assert spec["task_type"] == "ObjectNavType"
        assert spec["natural_language_spec"] == "search for a mug"
        assert spec["broad_synset_to_object_ids"] == TARGETS
        assert "task_cls" not in spec
        for name, shape in {
            "last_action_success": (states, 1),
            "last_action_is_random": (states, 1),
            "an_object_is_in_hand": (states, 1),
            "house_index": (states, 1),
            "visible_target_4m_count": (states, 1),
            "last_agent_location": (states, 6),
            "relative_arm_location_metadata": (states, 4),
            "hypothetical_task_success": (states, 1),
            "minimum_l2_target_distance": (states, 1),
            "minimum_visible_target_alignment": (states, 1),
            "room_current_seen": (states, 1),
            "rooms_seen": (states, 1),
        }.items():
            assert group[name].shape == shape, name
        assert group["hypothetical_task_success"][-1, 0]
        ids = group["nav_accurate_object_bbox"]["oids_as_bytes"][0]
        assert json.loads(ids.view(f"S{len(ids)}")[0].decode()) == ["mug_1", "mug_2"]
        corner = group["nav_accurate_object_bbox"]["max_rows"]
        assert corner.shape == (states, 2)
        assert (corner[:, 1] == -1).all()
        assert corner[1, 0] == episode.arrays["boxes"][1, 0, 0, 3]
        assert (group["nav_task_relevant_object_bbox"]["min_cols"][:] == -1).all()
    for camera in CAMERAS:
        shown = frames_of((place / f"raw_{camera}__0.mp4").read_bytes())
        assert shown.shape == (states, 224, 384, 3)
        np.testing.assert_array_equal(shown[:-1], frames_of(episode.media[camera]))


def test_what_is_lost_where_nobody_keeps_our_record(data, episodes, tmp_path):
    trajectories(data, out=tmp_path / "public")
    for path in (tmp_path / "public").rglob("hdf5_sensors.hdf5"):
        with h5py.File(path, "a") as file:
            for group in file.values():
                row = group["templated_task_spec"][0]
                spec = json.loads(row.tobytes().decode())
                spec["extras"] = {}
                text = np.frombuffer(json.dumps(spec).encode(), np.uint8)
                del group["templated_task_spec"]
                group["templated_task_spec"] = np.repeat(text[None], len(group["last_action_str"]), axis=0)
    back = read_back(tmp_path / "public", tmp_path / "again")
    found = back["fifteen_type-object_nav_type-train-000123-0"]
    (episode,) = (episode for episode in episodes if episode.key == "a")
    for name in set(episode.arrays) - {"room", "base_pose", "boxes", "visible"}:
        np.testing.assert_array_equal(found.arrays[name], episode.arrays[name], err_msg=name)
    np.testing.assert_array_equal(found.arrays["boxes"], episode.arrays["boxes"][:, ::-1])  # cameras in another order
    np.testing.assert_array_equal(found.arrays["visible"], episode.arrays["visible"][:, ::-1])
    assert (found.arrays["room"] == -1).all()
    assert found.record["goal"] == episode.record["goal"]
    assert found.record["success"] == episode.record["success"]
    assert found.record["embodiment"] == episode.record["embodiment"]
    lost = {name for name in found.record if found.record[name] != episode.record[name]}
    assert lost == {"key", "goal_spec", "cameras", "episode", "house", "path_m", "meta"}


def test_rooms_are_counted_when_they_are_left(tmp_path):
    episode = episode_of("rooms", steps=6)
    room = np.array([0, 0, -1, 1, 0, 1], np.int16)
    episode = PolicyEpisode(episode.record, episode.arrays | {"room": room}, episode.media)
    trajectories(write_shards(tmp_path / "data", [episode]), out=tmp_path / "public")
    (path,) = (tmp_path / "public").rglob("hdf5_sensors.hdf5")
    with h5py.File(path) as file:
        assert file["0"]["rooms_seen"][:, 0].tolist() == [0, 0, 1, 1, 2, 2, 2]
        assert file["0"]["room_current_seen"][:, 0].tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_a_house_that_is_whole_is_not_written_again(data, tmp_path, monkeypatch):
    written = []
    real = writer._write_house

    def interrupted(folder, found):
        if written:
            raise KeyboardInterrupt
        real(folder, found)
        written.append(folder)

    monkeypatch.setattr(writer, "_write_house", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trajectories(data, out=tmp_path / "public")
    folder = tmp_path / "public" / "fifteen_type" / "ObjectNavType"
    assert not (folder / "house_id_to_sub_house_id_train.json").exists()
    (folder / "train" / "000123.part").mkdir()  # as a killed run leaves it
    (sensors,) = folder.rglob("hdf5_sensors.hdf5")
    before = sensors.stat().st_mtime_ns
    monkeypatch.setattr(writer, "_write_house", real)
    trajectories(data, out=tmp_path / "public")
    assert sensors.stat().st_mtime_ns == before
    assert sorted(path.name for path in (folder / "train").iterdir()) == ["000007", "000123"]
    assert len(read_back(tmp_path / "public", tmp_path / "again")) == 4


def test_a_house_of_other_episodes_is_left_alone(data, episodes, tmp_path):
    trajectories(data, out=tmp_path / "public")
    other = write_shards(tmp_path / "other", episodes[:1])
    with pytest.raises(ConfigError, match="000007 holds other episodes"):
        trajectories(other, out=tmp_path / "public")


def test_our_record_says_which_size_pictures_have(tmp_path):
    episode = episode_of("small", size=(64, 112))
    trajectories(write_shards(tmp_path / "data", [episode]), out=tmp_path / "public")
    assert_same(read_back(tmp_path / "public", tmp_path / "again")["small"], episode)


def test_ring_with_one_camera(tmp_path):
    episode = episode_of("ring", cameras=("navigation_camera",), robot="ring_body")
    trajectories(write_shards(tmp_path / "data", [episode]), out=tmp_path / "public", vocabulary="all_type")
    back = read_back(tmp_path / "public", tmp_path / "again", release="ring")
    assert_same(back["ring"], episode)


def test_a_visit_of_rooms_has_no_objects(tmp_path):
    spec = {"task_type": "room_visit", "num_rooms_in_house": 2}
    episode = episode_of("visit", task="room_visit", goal_spec=spec, goal="visit all 2 rooms of this house")
    episode.arrays["boxes"][:] = MISSING_BOX
    trajectories(write_shards(tmp_path / "data", [episode]), out=tmp_path / "public")
    assert (tmp_path / "public" / "fifteen_type" / "RoomVisit" / "train" / "000007").is_dir()
    assert_same(read_back(tmp_path / "public", tmp_path / "again")["visit"], episode)


def test_what_the_layout_has_no_place_for(tmp_path):
    other_camera = episode_of("camera", cameras=("wrist_camera",))
    with pytest.raises(ConfigError, match="camera wrist_camera; the layout has manipulation_camera, navigation_camera"):
        trajectories(write_shards(tmp_path / "camera", [other_camera]), out=tmp_path / "public")
    other_split = write_shards(tmp_path / "split", [episode_of("split")], split="test")
    with pytest.raises(ConfigError, match="has the split test; the layout has train and val only"):
        trajectories(other_split, out=tmp_path / "public")
    other_task = write_shards(tmp_path / "task", [episode_of("task", task="navigate_to")])
    with pytest.raises(ConfigError, match="no folder for task navigate_to"):
        trajectories(other_task, out=tmp_path / "public")
    with pytest.raises(DataError, match=r"holds no dataset\.json"):
        trajectories(tmp_path, out=tmp_path / "public")
