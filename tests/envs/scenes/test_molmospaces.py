"""Public scenes: a hand-made house in the layout of the sheet, its metadata, map and missing parts."""

import json

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from zoo.envs.assets.molmospaces_layout import grasp_file
from zoo.envs.scenes.molmospaces import ithor_split, load_house, load_scene, scene_path
from zoo.errors import ConfigError, DataError

FRIDGE, MUG = "fridge_a1b2_1_0_2", "mug_c3d4_1_0_2"
SCENE = f"""
<mujoco model="val_7">
  <asset><mesh name="mug" file="../../objects/thor/Mug_3/mug.obj"/></asset>
  <worldbody>
    <geom name="floor" type="plane" size="5 5 0.1"/>
    <body name="{FRIDGE}" pos="1 0 0.9">
      <geom type="box" size="0.3 0.3 0.9"/>
      <body name="fridge_a1b2_1_1_2" pos="0.3 -0.3 0">
        <joint name="fridge_a1b2_1_0_2_door_0" type="hinge" range="0 1.5"/>
        <geom type="box" size="0.02 0.3 0.9" pos="0 0.3 0"/>
      </body>
    </body>
    <body name="{MUG}" pos="0 1 0.5">
      <joint name="mug_c3d4_1_0_2_jntfree_0" type="free"/>
      <geom type="mesh" mesh="mug"/>
    </body>
  </worldbody>
</mujoco>
"""
TETRAHEDRON = "v 0 0 0\nv .1 0 0\nv 0 .1 0\nv 0 0 .1\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 3 1 4\n"
METADATA = {
    "objects": {
        FRIDGE: {
            "hash_name": FRIDGE, "asset_id": "Fridge_2", "object_id": "Fridge|2|0", "category": "Fridge",
            "object_enum": "thor_obj", "is_static": True, "parent": "", "room_id": 2, "children": [],
            "name_map": {
                "bodies": {FRIDGE: "Fridge_2", "fridge_a1b2_1_1_2": "door"},
                "joints": {"fridge_a1b2_1_0_2_door_0": "door"}, "sites": {},
            },
            "boundingBox": {"x": 0.6, "y": 0.6, "z": 1.8},
        },
        MUG: {
            "hash_name": MUG, "asset_id": "Mug_3", "object_id": "Mug|2|1", "category": "Mug", "is_static": False,
            "room_id": 2, "name_map": {"bodies": {MUG: "Mug_3"}, "joints": {}, "sites": {}},
        },
        "plate_9": {"asset_id": "Plate_1", "category": "Plate"},
    },
    "release": "20251217",
}  # fmt: skip


@pytest.fixture
def root(tmp_path):
    """MLSPACES_ASSETS_DIR with one scene, the mesh that it shares, a map and a grasp file."""
    scenes = tmp_path / "scenes" / "procthor-10k-val"
    mug = tmp_path / "objects" / "thor" / "Mug_3"
    grasps = tmp_path / "grasps" / "droid" / "Mug_3"
    for folder in (scenes, mug, grasps):
        folder.mkdir(parents=True)
    (mug / "mug.obj").write_text(TETRAHEDRON)
    np.savez(grasps / "Mug_3_grasps_filtered.npz", transforms=np.eye(4, dtype=np.float16)[None])
    for variant in ("val_7", "val_7_ceiling"):
        (scenes / f"{variant}.xml").write_text(SCENE)
    (scenes / "val_7_metadata.json").write_text(json.dumps(METADATA))
    text = PngImagePlugin.PngInfo()
    text.add_text("room_ids_to_name", json.dumps({"2": "Kitchen"}))
    Image.new("RGB", (4, 4)).save(scenes / "val_7_map.png", pnginfo=text)
    return tmp_path


@pytest.mark.parametrize("variant", ["base", "ceiling"])
def test_a_house_of_the_release(root, variant):
    scene = load_house("procthor-10k", "val", 7, root=root, variant=variant)
    assert list(scene.objects) == [FRIDGE, MUG]
    assert scene.absent == ("plate_9",)
    fridge = scene.object(FRIDGE)
    assert (fridge.asset_id, fridge.kind, fridge.is_static, fridge.room_id) == ("Fridge_2", "thor_obj", True, 2)
    assert fridge.size_m == (0.6, 0.6, 1.8)
    assert scene.joints_of(FRIDGE) == ("fridge_a1b2_1_0_2_door_0",)
    assert fridge.joints[scene.joints_of(FRIDGE)[0]] == "door"
    assert scene.joints_of(MUG) == ()  # a free joint is none
    assert [item.body for item in scene.of_category("mug")] == [MUG]
    assert scene.rooms == {2: "Kitchen"}
    assert scene.map_path.name == "val_7_map.png"
    assert scene.metadata["release"] == "20251217"
    assert scene.spec.compile().nbody == 4
    assert grasp_file(root, scene.object(MUG).asset_id).name == "Mug_3_grasps_filtered.npz"


def test_ithor_names_and_splits(root):
    assert scene_path("ithor", "val", 213, root=root).name == "FloorPlan213_physics.xml"
    assert scene_path("ithor", "train", 1, root=root, variant="ceiling").name == "FloorPlan1_physics_ceiling.xml"
    assert [ithor_split(index) for index in (1, 12, 13, 24, 25, 430)] == [
        "train",
        "train",
        "val",
        "val",
        "test",
        "test",
    ]
    with pytest.raises(ConfigError, match="FloorPlan13 is of the split 'val', not 'train'"):
        scene_path("ithor", "train", 13, root=root)
    with pytest.raises(ConfigError, match="no FloorPlan31; numbers modulo 100 go from 1 to 30"):
        ithor_split(31)
    with pytest.raises(ConfigError, match="no scene family 'procthor'; expected one of ithor, procthor-10k"):
        scene_path("procthor", "train", 1, root=root)


def test_absent_scenes_and_meshes_name_their_asset_set(root, monkeypatch):
    with pytest.raises(
        DataError, match=r"val_8\.xml is not on disk; it is in the .* asset set scenes/procthor-10k-val\."
    ):
        load_house("procthor-10k", "val", 8, root=root)
    (root / "objects" / "thor" / "Mug_3" / "mug.obj").unlink()
    with pytest.raises(
        DataError, match=r"mug\.obj is not on disk; .*asset set objects/thor\. Get .*/objects/thor, and"
    ):
        load_house("procthor-10k", "val", 7, root=root)
    monkeypatch.delenv("MLSPACES_ASSETS_DIR", raising=False)
    with pytest.raises(DataError, match="export MLSPACES_ASSETS_DIR"):
        load_house("procthor-10k", "val", 7)


def test_objects_that_are_not_there(root):
    scene = load_house("procthor-10k", "val", 7, root=root)
    with pytest.raises(DataError, match="no object 'plate_9': the metadata has it, the model does not"):
        scene.object("plate_9")
    with pytest.raises(DataError, match="no object 'cat': the metadata has none"):
        scene.joints_of("cat")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("val_7.xml", "<mujoco>", "cannot read the scene"),
        ("val_7_metadata.json", "{", r"cannot read .*val_7_metadata\.json"),
        ("val_7_metadata.json", "[]", "holds list, expected an object"),
        ("val_7_metadata.json", "{}", r"val_7_metadata\.objects is missing"),
        ("val_7_metadata.json", '{"objects": {"a": {}}}', r"val_7_metadata\.objects\.a\.asset_id is missing"),
        ("val_7_metadata.json", '{"objects": {"a": 3}}', r"val_7_metadata\.objects\.a is 3, expected an object"),
        ("val_7_map.png", "no picture", "cannot read the map"),
    ],
)
def test_bad_files(root, file, content, message):
    (root / "scenes" / "procthor-10k-val" / file).write_text(content)
    with pytest.raises(DataError, match=message):
        load_house("procthor-10k", "val", 7, root=root)


def test_maps_without_names_and_scenes_without_metadata(root):
    folder = root / "scenes" / "procthor-10k-val"
    Image.new("RGB", (4, 4)).save(folder / "val_7_map.png")
    assert load_scene(folder / "val_7.xml").rooms == {}
    (folder / "val_7_map.png").unlink()
    assert load_scene(folder / "val_7.xml").map_path is None
    (folder / "val_7_metadata.json").unlink()
    with pytest.raises(DataError, match=r"val_7\.xml has no metadata beside it, expected val_7_metadata\.json"):
        load_scene(folder / "val_7.xml")
