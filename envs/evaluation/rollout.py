"""One episode from its set-up to its score, whoever chooses the actions."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from zoo.envs.episodes.results import EpisodeResult, FailureReason
from zoo.envs.episodes.schema import Episode
from zoo.envs.episodes.statistics import joint_jerk
from zoo.envs.episodes.tasks import ChoresTask
from zoo.envs.evaluation.shortest_way import ShortestWay, shortest_way
from zoo.envs.evaluation.trajectories import TrajectoryRecorder
from zoo.envs.navigation.metrics import path_length_m, rooms_entered
from zoo.envs.navigation.paths import NoRouteError
from zoo.envs.simulation.environment import ActionError, EpisodeEnv
from zoo.envs.simulation.simulation import UnstableError
from zoo.envs.tasks.chores import HORIZON_STEPS, ObjectChore
from zoo.envs.tasks.navigate import NavigateTo
from zoo.errors import ZooError
from zoo.shards.encode import encode_frames

VIDEO_CRF = 26  # of rollout videos, which are for looking at
SHOWN_CAMERAS = 2  # of an episode, side by side in its video
HORIZON_S: Mapping[str, float] = {
    "pick": 30.0,
    "pick_and_place": 40.0,
    "pick_and_place_next_to": 40.0,
    "pick_and_place_color": 40.0,
    "open": 30.0,
    "close": 30.0,
    "open_door": 40.0,
    "navigate_to": 100.0,
}
"""Where neither episode nor caller says it: sheet section 8 (leaderboard 30 s, place 40 s; navigation 500 and doors 400
steps of data generation). Tasks of CHORES are counted in steps."""
MAX_HORIZON_S = 100.0

Observation = Mapping[str, np.ndarray]


class PolicyError(ZooError):
    """A policy that hangs, or that fails in its own code."""


class Driver(ABC):
    """Chooses the actions of an episode."""

    @abstractmethod
    def reset(self, env: EpisodeEnv, task: Mapping[str, Any], rng: np.random.Generator) -> None:
        """Begin the episode that an environment was just set to.

        Args:
            env: Freshly reset.
            task: As in the `info` of its reset, with the `seed` of this run's draws and `horizon_steps`, after which it
                is cut off.
            rng: Of whatever is drawn.
        """

    @abstractmethod
    def act(self, observation: Observation) -> Sequence[np.ndarray]:
        """Actions to execute one after the other before the next call; none when it is done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutSettings:
    """How episodes are run.

    Args:
        horizon_s: Seconds after which an episode is cut off, by our name of its task; `HORIZON_S` where a task is not
            named. What an episode states itself wins over both.
        horizon_steps: Policy steps instead, for all episodes, whatever they state.
        stop_on_success: End as soon as the task is done.
        seed: Of what drivers draw, together with the episode's own.
        execute_steps: Actions of a chunk that are executed before the next query; None: all.
        noise: Robots that move in discrete steps do not move quite as far as they are told.
    """

    horizon_s: Mapping[str, float] = field(default_factory=dict)
    horizon_steps: int | None = None
    stop_on_success: bool = False
    seed: int = 0
    execute_steps: int | None = None
    noise: bool = False

    def steps_of(self, episode: Episode, policy_dt: float) -> int:
        """Policy steps of an episode.

        Args:
            episode: Whose task it is.
            policy_dt: Seconds a policy step.
        """
        if self.horizon_steps is not None:
            return self.horizon_steps
        name = episode.task.name or ""
        seconds = episode.task.task_horizon_sec or self.horizon_s.get(name)
        if seconds is None and name in HORIZON_STEPS:
            return HORIZON_STEPS[name]
        return max(1, round((seconds or HORIZON_S.get(name, MAX_HORIZON_S)) / policy_dt))

    def seed_of(self, episode_seed: int) -> int:
        """Of what a policy draws in an episode: the episode's own, or with it another one of this run's."""
        if self.seed == 0:
            return episode_seed
        return int(np.random.SeedSequence([self.seed, episode_seed]).generate_state(1)[0])


@dataclass(slots=True)
class _Track:
    """What is kept of every step."""

    joints: list[np.ndarray] = field(default_factory=list)
    bases: list[np.ndarray] = field(default_factory=list)
    rooms: list[str | None] = field(default_factory=list)
    recorder: TrajectoryRecorder | None = None
    is_done: bool = False
    failure: tuple[FailureReason, str] | None = None

    def add(self, env: EpisodeEnv) -> None:
        view = env.simulation.view
        arms = [view.qpos(group.name) for group in env.robot.groups if group.kind == "arm"]
        if arms:
            self.joints.append(np.concatenate(arms))
        self.bases.append(view.base_pose()[:2])
        if env.is_discrete:
            self.rooms.append(env.simulation.world.room_at(self.bases[-1]))
        if self.recorder is not None:
            self.recorder.add(env)

    def path_length_m(self) -> float:
        return path_length_m(self.bases)


def run_episode(
    env: EpisodeEnv,
    episode: Episode,
    index: int,
    driver: Driver,
    settings: RolloutSettings,
    *,
    video: Path | None = None,
    trajectory: Path | None = None,
) -> EpisodeResult:
    """Run and score an episode. Whatever the policy, the scene or the physics do wrong is the episode's failure.

    An episode of navigation whose goal no route reaches is not run: it fails as it is.

    Args:
        env: For the episode's robot.
        episode: What to run.
        index: Of it in its benchmark.
        driver: Chooses the actions.
        settings: How.
        video: File to write; None: none.
        trajectory: File for the way, seen from above, of a robot that moves in discrete steps; None: none.
    """
    began = time.perf_counter()
    try:
        observation, info = env.reset(options={"episode": episode, "index": index})
        way = shortest_way(env.simulation, env.task) if isinstance(env.task, (NavigateTo, ObjectChore)) else None
    except NoRouteError as error:
        return failed(episode, index, "unreachable_goal", str(error), _since(began))
    except ZooError as error:
        return failed(episode, index, "setup_failed", str(error), _since(began))
    seed = episode.seed_at(index)
    horizon = settings.steps_of(episode, env.simulation.clocks.policy_dt)
    task = {**info["task"], "seed": settings.seed_of(seed), "horizon_steps": horizon}
    driver.reset(env, task, np.random.default_rng([settings.seed, seed]))
    track = _Track(recorder=TrajectoryRecorder() if trajectory is not None and env.is_discrete else None)
    steps = _steps(env, observation, driver, settings, track, horizon)
    cameras = list(env.simulation.cameras)[:SHOWN_CAMERAS]
    if video is None or not cameras:
        for _ in steps:
            pass
    else:
        pictures = (np.concatenate([env.picture(camera) for camera in cameras], axis=1) for _ in steps)
        _write(video, encode_frames(pictures, fps=1 / env.simulation.clocks.policy_dt, crf=VIDEO_CRF))
    if track.recorder is not None:
        track.recorder.write(trajectory)
    return _scored(env, episode, index, track, way, _since(began))


def _steps(
    env: EpisodeEnv,
    observation: Observation,
    driver: Driver,
    settings: RolloutSettings,
    track: _Track,
    horizon: int,
) -> Iterator[None]:
    """Run to the end; yields at the start and after every step, so that whoever wants can look."""
    track.add(env)
    yield
    try:
        while env.steps < horizon:
            chunk = driver.act(observation)
            if not len(chunk):
                track.is_done = True
                return
            for action in chunk[: settings.execute_steps]:
                observation, _, track.is_done, _, info = env.step(action)
                track.add(env)
                yield
                if track.is_done or env.steps >= horizon or (info["success"] and settings.stop_on_success):
                    return
    except ActionError as error:
        track.failure = (error.reason, str(error))
    except UnstableError as error:
        track.failure = ("simulator_unstable", str(error))
    except PolicyError as error:
        track.failure = ("policy_error", str(error))


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(f".{os.getpid()}.unfinished")
    unfinished.write_bytes(content)
    os.replace(unfinished, file)


def _scored(
    env: EpisodeEnv,
    episode: Episode,
    index: int,
    track: _Track,
    way: ShortestWay | None,
    seconds: float,
) -> EpisodeResult:
    outcome, failure = env.outcome(), track.failure
    is_success = outcome["success_at_end"] and failure is None
    if failure is None and not is_success:
        failure = ("wrong_stop", "it stopped before the task was done") if track.is_done else ("horizon", "")
    clocks = env.simulation.clocks
    jerk = joint_jerk(np.array(track.joints), clocks.policy_dt) if track.joints and not env.is_discrete else None
    rooms = env.simulation.world.rooms
    stated = episode.task.expert_length if isinstance(episode.task, ChoresTask) else None
    steps = None if way is None else way.steps
    return _result(
        episode,
        index,
        success_at_end=is_success,
        success_oracle=outcome["success_oracle"],
        steps=env.steps,
        failure=None if failure is None else failure[0],
        detail=None if failure is None or not failure[1] else failure[1],
        path_length_m=track.path_length_m() if track.bases else None,
        shortest_length_m=None if way is None else way.length_m,
        expert_steps=steps if stated is None else stated,
        collisions=env.collisions if env.is_discrete else None,
        rooms_visited=rooms_entered(track.rooms) / len(rooms) if env.is_discrete and rooms else None,
        jerk_mean=None if jerk is None else jerk.mean,
        jerk_std=None if jerk is None else jerk.std,
        seconds=seconds,
    )


def failed(episode: Episode, index: int, failure: FailureReason, detail: str, seconds: float) -> EpisodeResult:
    """The result of an episode that could not be run to an end."""
    return _result(episode, index, failure=failure, detail=detail, seconds=seconds)


def _result(episode: Episode, index: int, **facts: Any) -> EpisodeResult:
    given = {"success_at_end": False, "success_oracle": False, "steps": 0} | facts
    task = episode.task.name or episode.task.task_cls
    embodiment = episode.robot.embodiment
    return EpisodeResult(
        index=index, key=episode.key, task=task, category=episode.category, embodiment=embodiment, **given
    )


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 3)
