import pytest

from zoo.envs.episodes.schema import Episode
from zoo.envs.simulation.houses import house
from zoo.envs.simulation.simulation import Simulation

HOUSE = ("procedural", "val", 5)


@pytest.fixture(scope="session")
def place():
    return house(*HOUSE)


@pytest.fixture(scope="session")
def episode(place):
    """Pick up the first small thing that stands on furniture; the arm stands a little away from it."""
    item = next(o for o in place.scene.objects if o.support in place.objects and not place.objects[o.name].is_static)
    x, y, z = item.position_m
    content = {
        "house_index": HOUSE[2],
        "scene_dataset": HOUSE[0],
        "data_split": HOUSE[1],
        "robot": {"robot_name": "franka_droid", "init_qpos": {"arm": [0.1, -0.7, 0, -2.3, 0, 1.5, 0.2]}},
        "img_resolution": [96, 64],
        "cameras": [
            {
                "type": "exocentric",
                "name": "exo",
                "pos": [x - 1.0, y, z + 1.0],
                "up": [0, 0, 1],
                "forward": [1, 0, -1],
                "fov": 60,
            },
            {
                "type": "robot_mounted",
                "name": "wrist",
                "reference_body_names": ["nowhere", "robot_0/base"],
                "camera_offset": [0.3, 0, 1.5],
                "lookat_offset": [1, 0, 0],
                "camera_quaternion": [0.5, 0.5, -0.5, -0.5],
                "fov": 70,
            },
        ],
        "task": {
            "task_cls": "molmo_spaces.tasks.pick_task.PickTask",
            "robot_base_pose": [x - 0.6, y, max(z - 0.75, 0), 1, 0, 0, 0],
            "pickup_obj_name": item.name,
            "pickup_obj_start_pose": [x, y, z, *item.quat_wxyz],
        },
        "language": {"task_description": "pick it up"},
    }
    return Episode.from_json(content, "episode")


@pytest.fixture(scope="session")
def settled(episode):
    """The same with the pose of every free object, as samplers write episodes."""
    poses = {name: pose.tolist() for name, pose in Simulation(episode).free_poses().items()}
    content = episode.to_json()
    content["scene_modifications"] = {"added_objects": {}, "object_poses": poses, "removed_objects": []}
    return Episode.from_json(content, "episode")
