"""What recording experts costs beyond the bare simulator: `policy_episodes` against a replay of what it recorded.

The replay sets the same houses up, makes the same moves and draws the same pictures, and that is all: nothing is
sampled, planned, labelled, encoded or written. It comes in two kinds: as MuJoCo draws, all that is in the house, and as
our environments draw, only what may be seen; the pictures are equal, which is tested on the way. The sides take turns
house by house, and of each house the quickest round counts. Workers are processes that do this side by side, each in
houses of its own; their rates are added up.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from zoo.bench.simulation import RENDER_THREADS, Row, Seconds, SimulationCost, quickest, timed
from zoo.envs.data_engine.generator import PolicyEpisodes
from zoo.envs.episodes.schema import Episode
from zoo.envs.simulation.camera_rig import CameraRig
from zoo.envs.simulation.houses import forget_houses
from zoo.envs.simulation.simulation import Simulation
from zoo.envs.spawned import spread
from zoo.errors import ConfigError, DataError
from zoo.generator import GeneratedSample
from zoo.navigation_actions import SpocAction
from zoo.shards.policy_episode import POLICY_SAMPLES
from zoo.shards.writer import ShardWriter

GENERATION_FLOOR = 0.9
GENERATION, EVERYTHING, SEEN = "generation", "everything", "seen"
SAME_M = 1e-4


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What is generated.

    Args:
        task: Registry name of a task with a sampler and an expert.
        dataset: Registry name of the scene planner.
        robot: Registry name; one that moves in discrete steps.
        width: Of pictures, pixels.
        height: Pixels.
        episodes: Of each worker.
        episodes_per_house: Of one house.
        seed: Of the draws; the next worker has the next one.
    """

    task: str = "object_nav_type"
    dataset: str = "homes"
    robot: str = "stretch"
    width: int = 112
    height: int = 64
    episodes: int = 20
    episodes_per_house: int = 10
    seed: int = 0

    def generator(self) -> PolicyEpisodes:
        """Makes it, one shard of it; and a single episode to warm up with.

        Raises:
            ConfigError: numbers that cannot be.
        """
        return PolicyEpisodes(
            task=self.task,
            dataset=self.dataset,
            robot=self.robot,
            image_size=(self.width, self.height),
            train_episodes=self.episodes,
            val_episodes=1,
            episodes_per_house=self.episodes_per_house,
            shard_size=self.episodes,
            seed=self.seed,
        )


@dataclass(frozen=True, slots=True)
class Taken:
    """What one worker's sides took.

    Args:
        steps: That each side made.
        set_up: Seconds, by replay, of which the houses took so many.
        whole: Seconds, by side, houses included.
    """

    steps: int
    set_up: dict[str, Seconds]
    whole: dict[str, Seconds]


def measure_generation(load: Load, *, workers: int = 1, rounds: int = 1) -> SimulationCost:
    """Time generation and replays in turns.

    Renders with one thread, whatever the environment says.

    Args:
        load: What is generated.
        workers: Processes that do so side by side; of one, this process.
        rounds: Turns of all sides.
    Raises:
        ConfigError: a number out of range, or houses that give no episode.
        UnknownNameError: no such task, data set or robot.
    """
    if min(load.episodes, workers, rounds) < 1:
        raise ConfigError(
            f"bench: {load.episodes} episodes, {workers} workers, {rounds} rounds; expected 1 or more of each"
        )
    load.generator()  # what is wrong with it is told before processes start
    os.environ[RENDER_THREADS] = "1"  # llvmpipe reads it when the first context opens
    before = os.getloadavg()[0]
    pieces = [_Piece(load, number, rounds, workers == 1) for number in range(workers)]
    taken = [pieces[0]()] if workers == 1 else [result() for _, result in spread(_run, pieces, num_workers=workers)]
    return SimulationCost(rows=tuple(_rows(load, taken)), rounds=rounds, load=(before, os.getloadavg()[0]))


def _rows(load: Load, taken: Sequence[Taken]) -> list[Row]:
    made = _rates(taken, lambda one: one.whole[GENERATION])
    size = f"{load.width}x{load.height}"
    rows = [_row(f"generation by {len(taken)}, pictures of {size}, {load.task}", made)]
    for side, words in ((EVERYTHING, "all of the house drawn"), (SEEN, "what may be seen drawn")):
        whole = _rates(taken, lambda one, side=side: one.whole[side])
        floor = GENERATION_FLOOR if side == EVERYTHING else None
        rows.append(_row(f"bare simulator, {words}", whole, made, floor=floor))
        steps = _rates(taken, lambda one, side=side: one.whole[side].less(one.set_up[side]))
        rows.append(_row(f"bare simulator, {words}, its houses not counted", steps, made))
    return rows


def _row(what: str, rate: Seconds, made: Seconds | None = None, *, floor: float | None = None) -> Row:
    """One side; its ratio is the generation's rate to its own.

    Args:
        what: It is.
        rate: Steps a second, by either clock.
        made: The generation's.
        floor: Of the ratio.
    """
    wall, cpu = (None, None) if made is None else (made.wall / rate.wall, made.cpu / rate.cpu)
    return Row(what=what, value=rate.wall, unit="steps/s", ratio=wall, floor=floor, value_cpu=rate.cpu, ratio_cpu=cpu)


def _rates(taken: Sequence[Taken], seconds: Callable[[Taken], Seconds]) -> Seconds:
    """Steps a second of all workers together, by either clock."""
    return Seconds(
        sum(one.steps / seconds(one).wall for one in taken), sum(one.steps / seconds(one).cpu for one in taken)
    )


@dataclass(frozen=True, slots=True)
class _Piece:
    """The work of one worker.

    Args:
        load: Of the first one.
        number: Which it is.
        rounds: Turns.
        is_alone: In the main process, where it may draw a bar.
    """

    load: Load
    number: int
    rounds: int
    is_alone: bool

    def __call__(self) -> Taken:
        """Do it; its rounds are of the same houses."""
        load = self.load
        generator = PolicyEpisodes(**(load.generator().settings()["arguments"] | {"seed": load.seed + self.number}))
        replays = {EVERYTHING: _Replay(load, WholeRig), SEEN: _Replay(load, CameraRig)}
        turns: dict[str, list[list[Seconds]]] = {name: [] for name in (GENERATION, *replays)}
        set_up: dict[str, list[list[Seconds]]] = {name: [] for name in replays}
        try:
            list(_turn(generator, "val", 1, replays))  # opens contexts, reads libraries
            rounds = range(self.rounds)
            for _ in tqdm(rounds, desc="generation", unit="round", leave=False) if self.is_alone else rounds:
                houses = list(_turn(generator, "train", load.episodes, replays))
                for name, all_rounds in turns.items():
                    all_rounds.append([house.whole[name] for house in houses])
                for name, all_rounds in set_up.items():
                    all_rounds.append([house.set_up[name] for house in houses])
        finally:
            for replay in replays.values():
                replay.close()
        return Taken(
            sum(house.steps for house in houses),
            {name: quickest(all_rounds) for name, all_rounds in set_up.items()},
            {name: quickest(all_rounds) for name, all_rounds in turns.items()},
        )


def _run(piece: _Piece) -> Taken:
    os.environ[RENDER_THREADS] = "1"
    return piece()


def _turn(generator: PolicyEpisodes, split: str, episodes: int, replays: dict[str, _Replay]) -> Iterator[Taken]:
    """Each house of a split, done by all sides."""
    per_house = generator.episodes_per_house
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        writer = stack.enter_context(ShardWriter(Path(folder) / "shard.tar", schema=POLICY_SAMPLES))
        samples = generator.samples(split, 0, episodes)
        for house, begin in enumerate(range(0, episodes, per_house)):
            made: list[GeneratedSample] = []
            forget_houses()
            whole = {GENERATION: timed(_make, samples, min(per_house, episodes - begin), writer, made)}
            actions = [(_episode(sample), sample.arrays["actions"]) for sample in made]
            set_up = {}
            for name in sorted(replays, reverse=bool(house % 2)):
                set_up[name], whole[name] = replays[name].run(actions)
            _check(made, replays)
            yield Taken(sum(len(told) for _, told in actions), set_up, whole)


def _make(
    samples: Iterator[GeneratedSample | DataError], count: int, writer: ShardWriter, made: list[GeneratedSample]
) -> None:
    for sample in islice(samples, count):
        if not isinstance(sample, GeneratedSample):
            raise ConfigError(f"bench: {sample}")
        writer.write(sample.record, sample.media, arrays=sample.arrays, counts=sample.counts)
        made.append(sample)


def _episode(sample: GeneratedSample) -> Episode:
    return Episode.from_json(sample.record["episode"], sample.record["key"])


def _check(made: Sequence[GeneratedSample], replays: dict[str, _Replay]) -> None:
    """All sides ended in the same place with the same pictures."""
    everything, seen = (replays[name] for name in (EVERYTHING, SEEN))
    for replay in (everything, seen):
        pose = replay.simulation.world.base_pose()
        assert np.abs(pose - made[-1].arrays["base_pose"][-1]).max() < SAME_M, "a replay came out elsewhere"
    for name, picture in everything.pictures.items():
        assert np.array_equal(picture, seen.pictures[name]), f"{name} is drawn in two ways"


class WholeRig(CameraRig):
    """Draws all of a house, as MuJoCo does."""

    def _in_view(self, camera: int) -> np.ndarray:
        return np.ones(self._model.ngeom, bool)


class _Replay:
    """The bare simulator: moves and pictures.

    Args:
        load: Has the size of pictures.
        rig: How they are drawn.
    """

    def __init__(self, load: Load, rig: type[CameraRig]) -> None:
        self._rig = rig(width=load.width, height=load.height)
        self.simulation: Simulation | None = None
        self.pictures: dict[str, np.ndarray] = {}

    def run(self, episodes: Sequence[tuple[Episode, np.ndarray]]) -> tuple[Seconds, Seconds]:
        """Do episodes of one house: seconds of setting them up, and of all."""
        forget_houses()
        set_up, steps = [], []
        for episode, actions in episodes:
            set_up.append(timed(self._begin, episode))
            steps.append(timed(self._act, [SpocAction(int(action)) for action in actions]))
        return _sum(set_up), _sum(set_up + steps)

    def close(self) -> None:
        self._rig.close()

    def _begin(self, episode: Episode) -> None:
        self.simulation = Simulation(episode, rig=self._rig, reuse=self.simulation)
        self._rig.show(self.simulation.model, self.simulation.data, self.simulation.cameras)
        self._cameras = [camera.name for camera in episode.cameras]
        self._rig.open()

    def _act(self, actions: Sequence[SpocAction]) -> None:
        for action in actions:
            self.simulation.act(action)
            self.pictures = self._rig.pictures(self._cameras)


def _sum(parts: Sequence[Seconds]) -> Seconds:
    return Seconds(sum(part.wall for part in parts), sum(part.cpu for part in parts))
