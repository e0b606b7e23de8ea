"""Worker processes that run episodes, and the main process that gives them work and, batched, actions.

Workers are spawned, never forked, and import no torch. A worker runs one episode at a time. Where a policy runs in the
main process, all workers that wait for actions share one call of it. A worker that dies, or that says nothing for too
long, costs its current episode and is replaced; what was scored stays scored.
"""

from __future__ import annotations

import contextlib
import logging
import math
import multiprocessing
import os
import signal
import time
import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from zoo.envs.episodes.results import EpisodeResult, FailureReason
from zoo.envs.episodes.schema import Episode
from zoo.envs.evaluation.drivers import EXPERT, RANDOM, driver
from zoo.envs.evaluation.memory import give_freed_memory_back
from zoo.envs.evaluation.rollout import Driver, RolloutSettings, failed, run_episode
from zoo.envs.robots.robot import Clocks
from zoo.envs.simulation.environment import EpisodeEnv
from zoo.errors import ConfigError, ZooError
from zoo.policy import Observation, Policy, stack_observations

logger = logging.getLogger(__name__)

GATHER_S = 0.002
"""How long the main process waits for further workers before it asks the policy."""
POLL_S = 1.0
FAILURES: Mapping[str, FailureReason] = {
    "lost": "worker_killed",
    "silent": "policy_timeout",
    "refused": "policy_error",
}
"""What an episode is counted as, by why its worker is given up."""
NEVER = 10**9
MAX_ENVS = 4  # of one worker

Asker = TypeVar("Asker")


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerSettings:
    """What all workers of a pool are told.

    Args:
        policy: `expert`, `random`, or anything else for a policy in the main process.
        rollout: How episodes are run.
        cameras: Whose pictures a policy in the main process gets.
        may_lack_cameras: An episode without one of them is run with the others, rather than refused.
        image_size: Width and height of pictures; None takes each episode's.
        has_boxes: A policy in the main process gets boxes of its targets, too.
        clocks: Of physics, controller and policy; None takes each robot's.
    """

    policy: str
    rollout: RolloutSettings
    cameras: tuple[str, ...] = ()
    may_lack_cameras: bool = False
    image_size: tuple[int, int] | None = None
    has_boxes: bool = False
    clocks: Clocks | None = None


def with_wishes(settings: WorkerSettings, policy: Policy) -> WorkerSettings:
    """The settings with cameras, picture size and boxes that a policy states; what is set already wins."""
    wishes: dict[str, Any] = {"has_boxes": policy.takes_boxes}
    if policy.cameras is not None and not settings.cameras:
        wishes |= {"cameras": policy.cameras, "may_lack_cameras": True}
    if policy.image_size is not None and settings.image_size is None:
        wishes["image_size"] = policy.image_size
    return replace(settings, **wishes)


@dataclass
class _Worker:
    """A process, and what it is at."""

    process: multiprocessing.process.BaseProcess
    connection: Connection
    slot: int
    is_ready: bool = False
    index: int | None = None
    began: float = 0.0
    heard: float = field(default_factory=time.monotonic)


class EpisodePool:
    """Runs episodes in worker processes, which stay between runs; a context manager.

    Args:
        settings: What workers are told.
        num_workers: Processes.
        policy: Acts for all of them, where `settings.policy` is neither expert nor random.
        silence_s: Seconds without a word from a worker, or from the policy, after which the episode is given up.

    Raises:
        ConfigError: no worker, or a policy that is needed is missing.
    """

    def __init__(
        self, settings: WorkerSettings, *, num_workers: int = 1, policy: Policy | None = None, silence_s: float = 300.0
    ) -> None:
        if num_workers < 1:
            raise ConfigError(f"workers is {num_workers}, expected 1 or more")
        if (policy is None) != (settings.policy in (EXPERT, RANDOM)):
            raise ConfigError(f"policy {settings.policy!r} and a policy object {policy!r} do not go together")
        self.settings, self.num_workers, self.policy, self.silence_s = settings, num_workers, policy, silence_s
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._thread = ThreadPoolExecutor(1)

    def __enter__(self) -> EpisodePool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop all workers; nothing of them stays, whatever they were at."""
        for worker in self._workers:
            _stop(worker)
        self._workers = []
        self._thread.shutdown(wait=False)

    def run(
        self,
        episodes: Mapping[int, Episode],
        *,
        videos: Mapping[int, Path] = MappingProxyType({}),
        trajectories: Mapping[int, Path] = MappingProxyType({}),
        max_seconds: float = math.inf,
    ) -> Iterator[EpisodeResult]:
        """Run episodes in the order given, as results come in.

        Args:
            episodes: By index within their benchmark.
            videos: Files of those that get one, by index.
            trajectories: The same for pictures of the way, of robots that move in discrete steps.
            max_seconds: Wall time after which no further episode is begun; what runs is finished.
        Raises:
            ConfigError: a worker could not start at all.
        """
        queue, deadline = deque(episodes), time.monotonic() + max_seconds
        missing = min(self.num_workers, len(queue)) - len(self._workers)
        self._workers += [self._start(len(self._workers) + number) for number in range(missing)]
        while queue or any(worker.index is not None for worker in self._workers):
            if time.monotonic() > deadline:
                queue.clear()
            self._hand_out(queue, episodes, videos, trajectories)
            for worker, message in self._messages():
                result = self._heard(worker, message, episodes)
                if result is not None:
                    yield result

    def _start(self, slot: int) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self.settings), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours, slot)

    def _hand_out(
        self,
        queue: deque[int],
        episodes: Mapping[int, Episode],
        videos: Mapping[int, Path],
        trajectories: Mapping[int, Path],
    ) -> None:
        for worker in self._workers:
            if worker.index is None and queue:
                worker.index = queue.popleft()
                worker.began = worker.heard = time.monotonic()
                with contextlib.suppress(BrokenPipeError):  # it died meanwhile; waiting on it says so
                    files = {"video": videos.get(worker.index), "trajectory": trajectories.get(worker.index)}
                    worker.connection.send((worker.index, episodes[worker.index].to_json(), files))

    def _messages(self) -> Iterator[tuple[_Worker, Any]]:
        """What workers say: a tuple (kind, content), or the failure that a worker has become."""
        busy = [worker for worker in self._workers if worker.index is not None]
        ready = set(wait([worker.connection for worker in busy], timeout=POLL_S))
        if self.policy is not None and ready and len(ready) < len(busy):
            time.sleep(GATHER_S)
            ready = set(wait([worker.connection for worker in busy], timeout=0))
        asking: list[tuple[_Worker, Mapping[str, np.ndarray]]] = []
        for worker in busy:
            if worker.connection in ready:
                try:
                    kind, content = worker.connection.recv()
                except (EOFError, ConnectionResetError):
                    yield worker, ("lost", self._obituary(worker))
                    continue
                worker.heard = time.monotonic()
                if kind == "act":
                    asking.append((worker, content))
                elif kind == "reset":
                    try:
                        self.policy.reset({worker.slot: content})
                    except ZooError as error:
                        yield worker, ("refused", str(error))
                else:
                    yield worker, (kind, content)
            elif time.monotonic() - worker.heard > self.silence_s:
                yield worker, ("silent", f"nothing was heard of it for {self.silence_s:g} s")
        for group in alike(asking):
            yield from self._answer(group)

    def _answer(self, asking: Sequence[tuple[_Worker, Mapping[str, np.ndarray]]]) -> Iterator[tuple[_Worker, Any]]:
        """One call of the policy for workers who wait; yields those whom it let wait too long.

        Args:
            asking: Whose observations fit into one batch.
        """
        slots = [worker.slot for worker, _ in asking]
        batch = stack_observations([observation for _, observation in asking])
        call = self._thread.submit(self.policy.act, batch, slots)
        try:
            answers = [("actions", np.asarray(chunk)) for chunk in call.result(self.silence_s)]
        except TimeoutError:
            self._thread.shutdown(wait=False)  # a thread cannot be stopped; the next call gets another one
            self._thread = ThreadPoolExecutor(1)
            for worker, _ in asking:
                yield worker, ("silent", f"the policy did not answer within {self.silence_s:g} s")
            return
        except ZooError as error:  # the policy's own complaint; anything else is a bug of whoever wrote it
            answers = [("error", str(error))] * len(asking)
        for (worker, _), answer in zip(asking, answers, strict=True):
            worker.heard = time.monotonic()
            with contextlib.suppress(BrokenPipeError):
                worker.connection.send(answer)

    def _heard(self, worker: _Worker, message: Any, episodes: Mapping[int, Episode]) -> EpisodeResult | None:
        kind, content = message
        if kind == "ready":
            worker.is_ready = True
            return None
        if not worker.is_ready:
            raise ConfigError(
                f"a worker process could not start: {content}. Its own words are above; a script that evaluates must "
                'be a file, and guard its main part by `if __name__ == "__main__":`'
            )
        index, seconds = worker.index, time.monotonic() - worker.began
        if kind == "result":
            worker.index = None
            return EpisodeResult.from_json(content, f"result of episode {index}")
        if kind == "bug":
            raise RuntimeError(f"episode {index} failed in a worker:\n{content}")
        reason = FAILURES[kind]
        logger.warning("episode %d: %s; it counts as failed, and the worker is replaced", index, content)
        _stop(worker)
        self._workers[self._workers.index(worker)] = self._start(worker.slot)
        return failed(episodes[index], index, reason, content, round(seconds, 3))

    @staticmethod
    def _obituary(worker: _Worker) -> str:
        worker.process.join(timeout=5)
        code = worker.process.exitcode
        return f"its worker ended with {signal.Signals(-code).name if code is not None and code < 0 else code}"


def _stop(worker: _Worker) -> None:
    worker.connection.close()
    if worker.process.is_alive():
        worker.process.terminate()
        worker.process.join(timeout=5)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
    worker.process.close()


def alike(asking: Sequence[tuple[Asker, Observation]]) -> list[list[tuple[Asker, Observation]]]:
    """Those whose observations have the same names and shapes together: robots and cameras differ between episodes.

    Args:
        asking: Who asks, and with which observation.
    """
    groups: dict[tuple[tuple[str, tuple[int, ...]], ...], list[tuple[Asker, Observation]]] = {}
    for asker, observation in asking:
        shapes = tuple((name, value.shape) for name, value in sorted(observation.items()))
        groups.setdefault(shapes, []).append((asker, observation))
    return list(groups.values())


def _work(connection: Connection, settings: WorkerSettings) -> None:
    """A worker's life: episodes in, results out, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's, which ends its workers
    os.environ.setdefault("LP_NUM_THREADS", "1")  # one render thread each
    give_freed_memory_back()
    envs: dict[str, EpisodeEnv] = {}
    chosen = driver(settings.policy, connection)
    try:
        connection.send(("ready", None))
        while True:
            index, content, files = connection.recv()
            episode = Episode.from_json(content, f"episode {index}")
            connection.send(("result", _run(envs, episode, index, chosen, settings, files).to_json()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception:  # noqa: BLE001 - a bug must reach the main process with its traceback, which a spawned process would lose
        connection.send(("bug", traceback.format_exc()))
    finally:
        for env in envs.values():
            env.close()


def _run(
    envs: dict[str, EpisodeEnv],
    episode: Episode,
    index: int,
    chosen: Driver,
    settings: WorkerSettings,
    files: Mapping[str, Path | None],
) -> EpisodeResult:
    began = time.perf_counter()
    try:
        env = _env_for(envs, episode, settings)
    except ZooError as error:
        return failed(episode, index, "setup_failed", str(error), round(time.perf_counter() - began, 3))
    return run_episode(env, episode, index, chosen, settings.rollout, **files)


def _env_class(settings: WorkerSettings) -> type[EpisodeEnv]:
    if not settings.has_boxes:
        return EpisodeEnv
    from zoo.envs.data_engine.boxed import BoxedEnv  # which builds on evaluation

    return BoxedEnv


def _env_for(envs: dict[str, EpisodeEnv], episode: Episode, settings: WorkerSettings) -> EpisodeEnv:
    """The environment of an episode's robot, cameras and picture size, made at first use.

    Bodies of one robot share one, which takes each of them on. Those that were not used for longest are closed, because
    pictures may be of hundreds of sizes and every environment holds a GL context.
    """
    size = settings.image_size or episode.img_resolution
    has = {camera.name for camera in episode.cameras}
    cameras = tuple(name for name in settings.cameras if name in has or not settings.may_lack_cameras)
    key = f"{episode.robot.robot_name} {tuple(size)} {cameras}"
    if key in envs:
        envs[key] = envs.pop(key)  # the last is the newest
        return envs[key]
    while len(envs) >= MAX_ENVS:
        envs.pop(next(iter(envs))).close()
    envs[key] = _env_class(settings)(
        robot=episode.robot.robot_name,
        robot_arguments=episode.robot.arguments,
        cameras=cameras,
        image_size=tuple(size),
        clocks=settings.clocks,
        horizon_steps=NEVER,  # the rollout counts
        noise=settings.rollout.noise,
    )
    return envs[key]
