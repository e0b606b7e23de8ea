"""The library for training: many variants a category, all of them buildable, none that another split knows."""

import re

import numpy as np
import pytest

from zoo.envs.assets.design import COLOURS
from zoo.envs.assets.primitives import PrimitiveLibrary
from zoo.envs.assets.varied import NUM_VARIANTS, VARIANTS, VariedLibrary
from zoo.envs.sampling.chores.vocabulary import TINY_CATEGORIES
from zoo.envs.scenes.physics import set_contact
from zoo.envs.simulator import mujoco
from zoo.errors import UnknownNameError

LIBRARY, PRIMITIVES = VariedLibrary(), PrimitiveLibrary()
DRAWN = [facts for facts in LIBRARY.facts().values() if facts.uid not in PRIMITIVES.facts()]
SETTLE_S = 1.0
NAMES = [variants.category.name for variants in VARIANTS]


def of(name):
    return [facts for facts in DRAWN if facts.category == name]


def compiled(uid, *, is_free=False):
    spec = mujoco.MjSpec()
    floor = spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=(5.0, 5.0, 0.1))
    set_contact(floor, "structure")
    pose = {"position_m": (0.0, 0.0, 0.0), "quat_wxyz": (1.0, 0.0, 0.0, 0.0)}
    LIBRARY.asset(uid).add_to(spec.worldbody, "thing", is_free=is_free, **pose)
    return spec.compile()


def test_whatever_object_navigation_looks_for_has_dozens_of_variants():
    assert set(NAMES) >= set(TINY_CATEGORIES)
    for name in NAMES:
        assert len(of(name)) == NUM_VARIANTS >= 10
        assert len({LIBRARY._entry(facts.uid)[1].shapes for facts in of(name)}) == NUM_VARIANTS, name


def test_it_is_for_training_alone():
    assert {facts.split for facts in LIBRARY.facts().values()} == {"train"}
    own = [facts for facts in PRIMITIVES.facts().values() if facts.split == "train"]
    assert len(LIBRARY.facts()) == len(own) + len(DRAWN)
    assert {facts.uid for facts in own} <= set(LIBRARY.facts())
    with pytest.raises(UnknownNameError, match="no asset 'sofa_4'"):  # the one for tests
        LIBRARY.asset("sofa_4")


def test_no_drawn_design_is_one_of_another_split():
    kept = {facts.uid for facts in PRIMITIVES.facts().values() if facts.split != "train"}
    shapes = {PRIMITIVES._entry(uid)[1].shapes for uid in kept}
    sizes = {PRIMITIVES.facts()[uid].size_m for uid in kept}
    for facts in DRAWN:
        assert LIBRARY._entry(facts.uid)[1].shapes not in shapes
        assert facts.size_m not in sizes


def test_descriptions_name_no_colours_of_what_is_painted():
    colours = re.compile(rf"\b({'|'.join(COLOURS)})\b")
    for facts in LIBRARY.facts().values():
        if not facts.is_pickupable:
            assert not colours.search(facts.description), facts.description
            assert re.fullmatch(r"\S+( \S+)*", facts.description), facts.description
    assert LIBRARY.facts()["bed_0"].description == "single bed"
    assert LIBRARY.facts()["counter_top_1"].description == "long kitchen counter with a top"
    assert LIBRARY.facts()["house_plant_0"].description == "bushy plant in a pot"
    assert LIBRARY.facts()["mug_0"] == PRIMITIVES.facts()["mug_0"]


@pytest.mark.parametrize("name", NAMES)
def test_every_variant_is_what_its_facts_say(name):
    for facts in of(name):
        model = compiled(facts.uid)
        assert model.body_subtreemass[1] == pytest.approx(facts.mass_kg, rel=0.02), facts.uid
        used = {tuple(np.round(rgba, 3)) for rgba in model.geom_rgba[1:].tolist()}
        paints = LIBRARY._entry(facts.uid)[1].colours
        assert used == {tuple(np.round(rgba, 3)) for rgba in paints.values()}, facts.uid
        for articulation in facts.articulations:
            model.geom(f"thing/{articulation.handle}")
            np.testing.assert_allclose(model.joint(f"thing/{articulation.joint}").range, articulation.range, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_surfaces_lie_within_their_thing(name):
    for facts in of(name):
        half_x, half_y = facts.size_m[0] / 2, facts.size_m[1] / 2
        for surface in (surface for surface in facts.surfaces if not surface.body):
            (x, y, z), (length, width) = surface.centre_m, surface.size_m
            assert min(length, width, surface.clearance_m) > 0, (facts.uid, surface)
            assert abs(x) + length / 2 <= half_x + 1e-9, (facts.uid, surface)
            assert abs(y) + width / 2 <= half_y + 1e-9, (facts.uid, surface)
            assert 0 <= z <= facts.size_m[2] + 1e-9, (facts.uid, surface)


@pytest.mark.parametrize("name", NAMES)
def test_surfaces_are_where_they_are_said_to_be_and_free(name):
    """A ray down meets something at the surface, within what is painted on it or the groove between two cushions."""
    down, hit = np.array([0.0, 0.0, -1.0]), np.zeros(1, np.int32)
    for facts in of(name):
        model = compiled(facts.uid)
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        for surface in facts.surfaces:
            middle = data.body(f"thing/{surface.body}" if surface.body else "thing").xpos + surface.centre_m
            for x, y in ((0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)):
                corner = (np.array([*surface.size_m, 0.0]) / 2 - (0.005, 0.005, 0.0)) * (x, y, 0)
                start = middle + corner - 0.9 * surface.clearance_m * down
                reach = mujoco.mj_ray(model, data, start, down, None, 1, -1, hit)
                assert reach == pytest.approx(0.9 * surface.clearance_m, abs=0.012), (facts.uid, surface)


@pytest.mark.parametrize("name", [v.category.name for v in VARIANTS if not v.category.is_static])
def test_what_is_free_stands_where_it_was_put(name):
    for facts in of(name):
        model = compiled(facts.uid, is_free=True)
        data = mujoco.MjData(model)
        mujoco.mj_step(model, data, nstep=round(SETTLE_S / model.opt.timestep))
        x, y, z, w = *data.body("thing").xpos, data.body("thing").xquat[0]
        assert max(abs(x), abs(y)) < 0.005, facts.uid
        assert abs(z) < 0.01, facts.uid
        assert abs(w) > 0.9999, facts.uid  # a turn of 1.6 degrees


def test_the_same_in_every_process_and_other_than_the_library_that_benchmarks_name():
    assert VariedLibrary().digest == LIBRARY.digest != PRIMITIVES.digest
