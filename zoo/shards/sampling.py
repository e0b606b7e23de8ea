"""Which frames of a clip a model looks at: times by Molmo2's rule, then the nearest stored frames.

Source: sheet molmo2_stts A4.4. Agrees with the paper's rule; transformers' own Molmo2 video processor samples otherwise
(it never forces the last frame and rounds indices down).
Differs: works on true timestamps, so variable frame rates come out right; a stored frame is never taken twice.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from zoo.errors import ConfigError

TIME_TOLERANCE = 1e-6  # s; a grid point this close to the last frame is the last frame


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameSampling:
    """How many frames of a clip to take, and which.

    Args:
        max_frames: Most frames a clip may have, at least 1.
        frame_rate: Frames per second while the clip is short enough, above 0.
        keep_last: Add the last frame when the regular grid misses it; off for tracking labels on a fixed grid.
    """

    max_frames: int
    frame_rate: float = 2.0
    keep_last: bool = True

    def __post_init__(self) -> None:
        if self.max_frames < 1:
            raise ConfigError(f"FrameSampling: max_frames must be at least 1, got {self.max_frames}")
        if not (math.isfinite(self.frame_rate) and self.frame_rate > 0):
            raise ConfigError(f"FrameSampling: frame_rate must be a positive number of frames/s, got {self.frame_rate}")

    def times(self, duration_s: float) -> np.ndarray:
        """Times at which to look, in seconds after the first frame.

        A clip that outlasts `max_frames` at `frame_rate` gets `max_frames` evenly spaced times, both ends included; a
        shorter one gets a time every 1 / `frame_rate` s, and its last frame.

        Args:
            duration_s: Time of the last frame after the first one; 0 for an image.
        Returns:
            (times,) float64, strictly growing, the first 0; at most `max_frames`.
        Raises:
            ValueError: the duration is negative or not a number.
        """
        if not (math.isfinite(duration_s) and duration_s >= 0):
            raise ValueError(f"duration_s must be a number of seconds >= 0, got {duration_s}")
        if (self.max_frames - 1) / self.frame_rate < duration_s:
            return np.linspace(0.0, duration_s, self.max_frames)
        steps = math.floor(duration_s * self.frame_rate + TIME_TOLERANCE)
        grid = np.minimum(np.arange(steps + 1) / self.frame_rate, duration_s)
        if self.keep_last and duration_s - grid[-1] > TIME_TOLERANCE and len(grid) < self.max_frames:
            grid = np.append(grid, duration_s)
        return grid

    def indices(self, frame_times_s: np.ndarray) -> np.ndarray:
        """Stored frames nearest to the sampled times; of two equally near ones the earlier.

        Args:
            frame_times_s: (frames,) times of all stored frames in seconds, growing; at least one.
        Returns:
            (sampled,) int64, strictly growing.
        """
        if len(frame_times_s) == 0:
            raise ValueError("a clip without frames cannot be sampled")
        return _nearest(self, np.asarray(frame_times_s, dtype=np.float64).tobytes()).copy()


@lru_cache(maxsize=64)  # clips of a data set are stored with the same few sets of times
def _nearest(sampling: FrameSampling, frame_times_s: bytes) -> np.ndarray:
    stored = np.frombuffer(frame_times_s)
    first = float(stored[0])
    wanted = sampling.times(float(stored[-1]) - first) + first
    halfway = (stored[1:] + stored[:-1]) / 2
    nearest = np.searchsorted(halfway, wanted, side="left")
    return nearest[np.diff(nearest, prepend=-1) > 0]
