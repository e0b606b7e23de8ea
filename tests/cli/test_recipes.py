from pathlib import Path

import pytest

from zoo.cli import recipes
from zoo.errors import UnknownNameError


def test_bundled_recipes_are_found_and_say_what_they_make():
    assert "molmo2/tiny" in recipes.names()
    for name in recipes.names():
        assert recipes.path_of(name).is_file()
        assert recipes.summary(name), f"{name} does not open with a comment"


def test_name_and_file_are_resolved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert recipes.resolve("molmo2/tiny") == str(recipes.FOLDER / "molmo2" / "tiny.yaml")
    assert recipes.resolve("molmo2/tiny.yaml") == str(recipes.FOLDER / "molmo2" / "tiny.yaml")
    own = tmp_path / "molmo2" / "tiny"
    own.parent.mkdir()
    own.write_text("{}")
    assert recipes.resolve("molmo2/tiny") == "molmo2/tiny"  # a file that is there wins over a bundled name


@pytest.mark.parametrize("value", ["{model: x}", "model: x\ndata: y", "s3://bucket/x.yaml"])
def test_what_is_no_name_is_left_alone(value):
    assert recipes.resolve(value) == value


@pytest.mark.parametrize("value", ["molmo2/tny", "nope.yaml", "..", "../zoo/recipes/molmo2/tiny"])
def test_neither_file_nor_recipe(value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownNameError, match=r"no recipe .*List: zoo list recipe"):
        recipes.resolve(value)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (recipes.FOLDER / "molmo2" / "tiny.yaml", "molmo2/tiny"),
        (Path("mine.yaml"), "mine"),
        (Path("experiments/mine.yaml"), "mine"),
        (Path("runs/molmo2/tiny/version_3/config.yaml"), "molmo2/tiny"),
        (Path("elsewhere/mine/version_0/config.yaml"), "mine"),
    ],
)
def test_name_of_a_run(path, name):
    assert recipes.name_of(path) == name
