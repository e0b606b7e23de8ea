import inspect
import json
import subprocess
import sys
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo import registry
from zoo.errors import ConfigError, MissingLibraryError, UnknownNameError

OWN = [
    component
    for kind in registry.kinds()
    for component in registry.components(kind)
    if component.origin == registry.OWN
]
HEAVY = ("torch", "numpy", "lightning", "timm", "transformers", "mujoco", "av", "jsonargparse")


class Spoon:
    kind = "cutlery"

    def __init__(self, *, size: int = 1) -> None:
        self.size = size


class Fork(Spoon):
    example_args: typing.ClassVar = {"size": 4}


def spoon_from(name: str, *, size: int = 2) -> Spoon:
    spoon = Spoon(size=size)
    spoon.name = name
    return spoon


@pytest.fixture
def cutlery(sandboxed_registry):
    registry.register("cutlery", "spoon")(Spoon)
    registry.register("cutlery", "fork")(Fork)
    registry.register("cutlery", "drawer:*")(spoon_from)


def test_something_is_listed():
    assert {"pruner", "head", "module", "datamodule", "vision_encoder"} <= set(registry.kinds())
    assert "none" in registry.names("pruner")


@pytest.mark.parametrize("component", OWN, ids=lambda c: f"{c.kind}-{c.name}")
def test_own_component_is_a_class_or_builder_of_its_kind(component):
    from zoo.cli.names import kind_of

    target = component._import()
    made = target if inspect.isclass(target) else typing.get_type_hints(target)["return"]
    assert kind_of(made) == component.kind
    if component.is_source:
        first = inspect.signature(target).parameters[registry.first_parameter(target)]
        assert first.default is inspect.Parameter.empty and first.annotation in (str, "str")


def test_listing_imports_no_component():
    code = (
        "import sys, json; from zoo import registry\n"
        "names = [registry.components(kind) for kind in registry.kinds()]\n"
        "print(json.dumps([sorted(sys.modules), sum(map(len, names))]))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules, count = json.loads(answer.stdout)
    assert count >= len(OWN)
    assert not set(HEAVY) & set(modules)
    ours = {m for m in modules if m.startswith("zoo")}
    assert ours <= {"zoo", "zoo.registry", "zoo.errors", *registry.TABLES}
    assert len(modules) < 200  # 160 at the time of writing; numpy alone brings more than a hundred


def test_importing_the_package_imports_nothing_else():
    code = "import sys; before = set(sys.modules); import zoo; print(sorted(set(sys.modules) - before))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "['zoo']"


def test_decorated_component_is_found_and_built(cutlery):
    assert registry.names("cutlery") == ("fork", "spoon")
    assert registry.sources("cutlery") == ("drawer:*",)
    assert registry.find("cutlery", "spoon").origin == registry.DECORATOR
    assert registry.build("cutlery", "spoon", size=3).size == 3
    assert registry.load("cutlery", "fork") is Fork


def test_example_takes_the_class_s_own_arguments(cutlery):
    assert registry.example("cutlery", "fork").size == 4
    assert registry.example("cutlery", "spoon").size == 1


def test_source_hands_on_what_follows_the_colon(cutlery):
    component = registry.find("cutlery", "drawer:a/b:c")
    assert (component.argument, component.is_source) == ("a/b:c", False)
    spoon = registry.build("cutlery", "drawer:a/b:c", size=5)
    assert (spoon.name, spoon.size) == ("a/b:c", 5)


@pytest.mark.parametrize("name", ["drawer:", "drawer:*"])
def test_source_without_argument_is_refused(cutlery, name):
    with pytest.raises(UnknownNameError, match="lacks what follows the colon"):
        registry.find("cutlery", name)


def test_unknown_name_says_near_names_places_and_what_to_type(cutlery):
    with pytest.raises(UnknownNameError) as caught:
        registry.find("cutlery", "spon")
    text = str(caught.value)
    assert text == "no cutlery 'spon'. Near: spoon. Looked in: register() (3 names). List: zoo list cutlery"


def test_unknown_name_without_near_ones(cutlery):
    with pytest.raises(UnknownNameError, match=r"no cutlery 'zzz'\. Looked in"):
        registry.find("cutlery", "zzz")


def test_unknown_prefix_is_an_unknown_name(cutlery):
    with pytest.raises(UnknownNameError, match=r"no cutlery 'drawr:x'"):
        registry.find("cutlery", "drawr:x")


def test_unknown_kind(cutlery):
    with pytest.raises(UnknownNameError, match=r"no kind 'cutlry'\. Near: cutlery\. Kinds: .*pruner.*List: zoo list"):
        registry.names("cutlry")


def test_second_registration_of_a_name_names_both(cutlery):
    with pytest.raises(ConfigError, match=r"cutlery 'spoon'.*:Spoon .*register\(\).*:Fork"):
        registry.register("cutlery", "spoon")(Fork)
    assert registry.load("cutlery", "spoon") is Spoon


def test_own_name_cannot_be_taken(sandboxed_registry):
    with pytest.raises(ConfigError, match=r"zoo\.pruning\.none:NoPruner \(from zoo\)"):
        registry.register("pruner", "none")(Spoon)


def test_cell_that_runs_again_replaces_itself(cutlery):
    again = type("Spoon", (), {"__module__": Spoon.__module__, "__qualname__": Spoon.__qualname__})
    registry.register("cutlery", "spoon")(again)
    assert registry.load("cutlery", "spoon") is again


def test_entry_point_is_listed_without_import_and_built_on_demand(install_package):
    install_package(
        "lab-spoons",
        {"lab_spoons": "class Spoon:\n    def __init__(self, *, size=1):\n        self.size = size\n"},
        {"zoo.cutlery": "lab = lab_spoons:Spoon"},
    )
    component = registry.find("cutlery", "lab")
    assert (component.origin, component.class_path) == ("lab-spoons", "lab_spoons.Spoon")
    assert "lab_spoons" not in sys.modules
    assert registry.build("cutlery", "lab", size=7).size == 7
    del sys.modules["lab_spoons"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("x = 1", "AttributeError"),
    ],
)
def test_broken_plugin_is_named_when_asked_for(install_package, text, reason):
    install_package("lab-broken", {"lab_broken": text}, {"zoo.pruner": "broken = lab_broken:Broken"})
    assert "broken" in registry.names("pruner")
    with pytest.raises(MissingLibraryError) as caught:
        registry.load("pruner", "broken")
    assert "pruner 'broken' of the plug-in lab-broken did not load" in str(caught.value)
    assert reason in str(caught.value)
    sys.modules.pop("lab_broken", None)


def test_unknown_name_tells_which_plugins_did_not_load(install_package):
    install_package(
        "lab-broken", {"lab_broken": "import no_such_library"}, {"zoo.pruner": "b1 = lab_broken:A\nb2 = lab_broken:B"}
    )
    with pytest.raises(UnknownNameError, match=r"Not loaded: lab-broken \(No module named 'no_such_library'\)\. List"):
        registry.find("pruner", "nune")


def test_plugin_cannot_take_an_own_name(install_package):
    install_package("lab-thief", {}, {"zoo.pruner": "none = lab_thief:None_"})
    with pytest.raises(
        ConfigError, match=r"zoo\.pruning\.none:NoPruner \(from zoo\) and lab_thief:None_ \(from lab-thief\)"
    ):
        registry.names("pruner")


def test_other_groups_of_entry_points_are_left_alone(install_package):
    install_package("zookeeper", {}, {"zookeeper.pruner": "x = a:B", "console_scripts": "zoo-keeper = a:b"})
    assert "x" not in registry.names("pruner")


@given(st.text(max_size=20), st.lists(st.text(max_size=20), max_size=8))
def test_near_names_are_offered_names(name, offered):
    close = registry.near(name, tuple(offered))
    assert set(close) <= set(offered)
    assert len(close) <= 3


def test_arguments_are_checked_by_name_unless_they_are_handed_on(monkeypatch):
    with pytest.raises(ConfigError, match="task sampler 'room_nav' takes no robo; it takes robot,"):
        registry.check_arguments("task_sampler", "room_nav", ["robot", "robo"])
    monkeypatch.setattr(registry, "load", lambda kind, name: lambda *, extra=1, **options: None)
    registry.check_arguments("task_sampler", "of_a_plugin", ["extra", "robot"])
