"""What pruners cost in answers: every method fine-tuned alike from the same dense weights, and asked the whole test.

A *run* is a method at one share and seed, trained or put into the dense weights as it is; it makes a *cell* for each
number of frames that it is tested with. A cell is one JSON file of the sweep's folder, with every question that was
asked and whether the answer was right, so a sweep that was stopped goes on where it stood, and several processes may
fill one folder. All runs of a seed see the same samples in the same order for the same number of steps. A pruner that
the recipe has as well takes the recipe's arguments where nothing else was typed, but for share and seed.
"""

from __future__ import annotations

import fcntl
import gc
import json
import logging
import math
import os
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol
from zlib import crc32

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from tqdm import tqdm

from zoo.batch import Batch
from zoo.bench.methods import Method
from zoo.bench.recipe_pruners import arguments_of, completed
from zoo.datamodules.shards import ShardDataModule
from zoo.errors import ConfigError
from zoo.head import Prediction
from zoo.layout import TokenLayout
from zoo.module import ZooModule

logger = logging.getLogger(__name__)

Trained = Literal["both", "only", "never"]
Spec = dict[str, Any]

FORMAT = 1
LAST_LOSSES = 20
"""Steps at the end of training whose mean loss a cell holds."""

TRAINER = {
    "callbacks": [],
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "limit_val_batches": 0,
    "num_sanity_val_steps": 0,
    "devices": 1,
    "num_nodes": 1,
    "strategy": "auto",
}
"""What runs have instead of the recipe's: one device, and nothing that only a run folder needs."""


class Built(Protocol):
    """The parts of a recipe, the dense weights in the module."""

    model: LightningModule
    datamodule: ShardDataModule
    trainer: Trainer


Builder = Callable[[Spec], Built]
"""From the content of a recipe's file to its parts."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What is to be run.

    Args:
        recipe: Content of the recipe's file: parts, data, optimiser, steps and arguments of pruners that are methods
            too; its callbacks do not count.
        weights: Name of the dense weights; None: the recipe's initial ones.
        methods: Pruners, each beside every share; `none` is the dense model.
        remove: Shares of a clip's windows, each in [0, 1).
        seeds: Of order and initialisation, and of pruners that draw.
        trained: Fine-tune, put the pruner into the dense weights as it is, or both.
        steps: Of training; None takes the recipe's.
        test_clips: Asked about, in whole batches; None: the whole split.
        frames_scales: How many times more frames a clip is tested with than trained, one cell each.
    Raises:
        ConfigError: nothing is to be run, or a number is out of its range.
    """

    recipe: Mapping[str, Any]
    weights: str | None
    methods: tuple[Method, ...]
    remove: tuple[float, ...] = (0.5,)
    seeds: tuple[int, ...] = (0,)
    trained: Trained = "both"
    steps: int | None = None
    test_clips: int | None = None
    frames_scales: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if self.steps is None and "max_steps" not in self.recipe.get("trainer", {}) and self.trained != "never":
            raise ConfigError("the recipe has no trainer.max_steps, so how long to train is unknown; type --steps")
        listed = {"methods": tuple(method.label for method in self.methods), "remove": self.remove, "seeds": self.seeds}
        for name, given in (listed | {"test_frames_scale": self.frames_scales}).items():
            if not given or len(set(given)) != len(given):
                raise ConfigError(f"{name} must be given and differ, got {list(given)}")
        for name, given in {"steps": self.steps, "test_clips": self.test_clips}.items():
            if given is not None and given < 1:
                raise ConfigError(f"{name} is {given}, expected 1 or more")
        if not all(0 <= share < 1 for share in self.remove):
            raise ConfigError(f"remove is {list(self.remove)}, expected shares in [0, 1)")
        if not all(scale > 0 for scale in self.frames_scales) or not all(seed >= 0 for seed in self.seeds):
            raise ConfigError("test_frames_scale must be above 0, seeds 0 or more")
        if self.weights is None and self.trained != "only":
            raise ConfigError(
                "without dense weights there is nothing to put a pruner into; type --ckpt_path molmo2-tiny, or "
                "--trained only"
            )

    @property
    def fingerprint(self) -> str:
        """Of all that cells of one folder must share."""
        model = {n: v for n, v in self.recipe["model"]["init_args"].items() if n not in ("pruner", "controls")}
        given = self.recipe.get("trainer", {})
        trainer = {name: value for name, value in given.items() if name not in (*TRAINER, "max_steps")}
        pruners = arguments_of(self.recipe)
        shared = [self.recipe["model"]["class_path"], model, pruners, self.recipe["data"], trainer, self.weights]
        return f"{crc32(json.dumps(shared, sort_keys=True).encode()):08x}"

    def runs(self) -> list[Run]:
        """Those of the first seed first, those without training before the others."""
        runs = []
        for number, seed in enumerate(self.seeds):
            for trained in (False, True):
                if self.trained == ("only", "never")[trained]:
                    continue
                for method in self.methods:
                    shares = self.remove if method.removes else (method.remove,)
                    if trained or method.draws or not number:  # untrained, nothing else knows the seed
                        runs += [Run(method, share, seed, trained) for share in shares]
        return runs

    def steps_of(self, run: Run) -> int:
        return (self.steps or self.recipe["trainer"]["max_steps"]) if run.trained else 0

    def facts(self, run: Run, scale: float) -> dict[str, Any]:
        """What makes a cell another than the others of its folder."""
        return {
            "method": run.method.label,
            "remove": run.remove,
            "seed": run.seed,
            "trained": run.trained,
            "steps": self.steps_of(run),
            "frames_scale": scale,
            "test_clips": self.test_clips,
        }

    def config(self, run: Run) -> Spec:
        """The recipe's content with the run's pruner, seed, steps and `TRAINER`."""
        recipe = json.loads(json.dumps(self.recipe))
        recipe["seed_everything"] = run.seed
        pruner = completed(run.method, arguments_of(recipe)).specs(remove=run.remove, seed=run.seed)
        recipe["model"]["init_args"] |= {"pruner": pruner if len(pruner) > 1 else pruner[0], "controls": []}
        recipe["data"].setdefault("init_args", {})["seed"] = run.seed
        recipe["trainer"] = recipe.get("trainer", {}) | TRAINER | {"max_steps": max(self.steps_of(run), 1)}
        return recipe


@dataclass(frozen=True)
class Run:
    """One method at one share and seed.

    Args:
        method: The pruners.
        remove: Share that the first of them removes; 0 for one that has none.
        seed: Of everything.
        trained: Fine-tuned with the pruner.
    """

    method: Method
    remove: float
    seed: int
    trained: bool

    def __str__(self) -> str:
        return f"{self.method.label} {self.remove:g} seed {self.seed} {'trained' if self.trained else 'as it is'}"


@dataclass
class Folder:
    """Cells of a sweep.

    Args:
        path: Made where it is missing.
        fingerprint: That all of its cells share.
    """

    path: Path
    fingerprint: str

    def file(self, facts: Mapping[str, Any]) -> Path:
        """Of a cell."""
        name = re.sub(r"[^\w.-]+", "_", facts["method"]).strip("_")[:60]
        parts = [name, f"remove{facts['remove']:g}", f"seed{facts['seed']}"]
        parts += [f"{facts['steps']}steps" if facts["trained"] else "untrained", f"frames{facts['frames_scale']:g}x"]
        return self.path / f"{'-'.join(parts)}-{crc32(json.dumps(facts, sort_keys=True).encode()):08x}.json"

    def write(self, facts: Mapping[str, Any], content: Mapping[str, Any]) -> None:
        """A finished cell, under its own name only when it is whole."""
        file = self.file(facts)
        unfinished = file.with_suffix(f".{os.getpid()}.unfinished")
        text = json.dumps({"format": FORMAT, "recipe": self.fingerprint, **facts, **content}, separators=(",", ":"))
        unfinished.write_text(text + "\n", encoding="utf-8")
        os.replace(unfinished, file)

    def check(self) -> None:
        """Refuse to mix what cannot be compared.

        Raises:
            ConfigError: the folder holds cells of another recipe, data set or dense weights.
        """
        others = {cell["recipe"] for cell in cells(self.path)} - {self.fingerprint}
        if others:
            raise ConfigError(
                f"{self.path} holds cells of another recipe, data set or dense weights ({', '.join(sorted(others))}, "
                f"now {self.fingerprint}); name a new folder with --out"
            )

    @contextmanager
    def claim(self, file: Path) -> Iterator[bool]:
        """Whether this process has a cell's run to itself; the system lets go of it when the process ends."""
        claim = file.with_suffix(".claim")
        with claim.open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            try:
                yield True
            finally:
                claim.unlink(missing_ok=True)


def cells(folder: Path) -> list[dict[str, Any]]:
    """All finished cells of a folder.

    Raises:
        ConfigError: one of another version.
    """
    found = []
    for file in sorted(folder.glob("*-frames*x-*.json")):
        cell = json.loads(file.read_text(encoding="utf-8"))
        if cell.get("format") != FORMAT:
            raise ConfigError(f"{file} is of format {cell.get('format')!r}, this version reads {FORMAT}; move it away")
        found.append(cell)
    return found


class Watch(Callback):
    """Collects answers, windows, losses and seconds of one run, and moves the bar.

    Args:
        bar: One unit a batch.
    """

    def __init__(self, bar: tqdm) -> None:
        self.bar = bar
        self.losses: list[torch.Tensor] = []
        self.seconds = {"train": 0.0, "test": 0.0}
        self._began = 0.0
        self._hook: Any = None
        self.restart()

    def restart(self) -> None:
        """Before a test."""
        self.predictions: list[Prediction] = []
        self.clips = self.entered = self.left = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.losses = [*self.losses[1 - LAST_LOSSES :], outputs["loss"].detach()]
        self.bar.update()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.seconds["train"] = time.perf_counter() - self._began

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began = time.perf_counter()

        def note(module: Any, inputs: Any, named: Mapping[str, Any], output: tuple[Any, TokenLayout]) -> None:
            self.entered += named["layout"].num_tokens
            self.left += output[1].num_tokens
            self.clips += named["layout"].frames.num_clips

        self._hook = pl_module.model.language.register_forward_hook(note, with_kwargs=True)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        self.predictions += outputs["predictions"]
        self.bar.update()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._hook.remove()
        self.seconds["test"] = time.perf_counter() - self._began

    def content(self) -> dict[str, Any]:
        """What a cell holds beside its facts."""
        losses = [float(loss) for loss in self.losses]
        return {
            "clips": self.clips,
            "windows_entering": self.entered / max(self.clips, 1),
            "windows_left": self.left / max(self.clips, 1),
            "train_loss": sum(losses) / len(losses) if losses else None,
            "train_s": self.seconds["train"],
            "test_s": self.seconds["test"],
            "threads": torch.get_num_threads(),
            "questions": packed_questions(self.predictions),
        }


def packed_questions(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Columns of the answers that are right or wrong; texts are written once and named by their place.

    Args:
        predictions: In the order in which they were asked.
    """
    judged = [answer for answer in predictions if answer.correct is not None]
    packed: dict[str, Any] = {}
    for name in ("key", "prompt", "family"):
        places: dict[str, int] = defaultdict(lambda: len(places))  # noqa: B023 - used up within the turn
        column = [places[getattr(answer, name)] for answer in judged]
        packed[name] = {"texts": list(places), "place": column}
    packed["temporal"] = "".join("01"[answer.temporal] for answer in judged)
    packed["correct"] = "".join("01"[bool(answer.correct)] for answer in judged)
    return packed


def sweep(plan: Sweep, build: Builder, out: Path) -> list[str]:
    """Make every cell of a plan that its folder lacks.

    Args:
        plan: What to run.
        build: Makes the parts of a recipe, dense weights in.
        out: Folder of the cells.
    Returns:
        Runs that another process is at.
    Raises:
        ConfigError: cells of another recipe are there, or a method does not fit; see `examined`.
        KeyboardInterrupt: it was stopped; finished cells stay.
    """
    out.mkdir(parents=True, exist_ok=True)
    folder = Folder(out, plan.fingerprint)
    folder.check()
    with _quiet_runs():
        runs, batches = examined(plan, build)
    missing = [run for run in runs if lacking(plan, run, folder)]
    logger.info("%s: %d of %d runs to make", out, len(missing), len(runs))
    if not missing:
        return []
    sizes = [plan.steps_of(run) + batches * len(lacking(plan, run, folder)) for run in missing]
    elsewhere, done = [], 0
    with _quiet_runs(), _bar(sum(sizes)) as bar:
        for number, (run, size) in enumerate(zip(missing, sizes, strict=True)):
            bar.set_description_str(f"{number + 1}/{len(missing)} {run}")
            with folder.claim(folder.file(plan.facts(run, plan.frames_scales[0]))) as is_ours:
                if not is_ours:
                    elsewhere.append(str(run))
                elif facts := lacking(plan, run, folder):  # another process may have made it meanwhile
                    _make(plan, run, facts, build, folder, bar)
            gc.collect()  # trainers hold themselves, their loaders and so their workers
            done += size
            bar.update(done - bar.n)
    return elsewhere


def lacking(plan: Sweep, run: Run, folder: Folder) -> list[dict[str, Any]]:
    """Facts of the cells of a run that are not there."""
    cells_of_run = [plan.facts(run, scale) for scale in plan.frames_scales]
    return [facts for facts in cells_of_run if not folder.file(facts).is_file()]


def examined(plan: Sweep, build: Builder) -> tuple[list[Run], int]:
    """The runs of a plan and the batches of a test, after every method was built once with every share, so that what
    does not fit is refused before hours of work.

    Pruners with weights of their own are only trained: initial ones would say nothing about the method.

    Raises:
        ConfigError: a method does not fit at a share, or has weights of its own and is not to be trained; or the
            recipe builds no video-language model.
    """
    runs, learnt, batches = plan.runs(), set(), 0
    first = {(run.method.label, run.remove): run for run in reversed(runs)}
    for (label, _), run in sorted(first.items()):
        built = build(plan.config(run))
        if not isinstance(built.model, ZooModule):
            raise ConfigError(f"the recipe builds a {type(built.model).__name__}, which has no pruners")
        if any(True for _ in built.model.model.pruners.parameters()):
            learnt.add(label)
        built.datamodule.processor = built.model.processor
        batches = batches_of_test(plan, built.datamodule)
    if learnt and plan.trained == "never":
        raise ConfigError(
            f"{', '.join(sorted(learnt))} has weights of its own, which nobody has trained; leave it out, or type "
            "--trained both"
        )
    return [run for run in runs if run.trained or run.method.label not in learnt], batches


def batches_of_test(plan: Sweep, data: ShardDataModule) -> int:
    """Of one test."""
    all_batches = len(data.test_dataloader())
    if plan.test_clips is None:
        return all_batches
    return min(math.ceil(plan.test_clips / data.eval_batch_size), all_batches)


def _make(plan: Sweep, run: Run, facts: Sequence[Mapping[str, Any]], build: Builder, folder: Folder, bar: tqdm) -> None:
    """Train where asked for, test with every number of frames, and write the cells."""
    built = build(plan.config(run))
    module, data, trainer = built.model, built.datamodule, built.trainer
    watch = Watch(bar)
    trainer.callbacks.append(watch)
    with _stopped_by_the_user():
        if run.trained:
            trainer.fit(module, datamodule=data)
        data.seed = plan.recipe["data"].get("init_args", {}).get("seed", 0)  # all are asked the same
        if plan.test_clips is not None:
            trainer.limit_test_batches = math.ceil(plan.test_clips / data.eval_batch_size)
        sampling = module.processor.sampling
        for cell in facts:
            scale = cell["frames_scale"]
            longer = replace(
                sampling, max_frames=round(sampling.max_frames * scale), frame_rate=sampling.frame_rate * scale
            )
            module.processor = replace(module.processor, sampling=longer)
            watch.restart()
            trainer.test(module, datamodule=data, verbose=False)
            content = watch.content()
            folder.write(cell, {"weights": plan.weights, "torch": torch.__version__, **content})
            _tell(run, cell, content)


def _tell(run: Run, cell: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    correct = content["questions"]["correct"]
    scale = "" if cell["frames_scale"] == 1 else f", frames x{cell['frames_scale']:g}"
    text = (
        f"{run}{scale}: {correct.count('1') / max(len(correct), 1):.2%} of {len(correct):,} questions, "
        f"{content['windows_entering']:.1f} windows a clip, {content['train_s']:.0f} s training, "
        f"{content['test_s']:.0f} s test"
    )
    tqdm.write(text, file=sys.stderr)


def _bar(total: int) -> tqdm:
    is_shown = sys.stderr.isatty()
    return tqdm(total=total, unit="batch", file=sys.stderr, mininterval=0.5 if is_shown else 60, dynamic_ncols=is_shown)


@contextmanager
def _quiet_runs() -> Iterator[None]:
    """Without what is said at the beginning of every run: of devices, precision, and data that are there already."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "zoo.generator")]
    levels = [other.level for other in loggers]
    for other in loggers:
        other.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for other, level in zip(loggers, levels, strict=True):
            other.setLevel(level)


@contextmanager
def _stopped_by_the_user() -> Iterator[None]:
    """Ctrl-C as Python has it: Lightning turns it into an exit of its own."""
    try:
        yield
    except SystemExit as stop:
        raise KeyboardInterrupt from stop
