"""MolmoSpaces asset folders: a hand-made user library and public sets in the layouts of the sheet."""

import json

import pytest

from zoo.envs.assets.molmospaces import MolmoSpacesAssets, facts_of_record
from zoo.envs.simulator import mujoco
from zoo.errors import DataError, UnknownNameError

BLOCK = """
<mujoco model="red_block"><worldbody><body name="red_block" pos="0 0 0.4">
  <freejoint/><geom name="red_block_geom" type="box" size="0.025 0.05 0.015" mass="0.062"/>
</body></worldbody></mujoco>
"""
RECORD = {
    "assetId": "red_block",
    "category": "block",
    "description": "A red block.",
    "description_short": {"one_word": "block"},
    "synset": "block.n.01",
    "mass": 0.062,
    "boundingBox": {"x": 0.05, "y": 0.1, "z": 0.03},
    "primaryProperty": "CanPickup",
    "split": "val",
}


def user_library(folder):
    (folder / "red_block").mkdir(parents=True)
    (folder / "red_block" / "red_block.xml").write_text(BLOCK)
    (folder / "red_block" / "red_block_computed.json").write_text(json.dumps(RECORD))
    entry = {
        "uid": "red_block",
        "object_path": "red_block/red_block.xml",
        "metadata_path": "red_block/red_block_computed.json",
        "metadata_npz_path": None,
    }
    (folder / "assets_index.json").write_text(json.dumps({"red_block": entry}))
    return folder


def test_user_library(tmp_path):
    library = MolmoSpacesAssets(folder=str(user_library(tmp_path)))
    (facts,) = library.of(category="block", split="val")
    assert facts.synset == "block.n.01"
    assert facts.description == "A red block."
    assert facts.size_m == (0.1, 0.05, 0.03)  # its front is the file's +y
    assert (facts.mass_kg, facts.is_pickupable, facts.is_static) == (0.062, True, False)
    asset = library.asset("red_block")
    assert asset.facts.size_m == pytest.approx(facts.size_m)
    spec = mujoco.MjSpec()
    asset.add_to(spec.worldbody, "b", position_m=(0, 0, 1), quat_wxyz=(1, 0, 0, 0), is_free=True)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    assert data.geom("b/red_block_geom").xpos == pytest.approx((0, 0, 1.015))
    assert abs(data.geom("b/red_block_geom").xmat[1]) == pytest.approx(1)  # turned by a quarter


def thor_set(root):
    folder = root / "objects" / "thor" / "Kitchen"
    folder.mkdir(parents=True)
    for stem in ("Bowl_1", "Fridge_2_mesh", "Fridge_2_prim", "Mug_3_prim", "Pan_1_old"):
        (folder / f"{stem}.xml").write_text(BLOCK)
    records = {"Bowl_1": RECORD | {"assetId": "Bowl_1", "category": "Bowl"}, "Absent_1": RECORD}
    (root / "records.json").write_text(json.dumps(records))
    return root


def test_public_set(tmp_path, monkeypatch):
    thor_set(tmp_path)
    monkeypatch.setenv("MLSPACES_ASSETS_DIR", str(tmp_path))
    library = MolmoSpacesAssets(source="thor", records=str(tmp_path / "records.json"))
    (facts,) = library.facts().values()
    assert (facts.uid, facts.category) == ("Bowl_1", "Bowl")
    assert facts.size_m == (0.03, 0.05, 0.1)  # Unity's y is up
    assert library.asset("Fridge_2").facts.size_m == pytest.approx((0.1, 0.05, 0.03))  # without a record: measured
    assert library.asset("Mug_3").facts.uid == "Mug_3"
    with pytest.raises(UnknownNameError, match=r"has no asset 'Bowl_2'\. Near: Bowl_1\. It has 3 assets"):
        library.asset("Bowl_2")


def test_absent_sets_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("MLSPACES_ASSETS_DIR", str(tmp_path))
    with pytest.raises(DataError, match=r"asset set objects/objaverse\. .*put it at .*/objects/objaverse, and export"):
        MolmoSpacesAssets(source="objaverse")
    library = MolmoSpacesAssets(folder=str(user_library(tmp_path / "own")))
    (tmp_path / "own" / "red_block" / "red_block.xml").unlink()
    with pytest.raises(DataError, match="the model of asset 'red_block'"):
        library.asset("red_block")


def test_the_digest_notices_other_content(tmp_path):
    digests = []
    for i, (model, record) in enumerate(
        [(BLOCK, RECORD), (BLOCK, RECORD), (BLOCK + " ", RECORD), (BLOCK, RECORD | {"mass": 1})]
    ):
        folder = user_library(tmp_path / str(i))
        (folder / "red_block" / "red_block.xml").write_text(model)
        (folder / "red_block" / "red_block_computed.json").write_text(json.dumps(record))
        digests.append(MolmoSpacesAssets(folder=str(folder)).digest)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boundingBox": None}, r"'a' has the boundingBox None, expected lengths x, y and z in metres"),
        ({"boundingBox": {"x": 1, "y": 0, "z": 1}}, "has the boundingBox"),
        ({"mass": "heavy"}, "category 'block' and mass 'heavy', expected text and kg"),
        ({"category": None}, "category None and mass 0.062"),
    ],
)
def test_bad_records(change, message):
    with pytest.raises(DataError, match=message):
        facts_of_record("a", RECORD | change, is_unity_box=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"cannot read .*assets_index\.json"),
        ("[]", r"assets_index\.json holds list, expected an object"),
        ('{"a": {"object_path": "a.xml"}}', "'a' is .* expected object_path and metadata_path"),
        ('{"a": {"object_path": "a.xml", "metadata_path": "absent.json"}}', r"cannot read .*absent\.json"),
    ],
)
def test_bad_indices(tmp_path, content, message):
    (tmp_path / "assets_index.json").write_text(content)
    with pytest.raises(DataError, match=message):
        MolmoSpacesAssets(folder=str(tmp_path)).facts()
