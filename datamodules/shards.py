"""The datamodule of shard data sets: a stream for every stage, fed through the processor of the module in training."""

import logging
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import LightningDataModule

from zoo.datamodules.loader import ShardLoader, loader
from zoo.datamodules.mixture import Group, check_groups, weights_of, without
from zoo.datamodules.packs import check_frames, expected_packs
from zoo.datamodules.preparation import SampleProcessor
from zoo.datamodules.sources import Source
from zoo.datamodules.stream import EvalStream, StreamSpec, TrainStream
from zoo.errors import ConfigError, DataError
from zoo.generator import ShardGenerator
from zoo.packing import PackLimits
from zoo.shards.faults import OnBadSample
from zoo.shards.reader import Sample, read_index, read_records, read_samples, read_split
from zoo.shards.writer import INDEX_NAME

logger = logging.getLogger(__name__)

Stage = Literal["train", "validate", "test", "predict"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Splits:
    """Which split of the data each stage reads.

    Args:
        train: Split that is learnt from.
        validate: Split looked at while training.
        test: Held-out split of the final score.
        predict: Split that `predict` answers.
    """

    train: str = "train"
    validate: str = "val"
    test: str = "test"
    predict: str = "test"


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """How much of the training a data set is.

    Args:
        weight: How often training draws from it, relative to the others.
        after: Samples that training draws, over all ranks, before it first draws from this one; so pictures may come
            before clips.
    """

    weight: float = 1.0
    after: int = 0


class ShardDataModule(LightningDataModule):
    """Train, validate, test and predict on folders of WebDataset shards.

    Args:
        path: Folder of a data set, or several with their weights or shares. Evaluation reads once each of them that
            holds its split.
        mixture: Instead of `path`, groups of data sets with rates, within a group each by the root of its size.
        missing: What becomes of a data set that is not there: the end, or a mixture without it, which is told.
        generator: Makes the data when the folder lacks it: the generator of a single path, or generators by path.
        batch_size: Samples a training batch on each rank, where `packing` is not given.
        packing: A training batch on each rank is one pack: as many samples as these limits hold, chosen so that it is
            nearly full.
        eval_batch_size: Samples a batch elsewhere; None takes `batch_size`.
        num_workers: Loader processes of each rank; 0 loads in the main process.
        shuffle_buffer: Encoded samples in each worker among which the next one is drawn; 1 keeps the shards' order.
        epoch_samples: Samples of an epoch over all ranks; None takes as many as the data has.
        seed: Of order, mixture and every choice about a sample.
        splits: Which split each stage reads.
        on_bad_sample: Skip corrupt samples with a warning, up to a tenth of them, or end at the first.
    """

    def __init__(
        self,
        *,
        path: str | dict[str, float | Share] | None = None,
        mixture: dict[str, Group] | None = None,
        missing: Literal["raise", "skip"] = "raise",
        generator: ShardGenerator | dict[str, ShardGenerator] | None = None,
        batch_size: int = 16,
        packing: PackLimits | None = None,
        eval_batch_size: int | None = None,
        num_workers: int = 0,
        shuffle_buffer: int = 1000,
        epoch_samples: int | None = None,
        seed: int = 0,
        splits: Splits = Splits(),
        on_bad_sample: OnBadSample = "skip",
    ) -> None:
        super().__init__()
        self.mixture = mixture
        self.missing = missing
        if (path is None) == (mixture is None):
            given = "neither" if path is None else "both"
            raise ConfigError(f"shards: {given} of path and mixture; name the data set under one of them")
        if mixture is not None:
            check_groups(mixture)
            self.shares: dict[str, Share] | None = None
            self.paths = tuple(one for group in mixture.values() for one in group.paths)
        else:
            given = path if isinstance(path, Mapping) else {str(path): 1.0}
            self.shares = {p: s if isinstance(s, Share) else Share(weight=s) for p, s in given.items()}
            self.paths = tuple(self.shares)
        single = isinstance(generator, ShardGenerator)
        self.generators = dict.fromkeys(self.paths, generator) if single else dict(generator or {})
        self.batch_size = batch_size
        self.packing = packing
        self.eval_batch_size = batch_size if eval_batch_size is None else eval_batch_size
        self.num_workers = num_workers
        self.shuffle_buffer = shuffle_buffer
        self.epoch_samples = epoch_samples
        self.seed = seed
        self.splits = splits
        self.on_bad_sample = on_bad_sample
        self._processor: SampleProcessor | None = None
        self._told_missing = False
        self._check()

    def _check(self) -> None:
        least = {"batch_size": 1, "eval_batch_size": 1, "num_workers": 0, "shuffle_buffer": 1, "seed": 0}
        faults = [f"{name} is {getattr(self, name)}, expected {low} or more" for name, low in least.items()
                  if getattr(self, name) < low]  # fmt: skip
        if self.epoch_samples is not None and self.epoch_samples < 1:
            faults.append(f"epoch_samples is {self.epoch_samples}, expected 1 or more, or null for all")
        if not self.paths:
            faults.append("path names no data set")
        for path, share in (self.shares or {}).items():
            if not 0 < share.weight < float("inf"):
                faults.append(f"weight of {path} is {share.weight}, expected a number above 0")
            if share.after < 0:
                faults.append(f"{path} comes after {share.after} samples, expected 0 or more")
        if len(self.generators) > 1 and len(set(map(id, self.generators.values()))) == 1:
            faults.append(f"one generator for {len(self.paths)} paths, expected one for each by its path")
        faults += [f"a generator for {path}, which is not among the paths {', '.join(self.paths)}"
                   for path in self.generators.keys() - set(self.paths)]  # fmt: skip
        if faults:
            raise ConfigError(f"shards: {'; '.join(faults)}")

    @property
    def processor(self) -> SampleProcessor:
        """The module's processor; set this attribute to load without a trainer."""
        if self._processor is not None:
            return self._processor
        module = self.trainer.lightning_module if self.trainer is not None else None
        if module is None:
            raise ConfigError("shards: no processor; attach the datamodule to a Trainer, or set datamodule.processor")
        if not hasattr(module, "processor"):
            raise ConfigError(f"shards: {type(module).__name__} has no `processor`, which says how clips become tokens")
        return module.processor

    @processor.setter
    def processor(self, processor: SampleProcessor) -> None:
        self._processor = processor

    def prepare_data(self) -> None:
        for path, generator in self.generators.items():
            generator.generate(Path(path), workers=len(os.sched_getaffinity(0)))

    def setup(self, stage: str) -> None:
        """Look at the index of every split that the stage needs, so that a missing one is reported before training."""
        stages: dict[str, tuple[Stage, ...]] = {"fit": ("train", "validate")}
        for name in stages.get(stage, (stage,)):
            self.sources(name)

    def sources(self, stage: Stage) -> list[Source]:
        """The split of a stage in every data set.

        Raises:
            DataError: no data set in a folder, or it lacks the split.
        """
        split = getattr(self.splits, stage)
        folders = self._folders(stage)
        # Evaluation reads every sample once, whatever the weights.
        weights = self.weights(folders) if stage == "train" else dict.fromkeys(folders, 1.0)
        after = {path: share.after for path, share in (self.shares or {}).items()}
        first = min(after.get(path, 0) for path in folders)
        if stage == "train" and first:
            raise ConfigError(
                f"shards: no data set to begin with, the first comes after {first} samples; lower `after`"
            )
        return [
            Source(folder=p, shards=tuple(read_split(p, split)), weight=weights[p], after=after.get(p, 0))
            for p in folders
        ]

    def weights(self, folders: Collection[str]) -> dict[str, float]:
        """How often training draws from each of these data sets, relative to the others."""
        if self.mixture is None:
            assert self.shares is not None
            return {path: self.shares[path].weight for path in folders}
        groups = without(self.mixture, frozenset(self.paths) - frozenset(folders))
        return weights_of(groups, lambda path: sum(s.num_samples for s in read_split(path, self.splits.train)))

    def _folders(self, stage: Stage) -> list[str]:
        """The data sets that a stage reads; those that are only trained on have no split for the others."""
        split = getattr(self.splits, stage)
        paths = self._present()
        if stage == "train" or len(paths) == 1:
            return paths
        held = [path for path in paths if any(shard.num_samples for shard in read_index(path).get(split, ()))]
        return held or paths

    def _present(self) -> list[str]:
        """The data sets, without those that are missing where they may be."""
        if self.missing == "raise":
            return list(self.paths)
        found = [path for path in self.paths if (Path(path) / INDEX_NAME).is_file()]
        if not found:
            raise DataError(f"shards: none of the {len(self.paths)} data sets is there, the first: {self.paths[0]}")
        if len(found) < len(self.paths) and not self._told_missing:
            lost = [path for path in self.paths if path not in found]
            logger.warning("%d of %d data sets are missing: %s", len(lost), len(self.paths), ", ".join(lost))
            self._told_missing = True
        return found

    def records(self, stage: Stage) -> Iterator[dict[str, Any]]:
        """The JSON of every sample of a stage, without decoding anything."""
        for path in self._folders(stage):
            yield from read_records(path, getattr(self.splits, stage), report=lambda error: logger.debug("%s", error))

    def samples(self, stage: Stage, keys: Collection[str]) -> dict[str, Sample]:
        """Samples of a stage by key, with their media."""
        found: dict[str, Sample] = {}
        for path in self._folders(stage):
            found |= read_samples(path, getattr(self.splits, stage), keys)
        return found

    def train_dataloader(self) -> ShardLoader:
        spec = self._spec("train", self.batch_size)
        samples = self.epoch_samples or sum(source.num_samples for source in spec.sources)
        num_batches = self._batches_of(spec, samples) // spec.world_size
        if num_batches == 0:
            held, knob = f"batch of {spec.batch_size}", "batch_size"
            if spec.packing is not None:
                held, knob = f"pack of {spec.packing.max_tokens} tokens", "packing.max_tokens"
            raise ConfigError(
                f"shards: an epoch of {samples} samples holds no {held} on {spec.world_size} ranks; "
                f"lower {knob}, or raise epoch_samples"
            )
        trainer = self.trainer
        if trainer is None:
            return loader(
                TrainStream(spec, num_batches=num_batches, shuffle_buffer=self.shuffle_buffer, epoch_samples=samples)
            )
        stream = TrainStream(
            spec,
            num_batches=num_batches,
            shuffle_buffer=self.shuffle_buffer,
            epoch_samples=samples,
            # `trainer.current_epoch` lags by one in what is saved at an epoch's end.
            first_epoch=trainer.fit_loop.epoch_progress.current.processed,
            same_epoch=trainer.overfit_batches > 0,
        )
        made = loader(stream)
        made.starts_epoch = lambda: trainer.fit_loop.batch_idx < 0
        return made

    def _batches_of(self, spec: StreamSpec, samples: int) -> int:
        """Training batches of so many samples over all ranks; of packs an estimate, which every rank makes alike."""
        if spec.packing is None:
            return samples // spec.batch_size
        check_frames(spec.packing, spec.processor)
        sources = [(source.shards, source.weight) for source in spec.sources]
        return expected_packs(spec.packing, spec.processor, sources, samples=samples, seed=spec.seed)

    def val_dataloader(self) -> ShardLoader:
        return loader(EvalStream(self._spec("validate", self.eval_batch_size)))

    def test_dataloader(self) -> ShardLoader:
        return loader(EvalStream(self._spec("test", self.eval_batch_size)))

    def predict_dataloader(self) -> ShardLoader:
        return loader(EvalStream(self._spec("predict", self.eval_batch_size)))

    def _spec(self, stage: Stage, batch_size: int) -> StreamSpec:
        return StreamSpec(
            sources=tuple(self.sources(stage)),
            processor=self.processor,
            batch_size=batch_size,
            seed=self.seed,
            num_workers=self.num_workers,
            rank=self.trainer.global_rank if self.trainer is not None else 0,
            world_size=self.trainer.world_size if self.trainer is not None else 1,
            on_bad_sample=self.on_bad_sample,
            packing=self.packing,
        )
