"""Types of fields: what is refused, with its path, and what is accepted."""

import json
import math

import numpy as np
import pytest

from zoo.envs.episodes.records import dump_json
from zoo.envs.episodes.schema import Episode
from zoo.envs.episodes.tasks import PickTask, new_task
from zoo.errors import DataError

POSE = (0.0, 0.0, 0.5, 1.0, 0.0, 0.0, 0.0)


BAD = [
    ("house_index", -1, "house_index is -1, expected at least 0"),
    ("house_index", 1.5, "house_index is 1.5, expected a whole number"),
    ("house_index", True, "house_index is True, expected a whole number"),
    ("scene_dataset", " ", "scene_dataset is ' ', expected text that is not empty"),
    ("data_split", None, "data_split is None, expected text"),
    ("img_resolution", [624], r"img_resolution is \[624\], expected a list of 2 values"),
    ("img_resolution", [624, 0], r"img_resolution\[1\] is 0, expected at least 1"),
    ("cameras", {}, r"cameras is \{\}, expected a list"),
    ("cameras.0.fov", 180, r"cameras\[0\].fov is 180, expected degrees between 0 and 180"),
    ("cameras.0.fov", "wide", r"cameras\[0\].fov is 'wide', expected a finite number"),
    ("cameras.0.fov", math.nan, r"cameras\[0\].fov is nan, expected a finite number"),
    ("cameras.0.fov", 10**400, r"cameras\[0\].fov is 1000.*, expected a finite number"),
    ("cameras.0.record_depth", 1, r"cameras\[0\].record_depth is 1, expected true or false"),
    ("cameras.0.camera_quaternion", [0, 0, 0, 0], r"camera_quaternion is \[0, 0, 0, 0\], expected a quaternion"),
    ("cameras.1.type", "fisheye", r"cameras\[1\].type is 'fisheye', expected 'robot_mounted' or 'exocentric'"),
    ("cameras.1.up", [0, 0, 0], r"cameras\[1\].up is \[0, 0, 0\], expected a direction"),
    ("cameras.1.pos", [0, math.inf, 0], r"cameras\[1\].pos\[1\] is inf, expected a finite number"),
    ("robot", "franka", "robot is 'franka', expected an object"),
    ("robot.init_qpos", [1], r"robot.init_qpos is \[1\], expected an object"),
    ("robot.init_qpos.arm", [0, "x"], r"robot.init_qpos\['arm'\]\[1\] is 'x', expected a finite number"),
    ("scene_modifications.object_poses.mug", [0] * 6, r"object_poses\['mug'\] is .*, expected a list of 7 values"),
    ("task", [], r"task is \[\], expected an object"),
    ("task.task_cls", "", "task.task_cls is '', expected text that is not empty"),
    ("task.task_horizon_sec", 0, "task.task_horizon_sec is 0, expected more than 0"),
    ("task.robot_base_pose", [0] * 7, r"task.robot_base_pose is \[0.*, expected a quaternion w, x, y, z of length 1"),
    ("task.succ_pos_threshold", -0.1, "task.succ_pos_threshold is -0.1, expected at least 0"),
    ("language.referral_expressions_priority.a", [[1, "x"]], r"priority\['a'\]\[0\] is .*, expected a list of 3"),
    ("source.episode_length", "long", "source.episode_length is 'long', expected a whole number"),
]


@pytest.mark.parametrize(("place", "value", "message"), BAD)
def test_wrong_values_are_named_with_their_path(place, value, message, public_episode):
    content = public_episode()
    *way, last = (int(step) if step.isdigit() else step for step in place.split("."))
    part = content
    for step in way:
        part = part[step]
    part[last] = value
    with pytest.raises(DataError, match=f"^f.json: episode 3: .*{message}"):
        Episode.from_json(content, "f.json: episode 3")


def test_a_program_cannot_make_a_broken_record(own_episode):
    with pytest.raises(DataError, match=r"PickTask: robot_base_pose is \(0.0,\), expected a list of 7 values"):
        PickTask(task_cls="a.B", robot_base_pose=(0.0,), pickup_obj_name="mug", pickup_obj_start_pose=POSE)
    with pytest.raises(DataError, match="Episode: house_index is None, expected a whole number"):
        own_episode(house_index=None)


def test_numbers_of_numpy_become_plain_ones(own_episode):
    pose = tuple(np.array(POSE, np.float32))
    task = new_task("pick", robot_base_pose=pose, pickup_obj_name="mug_1", pickup_obj_start_pose=[*POSE])
    episode = own_episode(task=task, house_index=np.int64(3), img_resolution=[np.int32(64), np.int32(48)])
    content = json.loads(dump_json(episode.to_json()))
    assert content["house_index"] == 3 and content["img_resolution"] == [64, 48]
    assert content["task"]["robot_base_pose"] == list(POSE) == content["task"]["pickup_obj_start_pose"]


def test_rounded_poses_are_poses(public_episode):
    content = public_episode()
    content["task"]["robot_base_pose"] = [1.61, 4.41, 0.07, 0.9, 0.0, 0.0, -0.45]  # length 1.006
    assert Episode.from_json(content, "here").task.robot_base_pose[3] == 0.9
