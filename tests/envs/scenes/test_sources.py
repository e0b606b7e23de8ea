"""Scenes by what people type: every kind of file and name opens, and everything else is refused in words."""

import json

import pytest
from box_house import LIBRARIES, door, house, thing

from zoo import registry
from zoo.envs.scenes.house_folder import write_house_folder
from zoo.envs.scenes.sources import MjcfScene, SceneSources, SpecifiedScene, expand
from zoo.errors import ConfigError, DataError, UnknownNameError

PLAIN = """<mujoco><worldbody>
  <geom type="plane" size="3 3 .1"/>
  <body name="post"><geom size=".1"/></body>
  <body name="crate" pos="0 0 1"><freejoint/><geom name="box" size=".1"/></body>
  <body name="cabinet"><body pos="1 0 0"><joint name="slide" type="slide" range="0 1"/><geom size=".1"/></body></body>
</worldbody></mujoco>"""


def empty_house(**fields):
    """Without objects: no library is needed to open it."""
    return house(**fields)


def test_a_folder_its_description_and_its_model(tmp_path):
    folder = write_house_folder(empty_house(name="val_3"), LIBRARIES, tmp_path / "made")
    for text in (folder, folder / "scene.json"):
        opened = SceneSources().open(str(text))
        assert isinstance(opened, SpecifiedScene)
        assert opened.scene == empty_house(name="val_3")
    for file in ("val_3.xml", "val_3_ceiling.xml"):
        opened = SceneSources().open(str(folder / file))
        assert isinstance(opened, MjcfScene)
        assert (opened.name, opened.objects, opened.remarks) == ("val_3", ("door",), "")
        model = opened.build().compile()
        plan = opened.plan(model, opened.start(model))
        assert set(plan.room_names.values()) == {"kitchen", "bedroom"}
    (folder / "scene.json").unlink()
    assert SceneSources().open(str(folder)).name == "val_3"


def test_the_ceiling_is_in_the_file_beside(tmp_path):
    folder = write_house_folder(empty_house(name="val_3"), LIBRARIES, tmp_path)
    opened = SceneSources().open(str(folder / "val_3.xml"))
    names = [{geom.name for geom in opened.build(with_ceiling=closed).geoms} for closed in (False, True)]
    assert names[1] - names[0] == {"kitchen/ceiling", "bedroom/ceiling"}


def test_mjcf_without_metadata(tmp_path):
    (tmp_path / "lab.xml").write_text(PLAIN)
    opened = SceneSources().open(str(tmp_path / "lab.xml"))
    assert opened.objects == ("crate", "cabinet")
    assert "no lab_metadata.json beside it" in opened.remarks
    model = opened.build().compile()
    assert [item.name for item in opened.inventory(model).items] == ["crate", "cabinet"]


def test_the_json_of_a_house_says_what_was_changed(tmp_path):
    wall = {"polygon": [{"x": x, "y": y, "z": 0} for x, y in ((0, 0), (3, 0), (3, 2.5), (0, 2.5))], "roomId": "room|1"}
    content = {
        "rooms": [
            {
                "id": "room|1",
                "roomType": "Kitchen",
                "floorPolygon": [{"x": x, "y": 0, "z": z} for x, z in ((0, 0), (0, 3), (3, 3), (3, 0))],
                "floorMaterial": {"name": "Wood"},
            }
        ],
        "walls": [wall | {"id": "wall|1"}],
        "objects": [
            {
                "id": "Unheard|1",
                "assetId": "Unheard_Of_1",
                "position": {"x": 1, "y": 0.5, "z": 1},
                "rotation": {"x": 0, "y": 0, "z": 0},
                "roomId": "room|1",
            }
        ],
    }
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(content))
    opened = SceneSources().open(str(path))
    assert isinstance(opened, SpecifiedScene)
    assert (opened.name, len(opened.scene.rooms)) == ("mine", 1)
    assert "1 dropped" in opened.remarks


def test_names_of_planned_houses(monkeypatch):
    opened = SceneSources(num_rooms=(1, 1)).open("procedural/val/4")
    assert (opened.name, opened.scene.split, opened.scene.index, len(opened.scene.rooms)) == ("val_4", "val", 4, 1)
    assert expand(["procedural/train/3:6", "x.xml"]) == (
        "procedural/train/3",
        "procedural/train/4",
        "procedural/train/5",
        "x.xml",
    )


def test_options_that_a_planner_does_not_take(sandboxed_registry):
    class Cave:
        def __init__(self, *, depth_m: float = 3.0) -> None:
            self.depth_m = depth_m

    registry.register("scene_planner", "cave")(Cave)
    with pytest.raises(ConfigError, match="scene planner 'cave' takes no num_rooms; it takes depth_m"):
        SceneSources(num_rooms=(1, 1)).planned("cave", "train", 0)


def test_names_of_public_houses(tmp_path, monkeypatch):
    monkeypatch.setenv("MLSPACES_ASSETS_DIR", str(tmp_path))
    scenes = tmp_path / "scenes" / "procthor-10k-val"
    scenes.mkdir(parents=True)
    (scenes / "val_7.xml").write_text(PLAIN)
    entry = {"asset_id": "Box_1", "category": "Box"}
    (scenes / "val_7_metadata.json").write_text(json.dumps({"objects": {"crate": entry, "gone": entry}}))
    opened = SceneSources().open("procthor-10k/val/7")
    assert (opened.name, opened.objects) == ("val_7", ("crate",))
    assert "1 objects of the metadata are not in the model, first 'gone'" in opened.remarks
    with pytest.raises(DataError, match=r"val_8\.xml is not on disk; .* asset set scenes/procthor-10k-val"):
        SceneSources().open("procthor-10k/val/8")


def test_closed_doors_are_thought_open_and_open_ones_are_there():
    """A leaf that is turned into the room is an obstacle, a closed one is no wall."""
    free = []
    for angle in (0.0, 1.5):
        scene = house(openings=[door(angle=angle)])
        opened = SpecifiedScene(scene=scene, libraries=LIBRARIES)
        model = opened.build().compile()
        free.append(opened.plan(model, opened.start(model)).is_free([(4.0, 1.45), (3.6, 1.03)]).tolist())
    assert free[0] == [True, True]
    assert free[1] == [True, False]


def test_objects_need_their_library():
    with pytest.raises(UnknownNameError, match="no asset_library 'boxes'"):
        SceneSources().specified(house([thing("mug", "mug", 1.0, 1.0)]))


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("nowhere", UnknownNameError, "no scene 'nowhere': there is no such file; expected a folder"),
        ("procedural/tain/3", UnknownNameError, "no scene 'procedural/tain/3'"),
        ("procedurl/train/3", UnknownNameError, "no scene_planner 'procedurl'. Near: procedural"),
        ("procedural/train/3:5", ConfigError, "names 2 scenes, expected one, as procedural/train/3"),
        ("procedural/train/5:5", ConfigError, "names no scene: expected first:end"),
        ("folder", DataError, "has no scene.json and 0 MJCF files"),
        ("broken.json", DataError, "cannot read the scene .*broken.json"),
        ("other.json", DataError, "this is 'something' version 4, expected 'zoo-scene'"),
        ("broken.xml", DataError, "cannot read the scene .*broken.xml"),
        ("massless.xml", DataError, "massless.xml.* does not compile: .*mass"),
    ],
)
def test_what_is_refused(tmp_path, monkeypatch, text, error, match):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken.json").write_bytes(b"\xff{")
    (tmp_path / "other.json").write_text('{"format": "something", "version": 4}')
    (tmp_path / "broken.xml").write_text("<mujoco><worldbody>")
    (tmp_path / "massless.xml").write_text("<mujoco><worldbody><body><freejoint/></body></worldbody></mujoco>")
    with pytest.raises(error, match=match):
        SceneSources().open(text)
