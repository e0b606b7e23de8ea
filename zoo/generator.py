"""Contract of data generators, and the run that all of them share: spawned workers, atomic shards, resuming, the index.

A generator says how many samples each split has and makes the samples of one shard. Everything it draws depends on its
settings, the split and the shard's index alone, so the bytes do not depend on the number of workers. One that turns
other people's files into shards is a reader (`zoo.datamodules.readers`): it plans first, and may meet bad samples.
"""

import inspect
import json
import logging
import os
import sys
import tarfile
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import numpy as np
from tqdm import tqdm

from zoo.errors import ConfigError, DataError, UnknownNameError
from zoo.executor import Executor, ExecutorName, Here, WorkerLostError
from zoo.executor import executor as new_executor
from zoo.generation_progress import GenerationProgress
from zoo.shards.blind import BlindAccuracy, blind_accuracy
from zoo.shards.faults import MAX_BAD_SHARE, FaultCounter, OnBadSample
from zoo.shards.journal import JOURNAL_SUFFIX, journal_path, read_progress
from zoo.shards.sample_schema import VIDEO_QA_SAMPLES, Media, SampleSchema
from zoo.shards.writer import INDEX_NAME, UNFINISHED_SUFFIX, ShardWriter, shard_name, write_index, write_json

logger = logging.getLogger(__name__)

SETTINGS_NAME = "settings.json"  # beside unfinished shards; what a resumed run is compared with
POLL_S = 0.2  # between two looks at the workers' progress
MAX_LOSSES = 3  # of workers at one sample; then it is the sample that kills them
FIT_SPLIT, MEASURE_SPLIT = "train", "test"  # of the blind baseline


class GeneratedSample(NamedTuple):
    """One sample on its way to disk.

    Args:
        record: Its JSON.
        media: One file; several images are a tuple, text alone is an empty one, and videos by camera have names.
        arrays: Label arrays by name, or None.
        counts: What making it took, by name: steps, rejected draws.
    """

    record: Mapping[str, Any]
    media: Media
    arrays: Mapping[str, np.ndarray] | None
    counts: Mapping[str, int] = MappingProxyType({})


class GivenUpError(DataError):
    """A sample that could not be made, and what trying took.

    Args:
        message: For people.
        counts: By name.
    """

    def __init__(self, message: str, counts: Mapping[str, int]) -> None:
        super().__init__(message)
        self.counts = counts


class ShardGenerator(ABC):
    """Makes a data set of shards.

    A subclass stores each constructor argument under its own name: they are the settings that the index records and
    that a resumed run must share. It must be picklable, because workers get a copy.
    """

    kind: ClassVar[str] = "generator"
    name: ClassVar[str]  # registry name, written into the index
    version: ClassVar[int]  # raise it when the same settings give other samples
    unit: ClassVar[str] = "clip"  # what the progress bar counts
    schema: ClassVar[SampleSchema] = VIDEO_QA_SAMPLES
    is_costly: ClassVar[bool] = False
    """A sample takes seconds: those of an unfinished shard are kept, and whoever continues it begins behind them."""
    rate: ClassVar[str | None] = None
    """Name among the samples' counts that the progress bar shows by the second."""
    on_bad_sample: OnBadSample = "raise"  # what is drawn has no bad samples; a reader lets the user choose
    max_bad_share: float = MAX_BAD_SHARE

    def plan(self) -> str | None:
        """Look at what will be read, before `splits` is asked; what is drawn needs no such look.

        Returns:
            A digest of what was found, which a continued run must find again; None where nothing is read.
        """
        return None

    def for_shard(self, split: str, shard: int) -> "ShardGenerator":
        """What a worker needs to make one shard; itself, unless a plan would be sent that is mostly about others."""
        return self

    @property
    @abstractmethod
    def splits(self) -> dict[str, int]:
        """Samples of each split."""

    @property
    @abstractmethod
    def shard_size(self) -> int:
        """Samples in every shard but a split's last."""

    @abstractmethod
    def samples(self, split: str, shard: int, count: int) -> Iterator[GeneratedSample | DataError]:
        """Make the samples of one shard, or say what is wrong with them; called in a worker process.

        Args:
            split: One of `splits`.
            shard: Index of the shard within its split.
            count: Number of samples to make.
        """

    def samples_from(self, split: str, shard: int, count: int, start: int) -> Iterator[GeneratedSample | DataError]:
        """The samples of one shard behind the first ones; a costly generator does not make those again.

        Args:
            split: One of `splits`.
            shard: Index of the shard within its split.
            count: Number of samples in the shard.
            start: Number of them that are there.
        """
        return islice(self.samples(split, shard, count), start, None)

    def settings(self) -> dict[str, Any]:
        """Name, version and constructor arguments, as plain JSON."""
        arguments = inspect.signature(type(self).__init__).parameters
        return {
            "name": self.name,
            "version": self.version,
            "arguments": {name: getattr(self, name) for name in arguments if name != "self"},
        }

    def generate(self, folder: Path, *, workers: int = 2, executor: ExecutorName = "processes") -> None:
        """Write every shard that is not there yet, then the index with the blind baseline.

        Args:
            folder: Root of the data set; an interrupted run of the same settings is continued.
            workers: Processes that make shards; 0 makes them in this one.
            executor: Where they run: `processes` of this machine, or a `ray` cluster that shares the folder.
        Raises:
            ConfigError: the folder holds data of other settings, workers is negative, or a sample kills its workers.
            DataError: too many samples are bad, or all.
            MissingLibraryError: Ray is not installed.
        """
        folder = Path(folder)
        begins = not (folder / SETTINGS_NAME).exists()
        try:
            with new_executor(executor, workers) as running:
                self._generate(folder, running)
        except (ConfigError, UnknownNameError):  # no worker is at it any more
            if begins:
                _take_back(folder)
            raise

    def _generate(self, folder: Path, running: Executor) -> None:
        settings = json.loads(json.dumps(self.settings()))
        if _is_finished(folder, settings):
            logger.info("%s is finished already", folder)
            return
        source = self.plan()
        if source is not None:
            settings["source"] = source
        _check_source(folder, settings)
        write_json(folder / SETTINGS_NAME, settings)
        faults = FaultCounter(self.on_bad_sample, max_bad_share=self.max_bad_share)
        shards = self._shards()
        with GenerationProgress(self.name, self.unit, sum(self.splits.values()), rate=self.rate) as progress:
            _run(self, folder, shards, running, progress, faults)
        self._finish(folder, shards, settings)
        if faults.num_bad:
            logger.warning("%s: %d bad samples were left out, each named above", folder, faults.num_bad)

    def _shards(self) -> list[tuple[str, int, int]]:
        """(split, shard, samples) of the whole data set."""
        size = self.shard_size
        return [
            (split, start // size, min(size, total - start))
            for split, total in self.splits.items()
            for start in range(0, total, size)
        ]

    def _finish(self, folder: Path, shards: list[tuple[str, int, int]], settings: dict[str, Any]) -> None:
        splits: dict[str, list[tuple[str, int]]] = {split: [] for split in self.splits}
        for split, shard, _ in shards:
            count = _count_samples(folder / split / shard_name(shard))
            if count:  # else every sample was bad
                splits[split].append((shard_name(shard), count))
        if shards and not any(splits.values()):
            raise DataError(
                f"{folder}: every one of the {sum(self.splits.values())} samples was bad, each is named above; give "
                "other arguments, or another source, and delete the folder"
            )
        blind = None
        if self.schema.has_questions and self.splits.get(FIT_SPLIT) and self.splits.get(MEASURE_SPLIT):
            blind = blind_accuracy(_annotations(folder / FIT_SPLIT), _annotations(folder / MEASURE_SPLIT))
            tqdm.write(blind_report(blind), file=sys.stderr)
        paths = [folder / split / shard_name(shard) for split, shard, _ in shards]
        counts = sum((read_progress(path).counts for path in paths), Counter())
        if counts:
            tqdm.write(counts_report(counts), file=sys.stderr)
        write_index(folder, splits=splits, generator=settings, blind=blind, schema=self.schema, counts=counts)
        (folder / SETTINGS_NAME).unlink()
        for path in paths:
            journal_path(path).unlink(missing_ok=True)


def blind_report(blind: BlindAccuracy) -> str:
    """One line: what the question texts alone give away."""
    families = ", ".join(f"{family} {accuracy:.1%}" for family, accuracy in blind.families.items())
    return (
        f"blind accuracy {blind.overall:.1%} over {blind.num_questions} questions "
        f"(majority answer per text, fitted on {FIT_SPLIT}, measured on {MEASURE_SPLIT}): {families}"
    )


def counts_report(counts: Mapping[str, int]) -> str:
    """One line: what making the samples took."""
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


def _is_finished(folder: Path, settings: dict[str, Any]) -> bool:
    """Whether the index is there; refuse a folder of other settings."""
    for name, read in ((INDEX_NAME, lambda value: value.get("generator")), (SETTINGS_NAME, lambda value: value)):
        path = folder / name
        if path.exists():
            found = read(json.loads(path.read_text(encoding="utf-8")))
            if not isinstance(found, dict) or {key: found.get(key) for key in settings} != settings:
                raise ConfigError(
                    f"{folder} holds data of other settings ({_difference(found, settings)}); choose another folder, "
                    "delete this one, or train on it as it is: zoo fit with --data.generator=null"
                )
            return name == INDEX_NAME
    strays = sorted(path.name for path in folder.glob("*")) if folder.exists() else []
    if strays:
        raise ConfigError(f"{folder} is not empty and holds no generated data ({strays[0]}); choose another folder")
    return False


def _take_back(folder: Path) -> None:
    """Leave no trace of a run that its arguments have ended, unless a sample is finished."""
    journals = list(folder.glob(f"*/shard-*.tar{JOURNAL_SUFFIX}"))
    shards = [path.with_name(path.name.removesuffix(JOURNAL_SUFFIX)) for path in journals]
    if any(folder.glob("*/shard-*.tar")) or any(read_progress(shard).done for shard in shards):
        return
    for path in [*journals, *folder.glob(f"*/shard-*.tar{UNFINISHED_SUFFIX}")]:
        path.unlink()
    (folder / SETTINGS_NAME).unlink(missing_ok=True)
    for split in [path for path in folder.glob("*") if path.is_dir() and not any(path.iterdir())]:
        split.rmdir()


def _check_source(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse to continue a run whose source has changed: shards of both would repeat and miss samples."""
    path = folder / SETTINGS_NAME
    if path.exists() and json.loads(path.read_text(encoding="utf-8")).get("source") != settings.get("source"):
        raise ConfigError(f"{folder} was begun from other contents of the source; delete the folder to begin anew")


def _difference(found: Any, settings: dict[str, Any]) -> str:
    if not isinstance(found, dict) or found.get("name") != settings["name"]:
        return "another generator"
    if found.get("version") != settings["version"]:
        return f"version {found.get('version')} there, {settings['version']} here"
    there, here = found.get("arguments", {}), settings["arguments"]
    names = sorted(name for name in there.keys() | here.keys() if there.get(name) != here.get(name))
    return ", ".join(f"{name} {there.get(name)} there, {here.get(name)} here" for name in names)


def _count_samples(path: Path) -> int:
    with tarfile.open(path) as tar:
        return sum(name.endswith(".json") for name in tar.getnames())


def _annotations(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("shard-*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    file = tar.extractfile(member)
                    assert file is not None
                    yield from json.load(file)["annotations"]


class WrittenShard(NamedTuple):
    """What became of the samples of one shard."""

    num_samples: int
    faults: list[str]

    def tell(self, faults: FaultCounter) -> None:
        """Count them among those of the whole data set."""
        faults.num_good += self.num_samples
        for fault in self.faults:
            faults.report(DataError(fault))


def _write_shard(
    generator: ShardGenerator,
    folder: Path,
    split: str,
    shard: int,
    count: int,
    on_sample: Callable[[], object] = lambda: None,
) -> WrittenShard:
    with ShardWriter(folder / split / shard_name(shard), schema=generator.schema, keeps=generator.is_costly) as writer:
        for sample in generator.samples_from(split, shard, count, writer.progress.done):
            try:
                if isinstance(sample, DataError):
                    raise sample
                writer.write(sample.record, sample.media, arrays=sample.arrays, counts=sample.counts)
            except DataError as error:
                if generator.on_bad_sample == "raise":
                    raise
                writer.give_up(error, counts=error.counts if isinstance(error, GivenUpError) else {})
            on_sample()
        made = writer.progress.done
        assert made == count, f"{generator.name} made {made} samples, {count} were asked"
        return WrittenShard(writer.num_samples, writer.progress.faults)


def _run(
    generator: ShardGenerator,
    folder: Path,
    shards: list[tuple[str, int, int]],
    running: Executor,
    progress: GenerationProgress,
    faults: FaultCounter,
) -> None:
    """Make the shards that are missing; a worker that dies is replaced, and its shard is gone on with."""
    queue: deque[tuple[str, int, int]] = deque()
    for split, shard, count in shards:
        path = folder / split / shard_name(shard)
        if path.exists():
            progress.was_there(count)
        else:
            queue.append((split, shard, count))
    losses: Counter[tuple[Path, int]] = Counter()  # by shard and sample that a dead worker was at
    while queue or running.num_running:
        while queue and running.num_free:
            task = queue.popleft()
            progress.begin(folder / task[0] / shard_name(task[1]), is_kept=generator.is_costly)
            if isinstance(running, Here):
                running.submit(task, _write_shard, generator, folder, *task, progress.look)
            else:
                running.submit(task, _work, generator.for_shard(*task[:2]), folder, *task)
        for task, result in running.wait(POLL_S):
            path = folder / task[0] / shard_name(task[1])
            try:
                written: WrittenShard = result()
            except WorkerLostError:
                _note_loss(generator, path, losses)
                queue.appendleft(task)
            else:
                written.tell(faults)
                progress.end(path, task[2])
        progress.look()


def _note_loss(generator: ShardGenerator, path: Path, losses: Counter[tuple[Path, int]]) -> None:
    """Say what a worker that died has cost.

    Raises:
        ConfigError: the same sample killed several workers.
    """
    done = read_progress(path).done
    losses[path, done] += 1
    where = f"{path.parent.name}/{path.name}"
    if losses[path, done] >= MAX_LOSSES:
        raise ConfigError(
            f"{where}: {MAX_LOSSES} workers died at {generator.unit} {done}, one after the other; is there memory for "
            "so many? Fewer workers need less: --workers 1. What is finished is kept, and the same command goes on"
        )
    lost = f"{generator.unit} {done} of it is made again" if generator.is_costly else "it is made again"
    logger.warning("a worker died at %s and is replaced; %s", where, lost)


def _work(generator: ShardGenerator, folder: Path, split: str, shard: int, count: int) -> WrittenShard:
    # One thread each, or software rendering in several processes fights over the cores (measured: half the speed).
    os.environ["LP_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
    return _write_shard(generator, folder, split, shard, count)
