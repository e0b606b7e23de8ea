"""What an episode says of itself, and that reading one needs no simulator."""

import dataclasses
import subprocess
import sys

from zoo.envs.episodes.schema import Episode, content_hash

POSE = (0.0, 0.0, 0.5, 1.0, 0.0, 0.0, 0.0)


def test_what_an_episode_says_of_itself(public_episode):
    episode = Episode.from_json(public_episode(), "here")
    assert episode.category == "mug" and episode.house == ("procthor-10k", "val", 5)
    assert episode.seed_at(12) == 12 and dataclasses.replace(episode, seed=3).seed_at(12) == 3
    door = Episode.from_json(public_episode("open_door"), "here")
    assert door.category == "door" and door.task.target.startswith("door|2|8")
    x, y, z, *rest = episode.task.pickup_obj_start_pose
    assert episode.task.goal_pose == (x, y, z + 0.05, *rest)
    stated = dataclasses.replace(episode.task, pickup_obj_goal_pose=POSE)
    assert stated.goal_pose == POSE


def test_the_key_is_of_the_content_not_of_its_order(public_episode):
    content = public_episode()
    turned = dict(reversed(content.items()))
    assert Episode.from_json(content, "a").key == Episode.from_json(turned, "b").key
    assert Episode.from_json(content | {"note": 1}, "c").key != Episode.from_json(content, "a").key
    assert content_hash({"a": 1, "b": [2]}) == content_hash({"b": [2], "a": 1}) != content_hash({"a": 1, "b": [3]})


def test_no_simulator_and_no_torch_is_imported():
    modules = ["schema", "benchmark", "selection", "results", "statistics", "correlation"]
    imports = ", ".join(f"zoo.envs.episodes.{name}" for name in modules)
    code = f"import sys, {imports}; print([m for m in ('torch', 'mujoco', 'gymnasium') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_category_of_two_words(public_episode):
    content = public_episode()
    content["task"]["pickup_obj_name"] = "cutting_board_9bcc206c_1_0_2"
    assert Episode.from_json(content, "here").category == "cutting board"
    content["task"]["pickup_obj_name"] = "Bowl_27"
    assert Episode.from_json(content, "here").category == "bowl"
