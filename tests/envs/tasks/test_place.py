import math

import numpy as np
import pytest

from zoo.envs.tasks.place import PickAndPlace, PickAndPlaceColor, PickAndPlaceNextTo
from zoo.errors import DataError

ON_PLATE = (0.3, 0, 0.451)


def objects(bench):
    return {
        "pickup_obj_name": "mug",
        "place_receptacle_name": "plate",
        "place_receptacle_start_pose": bench.pose("plate").tolist(),
    }


def fields(bench, **more):
    limits = {
        "receptacle_supported_weight_frac": 0.5,
        "max_place_receptacle_pos_displacement": 0.15,
        "max_place_receptacle_rot_displacement": math.radians(60),
    }
    return objects(bench) | limits | more


def fields_next_to(bench):
    return objects(bench) | {
        "min_surface_to_surface_gap": 0.0,
        "max_surface_to_surface_gap": 0.05,
        "max_place_receptacle_pos_displacement": 0.05,
        "max_place_receptacle_rot_displacement": math.radians(45),
    }


def bound(task, bench):
    task.bind(bench.world)
    return task


def test_on_the_plate(bench):
    task = bound(PickAndPlace(**fields(bench)), bench)
    assert not task.judge().success
    bench.put("mug", ON_PLATE)
    bench.settle()
    judged = task.judge()
    assert judged.success
    distance = np.linalg.norm(bench.world.box("mug")[0] - bench.world.box("plate")[0])
    assert judged.reward == pytest.approx(math.exp(-distance))


def test_touched_by_the_robot_is_not_released(bench):
    task = bound(PickAndPlace(**fields(bench)), bench)
    bench.put("mug", ON_PLATE)
    bench.settle()
    x, y, z = bench.pose("mug")[:3]
    bench.put("robot", (x, y, z + 0.079))
    judged = task.judge()
    assert judged.facts["is_released"] == 0
    assert not judged.success


@pytest.mark.parametrize(("shift", "success"), [(0.09, True), (0.11, False)])
def test_a_receptacle_that_moved(bench, shift, success):
    task = bound(PickAndPlace(**fields(bench, max_place_receptacle_pos_displacement=0.1)), bench)
    x, y, z = bench.pose("plate")[:3]
    bench.put("plate", (x, y - shift, z))
    bench.put("mug", (x, y - shift, 0.451))
    bench.settle()
    judged = task.judge()
    assert judged.facts["receptacle_moved_m"] == pytest.approx(shift, abs=0.005)
    assert judged.success == success


def test_turning_about_the_vertical_is_free_and_tilting_is_not(bench):
    task = bound(PickAndPlace(**fields(bench, max_place_receptacle_rot_displacement=math.radians(45))), bench)
    half = math.radians(170) / 2
    bench.put("plate", bench.pose("plate")[:3], (math.cos(half), 0, 0, math.sin(half)))
    assert task.judge().facts["receptacle_tilted_deg"] == pytest.approx(0, abs=0.1)
    half = math.radians(50) / 2
    bench.put("plate", bench.pose("plate")[:3], (math.cos(half), math.sin(half), 0, 0))
    judged = task.judge()
    assert judged.facts["receptacle_tilted_deg"] == pytest.approx(50, abs=0.1)
    assert not judged.success


def test_carried_stays_carried_while_nothing_moves(bench):
    """Contacts flicker: a hair above the plate, with no contact at all, is still on it; far above is not."""
    task = bound(PickAndPlace(**fields(bench)), bench)
    bench.put("mug", ON_PLATE)
    bench.settle()
    assert task.judge().success
    x, y, z = bench.pose("mug")[:3]
    bench.put("mug", (x, y, z + 0.003))
    assert task.judge().success
    bench.put("mug", (x, y, z + 0.1))
    assert not task.judge().success


def test_beside_the_plate_is_not_on_it(bench):
    task = bound(PickAndPlace(**fields(bench)), bench)
    bench.put("mug", (0.3, 0.15, 0.431))
    bench.settle()
    assert not task.judge().success


@pytest.mark.parametrize(("share", "success"), [(0.2, True), (0.9, False)])
def test_weight_share(bench, share, success):
    """The mug stands half on one plate and half on another of the same height: each carries half of it."""
    task = bound(PickAndPlace(**fields(bench, receptacle_supported_weight_frac=share)), bench)
    x, y, z = bench.pose("plate")[:3]
    bench.put("plate_2", (x, y + 0.202, z))
    bench.put("mug", (x, y + 0.101, 0.451))
    bench.settle()
    assert task.judge().success == success


def test_color_is_the_named_one(bench):
    more = {"object_colors": {"plate": [1, 0, 0, 1], "plate_2": [0, 0, 1, 1]}, "other_receptacle_names": ["plate_2"]}
    task = bound(PickAndPlaceColor.from_episode(fields(bench, **more)), bench)
    bench.put("mug", (0.3, 0.4, 0.451))
    bench.settle()
    assert not task.judge().success
    bench.put("mug", ON_PLATE)
    bench.settle()
    assert task.judge().success
    more["other_receptacle_names"] = ["plate_3"]
    with pytest.raises(DataError, match="no body 'plate_3'"):
        bound(PickAndPlaceColor.from_episode(fields(bench, **more)), bench)


@pytest.mark.parametrize(("gap", "success"), [(0.002, True), (0.055, True), (0.07, False)])
def test_next_to(bench, gap, success):
    task = bound(PickAndPlaceNextTo(**fields_next_to(bench)), bench)
    x, y, _ = bench.pose("plate")[:3]
    bench.put("mug", (x, y + 0.13 + gap, 0.431))
    bench.settle()
    judged = task.judge()
    assert judged.facts["gap_m"] == pytest.approx(gap, abs=0.003)
    assert judged.success == success


def test_next_to_wants_one_surface(bench):
    task = bound(PickAndPlaceNextTo(**fields_next_to(bench)), bench)
    bench.put("plate_2", (0.3, 0.25, 0.411))
    bench.put("mug", (0.3, 0.19, 0.451))  # stands on the other plate, near enough
    bench.settle()
    judged = task.judge()
    assert judged.facts["gap_m"] <= 0.06
    assert judged.facts["shares_surface"] == 0
    assert not judged.success


def test_next_to_counts_turning(bench):
    task = bound(PickAndPlaceNextTo(**fields_next_to(bench)), bench)
    half = math.radians(50) / 2
    bench.put("plate", bench.pose("plate")[:3], (math.cos(half), 0, 0, math.sin(half)))
    assert task.judge().facts["receptacle_turned_deg"] == pytest.approx(50, abs=0.1)
