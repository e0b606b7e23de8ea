"""`zoo convert policy`: a released SPOC or RING policy becomes a checkpoint folder.

A released file holds a trunk and a head by foreign names (`zoo.checkpoints.spoc`). Which variant it is, which frozen
encoders stand before it says a recipe: recipes/spoc/paper and recipes/ring/paper. Pictures reach them as in the
releases, which ignore the aspect; RING's recipe follows the paper (sheet spoc_ring_holodeck_graspmolmo 2.4).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

import zoo
from zoo.checkpoints.card import Training
from zoo.checkpoints.pretrained import save_pretrained
from zoo.checkpoints.recipe import build_module
from zoo.checkpoints.spoc import Layout, fill_released
from zoo.errors import ConfigError
from zoo.policy_module import PolicyModule
from zoo.policy_processor import Resize

RECIPES = Path(zoo.__file__).parent / "recipes"
RELEASED_RESIZE: Resize = "bicubic"


def policy(
    source: Path,
    *,
    release: Layout,
    recipe: str,
    out: Path,
    title: str | None = None,
    licence: str | None = None,
) -> str:
    """Turn a released SPOC or RING policy into a checkpoint folder, which `zoo evaluate` takes.

    Args:
        source: SPOC's .ckpt, RING's .pt, or the same tensors as .safetensors.
        release: Whose names its tensors have.
        recipe: A bundled recipe, as spoc/paper, or a YAML file, whose model the policy is; the folders of encoders that
            it names must be there. Pictures are resized as in the releases, whatever it says.
        out: Folder to write.
        title: What the model card calls it; the folder's name where left out.
        licence: Of the weights, as the hub abbreviates it, such as apache-2.0.

    Returns:
        The folder.

    Raises:
        ConfigError: no such file, or one that cannot be read safely; no recipe of a policy; or weights that are not the
            model's.
    """
    if not source.is_file():  # before a model is built for it
        raise ConfigError(f"no file {source}; expected a released policy: .ckpt of SPOC, .pt of RING, or .safetensors")
    module = build_module(_as_released(_model_of(recipe)))
    if not isinstance(module, PolicyModule):
        raise ConfigError(f"recipe {recipe} makes a {type(module).__name__}; give that of a policy, such as spoc/paper")
    fill_released(source, release, trunk=module.model.trunk, head=module.model.head)
    training = Training(title=title or f"{release}: {source.stem}", licence=licence)
    return str(save_pretrained(module.eval(), out, training=training))


def _as_released(model: dict[str, Any]) -> dict[str, Any]:
    if model["class_path"] != "policy":
        return model
    return model | {"init_args": {**model.get("init_args", {}), "resize": RELEASED_RESIZE}}


def _model_of(recipe: str) -> Any:
    """The `model` part of a recipe.

    Raises:
        ConfigError: no such file, or one without a model.
    """
    file = Path(recipe) if Path(recipe).is_file() else RECIPES / f"{recipe.removesuffix('.yaml')}.yaml"
    if not file.is_file():
        raise ConfigError(f"no recipe {recipe!r}: neither a file nor bundled; list them with: zoo list recipe")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{file} is no YAML: {' '.join(str(error).split())}") from error
    model = content.get("model") if isinstance(content, dict) else None
    if not isinstance(model, dict) or "class_path" not in model:
        raise ConfigError(f"{file} has no model with a class_path; a recipe of a policy says class_path: policy")
    return model
