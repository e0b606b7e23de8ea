"""A program that Ctrl-C reaches, wherever the tests themselves run."""

import signal
import subprocess
from collections.abc import Sequence
from typing import Any


def start_interruptible(command: Sequence[str], **options: Any) -> subprocess.Popen:
    """`subprocess.Popen` of a program that does not ignore SIGINT.

    A shell lets its background jobs and their children ignore it; a child of a process that handles it does not.
    """
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(command, **options)
    finally:
        signal.signal(signal.SIGINT, ours)
