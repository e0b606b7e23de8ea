"""The model card of a checkpoint folder: what it is, how it was trained, what it scores, its licence, its use."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from torch import nn

import zoo
from zoo.checkpoints.recipe import Spec
from zoo.component_module import ComponentModule
from zoo.errors import ConfigError
from zoo.policy_module import PolicyModule

CARD = "README.md"
LIBRARY = "molmo-zoo"
LINK = f"[{LIBRARY}](https://pypi.org/project/{LIBRARY})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """What a card says of a kind of module.

    Args:
        task: The hub's word for what it does.
        tags: For the hub's search.
        is_what: Behind "A", in a sentence about a model of molmo-zoo.
        use: Command of the shell; `{called}` is what is typed to load the model.
        parts: Arguments of the module that the card lists.
    """

    task: str
    tags: tuple[str, ...]
    is_what: str
    use: str
    parts: tuple[str, ...]


LANGUAGE_MODEL = Kind(
    task="video-text-to-text",
    tags=("vision-language", "video"),
    is_what="video-language model of {library}: it answers questions about videos and images in words",
    use='zoo ask "What colour is the cube?" clip.mp4 --checkpoint {called}',
    parts=("vision", "connector", "language", "tokenizer", "pruner", "heads"),
)
POLICY = Kind(
    task="robotics",
    tags=("robotics", "imitation-learning", "navigation"),
    is_what="policy of {library}: it chooses a robot's actions, step by step, from its cameras and an instruction",
    use="zoo evaluate --policy {called} --benchmark nav100",
    parts=("vision", "text", "trunk", "head"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """What a model card tells beside what the module itself says.

    Args:
        title: What the model is called; the folder's name where left out.
        licence: Of the weights, as the hub abbreviates it: apache-2.0, mit, cc-by-4.0.
        data: What it was trained on, in words.
        steps: Optimiser steps.
        results: Accuracies of a test run, as `zoo test` writes them into results.json.
    """

    title: str | None = None
    licence: str | None = None
    data: str | None = None
    steps: int | None = None
    results: dict[str, Any] | None = None


def read_results(file: Path) -> dict[str, Any]:
    """A results.json of `zoo test`.

    Raises:
        ConfigError: it is missing, or something else.
    """
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} is no results.json of a test run: {error}") from error
    if not _are_results(results):
        raise ConfigError(f"{file} holds no accuracies; zoo test writes it into its run folder")
    return results


def _are_results(results: Any) -> bool:
    """Whether a value is what a card tells of: a split, its scores, and those of every family."""
    if not isinstance(results, dict) or not isinstance(results.get("families"), dict):
        return False
    scores = [results, *results["families"].values()]
    return isinstance(results.get("split"), str) and all(map(_are_scores, scores))


def _are_scores(scores: Any) -> bool:
    if not isinstance(scores, dict) or type(scores.get("questions")) is not int:  # a bool is an int too
        return False
    return isinstance(scores.get("accuracy"), int | float) and isinstance(scores.get("blind"), int | float | None)


def write_card(folder: Path, module: ComponentModule, spec: Spec, training: Training, *, called: str) -> None:
    """Write the card into a checkpoint folder.

    Args:
        folder: The folder.
        module: What it holds.
        spec: The module's recipe, by registry names.
        training: How it came about.
        called: What a reader types to load it: the folder, or a hub id.
    """
    kind = POLICY if isinstance(module, PolicyModule) else LANGUAGE_MODEL
    title = training.title or folder.name
    metadata = ModelCardData(
        library_name=LIBRARY,
        license=training.licence,
        pipeline_tag=kind.task,
        tags=["pytorch-lightning", *kind.tags],
        model_name=title,
        eval_results=_metadata_of(training, kind),
    )
    sections = [
        f"# {title}",
        f"A {kind.is_what.format(library=LINK)}. {_size(module)} million parameters.",
        _parts(module, spec, kind),
        "## How it was trained",
        _training(training),
        "## What it scores",
        _results(training.results),
        "## How to use it",
        f"```\npip install 'molmo-zoo>={zoo.__version__}'\n{kind.use.format(called=called)}\n```",
        f'```python\nimport zoo\n\nmodule = zoo.from_pretrained("{called}")\n```',
        "## Licence",
        f"Weights: {training.licence}." if training.licence else "Weights: not stated by whoever wrote this folder.",
    ]
    ModelCard(f"---\n{metadata.to_yaml()}\n---\n\n" + "\n\n".join(sections) + "\n").save(folder / CARD)


def _size(module: nn.Module) -> str:
    return f"{sum(parameter.numel() for parameter in module.parameters()) / 1e6:,.1f}"


def _parts(module: ComponentModule, spec: Spec, kind: Kind) -> str:
    modules = {**dict(module.model.named_children()), **dict(module.named_children())}
    rows = ["| part | component | million parameters |", "|---|---|---|"]
    for part in kind.parts:
        names = _named(spec["init_args"].get(part))
        own = modules.get("pruners" if part == "pruner" else part)
        if names:
            rows.append(f"| {part} | {', '.join(names)} | {'' if own is None else _size(own)} |")
    return "\n".join(rows)


def _named(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else [] if value is None else [value]
    return [f"`{part['class_path'] if isinstance(part, dict) else part}`" for part in listed]


def _training(training: Training) -> str:
    told = []
    if training.data:
        told.append(f"Data: {training.data}.")
    if training.steps is not None:
        told.append(f"{training.steps:,} optimiser steps.")
    told.append("Recipe: `config.json`, under `model`.")
    return " ".join(told)


def _results(results: dict[str, Any] | None) -> str:
    if results is None:
        return "Nothing was measured when this folder was written."
    rows = [f"| {results['split']} | questions | accuracy | without looking |", "|---|---|---|---|"]
    for name, family in sorted(results["families"].items()):
        rows.append(_row(name, family))
    return "\n".join([*rows, _row("all", results)])


def _row(name: str, scores: dict[str, Any]) -> str:
    blind = scores.get("blind")
    return (
        f"| {name} | {scores['questions']:,} | {scores['accuracy']:.1%} | {'' if blind is None else f'{blind:.1%}'} |"
    )


def _metadata_of(training: Training, kind: Kind) -> list[EvalResult] | None:
    if training.results is None:
        return None
    return [
        EvalResult(
            task_type=kind.task,
            dataset_type="video-questions",
            dataset_name=training.data or "unnamed",
            dataset_split=str(training.results["split"]),
            metric_type="accuracy",
            metric_value=round(float(training.results["accuracy"]), 4),
        )
    ]
