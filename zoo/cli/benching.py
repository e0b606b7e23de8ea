"""`zoo bench ...`: what a part of a recipe costs on this machine."""

import json as json_format
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from zoo.errors import ConfigError

if TYPE_CHECKING:
    from zoo.bench.inputs import InputsCost
    from zoo.bench.molmo2 import Molmo2Cost
    from zoo.bench.packing import PackingCost
    from zoo.cli.training import RecipeCLI
    from zoo.datamodules.bench import LoadingCost


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


def _reported(cost: "LoadingCost | PackingCost | InputsCost | Molmo2Cost", json: Path | None) -> str:
    if json is not None:
        json.write_text(json_format.dumps(cost.as_dict(), indent=2) + "\n", encoding="utf-8")
    return cost.as_text()
