import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from corner_episode import corner_benchmark
from interruptible import start_interruptible
from told_policy import Told

from zoo.cli.main import main

PROGRAM = [sys.executable, "-c", "import sys; from zoo.cli import main; sys.exit(main())"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return corner_benchmark(tmp_path_factory.mktemp("benchmark"))


@pytest.mark.render
def test_random_on_a_benchmark(folder, tmp_path, capsys):
    arguments = ["evaluate", "--policy", "random", "--benchmark", str(folder), "--horizon_steps", "2", "--videos", "1"]
    out, file = tmp_path / "run", tmp_path / "deep" / "numbers.json"
    assert main([*arguments, "--out", str(out), "--json", str(file)]) == 0
    told = capsys.readouterr().out
    assert "random on corner" in told
    assert "horizon 2" in told
    task = json.loads(file.read_text())["tasks"][0]
    assert (task["task"], task["episodes"], task["failures"]) == ("pick", 2, {"horizon": 2})
    assert (out / "videos" / "0.mp4").is_file()
    assert "data:video/mp4" in (out / "report.html").read_text()


def test_a_changed_benchmark_is_another_one(folder, tmp_path, capsys):
    arguments = ["evaluate", "--policy", "random", "--benchmark", str(folder), "--horizon_steps", "1", "--videos", "0"]
    arguments += ["--episodes", "1"]
    assert main([*arguments, "--perturb", "joints", "--level", "0.2", "--out", str(tmp_path)]) == 0
    assert "random on corner_joints_0.2" in capsys.readouterr().out
    assert main([*arguments, "--out", str(tmp_path)]) == 2
    assert "belongs to another run" in capsys.readouterr().err


def test_cameras_are_covered(folder, tmp_path, capsys):
    arguments = ["evaluate", "--policy", "random", "--benchmark", str(folder), "--horizon_steps", "1", "--videos", "0"]
    arguments += ["--episodes", "1", "--perturb", "occlusion", "--level", "0.5", "--occluded", "exo"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    assert "random on corner_occlusion_0.5_exo" in capsys.readouterr().out


def parent_of(process):
    """Of a number in /proc; 0 where the process is gone or dead."""
    try:
        state, parent = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if state == "Z" else int(parent)


def is_alive(process):
    return parent_of(process) != 0


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are listed by /proc")
def test_an_interrupt_leaves_no_worker_and_what_was_scored(tmp_path):
    benchmark, out = corner_benchmark(tmp_path, count=200), tmp_path / "run"
    arguments = ["evaluate", "--policy", "random", "--benchmark", benchmark, "--horizon_steps", "10", "--videos", "0"]
    command = [*PROGRAM, *arguments, "--workers", "2", "--out", out]
    running = start_interruptible(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        results, deadline = out / "results.jsonl", time.monotonic() + 120
        while not results.exists() or results.read_text().count("\n") < 4:  # both have begun
            assert running.poll() is None, running.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        children = [int(name) for name in os.listdir("/proc") if name.isdigit() and parent_of(name) == running.pid]
        assert len(children) >= 2
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to the workers as well
        _, told = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130
    assert "Traceback" not in told
    deadline = time.monotonic() + 20
    while any(map(is_alive, children)) and time.monotonic() < deadline:
        time.sleep(0.1)  # multiprocessing's own tracker ends when its pipe does
    assert not any(map(is_alive, children))
    assert results.read_text().count("\n") >= 4


@pytest.mark.parametrize(
    ("typed", "match"),
    [
        (["--benchmark", "mni"], "mni"),
        (["--benchmark", "sampled", "--task", "pikc"], "pikc"),
        (["--benchmark", "{folder}", "--task", "open"], "has no task open; it has pick"),
        (["--benchmark", "{folder}", "--workers", "0"], "workers 0"),
        (["--benchmark", "{folder}", "--episodes", "0"], "episodes is 0, expected 1 or more"),
        (["--benchmark", "{folder}", "--horizon_steps", "0"], "horizon_steps is 0, expected 1 or more"),
        (["--benchmark", "{folder}", "--cameras", "exo,foo"], "has no camera foo; it has exo. Name cameras that all"),
        (["--benchmark", "{folder}", "--policy", "ws://127.0.0.1:9"], "no policy server answers at ws://127.0.0.1:9"),
        (["--benchmark", "{folder}", "--level", "0.3"], "add --perturb prompt, joints, camera or occlusion"),
        (["--benchmark", "{folder}", "--occluded", "exo"], "'exo' but nothing is covered; add --perturb occlusion"),
        (
            ["--benchmark", "{folder}", "--perturb", "occlusion", "--occluded", "exo,wrist"],
            "no camera wrist; it has exo",
        ),
        (["--benchmark", "{folder}", "--perturb", "joints", "--level", "9"], "level 9 of joints: expected 0 to 3.14"),
        (["--benchmark", "{folder}", "--perturb", "prompt"], "'pick it up' of task 'pick' does not read like"),
        (["--benchmark", "{folder}", "--policy", "nobody"], "no policy 'nobody'"),
        (["--benchmark", "{folder}", "--policy", "molmo2-tiny"], "checkpoint molmo2-tiny does not act, it has qa"),
    ],
)
def test_mistakes(folder, typed, match, capsys):
    typed = [text.format(folder=folder) for text in typed]
    policy = [] if "--policy" in typed else ["--policy", "random"]
    assert main(["evaluate", *policy, *typed]) == 2
    assert match in capsys.readouterr().err


class Still:
    """A module that keeps every joint where it is told to be."""

    def policy(self):
        return Told()


@pytest.mark.render
def test_a_checkpoint_that_acts(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("zoo.cli.evaluating.from_pretrained", lambda where: Still())
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    typed = ["--policy", str(checkpoint), "--benchmark", str(folder), "--horizon_steps", "2"]
    assert main(["evaluate", *typed, "--videos", "0", "--out", str(tmp_path / "run")]) == 0
    assert "horizon 2" in capsys.readouterr().out
    assert "pictures of exo" in (tmp_path / "run" / "report.html").read_text()  # all that its episodes have
