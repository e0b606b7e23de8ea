import inspect

import jsonargparse
import pytest
import yaml
from fake_parts import Encoder, Regression, WideEncoder
from lightning.pytorch import LightningDataModule, LightningModule

from zoo.cli import names
from zoo.cli.parsing import CommandParser
from zoo.errors import ConfigError
from zoo.pruner import Pruner


@pytest.fixture
def parse(zoo):
    """Parse flags of `Regression`, and build it."""

    def run(*flags, config=None):
        parser = CommandParser()
        parser.add_argument("--config", action=jsonargparse.ActionConfigFile)
        parser.add_class_arguments(Regression, "model")
        arguments = [] if config is None else ["--config", config]
        settings = parser.parse_args([*arguments, *flags])
        return settings.model, parser.instantiate(settings).model

    return run


def test_installed_jsonargparse_has_what_is_wrapped():
    """If this fails, jsonargparse has changed inside: adapt zoo/cli/names.py, or bound it in pyproject.toml."""
    for name, arguments in names.WRAPPED.items():
        original = inspect.unwrap(vars(names.private)[name])
        assert original.__module__.startswith("jsonargparse")
        assert tuple(inspect.signature(original).parameters)[: len(arguments)] == arguments
    for name, arguments in {
        "resolve_help_type": ("self", "value", "option_string"),
        "instantiate_classes": ("self", "value"),
        "extra_help": ("self",),
        "convert_to_dict": ("value",),
    }.items():
        assert tuple(inspect.signature(names._original[name]).parameters) == arguments
    before = vars(names.private)["adapt_typehints"]
    names.install()
    assert vars(names.private)["adapt_typehints"] is before


def test_install_refuses_a_jsonargparse_that_it_does_not_know(monkeypatch):
    monkeypatch.setattr(names, "_original", {})
    monkeypatch.setattr(names, "WRAPPED", {"adapt_typehints": ("other",)})
    with pytest.raises(RuntimeError, match="jsonargparse has no adapt_typehints"):
        names.install()


def test_kind_of_an_expected_type():
    assert names.kind_of(Encoder) == names.kind_of(WideEncoder) == "test_encoder"
    assert names.kind_of(Pruner) == "pruner"
    assert names.kind_of(LightningModule) == names.kind_of(Regression) == "module"
    assert names.kind_of(LightningDataModule) == "datamodule"
    assert [names.kind_of(other) for other in (int, list[Encoder], Encoder | None, None, inspect.Parameter)] == [
        None
    ] * 5


@pytest.mark.parametrize(
    "flags",
    [
        ["--model.encoder=wide", "--model.encoder.hidden_size=6"],
        ["--model.encoder=wide", "--model.encoder.init_args.hidden_size=6"],
        ["--model.encoder.class_path=wide", "--model.encoder.init_args.hidden_size=6"],
        ["--model.encoder={class_path: wide, init_args: {hidden_size: 6}}"],
        ["--model.encoder=fake_parts.WideEncoder", "--model.encoder.hidden_size=6"],
        ["--model.encoder=WideEncoder", "--model.encoder.hidden_size=6"],
    ],
)
def test_name_stands_for_a_class_path(parse, flags):
    settings, model = parse(*flags)
    assert settings.encoder.class_path == "fake_parts.WideEncoder"
    assert type(model.encoder) is WideEncoder
    assert model.encoder.hidden_size == 6


def test_builder_function_takes_its_own_flags(parse):
    settings, model = parse("--model.encoder=small", "--model.encoder.hidden_size=5")
    assert settings.encoder.class_path == "fake_parts.small_encoder"
    assert model.encoder.hidden_size == 5


@pytest.mark.parametrize(
    "flags",
    [
        ["--model.encoder=lib:some/thing.x", "--model.encoder.hidden_size=5"],
        ["--model.encoder.class_path=lib:some/thing.x", "--model.encoder.init_args.hidden_size=5"],
        ["--model.encoder={class_path: 'lib:some/thing.x', init_args: {hidden_size: 5}}"],
    ],
)
def test_source_becomes_its_builder_with_the_name(parse, flags):
    settings, model = parse(*flags)
    assert settings.encoder.class_path == "fake_parts.encoder_from"
    assert (model.encoder.name, model.encoder.hidden_size) == ("some/thing.x", 5)


def test_flag_changes_the_part_that_a_recipe_chose(parse, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("model: {encoder: {class_path: wide, init_args: {hidden_size: 9}}, several: [small]}")
    assert parse(config=path.as_posix())[1].encoder.hidden_size == 9
    assert parse("--model.encoder.hidden_size=7", config=path.as_posix())[1].encoder.hidden_size == 7
    _, model = parse("--model.encoder=lib:a", "--model.several+=lib:b", config=path.as_posix())
    assert (model.encoder.name, [part.name for part in model.several]) == ("a", ["", "b"])


def test_lists_dicts_and_unions(parse):
    _, model = parse(
        "--model.encoder=small",
        "--model.several=[small, {class_path: wide, init_args: {hidden_size: 6}}, 'lib:x']",
        "--model.several+=wide",
        "--model.several.hidden_size=11",
        "--model.named={left: small, right: 'lib:y'}",
        "--model.either=[small, wide]",
    )
    assert [part.hidden_size for part in model.several] == [4, 6, 4, 11]
    assert {key: part.name for key, part in model.named.items()} == {"left": "", "right": "y"}
    assert [type(part) for part in model.either] == [Encoder, WideEncoder]
    assert type(parse("--model.encoder=small", "--model.either=wide")[1].either) is WideEncoder
    assert parse("--model.encoder=small", "--model.extra=null")[1].extra is None


@pytest.mark.parametrize(
    ("flag", "path"),
    [
        ("--model.encoder=wid", "model.encoder"),
        ("--model.encoder.class_path=wid", "model.encoder"),
        ("--model.extra=wid", "model.extra"),
        ("--model.several=[small, wid]", "model.several"),
        ("--model.several+=wid", "model.several"),
        ("--model.named={left: wid}", "model.named"),
        ("--model.either=wid", "model.either"),
        ("--model.either=[wid]", "model.either"),
    ],
)
def test_unknown_name_says_where_it_was_typed(parse, flag, path):
    with pytest.raises(ConfigError) as caught:
        parse("--model.encoder=small", flag)
    expected = "no test_encoder 'wid'. Near: wide. Looked in: register() (3 names). List: zoo list test_encoder"
    assert str(caught.value) == f"{path}: {expected}"


@pytest.mark.parametrize(
    "flag", ["--model.encoder.hidden_size=2", "--model.encoder={class_path: wide, init_args: {hidden_size: 2}}"]
)
def test_constructor_s_own_mistake_gets_the_path(parse, flag):
    with pytest.raises(names.LocatedError, match=r"model.*encoder: hidden_size must be 4 or more, got 2"):
        parse("--model.encoder=wide", flag)


def test_printed_configuration_holds_class_paths_and_builds_the_same(parse, capfd, tmp_path):
    flags = ["--model.encoder=lib:a", "--model.several=[wide]"]
    with pytest.raises(SystemExit):
        parse(*flags, "--print_config")
    printed = tmp_path / "printed.yaml"
    printed.write_text(capfd.readouterr().out)
    encoder = yaml.safe_load(printed.read_text())["model"]["encoder"]
    assert encoder == {"class_path": "fake_parts.encoder_from", "init_args": {"name": "a", "hidden_size": 4}}
    assert parse(config=printed.as_posix())[0] == parse(*flags)[0]


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("wide", ["fake_parts.WideEncoder", "Channels, 4 or more."]),
        ("small", ["A published size as a function", "Channels."]),
        ("lib:x", ["Encoders of another library", "What the other library calls it."]),
    ],
)
def test_help_of_a_name(parse, capfd, value, texts):
    with pytest.raises(SystemExit) as caught:
        parse("--model.encoder.help", value)
    assert caught.value.code == 0
    out = " ".join(capfd.readouterr().out.split())
    for text in texts:
        assert text in out


def test_help_of_an_unknown_name(parse):
    with pytest.raises(ConfigError, match=r"--model\.encoder\.help: no test_encoder 'wid'|no test_encoder 'wid'"):
        parse("--model.encoder.help", "wid")


def test_help_lists_the_names(parse, capfd):
    with pytest.raises(SystemExit):
        parse("--help")
    out = " ".join(capfd.readouterr().out.split())
    assert "names: small, wide, lib:*" in out


def test_broken_plugin_is_reported_by_its_name(parse, install_package):
    install_package(
        "lab-broken", {"lab_broken": "import no_such_library"}, {"zoo.test_encoder": "broken = lab_broken:Broken"}
    )
    from zoo.errors import MissingLibraryError

    with pytest.raises(MissingLibraryError, match=r"plug-in lab-broken did not load \(ModuleNotFoundError"):
        parse("--model.encoder=broken")


def test_default_with_slots_is_understood(zoo):
    from dataclasses import dataclass

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Rates:
        slow: float = 0.1
        fast: float = 0.2

    def train(*, rates: Rates = Rates(fast=0.5)) -> Rates:
        return rates

    parser = CommandParser()
    parser.add_function_arguments(train, sub_configs=True)
    settings = parser.instantiate(parser.parse_args(["--rates.slow=0.3"]))
    assert settings.rates == Rates(slow=0.3, fast=0.5)
