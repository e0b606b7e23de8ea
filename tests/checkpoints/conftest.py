"""A small module built from a recipe, and its checkpoint folder."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
from checkpoint_parts import RECIPE

import zoo
from zoo.module import ZooModule


@pytest.fixture
def recipe() -> dict:
    return deepcopy(RECIPE)


@pytest.fixture
def module(recipe) -> ZooModule:
    return zoo.from_recipe(recipe).eval()


@pytest.fixture
def saved(module, tmp_path) -> Path:
    """The module as a checkpoint folder."""
    return module.save_pretrained(tmp_path / "saved")


@pytest.fixture
def edit():
    """Change a JSON file in place."""

    def change(file: Path, update) -> None:
        content = json.loads(file.read_text())
        update(content)
        file.write_text(json.dumps(content))

    return change
