"""Maps of houses: what is blocked, rooms, frames, dilation, and the same house as a picture from above."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import ndimage

from zoo.envs.navigation.occupancy import MARGIN_M, build_map, door_bodies
from zoo.envs.scenes.specification import Scene
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError

WALL_M, ROOM_M, DOOR_M = 0.1, 3.0, 0.9  # of the house in conftest


def test_walls_block_and_doorways_are_free(house):
    scene, model, data = house(2, 1)
    occupancy = build_map(model, data, scene=scene)
    assert occupancy.is_free([(1.0, 1.0), (3.0, 1.5), (4.0, 2.5)]).all()  # a room, the doorway, the other room
    assert not occupancy.is_free([(3.0, 0.5), (0.0, 1.0), (3.0, 2.5)]).any()  # walls
    assert not occupancy.is_free([(-0.2, 1.0), (1.0, 3.2), (99.0, 99.0)]).any()  # outside, and beyond the map
    free_m2 = (~occupancy.blocked).sum() * occupancy.cell_m**2
    inside = 2 * (ROOM_M - WALL_M) ** 2 + DOOR_M * WALL_M
    assert free_m2 == pytest.approx(inside, abs=1e-9)  # walls end on whole centimetres, so cells are exact


def test_rooms_have_ids_in_the_scenes_order(house):
    scene, model, data = house(2, 2)
    occupancy = build_map(model, data, scene=scene)
    assert list(occupancy.room_names.items()) == [(index + 1, room.name) for index, room in enumerate(scene.rooms)]
    assert occupancy.room_at((1.0, 1.0)) == "room_0_0"
    assert occupancy.room_at((4.0, 1.0)) == "room_1_0"
    assert occupancy.room_at((1.0, 4.0)) == "room_0_1"
    assert occupancy.room_at((-0.1, 1.0)) is None
    assert occupancy.room_at((50.0, 1.0)) is None
    counts = np.bincount(occupancy.rooms.ravel())[1:]
    assert (counts == (ROOM_M * occupancy.px_per_m) ** 2).all()


def test_world_and_map_agree(house):
    scene, model, data = house(2, 1)
    occupancy = build_map(model, data, scene=scene, px_per_m=50)
    cells = np.argwhere(occupancy.rooms > 0)
    points = occupancy.point_of(cells)
    np.testing.assert_array_equal(occupancy.cell_of(points), cells)
    homogeneous = np.concatenate([cells + 0.5, np.ones((len(cells), 1))], axis=1)
    world = homogeneous @ occupancy.map_to_world.T
    np.testing.assert_allclose(world[:, :2], points)
    assert (world[:, 2] == 0).all()
    back = np.concatenate([world, np.ones((len(cells), 1))], axis=1) @ occupancy.world_to_map.T
    np.testing.assert_allclose(back, cells + 0.5)
    np.testing.assert_allclose(points.min(axis=0), [0.01, 0.01])  # half a cell from the rooms' corner
    assert points[0, 1] > points[-1, 1]  # rows run down, as on a plan


@pytest.mark.parametrize(("height", "is_free"), [(0.04, True), (0.06, False)])
def test_low_things_are_driven_over(house, height, is_free):
    scene, model, data = house(
        1,
        1,
        furnish=lambda spec: spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.2, 0.2, height / 2], pos=[1, 1, height / 2]
        ),
    )
    assert build_map(model, data, scene=scene).is_free((1.0, 1.0)) == is_free


@pytest.mark.parametrize(("agent_height", "is_free"), [(1.0, True), (1.4, False)])
def test_the_agents_height_decides_what_hangs_above_it(house, agent_height, is_free):
    scene, model, data = house(
        1,
        1,
        furnish=lambda spec: spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.3, 0.2, 0.3], pos=[1, 1, 1.5]
        ),
    )
    assert build_map(model, data, scene=scene, agent_height_m=agent_height).is_free((1.0, 1.0)) == is_free


def test_doors_are_obstacles_at_their_angle_or_left_out(house):
    scene, model, data = house(2, 1, leaves=True)
    (name,) = door_bodies(model, scene)
    closed = build_map(model, data, scene=scene)
    assert not closed.is_free((3.0, 1.5))
    assert build_map(model, data, scene=scene, skip_bodies=[name]).is_free((3.0, 1.5))
    data.qpos[0] = math.pi / 2
    mujoco.mj_kinematics(model, data)
    opened = build_map(model, data, scene=scene)
    assert opened.is_free((3.0, 1.5))
    assert not opened.is_free((2.5, 1.05))  # the leaf stands in the room


def test_doors_of_published_houses_go_by_their_names(model_of):
    leaf = '<geom type="box" size="0.4 0.02 1" pos="0 0 1"/>'
    model, data = model_of(
        f'<body name="door_1">{leaf}<body name="leaf">{leaf}</body></body><body name="doorway_2">{leaf}</body>'
        f'<body name="shelf_door" pos="2 0 0">{leaf}</body>'
    )
    assert door_bodies(model) == ("door_1", "doorway_2")
    occupancy = build_map(model, data, skip_bodies=door_bodies(model))
    assert not occupancy.is_free((2.0, 0.0))
    assert occupancy.blocked.sum() == 80 * 4


def test_free_objects_are_where_the_state_says(model_of):
    model, data = model_of('<body name="box" pos="1 1 1"><freejoint/><geom type="box" size="0.1 0.1 0.1"/></body>')
    data.qpos[:3] = [3.0, 2.0, 0.1]
    mujoco.mj_kinematics(model, data)
    occupancy = build_map(model, data)
    assert occupancy.room_names == {}
    assert not occupancy.rooms.any()
    assert not occupancy.is_free((3.0, 2.0))
    np.testing.assert_allclose(occupancy.point_of(np.argwhere(occupancy.blocked)).mean(axis=0), [3.0, 2.0])


def test_dilation_is_the_clearance_below_the_radius(house):
    scene, model, data = house(2, 1)
    occupancy = build_map(model, data, scene=scene, px_per_m=10)
    blocked, free = np.argwhere(occupancy.blocked), np.argwhere(~occupancy.blocked)
    literal = np.full(occupancy.blocked.shape, 0.0)
    distance = np.sqrt(((free[:, None] - blocked[None]) ** 2).sum(-1)).min(axis=1) * occupancy.cell_m
    literal[tuple(free.T)] = distance
    np.testing.assert_allclose(occupancy.clearance_m(), literal)
    for radius in (0.0, 0.1, 0.35, 2.0):
        np.testing.assert_array_equal(occupancy.dilated(radius).blocked, literal <= radius)
    with pytest.raises(ConfigError, match="radius is -0.1 m"):
        occupancy.dilated(-0.1)


def test_beyond_the_map_is_blocked(map_of):
    open_plan = map_of("..... ..... .....")
    assert open_plan.clearance_m().min() == pytest.approx(open_plan.cell_m)
    np.testing.assert_array_equal(np.argwhere(~open_plan.dilated(0.1).blocked), [[1, 1], [1, 2], [1, 3]])


def test_a_coarser_map_keeps_places_and_obstacles(house, map_of):
    scene, model, data = house(2, 1)
    occupancy = build_map(model, data, scene=scene)
    coarse = occupancy.coarser(5)
    assert coarse.px_per_m == occupancy.px_per_m / 5
    cells = np.argwhere(occupancy.blocked)
    assert coarse.blocked[tuple((cells // 5).T)].all()
    assert coarse.blocked.sum() < len(cells) / 25 * 1.5  # and few others
    np.testing.assert_array_equal(coarse.cell_of(occupancy.point_of(cells)), cells // 5)
    np.testing.assert_allclose(coarse.point_of([3, 4]), occupancy.point_of([3 * 5 + 2, 4 * 5 + 2]))
    assert coarse.room_at((4.0, 1.0)) == "room_1_0"
    ragged = map_of("1111 1111 1111").coarser(3)
    np.testing.assert_array_equal(ragged.blocked, [[False, True]])  # the second is half beyond the map
    with pytest.raises(ConfigError, match="whole factor of 1 or more, got 0"):
        occupancy.coarser(0)


def test_the_same_scene_gives_the_same_bytes(house):
    first, second = (build_map(model, data, scene=scene) for scene, model, data in (house(2, 2), house(2, 2)))
    for name in ("blocked", "rooms", "world_to_map", "map_to_world"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"agent_height_m": 0.01}, "expected 0 <= clearance < height"),
        ({"floor_clearance_m": -0.1}, "expected 0 <= clearance < height"),
        ({"px_per_m": 0}, "at least 1 cell a metre"),
        ({"skip_bodies": ["robot"]}, "no body 'robot'"),
    ],
)
def test_bad_arguments(house, arguments, message):
    scene, model, data = house(1, 1)
    with pytest.raises(ConfigError, match=message):
        build_map(model, data, scene=scene, **arguments)


def test_an_empty_model_needs_a_scene(model_of, house):
    model, data = model_of('<geom type="plane" size="1 1 1"/>')
    with pytest.raises(ConfigError, match="nothing bounds the map"):
        build_map(model, data)
    scene: Scene = house(1, 1)[0]
    assert not build_map(model, data, scene=scene).dilated(1.4).blocked.all()


def test_more_rooms_than_ids(house, model_of):
    scene, model, data = house(1, 1)
    rooms = tuple(dataclasses.replace(scene.rooms[0], name=f"room_{index}") for index in range(256))
    with pytest.raises(ConfigError, match="256 rooms, a map holds at most 255"):
        build_map(model, data, scene=dataclasses.replace(scene, rooms=rooms, walls=()))


def test_arrays_must_fit_together(map_of):
    good = map_of("... ...")
    with pytest.raises(ConfigError, match=r"of one \(rows, columns\).*\(2, 2\)"):
        dataclasses.replace(good, rooms=np.zeros((2, 2), np.uint8))
    with pytest.raises(ConfigError, match="got uint8"):
        dataclasses.replace(good, blocked=good.blocked.astype(np.uint8))


def furnish_at_random(spec: mujoco.MjSpec) -> None:
    rng = np.random.default_rng(5)
    kinds = ("BOX", "SPHERE", "CAPSULE", "CYLINDER", "ELLIPSOID")
    for index in range(25):
        spec.worldbody.add_geom(
            type=getattr(mujoco.mjtGeom, f"mjGEOM_{kinds[index % 5]}"),
            size=rng.uniform(0.05, 0.25, 3),
            pos=[*rng.uniform(0.4, 2.6, 2), rng.uniform(0.3, 1.0)],
            quat=rng.normal(size=4),
        )


@pytest.mark.render
def test_a_picture_from_above_shows_the_same(house):
    from zoo.envs.rendering import OffscreenRenderer

    edge_m = ROOM_M + 2 * MARGIN_M

    def furnish(spec: mujoco.MjSpec) -> None:
        furnish_at_random(spec)
        middle = [ROOM_M / 2, ROOM_M / 2, 5.0]
        spec.worldbody.add_camera(pos=middle, proj=mujoco.mjtProjection.mjPROJ_ORTHOGRAPHIC, fovy=edge_m)

    scene, model, data = house(1, 1, furnish=furnish)
    occupancy = build_map(model, data, scene=scene)
    size = occupancy.blocked.shape[0]
    mujoco.mj_forward(model, data)
    with OffscreenRenderer(width=size, height=size) as renderer:
        renderer.bind(model)
        renderer.update(data)
        seen = renderer.geom_ids() > 0  # geom 0 is the ground
    assert seen.shape == occupancy.blocked.shape == (350, 350)
    inside = occupancy.rooms > 0
    assert 0.1 < (seen & inside).sum() / inside.sum() < 0.9
    # Pictures draw round shapes with facets and sample the middle of a cell; the map counts every touch.
    missed = seen & ~occupancy.blocked & inside
    assert missed.sum() < 0.001 * seen.sum()
    assert not (missed & ~ndimage.binary_dilation(occupancy.blocked)).any()
    assert not (occupancy.blocked & ~ndimage.binary_dilation(seen, np.ones((3, 3)), iterations=2) & inside).any()
