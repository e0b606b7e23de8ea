"""The generator of recorded episodes: its houses and arguments; and, rendered, episodes that can be replayed."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo import registry
from zoo.envs.data_engine.generator import SPLITS, PolicyEpisodes
from zoo.envs.data_engine.sight import RecordingEnv
from zoo.envs.episodes.schema import Episode
from zoo.errors import ConfigError
from zoo.generator import GivenUpError
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
        ({"max_steps": 1, "shard_size": 0}, "shard_size is 0.*max_steps is 1"),
    ],
)
def test_mistakes(arguments, words):
    with pytest.raises(ConfigError, match=words):
        PolicyEpisodes(**arguments)


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


def test_the_splits_are_those_of_houses():
    assert tuple(PolicyEpisodes().splits) == SPLITS
    assert "policy_episodes" in registry.names("generator")
