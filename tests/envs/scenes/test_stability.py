"""The stability gate: what rolls, falls, shakes or breaks is told from what lies still."""

import json
import math

import pytest
from box_house import LIBRARIES, door, house, thing

from zoo.envs.scenes.compile import build_spec, compile_scene
from zoo.envs.scenes.gates import check, check_inventory
from zoo.envs.scenes.inventory import Inventory
from zoo.envs.simulator import mujoco


def findings(report, gate):
    return {finding.joint or finding.object: finding for finding in report.findings if finding.gate == gate}


def slope(angle: float):
    """Gravity leans: a table top that is not level, for everything in the scene."""
    return (9.8 * math.sin(angle), 0.0, -9.8 * math.cos(angle))


def leaning(scene, angle):
    spec = build_spec(scene, LIBRARIES)
    spec.option.gravity = slope(angle)
    return Inventory.of_scene(scene, spec.compile())


def test_what_rolls_away_is_not_stable():
    scene = house([thing("ball", "ball", 1.0, 2.0), thing("crate", "crate", 1.0, 3.0)])
    found = findings(check_inventory(leaning(scene, 0.05)), "stability")
    assert not found["ball"].passed
    assert found["ball"].measured > found["ball"].limit
    assert found["ball"].culprits == ("ball",)
    assert found["crate"].passed  # friction holds it
    assert found["crate"].measured < 0.01


def test_what_falls_and_lies_still_says_how_far_it_fell():
    report = check(house([thing("crate", "crate", 1.0, 2.0, 0.6)]), LIBRARIES)
    finding = findings(report, "stability")["crate"]
    assert finding.passed  # the sheet watches after a second of settling
    assert "0.6" in finding.reason
    assert "while settling" in finding.reason


def test_joints_that_move_by_themselves_are_not_stable():
    loose = door(stiffness=6.0, damping=3.0, friction_loss=0.1, angle=1.2)  # falls shut for seconds
    scene = house([thing("cabinet", "cabinet", 1.0, 3.0, yaw=0.0)], openings=[loose])
    found = findings(check(scene, LIBRARIES), "stability")
    assert not found["door"].passed
    assert found["door"].unit == "of range"
    assert found["door"].measured > 0.1
    assert found["door"].culprits == ()  # a door is no object that one could take away
    assert found["cabinet"].passed


def test_jitter_counts_the_way_to_and_fro():
    spec = build_spec(house([thing("ball", "ball", 2.0, 2.0)]), LIBRARIES)
    shaker = spec.worldbody.add_body(name="shaker", pos=[2, 2, 0.5])
    shaker.add_joint(
        name="shaker/slide", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=(1, 0, 0), range=(-1, 1), limited=1
    ).stiffness[0] = 400.0
    shaker.add_geom(size=[0.05, 0, 0], mass=1.0, contype=0, conaffinity=0)
    free = spec.worldbody.add_body(name="loose", pos=[2.02, 2, 1.5], gravcomp=1)
    free.add_freejoint(name="loose/free")
    free.add_geom(size=[0.05, 0, 0], mass=1.0, contype=0, conaffinity=0)
    spring = spec.add_tendon(name="spring", stiffness=400.0)
    spring.springlength = [1.0, 1.0]
    for body in ("shaker", "loose"):
        spec.body(body).add_site(name=f"{body}/site")
        spring.wrap_site(f"{body}/site")
    model = spec.compile()
    start = mujoco.MjData(model)
    start.joint("loose/free").qvel[2] = 0.4  # 2 cm to and fro, six times a second
    mujoco.mj_forward(model, start)
    found = findings(check_inventory(Inventory(model, start, objects=["loose"])), "stability")["loose"]
    assert not found.passed
    assert found.reason.startswith("jittered along")
    assert found.limit == 0.1


@pytest.mark.filterwarnings("ignore")
def test_a_simulation_that_breaks_is_blamed_on_its_object():
    scene = house([thing("ball", "ball", 2.0, 2.0), thing("mug", "mug", 1.0, 3.0)])
    model = compile_scene(scene, LIBRARIES)
    start = Inventory.of_scene(scene, model).start
    start.joint("mug/free").qvel[0] = 1e12
    report = check_inventory(Inventory(model, start, objects=["ball", "mug"]))
    found = findings(report, "stability")
    assert not report.passed
    assert sum(report.warnings.values()) >= 1
    assert (found["mug"].passed, found["mug"].measured) == (False, None)
    assert "broke" in found["mug"].reason
    assert found["mug"].culprits == ("mug",)
    assert not findings(report, "lift")  # there is no state to lift from
    json.dumps(report.to_json(), allow_nan=False)


def test_sleeping_hides_nothing():
    scene = house(
        [
            thing("ball", "ball", 1.0, 2.0),
            thing("crate", "crate", 1.0, 3.0),
            thing("mug", "mug", 1.0, 3.0, 0.4),
        ],
        openings=[door(stiffness=6.0, damping=3.0, friction_loss=0.1, angle=1.2)],
    )
    asleep = leaning(scene, 0.03)
    awake = leaning(scene, 0.03)
    awake.model.tree_sleep_policy[:] = mujoco.mjtSleepPolicy.mjSLEEP_NEVER.value
    one, other = (findings(check_inventory(inventory), "stability") for inventory in (asleep, awake))
    assert {name: finding.passed for name, finding in one.items()} == {
        "ball": False,
        "crate": True,
        "mug": True,
        "door": False,
    }
    for name, finding in one.items():
        assert finding.passed == other[name].passed
        assert finding.measured == pytest.approx(other[name].measured, abs=1e-3)
