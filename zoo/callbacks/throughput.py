"""How fast training runs, evaluation and the first batch left out."""

import time
from collections import deque
from dataclasses import dataclass, field

WINDOW = 20  # batches of the running rate


@dataclass(slots=True)
class Throughput:
    """Counts samples and tokens over the time between batches; all calls come from the training loop.

    The time of a batch runs from the end of the one before, so waiting for the loader is inside it and known apart.
    """

    batches: int = 0
    samples: int = 0
    tokens: int = 0
    seconds: float = 0.0
    waited_s: float = 0.0
    window: deque[tuple[float, int, int]] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _mark: float | None = None
    _waited: float = 0.0

    def counted(self) -> dict[str, float]:
        """What a later run starts counting from: arguments of this class."""
        return {name: getattr(self, name) for name in ("batches", "samples", "tokens", "seconds", "waited_s")}

    def pause(self) -> None:
        """Forget the time since the last batch: an evaluation lay between, or nothing was measured yet."""
        self._mark = None

    def batch_starts(self) -> None:
        """The loader has delivered."""
        if self._mark is not None:
            self._waited = time.perf_counter() - self._mark

    def batch_ends(self, *, samples: int, tokens: int) -> None:
        """Count a batch, unless it is the first after a pause."""
        now = time.perf_counter()
        if self._mark is not None:
            self.batches += 1
            self.samples += samples
            self.tokens += tokens
            self.seconds += now - self._mark
            self.waited_s += self._waited
            self.window.append((now - self._mark, samples, tokens))
        self._mark = now

    def recent(self) -> tuple[float, float] | None:
        """(samples, tokens) a second over the last batches; None before the second one."""
        seconds = sum(entry[0] for entry in self.window)
        if not seconds:
            return None
        return sum(entry[1] for entry in self.window) / seconds, sum(entry[2] for entry in self.window) / seconds

    def as_dict(self) -> dict[str, float]:
        """Rates over the whole training; empty before the second batch."""
        if not self.seconds:
            return {}
        return {
            "samples_per_s": self.samples / self.seconds,
            "tokens_per_s": self.tokens / self.seconds,
            "loader_wait_share": self.waited_s / self.seconds,
        }
