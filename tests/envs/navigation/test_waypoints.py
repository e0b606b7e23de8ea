"""Poses along routes, stopping before a target, and drawn starts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.navigation.occupancy import build_map
from zoo.envs.navigation.paths import NoRouteError, RouteGrid, Router
from zoo.envs.navigation.waypoints import NoStartError, poses_along, sample_start, stopped_before, wrapped

finite = st.floats(-20.0, 20.0)
points = st.lists(st.tuples(finite, finite), min_size=1, max_size=6).map(lambda items: np.array(items, float))


@given(st.floats(-50.0, 50.0))
def test_wrapped_is_the_same_direction(angle):
    assert -math.pi <= wrapped(angle) < math.pi
    assert math.cos(wrapped(angle)) == pytest.approx(math.cos(angle), abs=1e-9)
    assert math.sin(wrapped(angle)) == pytest.approx(math.sin(angle), abs=1e-9)


@given(points, st.floats(-3.0, 3.0), st.tuples(finite, finite))
def test_poses_are_close_together_and_drive_straight(corners, start_yaw, facing):
    poses = poses_along(corners, start_yaw=start_yaw, facing_m=facing)
    before = np.concatenate([[[*corners[0], start_yaw]], poses])
    steps = np.diff(before, axis=0)
    turns = np.array([wrapped(turn) for turn in steps[:, 2]])
    lengths = np.linalg.norm(steps[:, :2], axis=1)
    assert (lengths <= 0.25 + 1e-9).all()
    assert (np.abs(turns) <= math.radians(10) + 1e-9).all()
    assert not ((lengths > 1e-6) & (np.abs(turns) > 1e-6)).any()  # turns or drives
    driving = lengths > 1e-6
    headings = np.arctan2(steps[driving, 1], steps[driving, 0])
    off = [wrapped(a - b) for a, b in zip(headings, poses[driving, 2], strict=True)]
    assert np.abs(off).max(initial=0) < 1e-3
    end = before[-1]
    np.testing.assert_allclose(end[:2], corners[-1], atol=1e-9)
    if math.dist(end[:2], facing) > 1e-3:
        look = math.atan2(facing[1] - end[1], facing[0] - end[0])
        assert abs(wrapped(look - end[2])) < 1e-6


def test_poses_of_one_turn_and_one_leg():
    poses = poses_along(np.array([(0.0, 0.0), (0.0, 0.5)]), start_yaw=math.radians(75))
    expected = [(0, 0, math.radians(82.5)), (0, 0, math.pi / 2), (0, 0.25, math.pi / 2), (0, 0.5, math.pi / 2)]
    np.testing.assert_allclose(poses, expected, atol=1e-12)
    assert poses_along(np.array([(1.0, 1.0)]), start_yaw=0.3).shape == (0, 3)


@given(points, st.tuples(finite, finite), st.floats(0.1, 5.0))
def test_a_stopped_route_ends_outside_or_on_the_circle(corners, centre, radius):
    stopped = stopped_before(corners, centre, radius)
    distances = np.linalg.norm(corners - np.array(centre), axis=1)
    end = math.dist(stopped[-1], centre)
    if distances[-1] > radius:
        np.testing.assert_array_equal(stopped, corners)
    elif (distances <= radius).all():
        np.testing.assert_array_equal(stopped, corners[:1])
    else:
        assert end == pytest.approx(radius, abs=1e-6)
        np.testing.assert_array_equal(stopped[:-1], corners[: len(stopped) - 1])


def test_a_route_through_the_circle_stops_at_its_last_way_in():
    corners = np.array([(-3.0, 0.0), (3.0, 0.0), (3.0, 3.0), (0.0, 3.0), (0.0, 0.0)])
    np.testing.assert_allclose(stopped_before(corners, (0.0, 0.0), 0.8)[-2:], [(0.0, 3.0), (0.0, 0.8)])


def test_starts_are_free_reachable_and_at_the_right_distance(house):
    scene, model, data = house(3, 2)
    grid = Router(occupancy=build_map(model, data, scene=scene)).grid(0.35)
    clearance = grid.plan  # passable cells keep the radius everywhere in them
    target = (1.5, 1.5)
    rng = np.random.default_rng(3)
    starts = np.array([sample_start(grid, target, rng, distance_m=(4.0, 20.0)) for _ in range(60)])
    apart = np.linalg.norm(starts[:, :2] - target, axis=1)
    assert (apart >= 4.0).all()
    assert (apart <= 20.0).all()
    assert apart.std() > 0.3
    assert clearance.is_free(starts[:, :2]).all()
    off = [wrapped(yaw - math.atan2(target[1] - y, target[0] - x)) for x, y, yaw in starts]
    assert np.abs(off).max() <= math.radians(45)
    assert np.std(off) > math.radians(15)
    again = np.random.default_rng(3)
    assert sample_start(grid, target, again) == tuple(starts[0])


def test_starts_in_a_room(house):
    scene, model, data = house(3, 2)
    grid = Router(occupancy=build_map(model, data, scene=scene)).grid(0.35)
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, y, _ = sample_start(grid, (1.5, 1.5), rng, distance_m=(1.0, 9.0), room="room_1_1")
        assert 3.0 < x < 6.0 and 3.0 < y < 6.0
    with pytest.raises(NoStartError, match="in room 'attic'"):
        sample_start(grid, (1.5, 1.5), rng, room="attic")


def test_no_start_says_what_there_is(house, map_of):
    scene, model, data = house(1, 1)
    grid = Router(occupancy=build_map(model, data, scene=scene)).grid(0.3)
    with pytest.raises(NoStartError, match=r"no start 4 to 20 m from \(1.50, 1.50\).*are 0.0\d to 1.5\d m away"):
        sample_start(grid, (1.5, 1.5), np.random.default_rng(0))
    with pytest.raises(NoRouteError, match="more than 1 m from every place"):
        sample_start(RouteGrid(map_of("..."), radius_m=0.0), (9.0, 9.0), np.random.default_rng(0))
