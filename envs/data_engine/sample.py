"""From a recording to a sample of a shard: its record, its arrays, and an mp4 of every camera."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.envs.data_engine.recorder import Recording
from zoo.envs.episodes.schema import Episode
from zoo.envs.simulation.simulation import Simulation
from zoo.shards.encode import encode_frames
from zoo.shards.policy_episode import (
    ARRAYS,
    EXPERT_ACTIONS,
    FPS,
    OPTIONAL_ARRAYS,
    POLICY_SCHEMA,
    POLICY_VERSION,
    PolicyEpisode,
)

GOP = 10
"""Frames between two key frames: a window of an episode begins anywhere."""


def policy_sample(
    key: str,
    task: str,
    episode: Episode,
    recording: Recording,
    simulation: Simulation,
    *,
    crf: int,
    meta: Mapping[str, Any],
) -> PolicyEpisode:
    """Write a recording down.

    Args:
        key: Of the sample.
        task: Registry name.
        episode: That was done.
        recording: Of a strict success.
        simulation: In which it was recorded.
        crf: Constant rate factor of the videos.
        meta: What else is to be kept.
    """
    scene, robot = simulation.house.scene, simulation.robot
    width, height = episode.img_resolution
    cameras = [
        {"name": camera.name, "width": width, "height": height, "fovy_deg": float(camera.fov)}
        for camera in episode.cameras
    ]
    text = episode.language.task_description
    record = {
        "schema": POLICY_SCHEMA,
        "version": POLICY_VERSION,
        "key": key,
        "task": task,
        "goal": text,
        "goal_spec": episode.task.to_json() | {"house_index": scene.index, "natural_language_spec": text},
        "cameras": cameras,
        "fps": FPS,
        "num_steps": recording.num_steps,
        "robot": robot.name,
        "embodiment": robot.embodiment(),
        "episode": episode.to_json(),
        "house": {
            "dataset": scene.dataset,
            "split": scene.split,
            "index": scene.index,
            "rooms": [{"id": room.name, "type": room.room_type} for room in scene.rooms],
        },
        "expert_steps": None if EXPERT_ACTIONS in recording.rows else recording.num_steps,
        "path_m": round(recording.path_m, 4),
        "shortest_m": None,
        "success": True,
        "meta": dict(meta),
    }
    if recording.categories:
        record["categories"] = list(recording.categories)
    columns = {name: c for name, c in {**ARRAYS, **OPTIONAL_ARRAYS}.items() if name in recording.rows}
    arrays = {name: np.array(recording.rows[name], column.dtype) for name, column in columns.items()}
    media = {
        name: encode_frames(frames, fps=FPS, crf=crf, gop=GOP, preset="ultrafast")
        for name, frames in recording.frames.items()
    }
    return PolicyEpisode(record, arrays, media)
