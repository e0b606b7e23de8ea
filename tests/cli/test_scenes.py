"""`zoo scene ...` as it is typed, on a procedural house of one room."""

import json
from pathlib import Path

import pytest
from PIL import Image

from zoo.envs.simulator import mujoco


@pytest.fixture
def made(zoo):
    answer = zoo("scene", "new", "--out=made", "--split=val", "--index=2", "--rooms=1,1")
    assert answer.code == 0, answer.err
    return answer


def test_new(made):
    assert made.out.startswith("made: val_2, 1 rooms (")
    assert f"{len(json.loads(Path('made/scene.json').read_text())['objects'])} objects" in made.out
    assert mujoco.MjModel.from_xml_path("made/val_2.xml").nbody > 10
    assert Path("made/val_2_metadata.json").is_file()
    assert Path("made/val_2_map.png").is_file()


def test_check_and_repair(zoo, made):
    answer = zoo("scene", "check", "made", "--json=deep/found.json", "--repair", "--out=mended")
    assert answer.code == 0, answer.err
    assert "rooms reached 1 of 1" in answer.out
    assert "stability" in answer.out
    told = json.loads(Path("deep/found.json").read_text())
    assert told["num_scenes"] == 1
    assert told["pass_rates"]["stability"]["checked"] > 0
    assert Path("mended/val_2/scene.json").is_file()


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_workers_change_nothing_that_is_told_or_written(zoo, made):
    crowded = json.loads(Path("made/scene.json").read_text()) | {"name": "crowded"}
    bin_, cabinet = (next(o for o in crowded["objects"] if word in o["name"]) for word in ("garbage_can", "cabinet"))
    bin_["position_m"] = cabinet["position_m"]
    Path("crowded.json").write_text(json.dumps(crowded))
    answers = []
    for workers in (1, 2):
        options = (f"--out=mended{workers}", f"--json=found{workers}.json", f"--workers={workers}")
        answers.append(zoo("scene", "check", "crowded.json", "made", "--repair", *options))
    assert answers[0].code == 0, answers[0].err
    assert f"removed {bin_['name']} (intersection)" in answers[0].out
    assert answers[1].out == answers[0].out
    told = Path("found2.json").read_bytes()
    assert told == Path("found1.json").read_bytes()
    assert [scene["scene"] for scene in json.loads(told)["scenes"]] == ["crowded", "val_2"]
    assert files(Path("mended2")) == files(Path("mended1"))
    assert {path.partition("/")[0] for path in files(Path("mended2"))} == {"crowded", "val_2"}


def test_a_worker_that_dies(zoo, install_package):
    install_package("deadly-houses", {}, {"zoo.scene_planner": "deadly = deadly:Planner"})
    answer = zoo("scene", "check", "deadly/test/0:3", "--workers=2")
    assert (answer.code, answer.out) == (2, "")
    assert "zoo: the process that checked scene 'deadly/test/1' ended without an answer" in answer.last
    assert "Traceback" not in answer.err


def test_strict_ends_with_an_exit_code(zoo):
    Path("lab.xml").write_text(
        '<mujoco><worldbody><geom name="floor" type="plane" size="3 3 .1"/>'
        '<body name="ball" pos="0 0 0"><freejoint/><geom size=".1"/></body></worldbody></mujoco>'
    )
    answer = zoo("scene", "check", "lab.xml")
    assert answer.code == 0, answer.err
    assert "intersection ball: 0.1, at most 0.01 m" in answer.out  # half of it is in the floor
    strict = zoo("scene", "check", "lab.xml", "--strict")
    assert strict.code == 2
    assert strict.out == answer.out
    assert "1 of 1 scenes fail: lab" in strict.last


@pytest.mark.parametrize(("kind", "file"), [("mjcf", "x/scene.xml"), ("house_json", "x/house.json"), ("urdf", "x")])
def test_export(zoo, made, kind, file):
    answer = zoo("scene", "export", "made", f"--format={kind}", f"--out={file}")
    assert answer.code == 0, answer.err
    assert Path(answer.out.strip()).is_file()
    if kind != "urdf":
        assert zoo("scene", "export", file, "--format=mjcf", "--out=again.xml").code == 0


@pytest.mark.render
def test_show(zoo, made):
    answer = zoo("scene", "show", "made", "--views=1")
    assert (answer.code, answer.out) == (0, "val_2.png\n"), answer.err
    with Image.open("val_2.png") as picture:
        assert picture.height == 480


@pytest.mark.parametrize(
    ("typed", "match"),
    [
        (["new", "--out=x", "--rooms=3"], "rooms is '3', expected the fewest and the most with a comma, as 3,6"),
        (["new", "--out=x", "--rooms=5,2"], "num_rooms is 5 to 2"),
        (["new", "--out=a.file"], "a.file is a file; a scene is written as a folder of files"),
        (["new", "--out=x", "--planner=procedurl"], "no scene_planner 'procedurl'. Near: procedural"),
        (["new"], "out"),
        (["show", "nothing"], "no scene 'nothing'"),
        (["show", "procedural/train/0", "--out=x.jpg"], "the picture is a PNG file, got 'x.jpg'; name it 'x.png'"),
        (["show", "procedural/train/0", "--views=-1"], "views is -1"),
        (["check", "procedural/train/0", "--out=x"], "--out is for repaired scenes; add --repair"),
        (["check", "procedural/train/4:4"], "names no scene"),
        (["check", "procedural/train/4", "--workers=0"], "workers is 0, expected 1 or more"),
        (["export", "procedural/train/0", "--format=mjcf", "--out=x.json"], "ends in .xml"),
        (["export", "procedural/train/0", "--format=obj", "--out=x.obj"], "format"),
        (["exprt"], "zoo scene wants one of: new, show, check, export"),
    ],
)
def test_mistakes(mistake, typed, match):
    Path("a.file").write_text("-")
    assert match in mistake("scene", *typed)
