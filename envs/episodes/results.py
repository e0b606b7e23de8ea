"""What became of every episode of a run: a file of lines that survives a kill at any byte.

The first line says what was run on what; each further line is one scored episode, written at once when it is scored. A
run that was killed goes on with the episodes that are missing; files of several workers are merged.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from zoo.envs.episodes.fields import Count, Name, NonNegative, Share, sentence
from zoo.envs.episodes.records import Record, dump_json
from zoo.errors import ConfigError, DataError

HEADER_BEGINNING = b'{"format": "zoo-evaluation", '

FailureReason = Literal[
    "horizon",
    "wrong_stop",
    "policy_timeout",
    "policy_error",
    "nan_action",
    "wrong_shape",
    "unknown_action",
    "worker_killed",
    "simulator_unstable",
    "setup_failed",
    "unreachable_goal",
]
"""Why an episode is no success: its steps were used up; the policy said done too early; the policy hung, broke, or gave
actions that are not finite, of another shape, or none of those there are; the worker died; the physics blew up; the
scene could not be built; no route leads to where the task can be done."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeResult(Record):
    """One scored episode.

    Args:
        index: Of the episode in the benchmark.
        key: Hash of the episode, so that results of another benchmark are noticed.
        task: Our name of it.
        category: Kind of its object.
        success_at_end: The success test held at the last step.
        success_oracle: It held at any step.
        steps: Policy steps taken.
        failure: Why `success_at_end` is false; None where it is true.
        detail: More about the failure, in words.
        path_length_m: Way of the robot's base.
        shortest_length_m: Shortest way from its start to a goal; set for navigation.
        expert_steps: Steps of the expert where its episode states them, otherwise the least that one needs; set for
            navigation. For both see `zoo.envs.evaluation.shortest_way`.
        collisions: How often the robot bumped into something.
        rooms_visited: Share of the house's rooms that it was in, the first included; of robots that move in discrete
            steps.
        embodiment: Which robot, and which body of it.
        jerk_mean: Mean over steps of the L2 norm over joints, rad/s^3.
        jerk_std: Its standard deviation over steps.
        seconds: Wall time.
    """

    index: Count
    key: Name
    task: Name
    category: Name
    success_at_end: bool
    success_oracle: bool
    steps: Count
    failure: FailureReason | None = None
    detail: str | None = None
    path_length_m: NonNegative | None = None
    shortest_length_m: NonNegative | None = None
    expert_steps: Count | None = None
    collisions: Count | None = None
    rooms_visited: Share | None = None
    embodiment: str | None = None
    jerk_mean: NonNegative | None = None
    jerk_std: NonNegative | None = None
    seconds: NonNegative | None = None

    def __post_init__(self) -> None:
        Record.__post_init__(self)
        if self.success_at_end and not self.success_oracle:
            raise DataError(f"episode {self.index} succeeds at its end, but success_oracle says at no step")
        if self.success_at_end == (self.failure is not None):
            state = "succeeds" if self.success_at_end else "fails"
            raise DataError(
                f"episode {self.index} {state} with failure {self.failure!r}, expected a reason if it fails"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class RunHeader(Record):
    """What all results of a run have in common; workers of one run have equal headers.

    Args:
        format: Of the file.
        version: Of the format.
        policy: As the user named it.
        benchmark: Its name.
        digest: Its content hash.
        num_episodes: How many it has.
        settings: Whatever else results depend on, as plain JSON: horizon, rates, perturbation, renderer, seed.
    """

    format: Literal["zoo-evaluation"] = "zoo-evaluation"
    version: Literal[1] = 1
    policy: Name
    benchmark: Name
    digest: Name
    num_episodes: Count
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """Results of a run, complete or not.

    Args:
        header: What was run on what.
        results: By index of the episode, in ascending order.
    """

    header: RunHeader
    results: Mapping[int, EpisodeResult]

    @property
    def pending(self) -> tuple[int, ...]:
        """Episodes without a result."""
        return tuple(index for index in range(self.header.num_episodes) if index not in self.results)


class ResultFile:
    """A result file that is being written, by one process at a time."""

    def __init__(self, path: Path, header: RunHeader) -> None:
        """Begin a file, or go on with one.

        Args:
            path: Of the file; its folder is made.
            header: Of this run.
        Raises:
            ConfigError: the file belongs to another run, or another process writes it.
            DataError: it is no result file, or is broken elsewhere than in its last line.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        # Unbuffered: a line is with the operating system as soon as it is written, and outlives the process.
        self._file = path.open("a+b", buffering=0)
        try:
            self._lock()
            self._file.seek(0)
            found = _parse(self._file.read(), path)
            _check_same_run(path, found.header, header)
            self._file.truncate(found.whole_bytes)
            if found.header is None:
                self._write(header)
            elif not found.ends_with_newline:
                self._file.write(b"\n")
        except (ConfigError, DataError):
            self._file.close()
            raise
        self._header, self._results = header, found.results

    def append(self, result: EpisodeResult) -> None:
        """Add one episode.

        Raises:
            DataError: it has a result already, or is none of the benchmark's.
        """
        _check_index(result, self._header, str(self.path))
        if result.index in self._results:
            raise DataError(f"{self.path} has a result for episode {result.index} already")
        self._write(result)
        self._results[result.index] = result

    @property
    def run(self) -> Run:
        """All results so far."""
        return Run(self._header, dict(sorted(self._results.items())))

    def close(self) -> None:
        """Let other processes write."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"another process is writing {self.path}; wait for it, or let this run write to another folder"
            ) from error

    def _write(self, record: Record) -> None:
        self._file.write(_line(record))


def read_run(path: Path) -> Run:
    """Read a result file; a torn last line is left out with a warning.

    Raises:
        DataError: it cannot be read, is no result file, or is broken elsewhere.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    found = _parse(data, path)
    if found.header is None:
        raise DataError(f"{path} has no whole first line, expected a result file of `zoo evaluate`")
    return Run(found.header, dict(sorted(found.results.items())))


def merge_runs(paths: Sequence[Path]) -> Run:
    """Put the files of several workers together.

    Raises:
        ConfigError: the files are of different runs, or none is given.
        DataError: one of them is broken, or two have different results for an episode.
    """
    if not paths:
        raise ConfigError("no result files to merge, expected at least one")
    header: RunHeader | None = None
    results: dict[int, EpisodeResult] = {}
    origin: dict[int, Path] = {}
    for path in paths:
        run = read_run(path)
        _check_same_run(path, run.header, header or run.header)
        header = header or run.header
        for index, result in run.results.items():
            if results.setdefault(index, result) != result:
                raise DataError(
                    f"episode {index} has different results in {origin[index]} and {path}; keep one of the two files"
                )
            origin.setdefault(index, path)
    return Run(header, dict(sorted(results.items())))


def write_run(path: Path, run: Run) -> None:
    """Write all results of a run at once, in the order of the episodes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_bytes(b"".join(map(_line, (run.header, *run.results.values()))))
    os.replace(unfinished, path)


@dataclass(slots=True)
class _Found:
    """What a file holds. `whole_bytes` leaves a torn last line out."""

    header: RunHeader | None
    results: dict[int, EpisodeResult]
    whole_bytes: int
    ends_with_newline: bool


def _parse(data: bytes, path: Path) -> _Found:
    *lines, last = data.split(b"\n")
    is_torn = bool(last) and not _is_json(last)
    if is_torn and not lines and not _begins_like_a_header(last):
        raise DataError(f"{path} is no result file: it begins with {last[:40]!r}")
    if is_torn:
        logger.warning("%s: the last line is torn and is left out; its episode will run again", path)
    elif last:
        lines.append(last)  # all but its end of line was written
    found = _Found(None, {}, len(data) - (len(last) if is_torn else 0), is_torn or not last)
    for number, line in enumerate(lines, 1):
        place = f"{path}, line {number}"
        if not _is_json(line):
            raise DataError(f"{place} is no JSON, expected one {'header' if number == 1 else 'result'} a line")
        content = json.loads(line)
        if number == 1:
            found.header = RunHeader.from_json(content, place)
            continue
        result = EpisodeResult.from_json(content, place)
        _check_index(result, found.header, place)
        if found.results.setdefault(result.index, result) != result:
            raise DataError(f"{place}: episode {result.index} has another result above")
    return found


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:  # also where a character was cut in two
        return False
    return True


def _begins_like_a_header(torn: bytes) -> bool:
    """Whether a file of one torn line may be overwritten: only if it can be the beginning of a header."""
    return torn.startswith(HEADER_BEGINNING) or HEADER_BEGINNING.startswith(torn)


def _line(record: Record) -> bytes:
    return (dump_json(record.to_json()) + "\n").encode()


def _check_index(result: EpisodeResult, header: RunHeader, place: str) -> None:
    if result.index >= header.num_episodes:
        raise DataError(f"{place}: episode {result.index} is none of the {header.num_episodes} of the benchmark")


def _check_same_run(path: Path, found: RunHeader | None, wanted: RunHeader) -> None:
    if found is None:
        return
    before, now = found.to_json(), wanted.to_json()  # in settings, a list that was read equals a tuple that is given
    faults = []
    for name in dict.fromkeys((*before, *now)):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            keys = [key for key in dict.fromkeys((*old, *new)) if old.get(key) != new.get(key)]
            faults += [f"{name}.{key} is {old.get(key)!r} there and {new.get(key)!r} here" for key in keys]
        elif old != new:
            faults.append(f"{name} is {old!r} there and {new!r} here")
    if faults:
        raise ConfigError(f"{path} belongs to another run: {sentence(faults)}. Choose another file, or delete this one")
