"""Grasps of a whole library: files and reports, resuming, the same bytes in other processes, and faults."""

import dataclasses
import json
import logging

import deadly
import grasp_assets
import numpy as np
import pytest

from zoo.envs.grasps.files import find_grasps, read_grasps, read_index
from zoo.envs.grasps.library import GraspSettings, generate_grasps, graspable, grasps_of
from zoo.envs.grasps.shake import ArticulatedCheck, RigidCheck
from zoo.errors import ConfigError, DataError, UnknownNameError

FEW = GraspSettings(wanted=3)


def library():
    heavy = grasp_assets.box("sofa", is_pickupable=False)
    return grasp_assets.Library(
        grasp_assets.box(), heavy, grasp_assets.box("cube", (0.095,) * 3), grasp_assets.Drawer()
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grasps")
    return folder, generate_grasps(library(), folder, FEW, workers=0)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.npz"))}


def test_what_can_be_grasped_is(made):
    folder, reports = made
    assert [(report.uid, report.joint, report.num_grasps) for report in reports] == [
        ("box", None, 3),
        ("cube", None, 0),
        ("drawer", "slide", 3),
    ]
    assert reports[1].failures == {"no place for the hand": 1}
    for uid, joint, count in (("box", None, 6), ("cube", None, 0), ("drawer", "slide", 6)):
        assert read_grasps(find_grasps([folder], uid, joint)).shape == (count, 4, 4)


def test_written_grasps_hold_when_read_again(made):
    folder, _ = made
    box, drawer = grasp_assets.box(), grasp_assets.Drawer()
    checks = (
        (RigidCheck(box), find_grasps([folder], "box")),
        (ArticulatedCheck(drawer, drawer.facts.articulations[0]), find_grasps([folder], "drawer", "slide")),
    )
    for check, path in checks:
        for pose in read_grasps(path, with_twins=False):
            assert check.verdict(pose) == "held"


def test_spawned_workers_write_the_same_bytes(made, tmp_path):
    folder, reports = made
    again = generate_grasps(library(), tmp_path / "new", FEW, workers=2)
    assert contents(tmp_path / "new") == contents(folder)
    assert [dataclasses.replace(report, seconds=0) for report in again] == [
        dataclasses.replace(report, seconds=0) for report in reports
    ]


def test_resuming_makes_only_what_is_missing(tmp_path, monkeypatch):
    some = grasp_assets.Library(grasp_assets.box("a"), grasp_assets.box("b"))
    asked = []
    monkeypatch.setattr(some, "asset", lambda uid: asked.append(uid) or some.assets[uid])
    generate_grasps(some, tmp_path, FEW, uids=["b"], workers=0)
    before = contents(tmp_path)
    assert asked == ["b"]
    reports = generate_grasps(some, tmp_path, FEW, workers=0)
    assert asked == ["b", "a"]
    assert [report.uid for report in reports] == ["a", "b"]
    assert contents(tmp_path)["b/droid/grasps.npz"] == before["b/droid/grasps.npz"]
    assert len(reports) == len(generate_grasps(some, tmp_path, FEW, workers=0))
    assert asked == ["b", "a"]


def test_folder_of_something_else_is_refused(made, tmp_path):
    folder, _ = made
    with pytest.raises(ConfigError, match=r"holds grasps of other wanted; choose another folder"):
        generate_grasps(library(), folder, GraspSettings(wanted=4), workers=0)
    with pytest.raises(ConfigError, match=r"holds grasps of other library"):
        generate_grasps(grasp_assets.Library(), folder, FEW, workers=0)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ConfigError, match="is not empty and holds no grasps made here"):
        generate_grasps(library(), tmp_path, FEW, workers=0)
    (tmp_path / "letter.txt").unlink()
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(ConfigError, match="is no JSON"):
        generate_grasps(library(), tmp_path, FEW, workers=0)
    (tmp_path / "settings.json").write_text(json.dumps([1]))
    with pytest.raises(ConfigError, match="holds grasps of other version, robot, library, mode"):
        generate_grasps(library(), tmp_path, FEW, workers=0)


def test_an_asset_that_cannot_be_tried_stops_no_other(tmp_path):
    broken = grasp_assets.Drawer("broken")
    part = dataclasses.replace(broken.facts.articulations[0], handle="knob")
    broken.facts = dataclasses.replace(broken.facts, articulations=(part,))
    reports = generate_grasps(grasp_assets.Library(broken, grasp_assets.box()), tmp_path, FEW, workers=0)
    assert "lacks the joint 'slide' or the handle 'knob'" in reports[0].error
    assert reports[1].num_grasps == 3
    assert read_grasps(find_grasps([tmp_path], "broken", "slide")).shape == (0, 4, 4)


def test_a_worker_that_dies_costs_its_asset_until_the_next_run(tmp_path):
    some = grasp_assets.Library(deadly.Asset("bomb"), grasp_assets.box("a"), grasp_assets.box("b"))
    with pytest.raises(DataError, match=r"ended without an answer \(killed, or out of memory\) at bomb\. What is"):
        generate_grasps(some, tmp_path, FEW, workers=1)
    assert sorted(contents(tmp_path)) == ["a/droid/grasps.npz", "b/droid/grasps.npz"]
    assert sorted(read_index(tmp_path)["grasp_paths"]["droid"]) == ["a", "b"]
    assert len(generate_grasps(some, tmp_path, FEW, uids=["a", "b"], workers=0)) == 2


def test_workers_that_keep_dying_end_the_run(tmp_path):
    names = ["one", "two", "three", "four"]
    with pytest.raises(DataError, match="at one, at two, at three. What"):
        generate_grasps(grasp_assets.Library(*map(deadly.Asset, names)), tmp_path, FEW, workers=1)


def test_assets_are_named_by_uid_or_category(caplog):
    assert graspable(library()) == ("box", "cube", "drawer")
    with caplog.at_level(logging.INFO):
        assert graspable(library(), ["drawer", "box"]) == ("box", "drawer")
        assert not caplog.records
        assert graspable(library(), ["thing"]) == ("box", "cube")  # the category of all but the drawer
    assert "1 of the assets named can neither be picked up nor opened: sofa" in caplog.text
    facts = dataclasses.replace(grasp_assets.box("x").facts, category="tin box")
    spaced = grasp_assets.box("x")
    spaced.facts = facts
    assert graspable(grasp_assets.Library(spaced), ["tin box"]) == ("x",)
    assert graspable(grasp_assets.Library(spaced), ["tin_box"]) == ("x",)


@pytest.mark.parametrize(
    ("names", "error", "match"),
    [
        (["cub"], UnknownNameError, "no asset and no category 'cub'. Near: cube. It has 4 assets: box, sofa, cube"),
        (["box", "thng"], UnknownNameError, "'thng'. Near: thing"),
        (["qqqq"], UnknownNameError, "'qqqq'. Near: none"),
        (["sofa"], ConfigError, "nothing of sofa can be picked up or opened"),
        ([], ConfigError, "nothing of an empty list of assets"),
    ],
)
def test_names_of_nothing(names, error, match):
    with pytest.raises(error, match=match):
        graspable(library(), names)


def test_a_library_with_nothing_to_grasp():
    with pytest.raises(ConfigError, match="nothing of the asset library can be picked up or opened"):
        graspable(grasp_assets.Library(grasp_assets.box("sofa", is_pickupable=False)))


def test_same_seed_same_grasps():
    first, again = (grasps_of(grasp_assets.box(), settings=GraspSettings(wanted=2))[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other, _ = grasps_of(grasp_assets.box(), settings=GraspSettings(wanted=2, seed=1))
    assert not np.array_equal(first, other)


def test_gives_up_after_enough_checks():
    slippery = grasp_assets.box(is_slippery=True)
    grasps, report = grasps_of(slippery, settings=GraspSettings(wanted=2, checks_per_grasp=4))
    assert len(grasps) == 0
    assert sum(report.failures.values()) == 8


def test_bad_arguments():
    with pytest.raises(ConfigError, match="mode is 'fast', expected one of quick, thorough"):
        GraspSettings(mode="fast")
    with pytest.raises(ConfigError, match="wanted 0"):
        GraspSettings(wanted=0)
    with pytest.raises(ConfigError, match="workers is -1"):
        generate_grasps(library(), "anywhere", FEW, workers=-1)
    with pytest.raises(UnknownNameError, match=r"has no lamp; it has 4 assets: box, sofa, cube, drawer"):
        generate_grasps(library(), "anywhere", FEW, uids=["lamp"])
