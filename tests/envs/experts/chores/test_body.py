import itertools
import math

import numpy as np
import pytest

from zoo import registry
from zoo.envs.experts.chores.body import Body, Floor, positions_along
from zoo.envs.navigation.occupancy import OccupancyMap
from zoo.envs.robots.ring_body import EmbodimentParams, RingCamera, draw_embodiment
from zoo.envs.robots.robot import Robot
from zoo.navigation_actions import SpocAction


def ring(size_m, pivot_m=(0.0, 0.0)) -> Robot:
    params = EmbodimentParams(size_m=size_m, pivot_m=pivot_m, cameras=(RingCamera(y_m=0.3, fovy_deg=60),))
    return registry.build("robot", "ring_body", body=params.to_json())


def empty_map(blocked=()):
    """4 by 4 m around the origin, cells of 5 cm."""
    occupancy = OccupancyMap(
        blocked=np.zeros((80, 80), bool),
        rooms=np.zeros((80, 80), np.uint8),
        world_to_map=np.array([[0.0, -20.0, 0.0, 40.0], [20.0, 0.0, 0.0, 40.0]]),
        map_to_world=np.array([[0.0, 0.05, -2.0], [-0.05, 0.0, 2.0], [0.0, 0.0, 1.0]]),
        px_per_m=20.0,
    )
    for point in blocked:
        occupancy.blocked[tuple(occupancy.cell_of(np.array(point)))] = True
    return occupancy


def test_the_outline_of_a_box_is_its_size_about_its_pivot():
    body = Body.of(ring((0.3, 0.8, 0.5), (0.1, -0.05)))  # RING: 0.3 wide, 0.5 deep, 0.1 to the right, 0.05 back
    np.testing.assert_allclose(body.low_m, (-0.05 - 0.25, -0.1 - 0.15), atol=1e-9)
    np.testing.assert_allclose(body.high_m, (-0.05 + 0.25, -0.1 + 0.15), atol=1e-9)
    assert body.height_m == pytest.approx(0.8)
    assert body.outer_radius_m == pytest.approx(math.hypot(0.3, 0.25))


def test_a_folded_stretch_is_little_wider_than_its_base():
    body = Body.of(registry.build("robot", "stretch"))
    assert body.high_m[0] == pytest.approx(0.165)
    assert -0.25 < body.low_m[1] < -0.17  # the arm is on its right
    assert body.height_m == pytest.approx(1.41)


@pytest.mark.parametrize("seed", range(20))
def test_radii_fall_from_the_circle_that_it_sweeps_and_never_below_half_its_width(seed):
    params = draw_embodiment(np.random.default_rng(seed))
    body = Body.of(registry.build("robot", "ring_body", body=params.to_json()))
    radii = body.radii_m
    assert radii[0] >= body.outer_radius_m
    assert all(large > small for large, small in itertools.pairwise(radii))
    assert radii[-1] >= (body.high_m[1] - body.low_m[1]) / 2 - 1e-9


def test_the_whole_outline_must_be_free():
    body = Body.of(ring((0.4, 0.8, 0.6)))  # 0.6 long, 0.4 wide
    floor = Floor(empty_map(blocked=[(0.0, 0.27)]), body)
    poses = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, math.pi / 2]])
    assert floor.is_free(poses).tolist() == [True, False]


def test_a_turn_is_tested_all_the_way():
    """Ahead and at 30 degrees nothing is in the way; in between a corner would hit."""
    body = Body.of(ring((0.4, 0.8, 0.4)))
    obstacle = 0.292 * np.array([math.cos(math.radians(60)), math.sin(math.radians(60))])
    floor = Floor(empty_map(blocked=[obstacle]), body)
    assert floor.is_free(np.zeros(3))
    assert floor.is_free(np.array([0.0, 0.0, math.radians(30)]))
    assert not floor.leads_free(np.zeros(3), SpocAction.ROTATE_LEFT)
    assert floor.leads_free(np.zeros(3), SpocAction.MOVE_BACK)


def test_positions_of_a_move():
    moved = positions_along(np.array([1.0, 2.0, math.pi / 2]), SpocAction.MOVE_AHEAD)
    np.testing.assert_allclose(moved[:, 1], 2.0 + np.array([0.2, 0.4, 0.6]) / 3)
    np.testing.assert_allclose(moved[:, 0], 1.0)
    turned = positions_along(np.zeros(3), SpocAction.ROTATE_RIGHT_SMALL)
    np.testing.assert_allclose(np.degrees(turned[:, 2]), (-2.0, -4.0, -6.0))
