"""Links, inertias and triangles of compiled models."""

from pathlib import Path

import numpy as np
import pytest

from zoo.envs.scenes import links
from zoo.envs.simulator import mujoco

MODEL = mujoco.MjModel.from_xml_path(str(Path(__file__).parent / "every_shape.xml"))


def names(bodies) -> list[str]:
    return [MODEL.body(body).name for body in bodies]


def test_welded_bodies_are_one_link_and_furniture_its_own():
    found = {MODEL.body(link.body).name: link for link in links.links_of(MODEL).values()}
    assert list(found) == ["world", "cabinet", "cabinet/door", "cabinet/drawer", "mug", "cart"]
    assert names(found["cabinet"].bodies) == ["cabinet", "cabinet/frame"]
    assert names(found["cabinet/door"].bodies) == ["cabinet/door", "cabinet/handle"]
    assert MODEL.body(found["cabinet/drawer"].parent).name == "cabinet/door"
    assert found["cabinet"].joints == ()
    assert [link.is_free(MODEL) for link in found.values()] == [False, False, False, False, True, False]
    assert [MODEL.joint(joint).name for joint in found["cart"].joints] == ["cart/x", "cart/y", "cart/yaw"]


def test_joint_positions_count_from_qpos0():
    drawer = MODEL.joint("cabinet/drawer_joint").id
    data = mujoco.MjData(MODEL)
    data.joint(drawer).qpos = 0.3
    assert links.position_from_zero(MODEL, data, drawer) == pytest.approx(0.2)
    assert links.limits_from_zero(MODEL, drawer) == pytest.approx((0, 0.35))
    assert links.limits_from_zero(MODEL, MODEL.joint("cart/x").id) is None


@pytest.mark.parametrize("name", ["cabinet/door", "mug"])
def test_inertia_is_that_of_the_welded_bodies(name):
    """MuJoCo's own composite inertia of a subtree, for links with nothing below them."""
    spec = mujoco.MjSpec.from_file(str(Path(__file__).parent / "every_shape.xml"))
    spec.delete(spec.body("cabinet/drawer"))
    model = spec.compile()
    link = links.links_of(model)[model.body(name).id]
    zero = links.at_zero(model)
    found = links.inertia_of(model, zero, link)
    mujoco.mj_forward(model, zero)
    assert found.mass_kg == pytest.approx(model.body_subtreemass[link.body])
    centre = links.body_pose(zero, link.body) @ [*found.centre_m, 1]
    np.testing.assert_allclose(centre[:3], zero.subtree_com[link.body], atol=1e-12)
    mujoco.mj_comPos(model, zero)
    mujoco.mj_crb(model, zero)
    xx, yy, zz, xy, xz, yz = zero.crb[link.body][:6]  # about the tree's centre of mass, world axes
    rotation = zero.xmat[link.body].reshape(3, 3)
    away = centre[:3] - zero.subtree_com[model.body_rootid[link.body]]
    here = rotation @ found.tensor @ rotation.T + found.mass_kg * (away @ away * np.eye(3) - np.outer(away, away))
    np.testing.assert_allclose(here, [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], atol=1e-9)


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Signed: positive where faces are counter-clockwise from outside."""
    return float(np.linalg.det(vertices[faces]).sum() / 6)


def test_triangles_look_outwards():
    vertices, faces = links.triangles_of(MODEL, MODEL.geom("mug/body").id)
    exact = 4 / 3 * np.pi * 0.04 * 0.05 * 0.06
    assert volume(vertices, faces) == pytest.approx(exact, rel=0.05)  # of 12 rings
    np.testing.assert_allclose(np.abs(vertices).max(0), [0.04, 0.05, 0.06], rtol=0.01)
    assert volume(*links.triangles_of(MODEL, MODEL.geom("cart/wedge").id)) > 0


def test_flat_surfaces_become_plates():
    square = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1.0]])
    flat = np.array([[0, 1, 2], [0, 2, 3]])
    vertices, faces = links.solid(square, flat, 0.01)
    assert volume(vertices, faces) == pytest.approx(0.01)
    assert vertices[:, 2].min() == pytest.approx(0.99)
    wedge = links.triangles_of(MODEL, MODEL.geom("cart/wedge").id)
    assert links.solid(*wedge, 0.01)[0] is wedge[0]


def test_height_field():
    vertices, faces = links.triangles_of(MODEL, MODEL.geom("dune").id)
    assert vertices.shape == (12, 3)
    assert len(faces) == 2 * 2 * 3
    np.testing.assert_allclose(vertices[5], [-0.5 + 1 / 3, 0, 0.2])  # second row, second column: the summit
    normals = np.cross(vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]])
    assert (normals[:, 2] > 0).all()
    area = np.abs(normals[:, 2]).sum() / 2
    assert area == pytest.approx(1.0 * 0.8)


def test_colours():
    assert links.colour_of(MODEL, MODEL.geom("mug/body").id) == pytest.approx((0.2, 0.4, 0.6, 0.5))
    assert links.colour_of(MODEL, MODEL.geom("cabinet/door_panel").id) == pytest.approx((0.5, 0, 0.5, 1), abs=0.01)
    assert links.colour_of(MODEL, MODEL.geom("floor").id) == (0.5, 0.5, 0.5, 1.0)


def test_unnamed_elements_are_numbered():
    model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><geom size='1'/></worldbody></mujoco>")
    assert links.name_of(model, mujoco.mjtObj.mjOBJ_GEOM, 0) == "geom_0"
