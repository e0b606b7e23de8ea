import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import zoo
from zoo import registry
from zoo.checkpoints.recipe import build_module, read_recipe, recipe_of, with_names
from zoo.errors import ConfigError, UnknownNameError, ZooError
from zoo.head import Head
from zoo.pruning.random import RandomPruner


def changed(recipe, **arguments):
    return {**recipe, "init_args": {**recipe["init_args"], **arguments}}


def test_names_and_import_paths_mean_the_same(recipe):
    paths = read_recipe(recipe)
    assert paths["class_path"] == "zoo.module.ZooModule"
    assert paths["init_args"]["vision"]["class_path"] == "zoo.backbones.vit.vit_tiny"
    assert read_recipe(paths) == paths
    assert read_recipe(with_names(paths)) == paths


def test_a_source_keeps_its_argument_in_its_name(recipe):
    name = "timm:vit_tiny_patch16_224"
    read = read_recipe(changed(recipe, vision={"class_path": name, "init_args": {"image_size": 64}}))
    vision = read["init_args"]["vision"]
    assert vision == {
        "class_path": "zoo.backbones.vit.from_timm",
        "init_args": {"name": "vit_tiny_patch16_224", "image_size": 64},
    }
    assert with_names(vision) == {"class_path": name, "init_args": {"image_size": 64}}


def test_what_was_built_remembers_itself_with_defaults(recipe):
    kept = recipe_of(zoo.from_recipe(recipe))
    assert json.loads(json.dumps(kept)) == kept
    assert kept["init_args"]["frame_rate"] == 2.0
    assert kept["init_args"]["optimiser"]["clip_norm"] == 1.0
    assert kept["init_args"]["heads"][0]["init_args"]["max_new_tokens"] == 3


def test_parts_may_be_lists_and_settings(recipe):
    pruner = [{"class_path": "random", "init_args": {"remove": 0.5, "site": f"vit.block[{block}]"}} for block in (0, 1)]
    module = build_module(changed(recipe, pruner=pruner, optimiser={"vision": {"learning_rate": 0.5}}))
    assert [type(p) for p in module.model.pruners] == [RandomPruner, RandomPruner]
    assert module.optimiser.vision.learning_rate == 0.5


def test_weights_that_follow_are_not_fetched(recipe, tmp_path):
    spec = changed(recipe, language={"class_path": f"hf:{tmp_path}", "init_args": {"pretrained": True}})
    assert read_recipe(spec, weights_follow=True)["init_args"]["language"]["init_args"]["pretrained"] is False
    assert read_recipe(spec)["init_args"]["language"]["init_args"]["pretrained"] is True


def test_a_folder_s_own_files_are_found_and_nobody_else_s(recipe, tmp_path):
    read = read_recipe(changed(recipe, tokenizer="hf:./tokenizer"), folder=tmp_path)
    assert read["init_args"]["tokenizer"]["init_args"]["name"] == str(tmp_path / "tokenizer")
    with pytest.raises(ConfigError, match=r"model\.tokenizer: '\./\.\./x' leads out of the checkpoint's folder"):
        read_recipe(changed(recipe, tokenizer="hf:./../x"), folder=tmp_path)


FOREIGN = "subprocess.Popen"
NO_HEAD = r"names subprocess\.Popen, which no registered head is; install the plug-in"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"heads": [{"class_path": FOREIGN}]}, NO_HEAD),
        ({"heads": [FOREIGN]}, NO_HEAD),
        ({"pruner": FOREIGN}, "which no registered pruner is"),
        ({"pruner": {"class_path": FOREIGN, "init_args": {"args": "ls"}}}, "which no registered pruner is"),
        ({"pruner": "zoo.heads.qa.QuestionAnswering"}, "which no registered pruner is"),
        ({"max_frames": {"class_path": FOREIGN}}, "where no component belongs"),
        ({"optimiser": {"vision": {"class_path": FOREIGN}}}, "where no component belongs"),
        ({"controls": [{"class_path": FOREIGN}]}, "where no component belongs"),
        ({"heads": {"qa": "qa"}}, r"model\.heads: expected list"),
        ({"heads": 3}, r"model\.heads"),
        ({"vision": ["vit-tiny"]}, r"model\.vision: expected a vision_encoder by name"),
        ({"vision": {"class_path": "vit-tiny", "dict_kwargs": {}}}, "is class_path and init_args"),
        ({"vision": {"class_path": "vit-tiny", "init_args": {"depth": 3}}}, "vit-tiny takes no depth; it takes image"),
        ({"frame_rate": "${oc.env:HOME}"}, "without interpolation"),
        ({"frame_rate": "fast"}, r"cannot be built: model\.frame_rate: expected float, got 'fast'"),
        ({"max_frames": 0}, "max_frames must be at least 1"),
        ({"pruner": {"class_path": "random", "init_args": {"remove": 2.0}}}, "remove must be"),
        ({"tokenizer": None}, "tokenizer"),
    ],
)
def test_anything_else_is_refused(recipe, arguments, message):
    with pytest.raises(ConfigError, match=message):
        build_module(changed(recipe, **arguments))


def test_a_name_that_is_not_offered_says_where_and_what_is_near(recipe):
    with pytest.raises(UnknownNameError, match=r"model\.pruner: no pruner 'randm'\. Near: random"):
        read_recipe(changed(recipe, pruner="randm"))


@pytest.mark.parametrize("spec", [None, 3, "qa", [], {}, {"class_path": 3}, {"class_path": "os.system"}])
def test_what_is_no_module_is_refused(spec):
    with pytest.raises(ZooError, match="model"):
        read_recipe(spec)


class Handler(Head):
    """A head of somebody's package that would look something up by import path."""

    name = "handler"

    def __init__(self, *, callback: type | None = None) -> None:
        super().__init__()


def test_a_class_argument_takes_nothing_from_a_recipe(recipe, sandboxed_registry):
    registry.register("head", "handler")(Handler)
    for value in ("os.system", {"class_path": "os.system"}):
        spec = changed(recipe, heads=[{"class_path": "handler", "init_args": {"callback": value}}])
        with pytest.raises(ConfigError, match=r"model\.heads\[0\]\.callback: a checkpoint's recipe may hold no type"):
            read_recipe(spec)
    spec = changed(recipe, heads=[{"class_path": "handler", "init_args": {"callback": None}}])
    assert read_recipe(spec)["init_args"]["heads"][0]["init_args"] == {"callback": None}


def test_an_unregistered_class_is_refused_before_it_is_written(recipe):
    with pytest.raises(ConfigError, match=r"lab\.Own is in no registry"):
        with_names(changed(recipe, pruner={"class_path": "lab.Own", "init_args": {}}))


def test_a_module_put_together_in_python_keeps_no_recipe(module_of):
    with pytest.raises(ConfigError, match=r"keeps no recipe to rebuild it from; make it with zoo\.from_recipe"):
        recipe_of(module_of())


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
texts = st.sampled_from(["vlm", "vit-tiny", "random", "hf:./x", "os.system", "", ".", ":", "a.b", "timm:", "hf:*"])
keys = st.sampled_from(["class_path", "init_args", "vision", "heads", "pruner", "remove", "site", "optimiser"])
anything = st.recursive(
    scalars | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(spec=anything)
def test_any_json_is_read_or_refused_in_one_sentence(spec):
    refused_or_registered(spec)


@given(arguments=st.dictionaries(keys | st.just("language"), anything, max_size=4))
def test_any_arguments_are_read_or_refused_in_one_sentence(arguments):
    refused_or_registered({"class_path": "vlm", "init_args": arguments})


def refused_or_registered(spec):
    try:
        read = read_recipe(spec, folder=Path("/nowhere"), weights_follow=True)
    except ZooError:
        return
    known = {c.class_path for kind in registry.kinds() for c in registry.components(kind)}
    assert set(class_paths(read)) <= known


def class_paths(spec):
    if isinstance(spec, dict):
        yield from ([spec["class_path"]] if "class_path" in spec else [])
        for value in spec.values():
            yield from class_paths(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from class_paths(value)
