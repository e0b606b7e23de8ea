"""A costly generator without pictures: it notes what it makes, and kills its process where it is told to."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from zoo.generator import GeneratedSample, GivenUpError, ShardGenerator


class CostlyLetters(ShardGenerator):
    """Samples whose bytes tell shard and place.

    Args:
        notes: Folder in which a line is appended to `made` for each sample, and that tells where to die: a file
            `kill-SHARD-PLACE` kills the process that comes there, and is removed if its name does not end in `-always`.
    """

    name: ClassVar[str] = "costly_letters"
    version: ClassVar[int] = 1
    is_costly: ClassVar[bool] = True
    rate: ClassVar[str | None] = "steps"
    on_bad_sample = "skip"

    def __init__(self, *, notes: str, train: int = 8, size: int = 4, lost: int = -1, seconds: float = 0.0) -> None:
        self.notes, self.train, self.size, self.lost, self.seconds = notes, train, size, lost, seconds

    @property
    def splits(self) -> dict[str, int]:
        return {"train": self.train}

    @property
    def shard_size(self) -> int:
        return self.size

    def samples(self, split: str, shard: int, count: int) -> Iterator[GeneratedSample | GivenUpError]:
        return self.samples_from(split, shard, count, 0)

    def samples_from(self, split: str, shard: int, count: int, start: int) -> Iterator[GeneratedSample | GivenUpError]:
        for place in range(start, count):
            self._die_at(shard, place)
            time.sleep(self.seconds)
            with open(Path(self.notes) / "made", "a", encoding="utf-8") as file:
                file.write(f"{shard}-{place}\n")
            if place == self.lost:
                yield GivenUpError(f"{shard}-{place}: no letter", {"rejected: smudged": 5})
            else:
                yield GeneratedSample(
                    self.record(split, shard, place), f"{shard} {place}".encode(), None, {"steps": 10 + place}
                )

    def _die_at(self, shard: int, place: int) -> None:
        once, always = (Path(self.notes) / f"kill-{shard}-{place}{end}" for end in ("", "-always"))
        if once.exists() or always.exists():
            once.unlink(missing_ok=True)
            os.kill(os.getpid(), signal.SIGKILL)

    def record(self, split: str, shard: int, place: int) -> dict:
        return {
            "schema": "video_qa",
            "version": 1,
            "key": f"{split}-{shard}-{place}",
            "media": "jpg",
            "width": 2,
            "height": 2,
            "num_frames": 1,
            "fps": 1.0,
            "annotations": [],
            "statements": [],
            "meta": {},
        }


def square(number: int) -> int:
    """For executors."""
    return number * number


def die() -> None:
    """For executors: a process that is killed."""
    os.kill(os.getpid(), signal.SIGKILL)


def fail(words: str) -> None:
    """For executors: a fault of the work itself."""
    raise ValueError(words)


def dawdle(seconds: float) -> None:
    """For executors: a piece that is not waited for."""
    time.sleep(seconds)
