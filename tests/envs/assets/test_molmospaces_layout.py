"""Public layout: where files lie, and what is said of absent ones."""

import json

import numpy as np
import pytest

from zoo.envs.assets import molmospaces_layout as layout
from zoo.errors import DataError


def grasps(path):
    path.parent.mkdir(parents=True)
    np.savez(path, transforms=np.eye(4, dtype=np.float16)[None])
    return path


def test_root(tmp_path):
    assert layout.assets_root(environment={"MLSPACES_ASSETS_DIR": str(tmp_path)}) == tmp_path
    assert layout.assets_root(tmp_path, environment={}) == tmp_path
    with pytest.raises(
        DataError, match="export MLSPACES_ASSETS_DIR=FOLDER, the one with scenes/, objects/ and grasps/"
    ):
        layout.assets_root(environment={})
    with pytest.raises(DataError, match=r"absent is no folder; MLSPACES_ASSETS_DIR names"):
        layout.assets_root(tmp_path / "absent")


@pytest.mark.parametrize(
    ("path", "asset_set"),
    [
        ("/data/objects/thor/Bowl_1/Bowl_1.xml", "objects/thor"),
        ("/data/scenes/procthor-10k-val/../../objects/objaverse/0a/0a.obj", "objects/objaverse"),
        ("/data/scenes/ithor/FloorPlan1_physics.xml", "scenes/ithor"),
        ("/my/objects/scenes/ithor/x/y.png", "objects/scenes"),
        ("/data/elsewhere/a.xml", None),
        ("/data/objects/a.xml", None),
    ],
)
def test_asset_sets(path, asset_set):
    assert layout.asset_set_of(layout.Path(path)) == asset_set


def test_public_grasps(tmp_path):
    bowl = grasps(tmp_path / "grasps" / "droid" / "Bowl_1" / "Bowl_1_grasps_filtered.npz")
    door = grasps(tmp_path / "grasps" / "droid" / "Fridge_2" / "door_grasps_filtered.npz")
    assert layout.grasp_file(tmp_path, "Bowl_1") == bowl
    assert layout.grasp_file(tmp_path, "Fridge_2", joint="door") == door
    assert np.load(bowl)["transforms"].shape == (1, 4, 4)
    with pytest.raises(
        DataError, match=r"'0a1b' .*asset set grasps/droid_objaverse\. .*put it at .*/grasps/droid_objaverse"
    ):
        layout.grasp_file(tmp_path, "0a1b", source="objaverse")
    with pytest.raises(DataError, match="joint 'lid' of asset 'Fridge_2'"):
        layout.grasp_file(tmp_path, "Fridge_2", joint="lid")
    with pytest.raises(DataError, match="object set 'robocasa'; there are those of thor, objaverse"):
        layout.grasp_file(tmp_path, "x", source="robocasa")


def test_user_grasps(tmp_path):
    block = grasps(tmp_path / "red_block" / "droid" / "grasps.npz")
    lid = grasps(tmp_path / "box" / "droid" / "joint_grasps_lid.npz")
    assert layout.user_grasp_file(tmp_path, "red_block") == block
    assert layout.user_grasp_file(tmp_path, "box", joint="lid") == lid
    with pytest.raises(DataError, match=r"asset 'box' has no grasps for 'droid': .*grasps\.npz is not there"):
        layout.user_grasp_file(tmp_path, "box")
    other = grasps(tmp_path / "anywhere" / "b.npz")
    index = {
        "grasp_paths": {"droid": {"red_block": "anywhere/b.npz"}},
        "articulated_grasp_paths": {"droid": {"box": {"lid": "box/droid/joint_grasps_lid.npz"}}},
    }
    (tmp_path / "grasps_index.json").write_text(json.dumps(index))
    assert layout.user_grasp_file(tmp_path, "red_block") == other
    assert layout.user_grasp_file(tmp_path, "box", joint="lid") == lid
    with pytest.raises(DataError, match=r"grasps_index\.json names no grasps of asset 'mug' for 'droid'"):
        layout.user_grasp_file(tmp_path, "mug")
    with pytest.raises(DataError, match="names no grasps of asset 'box' for 'rum', joint 'lid'"):
        layout.user_grasp_file(tmp_path, "box", robot="rum", joint="lid")


@pytest.mark.parametrize("content", ["{", "[]", '{"grasp_paths": []}', "{}"])
def test_bad_grasp_indices(tmp_path, content):
    (tmp_path / "grasps_index.json").write_text(content)
    with pytest.raises(DataError, match=r"cannot read .*grasps_index\.json: .*expected grasp_paths"):
        layout.user_grasp_file(tmp_path, "mug")
