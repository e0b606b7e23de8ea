"""`zoo bench pruning --train`: a recipe's model with every pruner, fine-tuned and asked the whole test."""

import inspect
import json as json_format
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from zoo import registry
from zoo.bench.methods import parse_methods
from zoo.cli import folders, recipes, runs
from zoo.errors import ConfigError

if TYPE_CHECKING:
    from zoo.bench.pruning_sweep import Trained
    from zoo.cli.training import RecipeCLI

logger = logging.getLogger(__name__)

RUNS = Path(runs.ROOT) / "bench" / "pruning_accuracy"

Number = TypeVar("Number", int, float)


def compared_accuracy(
    *,
    methods: str,
    remove: str,
    recipe: str = "stts/tiny",
    ckpt_path: str | None = None,
    seeds: str = "0",
    trained: "Trained" = "both",
    steps: int | None = None,
    test_clips: int | None = None,
    test_frames_scale: str = "1",
    out: Path | None = None,
    speeds: Path | None = None,
    json: Path | None = None,
    report_only: bool = False,
) -> str:
    """Make what a sweep's folder lacks, and tell what it holds; see `zoo.cli.benching.pruning`.

    Raises:
        ConfigError: what was typed does not fit together.
    """
    file = Path(recipes.resolve(recipe))
    folder = out or RUNS / recipes.name_of(file)
    chosen, elsewhere = parse_methods(methods), []
    typed = {
        "remove": numbers(remove, float, option="remove"),
        "seeds": numbers(seeds, int, option="seeds"),
        "frames_scales": numbers(test_frames_scale, float, option="test_frames_scale"),
        "trained": trained,
        "steps": steps,
        "test_clips": test_clips,
    }
    from zoo.bench.pruning_sweep import Sweep, sweep  # heavy; `zoo bench pruning --help` must stay quick
    from zoo.bench.sweep_report import report_of
    from zoo.shards.writer import write_json

    timed = [] if speeds is None else _speeds(speeds)
    if not report_only:
        plan = Sweep(recipe=content_of(file), weights=ckpt_path, methods=chosen, **typed)
        try:
            elsewhere = sweep(plan, builder(ckpt_path), folder)
        except KeyboardInterrupt:
            logger.warning("%s holds what was finished; the same command goes on from there", folder)
            raise
    report = report_of(folder, order=[method.label for method in chosen])
    told = report.as_dict()
    (folder / "report.md").write_text(report.as_markdown(), encoding="utf-8")
    write_json(json or folder / "report.json", told)
    lines = [report.as_text(), f"report: {folder / 'report.md'}, {json or folder / 'report.json'}"]
    lines += [f"made by another process just now: {', '.join(elsewhere)}"] * bool(elsewhere)
    lines += [f"plot: {path}" for path in _plots(told["rows"], timed, folder)] if timed else []
    return "\n".join(lines)


def _speeds(file: Path) -> list[dict[str, Any]]:
    """Rows of measured speed-ups.

    Raises:
        ConfigError: there are none in the file.
    """
    try:
        return json_format.loads(file.read_text(encoding="utf-8"))["rows"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"speeds: {file} is no JSON of zoo bench pruning ({error}); write one: zoo bench pruning --json {file}"
        ) from error


def _plots(rows: list[dict[str, Any]], timed: list[dict[str, Any]], folder: Path) -> list[Path]:
    """Accuracy against measured speed-up, one picture for trained models and one for others."""
    from zoo.bench.pruning_plot import save_plot

    paths = []
    for trained, name in ((True, "trained"), (False, "untrained")):
        own = [row for row in rows if row["trained"] == trained and row["frames_scale"] == 1]
        if own:
            paths.append(folder / f"{name}.png")
            save_plot(timed, paths[-1], {(row["method"], row["remove"]): row["accuracy"] for row in own})
    return paths


def content_of(file: Path) -> dict[str, Any]:
    """What a recipe's file says.

    Raises:
        ConfigError: it is no recipe of a model with pruners.
        UnknownNameError: nothing has the name of its model.
    """
    recipes.check_readable(file)
    content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    if not all(isinstance(content.get(key), dict) and "class_path" in content[key] for key in ("model", "data")):
        raise ConfigError(f"{file} has no model and data with a class_path; zoo show stts/tiny shows a recipe that has")
    name = content["model"]["class_path"]
    found = registry.by_class_path(name, "module") or registry.find("module", name)
    if "pruner" not in inspect.signature(found.load()).parameters:
        raise ConfigError(f"{file}: {name} takes no pruner; zoo show stts/tiny shows a recipe of a model that does")
    content["model"].setdefault("init_args", {})
    return content


def builder(ckpt_path: str | None) -> "Callable[[dict[str, Any]], RecipeCLI]":
    """What builds a recipe's content, dense weights in, as `zoo fit --ckpt_path` would.

    Raises:
        ConfigError: no checkpoint folder.
    """
    from lightning.pytorch.cli import SaveConfigCallback

    from zoo.cli.training import RecipeCLI, quieten
    from zoo.datamodules.shards import ShardDataModule

    quieten()
    folder = None if ckpt_path is None else folders.checkpoint_folder(ckpt_path)
    if ckpt_path is not None and folder is None:
        runs.check_exists(ckpt_path)
        raise ConfigError(f"ckpt_path: {ckpt_path} is no checkpoint folder; make one: zoo convert checkpoint")
    beginning = folders.model_arguments([f"{folders.OPTION}={ckpt_path}"]) if ckpt_path else []

    def build(content: dict[str, Any]) -> RecipeCLI:
        with warnings.catch_warnings():
            # Lightning warns of every loader with few workers, and of a trainer that logs nowhere.
            warnings.simplefilter("ignore")
            built = RecipeCLI([*beginning, "--config", json_format.dumps(content)])
        if not isinstance(built.datamodule, ShardDataModule):
            raise ConfigError(
                f"the recipe's {type(built.datamodule).__name__} reads no shards, so it has no test split"
            )
        # Without a logger it would write the recipe into the folder that the command runs in.
        built.trainer.callbacks = [c for c in built.trainer.callbacks if not isinstance(c, SaveConfigCallback)]
        built.datamodule.prepare_data()
        if folder is not None:
            folders.fill(built.model, folder, may_start_anew=True)
        return built

    return build


def numbers(text: str, kind: type[Number], *, option: str) -> tuple[Number, ...]:
    """Numbers with commas between them; brackets around them do no harm.

    Raises:
        ConfigError: something else stands there.
    """
    try:
        return tuple(kind(part) for part in text.strip().strip("[]()").split(",") if part.strip())
    except ValueError as error:
        raise ConfigError(
            f"{option} is {text!r}, expected numbers with commas between them, such as 0.5,0.7"
        ) from error
