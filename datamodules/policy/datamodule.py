"""The datamodule of recorded policy episodes: windows for every stage, through the processor of the policy in training.

Source: sheet spoc_ring_holodeck_graspmolmo 1.7 to 1.10.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, get_args

from zoo.datamodules.loader import ShardLoader, loader
from zoo.datamodules.policy.augmentation import AUGMENTATIONS, AugmentationName, augmented_batch
from zoo.datamodules.policy.reading import Mixing
from zoo.datamodules.policy.streams import WindowEvalStream, WindowTrainStream
from zoo.datamodules.policy.windows import WindowRule
from zoo.datamodules.shards import ShardDataModule, Splits, Stage
from zoo.datamodules.sources import Source
from zoo.errors import ConfigError
from zoo.generator import ShardGenerator
from zoo.policy_batch import PolicyBatch
from zoo.shards.faults import OnBadSample
from zoo.shards.policy_episode import check_policy_record
from zoo.shards.reader import Sample, Shard, ignore_error, read_shard

WINDOWS, SPLITS = WindowRule(), Splits()
"""Defaults of the datamodule."""

MIRRORED_CAMERAS = ("navigation_camera",)
"""Of policies whose windows may be mirrored: it looks straight ahead, the other one along the arm or anywhere."""


class PolicyDataModule(ShardDataModule):
    """Train, validate, test and predict on windows of recorded episodes.

    Args:
        path: Folder of a data set; or several, one for each task, of which episodes are taken in turns, so that all
            give equally many; or several with weights, by which they are drawn. Evaluation reads once each of them that
            holds its split.
        generator: Makes the data when the folder lacks it: the generator of a single path, or generators by path.
        window: How windows are cut out of episodes.
        augmentation: Changes of the training pictures, made on the device that trains: `v2` or `v1`, as released; null
            for none.
        max_samples: Most training episodes of each data set, in whole shards; 100,000 in SPOC. Null for all.
        max_eval_samples: The same elsewhere; 1,600 in SPOC.
        batch_size: Windows a training batch on each rank.
        eval_batch_size: Windows a batch elsewhere; null takes `batch_size`.
        num_workers: Loader processes of each rank; 0 loads in the main process.
        shuffle_buffer: Encoded episodes of each data set in each worker among which the next one is drawn; 1 keeps the
            order of the shards.
        epoch_samples: Windows of an epoch over all ranks; null takes as many as there are episodes, in turns as many
            of each data set as the largest has.
        seed: Of order, mixture and every choice about an episode.
        splits: Which split each stage reads.
        on_bad_sample: Skip faulty episodes with a warning and count them by reason, up to a tenth of them, or end at
            the first.
    """

    num_growing: int = 0
    """Last ones of the training sources that have more shards in every epoch."""

    def __init__(
        self,
        *,
        path: str | list[str] | dict[str, float],
        generator: ShardGenerator | dict[str, ShardGenerator] | None = None,
        window: WindowRule = WINDOWS,
        augmentation: AugmentationName | None = "v2",
        max_samples: int | None = None,
        max_eval_samples: int | None = None,
        batch_size: int = 16,
        eval_batch_size: int | None = None,
        num_workers: int = 0,
        shuffle_buffer: int = 100,
        epoch_samples: int | None = None,
        seed: int = 0,
        splits: Splits = SPLITS,
        on_bad_sample: OnBadSample = "skip",
    ) -> None:
        if augmentation is not None and augmentation not in AUGMENTATIONS:
            names = ", ".join(get_args(AugmentationName))
            raise ConfigError(f"policy_shards: augmentation is {augmentation!r}, expected one of {names}, or null")
        limits = {"max_samples": max_samples, "max_eval_samples": max_eval_samples}
        if faults := [f"{name} is {limit}" for name, limit in limits.items() if limit is not None and limit < 1]:
            raise ConfigError(f"policy_shards: {', '.join(faults)}, expected 1 or more, or null for all")
        self.mixing: Mixing = "weights" if isinstance(path, dict) else "turns"
        super().__init__(
            path=dict.fromkeys(path, 1.0) if isinstance(path, list) else path,
            generator=generator,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            shuffle_buffer=shuffle_buffer,
            epoch_samples=epoch_samples,
            seed=seed,
            splits=splits,
            on_bad_sample=on_bad_sample,
        )
        self.window = window
        self.augmentation = augmentation
        self.max_samples = max_samples
        self.max_eval_samples = max_eval_samples

    def sources(self, stage: Stage) -> list[Source]:
        limit = self.max_samples if stage == "train" else self.max_eval_samples
        return [
            replace(
                source,
                shards=source.shards if limit is None else first_shards(source.shards, limit),
                check=check_policy_record,
            )
            for source in super().sources(stage)
        ]

    def records(self, stage: Stage) -> Iterator[dict[str, Any]]:
        for source in self.sources(stage):
            for shard in source.shards:
                for sample in read_shard(shard.path, suffixes=(), report=ignore_error, check=source.check):
                    yield sample.record

    def samples(self, stage: Stage, keys: Collection[str]) -> dict[str, Sample]:
        wanted = frozenset(keys)
        return {
            sample.key: sample
            for source in self.sources(stage)
            for shard in source.shards
            for sample in read_shard(
                shard.path, wanted=lambda _, key: key in wanted, report=ignore_error, check=source.check
            )
        }

    def train_dataloader(self) -> ShardLoader:
        spec, trainer = self._spec("train", self.batch_size), self.trainer
        if self.window.mirror_probability and spec.processor.cameras != MIRRORED_CAMERAS:
            raise ConfigError(
                f"policy_shards: window.mirror_probability {self.window.mirror_probability} of a policy with cameras "
                f"{', '.join(spec.processor.cameras)}; a picture can be mirrored where the one camera looks straight "
                f"ahead. Set it to 0, or model.trunk.init_args.cameras to [{', '.join(MIRRORED_CAMERAS)}]"
            )
        lengths = [source.num_samples for source in spec.sources]
        samples = self.epoch_samples or (len(lengths) * max(lengths) if self.mixing == "turns" else sum(lengths))
        num_batches = samples // spec.batch_size // spec.world_size
        if num_batches == 0:
            raise ConfigError(
                f"policy_shards: an epoch of {samples} windows holds no batch of {spec.batch_size} on "
                f"{spec.world_size} ranks; lower batch_size, or raise epoch_samples"
            )
        made = loader(
            WindowTrainStream(
                spec,
                rule=self.window,
                mixing=self.mixing,
                num_batches=num_batches,
                total_batches=self._total_batches(num_batches),
                shuffle_buffer=self.shuffle_buffer,
                first_epoch=self.next_epoch(),
                same_epoch=trainer is not None and trainer.overfit_batches > 0,
                num_growing=self.num_growing,
            )
        )
        if trainer is not None:
            made.starts_epoch = lambda: trainer.fit_loop.batch_idx < 0
        return made

    def next_epoch(self) -> int:
        """Number of the epoch that the trainer is in, or begins."""
        # `trainer.current_epoch` lags by one in what is saved at an epoch's end.
        return 0 if self.trainer is None else self.trainer.fit_loop.epoch_progress.current.processed

    def _total_batches(self, num_batches: int) -> int | None:
        """Batches of the whole training on each rank, where the trainer says."""
        trainer = self.trainer
        if trainer is None:
            return None
        limits = []
        if trainer.max_steps > 0:
            limits.append(trainer.max_steps * trainer.accumulate_grad_batches)
        if trainer.max_epochs is not None and trainer.max_epochs > 0:
            limits.append(trainer.max_epochs * num_batches)
        return min(limits, default=None)

    def val_dataloader(self) -> ShardLoader:
        return self._evaluation("validate")

    def test_dataloader(self) -> ShardLoader:
        return self._evaluation("test")

    def predict_dataloader(self) -> ShardLoader:
        return self._evaluation("predict")

    def _evaluation(self, stage: Stage) -> ShardLoader:
        return loader(WindowEvalStream(self._spec(stage, self.eval_batch_size), rule=self.window))

    def on_after_batch_transfer(self, batch: PolicyBatch, dataloader_idx: int) -> PolicyBatch:
        """Augment what is learnt from, where the pictures are now: as many as a policy sees are too many for a CPU."""
        if self.augmentation is None or not self.trainer.training:
            return batch
        return augmented_batch(batch, AUGMENTATIONS[self.augmentation])


def first_shards(shards: Sequence[Shard], limit: int) -> tuple[Shard, ...]:
    """Shards from the first on that hold so many samples at most; one where already that holds more."""
    kept, total = [], 0
    for shard in shards:
        total += shard.num_samples
        if kept and total > limit:
            break
        kept.append(shard)
    return tuple(kept)
