"""Jobs that tests run in two processes on the CPU, joined by gloo; what they find out is left in files.

Every process gets the same jobs in the same order. Module level, because spawned processes import them.
"""

import os
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch import multiprocessing
from torch.multiprocessing.spawn import ProcessExitedException

COUNT = 2
Job = Callable[[int, Path], object]


def run(jobs: Sequence[Job], folder: Path) -> None:
    """Run jobs in both processes; what a job returns, or the text of its exception, is saved as `<job>_<rank>.pt`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with suppress(ProcessExitedException):  # `result` tells why
        multiprocessing.spawn(_work, args=(jobs, folder, port), nprocs=COUNT)


def result(job: Job, folder: Path, rank: int = 0) -> object:
    """What a job returned in a process; its failure is raised here."""
    file = folder / f"{job.__name__}_{rank}.pt"
    assert file.exists(), (
        f"{job.__name__} left nothing in process {rank}; a job before it, or the other process, failed"
    )
    found = torch.load(file, weights_only=False)
    assert not isinstance(found, str), f"{job.__name__} failed in process {rank}:\n{found}"
    return found


def _work(rank: int, jobs: Sequence[Job], folder: Path, port: int) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_RANK": str(rank), "NODE_RANK": "0"}
    os.environ |= {"WORLD_SIZE": str(COUNT)}
    torch.set_num_threads(1)
    for job in jobs:
        torch.manual_seed(0)
        try:
            found = job(rank, folder)
        except Exception:  # noqa: BLE001 - told to the test that asked for the job
            torch.save(traceback.format_exc(), folder / f"{job.__name__}_{rank}.pt")
            sys.exit(1)  # the other process waits for this one and is ended by spawn
        torch.save(found, folder / f"{job.__name__}_{rank}.pt")
