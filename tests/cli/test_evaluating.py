import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from corner_episode import corner_benchmark
from interruptible import start_interruptible
from told_policy import Told
from wheeled import in_a_real_house, wheeled_episode

from zoo import registry
from zoo.cli.main import main
from zoo.navigation_actions import SpocAction
from zoo.policy import Policy

PROGRAM = [sys.executable, "-c", "import sys; from zoo.cli import main; sys.exit(main())"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return corner_benchmark(tmp_path_factory.mktemp("benchmark"))


class Seeing(Policy):
    """Looks twice with one of a robot's cameras, in small pictures, and is done."""

    cameras = ("absent_camera", "navigation_camera")
    image_size = (48, 32)
    seen, seeds = [], []

    def reset(self, tasks):
        self.steps = dict.fromkeys(tasks, 0)
        type(self).seeds = [*self.seeds, *(task["seed"] for task in tasks.values())]

    def act(self, observation, slots):
        shapes = {name: value.shape[1:] for name, value in observation.items() if name.endswith("camera")}
        type(self).seen = [*self.seen, shapes]
        self.steps |= {slot: self.steps[slot] + 1 for slot in slots}
        return np.array([[[SpocAction.ROTATE_LEFT if self.steps[slot] < 2 else SpocAction.DONE]] for slot in slots])


@pytest.mark.render
def test_a_policy_says_what_it_looks_at(tmp_path, capsys, sandboxed_registry):
    registry.register("policy", "seeing")(Seeing)
    folder = in_a_real_house(
        wheeled_episode("room_nav", (-3.0, -3.0, 0.0), seed=11, room_types=["kitchen"]), tmp_path, count=1
    )
    arguments = ["evaluate", "--policy", "seeing", "--benchmark", str(folder), "--videos", "0"]
    assert main([*arguments, "--out", str(tmp_path / "own")]) == 0
    assert Seeing.seen == [{"navigation_camera": (32, 48, 3)}] * 2 and Seeing.seeds == [11]
    assert "wrong_stop 1" in capsys.readouterr().out
    Seeing.seen = []
    assert main([*arguments, "--cameras", "manipulation_camera", "--seed", "1", "--out", str(tmp_path / "told")]) == 0
    assert Seeing.seen == [{"manipulation_camera": (32, 48, 3)}] * 2 and Seeing.seeds[1] not in (11, 1)


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


@pytest.mark.render
def test_several_seeds(folder, tmp_path, capsys):
    arguments = ["evaluate", "--policy", "random", "--benchmark", str(folder), "--horizon_steps", "1", "--videos", "0"]
    arguments += ["--episodes", "1", "--seeds", "0,3", "--json", str(tmp_path / "numbers.json")]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    assert "random on corner, seeds 0, 3\npick, 1 episodes: at end 0.0 (0.0, 0.0; 95 %" in capsys.readouterr().out
    assert json.loads((tmp_path / "numbers.json").read_text())["seeds"] == [0, 3]
    header = json.loads((tmp_path / "seed_3" / "results.jsonl").read_text().splitlines()[0])
    assert header["settings"]["seed"] == 3


def test_drawn_episodes_are_of_what_the_sampler_is_told(tmp_path, capsys):
    arguments = ["evaluate", "--policy", "random", "--benchmark", "sampled", "--dataset", "homes", "--videos", "0"]
    arguments += ["--task", "object_nav_type", "--episodes", "2", "--horizon_steps", "1", "--out", str(tmp_path)]
    drawn = "{robot: ring_body, robot_arguments: {body: a1}, categories: [bed, sofa], image_size: [112, 64]}"
    assert main([*arguments, "--arguments", drawn]) == 0
    results = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()[1:]]
    assert {one["category"] for one in results} <= {"bed", "sofa"}
    assert [one["embodiment"] for one in results] == ["ring_body a1"] * 2


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
        (
            ["--benchmark", "sampled", "--task", "room_nav", "--arguments.robo", "stretch"],
            "task sampler 'room_nav' takes no robo; it takes robot,",
        ),
        (
            ["--benchmark", "sampled", "--task", "room_nav", "--arguments", "{{image_size: big}}"],
            "arguments.image_size: expected tuple[int, int] or null, got 'big'",
        ),
        (
            ["--benchmark", "sampled", "--task", "room_nav", "--arguments.robot", "rby1m"],
            "episodes of room_nav are for stretch or ring_body, not for robot 'rby1m'",
        ),
        (["--benchmark", "{folder}", "--arguments.robot", "stretch"], "to draw some say --benchmark sampled"),
        (["--benchmark", "{folder}", "--task", "open"], "has no task open; it has pick"),
        (["--benchmark", "{folder}", "--workers", "0"], "workers 0"),
        (["--benchmark", "{folder}", "--episodes", "0"], "episodes is 0, expected 1 or more"),
        (["--benchmark", "{folder}", "--horizon_steps", "0"], "horizon_steps is 0, expected 1 or more"),
        (["--benchmark", "{folder}", "--seeds", "0,x"], "seeds is '0,x', expected different whole numbers"),
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
        (["--benchmark", "{folder}", "--policy", "spoc-tinny"], "no policy 'spoc-tinny'. Near: spoc-tiny"),
        (["--benchmark", "{folder}", "--policy", "runs/none"], "policy 'runs/none': no such folder or file"),
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
