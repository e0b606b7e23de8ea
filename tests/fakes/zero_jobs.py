"""What two processes under DeepSpeed are asked to do together; see `parallel_jobs`.

DeepSpeed has a backend for CPUs. What keeps Lightning's strategy from it is taken out here.
"""

import os
from dataclasses import replace
from pathlib import Path

import parallel_jobs as jobs
import torch
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies import deepspeed as lightnings
from torch import Tensor

from zoo.zero import ZeroRedundancy

SETTINGS = replace(jobs.SETTINGS, clip_norm=0.0)


class OnCPU(ZeroRedundancy):
    """Without the check for GPUs, and with a number for the device, which DeepSpeed asks for."""

    def setup_environment(self) -> None:
        os.environ["DS_ACCELERATOR"] = "cpu"
        lightnings._validate_device_index_selection = lambda devices: None
        DDPStrategy.setup_environment(self)

    @property
    def root_device(self) -> torch.device:
        return torch.device("cpu", 0)


def ddp_unclipped(rank: int, folder: Path) -> dict[str, Tensor]:
    return jobs.five_steps(rank, folder, jobs.module_of(optimiser=SETTINGS), strategy="ddp")


def zero_steps(rank: int, folder: Path) -> dict[str, Tensor]:
    return jobs.five_steps(rank, folder, jobs.module_of(optimiser=SETTINGS), strategy=OnCPU(), save="zero.ckpt")


def zero_resume(rank: int, folder: Path) -> dict[str, Tensor]:
    return jobs.five_steps(rank, folder, jobs.module_of(optimiser=SETTINGS), strategy=OnCPU(), resume="zero.ckpt")


MIXED = {"precision": "bf16-mixed", "gradient_clip_val": 0.1}


def ddp_mixed(rank: int, folder: Path) -> dict[str, Tensor]:
    return jobs.five_steps(rank, folder, jobs.module_of(), strategy="ddp", **MIXED)


def zero_mixed(rank: int, folder: Path) -> dict[str, Tensor]:
    """With the components' own clipping in the settings, which the Trainer's replaces."""
    return jobs.five_steps(rank, folder, jobs.module_of(), strategy=OnCPU(stage=1), **MIXED)
