"""One episode of an expert, recorded step by step, and kept if it ends in strict success.

Source: sheet spoc_ring_holodeck_graspmolmo sections 1.8 (what is recorded, and before which action) and 1.15 (the
episode is kept only if strict success holds).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.envs.data_engine.sight import RecordingEnv
from zoo.envs.data_engine.targets import look
from zoo.envs.episodes.schema import Episode
from zoo.envs.experts.expert import Expert
from zoo.envs.navigation.metrics import path_length_m
from zoo.envs.navigation.paths import NoRouteError
from zoo.envs.sampling.sampler import RejectedError
from zoo.envs.simulation.simulation import UnstableError
from zoo.errors import ConfigError
from zoo.navigation_actions import SpocAction
from zoo.shards.policy_episode import NO_ROOM, SHOWS

ARM_SIZE = 4

GAVE_UP, NOT_STRICT, TOO_LONG = "gave_up", "not_strict", "too_long"
NO_ROUTE, UNSTABLE, AT_START = "no_route", "unstable", "done_at_start"
"""Why an episode is not kept. An expert that says done gave up where that is no success at all."""


@dataclass
class Recording:
    """What was seen, done and measured; one entry a step.

    Args:
        frames: By camera (height, width, 3) uint8 each.
        rows: Values of the arrays of `zoo.shards.policy_episode`, by name.
        categories: Synsets of the bits of `shows`; none where that is not recorded.
    """

    frames: dict[str, list[np.ndarray]]
    rows: dict[str, list[Any]] = field(default_factory=dict)
    categories: tuple[str, ...] = ()

    @property
    def num_steps(self) -> int:
        return len(self.rows.get("actions", ()))

    @property
    def path_m(self) -> float:
        """Way of the base until the last recorded state."""
        return path_length_m([pose[:2] for pose in self.rows["base_pose"]])

    def add(self, values: Mapping[str, Any]) -> None:
        """Values of the present step, some of them."""
        for name, value in values.items():
            self.rows.setdefault(name, []).append(value)


def record(
    env: RecordingEnv, episode: Episode, expert: Expert, rng: np.random.Generator, *, max_steps: int, index: int = 0
) -> Recording:
    """Let an expert do an episode.

    Args:
        env: For the episode's robot, with the pictures that are wanted.
        episode: What to do.
        expert: For its task.
        rng: Of what the expert draws.
        max_steps: Longer episodes are not kept.
        index: Place of the episode in its data set: its seed if it states none.
    Raises:
        RejectedError: the episode cannot be set up or done, or did not end in strict success.
    """
    try:
        observation, info = env.reset(options={"episode": episode, "index": index})
        expert.reset(env, rng)
        return _run(env, expert, observation, info, max_steps)
    except NoRouteError as error:
        raise RejectedError(NO_ROUTE) from error
    except UnstableError as error:
        raise RejectedError(UNSTABLE) from error


def _run(
    env: RecordingEnv, expert: Expert, observation: Mapping[str, np.ndarray], info: Mapping[str, Any], max_steps: int
) -> Recording:
    rooms = {room.name: place for place, room in enumerate(env.simulation.house.scene.rooms)}
    recording = Recording({camera: [] for camera in env.cameras}, categories=env.synsets)
    for _ in range(max_steps):
        move = expert.act()
        action = move.action
        if action is None:
            raise ConfigError(
                f"{type(expert).__name__} commands joints, and SPOC's actions are recorded; its moves must state theirs"
            )
        is_strict = env.task.strict_success()
        if action == SpocAction.DONE and not is_strict:
            raise RejectedError(NOT_STRICT if env.task.is_success() else GAVE_UP)
        if action == SpocAction.DONE and not recording.num_steps:
            raise RejectedError(AT_START)
        for camera in env.cameras:
            recording.frames[camera].append(observation[camera])
        recording.add(before_action(env, observation, info, rooms))
        recording.add({"actions": int(action), "is_recovery": move.is_recovery, "strict_success": is_strict})
        observation, _, _, _, info = env.step(np.array([action]))
        recording.add({"action_success": bool(observation["last_action_success"][0]) or action == SpocAction.DONE})
        if action == SpocAction.DONE:
            assert info["success"], "strict success that is no success"
            return recording
    raise RejectedError(TOO_LONG)


def before_action(
    env: RecordingEnv, observation: Mapping[str, np.ndarray], info: Mapping[str, Any], rooms: Mapping[str, int]
) -> dict[str, Any]:
    """What is measured before an action."""
    world = env.simulation.world
    pose = world.base_pose()
    boxes, visible = look(env, env.cameras, env.task.targets)
    shown = {SHOWS: env.shows()} if env.synsets else {}
    return shown | {
        "in_hand": int(observation["in_hand"][0]),
        "base_pose": pose,
        "arm": observation.get("arm", np.zeros(ARM_SIZE)),
        "room": rooms.get(world.room_at(pose[:2]), NO_ROOM),
        "distance_m": info["distance_m"],
        "boxes": boxes,
        "visible": visible,
    }
