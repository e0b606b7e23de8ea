import ast
from pathlib import Path

import pytest

from zoo import registry
from zoo.cli import recipes


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_is_copied_and_says_what_to_type(zoo, name):
    answer = zoo("copy", name)
    copy = Path(f"{name.replace('/', '-')}.yaml")
    assert answer.code == 0
    assert copy.read_text() == recipes.path_of(name).read_text()
    assert f"zoo fit --config {copy}" in answer.out


@pytest.mark.parametrize(
    ("destination", "file"),
    [("mine.yaml", "mine.yaml"), ("deep/er/mine.yaml", "deep/er/mine.yaml"), (".", "molmo2-tiny.yaml")],
)
def test_places(zoo, destination, file):
    assert zoo("copy", "molmo2/tiny.yaml", destination).code == 0
    assert Path(file).read_text() == recipes.path_of("molmo2/tiny").read_text()


@pytest.mark.parametrize("kind", ["pruner", "head", "generator", "vision_encoder"])
def test_the_source_of_every_component_is_copied(zoo, kind):
    assert registry.names(kind)
    for component in registry.components(kind):
        answer = zoo("copy", f"{kind}/{component.name}", "mine.py")
        assert answer.code == 0, answer.err
        attribute = component.target.rpartition(":")[2]
        tree = ast.parse(Path("mine.py").read_text())
        assert attribute in {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        assert f"--model.{kind}=mine.{attribute}" in answer.out or kind == "generator"
        assert f'mine = "mine:{attribute}"' in answer.out
        Path("mine.py").unlink()


def test_a_kind_and_a_name_are_two_words_too(zoo, mistake):
    assert zoo("copy", "pruner", "random").code == 0
    assert Path("my_random.py").exists()
    assert zoo("copy", "pruner", "random", "deep/mine.py").code == 0
    assert zoo("copy", "recipe", "molmo2/tiny", "mine.yaml").code == 0
    assert zoo("show", "pruner", "random").code == 0  # the same words
    assert Path("deep/mine.py").read_text() == Path("my_random.py").read_text()
    assert mistake("copy", "pruner") == "zoo copy pruner wants a name behind it. List: zoo list pruner"
    assert "no pruner 'rndom'. Near: random." in mistake("copy", "pruner", "rndom")
    assert "is copied to a.py, or to b.py? Say only one" in mistake("copy", "pruner/random", "a.py", "b.py")


def test_parts_of_the_simulator_are_not_said_to_be_trained(zoo):
    out = zoo("copy", "robot", "stretch").out
    assert "change Stretch in it" in out
    assert "zoo fit" not in out
    assert '[project.entry-points."zoo.robot"]' in out


def test_what_it_says_works(zoo, tmp_path, monkeypatch):
    assert zoo("copy", "pruner/random").code == 0
    monkeypatch.syspath_prepend(tmp_path)  # as python -m does
    answer = zoo("fit", "--config=molmo2/tiny", "--model.pruner=my_random.RandomPruner", "--print_config")
    assert answer.code == 0, answer.err
    assert "my_random.RandomPruner" in answer.out


def test_nothing_is_overwritten(zoo, mistake):
    Path("mine.yaml").write_text("precious")
    assert "mine.yaml is there already" in mistake("copy", "molmo2/tiny", "mine.yaml")
    assert "mine.yaml is there already" in mistake("copy", "pruner/random", "mine.yaml")
    assert Path("mine.yaml").read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("molmo2/tny", "no recipe or component 'molmo2/tny'. Near: molmo2/tiny"),
        ("prunr/random", "no recipe or component 'prunr/random'. Near: pruner/random"),
        ("pruner/rndom", "no pruner 'rndom'. Near: random."),
        ("random", "no recipe or component 'random'."),
        ("../recipes/molmo2/tiny", "no recipe or component"),
    ],
)
def test_unknown_names(mistake, name, text):
    assert text in mistake("copy", name)


def test_a_destination_that_cannot_be_written(mistake):
    Path("file").write_text("x")
    assert "cannot write file/mine.yaml: File exists" in mistake("copy", "molmo2/tiny", "file/mine.yaml")
