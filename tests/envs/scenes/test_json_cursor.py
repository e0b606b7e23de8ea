"""Values with their paths: what is accepted, and where a fault is said to be."""

import pytest

from zoo.envs.scenes.json_cursor import Cursor
from zoo.errors import DataError

ROOT = Cursor({"walls": [{"x": 1, "y": 2.5, "z": -3}, {"x": "wide"}], "name": "a", "open": True, "nothing": None}, "h")


def test_values():
    first, second = ROOT.get("walls").list()
    assert first.xyz() == (1.0, 2.5, -3.0)
    assert second.path == "h.walls[1]"
    assert ROOT.get("name").text() == "a"
    assert ROOT.get("open").flag(False) is True
    assert not ROOT.get("nothing")
    assert not ROOT.get("absent")
    assert ROOT.get("absent").number(2.0) == 2.0
    assert list(ROOT.get("absent").list()) == []


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (list(ROOT.get("walls").list())[1].xyz, r"h\.walls\[1\]\.x is 'wide', expected a number"),
        (lambda: ROOT.need("doors"), r"h\.doors is missing; there are walls, name"),
        (lambda: ROOT.get("name").get("x"), r"h\.name is 'a', expected an object with 'x'"),
        (lambda: ROOT.get("name").list(), r"h\.name is 'a', expected a list"),
        (lambda: ROOT.get("walls").object(), r"h\.walls is \[.*, expected an object"),
        (lambda: ROOT.get("walls").text(), r"h\.walls is \[.*, expected text"),
        (lambda: ROOT.get("name").flag(False), r"h\.name is 'a', expected true or false"),
        (lambda: ROOT.get("open").number(), r"h\.open is True, expected a number"),
        (lambda: Cursor(float("nan"), "h.x").number(), r"h\.x is nan, expected a number"),
    ],
)
def test_faults_name_their_place(use, message):
    with pytest.raises(DataError, match=message):
        use()
