"""Shadows of geoms against the question whether a vertical line meets the geom, answered by hand."""

import math

import numpy as np
import pytest

from zoo.envs.navigation.footprints import collision_footprints, subtree
from zoo.envs.navigation.raster import touched_cells
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError

PX_PER_M = 40
ROWS = 60
SAMPLES = 9
KINDS = ("box", "sphere", "capsule", "cylinder", "ellipsoid")


def interval(a: np.ndarray, b: np.ndarray, bound: float) -> tuple[np.ndarray, np.ndarray]:
    """z for which |a + b z| <= bound."""
    b = np.where(np.abs(b) < 1e-12, 1e-12, b)
    ends = np.sort(np.stack([(-bound - a) / b, (bound - a) / b]), axis=0)
    return ends[0], ends[1]


def roots(p: np.ndarray, d: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """z for which |p + d z| <= radius; an empty interval where there is none."""
    a, b, c = (d**2).sum(-1), (p * d).sum(-1), (p**2).sum(-1) - radius**2
    a = np.maximum(a, 1e-12)
    inside = b**2 - a * c
    root = np.sqrt(np.maximum(inside, 0))
    low, high = (-b - root) / a, (-b + root) / a
    return np.where(inside >= 0, low, 1.0), np.where(inside >= 0, high, -1.0)


def in_shadow(kind: str, size: np.ndarray, rotation: np.ndarray, position: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Whether the vertical line at each of (..., 2) points meets the geom."""
    flat = np.concatenate([xy - position[:2], np.zeros((*xy.shape[:-1], 1))], axis=-1)
    p, d = flat @ rotation, np.broadcast_to(rotation[2], (*xy.shape[:-1], 3))  # local point = p + d (z - position z)
    if kind == "sphere":
        return (flat[..., :2] ** 2).sum(-1) <= size[0] ** 2
    if kind == "ellipsoid":
        low, high = roots(p / size, d / size, 1.0)
        return low <= high
    if kind == "capsule":
        along = rotation[:2, 2] * size[1]
        share = np.clip((flat[..., :2] @ along) / max(along @ along, 1e-12), -1, 1)
        return ((flat[..., :2] - share[..., None] * along) ** 2).sum(-1) <= size[0] ** 2
    if kind == "box":
        ends = [interval(p[..., axis], d[..., axis], size[axis]) for axis in range(3)]
    else:
        ends = [roots(p[..., :2], d[..., :2], size[0]), interval(p[..., 2], d[..., 2], size[1])]
    return np.max([low for low, _ in ends], axis=0) <= np.min([high for _, high in ends], axis=0)


def random_geom(rng: np.random.Generator, kind: str, is_level: bool) -> dict[str, np.ndarray]:
    quat = rng.normal(size=4)
    if is_level:  # as most things stand
        quat[1:3] = 0.0
    return {
        "size": rng.uniform(0.03, 0.3, 3),
        "pos": np.array([*rng.uniform(0.3, 1.2, 2), rng.uniform(0.3, 0.9)]),
        "quat": quat / np.linalg.norm(quat),
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_level", [True, False])
def test_shadows_of_primitives(kind, is_level):
    rng = np.random.default_rng(KINDS.index(kind))
    inside = (np.arange(SAMPLES) + 0.5) / SAMPLES
    grid = np.stack(np.meshgrid(inside, inside), axis=-1).reshape(-1, 2)
    corner = np.stack(np.meshgrid(np.arange(ROWS), np.arange(ROWS)), axis=-1)
    xy = (corner[:, :, None] + grid) / PX_PER_M
    for _ in range(4):
        facts = random_geom(rng, kind, is_level)
        spec = mujoco.MjSpec()
        spec.worldbody.add_geom(type=getattr(mujoco.mjtGeom, f"mjGEOM_{kind.upper()}"), **facts)
        model = spec.compile()
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        shapes = collision_footprints(model, data, bodies=np.ones(1, bool), low_m=-1.0, high_m=3.0)
        blocked = touched_cells(shapes.moved(PX_PER_M * np.eye(2), np.zeros(2)), ROWS, ROWS)
        size, rotation, position = model.geom_size[0], data.geom_xmat[0].reshape(3, 3), data.geom_xpos[0]
        seen = in_shadow(kind, size, rotation, position, xy).any(axis=-1)
        # Samples lie 1/9 cell apart: a shape that grows by as much is seen wherever it reached into the cell at all.
        grown = in_shadow(kind, size + 1.5 / SAMPLES / PX_PER_M, rotation, position, xy).any(axis=-1)
        assert seen.any()
        assert not (seen & ~blocked).any()
        assert not (blocked & ~grown).any()


def test_a_mesh_casts_the_shadow_of_its_hull(model_of):
    corners = "0 0 0  1 0 0  1 1 0  0 1 0  0.5 0.5 1  0.5 0.5 0.2"
    model, data = model_of(
        '<geom type="mesh" mesh="tent" pos="2 3 0.1" euler="0 0 45"/>', f'<mesh name="tent" vertex="{corners}"/>'
    )
    shapes = collision_footprints(model, data, bodies=np.ones(1, bool), low_m=0.05, high_m=1.0)
    low, high = shapes.bounds()
    assert shapes.counts.tolist() == [4]
    np.testing.assert_allclose(high - low, [math.sqrt(2), math.sqrt(2)], atol=1e-6)
    np.testing.assert_allclose((high + low)[0] / 2, 2.0, atol=1e-6)


def test_geoms_outside_the_height_range_and_without_collision_do_not_count(model_of):
    model, data = model_of(
        """<geom type="plane" size="1 1 1"/>
        <geom type="box" size="1 1 0.02" pos="0 0 0.02"/>
        <geom type="sphere" size="0.2" pos="0 0 2.1"/>
        <geom type="box" size="0.1 0.1 0.1" pos="3 0 0.5" contype="0" conaffinity="0"/>
        <geom type="box" size="0.1 0.1 0.5" pos="5 0 0.5" contype="0" conaffinity="7"/>
        <geom type="cylinder" size="0.3 0.1" pos="8 0 2.0" euler="90 0 0"/>"""
    )
    shapes = collision_footprints(model, data, bodies=np.ones(1, bool), low_m=0.05, high_m=1.8)
    assert len(shapes.counts) == 2  # the moving part of a fixture, and the rectangle of a rolled cylinder
    assert shapes.corners[:, 0].min() == pytest.approx(4.9)


@pytest.mark.parametrize(
    ("geom", "assets"),
    [
        ('<geom name="slope" type="plane" size="1 1 1" euler="20 0 0"/>', ""),
        ('<geom name="slope" type="plane" size="1 1 1" pos="0 0 0.4"/>', ""),
        (
            '<geom name="slope" type="hfield" hfield="h"/>',
            '<hfield name="h" nrow="2" ncol="2" size="1 1 1 1" elevation="0 1 0 1"/>',
        ),
    ],
)
def test_terrain_is_refused(model_of, geom, assets):
    model, data = model_of(geom, assets)
    with pytest.raises(ConfigError, match="geom 'slope' is a height field, or a plane that is not level"):
        collision_footprints(model, data, bodies=np.ones(1, bool), low_m=0.05, high_m=1.8)


def test_a_subtree_is_a_body_with_what_hangs_on_it(model_of):
    geom = '<geom size="0.1"/>'
    model, _ = model_of(
        f'<body name="a">{geom}<body name="b">{geom}<body name="c">{geom}</body></body></body>'
        f'<body name="d">{geom}</body>'
    )
    assert subtree(model, ["b"]).tolist() == [False, False, True, True, False]
    assert subtree(model, ["a", "d"]).tolist() == [False, True, True, True, True]
    assert not subtree(model, []).any()
    with pytest.raises(ConfigError, match="no body 'bb'; its bodies: a, b, c, d"):
        subtree(model, ["bb"])
