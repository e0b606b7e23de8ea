"""Benchmarks: both layouts, faults of all episodes at once, pins, horizons, shards, names."""

import dataclasses
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.episodes.benchmark import (
    BUNDLED,
    EPISODES_FILE,
    METADATA_FILE,
    Benchmark,
    Metadata,
    benchmark_names,
    contiguous,
    find_benchmark,
    horizon_steps,
    round_robin,
)
from zoo.envs.episodes.schema import Episode
from zoo.errors import ConfigError, DataError, UnknownNameError


@pytest.fixture
def write(tmp_path):
    """Writes the files of a benchmark in the newer layout."""

    def write_files(episodes, metadata=None, name="picks"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / EPISODES_FILE).write_text(json.dumps(episodes))
        if metadata is not None:
            (folder / METADATA_FILE).write_text(json.dumps(metadata))
        return folder

    return write_files


@pytest.fixture
def benchmark(public_episode, public_tasks):
    episodes = [Episode.from_json(public_episode(task), task) for task in public_tasks]
    return Benchmark.of(
        "eight",
        episodes,
        description="all",
        created_at="2026-11-29T12:00:00",
        asset_digests={"b": {"mug": "2", "bowl": "5"}},
    )


def test_public_folders_are_read_and_written_back(write, public_episode, public_tasks, tmp_path):
    contents = [public_episode(task) for task in public_tasks]
    metadata = {"num_houses": 1, "house_counts": {"5": 8}, "description": None, "num_episodes": 8}
    found = Benchmark.load(write(contents, metadata))
    assert found.name == "picks" and [one.task.name for one in found.episodes] == list(public_tasks)
    found.save(tmp_path / "copy")
    assert json.dumps(json.loads((tmp_path / "copy" / EPISODES_FILE).read_text())) == json.dumps(contents)
    assert json.dumps(json.loads((tmp_path / "copy" / METADATA_FILE).read_text())) == json.dumps(metadata)
    assert Benchmark.load(tmp_path / "copy").digest == found.digest
    assert not list((tmp_path / "copy").glob(".*"))


def test_the_older_layout_keeps_the_public_order(tmp_path, public_episode):
    for house, number in [(10, 1), (5, 0), (10, 0), (5, 11)]:
        folder = tmp_path / f"house_{house}"
        folder.mkdir(exist_ok=True)
        content = public_episode() | {"house_index": house, "seed": number}
        (folder / f"episode_{number:08d}.json").write_text(json.dumps(content))
    (tmp_path / "house_notes").write_text("no folder")
    found = Benchmark.load(tmp_path)
    assert [(one.house_index, one.seed) for one in found.episodes] == [(10, 0), (10, 1), (5, 0), (5, 11)]
    (tmp_path / "house_5" / "episode_00000000.json").write_text("{}")
    with pytest.raises(DataError, match=r"1 of 4 .*: episode 2, house_5/episode_00000000.json: house_index is missing"):
        Benchmark.load(tmp_path)


def test_faults_of_all_episodes_are_named_at_once(write, public_episode):
    contents = [public_episode() for _ in range(4)]
    contents[1]["cameras"][0]["fov"] = "wide"
    contents[3]["img_resolution"] = None
    contents[3]["house_index"] = "five"
    with pytest.raises(DataError) as caught:
        Benchmark.load(write(contents))
    assert str(caught.value).endswith(
        "picks/benchmark.json: 2 of 4 episodes are broken: episode 1: cameras[0].fov is 'wide', expected a finite "
        "number; episode 3: house_index is 'five', expected a whole number; episode 3: img_resolution is None, "
        "expected a list of 2 values"
    )
    with pytest.raises(
        DataError, match=r"6 of 6 episodes are broken: episode 0: house_index is missing.*; and 37 more$"
    ):
        Benchmark.load(write([dict.fromkeys(["source"]) | {"task": None} for _ in range(6)], name="six"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "holds dict, expected a list of episodes"),
        ("[]", "holds an empty list, expected a list of episodes"),
        ("[1]", "episode 0: it is 1, expected an object"),
        ("[", "is no JSON"),
    ],
)
def test_other_json_is_no_benchmark(text, message, tmp_path):
    (tmp_path / EPISODES_FILE).write_text(text)
    with pytest.raises(DataError, match=message):
        Benchmark.load(tmp_path)


def test_other_folders_are_no_benchmark(tmp_path):
    with pytest.raises(DataError, match=r"has neither benchmark.json nor house_\*/episode_\*.json"):
        Benchmark.load(tmp_path)


def test_metadata_is_checked_and_a_stale_number_is_said(write, public_episode, caplog):
    with pytest.raises(DataError, match=r"benchmark_metadata.json: robot_counts\['a'\] is -1, expected at least 0"):
        Benchmark.load(write([public_episode()], {"robot_counts": {"a": -1}}, name="broken"))
    with caplog.at_level(logging.WARNING):
        Benchmark.load(write([public_episode()], {"num_episodes": 200}))
    assert "holds 1 episodes, but benchmark_metadata.json says 200" in caplog.text


def test_new_benchmarks_are_counted(benchmark):
    metadata = benchmark.metadata
    assert (metadata.num_episodes, metadata.num_houses) == (8, 1)
    assert metadata.object_category_counts == {"apple": 1, "door": 1, "dresser": 2, "mug": 4}
    assert metadata.task_cls_counts["molmo_spaces.tasks.opening_tasks.OpeningTask"] == 2
    assert metadata.robot_counts == {"franka_droid": 8}
    assert metadata.episode_length_stats == {"min": 120.0, "max": 120.0, "mean": 120.0, "median": 120.0}
    assert metadata.benchmark_created_date == "2026-11-29"
    with pytest.raises(ConfigError, match="benchmark 'none' has no episode"):
        Benchmark.of("none", [], description="", created_at="", asset_digests={})


def test_a_benchmark_is_not_overwritten(benchmark, tmp_path):
    benchmark.save(tmp_path)
    with pytest.raises(ConfigError, match="benchmark.json exists, and a benchmark does not change"):
        benchmark.save(tmp_path)


def test_the_digest_is_of_the_episodes_alone(benchmark):
    other = dataclasses.replace(benchmark, name="other", metadata=Metadata(description="else"))
    assert other.digest == benchmark.digest
    turned = dataclasses.replace(benchmark, episodes=benchmark.episodes[::-1])
    changed = dataclasses.replace(benchmark.episodes[0], seed=1)
    assert benchmark.digest not in (
        turned.digest,
        dataclasses.replace(benchmark, episodes=(changed, *benchmark.episodes[1:])).digest,
    )


def test_other_assets_are_refused(benchmark):
    benchmark.check_assets({"a": {"mug": "1"}, "b": {"mug": "2", "bowl": "5", "fork": "8"}})
    with pytest.raises(
        ConfigError,
        match="'eight' was made with other assets: b has no asset 'bowl'; b's 'mug' has content 3, expected 2",
    ):
        benchmark.check_assets({"b": {"mug": "3"}})
    with pytest.raises(ConfigError, match=r"asset library 'b' is not installed \(installed: a\). Install the pinned"):
        benchmark.check_assets({"a": {}})


def with_horizons(benchmark, *seconds):
    episodes = zip(benchmark.episodes, seconds, strict=False)
    return [
        dataclasses.replace(one, task=dataclasses.replace(one.task, task_horizon_sec=value)) for one, value in episodes
    ]


def test_horizons_in_the_order_of_the_sheet(benchmark):
    stated = with_horizons(benchmark, 40.0, 40.0)
    assert horizon_steps(stated, 0.066, steps=12) == 12
    assert horizon_steps(stated, 0.1, seconds=30) == 300
    assert horizon_steps(stated, 0.066) == 606  # MolmoBot's place tasks, sheet section 8
    assert horizon_steps(stated, 1 / 15, seconds=30) == 450  # the leaderboard's pick
    assert horizon_steps(stated, 0.5, seconds=0.1) == 1


@pytest.mark.parametrize(
    ("seconds", "arguments", "message"),
    [
        ((40.0, 20.0), {}, "state 20 s, 40 s task_horizon_sec, expected one for all"),
        ((40.0, None), {}, "state 40 s and none task_horizon_sec"),
        ((None, None), {}, "state no task_horizon_sec, expected one for all of them; give a horizon"),
        ((40.0, 40.0), {"steps": 3, "seconds": 3.0}, "given twice, 3 steps and 3 s"),
        ((40.0, 40.0), {"steps": 0}, "horizon is 0 steps, expected at least 1"),
        ((40.0, 40.0), {"seconds": -1.0}, "horizon is -1 s, expected more than 0"),
        ((40.0, 40.0), {"policy_dt": 0.0}, "policy_dt is 0.0, expected seconds above 0"),
    ],
)
def test_horizons_that_make_no_sense(seconds, arguments, message, benchmark):
    with pytest.raises(ConfigError, match=message):
        horizon_steps(with_horizons(benchmark, *seconds), **{"policy_dt": 0.1, **arguments})


@given(
    num_episodes=st.integers(0, 200), num_workers=st.integers(1, 40), shard=st.sampled_from([round_robin, contiguous])
)
def test_shards_hold_every_episode_once(num_episodes, num_workers, shard):
    shards = [shard(num_episodes, worker, num_workers) for worker in range(num_workers)]
    assert sorted(index for one in shards for index in one) == list(range(num_episodes))
    sizes = [len(one) for one in shards]
    assert max(sizes) - min(sizes) <= 1


def test_shards_look_as_they_are_called():
    assert [list(round_robin(5, worker, 2)) for worker in range(2)] == [[0, 2, 4], [1, 3]]
    assert [list(contiguous(5, worker, 2)) for worker in range(2)] == [[0, 1], [2, 3, 4]]


@pytest.mark.parametrize("arguments", [(5, 2, 2), (5, -1, 2), (5, 0, 0), (-1, 0, 1)])
@pytest.mark.parametrize("shard", [round_robin, contiguous])
def test_shards_that_are_none(shard, arguments):
    with pytest.raises(ConfigError, match=f"shard {arguments[1]} of {arguments[2]} of {arguments[0]} episodes"):
        shard(*arguments)


def test_benchmarks_are_found_by_name_and_by_path(write, public_episode, tmp_path, monkeypatch):
    folder = write([public_episode()], name="mini")
    assert benchmark_names(tmp_path) == ("mini",)
    assert find_benchmark("mini", tmp_path) == folder
    assert find_benchmark(str(folder)) == find_benchmark(str(folder / EPISODES_FILE)) == folder
    with pytest.raises(UnknownNameError, match="no benchmark 'mnii'. Near: mini. Bundled: mini. A folder with"):
        find_benchmark("mnii", tmp_path)
    (tmp_path / "here" / "mini").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert find_benchmark("mini", tmp_path) == folder  # a folder of this name that is no benchmark does not hide it
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnknownNameError, match="empty is no benchmark: it has neither"):
        find_benchmark(str(tmp_path / "empty"), tmp_path)


def test_bundled_benchmarks_can_be_read():
    assert BUNDLED.name == "benchmarks" and BUNDLED.parent.name == "envs"
    for name in benchmark_names():
        assert Benchmark.load(find_benchmark(name)).metadata.num_episodes
