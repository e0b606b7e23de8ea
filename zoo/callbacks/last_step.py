"""The last steps of a run are saved: every few minutes, where it ends between two checkpoints, where it is interrupted.

Lightning's ModelCheckpoint saves after validations and epochs only, so that a run of 1100 steps which validates every
200 would keep step 1000, Ctrl-C throws away what came after the last one, and so does a machine that goes down.
"""

import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from zoo.errors import ConfigError

SAVED_ON = (KeyboardInterrupt, SystemExit)  # another exception may have left weights that are no use, as after a NaN

SAVING_SHARE = 0.05
"""Most of a run's time that goes into saving; large models save less often than they were told to."""


class LastStepCheckpoint(Callback):
    """Saves beside the run's other checkpoints what none of them holds, so that `ckpt_path=last` loses minutes at most.

    Every save has a name of its own, and the one before is removed when it is done: a run that is killed while it saves
    keeps the one before.

    Args:
        every_minutes: Time between two saves in the midst of a run; 0 saves after every step, null only the last one.
    """

    def __init__(self, *, every_minutes: float | None = 2.0) -> None:
        if every_minutes is not None and not every_minutes >= 0:
            raise ConfigError(f"last_step: every_minutes is {every_minutes}, expected 0 or more, or null")
        self.every_minutes = every_minutes
        self._due_s = float("inf")
        self._previous: Path | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._previous = None
        self._plan(0.0)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.every_minutes is not None and is_between_steps(trainer, batch_idx):
            began = time.monotonic()
            if trainer.strategy.broadcast(began >= self._due_s):  # ranks have clocks of their own
                self._save(trainer)
                self._plan(time.monotonic() - began)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, SAVED_ON) and trainer.state.fn == TrainerFn.FITTING:
            self._save(trainer)

    def _plan(self, took_s: float) -> None:
        pause_s = float("inf") if self.every_minutes is None else 60 * self.every_minutes
        self._due_s = time.monotonic() + (max(pause_s, took_s / SAVING_SHARE) if pause_s else 0)

    def _save(self, trainer: Trainer) -> None:
        folder = getattr(trainer.checkpoint_callback, "dirpath", None)
        if folder is None or trainer.fast_dev_run or not trainer.global_step:
            return
        end = f"step={trainer.global_step}.ckpt"
        if self._previous is not None and self._previous.name.endswith(f"-{end}"):
            return  # this very step; where an epoch has ended since, its number has grown
        path = Path(folder) / f"epoch={trainer.current_epoch}-{end}"
        held = trainer.strategy.broadcast(any(Path(folder).glob(f"*{end}")))
        if not held:  # saving is the work of all ranks, or of none
            trainer.save_checkpoint(path, weights_only=False)
        if self._previous is not None:
            trainer.strategy.remove_checkpoint(self._previous)
        self._previous = None if held else path


def is_between_steps(trainer: Trainer, batch_idx: int) -> bool:
    """Whether a run that is resumed from here repeats all that would have followed.

    Lightning stores no gradients that are being accumulated, and takes a validation that was to follow for done.

    Args:
        trainer: At the end of a training batch.
        batch_idx: Of that batch in its epoch.
    """
    if (batch_idx + 1) % trainer.accumulate_grad_batches or trainer.is_last_batch:
        return False
    interval = trainer.val_check_batch
    if not trainer.enable_validation or interval is None:
        return True
    index = trainer.fit_loop.total_batch_idx if trainer.check_val_every_n_epoch is None else batch_idx
    return (index + 1) % interval != 0
