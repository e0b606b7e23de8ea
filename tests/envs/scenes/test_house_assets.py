"""Stand-ins for foreign assets: words, sizes, catalogues."""

import json

import pytest
from facts_library import FactsLibrary

from zoo.envs.assets.library import AssetFacts
from zoo.envs.assets.primitives import PrimitiveLibrary
from zoo.envs.scenes.house_assets import AssetMatcher, CatalogueEntry, read_catalogue, size_from_unity, words_of
from zoo.errors import DataError


def facts(uid: str, category: str, size_m=(1.0, 1.0, 1.0)) -> AssetFacts:
    synset = f"{category.replace(' ', '_')}.n.01"
    return AssetFacts(uid=uid, category=category, synset=synset, description=uid, size_m=size_m, mass_kg=1)


SHELF = FactsLibrary(
    facts("sofa_short", "sofa", (0.9, 1.4, 0.8)),
    facts("sofa_long", "sofa", (0.9, 2.6, 0.8)),
    facts("table_a", "table", (0.8, 1.2, 0.7)),
    facts("bin_a", "garbage can"),
    facts("Mug_3", "mug"),
)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("GarbageCan", "garbage can"),
        ("RoboTHOR_garbage_can_ai2_3_v", "garbage can"),
        ("coffee table-0", "coffee table"),
        ("Fridge_13", "fridge"),
        ("TVStand_2", "tv stand"),
    ],
)
def test_words(name, words):
    assert words_of(name) == words


@pytest.mark.parametrize(
    ("asset_id", "hint", "size_m", "expected"),
    [
        ("Mug_3", "Mug", None, "Mug_3"),
        ("Sofa_201", "Sofa_201", (0.9, 2.4, 0.8), "sofa_long"),
        ("Sofa_201", "Sofa_201", (0.9, 1.5, 0.8), "sofa_short"),
        ("Couch_1", "Couch_1", None, "sofa_short"),
        ("Dining_Table_5", "DiningTable", None, "table_a"),
        ("GarbageCan_2", "GarbageCan", None, "bin_a"),
        ("0a1b2c", "reading table", None, "table_a"),  # its last word
    ],
)
def test_nearest_of_the_category(asset_id, hint, size_m, expected):
    match = AssetMatcher({"shelf": SHELF}).find(asset_id, hint, size_m)
    assert (match.facts.uid, match.library, match.is_same) == (expected, "shelf", asset_id == expected)


@pytest.mark.parametrize(
    ("asset_id", "category"),
    [
        ("Arm_Chair_203_1", "armchair"),
        ("RoboTHOR_coffee_table_ai2_1_v", "coffee table"),
        ("Fridge_23", "fridge"),
        ("TV_Stand_206_2", "tv stand"),
        ("Shelving_Unit_303_1", "shelf"),
        ("bin_11", None),
        ("GarbageCan", "garbage can"),
        ("Houseplant_5", "house plant"),
        ("Television_2", "television"),
        ("Dining_Table_227_1", "dining table"),
        ("CellPhone_4", "phone"),
        ("ButterKnife_1", "knife"),
        ("PepperShaker_2", "pepper mill"),
        ("Basketball_1", "basketball"),
        ("BasketBall", "basketball"),
    ],
)
def test_our_primitives_stand_in_for_thor(asset_id, category):
    match = AssetMatcher({"primitives": PrimitiveLibrary()}).find(asset_id, asset_id, None)
    assert (match.facts.category if match else None) == category


def test_unknown_categories_have_no_stand_in():
    assert AssetMatcher({"shelf": SHELF}).find("Guitar_1", "Guitar", None) is None


def test_catalogue_gives_category_and_size(tmp_path):
    path = tmp_path / "asset-database.json"
    box = {"x": 2.5, "y": 0.8, "z": 0.9}  # Unity: 2.5 m across, 0.9 m deep
    path.write_text(json.dumps({"Sofa": [{"assetId": "x17", "boundingBox": box}], "Mug": [{"assetId": "m1"}]}))
    catalogue = read_catalogue(path)
    assert catalogue == {
        "x17": CatalogueEntry(category="Sofa", size_m=(0.9, 2.5, 0.8)),
        "m1": CatalogueEntry(category="Mug"),
    }
    matcher = AssetMatcher({"shelf": SHELF}, catalogue)
    assert matcher.find("x17", "thing", matcher.known_size("x17")).facts.uid == "sofa_long"
    path.write_text(json.dumps({"x17": {"assetId": "x17", "category": "Sofa", "boundingBox": box}}))
    assert read_catalogue(path)["x17"].size_m == size_from_unity((2.5, 0.8, 0.9))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot read the asset catalogue"),
        ('{"Sofa": [{}]}', r"catalogue\.Sofa\[0\]\.assetId is missing"),
        ('{"a": {"category": 3}}', r"catalogue\.a\.category is 3, expected text"),
        ('{"a": {"category": "b", "boundingBox": {"x": 1}}}', r"catalogue\.a\.boundingBox\.y is missing"),
    ],
)
def test_bad_catalogues(tmp_path, content, message):
    path = tmp_path / "c.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_catalogue(path)
