"""Pictures of scenes: where views are taken from, and what is where in them."""

import math

import numpy as np
import pytest
from box_house import LIBRARIES, house, thing

from zoo.envs.scenes.pictures import PLAN_PX, VIEW_PX, bounds_m, picture, viewpoints
from zoo.envs.scenes.sources import SceneSources, SpecifiedScene

RED = (1.0, 0.0, 0.0, 1.0)


def opened(*objects, **fields):
    return SpecifiedScene(scene=house(objects, **fields), libraries=LIBRARIES)


def views_of(scene, count=5):
    model = scene.build(with_ceiling=True).compile()
    data = scene.start(model)
    plan = scene.plan(model, data)
    return plan, viewpoints(model, data, plan, count)


def test_every_room_is_looked_at_from_its_own_floor():
    plan, views = views_of(opened(thing("table", "table", 2.0, 2.0, room="kitchen", is_static=True)))
    assert sorted(view.room for view in views) == ["bedroom", "kitchen"]
    for view in views:
        assert plan.room_at(view.position_m) == view.room
        assert plan.dilated(0.25).is_free(view.position_m)
        ahead = np.array(view.position_m) + 2.0 * np.array([math.cos(view.yaw), math.sin(view.yaw)])
        assert plan.room_at(ahead) == view.room  # 2 m of 4: not at a wall, and not through the door


def test_a_view_does_not_end_at_what_stands_before_it():
    """A wall of crates across the room: one looks away from it, or from its far side."""
    crates = [thing(f"crate{i}", "crate", 2.0, 0.3 + 0.42 * i, room="kitchen", scale=1.0) for i in range(9)]
    tall = [thing(f"upper{i}", "crate", 2.0, 0.3 + 0.42 * i, 0.4 * k, room="kitchen") for i in range(9) for k in (1,)]
    _, views = views_of(opened(*crates, *tall))
    kitchen = next(view for view in views if view.room == "kitchen")
    x, _ = kitchen.position_m
    along = abs(math.sin(kitchen.yaw))
    assert along > abs(math.cos(kitchen.yaw)) or (x - 2.0) * math.cos(kitchen.yaw) > 0


def test_fewer_views_than_rooms_are_of_the_largest():
    _, views = views_of(opened(), 1)
    assert len(views) == 1
    assert views_of(opened(), 0)[1] == ()


def test_bounds_are_those_of_the_rooms_with_a_margin():
    plan, _ = views_of(opened(), 0)
    low, high = bounds_m(plan)
    np.testing.assert_allclose(low, (-0.25, -0.25), atol=0.02)  # cells of 1 cm
    np.testing.assert_allclose(high, (8.25, 4.25), atol=0.02)


@pytest.mark.render
def test_the_plan_has_x_to_the_right_and_y_up():
    table = thing("table", "table", 6.0, 3.0, room="bedroom", is_static=True, colours={"top": RED})
    drawn = picture(opened(table), views=0)
    assert drawn.height == PLAN_PX[1]
    assert drawn.width <= PLAN_PX[0]
    pixels = np.asarray(drawn).astype(int)
    px_per_m = drawn.width / 8.5

    def at(x, y):
        return pixels[
            int(drawn.height / 2 - (y - 2.0) * px_per_m), int(drawn.width / 2 + (x - 4.0) * px_per_m)
        ].tolist()

    def is_red(colour):
        return colour[0] > 2 * max(colour[1:])

    assert is_red(at(6.0, 3.0))
    assert not is_red(at(6.0, 1.0))
    assert not is_red(at(2.0, 3.0))
    assert pixels[0, 0].tolist() == [255, 255, 255]  # outside
    assert min(at(0.5, 0.5)) > 60  # a lit floor, not the back of a ceiling


@pytest.mark.render
def test_views_stand_beside_the_plan(tmp_path):
    drawn = picture(opened(), views=2)
    plan = picture(opened(), views=0)
    assert drawn.size == (plan.width + VIEW_PX[0], PLAN_PX[1])
    views = np.asarray(drawn)[:, plan.width :]
    for view in np.split(views, 2):
        assert view.std() > 10  # something is seen
    (tmp_path / "lab.xml").write_text(
        '<mujoco><worldbody><geom type="plane" size="3 3 .1"/><light pos="0 0 5"/>'
        '<body name="post" pos="1 0 .5"><geom type="box" size=".2 .2 .5"/></body></worldbody></mujoco>'
    )
    model = picture(SceneSources().open(str(tmp_path / "lab.xml")), views=2)  # no rooms: one view of all
    assert model.height == PLAN_PX[1]
