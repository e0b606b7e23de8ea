"""PyTorch Lightning model zoo for embodied vision-language research.

Importing `zoo` imports nothing heavy; components are imported when they are built (`zoo.registry`).
"""

TYPE_CHECKING = False  # importing typing for it would be an import
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from lightning.pytorch import LightningModule

    from zoo.component_module import ComponentModule

__version__ = "0.1.0"


def from_pretrained(where: "str | Path", *, revision: str | None = None) -> "ComponentModule":
    """A trained module, in evaluation mode, on the CPU.

    Args:
        where: A checkpoint folder, a bundled one's name, a hub id, a run folder (its newest checkpoint), one of
            Lightning's .ckpt files, or a released Molmo2 in transformers' layout.
        revision: Branch, tag or commit where `where` is a hub id.
    Raises:
        ConfigError: there is none, it names what is not registered here, or its weights are not exactly the module's.
        DataError: a file is missing or cut short.
    """
    from zoo.checkpoints.pretrained import from_pretrained as load

    return load(where, revision=revision)


def from_recipe(recipe: "dict[str, Any]") -> "LightningModule":
    """A module with fresh weights from the `model` part of a recipe; it can be saved with `save_pretrained`.

    Args:
        recipe: `{"class_path": "vlm", "init_args": {...}}`, components by their registry names.
    Raises:
        ConfigError: arguments that a component does not take, or parts that do not fit together.
        UnknownNameError: nothing here is called so.
    """
    from zoo.checkpoints.recipe import build_module

    return build_module(recipe)
