"""Which steps of an episode are learnt from together, and at what times they are said to be.

Source: sheet spoc_ring_holodeck_graspmolmo 1.9.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoo.errors import ConfigError

MAX_STEPS = 1000
"""Times are moved so that a window drawn at the beginning of an episode ends at this step at most."""

REDUCED_SHARE = 0.75
"""Of the episodes, those that lose repeated actions where that is asked for."""
KEPT_REPEATS = 1 / 3
"""Probability that a repeated action of such an episode stays."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of an episode.

    Args:
        steps: (time,) growing places of its steps in the episode.
        time_offset: What is added to their times.
        is_mirrored: It is shown as in a mirror.
    """

    steps: np.ndarray
    time_offset: int
    is_mirrored: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowRule:
    """How windows are cut out of episodes; an episode that is no longer than a window is one.

    Args:
        length: Steps of a window; 100 in SPOC's paper and in RING's.
        last_probability: That a window is the end of its episode instead of any part, when training begins.
        final_last_probability: The same when training ends; between them it changes evenly.
        reduce_redundancy: Leave out most repeats of an action in three of four training episodes.
        max_time: In training times are moved on at random, by as many steps as lie behind a window that begins with its
            episode and ends at this step at most; 1000 in SPOC.
        mirror_probability: That a training window is shown as in a mirror; for one camera that looks straight ahead.
    Raises:
        ConfigError: no step, more than 1000, or no probability.
    """

    length: int = 50
    last_probability: float = 0.0
    final_last_probability: float = 0.0
    reduce_redundancy: bool = False
    max_time: int = MAX_STEPS
    mirror_probability: float = 0.0

    def __post_init__(self) -> None:
        faults = []
        if not 1 <= self.length <= MAX_STEPS:
            faults.append(f"length is {self.length}, expected 1 to {MAX_STEPS} steps")
        if not self.length <= self.max_time <= MAX_STEPS:
            faults.append(f"max_time is {self.max_time}, expected {self.length}, the length, to {MAX_STEPS} steps")
        faults += [
            f"{name} is {getattr(self, name)}, expected 0 to 1"
            for name in ("last_probability", "final_last_probability", "mirror_probability")
            if not 0 <= getattr(self, name) <= 1
        ]
        if faults:
            raise ConfigError(f"window: {'; '.join(faults)}")

    def training_window(self, actions: np.ndarray, *, progress: float, generator: np.random.Generator) -> Window:
        """Draw what is learnt from an episode this time.

        Args:
            actions: (steps,) of the episode.
            progress: How much of the training is done, 0 to 1.
            generator: Of this episode and epoch.
        """
        steps = np.arange(len(actions))
        if self.reduce_redundancy and generator.random() < REDUCED_SHARE:
            steps = without_repeats(actions, least=self.length, generator=generator)
        share = self.last_probability + (self.final_last_probability - self.last_probability) * progress
        start = window_start(len(steps), self.length, last_probability=share, generator=generator)
        steps = steps[start : start + self.length]
        offset = int(generator.integers(self.max_time - len(steps), endpoint=True))
        # Drawn only where it is wanted: without, the draws that follow are those of a rule that knows no mirror.
        return Window(steps, offset, bool(self.mirror_probability and generator.random() < self.mirror_probability))

    def evaluation_window(self, num_steps: int, generator: np.random.Generator) -> Window:
        """Any part of an episode at its true times; the same one whenever the generator is the same."""
        start = window_start(num_steps, self.length, last_probability=0.0, generator=generator)
        return Window(np.arange(start, min(start + self.length, num_steps)), 0)


def window_start(num_steps: int, length: int, *, last_probability: float, generator: np.random.Generator) -> int:
    """Where a window begins.

    Args:
        num_steps: Of the episode.
        length: Of the window.
        last_probability: That it is the last window that fits.
        generator: Not asked where the episode is no longer than the window.
    """
    latest = num_steps - length
    if latest <= 0:
        return 0
    if generator.random() < last_probability:
        return latest
    return int(generator.integers(latest, endpoint=True))


def without_repeats(actions: np.ndarray, *, least: int, generator: np.random.Generator) -> np.ndarray:
    """Growing places of the steps that stay when repeated actions are thinned out.

    The first action of a run of equal ones stays, and each repeat with a probability of one third. Where that would
    leave too few, only as many are left out, any of those, as may be.

    Args:
        actions: (steps,).
        least: Steps that stay at least; all do where there are no more.
        generator: Draws them.
    """
    is_repeat = np.concatenate(([False], actions[1:] == actions[:-1]))
    leaving = np.flatnonzero(is_repeat & (generator.random(len(actions)) >= KEPT_REPEATS))
    allowed = max(0, len(actions) - least)
    if len(leaving) > allowed:
        leaving = generator.choice(leaving, allowed, replace=False)
    return np.delete(np.arange(len(actions)), leaving)
