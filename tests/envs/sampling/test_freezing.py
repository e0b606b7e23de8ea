"""A benchmark that is drawn once carries its houses and pins its assets; the bundled one is whole."""

import json
from collections import Counter

import pytest

from zoo import registry
from zoo.envs.episodes.benchmark import Benchmark, find_benchmark
from zoo.envs.evaluation.rollout import HORIZON_S
from zoo.envs.evaluation.runs import installed_assets
from zoo.envs.houses.frozen import HOUSES_FILE, FrozenHouses
from zoo.envs.sampling.chores.vocabulary import TINY_CATEGORIES
from zoo.envs.sampling.freezing import freeze
from zoo.envs.simulation.houses import house
from zoo.errors import ConfigError


@pytest.mark.render
def test_a_frozen_benchmark(tmp_path):
    arguments = {"tasks": ["pick", "open"], "count": 2, "created_at": "2020-01-01T00:00:00Z", "split": "val", "seed": 5}
    frozen = freeze(tmp_path / "few", **arguments)
    assert Counter(episode.task.name for episode in frozen.episodes) == {"pick": 2, "open": 2}
    assert "pick: 2 episodes from" in frozen.metadata.description
    planner = FrozenHouses(file=str(tmp_path / "few" / HOUSES_FILE))
    for episode in frozen.episodes:
        assert episode.scene_dataset == "few"
        names = {item.name for item in planner.plan("val", episode.house_index).objects}
        assert episode.task.target in names
    pinned = frozen.metadata.asset_digests["primitives"]
    assert {item.asset for item in planner.plan("val", 0).objects} <= set(pinned)
    assert Benchmark.load(tmp_path / "few").digest == frozen.digest
    with pytest.raises(ConfigError, match="a benchmark does not change"):
        freeze(tmp_path / "few", **arguments)


def test_mini_is_whole():
    mini = Benchmark.load(find_benchmark("mini"))
    assert Counter(episode.task.name for episode in mini.episodes) == dict.fromkeys(HORIZON_S, 25)
    mini.check_assets(installed_assets(mini.metadata.asset_digests))
    for episode in mini.episodes:
        objects = house(*episode.house).objects
        assert episode.task.target in objects


@pytest.mark.parametrize(
    ("name", "bodies"),
    [("nav_bodies", {"stretch_real": 20, "stretch_factory": 20, "locobot": 20, "a1": 20, "go1": 20}),
     ("nav_random_bodies", {"drawn": 100})],
)  # fmt: skip
def test_benchmarks_of_bodies_are_whole(name, bodies):
    """Each in a test house of its own, found by the expert."""
    found = Benchmark.load(find_benchmark(name))
    arguments = [episode.robot.arguments["body"] for episode in found.episodes]
    assert Counter(body if isinstance(body, str) else "drawn" for body in arguments) == bodies
    assert len({json.dumps(body, sort_keys=True) for body in arguments}) == (5 if name == "nav_bodies" else 100)
    assert {episode.robot.robot_name for episode in found.episodes} == {"ring_body"}
    assert len({episode.house_index for episode in found.episodes}) == 100
    assert all(0 < episode.task.expert_length < 300 for episode in found.episodes)
    found.check_assets(installed_assets(found.metadata.asset_digests))


@pytest.mark.render
def test_several_arguments_are_drawn_in_turn(tmp_path):
    variants = [
        {"robot": "ring_body", "robot_arguments": {"body": body}, "image_size": (64, 48)} for body in ("a1", "go1")
    ]
    given = {
        "tasks": ["object_nav_type"],
        "count": 1,
        "created_at": "2020-01-01T00:00:00Z",
        "dataset": "homes",
        "split": "val",
    }
    frozen = freeze(tmp_path / "two", arguments=variants, **given)
    assert [episode.robot.arguments["body"] for episode in frozen.episodes] == ["a1", "go1"]
    assert "1 episodes a task with each of 2 arguments" in frozen.metadata.description
    with pytest.raises(ConfigError, match="no arguments at all"):
        freeze(tmp_path / "none", arguments=[], **given)


@pytest.mark.parametrize("name", ["nav_val", "nav_random_bodies_val"])
def test_benchmarks_to_choose_by_are_of_the_validation_split(name):
    found = Benchmark.load(find_benchmark(name))
    assert len(found.episodes) == 50
    assert {episode.data_split for episode in found.episodes} == {"val"}
    assert all(0 < episode.task.expert_length < 300 for episode in found.episodes)
    found.check_assets(installed_assets(found.metadata.asset_digests))


def test_nav100_is_whole():
    """A hundred houses of 3 to 6 rooms, one episode each, with things of the test split and the expert's steps."""
    nav = Benchmark.load(find_benchmark("nav100"))
    assert len(nav.episodes) == 100 == len({episode.house_index for episode in nav.episodes})
    nav.check_assets(installed_assets(nav.metadata.asset_digests))
    libraries = {}
    for episode in nav.episodes:
        task, scene = episode.task, house(*episode.house).scene
        assert (task.name, episode.robot.robot_name, task.task_horizon_sec) == ("object_nav_type", "stretch", 60)
        assert 3 <= len(scene.rooms) <= 6 and (task.expert_length is None or task.expert_length < 300)
        items = {item.name: item for item in scene.objects}
        categories = set()
        for name in (name for names in task.broad_synset_to_object_ids.values() for name in names):
            item = items[name]
            if item.library not in libraries:
                libraries[item.library] = registry.build("asset_library", item.library).facts()
            facts = libraries[item.library][item.asset]
            assert facts.split == "test"
            categories.add(facts.category)
        assert categories & set(TINY_CATEGORIES)  # an armchair is a chair too
    assert sum(episode.task.expert_length is not None for episode in nav.episodes) >= 98
