"""`zoo grasps` as it is typed, on a few of our own assets."""

import json
from pathlib import Path

import pytest

from zoo.envs.grasps.files import find_grasps, read_grasps
from zoo.envs.grasps.selection import GraspBook
from zoo.envs.grasps.shake import RigidCheck
from zoo.registry import build

FEW = ("--assets=spoon_0,microwave_0", "--wanted=3")


def test_files_table_and_numbers(zoo):
    answer = zoo("grasps", *FEW, "--out=made", "--workers=2", "--json=deep/told.json")
    assert answer.code == 0, answer.err
    assert "100%" in answer.err  # the bar
    rows = [line.split() for line in answer.out.splitlines()]
    assert ["spoon", "1", "1", "0", "1", "of", "1", "3"] in [row[:8] for row in rows]
    assert ["all", "2", "1", "1", "2", "of", "2", "6"] in [row[:8] for row in rows]
    assert answer.out.endswith("\nmade\n")
    told = json.loads(Path("deep/told.json").read_text())
    assert (told["total"]["assets"], told["total"]["full"], told["total"]["grasps"]) == (2, 2, 6)
    assert told["total"]["seconds"] > 0
    spoon = build("asset_library", "primitives").asset("spoon_0")
    read, check = read_grasps(find_grasps([Path("made")], "spoon_0"), with_twins=False), RigidCheck(spoon)
    assert [check.verdict(pose) for pose in read] == ["held"] * 3
    joint = build("asset_library", "primitives").facts()["microwave_0"].articulations[0].joint
    assert GraspBook([Path("made")]).has_grasps("microwave_0", joint)


def test_what_is_finished_stays(zoo):
    first = zoo("grasps", "--assets=spoon_0", "--wanted=1", "--out=made", "--workers=0")
    assert first.code == 0, first.err
    before = {path: path.stat().st_mtime_ns for path in Path("made/spoon_0").rglob("*") if path.is_file()}
    again = zoo("grasps", "--assets=spoon_0", "--wanted=1", "--out=made", "--workers=0")
    assert again.out == first.out
    assert {path: path.stat().st_mtime_ns for path in before} == before
    more = zoo("grasps", "--assets=spoon_0,bowl_0", "--wanted=1", "--out=made", "--workers=0")
    assert more.code == 0, more.err
    assert GraspBook([Path("made")]).has_grasps("bowl_0")
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_assets_that_cannot_be_grasped_are_told(zoo):
    answer = zoo("grasps", "--assets=spoon_0,bed", "--wanted=1", "--out=made", "--workers=0")
    assert answer.code == 0, answer.err
    assert "of the assets named can neither be picked up nor opened: bed_0" in answer.err


@pytest.mark.parametrize(
    ("typed", "match"),
    [
        (["--assets=spoon_99"], "no asset and no category 'spoon_99'. Near: spoon"),
        (["--assets=spoon_0,kitchen_cabinett"], "'kitchen_cabinett'. Near: kitchen_cabinet"),
        (["--assets=bed"], "nothing of bed can be picked up or opened"),
        (["--assets=,"], "nothing of an empty list of assets"),
        (["--library=primitivs"], "no asset_library 'primitivs'. Near: primitives"),
        (["--wanted=0"], "wanted 0"),
        (["--mode=fast"], "mode"),
        (["--workers=-1"], "workers is -1"),
    ],
)
def test_mistakes(mistake, typed, match):
    assert match in mistake("grasps", "--out=made", *typed)
    assert not Path("made").exists()


def test_a_folder_is_asked_for_and_others_are_refused(mistake):
    assert "out" in mistake("grasps")
    Path("full").mkdir()
    Path("full/letter.txt").write_text("dear")
    assert "is not empty and holds no grasps made here" in mistake("grasps", *FEW, "--out=full")
