"""What an unfinished shard holds so far, one line a sample, so that whoever continues it loses only what was not whole.

The journal lies beside its shard. Each line is written at once and says up to which byte the tar is whole and what was
counted until then; a line that a kill has cut is no line. It has one writer at a time, by a lock that ends with its
holder.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from zoo.errors import DataError

JOURNAL_SUFFIX = ".journal"
LOCK_WAIT_S = 10.0
"""How long the next writer waits for the last one to end: a worker that has lost its run is gone within a second."""


@dataclass(kw_only=True)
class ShardProgress:
    """How far a shard is.

    Args:
        done: Samples that were made or given up.
        size: Bytes of the tar up to which it is whole.
        counts: What making them took, by name: steps, rejected draws.
        faults: What was wrong with those that were given up.
    """

    done: int = 0
    size: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def line(self) -> bytes:
        """For the journal."""
        content = {"done": self.done, "size": self.size, "counts": dict(sorted(self.counts.items()))}
        return (json.dumps(content | {"faults": self.faults}, separators=(",", ":")) + "\n").encode()


def journal_path(shard: Path) -> Path:
    """Beside the shard."""
    return shard.with_name(shard.name + JOURNAL_SUFFIX)


def read_progress(shard: Path, *, size: int | None = None) -> ShardProgress:
    """The last whole line of a shard's journal; the beginning where there is none.

    Args:
        shard: Final path of the shard.
        size: Bytes of the unfinished tar that are there; lines that speak of more are passed over.
    """
    try:
        lines = journal_path(shard).read_bytes().split(b"\n")[:-1]  # behind the last newline is nothing, or a cut line
    except FileNotFoundError:
        return ShardProgress()
    for line in reversed(lines):
        content = json.loads(line)
        if size is None or content["size"] <= size:
            content["counts"] = Counter(content["counts"])
            return ShardProgress(**content)
    return ShardProgress()


class Journal:
    """The journal of a shard that is being written; a context manager that holds the lock.

    Args:
        shard: Final path of the shard.
    Raises:
        DataError: another process writes this shard.
    """

    def __init__(self, shard: Path) -> None:
        self._shard = shard
        self._file = -1

    def __enter__(self) -> Journal:
        self._file = os.open(journal_path(self._shard), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(self._file)
                    raise DataError(
                        f"{self._shard} is being written by another process; let that run end, or choose another folder"
                    ) from None
                time.sleep(0.1)
            else:
                return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._file)

    def restart(self, progress: ShardProgress) -> None:
        """Begin the journal anew with one line, or with none at the beginning; drops a cut line."""
        os.ftruncate(self._file, 0)
        if progress.done:
            self.add(progress)

    def add(self, progress: ShardProgress) -> None:
        """Append a line."""
        os.write(self._file, progress.line())

    def remove(self) -> None:
        """Delete it."""
        journal_path(self._shard).unlink()
