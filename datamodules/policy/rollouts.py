"""The datamodule of a policy that also learns from its own episodes: recorded ones, and rounds that it acts in itself.

Source: Ross et al. 2011 (DAgger: the data of all rounds are kept, and learnt from together with the imitated ones).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer

from zoo.datamodules.loader import ShardLoader
from zoo.datamodules.policy.augmentation import AugmentationName
from zoo.datamodules.policy.datamodule import SPLITS, WINDOWS, PolicyDataModule
from zoo.datamodules.policy.windows import WindowRule
from zoo.datamodules.shards import Splits, Stage
from zoo.datamodules.sources import Source
from zoo.errors import ConfigError, DataError
from zoo.generator import ShardGenerator
from zoo.policy_in_training import acting, check_can_act
from zoo.rollout_rounds import RolloutRounds
from zoo.shards.faults import OnBadSample
from zoo.shards.policy_episode import check_policy_record
from zoo.shards.reader import read_split
from zoo.shards.writer import INDEX_NAME

logger = logging.getLogger(__name__)

FOLDER = "rollouts"
"""Of a run, where the rounds are."""
ROUND_SPLIT = "train"
METRICS = "rollouts"
"""What the names of a round's metrics begin with."""


class PolicyRollouts(PolicyDataModule):
    """Train on recorded episodes and on what the policy did in rounds of its own; all else as in `policy_shards`.

    An epoch is a round: before it, the policy acts with the weights that it has, in episodes that are new in every
    round; then windows are drawn from the recorded episodes and from the rounds so far. Training waits meanwhile. The
    run folder gets `rollouts/round_<n>/`, data sets of shards; a run that is resumed goes on in the folder of the run
    that began. Logged are `rollouts/success` and what else is told of a round.

    Args:
        path: Folder of a data set, or several, of which training draws equally often, or by their weights.
        rollouts: How rounds are made.
        steps_per_round: Optimiser steps of an epoch.
        rollout_share: Of the training windows, those from rounds.
        rollout_workers: Processes that simulate.
        generator: Makes the recorded episodes when their folder lacks them: the generator of a single path, or
            generators by path.
        window: How windows are cut out of episodes.
        augmentation: Changes of the training pictures: `v2` or `v1`; null for none.
        max_samples: Most recorded training episodes of each data set, in whole shards; null for all.
        max_eval_samples: The same elsewhere.
        batch_size: Windows a training batch on each rank.
        eval_batch_size: Windows a batch elsewhere; null takes `batch_size`.
        num_workers: Loader processes of each rank; 0 loads in the main process.
        shuffle_buffer: Encoded episodes of each data set in each worker among which the next one is drawn.
        seed: Of order, mixture and every choice about a window.
        splits: Which split of the recorded episodes each stage reads.
        on_bad_sample: Skip faulty episodes with a warning and count them by reason, or end at the first.
    Raises:
        ConfigError: numbers out of their range; at the start of training: a module that cannot act, another strategy
            than one device or `ddp`, pictures of another size than the policy's, or a trainer that keeps its loader or
            counts epochs.
    """

    def __init__(
        self,
        *,
        path: str | list[str] | dict[str, float],
        rollouts: RolloutRounds,
        steps_per_round: int = 200,
        rollout_share: float = 0.5,
        rollout_workers: int = 1,
        generator: ShardGenerator | dict[str, ShardGenerator] | None = None,
        window: WindowRule = WINDOWS,
        augmentation: AugmentationName | None = "v2",
        max_samples: int | None = None,
        max_eval_samples: int | None = None,
        batch_size: int = 16,
        eval_batch_size: int | None = None,
        num_workers: int = 0,
        shuffle_buffer: int = 100,
        seed: int = 0,
        splits: Splits = SPLITS,
        on_bad_sample: OnBadSample = "skip",
    ) -> None:
        if steps_per_round < 1 or rollout_workers < 0 or not 0 < rollout_share < 1:
            raise ConfigError(
                f"policy_rollouts: steps_per_round is {steps_per_round}, rollout_workers {rollout_workers} and "
                f"rollout_share {rollout_share}; expected steps of 1 or more, workers of 0 or more and a share between "
                "0 and 1"
            )
        super().__init__(
            path=path,
            generator=generator,
            window=window,
            augmentation=augmentation,
            max_samples=max_samples,
            max_eval_samples=max_eval_samples,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            shuffle_buffer=shuffle_buffer,
            seed=seed,
            splits=splits,
            on_bad_sample=on_bad_sample,
        )
        self.mixing = "weights"
        self.rollouts, self.steps_per_round = rollouts, steps_per_round
        self.rollout_share, self.rollout_workers = rollout_share, rollout_workers
        self._folder: Path | None = None  # of the rounds
        self._num_rounds = 0  # that are learnt from

    @property
    def num_growing(self) -> int:
        return int(self._num_rounds > 0)

    # -- rounds -------------------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if stage != "fit":
            return
        trainer, module = self.trainer, self.trainer.lightning_module
        check_can_act(trainer, module, who="policy_rollouts", instead="imitate only: data.class_path policy_shards")
        self.rollouts.check(module.policy())
        if trainer.fast_dev_run:
            return
        if trainer.reload_dataloaders_every_n_epochs != 1:
            raise ConfigError(
                "policy_rollouts: trainer.reload_dataloaders_every_n_epochs is "
                f"{trainer.reload_dataloaders_every_n_epochs}, so the trainer would never ask for a second round; set "
                "it to 1"
            )
        if trainer.max_epochs != -1:
            # Lightning would want the first round in order to count the steps, before a resumed run knows where it is.
            raise ConfigError(
                f"policy_rollouts: trainer.max_epochs is {trainer.max_epochs}; say how long to train by "
                f"trainer.max_steps alone, {self.steps_per_round} for each round"
            )

    def sources(self, stage: Stage) -> list[Source]:
        found = super().sources(stage)
        if stage != "train" or not self._num_rounds:
            return found
        total = sum(source.weight for source in found)
        found = [replace(source, weight=(1 - self.rollout_share) * source.weight / total) for source in found]
        shards = [s for number in range(self._num_rounds) for s in read_split(self._round_folder(number), ROUND_SPLIT)]
        return [
            *found,
            Source(
                folder=str(self._folder), shards=tuple(shards), weight=self.rollout_share, check=check_policy_record
            ),
        ]

    def next_epoch(self) -> int:
        # By steps: a run that is resumed at an epoch's end begins, for Lightning, with an epoch that is over.
        return 0 if self.trainer is None else self.trainer.global_step // self.steps_per_round

    def train_dataloader(self) -> ShardLoader:
        trainer, ranks, batches = self.trainer, 1, 1
        if trainer is not None:
            ranks, batches = trainer.world_size, trainer.accumulate_grad_batches
            if not trainer.fast_dev_run:  # which leaves nothing behind
                self._collect(trainer)
        self.epoch_samples = self.steps_per_round * batches * self.batch_size * ranks
        return super().train_dataloader()

    def _collect(self, trainer: Trainer) -> None:
        """See to it that there are the rounds up to this epoch's."""
        if self._folder is None:
            self._folder = (Path(trainer.log_dir or trainer.default_root_dir) / FOLDER).resolve()
        number = self.next_epoch()
        for earlier in range(number):
            if not (self._round_folder(earlier) / INDEX_NAME).is_file():
                raise DataError(
                    f"{self._round_folder(earlier)}: the round is not there, and the policy of then is no more; begin "
                    "anew with the weights: --ckpt_path FOLDER of a checkpoint that zoo convert checkpoint wrote"
                )
        folder = self._round_folder(number)
        if trainer.is_global_zero and not (folder / INDEX_NAME).is_file():
            with acting(trainer, trainer.lightning_module) as policy:
                told = self.rollouts.collect(folder, number, policy, workers=self.rollout_workers)
            self._tell(trainer, told)
        trainer.strategy.barrier("policy_rollouts")
        self._num_rounds = number + 1

    def _tell(self, trainer: Trainer, told: Mapping[str, float]) -> None:
        metrics = {f"{METRICS}/{name}": float(value) for name, value in told.items()}
        for own in trainer.loggers:
            own.log_metrics(metrics, step=trainer.global_step)

    def _round_folder(self, number: int) -> Path:
        assert self._folder is not None
        return self._folder / f"round_{number:03d}"

    # -- state --------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        return {} if self._folder is None else {"folder": str(self._folder)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._folder = Path(state_dict["folder"]) if "folder" in state_dict else None
