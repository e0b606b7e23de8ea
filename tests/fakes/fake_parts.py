"""Small components for tests of the registry and the command line; they register nothing when imported.

They are real: the module trains, the data module loads, the generator writes. `pythonpath` in pyproject.toml makes them
importable here, PYTHONPATH in processes that a test starts.
"""

import random
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from zoo.errors import ConfigError


class Encoder(nn.Module):
    """Contract of a kind that only tests know."""

    kind: ClassVar[str] = "test_encoder"

    def __init__(self, *, hidden_size: int = 8, name: str = "") -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.name = name


class WideEncoder(Encoder):
    """An encoder that refuses to be narrow.

    Args:
        hidden_size: Channels, 4 or more.
    """

    def __init__(self, *, hidden_size: int = 16) -> None:
        if hidden_size < 4:
            raise ConfigError(f"hidden_size must be 4 or more, got {hidden_size}")
        super().__init__(hidden_size=hidden_size)


def small_encoder(*, hidden_size: int = 4) -> Encoder:
    """A published size as a function.

    Args:
        hidden_size: Channels.
    """
    return Encoder(hidden_size=hidden_size)


def encoder_from(name: str, *, hidden_size: int = 4) -> Encoder:
    """Encoders of another library.

    Args:
        name: What the other library calls it.
        hidden_size: Channels.
    """
    return Encoder(hidden_size=hidden_size, name=name)


class Regression(LightningModule):
    """Fits one number; `slope` is what a checkpoint remembers.

    Args:
        encoder: Required part.
        extra: Optional part.
        several: Parts in order.
        named: Parts by name.
        either: One part or several.
        slope: Start of the fit.
        pause_s: Seconds that a step sleeps.
    """

    def __init__(
        self,
        *,
        encoder: Encoder,
        extra: Encoder | None = None,
        several: list[Encoder] = [],  # noqa: B006 - jsonargparse shows it; never written to
        named: dict[str, Encoder] | None = None,
        either: Encoder | list[Encoder] | None = None,
        slope: float = 1.0,
        pause_s: float = 0.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.encoder, self.extra, self.several, self.named, self.either = encoder, extra, several, named, either
        self.pause_s = pause_s
        self.start = slope
        self.slope = nn.Parameter(torch.tensor(float(slope)))

    def training_step(self, batch: Tensor, batch_index: int) -> Tensor:
        time.sleep(self.pause_s)
        loss = (self.slope * batch).square().mean()
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: Tensor, batch_index: int) -> None:
        self.log("val/loss", (self.slope * batch).square().mean())
        self.log("val/start", self.start)
        self.log("val/hidden_size", float(self.encoder.hidden_size))

    def test_step(self, batch: Tensor, batch_index: int) -> None:
        self.log("test/slope", self.slope)

    def predict_step(self, batch: Tensor, batch_index: int) -> Tensor:
        return self.slope * batch

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class GradientNoise(Callback):
    """Adds what every global generator draws, so that a run that loses a random state learns something else."""

    def on_before_optimizer_step(self, trainer: Trainer, module: LightningModule, optimizer: object) -> None:
        scale = 1e-2 * random.random() * np.random.rand()  # noqa: NPY002 - the global state is what it is about
        for parameter in module.parameters():
            if parameter.grad is not None:
                parameter.grad.add_(torch.randn_like(parameter.grad), alpha=scale)


class Numbers(LightningDataModule):
    """Eight numbers.

    Args:
        batch_size: Numbers a batch.
    """

    def __init__(self, *, batch_size: int = 4) -> None:
        super().__init__()
        self.batch_size = batch_size

    def _loader(self) -> DataLoader:
        return DataLoader(torch.arange(8.0), batch_size=self.batch_size)

    train_dataloader = val_dataloader = test_dataloader = predict_dataloader = _loader


class LineGenerator:
    """Writes lines into a file.

    Args:
        lines: Number of lines, 1 or more.
    """

    kind: ClassVar[str] = "generator"

    def __init__(self, *, lines: int = 3) -> None:
        if lines < 1:
            raise ConfigError(f"lines must be 1 or more, got {lines}")
        self.lines = lines

    def generate(self, folder: Path, *, workers: int = 2, executor: str = "processes") -> None:
        folder.mkdir(parents=True)
        (folder / "lines.txt").write_text(f"{workers}\n" * self.lines)


PARTS = {
    ("test_encoder", "wide"): WideEncoder,
    ("test_encoder", "small"): small_encoder,
    ("test_encoder", "lib:*"): encoder_from,
    ("module", "regression"): Regression,
    ("datamodule", "numbers"): Numbers,
    ("generator", "lines"): LineGenerator,
}
