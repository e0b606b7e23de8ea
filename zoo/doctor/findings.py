"""One line of the doctor's answer, and the processes that find it out."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import zoo

Status = Literal["ok", "warn", "fail"]

TORCH = "pip install --force-reinstall torch torchvision"  # together: both must come from one build
TIMEOUT_S = 180.0  # a first compilation on a GPU takes up to a minute


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What was found out.

    Args:
        check: Name of the check.
        status: `fail` where something is needed and does not work, `warn` where it may be missed.
        text: What there is.
        fix: What to type; empty where nothing is wrong.
    """

    check: str
    status: Status
    text: str
    fix: str = ""


def ok(check: str, text: str) -> Finding:
    """What works."""
    return Finding(check=check, status="ok", text=text)


def warn(check: str, text: str, *, fix: str) -> Finding:
    """What may be missed."""
    return Finding(check=check, status="warn", text=text, fix=fix)


def fail(check: str, text: str, *, fix: str) -> Finding:
    """What is needed and does not work."""
    return Finding(check=check, status="fail", text=text, fix=fix)


@dataclass(frozen=True, slots=True)
class Probed:
    """What a probe's process left behind: its answer, or how it ended; `is_late` where it was not waited for."""

    answer: dict[str, Any] | None
    fault: str
    is_late: bool = False


def late(check: str, probed: Probed) -> Finding:
    """A probe that was ended before it answered: no fault, unless it is the same on an idle machine."""
    return warn(check, probed.fault, fix=f"once nothing else runs here: zoo doctor {check}")


def unanswered(check: str, probed: Probed, text: str, *, fix: str) -> Finding:
    """What a probe that tells of no success means: a fault, unless it was only slow.

    Args:
        check: Name of the check.
        probed: What its process left behind.
        text: What does not work, and how the process ended.
        fix: What to type where it is a fault.
    """
    return late(check, probed) if probed.is_late else fail(check, text, fix=fix)


def run_probe(name: str, *, variables: dict[str, str] | None = None, timeout_s: float = TIMEOUT_S) -> Probed:
    """Run one function of `zoo.doctor.probes` in a process of its own.

    Args:
        name: Of the function.
        variables: Environment on top of this process's.
        timeout_s: After so many seconds it is ended.
    """
    root = str(Path(zoo.__file__).parents[1])
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), root]))
    environment = {**os.environ, "PYTHONPATH": path, **(variables or {})}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "zoo.doctor.probes", name],
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Probed(None, f"took longer than {timeout_s:.0f} s; is the machine busy?", is_late=True)
    last = done.stdout.strip().rpartition("\n")[2]
    if done.returncode == 0 and last.startswith("{"):
        return Probed(json.loads(last), "")
    if done.returncode < 0:
        return Probed(None, f"it died of {signal.Signals(-done.returncode).name}")
    return Probed(None, done.stderr.strip().rpartition("\n")[2] or f"it ended with exit code {done.returncode}")
