"""What becomes of samples that cannot be read: skipped, counted and named, or the end of the work."""

import logging
from typing import Literal

from zoo.errors import DataError

logger = logging.getLogger(__name__)

MAX_BAD_SHARE = 0.1  # of a reader's samples; more means that the data set is broken, not a few of its clips
MIN_SEEN = 50  # samples before the share is judged

OnBadSample = Literal["skip", "raise"]


class FaultCounter:
    """Decides about bad samples: skips and counts them, or raises.

    Args:
        policy: `raise` ends at the first one; `skip` logs each and ends when more than `max_bad_share` are bad.
        max_bad_share: Share of all samples, from `MIN_SEEN` samples on.
    """

    def __init__(self, policy: OnBadSample, *, max_bad_share: float = MAX_BAD_SHARE) -> None:
        self.policy = policy
        self.max_bad_share = max_bad_share
        self.num_good = 0  # samples that became examples, or will unless they fail to decode
        self.num_bad = 0

    def report(self, error: DataError) -> None:
        """Take note of a bad sample or shard; a `zoo.shards.reader.ReportError`.

        Raises:
            DataError: by policy, or because too many were bad.
        """
        self.num_bad += 1
        seen = self.num_good + self.num_bad
        if self.policy == "raise":
            raise DataError(f"{error} (on_bad_sample=skip passes over it)") from error
        if seen >= MIN_SEEN and self.num_bad > self.max_bad_share * seen:
            limit = f"more than {self.max_bad_share:.0%}"
            raise DataError(f"{self.num_bad} of {seen} samples are bad, {limit}; the last: {error}") from error
        logger.warning("skipped bad sample %d of %d read so far: %s", self.num_bad, seen, error)
