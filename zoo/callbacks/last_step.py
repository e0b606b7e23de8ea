"""The last step of a run is saved: where it ends between two checkpoints, and where it is interrupted.

Lightning's ModelCheckpoint saves after validations and epochs only, so that a run of 1100 steps which validates every
200 would keep step 1000, and Ctrl-C throws away what came after the last one.
"""

from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

SAVED_ON = (KeyboardInterrupt, SystemExit)  # another exception may have left weights that are no use, as after a NaN


class LastStepCheckpoint(Callback):
    """Saves beside the run's other checkpoints when fit ends or is interrupted after a step that none of them holds."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, SAVED_ON) and trainer.state.fn == TrainerFn.FITTING:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        folder = getattr(trainer.checkpoint_callback, "dirpath", None)
        if folder is None or trainer.fast_dev_run or not trainer.global_step:
            return
        name = f"epoch={trainer.current_epoch}-step={trainer.global_step}.ckpt"
        held = trainer.strategy.broadcast(any(Path(folder).glob(f"*step={trainer.global_step}.ckpt")))
        if not held:  # saving is the work of all ranks, or of none
            trainer.save_checkpoint(Path(folder) / name)
