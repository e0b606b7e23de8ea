"""Two small rooms, a door between them, and few things, so that an episode of the mobile robot compiles in a blink."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.envs.episodes.schema import Episode
from zoo.envs.episodes.tasks import new_task
from zoo.envs.robots.rby1 import Rby1
from zoo.envs.scenes.specification import Leaf, Light, Material, Opening, Placement, Room, Scene, Wall
from zoo.envs.simulation import simulation
from zoo.envs.simulation.environment import EpisodeEnv
from zoo.envs.simulation.houses import House, house_of

PLAIN = Material(rgba=(0.8, 0.8, 0.8, 1.0))
DEPTH_M, WIDTH_M = 4.0, 3.5  # of each room, along x and y; the wall with the door is at x = DEPTH_M
DOOR_OFFSET_M, DOOR_WIDTH_M = 1.2, 0.9  # the door begins at this y


def two_rooms(
    things: Mapping[str, tuple[str, Sequence[float]]],
    *,
    leaf: Leaf | None = None,
) -> House:
    """The rooms `west` and `east`.

    Args:
        things: Asset of the primitives and position, by name; yaw is 0.
        leaf: Of `door_0` between the rooms; None: a doorway.
    """
    ends = {"west": (0.0, DEPTH_M), "east": (DEPTH_M, 2 * DEPTH_M)}
    rooms = tuple(
        Room(
            name=name,
            room_type="kitchen",
            polygon_m=((low, 0.0), (high, 0.0), (high, WIDTH_M), (low, WIDTH_M)),
            floor=PLAIN,
            ceiling=PLAIN,
        )
        for name, (low, high) in ends.items()
    )
    outer = ((0.0, 0.0), (2 * DEPTH_M, 0.0), (2 * DEPTH_M, WIDTH_M), (0.0, WIDTH_M))
    walls = [_wall(f"wall_{k}", outer[k], outer[(k + 1) % 4], ("west", None)) for k in range(4)]
    door = Opening(
        name="door_0",
        kind="doorway" if leaf is None else "door",
        offset_m=DOOR_OFFSET_M,
        width_m=DOOR_WIDTH_M,
        bottom_m=0.0,
        height_m=2.1,
        leaf=leaf,
    )
    walls.append(_wall("between", (DEPTH_M, 0.0), (DEPTH_M, WIDTH_M), ("west", "east"), (door,)))
    objects = tuple(
        Placement(
            name=name,
            asset=asset,
            position_m=tuple(map(float, place)),
            room="west" if place[0] < DEPTH_M else "east",
        )
        for name, (asset, place) in things.items()
    )
    lamp = Light(name="lamp", position_m=(DEPTH_M, WIDTH_M / 2, 2.4))
    return house_of(Scene(name="two_rooms", rooms=rooms, walls=tuple(walls), lights=(lamp,), objects=objects))


def mobile_episode(name: str, base: Sequence[float], **fields: Any) -> Episode:
    """An episode of a task with the robot at a place: x, y, yaw."""
    x, y, yaw = base
    camera = Rby1().camera_systems["rby1"].mounted[0].camera
    content = {
        "house_index": 0,
        "scene_dataset": "two_rooms",
        "data_split": "val",
        "robot": {
            "robot_name": "rby1",
            "init_qpos": {group.name: list(group.home) for group in Rby1().groups if group.kind != "base"},
        },
        "img_resolution": [96, 54],
        "cameras": [
            {
                "type": "robot_mounted",
                "name": camera.name,
                "reference_body_names": [f"robot_0/{camera.body}"],
                "camera_offset": list(camera.position_m),
                "lookat_offset": [1.0, 0.0, 0.0],
                "camera_quaternion": list(camera.quat_wxyz),
                "fov": camera.fovy_deg,
            }
        ],
        "task": new_task(
            name, robot_base_pose=(x, y, 0.0, math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)), **fields
        ).to_json(),
        "language": {"task_description": name},
    }
    return Episode.from_json(content, "episode")


def start(monkeypatch: Any, place: House, wanted: Episode, *, horizon_steps: int = 400) -> EpisodeEnv:
    """An environment at the start of an episode in these rooms."""
    monkeypatch.setattr(simulation, "house", lambda *_: place)
    env = EpisodeEnv(robot="rby1", image_size=(96, 54), horizon_steps=horizon_steps)
    env.reset(options={"episode": wanted})
    return env


def _wall(
    name: str,
    begin: tuple[float, float],
    end: tuple[float, float],
    rooms: tuple[str | None, str | None],
    openings: tuple[Opening, ...] = (),
) -> Wall:
    return Wall(
        name=name,
        start_m=begin,
        end_m=end,
        height_m=2.5,
        thickness_m=0.1,
        rooms=rooms,
        materials=(PLAIN, PLAIN),
        openings=openings,
    )
