"""Lightning callbacks of the zoo: the run's report and its baseline, and what a run needs to be continued."""

from zoo.callbacks.batch_log import BatchLog
from zoo.callbacks.blind_baseline import BlindBaseline
from zoo.callbacks.last_step import LastStepCheckpoint
from zoo.callbacks.random_states import RandomStates
from zoo.callbacks.run_report import RunReport

__all__ = ["BatchLog", "BlindBaseline", "LastStepCheckpoint", "RandomStates", "RunReport"]
