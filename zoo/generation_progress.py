"""The progress bar of a generator: samples, what making them takes by the second, and what was counted beside.

Workers say nothing to the main process while they are at a shard; what they have done stands in the shard's journal, so
that the same works for processes of this machine and for those of a cluster.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from types import TracebackType

from tqdm import tqdm

from zoo.shards.journal import ShardProgress, read_progress

LOOK_S = 0.2  # between two looks at journals


class GenerationProgress:
    """A bar on stderr; a context manager.

    Args:
        name: Of the generator.
        unit: What a sample is.
        total: Samples of all splits.
        rate: Name of the count that is shown by the second; None shows none.
    """

    def __init__(self, name: str, unit: str, total: int, *, rate: str | None = None) -> None:
        self._bar = tqdm(total=total, unit=unit, desc=name, file=sys.stderr)
        self._rate = rate
        self._shards: dict[Path, ShardProgress] = {}  # as they were last seen
        self._finished: Counter[str] = Counter()
        self._before: Counter[str] = Counter()  # counted by earlier runs
        self._began = self._looked = time.monotonic()

    def __enter__(self) -> GenerationProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.close()

    def was_there(self, count: int) -> None:
        """Take note of a shard that an earlier run has finished."""
        self._advance(count)

    def begin(self, shard: Path, *, is_kept: bool) -> None:
        """Follow a shard that somebody begins to make, or again where that one died.

        Args:
            shard: Its final path.
            is_kept: What an earlier run has left of it is gone on with.
        """
        if shard in self._shards:
            return
        found = read_progress(shard) if is_kept else ShardProgress()
        self._shards[shard] = found
        self._before += found.counts
        self._advance(found.done)

    def _advance(self, count: int) -> None:
        self._bar.initial += count  # else the bar takes what was there for the speed of this run
        self._bar.n += count
        self._bar.refresh()

    def look(self) -> None:
        """Read the journals, if that was not done just now."""
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        for shard, known in self._shards.items():
            found = read_progress(shard)
            if found.done > known.done:
                self._bar.update(found.done - known.done)
                self._shards[shard] = found
        self._show()

    def end(self, shard: Path, count: int) -> None:
        """A shard is finished.

        Args:
            shard: Its final path.
            count: Samples that were asked of it.
        """
        self._bar.update(count - self._shards.pop(shard).done)
        self._finished += read_progress(shard).counts

    def _show(self) -> None:
        counts = self._finished.copy()
        for shard in self._shards.values():
            counts += shard.counts
        if not counts:
            return
        parts = [f"{name} {count}" for name, count in sorted(counts.items()) if name != self._rate]
        if self._rate is not None:
            made = counts[self._rate] - self._before[self._rate]
            parts.insert(0, f"{made / (time.monotonic() - self._began):.1f} {self._rate}/s")
        self._bar.set_postfix_str(", ".join(parts))
