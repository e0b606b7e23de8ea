"""The random states of every process belong to a checkpoint, or dropout and drawn noise differ after a resumption.

Lightning seeds a run but stores no state.
"""

import logging
import random
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from zoo.callbacks.evaluation import gather

logger = logging.getLogger(__name__)

KEY = "random_states"
"""Entry of the checkpoint: one dictionary a process."""


class RandomStates(Callback):
    """Saves the states of Python's, NumPy's and torch's generators, and sets them where a run goes on."""

    def __init__(self) -> None:
        self._saved: list[dict[str, Any]] | None = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[KEY] = gather(trainer, [random_states(pl_module.device)])

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            self._saved = checkpoint.get(KEY)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # As late as this, because building the optimiser and the loaders may draw; no batch has been fetched yet.
        saved, self._saved = self._saved, None
        if saved is None:
            return
        if len(saved) != trainer.world_size:
            logger.warning(
                "random states not restored: the checkpoint holds those of %d processes, this run has %d",
                len(saved),
                trainer.world_size,
            )
            return
        set_random_states(saved[trainer.global_rank], pl_module.device)


def random_states(device: torch.device) -> dict[str, Any]:
    """States of all global generators of this process, as plain data and tensors.

    Args:
        device: That the model is on; a GPU has a generator of its own.
    """
    name, words, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 - for other people's code in our processes
    return {
        "python": random.getstate(),
        "numpy": (name, words.tolist(), *rest),
        "torch": torch.get_rng_state(),
        "device": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def set_random_states(states: dict[str, Any], device: torch.device) -> None:
    """Undo what happened since `random_states`."""
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    name, words, *rest = states["numpy"]
    np.random.set_state((name, np.array(words, dtype=np.uint32), *rest))  # noqa: NPY002 - as above
    torch.set_rng_state(states["torch"].cpu())
    if states["device"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(states["device"].cpu(), device)
