"""Whole checks: gates and rooms together, repaired and told."""

import dataclasses
import multiprocessing

import numpy as np
import pytest
from box_house import LIBRARIES, door, house, thing

from zoo.envs.navigation.occupancy import OccupancyMap
from zoo.envs.scenes.checking import as_text, check_scene, check_scenes, summary, walk
from zoo.envs.scenes.sources import MjcfScene, SpecifiedScene
from zoo.errors import ConfigError, DataError, UnknownNameError


def opened(*objects, **fields):
    return SpecifiedScene(scene=house(objects, **fields), libraries=LIBRARIES)


def test_a_sound_house_passes():
    check = check_scene(opened(thing("crate", "crate", 2.0, 2.0, room="kitchen")))
    assert check.passed
    assert (check.reach.reached, check.reach.cut_off) == (("kitchen", "bedroom"), ())
    assert check.report.findings
    text = as_text([check])
    assert "house:" not in text  # nothing to say of it
    assert "stability     100.00 %  2 of 2" in text  # crate and door
    assert "rooms reached 2 of 2" in text
    assert "scenes        1 of 1 pass" in text


def test_a_crate_in_the_door_cuts_a_room_off():
    """0.9 m of door, 0.4 m of crate in its middle: nobody of radius 0.3 m passes."""
    check = check_scene(opened(thing("crate", "crate", 4.0, 1.45, room="kitchen")))
    assert not check.passed
    assert len(check.reach.reached) == len(check.reach.cut_off) == 1
    assert f"rooms out of reach with radius 0.3 m: {check.reach.cut_off[0]}" in as_text([check])
    assert summary([check])["rooms"] == {"checked": 2, "reached": 1}


def test_faults_are_told_with_measure_and_limit():
    in_wall = thing("stuck", "mug", 2.0, 3.97, 0.5, room="kitchen")
    check = check_scene(opened(in_wall))
    text = as_text([check])
    assert text.startswith("house:\n  intersection stuck: 0.")
    assert "at most 0.01 m" in text
    told = summary([check, check_scene(opened())])
    assert (told["num_scenes"], told["num_passed"]) == (2, 1)
    assert told["limits"]["drift_m"] == 0.05
    assert told["pass_rates"]["intersection"]["passed"] < told["pass_rates"]["intersection"]["checked"]
    assert [scene["passed"] for scene in told["scenes"]] == [False, True]


def test_repair_takes_away_what_is_to_blame():
    in_wall = thing("stuck", "mug", 2.0, 3.97, 0.5, room="kitchen")
    crate = thing("crate", "crate", 2.0, 2.0, room="kitchen")
    check = check_scene(opened(in_wall, crate), mend=True)
    assert check.passed
    assert [item.name for item in check.repaired.objects] == ["crate"]
    assert "removed stuck (intersection)" in as_text([check])
    assert check.to_json()["removed"][0]["object"] == "stuck"


def test_models_are_checked_but_not_repaired(tmp_path):
    path = tmp_path / "lab.xml"
    path.write_text(
        '<mujoco><option timestep=".002"/><worldbody><geom name="floor" type="plane" size="3 3 .1"/>'
        '<body name="crate" pos="0 0 .1"><freejoint/><geom type="box" size=".1 .1 .1" mass="1"/></body>'
        "</worldbody></mujoco>"
    )
    model = MjcfScene(name="lab", path=path, objects=("crate",), remarks="no metadata")
    check = check_scene(model)
    assert check.passed
    assert (check.reach.reached, check.reach.cut_off) == ((), ())  # it has no rooms
    assert "note: no metadata" in as_text([check])
    with pytest.raises(ConfigError, match=r"'lab' is MJCF, which is not repaired here; expected scene\.json"):
        check_scene(model, mend=True)


@pytest.fixture
def models(tmp_path):
    """Names of scenes with one crate each, which stands deeper and deeper in the floor; the last is not there."""
    for number in range(4):
        (tmp_path / f"lab{number}.xml").write_text(
            '<mujoco><worldbody><geom name="floor" type="plane" size="3 3 .1"/>'
            f'<body name="crate" pos="0 0 {0.1 - number / 200}"><freejoint/>'
            '<geom type="box" size=".1 .1 .1" mass="1"/></body></worldbody></mujoco>'
        )
    return [str(tmp_path / f"lab{number}.xml") for number in range(5)]


def test_workers_find_the_same_in_the_order_asked(models):
    one, two = (list(check_scenes(models[:4], num_workers=number)) for number in (1, 2))
    assert two == [dataclasses.replace(check, report=ours.report) for check, ours in zip(one, two, strict=True)]
    assert [check.report.scene for check in two] == ["lab0", "lab1", "lab2", "lab3"]
    assert [check.passed for check in two] == [True, True, True, False]
    assert (as_text(two), summary(two)) == (as_text(one), summary(one))


@pytest.mark.parametrize("num_workers", [1, 2])
def test_the_first_scene_that_cannot_be_checked_ends_it(models, num_workers):
    names = [*models[:2], models[4], "nowhere", models[3]]
    checks = check_scenes(names, num_workers=num_workers)
    assert [next(checks).report.scene for _ in range(2)] == ["lab0", "lab1"]
    with pytest.raises(UnknownNameError, match=r"no scene '.*lab4\.xml'"):
        next(checks)
    assert not multiprocessing.active_children()


def test_a_worker_that_dies_names_its_scene(install_package):
    install_package("deadly-houses", {}, {"zoo.scene_planner": "deadly = deadly:Planner"})
    checks = check_scenes([f"deadly/test/{index}" for index in (0, 1, 2)], num_workers=2)
    assert next(checks).report.scene == "house"
    with pytest.raises(DataError, match="'deadly/test/1' ended without an answer .*: zoo scene check deadly/test/1"):
        next(checks)
    assert not multiprocessing.active_children()


def test_at_least_one_worker_checks():
    with pytest.raises(ConfigError, match="workers is 0, expected 1 or more"):
        next(check_scenes(["procedural/train/0"], num_workers=0))


def test_walking_counts_the_largest_piece_of_floor():
    rooms = np.zeros((100, 200), np.uint8)
    rooms[10:90, 10:60], rooms[10:90, 60:190] = 1, 2
    blocked = rooms == 0
    blocked[:, 58:62] = True
    plan = OccupancyMap(
        blocked=blocked,
        rooms=rooms,
        room_names={1: "small", 2: "large", 3: "not on the map"},
        world_to_map=np.array([[0.0, -20, 0, 100], [20, 0, 0, 0]]),
        map_to_world=np.array([[0.0, 0.05, 0], [-0.05, 0, 5], [0, 0, 0]]),
        px_per_m=20.0,
    )
    assert (walk(plan).reached, walk(plan).cut_off) == (("large",), ("small",))
    opened_up = blocked.copy()
    opened_up[40:60, 58:62] = False
    wide = dataclasses.replace(plan, blocked=opened_up)
    assert walk(wide).cut_off == ()
    assert walk(wide, radius_m=0.6).cut_off == ("small",)
    assert walk(dataclasses.replace(plan, blocked=np.ones_like(blocked))).reached == ()


def test_a_closed_door_is_no_wall():
    assert check_scene(opened(openings=[door(angle=0.0)])).reach.cut_off == ()
    assert check_scene(opened(openings=[])).reach.cut_off != ()
