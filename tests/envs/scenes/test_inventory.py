"""Inventories: whose body is whose, what is free, how large things are."""

import math

import numpy as np
import pytest
from box_house import LIBRARIES, house, thing

from zoo.envs.scenes.compile import compile_scene, start_state
from zoo.envs.scenes.inventory import NOBODY, Inventory, geom_boxes
from zoo.envs.simulator import mujoco
from zoo.errors import DataError


@pytest.fixture(scope="module")
def inventory():
    scene = house(
        [
            thing("cabinet", "cabinet", 6.0, 3.0, yaw=0.7, is_static=True, joints={"slide": 0.1}),
            thing("mug", "mug", 1.0, 3.0),
        ]
    )
    return Inventory.of_scene(scene, compile_scene(scene, LIBRARIES))


def test_items_are_objects_and_doors(inventory):
    assert [item.name for item in inventory.items] == ["cabinet", "mug", "door"]
    assert [item.is_free for item in inventory.items] == [False, True, False]
    assert [item.is_door for item in inventory.items] == [False, False, True]
    assert [[inventory.joint_name(j) for j in item.joints] for item in inventory.items] == [
        ["cabinet/slide"],
        [],
        ["door/hinge"],
    ]
    assert inventory.items[1].mass_kg == pytest.approx(500 * math.pi * 0.04**2 * 0.1)


def test_every_geom_has_an_owner_or_is_the_houses(inventory):
    model = inventory.model
    for number, name in enumerate(["cabinet", "mug", "door"]):
        own = [model.geom(i).name for i in range(model.ngeom) if inventory.owner_of_geom(i) == number]
        assert own
        assert all(geom.startswith(f"{name}/") for geom in own)
    floor, slab = (model.geom(name).id for name in ("floor", "east/0/both"))
    assert inventory.owner_of_geom(floor) == inventory.owner_of_geom(slab) == NOBODY
    assert (inventory.name_of_geom(floor), inventory.name_of_geom(slab)) == ("floor", "east")
    assert inventory.name_of_geom(model.geom("cabinet/front").id) == "cabinet"


def test_boxes_are_along_the_objects_axes_with_joints_where_they_begin(inventory):
    cabinet = inventory.items[0]
    # 0.5 m deep, a drawer's handle that reaches 0.29 m from the middle, and 0.1 m further when drawn out
    np.testing.assert_allclose(cabinet.centre_m - cabinet.half_m, [-0.25, -0.3, 0.0], atol=1e-9)
    np.testing.assert_allclose(cabinet.centre_m + cabinet.half_m, [0.39, 0.3, 0.5], atol=1e-9)
    np.testing.assert_allclose(2 * inventory.items[1].half_m, [0.08, 0.08, 0.1], atol=1e-9)
    inside = np.array([6.0, 3.0, 0.25])
    assert inventory.holds(0, inventory.start, inside)
    assert not inventory.holds(0, inventory.start, inside + np.array([0, 0, 0.3]))


def test_world_boxes_hold_their_geoms(inventory):
    low, high = geom_boxes(inventory.model, inventory.start, np.array([inventory.model.geom("mug/body").id]))
    np.testing.assert_allclose([low[0], high[0]], [[0.96, 2.96, 0.0], [1.04, 3.04, 0.1]], atol=1e-9)


def test_another_scenes_model_is_refused():
    model = compile_scene(house(), LIBRARIES)
    data = mujoco.MjData(model)
    with pytest.raises(DataError, match=r"'flat': the model has no body 'sofa'; compile this scene"):
        Inventory(model, data, objects=["sofa"], name="flat")
    other = house([thing("mug", "mug", 1.0, 1.0)])
    with pytest.raises(DataError, match=r"no body 'mug'"):
        Inventory.of_scene(other, model)
    assert start_state(model, other).time == 0.0
