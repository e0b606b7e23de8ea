"""Rounds `expert_corrections`: the policy that is being trained acts in new houses, an expert labels every step.

Source: Ross et al. 2011 (DAgger). Every round has houses of its own, of the training split, and those of another seed
than the imitated episodes' are others than theirs. A round is a data set like those of `policy_episodes`, with the same
care for what was finished, and of the same houses and starts whatever the policy does.
"""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from zoo.envs.data_engine.corrections import CorrectedRecording, record_corrected
from zoo.envs.data_engine.generator import HOUSES_OF_SEED, PolicyEpisodes
from zoo.envs.data_engine.policy_desk import PolicyAtDesk, PolicyDesk
from zoo.envs.episodes.schema import Episode
from zoo.errors import ConfigError
from zoo.generator import GeneratedSample, GivenUpError
from zoo.policy import Observation, Policy
from zoo.rollout_rounds import RolloutRounds
from zoo.shards.writer import INDEX_NAME

logger = logging.getLogger(__name__)

STEPS, EXPERT_MOVES, RIGHT, WRONG, SUCCESSES = "steps", "moves of the expert", "done: right", "done: wrong", "successes"


class ExpertCorrections(PolicyEpisodes, RolloutRounds):
    """Records episodes in which the policy acts and an expert says what it should have done.

    At each step the expert's action is made with a probability, else the policy's; a `done` of the policy that is no
    strict success is not made, but the expert's action.

    Args:
        task: Registry name of a task with sampler and expert, or several, which take turns.
        dataset: Registry name of the scene planner.
        robot: Registry name of a robot that moves in discrete steps.
        robot_arguments: What it is built with.
        random_bodies: A `ring_body` of its own for every episode.
        categories: Of assets that may be asked for; all where none are given.
        image_size: Width and height of pictures, pixels, both even; the robot's own where none is given.
        num_rooms: Fewest and most rooms of a house; any number where none is given.
        episodes: Of a round.
        episodes_per_house: Of one house, before the next is taken.
        shard_size: Episodes of a shard; as many shards are made at a time as there are workers.
        seed: Of all draws; also chooses the houses: another than that of the imitated episodes has others.
        max_steps: After which an episode is cut off.
        noise: The base does not move quite as far as it is told (sheet spoc_ring 1.2).
        crf: Constant rate factor of x264: 18 visually clean, 51 worst.
        expert_share: Probability in the first round that a step makes the expert's action.
        expert_share_decay: By which it is multiplied from round to round.
        shows_categories: Record which of the categories each cell of the pictures shows, at most 32 of them.
        cameras: Of the robot, those that are recorded; all where none are given.

    Raises:
        ConfigError: numbers that cannot be.
    """

    kind: ClassVar[str] = "rollouts"
    name: ClassVar[str] = "expert_corrections"
    version: ClassVar[int] = 3

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
        episodes: int = 200,
        episodes_per_house: int = 5,
        shard_size: int = 25,
        seed: int = 1,
        max_steps: int = 300,
        noise: bool = False,
        crf: int = 23,
        expert_share: float = 0.5,
        expert_share_decay: float = 0.5,
        shows_categories: bool = False,
        cameras: list[str] | None = None,
    ) -> None:
        self.episodes, self.expert_share, self.expert_share_decay = episodes, expert_share, expert_share_decay
        self.number = 0  # of the round
        self._address: str | None = None  # of the policy's desk
        self._policy_cameras: tuple[str, ...] | None = None
        self._actor: PolicyAtDesk | None = None
        self._recorded: CorrectedRecording | None = None  # last
        super().__init__(
            task=task,
            dataset=dataset,
            robot=robot,
            robot_arguments=robot_arguments,
            random_bodies=random_bodies,
            categories=categories,
            image_size=image_size,
            num_rooms=num_rooms,
            train_episodes=episodes,
            val_episodes=0,
            test_episodes=0,
            episodes_per_house=episodes_per_house,
            shard_size=shard_size,
            seed=seed,
            max_steps=max_steps,
            noise=noise,
            crf=crf,
            shows_categories=shows_categories,
            cameras=cameras,
        )

    def _faults(self) -> Iterator[str]:
        if self.episodes < 1:
            yield f"episodes is {self.episodes}, expected 1 or more"
            return  # what follows counts them
        for name in ("expert_share", "expert_share_decay"):
            if not 0 <= getattr(self, name) <= 1:
                yield f"{name} is {getattr(self, name)}, expected 0 to 1"
        yield from super()._faults()

    @property
    def splits(self) -> dict[str, int]:
        return {"train": self.episodes}

    @property
    def share(self) -> float:
        """Probability in this round that a step makes the expert's action."""
        return self.expert_share * self.expert_share_decay**self.number

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"round": self.number}

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_actor": None, "_recorded": None}

    # -- rounds -------------------------------------------------------------------------------------------------------

    def check(self, policy: Policy) -> None:
        wanted = None if policy.image_size is None else tuple(policy.image_size)
        recorded = None if self.image_size is None else tuple(self.image_size)
        if wanted is not None and recorded != wanted:
            raise ConfigError(
                f"{self.name}: pictures are recorded at {recorded or 'the size of the robot'}, and the policy looks at "
                f"such of {wanted} (width, height); set image_size to {list(wanted)}"
            )

    def collect(self, folder: Path, number: int, policy: Policy, *, workers: int) -> Mapping[str, float]:
        self.check(policy)
        one = self._round(number)
        with PolicyDesk(policy) as desk:
            one._address, one._policy_cameras = desk.address, policy.cameras  # noqa: SLF001 - a copy of this object
            one.gives_boxes = policy.takes_boxes
            one.generate(folder, workers=workers)
        return one._told(folder)  # noqa: SLF001

    def _round(self, number: int) -> ExpertCorrections:
        one = copy.copy(self)
        one.number = number
        if (number + 1) * one._most_shards * one._houses_of_shard > HOUSES_OF_SEED:  # noqa: SLF001
            raise ConfigError(f"{self.name}: round {number} needs more houses than the {HOUSES_OF_SEED} of a seed")
        return one

    def _told(self, folder: Path) -> dict[str, float]:
        """Shares of the round, out of its index."""
        index = json.loads((folder / INDEX_NAME).read_text(encoding="utf-8"))
        counts, episodes = index["counts"], index["splits"]["train"]["samples"]
        told = {
            "episodes": episodes,
            "steps": counts[STEPS],
            "success": counts.get(RIGHT, 0) / episodes,
            "wrong_done": counts.get(WRONG, 0) / episodes,
            "finished": counts.get(SUCCESSES, 0) / episodes,
            "expert_moves": counts.get(EXPERT_MOVES, 0) / counts[STEPS],
        }
        logger.info(
            "round %d: %d episodes of %d steps; the policy's first done was right in %.1f %% and wrong in %.1f %%, the "
            "expert made %.1f %% of the moves",
            self.number,
            episodes,
            counts[STEPS],
            100 * told["success"],
            100 * told["wrong_done"],
            100 * told["expert_moves"],
        )
        return told

    # -- episodes -----------------------------------------------------------------------------------------------------

    def houses_of(self, shard: int, place: int) -> range:
        return super().houses_of(self.number * self._most_shards + shard, place)

    def samples_from(self, split: str, shard: int, count: int, start: int) -> Iterator[GeneratedSample | GivenUpError]:
        if self._address is None:
            raise ConfigError(f"{self.name} records what a policy in training does: datamodule policy_rollouts")
        self._actor = PolicyAtDesk(self._address)
        try:
            yield from super().samples_from(split, shard, count, start)
        finally:
            self._actor.close()

    def _sample(self, split: str, shard: int, place: int) -> GeneratedSample | GivenUpError:
        made = super()._sample(split, shard, place)
        if isinstance(made, GivenUpError):
            return made
        recorded = self._recorded
        assert recorded is not None
        record = {
            **made.record,
            "key": f"round{self.number:03d}-{made.record['key']}",  # rounds are read together
            "success": recorded.is_success,
            "meta": {
                **made.record["meta"],
                "round": self.number,
                "expert_moves": recorded.expert_moves,
                "first_done": recorded.first_done,
            },
        }
        counts = {**made.counts, EXPERT_MOVES: recorded.expert_moves, SUCCESSES: int(recorded.is_success)}
        if recorded.first_done is not None:
            counts[RIGHT if recorded.first_done else WRONG] = 1
        return GeneratedSample(record, made.media, made.arrays, counts)

    def _record(
        self, task: str, split: str, index: int, number: int, seeds: Sequence[int]
    ) -> tuple[Episode, CorrectedRecording]:
        """Draw an episode and let the policy do it.

        Raises:
            RejectedError: nothing could be learnt from it.
        """
        env, episode, expert, rng = self._set_up(task, split, index, seeds)
        assert self._actor is not None
        self._recorded = record_corrected(
            env,
            episode,
            expert,
            _Looking(self._actor, env.cameras, self._policy_cameras),
            rng,
            expert_share=self.share,
            max_steps=self.max_steps,
            index=number,
        )
        return episode, self._recorded


class _Looking:
    """A policy that gets the pictures that it looks at, and no others.

    Args:
        actor: The policy.
        cameras: Whose pictures are observed.
        wanted: Those that it looks at; None: all.
    """

    def __init__(self, actor: PolicyAtDesk, cameras: Sequence[str], wanted: Sequence[str] | None) -> None:
        self._actor = actor
        self._hidden = frozenset() if wanted is None else frozenset(cameras) - frozenset(wanted)

    def reset(self, task: Mapping[str, Any]) -> None:
        self._actor.reset(task)

    def act(self, observation: Observation) -> np.ndarray:
        return self._actor.act({name: value for name, value in observation.items() if name not in self._hidden})
