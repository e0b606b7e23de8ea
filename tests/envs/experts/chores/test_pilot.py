import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo import registry
from zoo.envs.experts.chores.body import Body, Floor
from zoo.envs.experts.chores.pilot import Course, Pilot, StuckError, calm_step_towards
from zoo.envs.kinematics.poses import wrapped
from zoo.envs.navigation.occupancy import OccupancyMap
from zoo.navigation_actions import SpocAction

SIDE_M = 6.0


def floor_with(*boxes, body="stretch_real") -> Floor:
    """A square of 6 m from the origin, cells of 2.5 cm, with boxes x0, y0, x1, y1 on it."""
    size = round(SIDE_M * 40)
    blocked = np.zeros((size, size), bool)
    for x0, y0, x1, y1 in boxes:
        blocked[round((SIDE_M - y1) * 40) : round((SIDE_M - y0) * 40), round(x0 * 40) : round(x1 * 40)] = True
    occupancy = OccupancyMap(
        blocked=blocked,
        rooms=np.zeros((size, size), np.uint8),
        world_to_map=np.array([[0.0, -40.0, 0.0, size], [40.0, 0.0, 0.0, 0.0]]),
        map_to_world=np.array([[0.0, 0.025, 0.0], [-0.025, 0.0, SIDE_M], [0.0, 0.0, 1.0]]),
        px_per_m=40.0,
    )
    return Floor(occupancy, Body.of(registry.build("robot", "ring_body", body=body)))


def steered(floor, goal) -> Pilot:
    pilot = Pilot(floor)
    grid = pilot.grids()[0]
    cell = grid.nearest(goal)
    pilot.steer_for(Course(grid, grid.tree_of(cell)))
    return pilot


def carried_out(pose, action):
    effect = action.effect
    turned = pose[2] + math.radians(effect.turn_deg)
    ahead = effect.forward_m * np.array([math.cos(pose[2]), math.sin(pose[2])])
    return np.array([*(pose[:2] + ahead), turned])


def drive(pilot, pose, *, blocks=lambda pose, action: False, steps=200):
    """Poses and actions until it has arrived; `blocks` makes an action fail."""
    poses, actions, said = [np.array(pose)], [], None
    for _ in range(steps):
        pilot.observe(poses[-1], said)
        said = pilot.propose(poses[-1])
        if said is None:
            return np.array(poses), actions
        actions.append(said)
        is_blocked = blocks(poses[-1], said) or not pilot.floor.leads_free(poses[-1], said)
        poses.append(poses[-1] if is_blocked else carried_out(poses[-1], said))
    raise AssertionError(f"not there after {steps} steps: {poses[-1]}")


def test_it_goes_straight_over_a_free_floor():
    poses, actions = drive(steered(floor_with(), (5.0, 3.0)), (1.0, 3.0, 0.0))
    assert set(actions) == {SpocAction.MOVE_AHEAD}
    assert abs(len(actions) * 0.2 - 4.0) <= 0.2
    assert math.dist(poses[-1][:2], (5.0, 3.0)) <= 0.2


def test_it_goes_around_a_wall_and_touches_nothing():
    floor = floor_with((2.9, 0.0, 3.1, 4.5))
    poses, actions = drive(steered(floor, (5.0, 1.0)), (1.0, 1.0, math.pi))
    assert floor.is_free(poses).all()
    assert poses[:, 1].max() > 4.5
    assert math.dist(poses[-1][:2], (5.0, 1.0)) <= 0.2
    assert len(actions) < 70


OPEN = floor_with()


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.floats(0.6, 5.4)] * 4), st.floats(-math.pi, math.pi))
def test_no_turn_is_taken_back_by_the_next(places, yaw):
    x, y, goal_x, goal_y = places
    poses, actions = drive(steered(OPEN, (goal_x, goal_y)), (x, y, yaw))
    assert math.dist(poses[-1][:2], (goal_x, goal_y)) <= 0.25
    turns = [action.effect.turn_deg for action in actions]
    assert all(before * after >= 0 for before, after in pairwise(turns))


@pytest.mark.parametrize(
    ("bearing", "distance", "expected"),
    [
        (19.0, 1.0, SpocAction.MOVE_AHEAD),
        (-19.0, 0.3, SpocAction.MOVE_AHEAD),
        (19.0, 0.2, SpocAction.ROTATE_LEFT_SMALL),
        (-11.0, 0.2, SpocAction.ROTATE_RIGHT_SMALL),
        (9.0, 0.2, SpocAction.MOVE_AHEAD),
        (20.5, 1.0, SpocAction.ROTATE_LEFT),
        (-20.5, 0.2, SpocAction.ROTATE_RIGHT),
        (179.0, 0.2, SpocAction.MOVE_BACK),
    ],
)
def test_small_bearings_are_corrected_near_the_point(bearing, distance, expected):
    angle = 0.4 + math.radians(bearing)
    point = np.array([1.0 + distance * math.cos(angle), 2.0 + distance * math.sin(angle)])
    assert calm_step_towards(np.array([1.0, 2.0, 0.4]), point) is expected


def test_a_small_turn_is_made_where_going_on_ahead_has_failed():
    """The goal lies 12 degrees to the left."""
    pilot, pose = steered(OPEN, (4.0, 3.63)), np.array([1.0, 3.0, 0.0])
    pilot.observe(pose, None)
    assert pilot.propose(pose) == SpocAction.MOVE_AHEAD
    pilot.observe(pose, SpocAction.MOVE_AHEAD)
    assert pilot.propose(pose) == SpocAction.ROTATE_LEFT_SMALL


def test_the_nearest_of_several_goals_is_chosen():
    pilot = Pilot(floor_with((2.9, 0.0, 3.1, 5.0)))
    grid = pilot.grids()[0]
    cells = np.array([grid.nearest(goal) for goal in ((3.6, 1.0), (1.0, 3.0))])  # the first is near behind a wall
    pilot.steer_for(Course(grid, grid.tree_of(cells)))
    poses, _ = drive(pilot, (2.0, 1.0, 0.0))
    assert math.dist(poses[-1][:2], (1.0, 3.0)) <= 0.2


def test_a_place_that_is_on_no_map_is_driven_around():
    """Moves into a region fail although the map knows of nothing there; what failed once is not proposed again."""
    failures = []

    def blocks(pose, action):
        after = carried_out(pose, action)
        is_blocked = math.dist(after[:2], (3.0, 3.0)) < 0.3 and action.effect.forward_m != 0
        if is_blocked:
            failures.append((tuple(np.round(pose, 6)), action))
        return is_blocked

    pilot = steered(floor_with(), (5.0, 3.0))
    poses, _ = drive(pilot, (1.0, 3.0, 0.0), blocks=blocks)
    assert math.dist(poses[-1][:2], (5.0, 3.0)) <= 0.2
    assert failures
    assert len(set(failures)) == len(failures)


def test_proposals_do_not_depend_on_how_it_got_there():
    floor = floor_with((2.9, 0.0, 3.1, 4.5))
    poses, actions = drive(steered(floor, (5.0, 1.0)), (1.0, 1.0, 0.5))
    fresh = steered(floor, (5.0, 1.0))
    first = fresh.propose(poses[0])
    assert first == actions[0]
    elsewhere = np.array([5.0, 5.0, 1.0])
    assert fresh.propose(elsewhere) == steered(floor, (5.0, 1.0)).propose(elsewhere)


def test_asked_twice_at_one_place_it_says_the_same():
    pilot = steered(floor_with((2.9, 0.0, 3.1, 4.5)), (5.0, 1.0))
    pose = np.array([1.0, 1.0, 2.0])
    assert pilot.propose(pose) == pilot.propose(pose)


def test_it_leaves_an_obstacle_that_it_stands_in():
    floor = floor_with((1.1, 2.0, 1.6, 4.0))
    start = np.array([1.0, 3.0, 0.0])
    assert not floor.is_free(start)
    pilot = steered(floor, (0.4, 0.5))
    poses, said = [start], None
    for _ in range(60):
        pilot.observe(poses[-1], said)
        said = pilot.propose(poses[-1])
        if said is None:
            break
        poses.append(carried_out(poses[-1], said))  # the simulator lets it leave
    assert math.dist(poses[-1][:2], (0.4, 0.5)) <= 0.3


def test_without_a_way_it_says_so():
    floor = floor_with((2.9, 0.0, 3.1, 6.0))
    with pytest.raises(StuckError, match=r"\(1\.00, 1\.00\) is more than 0\.4 m"):
        steered(floor, (5.0, 1.0)).propose(np.array([1.0, 1.0, 0.0]))


def test_a_turn_goes_the_longer_way_round_a_post():
    """A body whose front reaches farther than its back, and would hit a post on its left."""
    floor = floor_with((3.12, 3.22, 3.17, 3.27), body="stretch")
    pilot, pose = Pilot(floor), np.array([3.0, 3.0, 0.0])
    assert not floor.is_free(np.array([3.0, 3.0, math.radians(60)]))
    said, turned = None, 0.0
    for _ in range(60):
        if abs(wrapped(math.radians(120) - pose[2])) <= math.radians(6):
            break
        pilot.observe(pose, said)
        said = pilot.turn_to(pose, math.radians(120), within_deg=6)
        assert floor.leads_free(pose, said)
        turned += said.effect.turn_deg
        pose = carried_out(pose, said)
    assert abs(wrapped(math.radians(120) - pose[2])) <= math.radians(6)
    assert turned < 0
    assert math.dist(pose[:2], (3.0, 3.0)) < 0.05


def test_a_failed_way_out_of_an_obstacle_is_not_tried_again():
    floor = floor_with((1.1, 2.0, 1.6, 4.0))
    pilot, pose, said, failed = steered(floor, (0.4, 0.5)), np.array([1.0, 3.0, 0.0]), None, set()
    for _ in range(4):
        pilot.observe(pose, said)
        said = pilot.propose(pose)
        assert said not in failed
        failed.add(said)  # nothing ever moves
