"""Which samples a run learnt from, batch by batch; for comparing runs and for finding a sample that breaks one."""

import json
from pathlib import Path
from typing import Any, TextIO

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

FILE = "batches.jsonl"


class BatchLog(Callback):
    """Writes `batches.jsonl` into the run folder: step, epoch, sample keys and loss of every training batch.

    Lines are written at once, so that a run that is killed leaves them. With several processes each writes a file, with
    its rank before the suffix.
    """

    def __init__(self) -> None:
        self._file: TextIO | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.loggers and trainer.log_dir and not trainer.fast_dev_run:
            folder = Path(trainer.log_dir)
            folder.mkdir(parents=True, exist_ok=True)
            name = FILE if trainer.world_size == 1 else f"batches.{trainer.global_rank}.jsonl"
            self._file = (folder / name).open("a", encoding="utf-8", buffering=1)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._file is None:
            return
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        line = {
            "step": trainer.global_step,
            "epoch": trainer.current_epoch,
            "keys": list(getattr(batch, "keys", ())),
            "loss": loss.item() if isinstance(loss, Tensor) else None,
        }
        self._file.write(json.dumps(line) + "\n")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
