"""Lightning callbacks of the zoo: the run's report, the baseline that it is compared with, the last checkpoint."""

from zoo.callbacks.blind_baseline import BlindBaseline
from zoo.callbacks.last_step import LastStepCheckpoint
from zoo.callbacks.run_report import RunReport

__all__ = ["BlindBaseline", "LastStepCheckpoint", "RunReport"]
