"""The generator of recorded episodes: its houses and arguments; and, rendered, episodes that can be replayed."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo import registry
from zoo.envs.data_engine.generator import SPLITS, PolicyEpisodes
from zoo.envs.data_engine.sight import RecordingEnv
from zoo.envs.data_engine.targets import ACCURATE_M
from zoo.envs.episodes.schema import Episode
from zoo.errors import ConfigError, ZooError
from zoo.generator import GivenUpError
from zoo.goal_texts import category_asked
from zoo.navigation_actions import SpocAction
from zoo.shards.policy_episode import MISSING_BOX, PolicyEpisode

SMALL = {"image_size": (64, 48), "num_rooms": (1, 2), "train_episodes": 3, "val_episodes": 0, "shard_size": 3}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"train_episodes": -1}, "train_episodes is -1, expected 0 or more"),
        ({"episodes_per_house": 0}, "episodes_per_house is 0"),
        ({"task": []}, "task names none"),
        ({"image_size": (224, 127)}, r"image_size is \(224, 127\), expected even"),
        ({"num_rooms": (4, 3)}, r"num_rooms is \(4, 3\)"),
        ({"crf": 52}, "crf is 52"),
        ({"seed": 512}, "seed is 512, expected less than 512"),
        ({"train_episodes": 10**9}, "more houses than"),
        ({"perturbed_share": 1.1}, "perturbed_share is 1.1, expected 0 to 1"),
        ({"shows_categories": True}, "shows_categories with categories None, expected 1 to 32 different"),
        ({"shows_categories": True, "categories": ["bed", "bed"]}, "expected 1 to 32 different"),
        ({"shows_categories": True, "categories": [f"kind {n}" for n in range(33)]}, "expected 1 to 32 different"),
        ({"shows_categories": True, "categories": ["bed"], "image_size": (12, 8)}, r"\(12, 8\), expected 14x8 or more"),
        ({"max_steps": 1, "shard_size": 0}, "shard_size is 0.*max_steps is 1"),
    ],
)
def test_mistakes(arguments, words):
    with pytest.raises(ConfigError, match=words):
        PolicyEpisodes(**arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"task": "object_nav_tipe"}, "no task_sampler 'object_nav_tipe'. Near: object_nav_type"),
        ({"dataset": "home"}, "no scene_planner 'home'. Near: homes"),
        ({"robot": "ring_bod"}, "are for stretch or ring_body, not for robot 'ring_bod'"),
        ({"task": "pick"}, "task 'pick' is for robots that are commanded by joints"),
    ],
)
def test_mistyped_names_leave_no_folder_behind(tmp_path, arguments, words):
    with pytest.raises(ZooError, match=words):
        PolicyEpisodes(**arguments).generate(tmp_path / "made", workers=0)
    assert not (tmp_path / "made").exists()


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 3))
def test_shards_and_seeds_share_no_house_and_neighbours_in_a_house_do(size, per_house, seed):
    made = PolicyEpisodes(shard_size=size, episodes_per_house=per_house, seed=seed)
    houses = [{index for place in range(size) for index in made.houses_of(shard, place)} for shard in range(3)]
    other = PolicyEpisodes(shard_size=size, episodes_per_house=per_house, seed=seed + 1)
    houses.append({index for place in range(size) for index in other.houses_of(0, place)})
    assert sum(map(len, houses)) == len(set.union(*houses))
    assert made.houses_of(0, 0) == made.houses_of(0, per_house - 1)
    assert made.houses_of(0, 0) != made.houses_of(0, per_house)


def test_what_a_worker_gets_is_light():
    made = PolicyEpisodes(task=["object_nav_type", "room_nav"], random_bodies=True, robot="ring_body")
    assert len(pickle.dumps(made)) < 2000
    assert pickle.loads(pickle.dumps(made)).settings() == made.settings()
    assert made.sampler_arguments() == {"robot": "ring_body", "random_bodies": True}


def test_houses_without_the_rooms_give_no_episode(monkeypatch):
    monkeypatch.setattr("zoo.envs.data_engine.generator.HOUSES_IN_ROW", 1)
    (given_up,) = PolicyEpisodes(num_rooms=(40, 50)).samples("train", 0, 1)
    assert isinstance(given_up, GivenUpError)
    assert "1 houses gave no episode of object_nav_type (none has such rooms)" in str(given_up)
    assert given_up.counts == {}


@pytest.fixture(scope="module")
def recorded():
    """Three episodes."""
    samples = list(PolicyEpisodes(**SMALL).samples("train", 0, 3))
    return [PolicyEpisode(sample.record, sample.arrays, sample.media) for sample in samples], samples


@pytest.mark.render
def test_episodes_are_whole_and_end_in_strict_success(recorded):
    episodes, samples = recorded
    for episode, sample in zip(episodes, samples, strict=True):
        episode.check()
        assert episode.arrays["actions"][-1] == SpocAction.DONE
        assert episode.arrays["strict_success"][-1]
        assert episode.record["house"]["split"] == "train"
        assert 1 <= len(episode.record["house"]["rooms"]) <= 2
        assert episode.record["episode"]["task"]["expert_length"] == episode.num_steps
        assert sample.counts["steps"] == episode.num_steps
        camera = episode.cameras.index("navigation_camera")
        assert episode.arrays["visible"][-1, camera] > 0
        assert (episode.arrays["boxes"][-1, camera, 0] != MISSING_BOX).any()
        np.testing.assert_array_equal(episode.arrays["boxes"][:, :, 1], np.float32(MISSING_BOX)[None, None].repeat(
            episode.num_steps, 0).repeat(len(episode.cameras), 1))  # fmt: skip


@pytest.mark.render
def test_actions_replay_to_the_same_places(recorded):
    episode = recorded[0][0]
    env = RecordingEnv(robot="stretch", cameras=episode.cameras, image_size=(64, 48), horizon_steps=10**6)
    try:
        env.reset(options={"episode": Episode.from_json(episode.record["episode"], "recorded")})
        for action, pose in zip(episode.arrays["actions"], episode.arrays["base_pose"], strict=True):
            np.testing.assert_allclose(env.simulation.world.base_pose(), pose, atol=1e-6)
            *_, info = env.step(np.array([action]))
        assert info["success"]
    finally:
        env.close()


@pytest.mark.render
def test_a_shard_that_is_gone_on_with_has_the_same_bytes(recorded):
    _, samples = recorded
    (last,) = PolicyEpisodes(**SMALL).samples_from("train", 0, 3, 2)
    assert last.record == samples[2].record
    assert last.media == samples[2].media
    for name, array in samples[2].arrays.items():
        np.testing.assert_array_equal(last.arrays[name], array)


@pytest.mark.render
def test_what_the_cells_show_changes_nothing_else_and_agrees_with_the_targets():
    """The asked category is in the cells where pixels of targets are counted; beyond 6 m in the cells only."""
    kinds = {"categories": ["garbage can", "sofa", "bed"], "cameras": ["navigation_camera"]}
    plain = list(PolicyEpisodes(**SMALL | kinds).samples("train", 0, 3))
    shown = list(PolicyEpisodes(**SMALL | kinds, shows_categories=True).samples("train", 0, 3))
    compared = 0
    for sample, other in zip(shown, plain, strict=True):
        episode = PolicyEpisode(sample.record, sample.arrays, sample.media)
        episode.check()
        assert episode.cameras == ("navigation_camera",)
        assert sample.record == {**other.record, "categories": ["ashcan.n.01", "sofa.n.01", "bed.n.01"]}
        assert sample.media == other.media
        for name, array in other.arrays.items():
            np.testing.assert_array_equal(sample.arrays[name], array)
        asked = sample.record["categories"].index(category_asked(sample.record["goal_spec"]))
        in_cells = (sample.arrays["shows"] >> asked & 1).any(axis=(2, 3))
        counted = sample.arrays["visible"] > 0
        np.testing.assert_array_equal(in_cells | counted, in_cells)
        is_near = _farthest_target_m(episode) <= ACCURATE_M
        np.testing.assert_array_equal(in_cells[is_near], counted[is_near])
        compared += int(counted[is_near].sum())
    assert compared


def _farthest_target_m(episode):
    """(T,) from the base to the box of the farthest target."""
    env = RecordingEnv(robot="stretch", image_size=(64, 48), horizon_steps=10**6)
    env.reset(options={"episode": Episode.from_json(episode.record["episode"], "recorded")})
    return np.array(
        [max(env.task.distance_to_m(name, pose) for name in env.task.targets) for pose in episode.arrays["base_pose"]]
    )


@pytest.mark.render
def test_perturbed_episodes_are_labelled_and_the_share_is_of_training_alone():
    made = PolicyEpisodes(**SMALL | {"val_episodes": 1}, perturbed_share=0.5)
    samples = list(made.samples("train", 0, 3))
    again = list(made.samples_from("train", 0, 3, 1))
    assert [sample.record for sample in again] == [sample.record for sample in samples[1:]]
    perturbed = [sample for sample in samples if "expert_actions" in sample.arrays]
    assert 0 < len(perturbed) < 3  # by the seed
    for sample in samples:
        PolicyEpisode(sample.record, sample.arrays, sample.media).check()
        actions = sample.arrays["actions"]
        assert sample.record["success"]
        assert actions[-1] == SpocAction.DONE
        assert sample.arrays["strict_success"][-1]
        assert sample.counts["perturbed"] == (sample in perturbed)
        assert sample.record["meta"].get("perturbed", False) == (sample in perturbed)
        assert (sample.record["expert_steps"] is None) == (sample in perturbed)
    (kept,) = made.samples("val", 0, 1)
    assert "expert_actions" not in kept.arrays


def test_the_share_is_of_samples_whatever_house_gives_them():
    made = PolicyEpisodes(perturbed_share=0.3, seed=3)
    chosen = [made._is_perturbed("train", number) for number in range(2000)]
    assert sum(chosen) == pytest.approx(600, abs=60)
    assert chosen == [made._is_perturbed("train", number) for number in range(2000)]
    assert not any(made._is_perturbed(split, number) for split in ("val", "test") for number in range(50))


def test_the_splits_are_those_of_houses():
    assert tuple(PolicyEpisodes().splits) == SPLITS
    assert "policy_episodes" in registry.names("generator")
