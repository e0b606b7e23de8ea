"""The walker's rules one by one, and whole walks of a kinematic agent with noise through mazes."""

import math
from collections import Counter

import numpy as np
import pytest

from zoo.envs.kinematics.poses import wrapped
from zoo.envs.navigation.occupancy import OccupancyMap
from zoo.envs.navigation.paths import Router
from zoo.envs.navigation.walker import (
    Walker,
    arm_step,
    bearing_deg,
    has_moved,
    is_at,
    step_towards,
    turn_towards,
)
from zoo.navigation_actions import SpocAction

A = SpocAction
CELL_M = 1.2  # of a maze
PX_PER_M = 20
BODY_M = 0.2
PLAN_M = 0.3
NOISE_M = 0.01
NOISE_RAD = math.radians(0.5)


class Toy:
    """A disc that does what it is told, with noise, unless a wall is in its way: then it stays where it is."""

    def __init__(self, occupancy: OccupancyMap, pose, rng: np.random.Generator, noise: float = 1.0) -> None:
        self.dilated, self.pose, self.rng, self.noise = occupancy.dilated(BODY_M), tuple(pose), rng, noise
        self.travelled = 0.0
        self.collisions = 0

    def step(self, action: SpocAction) -> None:
        x, y, yaw = self.pose
        effect = action.effect
        forward = effect.forward_m and effect.forward_m + self.noise * self.rng.normal(0, NOISE_M)
        turn = effect.turn_deg and math.radians(effect.turn_deg) + self.noise * self.rng.normal(0, NOISE_RAD)
        place = (x + forward * math.cos(yaw), y + forward * math.sin(yaw))
        if not self.dilated.is_free(place):
            self.collisions += 1
            return
        self.travelled += abs(forward)
        self.pose = (*place, wrapped(yaw + turn))


def open_field(metres: float = 12.0) -> OccupancyMap:
    size = int(metres * PX_PER_M)
    return maze_map(np.zeros((size, size), bool))


def maze_map(blocked: np.ndarray) -> OccupancyMap:
    """Cell (0, 0) begins at the world's origin; rows run along +y here."""
    return OccupancyMap(
        blocked=blocked,
        rooms=np.zeros(blocked.shape, np.uint8),
        world_to_map=np.array([[0, PX_PER_M, 0, 0], [PX_PER_M, 0, 0, 0]], float),
        map_to_world=np.array([[0, 1 / PX_PER_M, 0], [1 / PX_PER_M, 0, 0], [0, 0, 0]]),
        px_per_m=PX_PER_M,
    )


def maze(cells: int, rng: np.random.Generator) -> OccupancyMap:
    """A spanning tree of square cells with thin walls between those that are not joined, and a few loops."""
    edge = int(CELL_M * PX_PER_M)
    size = cells * edge + 2
    blocked = np.zeros((size, size), bool)
    for line in range(cells + 1):
        blocked[line * edge : line * edge + 2] = True
        blocked[:, line * edge : line * edge + 2] = True
    joined, seen, stack = set(), {(0, 0)}, [(0, 0)]
    while stack:
        row, column = stack[-1]
        neighbours = [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
        fresh = [n for n in neighbours if n not in seen and min(n) >= 0 and max(n) < cells]
        if not fresh:
            stack.pop()
            continue
        chosen = fresh[rng.integers(len(fresh))]
        joined.add((min((row, column), chosen), max((row, column), chosen)))
        seen.add(chosen)
        stack.append(chosen)
    for row in range(cells - 1):
        for column in range(cells - 1):
            if rng.random() < 0.15:
                joined.add(((row, column), (row, column + 1)))
    for (row, column), (other_row, _) in joined:
        if other_row > row:
            blocked[(row + 1) * edge : (row + 1) * edge + 2, column * edge + 2 : (column + 1) * edge] = False
        else:
            blocked[row * edge + 2 : (row + 1) * edge, (column + 1) * edge : (column + 1) * edge + 2] = False
    return maze_map(blocked)


def walk(toy: Toy, walker: Walker, limit: int = 600) -> list[SpocAction]:
    """Actions until done."""
    taken = []
    while len(taken) < limit:
        taken.append(walker.act(toy.pose))
        if taken[-1] is A.DONE:
            return taken
        toy.step(taken[-1])
    raise AssertionError(f"not done after {limit} actions, at {toy.pose}: {Counter(taken)}")


def fewest_actions(points: np.ndarray, yaw: float) -> int:
    """Lower bound for the rules on exact legs: turn within 10 degrees, drive within the tolerance, say done."""
    total, here = 1, points[0]
    for corner in points[1:]:
        turn = abs(math.degrees(wrapped(math.atan2(*(corner - here)[::-1]) - yaw)))
        best = min(large + math.ceil(max(abs(turn - 30 * large) - 10, 0) / 6 - 1e-9) for large in range(7))
        total += best + max(math.ceil((math.dist(here, corner) - 0.19) / 0.2 - 1e-9), 0)
        yaw, here = math.atan2(*(corner - here)[::-1]), corner
    return total


@pytest.mark.parametrize(
    ("bearing", "distance", "expected"),
    [
        (0.0, 1.0, A.MOVE_AHEAD),
        (9.9, 1.0, A.MOVE_AHEAD),
        (-9.9, 1.0, A.MOVE_AHEAD),
        (10.1, 1.0, A.ROTATE_LEFT_SMALL),
        (-14.9, 1.0, A.ROTATE_RIGHT_SMALL),
        (15.1, 1.0, A.ROTATE_LEFT),
        (-170.0, 0.2, A.ROTATE_RIGHT),
        (179.0, 0.24, A.MOVE_BACK),
        (-179.0, 0.24, A.MOVE_BACK),
        (179.0, 0.26, A.ROTATE_LEFT),
        (177.0, 0.2, A.ROTATE_LEFT),
    ],
)
def test_rules_by_bearing_and_distance(bearing, distance, expected):
    pose = (2.0, -1.0, 0.7)
    angle = pose[2] + math.radians(bearing)
    point = (pose[0] + distance * math.cos(angle), pose[1] + distance * math.sin(angle))
    assert bearing_deg(pose, point) == pytest.approx(bearing)
    assert step_towards(pose, point) is expected


def test_tolerances_are_along_each_axis():
    assert is_at((0.0, 0.0, 0.0), (0.134, -0.134))
    assert not is_at((0.0, 0.0, 0.0), (0.135, 0.0))


@pytest.mark.parametrize(
    ("action", "after", "expected"),
    [
        (A.MOVE_AHEAD, (0.02, 0.0, 0.0), True),
        (A.MOVE_BACK, (0.009, 0.0, 0.3), False),
        (A.ROTATE_LEFT_SMALL, (0.0, 0.0, math.radians(2.1)), True),
        (A.ROTATE_RIGHT, (0.5, 0.0, math.radians(1.9)), False),
        (A.PICKUP, (0.0, 0.0, 0.0), True),
    ],
)
def test_an_action_counts_when_the_state_changed(action, after, expected):
    assert has_moved(action, (0.0, 0.0, 0.0), after) is expected


def test_a_turn_across_the_back_counts():
    assert has_moved(A.ROTATE_LEFT, (0, 0, math.pi - 0.1), (0, 0, -math.pi + 0.1))
    assert turn_towards(-5.1) is A.ROTATE_RIGHT_SMALL


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ((0.3, 0.3, 50.0), A.MOVE_ARM_UP),
        ((0.1, 0.3, 50.0), A.MOVE_ARM_UP_SMALL),
        ((0.05, 0.3, 50.0), A.MOVE_ARM_OUT),
        ((-0.3, 0.06, 50.0), A.MOVE_ARM_OUT_SMALL),
        ((-0.3, -0.3, 5.1), A.WRIST_CLOSE),
        ((-0.3, -0.3, -6.0), A.WRIST_OPEN),
        ((-0.3, -0.3, 5.0), A.MOVE_ARM_IN),
        ((-0.3, -0.06, 0.0), A.MOVE_ARM_IN_SMALL),
        ((-0.3, 0.0, 0.0), A.MOVE_ARM_DOWN),
        ((-0.06, 0.0, 0.0), A.MOVE_ARM_DOWN_SMALL),
        ((0.05, -0.05, 5.0), None),
    ],
)
def test_priorities_of_the_arm(gaps, expected):
    assert arm_step(*gaps) is expected


@pytest.mark.parametrize("yaw_deg", [0.0, 15.0, -15.0, 45.0, 75.0, 180.0])
def test_exact_multiples_do_not_swing(yaw_deg):
    rng = np.random.default_rng(0)
    toy = Toy(open_field(), (2.0, 6.0, math.radians(yaw_deg)), rng, noise=0.0)
    taken = walk(toy, Walker(waypoints_m=np.array([(2.0, 6.0), (4.0, 6.0)]), rng=rng))
    assert is_at(toy.pose, (4.0, 6.0))
    assert len(taken) <= 10 + 9


def test_looks_at_the_target_before_done():
    rng = np.random.default_rng(0)
    toy = Toy(open_field(), (2.0, 6.0, 0.0), rng)
    walk(toy, Walker(waypoints_m=np.array([(3.0, 6.0)]), rng=rng, facing_m=(3.0, 9.0)))
    assert abs(bearing_deg(toy.pose, (3.0, 9.0))) <= 5.0


def test_a_step_too_far_is_taken_back():
    rng = np.random.default_rng(0)
    toy = Toy(open_field(), (2.0, 6.0, 0.0), rng, noise=0.0)
    taken = walk(toy, Walker(waypoints_m=np.array([(1.8, 6.0)]), rng=rng))
    assert taken == [A.MOVE_BACK, A.DONE]


def test_walks_through_mazes_take_few_actions_more_than_needed():
    shares, walks = [], 0
    for seed in range(25):
        rng = np.random.default_rng(seed)
        occupancy = maze(5, rng)
        cells = rng.integers(0, 5, (2, 2))
        if (cells[0] == cells[1]).all():
            continue
        start, goal = (cells + 0.5) * CELL_M + 0.05
        router = Router(occupancy=occupancy, radii_m=(PLAN_M,), factor=1)
        route, yaw = router.route(start, goal), float(rng.uniform(-math.pi, math.pi))
        toy = Toy(occupancy, (*start, yaw), rng)
        walker = Walker(waypoints_m=route.points_m, rng=rng)
        taken = walk(toy, walker)
        assert is_at(toy.pose, goal)
        assert toy.collisions == 0
        assert walker.blacklist_m == []
        needed = fewest_actions(route.points_m, yaw)
        shares.append(len(taken) / needed)
        assert len(taken) <= 1.7 * needed + 5
        assert toy.travelled <= route.length_m * 1.15 + 0.4
        walks += 1
    assert walks > 20
    # The bound knows no noise and no bearing that drifts on the way; 6 degree corrections make the rest.
    assert np.mean(shares) < 1.35


def test_the_same_seed_walks_the_same():
    runs = []
    for _ in range(2):
        rng = np.random.default_rng(7)
        occupancy = maze(4, rng)
        points = Router(occupancy=occupancy, radii_m=(PLAN_M,), factor=1).route((0.65, 0.65), (4.25, 4.25)).points_m
        toy = Toy(occupancy, (0.65, 0.65, 0.0), rng)
        runs.append((walk(toy, Walker(waypoints_m=points, rng=rng)), toy.pose))
    assert runs[0] == runs[1]


def hidden_box() -> OccupancyMap:
    blocked = open_field(6.0).blocked.copy()
    blocked[50:70, 54:66] = True  # rows along y: 2.5 to 3.5 m, columns along x: 2.7 to 3.3 m
    return maze_map(blocked)


def test_obstacles_that_the_map_lacks_are_walked_around():
    known, real = open_field(6.0), hidden_box()
    start, goal = (1.0, 3.0), (5.0, 3.0)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        router = Router(occupancy=known, radii_m=(PLAN_M,), factor=1)
        asked = []

        def replan(pose, blacklist, router=router, asked=asked):
            asked.append(tuple(blacklist))
            return router.avoiding(blacklist).route(pose[:2], goal).points_m

        toy = Toy(real, (*start, 0.0), rng)
        walker = Walker(waypoints_m=router.route(start, goal).points_m, rng=rng, replan=replan, max_replans=30)
        walk(toy, walker)
        assert is_at(toy.pose, goal)
        assert 1 <= len(asked) == len(walker.blacklist_m)
        assert [len(places) for places in asked] == list(range(1, len(asked) + 1))


def scripted(walker: Walker, poses) -> list[SpocAction]:
    return [walker.act(pose) for pose in poses]


def test_a_failed_step_is_undone_and_planned_anew():
    asked = []

    def replan(pose, blacklist):
        asked.append((tuple(pose), list(blacklist)))
        return np.array([(0.0, 5.0)])

    walker = Walker(waypoints_m=np.array([(5.0, 0.0)]), rng=np.random.default_rng(0), replan=replan)
    assert scripted(walker, [(0, 0, 0)]) == [A.MOVE_AHEAD]
    assert not walker.is_recovering
    assert scripted(walker, [(0, 0, 0)]) == [A.MOVE_BACK]
    assert walker.is_recovering
    assert asked == []
    assert scripted(walker, [(-0.2, 0, 0)]) == [A.ROTATE_LEFT]  # towards the new waypoint
    assert not walker.is_recovering
    assert asked == [((-0.2, 0, 0), [(0.0, 0.0)])]


def test_a_failed_turn_is_turned_back_and_stepped_back():
    walker = Walker(waypoints_m=np.array([(0.0, 5.0)]), rng=np.random.default_rng(0))
    assert scripted(walker, [(0, 0, 0), (0, 0, 0), (0, 0, -0.5), (-0.2, 0, -0.5)]) == [
        A.ROTATE_LEFT,
        A.ROTATE_RIGHT,
        A.MOVE_BACK,
        A.ROTATE_LEFT,
    ]


def test_an_agent_that_cannot_move_tries_at_random_and_gives_up():
    walker = Walker(waypoints_m=np.array([(5.0, 0.0)]), rng=np.random.default_rng(0), max_replans=2)
    taken = scripted(walker, [(0.0, 0.0, 0.0)] * 60)
    first = taken[: taken.index(A.MOVE_AHEAD, 1)]
    assert first[:2] == [A.MOVE_AHEAD, A.MOVE_BACK]
    assert len(first) == 2 + 5  # five random moves
    assert set(first[2:]) <= {A.MOVE_BACK, A.ROTATE_LEFT, A.ROTATE_RIGHT}
    assert walker.has_given_up
    assert len(walker.blacklist_m) == 3
    assert taken[-1] is A.DONE
    assert taken.index(A.DONE) == 3 * 7


def test_random_moves_come_in_the_given_shares():
    rng = np.random.default_rng(1)
    counts = Counter()
    for _ in range(200):
        walker = Walker(waypoints_m=np.array([(5.0, 0.0)]), rng=rng)
        counts.update(scripted(walker, [(0.0, 0.0, 0.0)] * 7)[2:])
    total = sum(counts.values())
    assert total == 1000
    assert counts[A.MOVE_BACK] / total == pytest.approx(0.5, abs=0.05)
    assert counts[A.ROTATE_LEFT] / total == pytest.approx(0.25, abs=0.05)
