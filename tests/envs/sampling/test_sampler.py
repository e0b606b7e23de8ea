import numpy as np
import pytest

from zoo import registry
from zoo.envs.sampling.sampler import MAX_REJECTIONS, RejectedError, SamplingReport, TaskSampler, sample_episodes
from zoo.errors import ConfigError, UnknownNameError


@pytest.fixture
def planned(sandboxed_registry, bare_house, drawn):
    """A planner of equal bare houses, and a sampler that does as its plan says, draw by draw."""
    episode = drawn("pick").episode
    plan, seen = [], []

    class Planner:
        def plan(self, split, index):
            seen.append(index)
            return bare_house.scene

    class Sampler(TaskSampler):
        def sample(self, place, rng):
            seen.append(float(rng.random()))
            step = plan.pop(0) if plan else None
            if step is not None:
                raise step
            return episode

    registry.register("scene_planner", "planned")(Planner)
    registry.register("task_sampler", "planned")(Sampler)
    return plan, seen


def draw(report, **arguments):
    return list(sample_episodes("planned", dataset="planned", report=report, **arguments))


def test_rejections_are_counted_by_reason(planned):
    plan, _ = planned
    plan += [RejectedError("far"), RejectedError("far"), None, RejectedError("near")]
    report = SamplingReport()
    assert len(draw(report, count=2)) == 2
    assert report.rejected == {"far": 2, "near": 1}
    assert (report.accepted, report.houses) == (2, 2)
    assert report.text() == "2 episodes from 2 houses; rejected draws: far 2, near 1"


def test_a_house_is_left_after_many_rejections_in_a_row_or_when_it_is_hopeless(planned):
    plan, _ = planned
    plan += [RejectedError("far")] * MAX_REJECTIONS + [RejectedError("empty", is_hopeless=True)]
    report = SamplingReport()
    draw(report, count=1)
    assert report.houses == 3
    assert report.rejected == {"far": MAX_REJECTIONS, "empty": 1}


def test_seeds_choose_houses_and_draws(planned):
    _, seen = planned
    draw(None, count=3, seed=2, per_house=2)
    assert [value for value in seen if isinstance(value, int)] == [200_000, 200_001]
    once = [value for value in seen if isinstance(value, float)]
    seen.clear()
    draw(None, count=3, seed=2, per_house=2)
    assert [value for value in seen if isinstance(value, float)] == once
    assert len(np.unique(once)) == 3


def test_bad_arguments():
    with pytest.raises(ConfigError, match="count is 0 and per_house 1"):
        next(sample_episodes("pick", count=0))
    with pytest.raises(UnknownNameError, match="pikc"):
        next(sample_episodes("pikc", count=1))
