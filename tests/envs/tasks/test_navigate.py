import pytest

from zoo.envs.tasks.navigate import NavigateTo
from zoo.errors import ConfigError


@pytest.mark.parametrize(
    ("where", "seen", "success", "reward"),
    [((0, -1.2), 3, True, 0.2), ((0, -1.2), 0, False, 0.0), ((0, -1.6), 9, False, 0.0)],
)
def test_near_and_seen(bench, where, seen, success, reward):
    task = NavigateTo(pickup_obj_name="mug", succ_pos_threshold=1.5)
    task.bind(bench.world)
    bench.put("mug", (0, 0, 0.43))
    bench.put("robot", (*where, 0.5))
    bench.seen = seen
    judged = task.judge()
    assert judged.success == success
    assert judged.reward == pytest.approx(reward)


def test_the_nearest_candidate_counts(bench):
    task = NavigateTo(pickup_obj_name="plate_2", pickup_obj_candidates=["plate_2", "plate"], succ_pos_threshold=1.0)
    task.bind(bench.world)
    bench.put("robot", (0.3, -0.9, 0.5))
    bench.seen = 1
    assert task.judge().success


def test_bad_threshold():
    with pytest.raises(ConfigError, match="succ_pos_threshold is -1"):
        NavigateTo(pickup_obj_name="mug", succ_pos_threshold=-1)
