"""Scenes become models: solver of the sheet, objects from their libraries and a start by names."""

import dataclasses
import math

import numpy as np
import pytest
from box_house import LIBRARIES, crowded_house, door, house, thing

from zoo.envs.assets.library import Asset, AssetLibrary
from zoo.envs.scenes.compile import build_spec, compile_scene, start_positions, start_state
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError, DataError, UnknownNameError


def furnished(**fields):
    return house(
        [
            thing("table", "table", 1.0, 3.0, is_static=True, room="kitchen"),
            thing("mug", "mug", 1.0, 3.0, 0.75, room="kitchen", support="table"),
            thing("cabinet", "cabinet", 6.0, 3.6, yaw=-math.pi / 2, room="bedroom", is_static=True, **fields),
        ]
    )


def test_settings_are_those_of_the_sheet():
    option = compile_scene(house(), LIBRARIES).opt
    assert (option.timestep, option.impratio, option.noslip_iterations) == (0.002, 10.0, 4)
    assert option.gravity.tolist() == [0.0, 0.0, -9.8]
    assert option.integrator == mujoco.mjtIntegrator.mjINT_IMPLICITFAST.value
    assert option.cone == mujoco.mjtCone.mjCONE_ELLIPTIC.value
    assert option.jacobian == mujoco.mjtJacobian.mjJAC_SPARSE.value


def test_bodies_are_called_like_the_scenes_parts():
    scene = furnished()
    model = compile_scene(scene, LIBRARIES)
    roots = {model.body(i).name for i in range(1, model.nbody) if model.body_parentid[i] == 0}
    parts = [*scene.rooms, *scene.walls, *scene.objects]
    assert roots == {part.name for part in parts} | {"door"}


def test_objects_stand_where_the_scene_has_them():
    scene = furnished()
    model = compile_scene(scene, LIBRARIES)
    data = start_state(model, scene)
    for item in scene.objects:
        np.testing.assert_allclose(data.body(item.name).xpos, item.position_m, atol=1e-12)
        np.testing.assert_allclose(data.body(item.name).xquat, item.quat_wxyz, atol=1e-12)
    assert model.body("mug").jntnum == 1
    assert model.body("table").jntnum == 0
    mujoco.mj_step(model, data, 1000)
    assert data.body("mug").xpos[2] == pytest.approx(0.75, abs=0.005)


def test_an_asset_that_never_moves_has_no_free_joint():
    scene = house([thing("table", "table", 1.0, 3.0)])  # is_static is not said of the placement
    assert compile_scene(scene, LIBRARIES).body("table").jntnum == 0


def test_scale_and_colours_reach_the_asset():
    blue = (0.1, 0.2, 0.9, 1.0)
    scene = house([thing("mug", "mug", 1.0, 3.0, scale=2.0, colours={"body": blue})])
    model = compile_scene(scene, LIBRARIES)
    np.testing.assert_allclose(model.geom("mug/body").size[:2], [0.08, 0.1])
    np.testing.assert_allclose(model.geom("mug/body").rgba, blue, rtol=1e-6)


def test_doors_and_drawers_begin_where_the_scene_has_them():
    scene = dataclasses.replace(furnished(joints={"slide": 0.2}), walls=house(openings=[door(angle=0.8)]).walls)
    model = compile_scene(scene, LIBRARIES)
    assert start_positions(model, scene) == {"door/hinge": 0.8, "cabinet/slide": 0.2}
    data = start_state(model, scene)
    assert (data.joint("door/hinge").qpos[0], data.joint("cabinet/slide").qpos[0]) == (0.8, 0.2)
    np.testing.assert_allclose(data.body("cabinet/drawer").xpos, [6.0, 3.4, 0.1], atol=1e-9)
    assert mujoco.MjData(model).joint("door/hinge").qpos[0] == 0.0


def test_the_start_survives_a_robot():
    scene = furnished(joints={"slide": 0.2})
    spec = build_spec(scene, LIBRARIES)
    robot = spec.worldbody.add_body(name="robot", pos=[2, 2, 0.5])
    robot.add_freejoint(name="robot/free")
    robot.add_geom(size=[0.1, 0, 0])
    model = spec.compile()
    assert start_state(model, scene).joint("cabinet/slide").qpos[0] == 0.2


def test_bad_joints_are_all_named():
    scene = furnished(joints={"lid": 0.1, "slide": 0.9})
    model = compile_scene(scene, LIBRARIES)
    with pytest.raises(DataError, match=r"'cabinet' has no joint 'lid'; it has slide; joint 'cabinet/slide' begins at"):
        start_state(model, scene)
    free = house([thing("mug", "mug", 1.0, 3.0, joints={"free": 1.0})])
    with pytest.raises(DataError, match=r"'mug/free' has no single position"):
        start_state(compile_scene(free, LIBRARIES), free)


def test_missing_libraries_and_assets_are_named():
    scene = furnished()
    with pytest.raises(ConfigError, match=r"needs asset libraries 'boxes' \(for 'table'\); given: none"):
        build_spec(scene, {})
    wrong = house([thing("throne", "throne", 1.0, 1.0)])
    with pytest.raises(UnknownNameError, match=r"'throne'.*Near: table"):
        build_spec(wrong, LIBRARIES)


class HollowLibrary(AssetLibrary):
    """Its one asset has a free joint and no mass, which MuJoCo refuses."""

    def facts(self):
        return LIBRARIES["boxes"].facts()

    def asset(self, uid):
        return HollowAsset(self.facts()[uid])

    def digest_of(self, uid):
        return uid


@dataclasses.dataclass
class HollowAsset(Asset):
    facts: object

    def add_to(self, parent, name, *, position_m, quat_wxyz, is_free, scale=1.0, colours=None):
        body = parent.add_body(name=name, pos=position_m)
        body.add_freejoint(name=f"{name}/free")
        return body


def test_what_mujoco_refuses_is_a_sentence():
    with pytest.raises(DataError, match=r"scene 'house' does not compile: .*mass"):
        compile_scene(house([thing("ghost", "mug", 1.0, 1.0)]), {"boxes": HollowLibrary()})


def test_the_same_scene_is_the_same_model():
    first, second = (build_spec(crowded_house(), LIBRARIES).to_xml() for _ in range(2))
    assert first == second


def test_there_is_room_for_the_contacts_of_a_full_house():
    assert compile_scene(house([thing("mug", "mug", 1.0, 1.0)]), LIBRARIES).narena >= 256 * 2**20


def test_a_house_of_eighty_objects_has_a_body_for_each():
    scene = crowded_house(80)
    assert len(scene.objects) == 80
    model = compile_scene(scene, LIBRARIES, with_ceiling=True)
    assert {thing.name for thing in scene.objects} <= {model.body(i).name for i in range(model.nbody)}
