"""What an episode says of itself, and that reading one needs no simulator."""

import dataclasses
import re
import subprocess
import sys

from zoo.envs.episodes.records import dump_json
from zoo.envs.episodes.schema import Episode, Robot, content_hash
from zoo.envs.episodes.tasks import new_task

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


def test_files_do_not_state_that_a_robot_has_no_arguments(public_episode, own_episode):
    content = public_episode()
    assert dump_json(Episode.from_json(content, "here").to_json()) == dump_json(content)
    episode = own_episode()
    assert "arguments" not in episode.to_json()["robot"] and episode.robot.embodiment == "franka_droid"
    stated = Episode.from_json(content | {"robot": content["robot"] | {"arguments": {}}}, "here")
    assert stated.to_json()["robot"]["arguments"] == {}  # as it was read
    assert stated.robot.arguments == {}


def test_a_robot_with_arguments(own_episode):
    def built(**arguments):
        return own_episode(robot=Robot(robot_name="ring_body", init_qpos={}, arguments=arguments))

    named, drawn = built(body="a1"), built(body={"size_m": [1, 2.5, 3]})
    assert named.robot.embodiment == "ring_body a1" and named.to_json()["robot"]["arguments"] == {"body": "a1"}
    assert Episode.from_json(drawn.to_json(), "here").robot.arguments == {"body": {"size_m": [1, 2.5, 3]}}
    assert re.fullmatch(r"ring_body [0-9a-f]{6}", drawn.robot.embodiment)
    assert len({episode.key for episode in (named, drawn, built())}) == 3
    assert drawn.robot.embodiment != built(body={"size_m": [1, 2.5, 4]}).robot.embodiment


def test_the_category_of_a_chore(own_episode):
    def category(**fields):
        return own_episode(task=new_task("object_nav_type", robot_base_pose=POSE, **fields)).category

    ids = {"a.n.01": [], "table.n.02": ["coffee_table_966ebd5f_1_0_2"]}
    assert category(broad_synset_to_object_ids=ids, room_types=["office"]) == "coffee table"
    assert category(room_types=["Kitchen"]) == "kitchen" and category() == "none"
