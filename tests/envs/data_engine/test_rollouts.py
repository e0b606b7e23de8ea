"""Rounds: arguments, houses, schedule, what is told; and, rendered, a policy that is corrected in real houses."""

import logging
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from deadly import die
from recorded_episodes import arrays, record, video

from zoo import registry
from zoo.envs.data_engine.corrections import CorrectedRecording
from zoo.envs.data_engine.generator import PolicyEpisodes
from zoo.envs.data_engine.rollouts import ExpertCorrections
from zoo.errors import ConfigError
from zoo.generator import GeneratedSample
from zoo.navigation_actions import SpocAction
from zoo.policy import Policy
from zoo.shards.policy_episode import policy_episode
from zoo.shards.reader import read_shard, read_split

CAMERAS = ("manipulation", "navigation")


class Wanders(Policy):
    """Turns and goes ahead in turns; what it was asked is kept."""

    def __init__(self, image_size=None, cameras=None):
        self.image_size, self.cameras = image_size, cameras
        self.steps, self.names, self.begun = Counter(), set(), []

    def reset(self, tasks):
        self.begun += [task["instruction"] for task in tasks.values()]

    def act(self, observation, slots):
        self.names |= set(observation)
        for slot in slots:
            self.steps[slot] += 1
        moves = [(SpocAction.ROTATE_LEFT, SpocAction.MOVE_AHEAD)[self.steps[slot] % 2] for slot in slots]
        return np.array(moves, np.float32).reshape(-1, 1, 1)


class Drawn(ExpertCorrections):
    """Episodes of five steps that only ask the policy; every third is a success, and dies at first where told.

    Args:
        notes: Folder; the first process that is at episode 2 dies where it holds `die`.
    """

    def __init__(self, *, notes: str = "", episodes: int = 6, shard_size: int = 3, expert_share: float = 0.5) -> None:
        super().__init__(episodes=episodes, shard_size=shard_size, expert_share=expert_share)
        self.notes = notes

    def _record(self, task, split, index, number, seeds):
        if number == 2 and self.notes and (Path(self.notes) / "die").exists():
            os.remove(Path(self.notes) / "die")
            die()
        recording = CorrectedRecording({}, expert_moves=2, first_done={0: True, 1: False}.get(number % 3))
        self._actor.reset({"instruction": f"{self.number}:{number}"})
        for step in range(5):
            said = self._actor.act({"base_pose": np.zeros(7, np.float32), "last_action": np.array([step - 1])})
            done = step == 4 and number % 3 == 0
            recording.add({"actions": 4 if done else int(said[0, 0])})
        self._recorded = recording
        return number, recording


def fake_sample(self, split, shard, place):
    """What `PolicyEpisodes` makes, without a house."""
    key, number = f"{split}-{shard:06d}-{place:05d}", shard * self.shard_size + place
    _, recording = self._record("object_nav_type", split, 0, number, [])
    columns = arrays(5, actions=recording.rows["actions"], expert_actions=np.array([0, 0, 0, 0, 4], np.int8))
    counts = Counter(steps=recording.num_steps)
    return GeneratedSample(record(key, 5), dict.fromkeys(CAMERAS, video(5)), columns, counts)


@pytest.fixture
def no_houses(monkeypatch):
    monkeypatch.setattr(PolicyEpisodes, "_sample", fake_sample)


def episodes_of(folder):
    return [
        policy_episode(sample.record, sample.files)
        for shard in read_split(folder, "train")
        for sample in read_shard(shard.path, suffixes={"mp4", "npz"}, check=lambda *_, **__: None)
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"episodes": 0}, "episodes is 0, expected 1 or more"),
        ({"expert_share": 1.5}, "expert_share is 1.5, expected 0 to 1"),
        ({"expert_share_decay": -1.0}, "expert_share_decay is -1.0, expected 0 to 1"),
        ({"image_size": (64, 47)}, "expected even"),
        ({"shows_categories": True}, "shows_categories with categories None"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ConfigError, match=words):
        ExpertCorrections(**arguments)


def test_it_is_offered_by_name():
    rounds = registry.build("rollouts", "expert_corrections", episodes=7)
    assert rounds.splits == {"train": 7}  # houses of validation and test are left alone


def test_pictures_must_be_those_that_the_policy_looks_at():
    with pytest.raises(ConfigError, match=r"recorded at the size of the robot.*set image_size to \[112, 64\]"):
        ExpertCorrections().check(Wanders((112, 64)))
    with pytest.raises(ConfigError, match=r"recorded at \(64, 48\).*such of \(112, 64\)"):
        ExpertCorrections(image_size=(64, 48)).check(Wanders((112, 64)))
    ExpertCorrections(image_size=[112, 64]).check(Wanders((112, 64)))
    ExpertCorrections(image_size=(64, 48)).check(Wanders())


def test_rounds_and_shards_have_houses_of_their_own_and_the_expert_steps_back():
    rounds = ExpertCorrections(episodes=20, shard_size=5, episodes_per_house=2, expert_share=0.8)
    seen = set()
    for number in range(3):
        one = rounds._round(number)
        assert one.share == pytest.approx(0.8 * 0.5**number)
        assert one.settings()["round"] == number
        for shard in range(4):
            houses = {index for place in range(5) for index in one.houses_of(shard, place)}
            assert not houses & seen
            seen |= houses
    imitated = PolicyEpisodes(train_episodes=3000)
    assert not seen & {index for shard in range(60) for index in imitated.houses_of(shard, 0)}
    with pytest.raises(ConfigError, match="round 1000000 needs more houses"):
        rounds._round(10**6)


def test_without_a_policy_it_makes_nothing(tmp_path, no_houses):
    with pytest.raises(ConfigError, match="what a policy in training does: datamodule policy_rollouts"):
        Drawn().generate(tmp_path, workers=0)


def test_a_round_is_a_data_set_that_tells_how_it_went(tmp_path, no_houses, caplog):
    caplog.set_level(logging.INFO)
    policy = Wanders()
    told = Drawn(episodes=6).collect(tmp_path / "r", 3, policy, workers=0)
    assert told == {
        "episodes": 6,
        "steps": 30,
        "success": 2 / 6,
        "wrong_done": 2 / 6,
        "finished": 2 / 6,
        "expert_moves": 12 / 30,
    }
    assert "round 3: 6 episodes of 30 steps; the policy's first done was right in 33.3 %" in caplog.text
    assert policy.begun == [f"3:{number}" for number in range(6)]
    made = episodes_of(tmp_path / "r")
    assert [episode.record["key"] for episode in made][:2] == [
        "round003-train-000000-00000",
        "round003-train-000000-00001",
    ]
    assert [episode.record["success"] for episode in made] == [True, False, False] * 2
    assert made[1].record["meta"] == {"round": 3, "expert_moves": 2, "first_done": False}
    said = np.array([0, 2] * 15).reshape(6, 5)
    said[::3, 4] = SpocAction.DONE
    assert [episode.arrays["actions"].tolist() for episode in made] == said.tolist()
    assert made[1].labels.tolist() == [0, 0, 0, 0, 4]


def test_a_finished_round_is_not_made_again_and_another_is_refused(tmp_path, no_houses):
    first = Drawn().collect(tmp_path, 0, Wanders(), workers=0)
    policy = Wanders()
    assert Drawn().collect(tmp_path, 0, policy, workers=0) == first
    assert not policy.begun
    with pytest.raises(ConfigError, match="other settings"):
        Drawn().collect(tmp_path, 1, policy, workers=0)


def test_a_round_that_was_stopped_is_gone_on_with(tmp_path, no_houses):
    class Stops(Wanders):
        def act(self, observation, slots):
            if sum(self.steps.values()) == 5 * 4 + 2:
                raise KeyError("stop")
            return super().act(observation, slots)

    with pytest.raises(KeyError):
        Drawn().collect(tmp_path, 0, Stops(), workers=0)
    policy = Wanders()
    told = Drawn().collect(tmp_path, 0, policy, workers=0)
    assert policy.begun == ["0:4", "0:5"]
    assert told["steps"] == 30
    assert len(episodes_of(tmp_path)) == 6


@pytest.mark.render
def test_a_policy_is_corrected_in_houses_by_workers_that_may_die(tmp_path, caplog):
    """In real houses, by a spawned worker that is killed in the middle."""
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "die").touch()
    policy = Wanders((64, 48), cameras=("navigation_camera",))
    rounds = RealThatDies(notes=str(notes))
    told = rounds.collect(tmp_path / "r", 0, policy, workers=1)
    assert "a worker died at train/shard-000000.tar and is replaced; episode 1 of it is made again" in caplog.text
    made = episodes_of(tmp_path / "r")
    assert len(made) == told["episodes"] == 2
    assert policy.names & {"navigation_camera", "manipulation_camera"} == {"navigation_camera"}
    for episode in made:
        episode.check()
        own = episode.record["meta"]["expert_moves"]
        differs = int((episode.arrays["actions"] != episode.labels).sum())
        assert 0 < differs <= episode.num_steps - own
        assert set(episode.cameras) == {"navigation_camera", "manipulation_camera"}
        assert episode.record["house"]["split"] == "train"
        assert episode.record["goal"] in policy.begun
        assert episode.record["expert_steps"] is None


class RealThatDies(ExpertCorrections):
    """Two short episodes; the worker dies before the second, once."""

    def __init__(self, *, notes: str) -> None:
        super().__init__(
            dataset="procedural", num_rooms=(1, 2), image_size=(64, 48), episodes=2, shard_size=2, max_steps=12
        )
        self.notes = notes

    def _record(self, task, split, index, number, seeds):
        if number == 1 and (Path(self.notes) / "die").exists():
            os.remove(Path(self.notes) / "die")
            die()
        return super()._record(task, split, index, number, seeds)
