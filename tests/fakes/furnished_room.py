"""One small room with few things in it, so that an episode compiles in a blink; and episodes in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.envs.episodes.schema import Episode
from zoo.envs.episodes.tasks import new_task
from zoo.envs.experts.expert import Expert
from zoo.envs.scenes.specification import Light, Material, Placement, Room, Scene, Wall
from zoo.envs.simulation import simulation
from zoo.envs.simulation.environment import EpisodeEnv
from zoo.envs.simulation.houses import House, house_of
from zoo.registry import build

PLAIN = Material(rgba=(0.8, 0.8, 0.8, 1.0))
SIDE_M = 5.0
TABLE_M = 0.75  # height of dining_table_0


def walls_around(room: str, corners: Sequence[tuple[float, float]]) -> tuple[Wall, ...]:
    """Walls of a room that has no neighbours, from each corner to the next."""
    return tuple(
        Wall(
            name=f"wall_{index}",
            start_m=start,
            end_m=corners[(index + 1) % len(corners)],
            height_m=2.5,
            thickness_m=0.1,
            rooms=(room, None),
            materials=(PLAIN, PLAIN),
        )
        for index, start in enumerate(corners)
    )


def furnished(things: Mapping[str, tuple[str, Sequence[float]]]) -> House:
    """A square room.

    Args:
        things: Asset of the primitives and position, by name; yaw is 0.
    """
    corners = ((0.0, 0.0), (SIDE_M, 0.0), (SIDE_M, SIDE_M), (0.0, SIDE_M))
    walls = walls_around("room", corners)
    room = Room(name="room", room_type="kitchen", polygon_m=corners, floor=PLAIN, ceiling=PLAIN)
    objects = tuple(
        Placement(name=name, asset=asset, position_m=tuple(map(float, place)), room="room")
        for name, (asset, place) in things.items()
    )
    lamp = Light(name="lamp", position_m=(2.5, 2.5, 2.4))
    return house_of(Scene(name="small", rooms=(room,), walls=walls, lights=(lamp,), objects=objects))


def episode(name: str, base: Sequence[float], **fields: Any) -> Episode:
    """An episode of a task with the robot at a place: x, y, height of the pedestal's bottom, yaw."""
    x, y, z, yaw = base
    pose = (x, y, z, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2))
    content = {
        "house_index": 0,
        "scene_dataset": "small",
        "data_split": "val",
        "robot": {"robot_name": "franka_droid", "init_qpos": {"arm": [0, -0.7853, 0, -2.35619, 0, 1.57079, 0]}},
        "img_resolution": [64, 48],
        "cameras": [],
        "task": new_task(name, robot_base_pose=pose, **fields).to_json(),
        "language": {"task_description": name},
    }
    return Episode.from_json(content, "episode")


def start(monkeypatch: Any, place: House, wanted: Episode, *, horizon_steps: int = 600) -> EpisodeEnv:
    """An environment at the start of an episode in a furnished room."""
    monkeypatch.setattr(simulation, "house", lambda *_: place)
    env = EpisodeEnv(robot="franka_droid", image_size=(64, 48), horizon_steps=horizon_steps)
    env.reset(options={"episode": wanted})
    return env


def run(env: EpisodeEnv, *, seed: int = 0, expert: Expert | None = None) -> tuple[Expert, list[np.ndarray]]:
    """Let the expert of an environment's task work to its end; it and its actions."""
    if expert is None:
        expert = build("expert", env.simulation.episode.task.name)
    expert.reset(env, np.random.default_rng(seed))
    actions = []
    for _ in range(env.horizon_steps):
        move = expert.act()
        actions.append(env.joined(move.commands))
        env.step(actions[-1])
        if move.is_done:
            break
    return expert, actions
