"""An episode that is quickly set up: the arm stands outside of the house, with nothing to do."""

from pathlib import Path

from zoo.envs.episodes.benchmark import Benchmark
from zoo.envs.episodes.schema import Episode
from zoo.envs.evaluation.runs import installed_assets
from zoo.envs.simulation.houses import house

HOUSE = ("procedural", "val", 5)


def corner_episode() -> Episode:
    """Pick up a thing that is far away; every free object is placed, so nothing has to settle."""
    place = house(*HOUSE)
    free = [o for o in place.scene.objects if not place.objects[o.name].is_static]
    poses = {o.name: [*o.position_m, *o.quat_wxyz] for o in free}
    view = {"pos": [-2, -2, 2], "up": [0, 0, 1], "forward": [-1, -1, -1], "fov": 60}
    content = {
        "house_index": HOUSE[2],
        "scene_dataset": HOUSE[0],
        "data_split": HOUSE[1],
        "img_resolution": [64, 48],
        "robot": {"robot_name": "franka_droid", "init_qpos": {}},
        "language": {"task_description": "pick it up"},
        "scene_modifications": {"object_poses": poses},
        "cameras": [{"type": "exocentric", "name": "exo", **view}],
        "task": {
            "task_cls": "molmo_spaces.tasks.pick_task.PickTask",
            "robot_base_pose": [-3, -3, 0, 1, 0, 0, 0],
            "pickup_obj_name": free[0].name,
            "pickup_obj_start_pose": poses[free[0].name],
        },
    }
    return Episode.from_json(content, "episode")


def corner_benchmark(folder: Path, *, count: int = 2) -> Path:
    """A benchmark of that episode in a folder called `corner`."""
    path, episodes = folder / "corner", [corner_episode()] * count
    pinned = installed_assets({"primitives": ["mug_0"]})
    created = "2020-01-01T00:00:00Z"
    Benchmark.of("corner", episodes, description="-", created_at=created, asset_digests=pinned).save(path)
    return path
