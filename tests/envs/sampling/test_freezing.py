"""A benchmark that is drawn once carries its houses and pins its assets; the bundled one is whole."""

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
