import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.kinematics.poses import yaw_of
from zoo.envs.navigation.occupancy import OccupancyMap
from zoo.envs.sampling import bases


@pytest.fixture
def plan():
    """Four metres squared at 50 cells a metre, with a wall along x = 0; the origin is in the middle."""
    blocked = np.zeros((200, 200), bool)
    blocked[:, 98:102] = True
    return OccupancyMap(
        blocked=blocked,
        rooms=np.ones((200, 200), np.uint8),
        world_to_map=np.array([[0.0, -50.0, 0.0, 100.0], [50.0, 0.0, 0.0, 100.0]]),
        map_to_world=np.array([[0.0, 0.02, -2.0], [-0.02, 0.0, 2.0], [0, 0, 0]]),
        px_per_m=50.0,
    )


def test_free_points_keep_their_distances(plan):
    centre = np.array([0.5, 0.2])
    points = bases.free_points(plan, plan.clearance_m(), centre, (0.4, 0.7), least_clearance_m=0.3)
    distance = np.linalg.norm(points - centre, axis=1)
    assert len(points) > 100
    assert distance.min() >= 0.4
    assert distance.max() <= 0.7
    assert (points[:, 0] >= 0.3).all()


def test_nothing_is_free_in_a_wall_or_beyond_the_map(plan):
    clearance = plan.clearance_m()
    for centre in ([0.0, 0.0], [50.0, 0.0]):
        found = bases.free_points(plan, clearance, np.array(centre), (0.0, 0.2), least_clearance_m=0.25)
        assert found.shape == (0, 2)


@given(st.integers(0, 2**31), st.floats(0.01, np.pi))
def test_draws_look_toward_the_target(seed, turn):
    rng = np.random.default_rng(seed)
    points, target = rng.uniform(-2, 2, (30, 2)), np.array([3.0, 1.0])
    poses = list(bases.draws(rng, points, target, turn=turn, height_m=0.2))
    assert len(poses) == bases.DRAWS
    assert len({tuple(pose[:2]) for pose in poses}) == bases.DRAWS
    for pose in poses:
        way = target - pose[:2]
        off = np.angle(np.exp(1j * (np.arctan2(way[1], way[0]) - yaw_of(pose[3:]))))
        assert abs(off) <= turn + 1e-9
        assert pose[2] == 0.2


@given(st.integers(0, 2**31), st.floats(0.0, 2.0))
def test_height_of_the_pedestal(seed, height):
    bottom = bases.arm_height_m(np.random.default_rng(seed), height)
    assert max(0.0, height - 1.05) <= bottom <= max(0.0, height - 0.5)
