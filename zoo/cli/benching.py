"""`zoo bench ...`: what a part of a recipe costs on this machine."""

import json as json_format
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from zoo.errors import ConfigError

if TYPE_CHECKING:
    from zoo.bench.inputs import InputsCost
    from zoo.bench.molmo2 import Molmo2Cost
    from zoo.bench.packing import PackingCost
    from zoo.bench.policy_cost import PolicyCost
    from zoo.cli.training import RecipeCLI
    from zoo.datamodules.bench import LoadingCost

PRUNING_RUNS = Path("runs/bench/pruning")
PRUNING_JSON = "pruning.json"


def data(
    recipe: str = "molmo2/tiny",
    *,
    samples: int = 200,
    batch_size: int = 20,
    rounds: int = 5,
    json: Path | None = None,
) -> str:
    """Time a recipe's loader against bare decoding of the same clips, in turns.

    Args:
        recipe: Bundled name, or path of a YAML file; its data is generated first where it is missing.
        samples: Clips of a round at most; rounded down to whole batches.
        batch_size: Clips a batch.
        rounds: Turns of both sides.
        json: File for the numbers; `ratio` is loader throughput over bare throughput.

    Raises:
        ConfigError: the recipe's datamodule reads no shards, or there are too few samples.
    """
    from zoo.datamodules.bench import measure_loading  # heavy; `zoo bench data --help` must stay quick

    built = _built(recipe)
    cost = measure_loading(
        built.datamodule.sources("train")[0],
        built.model.processor,
        samples=samples,
        batch_size=batch_size,
        rounds=rounds,
    )
    return _reported(cost, json)


def packing(
    recipe: str = "molmo2/tiny",
    *,
    annotations: tuple[int, ...] = (1, 4, 16),
    clips: int = 32,
    planned: int = 3000,
    rounds: int = 3,
    max_tokens: int | None = None,
    max_frames: int | None = None,
    json: Path | None = None,
) -> str:
    """Time training on packed message trees against padded rows of single annotations, in turns.

    Args:
        recipe: Bundled name, or path of a YAML file; its data is generated first where it is missing.
        annotations: Annotations of each clip, one row of the result each.
        clips: Clips of a round.
        planned: Samples at most whose packs give the fill, drawn as training draws them; trained on are the first of
            the first data set that hold enough annotations.
        rounds: Turns of both sides.
        max_tokens: Tokens of a batch on both sides; the recipe's packing where nothing is given, else 4480.
        max_frames: Frames of a batch on both sides; the recipe's packing where nothing is given, else 384.
        json: File for the numbers; `rows` hold `annotations`, `speedup` (packed over padded annotations/s) and `fill`
            (real tokens over the sequence limit).

    Raises:
        ConfigError: the recipe's datamodule reads no shards, or too few samples hold enough annotations.
    """
    from zoo.bench.packing import measure_packing  # heavy; `zoo bench packing --help` must stay quick
    from zoo.datamodules.sources import MixedReader
    from zoo.packing import PackLimits
    from zoo.shards.faults import FaultCounter
    from zoo.shards.reader import MEDIA_AND_JSON, read_shard

    built = _built(recipe)
    limits = built.datamodule.packing or PackLimits(max_tokens=4480, max_frames=384)
    typed = {"max_tokens": max_tokens, "max_frames": max_frames}
    limits = replace(limits, **{name: value for name, value in typed.items() if value is not None})
    sources = built.datamodule.sources("train")
    samples = chain.from_iterable(read_shard(shard.path, suffixes=MEDIA_AND_JSON) for shard in sources[0].shards)
    drawn = MixedReader(
        sources,
        seed=built.datamodule.seed,
        epoch=0,
        reader=0,
        readers=1,
        shuffle_buffer=1,
        suffixes=MEDIA_AND_JSON,
        faults=FaultCounter("raise"),
    )
    strategy, precision = built.trainer.strategy, built.trainer.precision_plugin
    cost = measure_packing(
        built.model.to(strategy.root_device),
        islice(samples, planned),
        limits,
        drawn=islice(drawn, planned),
        annotations=annotations,
        clips=clips,
        rounds=rounds,
        precision=precision.train_step_context,
    )
    return _reported(cost, json)


def inputs(*, rounds: int = 5, json: Path | None = None) -> str:
    """Time the preprocessing of images and clips against transformers' Molmo2 processor, in turns.

    Args:
        rounds: Turns of both sides.
        json: File for the numbers; `rows` hold `case` and `ratio`, our examples a second over theirs.

    Raises:
        ConfigError: no round.
    """
    from zoo.bench.inputs import measure_inputs  # heavy; `zoo bench inputs --help` must stay quick

    return _reported(measure_inputs(rounds=rounds), json)


def molmo2(
    *,
    examples: int = 8,
    new_tokens: int = 48,
    rounds: int = 5,
    dtype: Literal["float32", "bfloat16"] = "float32",
    json: Path | None = None,
) -> str:
    """Time a small Molmo2 against transformers' own class with the same weights and examples, in turns.

    Args:
        examples: Clips of a batch, of different lengths, one question each.
        new_tokens: Tokens that are decoded.
        rounds: Turns of both sides.
        dtype: Type of weights and numbers.
        json: File for the numbers; `packed_speedup` is of training on examples packed here and padded there,
            `single_speedup` on one example, `decode_speedup` of tokens decoded a second.

    Raises:
        ConfigError: there is nothing to measure.
    """
    from zoo.bench.molmo2 import measure_molmo2  # heavy; `zoo bench molmo2 --help` must stay quick

    return _reported(measure_molmo2(examples=examples, new_tokens=new_tokens, rounds=rounds, dtype=dtype), json)


def policy(
    *,
    trunk: str = "spoc-siglip-3,ring,spoc-tiny,ring-tiny",
    steps: str = "10,100,1000",
    rows: str = "1,8",
    rounds: int = 30,
    recomputed_rounds: int = 1,
    max_recomputed: int = 1000,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    dtype: Literal["float32", "bfloat16"] = "float32",
    json: Path | None = None,
) -> str:
    """Time steps of navigation policies early and late in an episode, with a cache and recomputed, in turns.

    Weights are random and nothing is downloaded.

    Args:
        trunk: Policy trunks with commas between them: zoo list policy_trunk.
        steps: Numbers of the steps in their episode, with commas between them.
        rows: Episodes that go on side by side, with commas between them.
        rounds: Turns of all sides, of which the quickest counts.
        recomputed_rounds: Of these, in how many the steps are also recomputed from all before them.
        max_recomputed: Steps, all episodes together, beyond which nothing is recomputed.
        device: Where it runs; auto takes a GPU where there is one.
        dtype: Type of weights and numbers.
        json: File for the numbers; `rows` hold `trunk`, `rows`, `step`, `cached_ms`, `recomputed_ms`, `ratio` (to the
            earliest step), `policy_ratio` (the same with the pictures of a step) and `vision_share`, `encoders` what a
            picture and an instruction cost.

    Raises:
        ConfigError: a number out of range, nothing to measure, or a device that this machine lacks.
        UnknownNameError: no such trunk.
    """
    from zoo.bench.policy import measure_policy  # heavy; `zoo bench policy --help` must stay quick
    from zoo.cli.sweeping import numbers

    cost = measure_policy(
        [name.strip() for name in trunk.split(",") if name.strip()],
        steps=numbers(steps, int, option="steps"),
        rows=numbers(rows, int, option="rows"),
        rounds=rounds,
        recomputed_rounds=recomputed_rounds,
        max_recomputed=max_recomputed,
        device=device,
        dtype=dtype,
    )
    return _reported(cost, json)


def pruning(
    *,
    methods: str = "stts,random",
    remove: str = "0.5",
    frames: str | None = None,
    vision: str | None = None,
    language: str | None = None,
    width_divisor: int | None = None,
    device: Literal["auto", "cpu", "cuda"] | None = None,
    dtype: Literal["float32", "bfloat16"] | None = None,
    compile: bool = False,  # noqa: A002 - what is typed
    clips: int | None = None,
    text_tokens: int | None = None,
    rounds: int | None = None,
    backward_frames: int | None = None,
    accuracy: Path | None = None,
    json: Path | None = None,
    train: bool = False,
    recipe: str | None = None,
    ckpt_path: str | None = None,
    seeds: str | None = None,
    trained: Literal["both", "only", "never"] | None = None,
    steps: int | None = None,
    test_clips: int | None = None,
    test_frames_scale: str | None = None,
    out: Path | None = None,
    speeds: Path | None = None,
    report_only: bool = False,
) -> str:
    """Time and count pruners against the dense model with the same random weights, in turns.

    Writes a JSON file and beside it a plot. Clips are coloured squares of which some stand still, some drift and some
    change; training steps recompute activations on both sides, and no optimiser steps.

    With --train it is accuracy that is compared, on a recipe's data: every method is fine-tuned alike from the same
    dense weights, and put into them as it is, and is then asked the whole test split. What was finished before is not
    done again, and several processes may fill one folder.

    Args:
        methods: Pruners with commas between them, as stts, random(site='vit.block[3]') or tome+fastv(layer=2); none
            measures the dense model against itself. With --train, the recipe's own pruner takes the recipe's arguments,
            its share and seed apart, where nothing else is typed.
        remove: Shares of a clip's windows that are dropped, in [0, 1), with commas between them.
        frames: Frames of each clip, with commas between them. 16,32,64.
        vision: Registry name of a vision encoder at its published shape; Molmo2-4B's where nothing is given.
        language: Registry name of a language model at its published shape; Molmo2-4B's where nothing is given.
        width_divisor: Molmo2-4B's widths are divided by this, depths, frames and tokens are not; 1: published size. 4.
        device: Where it runs; auto takes a GPU where there is one. auto.
        dtype: Type of weights and numbers. float32.
        compile: Put the MLPs of blocks and layers through torch.compile.
        clips: Clips of a batch. 1.
        text_tokens: Tokens of each clip's question and answer together; a sixth is the answer. 120.
        rounds: Turns of all sides, after one that is not counted where something is compiled or runs on a GPU. 3.
        backward_frames: Clips with more frames than this are run forward only. 64.
        accuracy: JSON with rows of method, remove and accuracy, which are drawn against measured speed-ups.
        json: File for the numbers, a new one below runs/bench/pruning where nothing is given; `rows` hold `method`,
            `remove`, `frames`, `forward_speedup`, `train_speedup`, `flops_speedup` (operations of the dense model over
            own ones, counted in a forward pass), `peak_memory_mb` and more.
        train: Compare accuracies; of the options above, methods, remove and json hold here too and no other, those
            below only here.
        recipe: Bundled name, or path of a YAML file; its data is generated first where it is missing, and its pruner
            runs where it is named among the methods. stts/tiny.
        ckpt_path: Dense weights to begin with: a checkpoint folder, or a bundled one's name, such as molmo2-tiny.
        seeds: Of the order of samples, of new weights and of draws, with commas between them. 0.
        trained: Fine-tune with the pruner (only), put it into the dense weights as it is (never), or both.
        steps: Of each fine-tuning; the recipe's where nothing is given.
        test_clips: Clips that are asked about, rounded up to whole batches; all where nothing is given.
        test_frames_scale: How many times more frames a clip is tested with than trained, with commas between them. 1.
        out: Folder of the results, which is continued; runs/bench/pruning_accuracy/RECIPE where nothing is given.
        speeds: JSON of this command without --train; accuracies are drawn against its speed-ups.
        report_only: Tell what the folder holds, and run nothing.

    Raises:
        ConfigError: there is nothing to measure, a method that does not fit the trunk, or an option of the other half.
    """
    from zoo.cli.sweeping import compared_accuracy

    of_timing = {
        "frames": frames, "vision": vision, "language": language, "width_divisor": width_divisor, "device": device,
        "dtype": dtype, "compile": compile or None, "clips": clips, "text_tokens": text_tokens, "rounds": rounds,
        "backward_frames": backward_frames, "accuracy": accuracy,
    }  # fmt: skip
    of_training = {
        "recipe": recipe, "ckpt_path": ckpt_path, "seeds": seeds, "trained": trained, "steps": steps,
        "test_clips": test_clips, "test_frames_scale": test_frames_scale, "out": out, "speeds": speeds,
    }  # fmt: skip
    of_timing, of_training = (
        {name: value for name, value in half.items() if value is not None} for half in (of_timing, of_training)
    )
    if train or report_only:
        if of_timing:
            switch = "--train" if train else "--report_only"
            raise ConfigError(f"{_flags(of_timing)}: told with {switch}, where nothing is timed; leave either out")
        return compared_accuracy(methods=methods, remove=remove, json=json, report_only=report_only, **of_training)
    if of_training:
        raise ConfigError(f"{_flags(of_training)}: told without --train, which it belongs to")
    return _compared_speed(methods=methods, remove=remove, json=json, **of_timing)


def _flags(names: Iterable[str]) -> str:
    return ", ".join(f"--{name}" for name in names)


def _compared_speed(
    *,
    methods: str,
    remove: str,
    frames: str = "16,32,64",
    vision: str | None = None,
    language: str | None = None,
    width_divisor: int = 4,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    dtype: Literal["float32", "bfloat16"] = "float32",
    compile: bool = False,  # noqa: A002 - what is typed
    clips: int = 1,
    text_tokens: int = 120,
    rounds: int = 3,
    backward_frames: int = 64,
    accuracy: Path | None = None,
    json: Path | None = None,
) -> str:
    """Time and count; see `pruning`, which tells what was typed alone, so that the defaults stand here."""
    from zoo.bench.methods import parse_methods
    from zoo.cli.sweeping import numbers

    chosen = parse_methods(methods)
    shown, shares = numbers(frames, int, option="frames"), numbers(remove, float, option="remove")
    from zoo.bench.pruning import measure_pruning  # heavy; `zoo bench pruning --help` must stay quick
    from zoo.bench.pruning_plot import read_accuracies, save_plot, with_accuracies
    from zoo.bench.trunks import dense_module

    accuracies = {} if accuracy is None else read_accuracies(accuracy)
    module = dense_module(
        vision=vision,
        language=language,
        width_divisor=width_divisor,
        max_frames=max(shown, default=1),  # none are refused below
        device=device,
        dtype=dtype,
        is_compiled=compile,
    )
    cost = measure_pruning(
        module,
        methods=chosen,
        remove=shares,
        frames=shown,
        clips=clips,
        text_tokens=text_tokens,
        rounds=rounds,
        backward_frames=backward_frames,
        warm_up=compile or module.device.type == "cuda",
    )
    told = cost.as_dict() | {"is_compiled": compile, "vision": vision, "language": language}
    if accuracies:
        told["rows"] = with_accuracies(told["rows"], accuracies)
    path = _new_run(PRUNING_RUNS) / PRUNING_JSON if json is None else json
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json_format.dumps(told, indent=2) + "\n", encoding="utf-8")
    save_plot(told["rows"], path.with_suffix(".png"), accuracies)
    return f"{cost.as_text()}\n{path}, {path.with_suffix('.png')}"


def _new_run(folder: Path) -> Path:
    """The first folder `version_N` that is not there yet."""
    return next(path for number in count() if not (path := folder / f"version_{number}").exists())


def _built(recipe: str) -> "RecipeCLI":
    """A recipe's parts, its data made."""
    from zoo.cli.training import RecipeCLI
    from zoo.datamodules.shards import ShardDataModule

    built = RecipeCLI(["--config", recipe])
    if not isinstance(built.datamodule, ShardDataModule):
        raise ConfigError(
            f"{recipe}: {type(built.datamodule).__name__} reads no shards, so there is nothing to compare"
        )
    built.datamodule.prepare_data()
    return built


def _reported(cost: "LoadingCost | PackingCost | InputsCost | Molmo2Cost | PolicyCost", json: Path | None) -> str:
    if json is not None:
        json.write_text(json_format.dumps(cost.as_dict(), indent=2) + "\n", encoding="utf-8")
    return cost.as_text()
