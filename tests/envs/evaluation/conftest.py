import pytest

from zoo.envs.episodes.schema import Episode

BASE = {
    "house_index": 5,
    "scene_dataset": "procedural",
    "data_split": "val",
    "img_resolution": [64, 48],
    "robot": {"robot_name": "franka_droid", "init_qpos": {}},
    "language": {"task_description": "pick it up"},
}


@pytest.fixture(scope="session")
def episode():
    """The arm stands in an empty corner outside of the house: nothing to do, and quickly set up."""
    from zoo.envs.simulation.houses import house

    place = house("procedural", "val", 5)
    target = next(o for o in place.scene.objects if not place.objects[o.name].is_static)
    pose = [*target.position_m, *target.quat_wxyz]
    camera = {
        "type": "exocentric",
        "name": "exo",
        "pos": [-2, -2, 2],
        "up": [0, 0, 1],
        "forward": [-1, -1, -1],
        "fov": 60,
    }
    task = {
        "task_cls": "molmo_spaces.tasks.pick_task.PickTask",
        "robot_base_pose": [-3, -3, 0, 1, 0, 0, 0],
        "pickup_obj_name": target.name,
        "pickup_obj_start_pose": pose,
    }
    free = [o for o in place.scene.objects if not place.objects[o.name].is_static]
    poses = {o.name: [*o.position_m, *o.quat_wxyz] for o in free}
    changes = {"scene_modifications": {"object_poses": poses}, "cameras": [camera], "task": task}
    return Episode.from_json(BASE | changes, "episode")
