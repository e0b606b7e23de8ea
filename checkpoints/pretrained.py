"""Checkpoint folders: everything that a trained module needs, and nothing that runs when it is read.

config.json               the recipe by registry names, and the types of what the weights leave out
model.safetensors         weights; in numbered shards with an index where they are large
processor_config.json     what the processor was, compared with what is built when the folder is read
tokenizer/                vocabulary in transformers' layout, chat template included; of policies in text/
vision/, language/, text/ configurations of parts that came from transformers' folders
README.md                 model card
training_log.csv          metrics of the run, where it was made of one
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

import zoo
from zoo import bundled, registry
from zoo.adaptation import AdaptableModule
from zoo.checkpoints.card import LOG, Training, check_results, write_card
from zoo.checkpoints.lightning_checkpoint import SUFFIX, find_checkpoint, load_checkpoint
from zoo.checkpoints.molmo2 import fill_released, load_released, released_recipe
from zoo.checkpoints.molmo2_config import is_released
from zoo.checkpoints.recipe import Reader, Spec, build_module, recipe_of, with_names
from zoo.component_module import ComponentModule
from zoo.errors import ConfigError, DataError
from zoo.hub import local_folder, upload_folder
from zoo.lora import is_adapter
from zoo.module import ZooModule
from zoo.processor import TextTokenizer
from zoo.report.files import copy_metrics
from zoo.weights import (
    HALVES,
    check_storable,
    load_exactly,
    refuse_pickle,
    save_weights,
    set_unsaved_dtypes,
    shapes_of,
    unsaved_dtypes,
    weight_files,
)

CONFIG = "config.json"
PROCESSOR = "processor_config.json"
FORMAT = "molmo-zoo"
FORMAT_VERSION = 1
ADAPTER = "adapter_config.json"
"""Marks a folder of PEFT's, which holds no model."""

NOT_FACTS = ("tokenizer", "renderers", "labellers", "reads", "budgets", "choosable")
"""Fields of the processor that are parts of their own, or concern no input."""

SWAPPED = {
    "pruner": ("model.pruners.",),
    "heads": ("heads.", "model.patch_projection."),
    "trunk": ("model.trunk.",),
    "head": ("model.head.",),
}
"""Arguments of the module that a flag may replace on trained weights, and where their own weights lie."""


def save_pretrained(
    module: ComponentModule,
    folder: str | Path,
    *,
    training: Training | None = None,
    max_shard_size: str = "5GB",
    stored_dtype: Literal["float16", "bfloat16"] | None = None,
) -> Path:
    """Write a module as a checkpoint folder.

    Args:
        module: Built from a recipe, by the command line or `zoo.from_recipe`.
        folder: New, empty, or a checkpoint folder to be replaced.
        training: What the model card tells of how it was trained.
        max_shard_size: Largest file of weights, such as `5GB`.
        stored_dtype: Type in which float32 weights are stored, for half the size; read, they are float32 again.
    Returns:
        The folder.
    Raises:
        ConfigError: the folder holds something else, the type is unknown, results are of another kind of module, or no
            recipe rebuilds the module.
    """
    if stored_dtype not in (None, *HALVES):
        raise ConfigError(f"stored_dtype {stored_dtype!r}: expected {', '.join(HALVES)}, or none")
    if training is not None:
        check_results(module, training.results)
    spec = _spec_of(module)
    root = Path(folder).resolve()
    if root.is_file() or (root.is_dir() and any(root.iterdir()) and not is_checkpoint_folder(root)):
        raise ConfigError(f"{folder} holds something else than a checkpoint; name a new folder")
    with module.whole():
        check_storable(module, max_shard_size=max_shard_size, halved=HALVES.get(stored_dtype))
    root.mkdir(parents=True, exist_ok=True)
    (root / CONFIG).unlink(missing_ok=True)  # written last, so that what is cut short is no checkpoint
    for name, part in module.portable_parts().items():
        if (rebuilt := part.save_files(root / name)) is not None:
            spec["init_args"][name] = _beside(rebuilt, root)
    with module.whole():
        save_weights(module, root, max_shard_size=max_shard_size, halved=HALVES.get(stored_dtype))
    _write_json(root / PROCESSOR, processor_facts(module))
    (root / LOG).unlink(missing_ok=True)
    if training is not None and training.run is not None:
        copy_metrics(training.run, root / LOG)
    write_card(root, module, spec, training or Training(), called=root.name)
    config = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "zoo_version": zoo.__version__,
        "model": spec,
        "buffer_dtypes": unsaved_dtypes(module),
        "stored_dtype": stored_dtype,
    }
    _write_json(root / CONFIG, config)
    return Path(folder)


def _spec_of(module: ComponentModule) -> Spec:
    """The recipe of a module as it is now: adapters that were merged are gone."""
    spec = with_names(recipe_of(module))
    if not isinstance(module, AdaptableModule):
        return spec
    if module.is_adapted and not module.lora.components():
        raise ConfigError(
            "the recipe of this model has no adapters, they were loaded over it; say module.merge_adapters() first, or "
            "save_adapter"
        )
    kept = {n: value for n, value in spec["init_args"].items() if n != "lora" or module.lora.components()}
    return {**spec, "init_args": kept}


def _beside(spec: Spec, root: Path) -> Spec:
    """A part's recipe with the folder's own place left out, so that the folder can be moved."""
    return {**spec, "class_path": spec["class_path"].replace(f":{root}/", ":./")}


def _write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def processor_facts(module: ComponentModule) -> dict[str, Any]:
    """What a module's inputs are made with, as plain JSON; `pixels` is what black and white become."""
    processor = module.processor
    values = {f.name: getattr(processor, f.name) for f in dataclasses.fields(processor) if f.name not in NOT_FACTS}
    plain = {n: dataclasses.asdict(v) if dataclasses.is_dataclass(v) else v for n, v in values.items()}
    ends = torch.tensor([0, 255], dtype=torch.uint8, device=module.device).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    pixels = module.model.vision.normalise(ends).flatten(1).tolist()
    return json.loads(json.dumps({**plain, "pixels": pixels}))  # tuples become lists, as they come back


def _changes(saved: Mapping[str, Any], built: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Facts that are others now; one that is newer than the folder has its default, which changes nothing."""
    for name, told in saved.items():
        now = built.get(name)
        if isinstance(told, dict) and isinstance(now, dict):
            yield from _changes(told, now, f"{path}{name}.")
        elif told != now:
            yield f"{path}{name} was {told}, is {now}"


def check_processor(module: ComponentModule, folder: Path) -> None:
    """Refuse a module whose inputs would be made otherwise than those it was trained on.

    Raises:
        ConfigError: a size, rate or statistic is another one.
        DataError: the file is missing or no JSON object.
    """
    saved, built = _read_json(folder / PROCESSOR), processor_facts(module)
    pixels = saved.pop("pixels", None), built.pop("pixels")
    changed = list(_changes(saved, built))
    if np.shape(pixels[0]) != np.shape(pixels[1]) or not np.allclose(*pixels, rtol=1e-3, atol=1e-4):
        changed.append(f"black and white were {pixels[0]}, are {pixels[1]}")
    if changed:
        raise ConfigError(
            f"{folder}: this molmo-zoo ({zoo.__version__}) makes other inputs than the checkpoint was trained on: "
            f"{'; '.join(changed)}"
        )


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{file} is missing; fetch the folder again") from error
    except ValueError as error:  # also of bytes that are no text
        raise DataError(f"{file} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{file} holds no JSON object")
    return content


def is_checkpoint_folder(path: str | Path) -> bool:
    """Whether a path is a folder with a configuration of ours."""
    file = Path(path) / CONFIG
    return file.is_file() and f'"{FORMAT}"' in file.read_text(encoding="utf-8", errors="replace")


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of a checkpoint folder.

    Raises:
        ConfigError: it is no checkpoint folder, or one of a later molmo-zoo.
        DataError: the configuration does not parse.
    """
    if not (folder / CONFIG).is_file():
        if (folder / ADAPTER).is_file():
            raise ConfigError(f"{folder} holds an adapter and no model; load the model that it belongs to first")
        raise ConfigError(
            f"{folder} is no checkpoint folder, it has no {CONFIG}; zoo convert checkpoint makes one of a run"
        )
    config = _read_json(folder / CONFIG)
    if config.get("format") != FORMAT:
        hint = f"; as a part of a model it is hf:{folder}" if "model_type" in config else ""
        raise ConfigError(f"{folder} is no checkpoint of molmo-zoo, its {CONFIG} has no such format{hint}")
    if config.get("format_version") != FORMAT_VERSION:
        raise ConfigError(
            f"{folder} has format version {config.get('format_version')!r}, this molmo-zoo ({zoo.__version__}) reads "
            f"{FORMAT_VERSION}; install another one: pip install --upgrade molmo-zoo"
        )
    return config


def stored_recipe(folder: Path) -> Spec:
    """What the model of a checkpoint folder, or of a released Molmo2, is built from; not yet looked through.

    Raises:
        ConfigError: see `read_config`; or a Molmo2 that the zoo's parts do not fit.
        DataError: a file is missing or does not parse.
    """
    return released_recipe(folder) if is_released(folder) else read_config(folder).get("model")


def load_folder(folder: Path) -> ComponentModule:
    """A module as it was saved, in evaluation mode, on the CPU.

    Raises:
        ConfigError: no checkpoint folder, a foreign class, or weights that are not exactly the module's.
        DataError: a file is missing or cut short.
    """
    config = read_config(folder)
    module = build_module(config.get("model"), folder=folder, weights_follow=True)
    if not isinstance(module, ComponentModule):
        raise ConfigError(f"{folder} holds a {type(module).__name__}, which is no module of molmo-zoo's")
    load_weights(module, folder)
    check_processor(module, folder)
    return module.eval()


def has_adapters(folder: Path) -> bool:
    """Whether a checkpoint folder is of a model whose adapters were not merged.

    Raises:
        ConfigError: it holds no weights.
        DataError: a file cannot be read.
    """
    return any(is_adapter(name) for name in shapes_of(weight_files(folder)))


def load_weights(module: ComponentModule, folder: Path, *, may_start_anew: bool = False) -> None:
    """Fill a module that was built by flags or a recipe with a checkpoint folder's weights.

    Pruners, heads and policy trunks that the folder's own recipe names otherwise are the user's choice: stored weights
    that they do not have are left out, and those that they bring beside start from where they were initialised. So do
    the rows of a longer vocabulary behind the folder's own.

    Args:
        module: On the CPU.
        folder: Checkpoint folder.
        may_start_anew: Whether the module may have weights that the folder lacks, as when training begins.
    Raises:
        ConfigError: the weights are not exactly the module's, swapped parts apart.
        DataError: a file is missing or cut short.
    """
    config = {} if is_released(folder) else read_config(folder)
    own, stored = with_names(recipe_of(module))["init_args"], stored_recipe(folder).get("init_args", {})
    swapped = [part for part in SWAPPED if _names(own.get(part)) != _names(stored.get(part))]
    spare = [prefix for part in swapped for prefix in SWAPPED[part]]
    if not may_start_anew and (anew := [n for n in module.state_dict() if n.startswith(tuple(spare))]):
        raise ConfigError(f"{folder} has no trained {anew[0]} for the part that replaces its own; train it: zoo fit")
    if is_released(folder):
        if not isinstance(module, ZooModule):
            raise ConfigError(f"{folder} is a Molmo2, and the module a {type(module).__name__}")
        fill_released(module, folder, spare=spare)
        module.fetched = frozenset()
        return
    stored_dtype = config.get("stored_dtype")
    if stored_dtype not in (None, *HALVES):
        raise ConfigError(f"{folder} stores float32 as {stored_dtype!r}; this molmo-zoo reads {', '.join(HALVES)}")
    may_grow = may_start_anew and isinstance(module, ZooModule)
    growing = _longer_tables(module, folder, stored["tokenizer"]) if may_grow else ()
    with module.whole():
        load_exactly(module, folder, spare=spare, growing=growing, halved=HALVES.get(stored_dtype))
    module.fetched = frozenset()  # what the recipe would fetch is not what is here now
    set_unsaved_dtypes(module, config.get("buffer_dtypes", {}))


def _longer_tables(module: ZooModule, folder: Path, spec: Spec) -> list[str]:
    """Weights with a row for each id that have more rows than a folder's, where the folder's tokens keep their ids.

    Args:
        module: That begins with the folder's weights.
        folder: Checkpoint folder.
        spec: Of the folder's tokenizer.
    """
    language, shapes = module.model.language, shapes_of(weight_files(folder))
    tables = {id(tensor) for tensor in language.parameters() if tensor.shape[0] == language.vocab_size}
    own = {name for name, tensor in module.state_dict(keep_vars=True).items() if id(tensor) in tables}
    longer = [name for name in own & shapes.keys() if shapes[name][:1] < (language.vocab_size,)]
    return longer if longer and _keeps_ids(module.processor.tokenizer, folder, spec) else []


def _keeps_ids(tokenizer: TextTokenizer, folder: Path, spec: Spec) -> bool:
    found = Reader(folder=folder).component(spec, TextTokenizer.kind, f"{folder}: model.tokenizer")
    earlier = registry.by_class_path(found["class_path"], TextTokenizer.kind).load_builder()(**found["init_args"])
    ids = range(earlier.vocab_size)
    return len(ids) <= tokenizer.vocab_size and all(earlier.decode([i]) == tokenizer.decode([i]) for i in ids)


def _names(value: Any) -> list[str]:
    """Names of one component or of a list of them."""
    listed = value if isinstance(value, list) else [] if value is None else [value]
    return [spec["class_path"] if isinstance(spec, dict) else spec for spec in listed]


def from_pretrained(where: str | Path, *, revision: str | None = None) -> ComponentModule:
    """A trained module, in evaluation mode, on the CPU.

    Args:
        where: A checkpoint folder, a bundled one's name, a hub id, a run folder (its newest checkpoint), one of
            Lightning's .ckpt files, or a released Molmo2 in transformers' layout.
        revision: Branch, tag or commit where `where` is a hub id.
    Raises:
        ConfigError: there is none, it names what is not registered here, or its weights are not exactly the module's.
        DataError: a file is missing or cut short.
    """
    path = Path(where)
    if path.is_file():
        if path.suffix == SUFFIX:
            return load_checkpoint(path)
        refuse_pickle(path)
        raise ConfigError(f"{path} is no checkpoint; give the folder that holds it, or a .ckpt file")
    folder = bundled.folder_of(str(where)) or _local_folder(where, revision)
    if is_released(folder):
        return load_released(folder)
    if not (folder / CONFIG).is_file() and (newest := find_checkpoint(folder)) is not None:
        return load_checkpoint(newest)
    return load_folder(folder)


def _local_folder(where: str | Path, revision: str | None) -> Path:
    if not Path(where).exists() and "/" not in str(where):
        known = ", ".join(bundled.names()) or "there is none"
        raise ConfigError(f"no folder {where}, no bundled checkpoint ({known}), and no hub id (owner/repository)")
    return local_folder(where, revision=revision)


def push_to_hub(
    module: ComponentModule,
    repository: str,
    *,
    revision: str | None = None,
    private: bool | None = None,
    message: str = "Upload a checkpoint of molmo-zoo",
    training: Training | None = None,
    max_shard_size: str = "5GB",
) -> str:
    """Put a module into a repository of the hub, which is made where there is none, as one commit.

    Args:
        module: See `save_pretrained`.
        repository: Hub id, `owner/repository`.
        revision: Branch; the main one where left out.
        private: Whether a repository that is made is private; the owner's default where left out.
        message: Of the commit.
        training: See `save_pretrained`.
        max_shard_size: See `save_pretrained`.
    Returns:
        Address of the commit.
    Raises:
        ConfigError: the hub refused, or cannot be asked; or see `save_pretrained`.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = save_pretrained(
            module, Path(scratch) / repository.rpartition("/")[2], training=training, max_shard_size=max_shard_size
        )
        write_card(folder, module, read_config(folder)["model"], training or Training(), called=repository)
        return upload_folder(folder, repository, revision=revision, private=private, message=message)
