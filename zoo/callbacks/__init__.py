"""Lightning callbacks of the zoo: the run's report, and the baseline that it is compared with."""

from zoo.callbacks.blind_baseline import BlindBaseline
from zoo.callbacks.run_report import RunReport

__all__ = ["BlindBaseline", "RunReport"]
