"""Episodes as public files have them, one for each task, built from the sheet's tables."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from zoo.envs.episodes.schema import Episode, Language, Robot
from zoo.envs.episodes.tasks import new_task

POSE = [1.5, 2, 0.75, 0.7071067811865476, 0, 0, 0.7071067811865476]
OBJECT = "mug_3f2a_1_0_2"
OWN_POSE = (0.0, 0.0, 0.5, 1.0, 0.0, 0.0, 0.0)

TASKS: dict[str, dict[str, Any]] = {
    "pick": {
        "task_cls": "molmo_spaces.tasks.pick_task.PickTask",
        "pickup_obj_name": OBJECT,
        "pickup_obj_start_pose": POSE,
        "succ_pos_threshold": 0.01,
    },
    "pick_and_place": {
        "task_cls": "molmo_spaces.tasks.pick_and_place_task.PickAndPlaceTask",
        "task_type": "pick_and_place",
        "pickup_obj_name": OBJECT,
        "pickup_obj_start_pose": POSE,
        "place_receptacle_name": "place_receptacle/0/Bowl_27",
        "place_receptacle_start_pose": POSE,
        "max_place_receptacle_pos_displacement": 0.1,
    },
    "pick_and_place_next_to": {
        "task_cls": "molmo_spaces.tasks.pick_and_place_next_to_task.PickAndPlaceNextToTask",
        "pickup_obj_name": OBJECT,
        "pickup_obj_start_pose": POSE,
        "place_receptacle_name": "bowl",
        "place_receptacle_start_pose": POSE,
        "min_surface_to_surface_gap": None,
    },
    "pick_and_place_color": {
        "task_cls": "molmo_spaces.tasks.pick_and_place_color_task.PickAndPlaceColorTask",
        "pickup_obj_name": OBJECT,
        "pickup_obj_start_pose": POSE,
        "place_receptacle_name": "bowl",
        "place_receptacle_start_pose": POSE,
        "object_colors": {"bowl": [1, 0, 0, 1.0]},
        "other_receptacle_names": ["bowl_2", "bowl_3"],
    },
    "open": {
        "task_cls": "molmo_spaces.tasks.opening_tasks.OpeningTask",
        "task_type": "open",
        "pickup_obj_name": "dresser_1",
        "joint_name": "dresser_1_drawer",
        "joint_start_position": [0.0],
    },
    "close": {
        "task_cls": "molmo_spaces.tasks.opening_tasks.OpeningTask",
        "task_type": "close",
        "pickup_obj_name": "dresser_1",
        "joint_name": "dresser_1_drawer",
        "joint_start_position": 0.2,
    },
    "open_door": {
        "task_cls": "molmo_spaces.tasks.opening_tasks.DoorOpeningTask",
        "door_body_name": "door|2|8_Doorway_Double_7_doorway_door_7",
        "articulated_joint_range": [0, 1.57],
    },
    "navigate_to": {
        "task_cls": "molmo_spaces.tasks.nav_task.NavToObjTask",
        "pickup_obj_name": "apple_1",
        "pickup_obj_candidates": ["apple_1", "apple_2"],
    },
}


def build_episode(task: str = "pick") -> dict[str, Any]:
    return copy.deepcopy(
        {
            "source": {"h5_file": "house_5/trajectories.h5", "traj_key": "traj_0", "episode_length": 120},
            "house_index": 5,
            "scene_dataset": "procthor-10k",
            "data_split": "val",
            "seed": None,
            "robot": {
                "robot_name": "franka_droid",
                "init_qpos": {"arm": [0, -0.7853, 0, -2.35619, 0, 1.57079, 0.0], "gripper": [0.00296, 0.00296]},
            },
            "img_resolution": [624, 352],
            "cameras": [
                {
                    "name": "wrist_camera",
                    "type": "robot_mounted",
                    "reference_body_names": ["robot_0/gripper/base"],
                    "camera_offset": [0.1, 0, 0.1],
                    "lookat_offset": [0.0, 0.0, 0.5],
                    "camera_quaternion": [0, 0, 0, 1],
                    "fov": 52,
                    "record_depth": False,
                },
                {
                    "type": "exocentric",
                    "name": "exo_camera_1",
                    "pos": [1, 2, 1.5],
                    "up": [0, 0, 1.0],
                    "forward": [1, 0, -0.2],
                    "fov": 71.0,
                },
            ],
            "scene_modifications": {
                "added_objects": {"place_receptacle/0/Bowl_27": "objects/thor/Bowl_27.xml"},
                "object_poses": {OBJECT: POSE, "place_receptacle/0/Bowl_27": POSE},
                "removed_objects": ["chair_1"],
            },
            "task": {"robot_base_pose": POSE, **TASKS[task]},
            "task_relevant_objects": [OBJECT],
            "language": {
                "task_description": "Pick up the mug",
                "referral_expressions": {"pickup_obj_name": "mug"},
                "referral_expressions_priority": {"pickup_obj_name": [[0.05, 0.3, "red mug"], [0.04, 0.2, "mug"]]},
            },
        }
    )


@pytest.fixture(scope="session")
def public_episode() -> Callable[..., dict[str, Any]]:
    """Makes the JSON of an episode of one of the eight tasks."""
    return build_episode


@pytest.fixture(scope="session")
def public_tasks() -> tuple[str, ...]:
    """Our names of the eight tasks that the public package has."""
    return tuple(TASKS)


@pytest.fixture(scope="session")
def own_episode() -> Callable[..., Episode]:
    """Makes an episode as a sampler does, with other fields where they are given."""

    def make(**changes):
        task = new_task("pick", robot_base_pose=OWN_POSE, pickup_obj_name="mug_1", pickup_obj_start_pose=OWN_POSE)
        fields = {
            "house_index": 0,
            "scene_dataset": "zoo",
            "data_split": "val",
            "robot": Robot(robot_name="franka_droid", init_qpos={"arm": (0.0,) * 7}),
            "img_resolution": (640, 368),
            "task": task,
            "language": Language(task_description="pick up the mug"),
        }
        return Episode(**(fields | changes))

    return make
