"""Records: what is read is written back, only changes are new, broken files are named."""

import copy
import dataclasses
import json
import pickle
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.envs.episodes.records import Record, dump_json, load_json, slots_of
from zoo.envs.episodes.schema import Episode
from zoo.errors import DataError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def known_names() -> set[str]:
    classes = [Record]
    for kind in classes:
        classes += [sub for sub in kind.__subclasses__() if sub not in classes]
    return {name for kind in classes for name in slots_of(kind)}


def objects_of(content: dict) -> list[dict]:
    """Every object of an episode that is a record."""
    inner = [content[name] for name in ("source", "robot", "scene_modifications", "task", "language")]
    return [content, *inner, *content["cameras"]]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_public_files_round_trip_with_unknown_fields_anywhere(data, public_episode, public_tasks):
    content = public_episode(data.draw(st.sampled_from(public_tasks)))
    unknown = st.dictionaries(st.text(max_size=8).filter(lambda key: key not in known_names()), JSON, max_size=2)
    for part in objects_of(content):
        items = data.draw(st.permutations([*part.items(), *data.draw(unknown).items()]))
        part.clear()
        part.update(items)
    text = dump_json(content)
    episode = Episode.from_json(json.loads(text), "here")
    assert dump_json(episode.to_json()) == text
    assert Episode.from_json(episode.to_json(), "again") == episode


def test_only_what_changed_is_written_anew(public_episode):
    content = public_episode()
    episode = Episode.from_json(copy.deepcopy(content), "here")
    camera = dataclasses.replace(episode.cameras[1], fov=60.5, record_depth=True)
    changed = dataclasses.replace(episode, cameras=(episode.cameras[0], camera), seed=7)
    content["cameras"][1] |= {"fov": 60.5, "record_depth": True}
    content["seed"] = 7
    assert dump_json(changed.to_json()) == dump_json(content)


def test_null_and_silence_both_mean_the_default(public_episode):
    content = public_episode() | {"scene_modifications": None}
    del content["task_relevant_objects"]
    episode = Episode.from_json(content, "here")
    assert episode.scene_modifications.object_poses == {} and episode.task_relevant_objects == ()
    assert dump_json(episode.to_json()) == dump_json(content)


def test_written_json_shares_nothing_with_the_record(public_episode):
    episode = Episode.from_json(public_episode() | {"notes": {"a": [1]}}, "here")
    before = dump_json(episode.to_json())
    written = episode.to_json()
    written["notes"]["a"].append(2)
    written["cameras"][0]["camera_offset"][0] = 9.0
    assert dump_json(episode.to_json()) == before


def test_explicit_keeps_unknown_fields_and_meaning(public_episode):
    content = public_episode("open") | {"notes": "kept"}
    content["cameras"][0]["lens"] = "kept"
    episode = Episode.from_json(content, "here")
    full = episode.explicit()
    assert full == episode
    assert full.to_json()["notes"] == full.to_json()["cameras"][0]["lens"] == "kept"
    assert full.to_json()["cameras"][1]["record_depth"] is False


def test_missing_fields_are_named_with_the_misspelt_one(public_episode):
    content = public_episode()
    content["language"]["task_descripton"] = content["language"].pop("task_description")
    del content["house_index"], content["cameras"][1]["type"]
    message = (
        "here: house_index is missing, expected a whole number; cameras[1].type is missing, expected 'robot_mounted' "
        "or 'exocentric'; language.task_description is missing, expected text; there is 'task_descripton'"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        Episode.from_json(content, "here")


def test_episodes_travel_to_other_processes(public_episode):
    episode = Episode.from_json(public_episode("open") | {"notes": 1}, "here")
    copied = pickle.loads(pickle.dumps(episode))
    assert copied == episode and dump_json(copied.to_json()) == dump_json(episode.to_json())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[1, 2", "is no JSON: .*line 1"),
        (b'"\xff"', "is no JSON: .*utf-8"),
        (b"[" * 100_000, "is no JSON: .*recursion"),
        (b'{"a": 1, "a": 2}', "an object has the key 'a' twice"),
    ],
)
def test_broken_files_are_named(data, message, tmp_path):
    (tmp_path / "x.json").write_bytes(data)
    with pytest.raises(DataError, match=f"x.json.*{message}"):
        load_json(tmp_path / "x.json")
    with pytest.raises(DataError, match=r"absent.json cannot be read: No such file"):
        load_json(tmp_path / "absent.json")
