"""`zoo bench ...`: what a part of a recipe costs on this machine."""

import json as json_format
from pathlib import Path

from zoo.errors import ConfigError


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
    from zoo.cli.training import RecipeCLI  # heavy; `zoo bench data --help` must stay quick
    from zoo.datamodules.bench import measure_loading
    from zoo.datamodules.shards import ShardDataModule

    built = RecipeCLI(["--config", recipe])
    if not isinstance(built.datamodule, ShardDataModule):
        raise ConfigError(
            f"{recipe}: {type(built.datamodule).__name__} reads no shards, so there is nothing to compare"
        )
    built.datamodule.prepare_data()
    cost = measure_loading(
        built.datamodule.sources("train")[0],
        built.model.processor,
        samples=samples,
        batch_size=batch_size,
        rounds=rounds,
    )
    if json is not None:
        json.write_text(json_format.dumps(cost.as_dict(), indent=2) + "\n", encoding="utf-8")
    return cost.as_text()
