"""Doors: positive opens whichever way they hang, nothing jams, both sides have a handle."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from box_house import LIBRARIES, door, house, wall

from zoo.envs.scenes.compile import compile_scene, start_state
from zoo.envs.scenes.doors import HANDLE_RADIUS_M, LEAF_GAP_M, LEAF_THICKNESS_M, joint_name
from zoo.envs.scenes.gate_limits import SHEET_LIMITS
from zoo.envs.scenes.specification import Leaf
from zoo.envs.simulator import mujoco

HANGINGS = list(itertools.product(("start", "end"), ("left", "right")))


def build(yaw: float = 0.3, **leaf):
    """A slanted wall with one door; returns the model, its start, and the wall's direction and left."""
    along, left = np.array([math.cos(yaw), math.sin(yaw)]), np.array([-math.sin(yaw), math.cos(yaw)])
    start = np.array([1.0, 1.0])
    slanted = wall("slanted", tuple(start), tuple(start + 3 * along), (None, None), [door(**leaf)])
    scene = house(walls=(slanted,))
    model = compile_scene(scene, LIBRARIES)
    return model, start_state(model, scene), along, left


def set_angle(model, data, angle: float) -> None:
    data.joint("door/hinge").qpos[0] = angle
    mujoco.mj_forward(model, data)


def wall_distance(model, data, geoms) -> float:
    walls = [i for i in range(model.ngeom) if model.geom(i).name.startswith("slanted/")]
    return min(mujoco.mj_geomDistance(model, data, a, b, 1.0, None) for a in geoms for b in walls)


@pytest.mark.parametrize(("hinge", "swing"), HANGINGS)
def test_positive_opens_to_the_side_of_the_swing(hinge, swing):
    model, data, along, left = build(hinge=hinge, swing=swing)
    leaf = data.geom("door/leaf")
    offset = leaf.xpos[:2] - np.array([1.0, 1.0])
    assert offset @ along == pytest.approx(1.0 + 0.45)  # closed: in the middle of its opening
    set_angle(model, data, math.pi / 2)
    offset = leaf.xpos[:2] - np.array([1.0, 1.0])
    side = 1 if swing == "left" else -1
    assert side * (offset @ left) == pytest.approx(0.06 + 0.445)  # out of the wall by half its width
    hinge_at = 1.0 + LEAF_GAP_M if hinge == "start" else 1.9 - LEAF_GAP_M
    assert abs(offset @ along - hinge_at) == pytest.approx(LEAF_THICKNESS_M / 2)
    assert model.joint("door/hinge").range.tolist() == [0.0, math.pi / 2]


@pytest.mark.parametrize(("hinge", "swing"), HANGINGS)
def test_the_leaf_never_touches_its_frame(hinge, swing):
    model, data, *_ = build(hinge=hinge, swing=swing, max_angle=math.pi)
    leaf = model.geom("door/leaf").id
    for angle in np.linspace(0, math.pi, 25):
        set_angle(model, data, angle)
        assert wall_distance(model, data, [leaf]) >= (LEAF_GAP_M - 1e-6 if angle == 0 else -1e-6)
    set_angle(model, data, 0.0)
    corner = data.geom("door/leaf").xpos[2] - model.geom("door/leaf").size[1]
    assert corner == pytest.approx(LEAF_GAP_M)  # above the floor


@pytest.mark.parametrize(("hinge", "swing"), HANGINGS)
def test_handles_stand_off_both_faces_at_their_height(hinge, swing):
    model, data, along, left = build(hinge=hinge, swing=swing, handle_height_m=0.95)
    bars = {face: data.geom(f"door/handle_{face}_bar") for face in ("left", "right")}
    leaf = data.geom("door/leaf")
    for face, towards in (("left", 1), ("right", -1)):
        offset = bars[face].xpos - leaf.xpos
        free = towards * (offset[:2] @ left) - LEAF_THICKNESS_M / 2 - HANDLE_RADIUS_M
        assert 0.03 < free < 0.06  # room for a finger of a gripper between bar and leaf
        assert bars[face].xpos[2] == pytest.approx(0.95)
        from_hinge = (offset[:2] @ along) * (1 if hinge == "start" else -1)
        assert 0.3 < from_hinge < 0.445  # near the free edge
        assert model.geom(bars[face].id).bodyid == model.body("door").id
    names = [model.geom(i).name for i in range(model.ngeom)]
    assert sum(name.startswith("door/handle") for name in names) == 6


@pytest.mark.parametrize(("hinge", "swing"), HANGINGS)
def test_a_push_opens_it_and_it_stops_at_its_limit(hinge, swing):
    model, data, *_ = build(hinge=hinge, swing=swing)
    data.joint("door/hinge").qfrc_applied[0] = 20.0
    mujoco.mj_step(model, data, 1500)
    assert data.joint("door/hinge").qpos[0] == pytest.approx(math.pi / 2, abs=0.03)
    assert not any(data.contact.dist < 0)


def test_springs_close_and_constants_are_the_leafs():
    leaf = {"stiffness": 5.0, "damping": 10.0, "friction_loss": 0.5, "angle": 1.0}
    model, data, *_ = build(**leaf)
    joint = model.joint("door/hinge")
    assert (joint.stiffness[0], joint.damping[0], joint.frictionloss[0]) == (5.0, 10.0, 0.5)
    assert data.joint("door/hinge").qpos[0] == 1.0
    mujoco.mj_step(model, data, 2500)
    assert 0 < data.joint("door/hinge").qpos[0] < 0.25


def test_the_stiffest_open_door_of_the_sheet_passes_the_articulation_gate():
    """Its leaf weighs what a hollow one does; ajar by nothing, without the spring of closed ones."""
    model, data, *_ = build(damping=12.0, friction_loss=12.0)
    assert 14 < model.body("door").mass[0] < 17
    data.joint("door/hinge").qfrc_applied[0] = SHEET_LIMITS.push
    mujoco.mj_step(model, data, round(SHEET_LIMITS.push_s / model.opt.timestep))
    assert data.joint("door/hinge").qpos[0] >= SHEET_LIMITS.covered_share * math.pi / 2


def test_names():
    hole = dataclasses.replace(door("front"), leaf=Leaf(hinge="end", swing="right"))
    assert joint_name(hole) == "front/hinge"
