"""Contract of data generators, and the run that all of them share: spawned workers, atomic shards, resuming, the index.

A generator says how many samples each split has and makes the samples of one shard. Everything it draws depends on its
settings, the split and the shard's index alone, so the bytes do not depend on the number of workers. One that turns
other people's files into shards is a reader (`zoo.datamodules.readers`): it plans first, and may meet bad samples.
"""

import inspect
import json
import logging
import multiprocessing
import os
import sys
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from tqdm import tqdm

from zoo.errors import ConfigError, DataError
from zoo.shards.blind import BlindAccuracy, blind_accuracy
from zoo.shards.faults import MAX_BAD_SHARE, FaultCounter, OnBadSample
from zoo.shards.writer import INDEX_NAME, ShardWriter, shard_name, write_index, write_json

logger = logging.getLogger(__name__)

SETTINGS_NAME = "settings.json"  # beside unfinished shards; what a resumed run is compared with
POLL_S = 0.2  # between two looks at the workers' progress
FIT_SPLIT, MEASURE_SPLIT = "train", "test"  # of the blind baseline


class GeneratedSample(NamedTuple):
    """One sample on its way to disk; several images are a tuple, and text alone is an empty one."""

    record: Mapping[str, Any]
    media: bytes | tuple[bytes, ...]
    arrays: Mapping[str, np.ndarray] | None


class ShardGenerator(ABC):
    """Makes a data set of shards.

    A subclass stores each constructor argument under its own name: they are the settings that the index records and
    that a resumed run must share. It must be picklable, because workers get a copy.
    """

    kind: ClassVar[str] = "generator"
    name: ClassVar[str]  # registry name, written into the index
    version: ClassVar[int]  # raise it when the same settings give other samples
    unit: ClassVar[str] = "clip"  # what the progress bar counts
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

    def settings(self) -> dict[str, Any]:
        """Name, version and constructor arguments, as plain JSON."""
        arguments = inspect.signature(type(self).__init__).parameters
        return {
            "name": self.name,
            "version": self.version,
            "arguments": {name: getattr(self, name) for name in arguments if name != "self"},
        }

    def generate(self, folder: Path, *, workers: int = 2) -> None:
        """Write every shard that is not there yet, then the index with the blind baseline.

        Args:
            folder: Root of the data set; an interrupted run of the same settings is continued.
            workers: Processes that make shards; 0 makes them in this one.
        Raises:
            ConfigError: the folder holds data of other settings, or workers is negative.
        """
        if workers < 0:
            raise ConfigError(f"workers is {workers}, expected 0 (this process) or more")
        folder = Path(folder)
        settings = json.loads(json.dumps(self.settings()))
        if _is_finished(folder, settings):
            logger.info("%s is finished already", folder)
            return
        source = self.plan()
        if source is not None:
            settings["source"] = source
        _check_source(folder, settings)
        write_json(folder / SETTINGS_NAME, settings)
        shards = self._shards()
        missing = [task for task in shards if not (folder / task[0] / shard_name(task[1])).exists()]
        done = sum(count for *_, count in shards) - sum(count for *_, count in missing)
        total = sum(self.splits.values())
        faults = FaultCounter(self.on_bad_sample, max_bad_share=self.max_bad_share)
        with tqdm(total=total, initial=done, unit=self.unit, desc=self.name, file=sys.stderr) as bar:
            if workers == 0:
                for task in missing:
                    _write_shard(self, folder, *task, on_sample=bar.update).tell(faults)
            else:
                _run_workers(self, folder, missing, workers, bar, faults)
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
        blind = None
        if self.splits.get(FIT_SPLIT) and self.splits.get(MEASURE_SPLIT):
            blind = blind_accuracy(_annotations(folder / FIT_SPLIT), _annotations(folder / MEASURE_SPLIT))
            tqdm.write(blind_report(blind), file=sys.stderr)
        write_index(folder, splits=splits, generator=settings, blind=blind)
        (folder / SETTINGS_NAME).unlink()


def blind_report(blind: BlindAccuracy) -> str:
    """One line: what the question texts alone give away."""
    families = ", ".join(f"{family} {accuracy:.1%}" for family, accuracy in blind.families.items())
    return (
        f"blind accuracy {blind.overall:.1%} over {blind.num_questions} questions "
        f"(majority answer per text, fitted on {FIT_SPLIT}, measured on {MEASURE_SPLIT}): {families}"
    )


def _is_finished(folder: Path, settings: dict[str, Any]) -> bool:
    """Whether the index is there; refuse a folder of other settings."""
    for name, read in ((INDEX_NAME, lambda value: value.get("generator")), (SETTINGS_NAME, lambda value: value)):
        path = folder / name
        if path.exists():
            found = read(json.loads(path.read_text(encoding="utf-8")))
            if not isinstance(found, dict) or {key: found.get(key) for key in settings} != settings:
                raise ConfigError(
                    f"{folder} holds data of other settings ({_difference(found, settings)}); "
                    "choose another folder, delete this one, or take it as it is: --data.generator=null"
                )
            return name == INDEX_NAME
    strays = sorted(path.name for path in folder.glob("*")) if folder.exists() else []
    if strays:
        raise ConfigError(f"{folder} is not empty and holds no generated data ({strays[0]}); choose another folder")
    return False


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
    faults: list[DataError]

    def tell(self, faults: FaultCounter) -> None:
        """Count them among those of the whole data set."""
        faults.num_good += self.num_samples
        for error in self.faults:
            faults.report(error)


def _write_shard(
    generator: ShardGenerator, folder: Path, split: str, shard: int, count: int, *, on_sample: Callable[[], object]
) -> WrittenShard:
    faults: list[DataError] = []
    with ShardWriter(folder / split / shard_name(shard)) as writer:
        for sample in generator.samples(split, shard, count):
            try:
                if isinstance(sample, DataError):
                    raise sample
                writer.write(sample.record, sample.media, arrays=sample.arrays)
            except DataError as error:
                if generator.on_bad_sample == "raise":
                    raise
                faults.append(error)
            on_sample()
        made = writer.num_samples + len(faults)
        assert made == count, f"{generator.name} made {made} samples, {count} were asked"
    return WrittenShard(writer.num_samples, faults)


def _run_workers(
    generator: ShardGenerator,
    folder: Path,
    tasks: list[tuple[str, int, int]],
    workers: int,
    bar: "tqdm[Any]",
    faults: FaultCounter,
) -> None:
    context = multiprocessing.get_context("spawn")  # a forked child hangs in a GL library that its parent has used
    counter = context.Value("q", 0)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(counter,))
    try:
        pending = {pool.submit(_work, generator.for_shard(*task[:2]), folder, *task) for task in tasks}
        shown = 0
        while pending:
            done, pending = wait(pending, timeout=POLL_S, return_when=FIRST_EXCEPTION)
            bar.update(counter.value - shown)
            shown = counter.value
            for future in done:
                future.result().tell(faults)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_worker: dict[str, Any] = {}  # of a worker process: "samples" is the count that it shares with the main process


def _start_worker(samples: Any) -> None:
    _worker["samples"] = samples
    # One thread each, or software rendering in several processes fights over the cores (measured: half the speed).
    os.environ["LP_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"


def _work(generator: ShardGenerator, folder: Path, split: str, shard: int, count: int) -> WrittenShard:
    return _write_shard(generator, folder, split, shard, count, on_sample=_count_sample)


def _count_sample() -> None:
    parent = multiprocessing.parent_process()
    if parent is None or not parent.is_alive():
        os._exit(1)  # killed without a chance to say so; an exception would only make the pool fetch the next shard
    with _worker["samples"].get_lock():
        _worker["samples"].value += 1
