"""Generator `policy_episodes`: experts over generated houses into shards of recorded episodes.

Source: sheet spoc_ring_holodeck_graspmolmo sections 1.8 (what is recorded), 1.9 (tasks are mixed i mod K), 1.15 (only
strict successes are kept).
Differs: a share of the training episodes may be perturbed, so that there are labels beside the expert's own way.

Every sample has draws of its own, by seed, split, house and place in the house, so that a shard may be gone on with in
the middle. Every shard has houses of its own; where a house gives no episode the next one of its row is tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar
from zlib import crc32

import numpy as np

from zoo import registry
from zoo.envs.data_engine.boxed import BoxedEnv
from zoo.envs.data_engine.bursts import record_perturbed
from zoo.envs.data_engine.recorder import Recording, record
from zoo.envs.data_engine.sample import policy_sample
from zoo.envs.data_engine.sight import RecordingEnv
from zoo.envs.episodes.schema import Episode
from zoo.envs.experts.expert import Expert
from zoo.envs.sampling.chores.chore import ChoreSampler
from zoo.envs.sampling.sampler import RejectedError, TaskSampler
from zoo.envs.simulation.houses import house
from zoo.errors import ConfigError
from zoo.generator import GeneratedSample, GivenUpError, ShardGenerator
from zoo.shards.policy_episode import CELL_COLUMNS, CELL_ROWS, MAX_CATEGORIES, POLICY_SAMPLES

SPLITS = ("train", "val", "test")
HOUSES_IN_ROW = 64  # tried one after the other for the same episodes
DRAWS_IN_HOUSE = 10  # of a sample, after which its next house is tried
HOUSES_OF_SEED = 2**23  # so that seeds do not share houses
MAX_HOUSES = 2**32
NEVER = 10**9  # environments count no steps, the recorder does
EXPERT_STREAM = 0x6578  # tells an expert's draws from its sampler's
PERTURBED_STREAM = 0x7065  # tells the draw of which samples are perturbed from others
PERTURBED = "perturbed"
"""In the counts and the `meta` of episodes that are."""


class PolicyEpisodes(ShardGenerator):
    """Records episodes of experts.

    Args:
        task: Registry name of a task with sampler and expert, or several, which take turns.
        dataset: Registry name of the scene planner.
        robot: Registry name of a robot that moves in discrete steps.
        robot_arguments: What it is built with.
        random_bodies: A `ring_body` of its own for every episode.
        categories: Of assets that may be asked for; all where none are given.
        image_size: Width and height of pictures, pixels, both even; the robot's own where none is given.
        num_rooms: Fewest and most rooms of a house; any number where none is given.
        train_episodes: Of the training split, in houses of that split.
        val_episodes: Of the validation split.
        test_episodes: Of the test split.
        episodes_per_house: Of one house, before the next is taken.
        shard_size: Episodes of a shard.
        seed: Of all draws; also chooses the houses.
        max_steps: Longer episodes are not kept.
        noise: The base does not move quite as far as it is told (sheet section 1.2).
        crf: Constant rate factor of x264: 18 visually clean, 51 worst.
        shows_categories: Record which of the categories each cell of the pictures shows, at most 32 of them.
        cameras: Of the robot, those that are recorded; all where none are given.
        perturbed_share: Of the training episodes, in which bursts of random moves are made in between and
            `expert_actions` holds what the expert would have done.

    Raises:
        ConfigError: numbers that cannot be.
    """

    name: ClassVar[str] = "policy_episodes"
    version: ClassVar[int] = 4
    unit: ClassVar[str] = "episode"
    schema = POLICY_SAMPLES
    is_costly: ClassVar[bool] = True
    rate: ClassVar[str | None] = "steps"
    on_bad_sample = "skip"

    def __init__(
        self,
        *,
        task: str | list[str] = "object_nav_type",
        dataset: str = "procedural",
        robot: str = "stretch",
        robot_arguments: dict[str, Any] | None = None,
        random_bodies: bool = False,
        categories: list[str] | None = None,
        image_size: tuple[int, int] | None = None,
        num_rooms: tuple[int, int] | None = None,
        train_episodes: int = 1000,
        val_episodes: int = 50,
        test_episodes: int = 0,
        episodes_per_house: int = 10,
        shard_size: int = 50,
        seed: int = 0,
        max_steps: int = 600,
        noise: bool = False,
        crf: int = 23,
        shows_categories: bool = False,
        cameras: list[str] | None = None,
        perturbed_share: float = 0.0,
    ) -> None:
        self.task, self.dataset, self.robot, self.random_bodies = task, dataset, robot, random_bodies
        self.robot_arguments, self.categories = robot_arguments, categories
        self.image_size, self.num_rooms = image_size, num_rooms
        self.train_episodes, self.val_episodes, self.test_episodes = train_episodes, val_episodes, test_episodes
        self.episodes_per_house, self._shard_size, self.seed = episodes_per_house, shard_size, seed
        self.max_steps, self.noise, self.crf = max_steps, noise, crf
        self.shows_categories, self.cameras, self.perturbed_share = shows_categories, cameras, perturbed_share
        if faults := list(self._faults()):
            raise ConfigError(f"{self.name}: {'; '.join(faults)}")
        self._cache = _Cache()
        self.gives_boxes = False  # to whoever acts in what is recorded

    def _faults(self) -> Iterator[str]:
        least = {"train_episodes": 0, "val_episodes": 0, "test_episodes": 0, "seed": 0}
        least |= {"episodes_per_house": 1, "shard_size": 1, "max_steps": 2}
        for name, low in least.items():
            if getattr(self, name) < low:
                yield f"{name} is {getattr(self, name)}, expected {low} or more"
        if not self.tasks:
            yield "task names none, expected one or more: --task object_nav_type"
        if self.image_size is not None and (min(self.image_size) < 2 or any(side % 2 for side in self.image_size)):
            yield f"image_size is {self.image_size}, expected even numbers, as '[224,128]': H.264 has no odd ones"
        if self.num_rooms is not None and not 1 <= self.num_rooms[0] <= self.num_rooms[1]:
            yield f"num_rooms is {self.num_rooms}, expected the fewest and the most, as '[3,6]'"
        if not 0 <= self.crf <= 51:
            yield f"crf is {self.crf}, expected 0 (lossless) to 51 (worst)"
        if not 0 <= self.perturbed_share <= 1:
            yield f"perturbed_share is {self.perturbed_share}, expected 0 to 1"
        if self.shows_categories:
            yield from self._shows_faults()
        if self.seed >= MAX_HOUSES // HOUSES_OF_SEED:
            yield f"seed is {self.seed}, expected less than {MAX_HOUSES // HOUSES_OF_SEED}: each has houses of its own"
        is_finite = min(self.episodes_per_house, self.shard_size) > 0
        if is_finite and self._houses_of_shard * self._most_shards > HOUSES_OF_SEED:
            yield f"{max(self.splits.values())} episodes need more houses than the {HOUSES_OF_SEED} of a seed"

    def _shows_faults(self) -> Iterator[str]:
        categories = self.categories or []
        if not 1 <= len(set(categories)) == len(categories) <= MAX_CATEGORIES:
            yield (
                f"shows_categories with categories {self.categories}, expected 1 to {MAX_CATEGORIES} different ones, "
                "as --categories '[bed,chair]'"
            )
        if self.image_size is not None and (self.image_size[0] < CELL_COLUMNS or self.image_size[1] < CELL_ROWS):
            yield f"shows_categories with image_size {self.image_size}, expected {CELL_COLUMNS}x{CELL_ROWS} or more"

    def plan(self) -> None:
        """Build what every worker builds, so that a mistyped name ends the run before the folder is begun."""
        registry.find("scene_planner", self.dataset)
        for task in self.tasks:
            self._cache.parts(self, task)

    @property
    def tasks(self) -> list[str]:
        """Registry names."""
        return [self.task] if isinstance(self.task, str) else list(self.task)

    @property
    def splits(self) -> dict[str, int]:
        return {"train": self.train_episodes, "val": self.val_episodes, "test": self.test_episodes}

    @property
    def shard_size(self) -> int:
        return self._shard_size

    @property
    def _houses_of_shard(self) -> int:
        return -(-self.shard_size // self.episodes_per_house) * HOUSES_IN_ROW

    @property
    def _most_shards(self) -> int:
        return -(-max(self.splits.values()) // self.shard_size)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_cache": _Cache()}  # renderers and houses stay where they are

    def samples(self, split: str, shard: int, count: int) -> Iterator[GeneratedSample | GivenUpError]:
        return self.samples_from(split, shard, count, 0)

    def samples_from(self, split: str, shard: int, count: int, start: int) -> Iterator[GeneratedSample | GivenUpError]:
        try:
            for place in range(start, count):
                yield self._sample(split, shard, place)
        finally:
            self._cache.close()

    def _sample(self, split: str, shard: int, place: int) -> GeneratedSample | GivenUpError:
        """One sample: the first draw, in the first house, that gives an episode."""
        key, number = f"{split}-{shard:06d}-{place:05d}", shard * self.shard_size + place
        task = self.tasks[number % len(self.tasks)]
        counts: Counter[str] = Counter()
        for index in self.houses_of(shard, place):
            if not self._cache.has_rooms(self.dataset, split, index, self.num_rooms):
                continue
            for draw in range(DRAWS_IN_HOUSE):
                seeds = [self.seed, SPLITS.index(split), index, place % self.episodes_per_house, draw]
                try:
                    episode, recording = self._record(task, split, index, number, seeds)
                except RejectedError as rejection:
                    counts[f"rejected: {rejection.reason}"] += 1
                    if rejection.is_hopeless:
                        break
                    continue
                meta = {"seeds": seeds, "rejected": sum(n for name, n in counts.items() if name.startswith("rejected"))}
                counts["steps"] += recording.num_steps
                if self._is_perturbed(split, number):
                    counts[PERTURBED] += 1
                    meta[PERTURBED] = True
                simulation = self._cache.env.simulation
                sample = policy_sample(key, task, episode, recording, simulation, crf=self.crf, meta=meta)
                return GeneratedSample(sample.record, sample.media, sample.arrays, counts)
        reasons = ", ".join(f"{name} {count}" for name, count in counts.most_common())
        return GivenUpError(
            f"{key}: {HOUSES_IN_ROW} houses gave no episode of {task} ({reasons or 'none has such rooms'})", counts
        )

    def houses_of(self, shard: int, place: int) -> range:
        """Indices of the houses that are tried for a sample, in order; those of two shards differ.

        Args:
            shard: Index of the shard.
            place: Of the sample in it.
        """
        begin = self.seed * HOUSES_OF_SEED + shard * self._houses_of_shard
        row = place // self.episodes_per_house
        return range(begin + row * HOUSES_IN_ROW, begin + (row + 1) * HOUSES_IN_ROW)

    def _record(
        self, task: str, split: str, index: int, number: int, seeds: Sequence[int]
    ) -> tuple[Episode, Recording]:
        """Draw an episode and let the expert do it.

        Raises:
            RejectedError: either did not work.
        """
        env, episode, expert, rng = self._set_up(task, split, index, seeds)
        if self._is_perturbed(split, number):
            return episode, record_perturbed(env, episode, expert, rng, max_steps=self.max_steps, index=number)
        recording = record(env, episode, expert, rng, max_steps=self.max_steps, index=number)
        done = replace(episode, task=replace(episode.task, expert_length=recording.num_steps))
        return done, recording

    def _is_perturbed(self, split: str, number: int) -> bool:
        """Whether a sample is, whatever draw of whatever house gives it."""
        if split != "train" or not self.perturbed_share:
            return False
        rng = np.random.default_rng([self.seed, SPLITS.index(split), number, PERTURBED_STREAM])
        return bool(rng.random() < self.perturbed_share)

    def _set_up(
        self, task: str, split: str, index: int, seeds: Sequence[int]
    ) -> tuple[RecordingEnv, Episode, Expert, np.random.Generator]:
        """Draw an episode: its environment, itself, who does it, and draws for that.

        Raises:
            RejectedError: the draw made none.
        """
        sampler, expert = self._cache.parts(self, task)
        draws = [*seeds, crc32(task.encode())]
        episode = sampler.sample(house(self.dataset, split, index), np.random.default_rng(draws))
        shown = self.categories if self.shows_categories else None
        env = self._cache.env_for(episode, noise=self.noise, categories=shown or (), gives_boxes=self.gives_boxes)
        return env, episode, expert, np.random.default_rng([*draws, EXPERT_STREAM])

    def sampler_arguments(self) -> dict[str, Any]:
        """What the samplers are built with."""
        given = {
            "robot": self.robot,
            "robot_arguments": self.robot_arguments,
            "random_bodies": self.random_bodies or None,
            "categories": self.categories,
            "image_size": self.image_size,
            "cameras": self.cameras,
        }
        return {name: value for name, value in given.items() if value is not None}


class _Cache:
    """What a process keeps between samples; nothing of it decides about their bytes."""

    def __init__(self) -> None:
        self._parts: dict[str, tuple[TaskSampler, Expert]] = {}
        self._rooms: dict[tuple[str, str, int], int] = {}
        self.env: RecordingEnv | None = None
        self._env_key: Any = None

    def parts(self, generator: PolicyEpisodes, task: str) -> tuple[TaskSampler, Expert]:
        """Sampler and expert of a task."""
        if task not in self._parts:
            if not issubclass(registry.load("task_sampler", task), ChoreSampler):
                able = [name for name in registry.names("task_sampler") if name in registry.names("expert")]
                chores = [n for n in able if issubclass(registry.load("task_sampler", n), ChoreSampler)]
                raise ConfigError(
                    f"{generator.name}: task {task!r} is for robots that are commanded by joints; what is recorded are "
                    f"SPOC's actions: {', '.join(chores)}"
                )
            sampler = registry.build("task_sampler", task, **generator.sampler_arguments())
            self._parts[task] = sampler, registry.build("expert", task)
        return self._parts[task]

    def has_rooms(self, dataset: str, split: str, index: int, wanted: tuple[int, int] | None) -> bool:
        """Whether a house has a number of rooms."""
        if wanted is None:
            return True
        key = dataset, split, index
        if key not in self._rooms:
            self._rooms[key] = len(house(dataset, split, index).scene.rooms)
        return wanted[0] <= self._rooms[key] <= wanted[1]

    def env_for(self, episode: Episode, *, noise: bool, categories: Sequence[str], gives_boxes: bool) -> RecordingEnv:
        """The environment of an episode; another one is made where pictures or cameras are others."""
        robot, cameras = episode.robot, tuple(camera.name for camera in episode.cameras)
        key = robot.robot_name, episode.img_resolution, cameras
        if self.env is None or self._env_key != key:
            self.close()
            self.env = (BoxedEnv if gives_boxes else RecordingEnv)(
                categories=categories,
                robot=robot.robot_name,
                robot_arguments=robot.arguments,
                cameras=cameras,
                image_size=tuple(episode.img_resolution),
                horizon_steps=NEVER,
                noise=noise,
            )
            self._env_key = key
        return self.env

    def close(self) -> None:
        """Free the GL context."""
        if self.env is not None:
            self.env.close()
            self.env = None
