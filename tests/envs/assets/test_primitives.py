"""Facts against what MuJoCo compiles, over the whole library."""

import numpy as np
import pytest

from zoo.envs.assets.primitives import CATEGORIES, PrimitiveLibrary
from zoo.envs.scenes.physics import CONTACT_BITS
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError, UnknownNameError

LIBRARY = PrimitiveLibrary()
FACTS = LIBRARY.facts()
NAMES = [category.name for category in CATEGORIES]
POSE = {"position_m": (0.3, -0.2, 0.1), "quat_wxyz": (1.0, 0.0, 0.0, 0.0)}
IDENTITY = (1.0, 0.0, 0.0, 0.0)


def compiled(uid: str, *, degree: bool = True, **arguments):
    spec = mujoco.MjSpec()
    spec.compiler.degree = degree
    LIBRARY.asset(uid).add_to(spec.worldbody, "thing", **{**POSE, "is_free": False, **arguments})
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def reach(model, data, geom: int, direction: np.ndarray) -> float:
    """How far a geom extends along a world direction."""
    kind, size, middle = model.geom_type[geom], model.geom_size[geom], data.geom_xpos[geom] @ direction
    local = data.geom_xmat[geom].reshape(3, 3).T @ direction
    types = mujoco.mjtGeom
    if kind == types.mjGEOM_MESH:
        mesh = model.geom_dataid[geom]
        start, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
        return middle + (model.mesh_vert[start : start + count] @ local).max()
    return (
        middle
        + {
            types.mjGEOM_BOX: lambda: size @ np.abs(local),
            types.mjGEOM_SPHERE: lambda: size[0],
            types.mjGEOM_ELLIPSOID: lambda: np.linalg.norm(size * local),
            types.mjGEOM_CAPSULE: lambda: size[0] + size[1] * abs(local[2]),
            types.mjGEOM_CYLINDER: lambda: size[0] * np.hypot(*local[:2]) + size[1] * abs(local[2]),
        }[types(kind)]()
    )


def extent(model, data) -> tuple[np.ndarray, np.ndarray]:
    axes = np.eye(3)
    high = [max(reach(model, data, geom, axis) for geom in range(model.ngeom)) for axis in axes]
    low = [-max(reach(model, data, geom, -axis) for geom in range(model.ngeom)) for axis in axes]
    return np.array(low), np.array(high)


def test_it_is_large_and_every_category_has_variants_in_every_split():
    assert len(CATEGORIES) >= 50
    assert len({category.name for category in CATEGORIES}) == len(CATEGORIES)
    for category in CATEGORIES:
        found = LIBRARY.of(category=category.name)
        assert len(found) >= 4, category.name
        assert {facts.split for facts in found} == {"train", "val", "test"}
        assert len({(facts.size_m, facts.mass_kg) for facts in found}) == len(found), category.name
        assert len({facts.description for facts in found}) == len(found), category.name


def test_facts_are_built_once():
    assert LIBRARY.facts() is FACTS


def test_synsets_are_spelt_as_in_wordnet():
    for facts in FACTS.values():
        lemma, part, number = facts.synset.split(".")
        assert part == "n"
        assert lemma == lemma.lower()
        assert " " not in lemma
        assert len(number) == 2
        assert int(number) >= 1


@pytest.mark.parametrize("category", NAMES)
def test_size_mass_and_names_are_those_of_the_model(category):
    for facts in LIBRARY.of(category=category):
        check_model(facts)


def check_model(facts):
    model, data = compiled(facts.uid)
    low, high = extent(model, data)
    np.testing.assert_allclose(high - low, facts.size_m, atol=1e-3)
    middle = (low + high) / 2
    np.testing.assert_allclose([*middle[:2], low[2]], POSE["position_m"], atol=1e-3)
    assert model.body_subtreemass[1] == pytest.approx(facts.mass_kg, rel=0.02)
    names = [model.geom(i).name for i in range(model.ngeom)] + [model.joint(i).name for i in range(model.njnt)]
    names += [model.body(i).name for i in range(2, model.nbody)]
    assert model.body(1).name == "thing"
    assert all(name.startswith("thing/") for name in names)
    for surface in facts.surfaces:
        model.body(f"thing/{surface.body}" if surface.body else "thing")
    for articulation in facts.articulations:
        model.geom(f"thing/{articulation.handle}")
        joint = model.joint(f"thing/{articulation.joint}")
        np.testing.assert_allclose(joint.range, articulation.range, rtol=1e-6)
        assert joint.type[0] == getattr(mujoco.mjtJoint, f"mjJNT_{articulation.kind.upper()}")


@pytest.mark.parametrize("category", [category.name for category in CATEGORIES if category.is_pickupable])
def test_a_hand_of_85_mm_finds_something_to_hold(category):
    for facts in LIBRARY.of(category=category):
        model, _ = compiled(facts.uid)
        solid = [geom for geom in range(model.ngeom) if model.geom_contype[geom]]
        width = min(2 * model.geom_aabb[geom, 3:].min() for geom in solid)
        assert width <= 0.07 or category == "basketball", facts.uid  # which one pushes
        assert facts.mass_kg <= 3.0, facts.uid  # payload of the arm


@pytest.mark.parametrize("uid", ["mug_0", "toy_block_0", "fridge_0", "laptop_0", "potted_plant_1"])
@pytest.mark.parametrize("degree", [True, False])
def test_everything_scales(uid, degree):
    facts, scale = FACTS[uid], 1.3
    model, data = compiled(uid, scale=scale, degree=degree)
    low, high = extent(model, data)
    np.testing.assert_allclose(high - low, scale * np.array(facts.size_m), atol=1e-3)
    assert model.body_subtreemass[1] == pytest.approx(scale**3 * facts.mass_kg, rel=0.02)
    for articulation in facts.articulations:
        factor = scale if articulation.kind == "slide" else 1.0
        found = model.joint(f"thing/{articulation.joint}").range
        np.testing.assert_allclose(found, factor * np.array(articulation.range), rtol=1e-6)


@pytest.mark.parametrize("category", NAMES)
def test_every_named_colour_paints_something(category):
    facts = LIBRARY.of(category=category)[0]
    paints = {part: (0.1, 0.9, index / 10, 1.0) for index, part in enumerate(facts.colours)}
    model, _ = compiled(facts.uid, colours=paints)
    seen = {tuple(np.round(rgba, 3)) for rgba in model.geom_rgba.tolist()}
    assert seen == set(paints.values())


@pytest.mark.parametrize("uid", ["mug_0", "mug_3", "laptop_0", "nightstand_0"])
def test_contact_classes(uid):
    is_pickupable = FACTS[uid].is_pickupable
    for is_free, own, moving in (
        (False, "structure", "articulated"),
        (True, "dynamic", "dynamic" if is_pickupable else "articulated"),
    ):
        model, _ = compiled(uid, is_free=is_free)
        assert model.njnt == is_free + len(FACTS[uid].articulations)
        for geom in range(model.ngeom):
            bits = model.geom_contype[geom], model.geom_conaffinity[geom]
            allowed = own if model.geom_bodyid[geom] == 1 else moving
            assert bits in (CONTACT_BITS[allowed], CONTACT_BITS["visual"])


def test_a_free_object_has_the_joint_of_the_sheet():
    model, _ = compiled("bowl_0", is_free=True)
    joint = model.joint("thing/free")
    assert joint.type[0] == mujoco.mjtJoint.mjJNT_FREE
    np.testing.assert_allclose(model.dof_damping, 0.001)
    np.testing.assert_allclose(model.dof_frictionloss, 0.001)


def test_the_same_asset_fits_twice_into_a_model():
    spec = mujoco.MjSpec()
    for name, uid in (("a", "mug_3"), ("b", "mug_3"), ("c", "mug_0")):  # with meshes, and without
        LIBRARY.asset(uid).add_to(spec.worldbody, name, position_m=(0, 0, 0), quat_wxyz=IDENTITY, is_free=True)
    model = spec.compile()
    assert [model.body(i).name for i in range(1, 4)] == ["a", "b", "c"]
    assert model.body_mass[1] == model.body_mass[2]


def test_a_pose_is_relative_to_the_parent():
    spec = mujoco.MjSpec()
    parent = spec.worldbody.add_body(name="parent", pos=(1.0, 0.0, 0.0), quat=(0.0, 0.0, 0.0, 1.0))
    for name, uid in (("mesh", "mug_3"), ("boxes", "toy_block_0")):
        LIBRARY.asset(uid).add_to(parent, name, position_m=(0.5, 0.2, 0.3), quat_wxyz=IDENTITY, is_free=False)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    for name in ("mesh", "boxes"):
        np.testing.assert_allclose(data.body(name).xpos, (0.5, -0.2, 0.3), atol=1e-9)
        np.testing.assert_allclose(np.abs(data.body(name).xquat), (0, 0, 0, 1), atol=1e-9)


def test_the_digest_is_of_the_content():
    assert LIBRARY.digest == PrimitiveLibrary().digest
    assert len(LIBRARY.digest) == 32
    smaller = PrimitiveLibrary()
    smaller.__dict__["_entries"] = smaller._entries[1:]  # a library that lacks one asset
    assert smaller.digest != LIBRARY.digest


def test_an_unknown_asset_is_named_with_its_neighbours():
    with pytest.raises(UnknownNameError, match=r"no asset 'mugg_0'\. Near: mug_0"):
        LIBRARY.asset("mugg_0")


@pytest.mark.parametrize(
    ("uid", "arguments", "message"),
    [
        ("mug_0", {"colours": {"lid": (1, 1, 1, 1)}}, "no colours lid; it has body, handle"),
        ("mug_0", {"colours": {"body": (1, 1, 1)}}, "expected RGBA"),
        ("mug_0", {"scale": 0.0}, "scale is 0.0, expected more than 0"),
        ("fridge_0", {"is_free": True}, "asset fridge_0 as 'thing': it is fixed: pass is_free=False"),
    ],
)
def test_bad_input_is_told(uid, arguments, message):
    with pytest.raises(ConfigError, match=message):
        compiled(uid, **arguments)
