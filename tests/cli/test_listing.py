import sys

import pytest

from zoo import bundled, registry
from zoo.cli import recipes


def test_list_shows_every_component_recipe_and_checkpoint(zoo):
    out = zoo("list").out
    rows = [line.split()[:2] for line in out.splitlines()[1:]]
    offered = [[c.kind, c.name] for kind in registry.kinds() for c in registry.components(kind)]
    shipped = [["checkpoint", name] for name in bundled.names()]
    assert rows == offered + [["recipe", name] for name in recipes.names()] + shipped
    assert out.splitlines()[0].split()[:3] == ["kind", "name", "origin"]


def test_list_of_one_kind_has_purposes(zoo):
    out = zoo("list", "pruner").out
    assert "Keep" in out or "keep" in out
    assert {line.split()[0] for line in out.splitlines()[1:]} == {"pruner"}


def test_list_recipe_shows_what_each_makes(zoo):
    for line, name in zip(zoo("list", "recipe").out.splitlines()[1:], recipes.names(), strict=True):
        assert line.split()[1] == name
        assert line.endswith(recipes.summary(name))


def test_listing_a_plugin_imports_nothing_of_it(zoo, install_package):
    install_package(
        "lab-spoons",
        {"lab_spoons": '"""Text."""\nimport no_such_library\nclass Spoon:\n    """Scoops."""\n'},
        {"zoo.cutlery": "lab = lab_spoons:Spoon"},
    )
    answer = zoo("list", "cutlery")
    assert answer.code == 0
    assert answer.out.splitlines()[1].split() == ["cutlery", "lab", "lab-spoons", "Scoops."]
    assert "lab_spoons" not in sys.modules


def test_a_broken_plugin_is_named_and_the_others_are_listed(zoo, install_package):
    install_package("lab-forks", {"lab_forks": "class Fork(:\n"}, {"zoo.pruner": "lab_fork = lab_forks:Fork"})
    answer = zoo("list", "pruner")
    assert answer.code == 0
    line = next(line for line in answer.out.splitlines() if "lab_fork" in line)
    assert "cannot be read: invalid syntax (lab_forks.py, line 1)" in line
    assert any(line.split()[1] == "random" for line in answer.out.splitlines())


def test_show_component(zoo):
    out = zoo("show", "test_encoder", "wide").out
    assert "test_encoder wide (from register())" in out
    assert "class_path: fake_parts.WideEncoder" in out
    assert "fake_parts.py:" in out
    assert "hidden_size: int = 16" in out
    assert "Channels, 4 or more." in out


@pytest.mark.parametrize("name", ["lib:*", "lib:x"])
def test_show_source(zoo, name):
    out = zoo("show", "test_encoder", name).out
    assert "Encoders of another library." in out
    assert "name: str (required)" in out


def test_types_read_as_they_are_typed(zoo):
    out = zoo("show", "module", "vlm").out
    assert "  vision: VisionEncoder (required)" in out
    assert "  pruner: Pruner | list[Pruner] | None = None" in out
    assert "  answer_weight: Literal['code', 'paper', 'flat'] = 'code'" in out
    assert (
        "  generator: ShardGenerator | dict[str, ShardGenerator] | None = None"
        in zoo("show", "datamodule", "shards").out
    )


@pytest.mark.parametrize("arguments", [["molmo2/tiny"], ["recipe", "molmo2/tiny"], ["molmo2/tiny.yaml"]])
def test_show_recipe(zoo, arguments):
    assert zoo("show", *arguments).out.strip() == recipes.path_of("molmo2/tiny").read_text().strip()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["test_encoder"], "zoo show test_encoder wants a name: small, wide, lib:*"),
        (["test_encoder", "wid"], "no test_encoder 'wid'. Near: wide."),
        (["molmo2/tny"], "no recipe 'molmo2/tny'. Near: molmo2/tiny"),
        (["prunr", "none"], "no kind 'prunr'. Near: pruner."),
        ([], "what: missing"),
    ],
)
def test_show_unknown(mistake, arguments, text):
    assert text in mistake("show", *arguments)


def test_list_unknown(mistake):
    assert "no kind 'prunr'. Near: pruner." in mistake("list", "prunr")
    assert "unexpected 'head'" in mistake("list", "pruner", "head")
