"""Off-screen pictures of several models through one GL context."""

import numpy as np
import pytest

from zoo.envs.rendering import OffscreenRenderer
from zoo.envs.simulator import mujoco

pytestmark = pytest.mark.render
SIZE = 64


def model_of(colours: list[tuple[float, float, float]], mesh_scale: float | None = None) -> mujoco.MjModel:
    """Boxes in a row, left to right, seen from above; with a scale, one tetrahedron mesh on top of the first."""
    spec = mujoco.MjSpec()
    spec.visual.global_.offwidth = spec.visual.global_.offheight = SIZE
    spec.visual.headlight.ambient = [1, 1, 1]
    spec.visual.headlight.diffuse = spec.visual.headlight.specular = [0, 0, 0]
    spec.worldbody.add_camera(pos=[0, 0, 2], fovy=60)
    for index, colour in enumerate(colours):
        spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.2, 0.2, 0.2], pos=[index - 0.5, 0, 0], rgba=[*colour, 1]
        )
    if mesh_scale is not None:
        corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]) * mesh_scale
        spec.add_mesh(name="tetrahedron", uservert=corners.ravel())
        spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname="tetrahedron", pos=[0, 0.5, 0])
    return spec.compile()


def pictures(renderer: OffscreenRenderer, model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray]:
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer.bind(model)
    renderer.update(data)
    return renderer.rgb(), renderer.geom_ids()


def test_colours_and_ids_are_where_the_boxes_are():
    with OffscreenRenderer(width=SIZE, height=SIZE) as renderer:
        rgb, ids = pictures(renderer, model_of([(1, 0, 0), (0, 0, 1)]))
    assert rgb.shape == (SIZE, SIZE, 3)
    assert rgb.dtype == np.uint8
    assert set(np.unique(ids)) == {-1, 0, 1}
    columns = [np.nonzero(ids == geom)[1].mean() for geom in (0, 1)]
    assert columns[0] < SIZE / 2 - 5 < SIZE / 2 + 5 < columns[1]
    assert rgb[ids == 0].mean(axis=0).argmax() == 0
    assert rgb[ids == 1].mean(axis=0).argmax() == 2
    assert np.median(rgb[ids == -1]) == 0  # the smoothed border of a box reaches into the background


@pytest.mark.parametrize("scales", [(None, None), (0.3, 0.3), (0.3, 0.6), (None, 0.5), (0.5, None)])
def test_a_shared_context_draws_what_a_fresh_one_draws(scales):
    models = [
        model_of([(1, 0, 0), (0, 0, 1)], scales[0]),
        model_of([(0, 1, 0)], scales[1]),
        model_of([(1, 1, 0)], scales[0]),
    ]
    fresh = []
    for model in models:
        with OffscreenRenderer(width=SIZE, height=SIZE) as renderer:
            fresh.append(pictures(renderer, model))
    with OffscreenRenderer(width=SIZE, height=SIZE) as renderer:
        shared = [pictures(renderer, model) for model in models]
    for (rgb, ids), (fresh_rgb, fresh_ids) in zip(shared, fresh, strict=True):
        np.testing.assert_array_equal(rgb, fresh_rgb)
        np.testing.assert_array_equal(ids, fresh_ids)


def test_ids_leave_the_colours_alone():
    with OffscreenRenderer(width=SIZE, height=SIZE) as renderer:
        rgb, _ = pictures(renderer, model_of([(1, 0, 0)]))
        np.testing.assert_array_equal(renderer.rgb(), rgb)


def test_closing_twice_is_fine():
    renderer = OffscreenRenderer(width=SIZE, height=SIZE)
    renderer.close()
    renderer.close()
