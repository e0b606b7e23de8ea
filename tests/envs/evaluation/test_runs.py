"""Runs on a benchmark: kept, gone on with, and refused where they would mix."""

import csv
import json
from dataclasses import replace

import pytest

from zoo.envs.episodes.benchmark import Benchmark
from zoo.envs.evaluation.pool import WorkerSettings
from zoo.envs.evaluation.rollout import HORIZON_S, RolloutSettings
from zoo.envs.evaluation.runs import RESULTS, SUMMARY, TABLE, evaluate, first_indices, in_turns, installed_assets
from zoo.errors import ConfigError, UnknownNameError

SETTINGS = WorkerSettings(policy="random", rollout=RolloutSettings(horizon_steps=2))


@pytest.fixture(scope="module")
def benchmark(episode):
    pinned = installed_assets({"primitives": ["mug_0"]})
    return Benchmark.of(
        "corner", [episode] * 3, description="-", created_at="2020-01-01T00:00:00Z", asset_digests=pinned
    )


def test_a_run_is_written_and_gone_on_with(benchmark, tmp_path):
    scored = evaluate(benchmark, SETTINGS, tmp_path)
    assert sorted(scored.run.results) == [0, 1, 2]
    content = json.loads((tmp_path / SUMMARY).read_text())
    task = content["tasks"][0]
    assert (task["task"], task["episodes"], task["success_at_end"]) == ("pick", 3, 0.0)
    assert task["failures"] == {"horizon": 3}
    assert [row["category"] for row in csv.DictReader((tmp_path / TABLE).open())][-1] == "OVERALL"

    lines = (tmp_path / RESULTS).read_bytes().splitlines(keepends=True)
    (tmp_path / RESULTS).write_bytes(b"".join(lines[:2]) + lines[2][:20])  # killed while it wrote the second result
    first = scored.run.results[0]
    again = evaluate(benchmark, SETTINGS, tmp_path).run.results
    assert again[0] == first  # not run once more: its seconds are the old ones
    assert sorted(again) == [0, 1, 2]


def test_another_run_in_the_same_folder_is_refused(benchmark, tmp_path):
    short = replace(benchmark, episodes=benchmark.episodes[:1])
    evaluate(short, SETTINGS, tmp_path)
    other = replace(SETTINGS, rollout=RolloutSettings(horizon_steps=3))
    with pytest.raises(ConfigError, match="horizon_steps"):
        evaluate(short, other, tmp_path)


def test_other_assets_are_refused(benchmark, tmp_path):
    metadata = replace(benchmark.metadata, asset_digests={"primitives": {"mug_0": "0"}, "nowhere": {"thing": "1"}})
    with pytest.raises(
        ConfigError, match=r"primitives's 'mug_0' has content \w+, expected 0; .*'nowhere' is not installed"
    ):
        evaluate(replace(benchmark, metadata=metadata), SETTINGS, tmp_path)


def test_videos_of_the_first_episodes_of_each_task(benchmark):
    assert first_indices(benchmark, 2) == {0, 1}
    assert first_indices(benchmark, 0) == frozenset()


def test_tasks_take_turns(benchmark, episode):
    content = episode.to_json()
    content["task"] |= {"task_cls": "molmo_spaces.tasks.other_task.OtherTask"}
    other = type(episode).from_json(content, "other")
    mixed = replace(benchmark, episodes=(episode, episode, episode, other, other))
    assert in_turns(mixed) == [0, 3, 1, 4, 2]


def test_horizons(episode):
    assert RolloutSettings().steps_of(episode, 0.066) == round(HORIZON_S["pick"] / 0.066)
    assert RolloutSettings(horizon_s={"pick": 1.0}).steps_of(episode, 0.066) == 15
    assert RolloutSettings(horizon_s={"pick": 1.0}, horizon_steps=4).steps_of(episode, 0.066) == 4
    content = episode.to_json()
    content["task"]["task_horizon_sec"] = 2.0
    stated = type(episode).from_json(content, "episode")
    assert RolloutSettings(horizon_s={"pick": 1.0}).steps_of(stated, 0.066) == 30


def test_houses_of_an_unknown_planner_are_refused_before_anything_is_scored(benchmark, tmp_path):
    lost = replace(benchmark, episodes=tuple(replace(e, scene_dataset="procedurl") for e in benchmark.episodes))
    with pytest.raises(UnknownNameError, match="no scene_planner 'procedurl'. Near: procedural"):
        evaluate(lost, SETTINGS, tmp_path)
    assert not (tmp_path / RESULTS).exists()


def test_an_episode_without_an_asked_camera_is_refused(benchmark, tmp_path):
    with pytest.raises(ConfigError, match=r"episode 0 of 'corner' \(pick\) has no camera wrist; it has exo"):
        evaluate(benchmark, replace(SETTINGS, cameras=("wrist",)), tmp_path)
