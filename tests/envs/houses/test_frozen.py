"""Houses from a file: the same as they were, in bytes that repeat, and refused where there is none."""

import gzip
import json

import pytest
from box_house import crowded_house, house, thing

from zoo.envs.houses.frozen import HOUSES_FILE, FrozenHouses, write_houses
from zoo.errors import ConfigError, DataError

SCENES = [crowded_house(8), house([thing("mug", "mug", 1.0, 1.0)])]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "corner" / HOUSES_FILE
    write_houses(SCENES, "val", path)
    return path


def test_houses_come_back_as_they_were(file, tmp_path):
    planner = FrozenHouses(file=str(file))
    assert [planner.plan("val", index) for index in (0, 1)] == SCENES
    write_houses(SCENES, "val", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


@pytest.mark.parametrize(("split", "index"), [("val", 2), ("val", -1), ("train", 0)])
def test_a_house_that_is_not_there(file, split, index):
    with pytest.raises(
        ConfigError, match=f"house {index} of split '{split}': corner has 2 houses, 0 to 1 of split 'val'"
    ):
        FrozenHouses(file=str(file)).plan(split, index)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read the houses .*No such file"),
        (b"plain", "cannot read the houses .*Not a gzipped file"),
        (gzip.compress(b"{", mtime=0), "cannot read the houses .*Expecting"),
        (
            gzip.compress(json.dumps({"houses": []}).encode(), mtime=0),
            "holds no houses, expected an object with 'split'",
        ),
    ],
    ids=["missing", "plain", "cut", "other"],
)
def test_a_file_that_is_none(tmp_path, content, message):
    path = tmp_path / "x.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        FrozenHouses(file=str(path)).plan("val", 0)
