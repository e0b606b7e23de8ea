"""Episodes in worker processes: what goes wrong costs one episode and no more."""

import multiprocessing
import os
import re
import signal
import time
from dataclasses import replace

import numpy as np
import pytest

from zoo.envs.evaluation.pool import MAX_ENVS, EpisodePool, WorkerSettings, _env_for, alike, with_wishes
from zoo.envs.evaluation.rollout import RolloutSettings
from zoo.errors import ConfigError, DataError
from zoo.policy import Policy

STEPS = 3


class Held(Policy):
    """Keeps every joint at 0.1 rad, two steps a chunk; does something else in episodes that it is told to spoil."""

    def __init__(self, spoil=lambda call, slot, chunk: chunk):
        self.spoil, self.batches, self.tasks, self.calls = spoil, [], {}, 0

    def reset(self, tasks):
        self.tasks |= tasks

    def act(self, observation, slots):
        self.calls += 1
        self.batches.append(len(slots))
        assert observation["state"].shape == (len(slots), 8)
        chunk = np.full((2, 8), 0.1, np.float32)
        return [self.spoil(self.calls, slot, chunk) for slot in slots]


def settings(policy="held", **more):
    return WorkerSettings(policy=policy, rollout=RolloutSettings(horizon_steps=STEPS), **more)


def results(episodes, policy=None, *, told=None, num_workers=1, **more):
    with EpisodePool(told or settings(), policy=policy, num_workers=num_workers, **more) as pool:
        return {result.index: result for result in pool.run(episodes)}


def test_a_policy_in_the_main_process_acts_for_all_workers(episode):
    policy = Held()
    found = results(dict.fromkeys(range(4), episode), policy, num_workers=2)
    assert sorted(found) == [0, 1, 2, 3]
    assert {result.failure for result in found.values()} == {"horizon"}
    assert {result.steps for result in found.values()} == {STEPS}
    assert sum(policy.batches) == 4 * 2  # chunks of two for three steps
    assert set(policy.tasks) == {0, 1}
    assert policy.tasks[0]["instruction"] == "pick it up"


def test_observations_that_fit_into_no_batch_come_in_calls_of_their_own():
    arm, base = {"state": np.zeros(8)}, {"state": np.zeros(24)}
    seeing = {"state": np.zeros(8), "exo": np.zeros((4, 6, 3))}
    groups = alike([("a", arm), ("b", base), ("c", arm), ("d", seeing)])
    assert [[worker for worker, _ in group] for group in groups] == [["a", "c"], ["b"], ["d"]]
    assert alike([]) == []


def test_a_policy_that_is_done(episode):
    found = results({0: episode}, Held(lambda call, slot, chunk: chunk[:0]))
    assert (found[0].failure, found[0].steps) == ("wrong_stop", 0)


@pytest.mark.parametrize(
    ("spoilt", "reason", "match"),
    [(np.full((1, 8), np.nan), "nan_action", "not finite"), (np.zeros((1, 5)), "wrong_shape", r"shape \(5,\)")],
)
def test_actions_that_cannot_be_executed_cost_one_episode(episode, spoilt, reason, match):
    found = results({0: episode, 1: episode}, Held(lambda call, slot, chunk: spoilt if call == 1 else chunk))
    assert (found[0].failure, found[1].failure) == (reason, "horizon")
    assert re.search(match, found[0].detail)


def test_a_policy_that_complains(episode):
    def complain(call, slot, chunk):
        if call == 1:
            raise DataError("no such camera")
        return chunk

    found = results({0: episode, 1: episode}, Held(complain))
    assert (found[0].failure, found[0].detail) == ("policy_error", "no such camera")
    assert found[1].failure == "horizon"


def test_a_policy_that_does_not_begin(episode):
    class Gone(Held):
        def reset(self, tasks):
            super().reset(tasks)
            self.begun = getattr(self, "begun", 0) + 1
            if self.begun == 1:
                raise DataError("the server is gone")

    found = results({0: episode, 1: episode}, Gone())
    assert (found[0].failure, found[0].detail) == ("policy_error", "the server is gone")
    assert found[1].failure == "horizon"


def test_a_policy_that_hangs(episode):
    def hang(call, slot, chunk):
        if call == 1:
            time.sleep(20)
        return chunk

    began = time.monotonic()
    found = results({0: episode, 1: episode}, Held(hang), silence_s=8)
    assert found[0].failure == "policy_timeout"
    assert "did not answer within 8 s" in found[0].detail
    assert found[1].failure == "horizon"
    assert time.monotonic() - began < 60


def test_a_worker_that_is_killed(episode):
    def kill(call, slot, chunk):
        if call == 1:
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        return chunk

    found = results({0: episode, 1: episode}, Held(kill))
    assert (found[0].failure, found[1].failure) == ("worker_killed", "horizon")
    assert "SIGKILL" in found[0].detail


def test_no_worker_is_left_behind(episode):
    with EpisodePool(settings("random"), num_workers=2) as pool:
        running = pool.run(dict.fromkeys(range(6), episode))
        next(running)
    assert not multiprocessing.active_children()


@pytest.mark.render
def test_videos(episode, tmp_path):
    with EpisodePool(settings("random")) as pool:
        list(pool.run({0: episode, 1: episode}, videos={1: tmp_path / "1.mp4"}))
    assert [file.name for file in tmp_path.iterdir()] == ["1.mp4"]
    import av

    with av.open(str(tmp_path / "1.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == STEPS + 1
    assert frames[0].shape == (48, 64, 3)


def test_the_same_seed_does_the_same(episode):
    first, second = (results({0: episode}, told=settings("random"))[0] for _ in range(2))
    assert first.jerk_mean == second.jerk_mean > 0
    assert first.path_length_m == second.path_length_m


def test_scene_that_cannot_be_built(episode):
    from zoo.envs.episodes.schema import Episode

    lost = Episode.from_json(episode.to_json() | {"scene_dataset": "nowhere"}, "lost")
    found = results({0: lost, 1: episode}, told=settings("random"))
    assert found[0].failure == "setup_failed"
    assert "nowhere" in found[0].detail
    assert found[1].failure == "horizon"


def test_what_does_not_go_together():
    with pytest.raises(ConfigError, match="workers is 0"):
        EpisodePool(settings("random"), num_workers=0)
    with pytest.raises(ConfigError, match="do not go together"):
        EpisodePool(settings("random"), policy=Held())
    with pytest.raises(ConfigError, match="do not go together"):
        EpisodePool(settings("held"))


def test_workers_stay_between_runs_and_time_can_be_limited(episode):
    with EpisodePool(settings("random")) as pool:
        assert len(list(pool.run({0: episode}))) == 1
        process = multiprocessing.active_children()[0].pid
        began = time.monotonic()
        found = list(pool.run(dict.fromkeys(range(100), episode), max_seconds=1.0))
        assert 1 <= len(found) < 100
        assert time.monotonic() - began < 60
        assert [child.pid for child in multiprocessing.active_children()] == [process]


class Wishing(Held):
    cameras, image_size = ("exo", "wrist"), (32, 24)


def test_what_is_asked_for_wins_over_what_a_policy_wishes():
    plain = settings()
    assert with_wishes(plain, Held()) == plain
    wished = with_wishes(plain, Wishing())
    assert (wished.cameras, wished.may_lack_cameras, wished.image_size) == (("exo", "wrist"), True, (32, 24))
    told = settings(cameras=("exo",), image_size=(64, 48))
    assert with_wishes(told, Wishing()) == told


def test_environments_of_a_worker_are_few(episode):
    """One for each picture size, of which the ones that were used last are kept."""
    envs = {}

    def env_of(width, **more):
        return _env_for(envs, replace(episode, img_resolution=(width, 48)), settings(**more))

    first = env_of(50)
    assert env_of(50) is first
    for width in range(51, 50 + MAX_ENVS):
        env_of(width)
    assert env_of(50) is first and len(envs) == MAX_ENVS
    env_of(90)
    assert len(envs) == MAX_ENVS and env_of(50) is first
    assert env_of(50, cameras=("exo", "absent"), may_lack_cameras=True).cameras == ("exo",)
    assert env_of(50, cameras=("exo", "absent")).cameras == ("exo", "absent")  # and is refused at its reset
