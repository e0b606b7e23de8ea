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
LOG = "training_log.csv"
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
        results: Accuracies of a test run, as `zoo test` writes them into results.json, or success rates of a policy, as
            `zoo evaluate --json` writes them.
        run: Folder of the run, whose metrics are kept as the log of the training.
    """

    title: str | None = None
    licence: str | None = None
    data: str | None = None
    steps: int | None = None
    results: dict[str, Any] | None = None
    run: Path | None = None


def read_results(file: Path) -> dict[str, Any]:
    """What `zoo test` writes into results.json, or `zoo evaluate` into the file of `--json`.

    Raises:
        ConfigError: it is missing, or something else.
    """
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} holds no results: {error}") from error
    if not (_are_answers(results) or _are_episodes(results)):
        raise ConfigError(
            f"{file} holds no accuracies and no success rates; zoo test writes results.json into its run folder, zoo "
            "evaluate the file that --json names"
        )
    return results


def _are_answers(results: Any) -> bool:
    """Whether a value is what a card tells of questions: a split, its scores, and those of every family."""
    if not isinstance(results, dict) or not isinstance(results.get("families"), dict):
        return False
    scores = [results, *results["families"].values()]
    return isinstance(results.get("split"), str) and all(map(_are_scores, scores))


def _are_scores(scores: Any) -> bool:
    if not isinstance(scores, dict) or type(scores.get("questions")) is not int:  # a bool is an int too
        return False
    return isinstance(scores.get("accuracy"), int | float) and isinstance(scores.get("blind"), int | float | None)


def _are_episodes(results: Any) -> bool:
    """Whether a value is what a card tells of episodes: a benchmark, and the success in each of its tasks."""
    if not isinstance(results, dict) or not isinstance(results.get("benchmark"), str):
        return False
    tasks, bodies = results.get("tasks"), results.get("embodiments", [])
    if not (isinstance(tasks, list) and tasks and isinstance(bodies, list)):
        return False
    return all(_is_group(task, "task") for task in tasks) and all(_is_group(body, "embodiment") for body in bodies)


def _is_group(group: Any, what: str) -> bool:
    if not isinstance(group, dict) or type(group.get("episodes")) is not int or not isinstance(group.get(what), str):
        return False
    interval = group.get("ci95")
    shares = [group.get("success_at_end"), *(interval if isinstance(interval, list) else [])]
    optional = [group[name] for name in ("spl", "sel") if name in group]
    return len(shares) == 3 and all(isinstance(share, int | float) for share in (*shares, *optional))


def write_card(folder: Path, module: ComponentModule, spec: Spec, training: Training, *, called: str) -> None:
    """Write the card into a checkpoint folder.

    Args:
        folder: The folder.
        module: What it holds.
        spec: The module's recipe, by registry names.
        training: How it came about.
        called: What a reader types to load it: the folder, or a hub id.
    """
    kind = _kind_of(module)
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
        _training(training, has_log=(folder / LOG).is_file()),
        "## What it scores",
        _results(training.results),
        "## How to use it",
        f"```\npip install 'molmo-zoo>={zoo.__version__}'\n{kind.use.format(called=called)}\n```",
        f'```python\nimport zoo\n\nmodule = zoo.from_pretrained("{called}")\n```',
        "## Licence",
        f"Weights: {training.licence}." if training.licence else "Weights: not stated by whoever wrote this folder.",
    ]
    ModelCard(f"---\n{metadata.to_yaml()}\n---\n\n" + "\n\n".join(sections) + "\n").save(folder / CARD)


def check_results(module: ComponentModule, results: dict[str, Any] | None) -> None:
    """Whether results are of the kind that a module can have.

    Raises:
        ConfigError: they are not.
    """
    if results is None or _are_episodes(results) is (_kind_of(module) is POLICY):
        return
    given, expected = ("success rates", "answers") if _are_episodes(results) else ("answers", "success rates")
    command = "zoo test" if expected == "answers" else "zoo evaluate --json"
    raise ConfigError(f"results: {given}, and a {type(module).__name__} has {expected}; they come from {command}")


def _kind_of(module: ComponentModule) -> Kind:
    return POLICY if isinstance(module, PolicyModule) else LANGUAGE_MODEL


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


def _training(training: Training, *, has_log: bool) -> str:
    told = []
    if training.data:
        told.append(f"Data: {training.data}.")
    if training.steps is not None:
        told.append(f"{training.steps:,} optimiser steps.")
    told.append("Recipe: `config.json`, under `model`.")
    if has_log:
        told.append(f"Log: `{LOG}`, a column for each metric.")
    return " ".join(told)


def _results(results: dict[str, Any] | None) -> str:
    if results is None:
        return "Nothing was measured when this folder was written."
    if _are_episodes(results):
        return _episodes(results)
    rows = [f"| {results['split']} | questions | accuracy | without looking |", "|---|---|---|---|"]
    for name, family in sorted(results["families"].items()):
        rows.append(_row(name, family))
    return "\n".join([*rows, _row("all", results)])


def _episodes(results: dict[str, Any]) -> str:
    rows = [f"| {results['benchmark']} | episodes | success | 95 % | SEL | SPL |", "|---|---|---|---|---|---|"]
    bodies = results.get("embodiments", [])
    named = [(task["task"], task) for task in results["tasks"]]
    named += [(f"with {body['embodiment']}", body) for body in bodies if len(bodies) > 1]
    for name, group in named:
        low, high = group["ci95"]
        sel, spl = (f"{group[score]:.1%}" if score in group else "" for score in ("sel", "spl"))
        success = f"{group['success_at_end']:.1%}"
        rows.append(f"| {name} | {group['episodes']:,} | {success} | {low:.1%} to {high:.1%} | {sel} | {spl} |")
    seeds = results.get("seeds")
    if isinstance(seeds, list):
        rows.append(f"\nMeans of {len(seeds)} runs of the same episodes with other draws; intervals are of one run.")
    return "\n".join(rows)


def _row(name: str, scores: dict[str, Any]) -> str:
    blind = scores.get("blind")
    return (
        f"| {name} | {scores['questions']:,} | {scores['accuracy']:.1%} | {'' if blind is None else f'{blind:.1%}'} |"
    )


def _metadata_of(training: Training, kind: Kind) -> list[EvalResult] | None:
    results = training.results
    if results is None:
        return None
    if _are_episodes(results):
        return [
            EvalResult(
                task_type=kind.task,
                dataset_type="simulated-episodes",
                dataset_name=f"{results['benchmark']}: {task['task']}",
                metric_type="success_rate",
                metric_value=round(float(task["success_at_end"]), 4),
            )
            for task in results["tasks"]
        ]
    return [
        EvalResult(
            task_type=kind.task,
            dataset_type="video-questions",
            dataset_name=training.data or "unnamed",
            dataset_split=str(results["split"]),
            metric_type="accuracy",
            metric_value=round(float(results["accuracy"]), 4),
        )
    ]
