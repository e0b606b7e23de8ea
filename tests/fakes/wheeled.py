"""Robots that move in discrete steps, in the two rooms of `two_rooms`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from corner_episode import HOUSE

from zoo import registry
from zoo.envs.episodes.benchmark import Benchmark
from zoo.envs.episodes.schema import Episode, SceneModifications
from zoo.envs.episodes.tasks import new_task
from zoo.envs.simulation import simulation
from zoo.envs.simulation.environment import EpisodeEnv
from zoo.envs.simulation.houses import House, house

SIZE = (96, 56)
ARM_OUT = (0.6, 0.0, 0.0, 0.0, 0.0, 0.0)  # of a Stretch: hand along the arm, at 0.76 m


def wheeled_episode(
    name: str,
    base: Sequence[float],
    *,
    robot: str = "stretch",
    arguments: Mapping[str, Any] | None = None,
    seed: int | None = None,
    size: tuple[int, int] = SIZE,
    **fields: Any,
) -> Episode:
    """An episode of a task with the robot at a place: x, y, yaw."""
    x, y, yaw = base
    built = registry.build("robot", robot, **(arguments or {}))
    content = {
        "house_index": 0,
        "scene_dataset": "two_rooms",
        "data_split": "val",
        "seed": seed,
        "robot": {
            "robot_name": robot,
            "init_qpos": {"arm": list(ARM_OUT)} if robot == "stretch" else {},
            "arguments": dict(arguments or {}),
        },
        "img_resolution": list(size),
        "cameras": [
            {
                "type": "robot_mounted",
                "name": one.name,
                "reference_body_names": [f"robot_0/{one.body}"],
                "camera_offset": list(one.position_m),
                "lookat_offset": [1.0, 0.0, 0.0],
                "camera_quaternion": list(one.quat_wxyz),
                "fov": one.fovy_deg,
            }
            for one in next(iter(built.camera_systems.values())).nominal()
        ],
        "task": new_task(
            name, robot_base_pose=(x, y, 0.0, math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)), **fields
        ).to_json(),
        "language": {"task_description": name},
    }
    return Episode.from_json(content, "episode")


def find(names: Sequence[str], base: Sequence[float], name: str = "object_nav_type", **more: Any) -> Episode:
    """An episode about some objects."""
    return wheeled_episode(name, base, broad_synset_to_object_ids={"thing.n.01": list(names)}, **more)


def in_a_real_house(wanted: Episode, folder: Path, *, count: int = 2) -> Path:
    """A benchmark of an episode, in a house that worker processes find; its objects are where they were planned."""
    dataset, split, index = HOUSE
    place = house(dataset, split, index)
    free = [item for item in place.scene.objects if not place.objects[item.name].is_static]
    poses = {item.name: (*item.position_m, *item.quat_wxyz) for item in free}
    moved = replace(
        wanted,
        scene_dataset=dataset,
        data_split=split,
        house_index=index,
        scene_modifications=SceneModifications(object_poses=poses),
    )
    path, created = folder / "wheeled", "2020-01-01T00:00:00Z"
    Benchmark.of("wheeled", [moved] * count, description="-", created_at=created, asset_digests={}).save(path)
    return path


def wheeled_env(monkeypatch: Any, place: House, wanted: Episode, **options: Any) -> EpisodeEnv:
    """An environment at the start of an episode in these rooms."""
    monkeypatch.setattr(simulation, "house", lambda *_: place)
    env = EpisodeEnv(robot=wanted.robot.robot_name, episodes=[wanted], **options)
    env.reset(seed=0)
    return env
