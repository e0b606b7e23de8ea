"""A training command in a process of its own, which a test can kill."""

import multiprocessing
import os
import sys

import torch

from zoo.cli import main


def run(folder: str, log: str, arguments: list[str]) -> None:
    """Type `zoo` with arguments in a folder; what it prints goes to a file."""
    # As in a process that was typed: loader workers are forked, and end when they miss their parent.
    multiprocessing.set_start_method("fork", force=True)
    os.chdir(folder)
    with open(log, "a") as stream:
        for descriptor in (1, 2):
            os.dup2(stream.fileno(), descriptor)
    torch.set_num_threads(1)
    sys.exit(main(arguments))
