"""The package under tests/plugin_package adds a pruner and a head by entry points alone; `make test` pip-installs it.

Where it is installed, the contract tests of pruners and heads run on its parts as well, because they ask the registry.
"""

from importlib import metadata

import pytest
import yaml

from zoo import registry
from zoo.head import Head
from zoo.pruner import Pruner

PLUGIN = "lab-prune"

if not any(metadata.distributions(name=PLUGIN)):
    pytest.skip(f"{PLUGIN} is not installed; make test does it", allow_module_level=True)


def test_its_parts_are_listed_under_its_name(zoo):
    for kind, name in (("pruner", "centre"), ("head", "statement")):
        assert registry.find(kind, name).origin == PLUGIN
        (line,) = (line for line in zoo("list", kind).out.splitlines() if line.split()[1] == name)
        assert line.split()[2] == PLUGIN


def test_its_parts_fulfil_the_contracts():
    assert isinstance(registry.example("pruner", "centre"), Pruner)
    assert isinstance(registry.example("head", "statement"), Head)


def test_its_names_work_as_flags(zoo):
    flags = ("--model=vlm", "--model.pruner=centre", "--model.pruner.remove=0.25", "--model.heads=[qa, statement]")
    parts = ("--model.vision=vit-tiny", "--model.connector=attention_pool", "--model.language=qwen3-tiny")
    answer = zoo("fit", *flags, *parts, "--model.tokenizer=words", "--data=numbers", "--print_config")
    model = yaml.safe_load(answer.out)["model"]["init_args"]
    assert model["pruner"]["class_path"] == "lab_prune.centre.CentrePruner"
    assert model["pruner"]["init_args"] == {"remove": 0.25, "site": "vit.output"}
    assert [head["class_path"] for head in model["heads"]][1] == "lab_prune.statement.StatementHead"


@pytest.mark.render
def test_its_parts_train(zoo, video_recipe):
    flags = ("--model.pruner=centre", "--model.heads+=statement", "--data.batch_size=4", "--trainer.fast_dev_run=1")
    for command in ("fit", "test"):
        answer = zoo(command, "--config", video_recipe, *flags)
        assert answer.code == 0, answer.err


def test_its_mistakes_are_sentences_too(mistake, recipe):
    sentence = mistake("fit", "--model=vlm", "--model.pruner=centr")
    assert "model.pruner: no pruner 'centr'. Near: centre." in sentence
    assert f"{PLUGIN} (1 name)" in sentence
