"""Which frames of a clip a model looks at: times by Molmo2's rules, then the nearest stored frames.

Source: sheet molmo2_stts A4.4; mode `uniform` is the rule of transformers' Molmo2 video processor.
Differs: works on true timestamps, so variable frame rates come out right; a stored frame is never taken twice.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from zoo.errors import ConfigError, DataError

SamplingMode = Literal["last_frame", "fps", "uniform"]

TIME_TOLERANCE = 1e-6  # s; a grid point this close to the last frame is the last frame
STEP_TOLERANCE = 5e-3  # what the stored frames between two sampled ones may miss a whole number by,
TIME_ROUNDING = 1e-3  # s; and what containers that count milliseconds round


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameSampling:
    """How many frames of a clip to take, and which.

    Args:
        max_frames: Most frames a clip may have, at least 1.
        frame_rate: Frames per second while the clip is short enough, above 0.
        mode: `last_frame` takes a frame every 1 / `frame_rate` s and the last one, or evenly spaced ones of a clip that
            is too long, both ends included. `fps` takes every so-manieth stored frame from the first on, up to the
            limit, and nothing else: for tracks, whose labels lie on that grid; the rate must divide the stored one.
            `uniform` spreads as many frames evenly over the indices, rounded down, the last never forced.
    """

    max_frames: int
    frame_rate: float = 2.0
    mode: SamplingMode = "last_frame"

    def __post_init__(self) -> None:
        if self.max_frames < 1:
            raise ConfigError(f"FrameSampling: max_frames must be at least 1, got {self.max_frames}")
        if not (math.isfinite(self.frame_rate) and self.frame_rate > 0):
            raise ConfigError(f"FrameSampling: frame_rate must be a positive number of frames/s, got {self.frame_rate}")
        if self.mode not in get_args(SamplingMode):
            raise ConfigError(
                f"FrameSampling: mode is {self.mode!r}, expected one of {', '.join(get_args(SamplingMode))}"
            )

    def times(self, duration_s: float) -> np.ndarray:
        """Times at which modes `last_frame` and `fps` look, in seconds after the first frame.

        Args:
            duration_s: Time of the last frame after the first one; 0 for an image.
        Returns:
            (times,) float64, strictly growing, the first 0; at most `max_frames`.
        Raises:
            ValueError: the duration is negative or not a number, or the mode counts frames and knows no times.
        """
        if not (math.isfinite(duration_s) and duration_s >= 0):
            raise ValueError(f"duration_s must be a number of seconds >= 0, got {duration_s}")
        if self.mode == "uniform":
            raise ValueError("mode uniform counts stored frames; ask indices")
        takes_last = self.mode == "last_frame"
        if takes_last and (self.max_frames - 1) / self.frame_rate < duration_s:
            return np.linspace(0.0, duration_s, self.max_frames)
        steps = math.floor(duration_s * self.frame_rate + TIME_TOLERANCE)
        grid = np.minimum(np.arange(min(steps + 1, self.max_frames)) / self.frame_rate, duration_s)
        if takes_last and duration_s - grid[-1] > TIME_TOLERANCE and len(grid) < self.max_frames:
            grid = np.append(grid, duration_s)
        return grid

    def indices(self, frame_times_s: np.ndarray) -> np.ndarray:
        """Stored frames nearest to the sampled times; of two equally near ones the earlier.

        Args:
            frame_times_s: (frames,) times of all stored frames in seconds, growing; at least one.
        Returns:
            (sampled,) int64, strictly growing.
        Raises:
            DataError: in mode `fps`, a rate that does not divide the stored one.
        """
        if len(frame_times_s) == 0:
            raise ValueError("a clip without frames cannot be sampled")
        return _indices(self, np.asarray(frame_times_s, dtype=np.float64).tobytes()).copy()


@lru_cache(maxsize=64)  # clips of a data set are stored with the same few sets of times
def _indices(sampling: FrameSampling, frame_times_s: bytes) -> np.ndarray:
    stored = np.frombuffer(frame_times_s)
    if sampling.mode == "uniform":
        return _uniform(sampling, stored)
    first = float(stored[0])
    wanted = sampling.times(float(stored[-1]) - first + _slack_s(sampling, stored)) + first
    halfway = (stored[1:] + stored[:-1]) / 2
    nearest = np.searchsorted(halfway, wanted, side="left")
    return nearest[np.diff(nearest, prepend=-1) > 0]


def stored_rate(frame_times_s: np.ndarray) -> float | None:
    """Frames per second of a clip; None where it has a single frame."""
    duration_s = float(frame_times_s[-1] - frame_times_s[0])
    return (len(frame_times_s) - 1) / duration_s if duration_s > 0 else None


def _slack_s(sampling: FrameSampling, stored: np.ndarray) -> float:
    """In mode `fps`, half a stored frame, so that a rounded time of the last frame loses none; else nothing."""
    rate = stored_rate(stored)
    if sampling.mode != "fps" or rate is None:
        return 0.0
    step = rate / sampling.frame_rate
    allowed = STEP_TOLERANCE + step * TIME_ROUNDING / float(stored[-1] - stored[0])
    if round(step) < 1 or abs(step - round(step)) > allowed:
        raise DataError(
            f"a rate of {sampling.frame_rate:g} frames/s does not divide the stored {rate:.6g}, so that tracks would "
            "fall between frames; store the clip at a multiple"
        )
    return 0.5 / rate


def _uniform(sampling: FrameSampling, stored: np.ndarray) -> np.ndarray:
    """The rule of transformers, whose steps are doubles and whose places are float32: that decides which are whole."""
    total, rate = len(stored), stored_rate(stored)
    most = sampling.max_frames
    if rate is not None and rate > sampling.frame_rate + TIME_TOLERANCE:
        most = min(most, math.floor(total / rate * sampling.frame_rate + TIME_TOLERANCE))
    target = max(min(most, total), 1)
    return (np.arange(target) * (total / target)).astype(np.float32).astype(np.int64)
