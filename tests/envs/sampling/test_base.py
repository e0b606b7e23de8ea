"""A task from elsewhere, as the manual shows it: found, drawn, judged, and run in a worker process."""

import json
import re
import sys
import tomllib
from pathlib import Path

import pytest

from zoo.cli.main import main
from zoo.envs.episodes.records import dump_json
from zoo.envs.episodes.schema import Episode
from zoo.envs.sampling.sampler import sample_episodes
from zoo.envs.simulation.environment import EpisodeEnv

MANUAL = Path(__file__).parents[3] / "docs" / "simulation.md"


@pytest.fixture
def installed(install_package):
    """The package of the manual's section on tasks."""
    blocks = re.findall(r"```(python|toml)\n(.*?)```", MANUAL.read_text(), flags=re.DOTALL)
    code = next(text for kind, text in blocks if kind == "python" and "class PickHigh(" in text)
    groups = tomllib.loads(next(text for kind, text in blocks if kind == "toml" and "zoo.task" in text))
    points = {
        group: "\n".join(f"{name} = {target}" for name, target in entries.items())
        for group, entries in groups["project"]["entry-points"].items()
    }
    install_package("lab-tasks", {"lab_tasks": code}, points)
    yield
    sys.modules.pop("lab_tasks", None)


def test_its_episodes_are_drawn_read_and_judged(installed):
    episode = next(sample_episodes("pick_high", count=1))
    content = episode.to_json()["task"]
    assert (content["task_cls"], content["task_type"], content["height_m"]) == ("lab_tasks.PickHigh", "pick_high", 0.3)
    assert episode.language.task_description.endswith(" and hold it high")
    again = Episode.from_json(json.loads(dump_json(episode.to_json())), "here")
    assert again == episode and again.task.name == "pick_high"
    env = EpisodeEnv(robot=again.robot.robot_name, episodes=[again], horizon_steps=1)
    _, info = env.reset(seed=0)
    assert info["task"]["task"] == "pick_high" and not info["success"]
    assert type(env.task).__name__ == "PickHigh" and env.task.succ_pos_threshold == 0.3
    env.close()


def test_a_run_has_a_row_of_its_name(installed, tmp_path):
    out, numbers = str(tmp_path / "run"), tmp_path / "numbers.json"
    arguments = ["evaluate", "--policy", "random", "--benchmark", "sampled", "--task", "pick_high", "--episodes", "1"]
    arguments += ["--horizon_steps", "2", "--videos", "0", "--out", out, "--json", str(numbers)]
    assert main(arguments) == 0
    (row,) = json.loads(numbers.read_text())["tasks"]
    assert (row["task"], row["episodes"], row["failures"]) == ("pick_high", 1, {"horizon": 1})
