"""What the library's assets do in a world with a floor: rest, carry, open, and can be gripped.

The assets of a category share one model, metres apart: as good as alone, and quicker.
"""

import numpy as np
import pytest

from zoo.envs.assets.primitives import CATEGORIES, PrimitiveLibrary
from zoo.envs.scenes.physics import TIMESTEP_S, set_contact, set_options
from zoo.envs.simulator import mujoco

LIBRARY = PrimitiveLibrary()
NAMES = [category.name for category in CATEGORIES]
OPENING = sorted({facts.category for facts in LIBRARY.facts().values() if facts.articulations})
LOOSE = [category.name for category in CATEGORIES if not category.is_static]
CARRYING = sorted({facts.category for facts in LIBRARY.facts().values() if facts.surfaces})
APART_M = 6.0
FORCE = 20.0  # N or N m, of the articulation gate
CUBE_M = 0.02


def steps(seconds: float) -> int:
    return round(seconds / TIMESTEP_S)


def world(facts, *, is_free: bool, scale: float = 1.0) -> mujoco.MjSpec:
    """All assets in a row on a floor, called by their uids."""
    spec = mujoco.MjSpec()
    set_options(spec)
    floor = spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=(200, 200, 1), name="floor")
    set_contact(floor, "structure")
    for index, item in enumerate(facts):
        pose = {"position_m": (APART_M * index, 0.0, 0.0), "quat_wxyz": (1.0, 0.0, 0.0, 0.0)}
        LIBRARY.asset(item.uid).add_to(spec.worldbody, item.uid, is_free=is_free, scale=scale, **pose)
    return spec


def run(model, data, seconds: float) -> None:
    for _ in range(steps(seconds)):
        mujoco.mj_step(model, data)
    assert not data.warning.number.any()


def tilt(quat_wxyz: np.ndarray) -> float:
    """Angle between a body's z and up, radians."""
    return float(np.arccos(np.clip(1 - 2 * (quat_wxyz[1] ** 2 + quat_wxyz[2] ** 2), -1, 1)))


@pytest.mark.parametrize("category", LOOSE)
def test_it_stays_where_it_is_put(category):
    facts = LIBRARY.of(category=category)
    model = world(facts, is_free=True).compile()
    data = mujoco.MjData(model)
    run(model, data, 1.0)
    for index, item in enumerate(facts):
        body = data.body(item.uid)
        assert np.linalg.norm(body.xpos - (APART_M * index, 0, 0)) < 0.02, item.uid
        assert tilt(body.xquat) < 0.05, item.uid
        # A ball may still creep; nothing else moves.
        assert np.linalg.norm(data.joint(f"{item.uid}/free").qvel[:3]) < 0.02, item.uid
        for articulation in item.articulations:
            opened = data.joint(f"{item.uid}/{articulation.joint}").qpos[0] / articulation.range[1]
            assert abs(opened) < 0.02, articulation.joint


@pytest.mark.parametrize("category", ["apple", "tennis ball", "basketball", "can"])
def test_what_is_rolled_comes_to_rest(category):
    facts = LIBRARY.of(category=category)
    model = world(facts, is_free=True).compile()
    data = mujoco.MjData(model)
    for item in facts:
        data.joint(f"{item.uid}/free").qvel[1] = 0.3
    run(model, data, 4.0)
    assert np.abs(data.qvel).max() < 0.02


@pytest.mark.parametrize("category", CARRYING)
def test_surfaces_are_where_they_are_said_to_be(category):
    """Rays down from the corners and the middle of each surface meet it; rays up meet nothing below its clearance."""
    facts = LIBRARY.of(category=category)
    model = world(facts, is_free=False).compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    hit, up = np.zeros(1, np.int32), np.array([0.0, 0.0, 1.0])
    for item in facts:
        for surface in item.surfaces:
            middle = data.body(f"{item.uid}/{surface.body}" if surface.body else item.uid).xpos + surface.centre_m
            for x, y in ((0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)):
                half = np.array([*surface.size_m, 0.0]) / 2 - (0.005, 0.005, 0.0)
                start = middle + half * (x, y, 0) + 0.004 * up
                below = mujoco.mj_ray(model, data, start, -up, None, 1, -1, hit)
                assert below == pytest.approx(0.004, abs=0.002), (item.uid, surface.name)
                above = mujoco.mj_ray(model, data, start, up, None, 1, -1, hit)
                assert above < 0 or above + 0.004 >= surface.clearance_m - 0.002, (item.uid, surface.name)


@pytest.mark.parametrize("category", CARRYING)
def test_a_cube_rests_on_each_surface(category):
    facts = LIBRARY.of(category=category)
    spec = world(facts, is_free=False)
    places = {}
    for index, item in enumerate(facts):
        for surface in item.surfaces:
            anchor = spec.body(f"{item.uid}/{surface.body}").pos if surface.body else np.zeros(3)
            name = f"{item.uid} {surface.name}"
            places[name] = anchor + surface.centre_m + (APART_M * index, 0, CUBE_M / 2)
            cube = spec.worldbody.add_body(name=name, pos=places[name] + (0, 0, 0.005))
            cube.add_freejoint()
            geom = cube.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[CUBE_M / 2] * 3)
            set_contact(geom, "dynamic")
    model = spec.compile()
    data = mujoco.MjData(model)
    run(model, data, 0.5)
    for name, place in places.items():
        assert np.linalg.norm(data.body(name).xpos - place) < 0.01, name


@pytest.mark.parametrize("category", OPENING)
def test_a_small_force_opens_and_closes_it_and_it_stays_where_it_is_left(category):
    facts = LIBRARY.of(category=category)
    model = world(facts, is_free=False).compile()
    data = mujoco.MjData(model)
    ends = model.jnt_range[:, 1]
    assert model.njnt == model.nv == sum(len(item.articulations) for item in facts)
    for force, goal in ((FORCE, 1.0), (-FORCE, 0.0)):
        data.qfrc_applied[:] = force
        run(model, data, 2.0)
        beyond = np.sign(force) * (data.qpos / ends - goal)  # 20 N m bend the end stop of a jewellery box's lid
        assert beyond.min() > -0.02
        assert beyond.max() < 0.1
        data.qfrc_applied[:] = 0.0
        run(model, data, 0.5)
        np.testing.assert_allclose(data.qpos / ends, goal, atol=0.02)
    for share in (0.1, 0.5, 0.9):
        data.qpos[:], data.qvel[:] = share * ends, 0.0
        run(model, data, 1.0)
        np.testing.assert_allclose(data.qpos / ends, share, atol=0.01)


@pytest.mark.parametrize("scale", [0.8, 1.3])
@pytest.mark.parametrize("category", ["box with lid", "laptop", "toilet", "storage chest"])
def test_a_scaled_lid_stays_where_it_is_left(category, scale):
    model = world(LIBRARY.of(category=category), is_free=False, scale=scale).compile()
    data = mujoco.MjData(model)
    data.qpos[:] = 0.4 * model.jnt_range[:, 1]
    run(model, data, 1.0)
    np.testing.assert_allclose(data.qpos / model.jnt_range[:, 1], 0.4, atol=0.01)


@pytest.mark.parametrize("category", OPENING)
def test_fingers_fit_around_each_handle(category):
    """Two balls as thick as a finger touch nothing on both sides of the handle's middle."""
    facts = LIBRARY.of(category=category)
    spec = world(facts, is_free=False)
    finger_m = 0.007
    fingers = [spec.worldbody.add_body(name=f"finger{i}", mocap=True) for i in range(2)]
    for finger in fingers:
        finger.add_geom(name=finger.name, type=mujoco.mjtGeom.mjGEOM_SPHERE, size=(finger_m, 0, 0))
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    tips = [model.geom(f"finger{i}").id for i in range(2)]
    for item in facts:
        own = [g for g in range(model.ngeom) if model.geom(g).name.startswith(f"{item.uid}/")]
        for articulation in item.articulations:
            handle = model.geom(f"{item.uid}/{articulation.handle}").id
            half = model.geom_aabb[handle, 3:]
            axis = int(np.argmin(half)) if len(set(half.round(4))) > 1 else 2
            if half[0] == pytest.approx(half[2]):
                axis = 2  # of a bar from left to right above and below, not behind it
            elif half[0] == pytest.approx(half[1]):
                axis = 1
            assert 2 * half[axis] <= 0.04, articulation.handle
            for side, tip in zip((-1, 1), tips, strict=True):
                data.geom_xpos[tip] = data.geom_xpos[handle]
                data.geom_xpos[tip][axis] += side * (half[axis] + finger_m + 0.002)
            for tip in tips:
                gaps = [mujoco.mj_geomDistance(model, data, tip, g, 1.0, None) for g in own]
                assert min(gaps) > 0.001, (item.uid, articulation.handle)


@pytest.mark.parametrize("category", OPENING)
def test_no_part_rubs_on_another_on_its_way(category):
    """Contact classes would hide it: a drawer may pass through its carcass."""
    facts = LIBRARY.of(category=category)
    model = world(facts, is_free=False).compile()
    data = mujoco.MjData(model)
    for share in (0.0, 0.3, 0.7, 1.0):
        data.qpos[:] = share * model.jnt_range[:, 1]
        mujoco.mj_forward(model, data)
        for joint in range(model.njnt):
            body = model.jnt_bodyid[joint]
            root = model.body_rootid[body]
            moving = [g for g in np.flatnonzero(model.geom_bodyid == body) if model.geom_conaffinity[g]]
            still = [g for g in np.flatnonzero(model.geom_bodyid == root) if model.geom_conaffinity[g]]
            gap = min(mujoco.mj_geomDistance(model, data, a, b, 1.0, None) for a in moving for b in still)
            assert gap > (0.0029 if share == 0 else 0), (model.joint(joint).name, share, gap)
