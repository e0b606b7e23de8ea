import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
import torch
from checkpoint_parts import logits_and_answers, recipe_of_folders
from huggingface_hub.errors import LocalEntryNotFoundError, RevisionNotFoundError
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

import zoo
from zoo.checkpoints.card import Training
from zoo.checkpoints.pretrained import check_processor, load_weights, processor_facts
from zoo.errors import ConfigError, DataError, UnknownNameError


def assert_same(ours, again, batch):
    logits, answers = logits_and_answers(ours, batch)
    logits_again, answers_again = logits_and_answers(again, batch)
    torch.testing.assert_close(logits_again, logits, rtol=0, atol=0)
    assert answers_again == answers


def test_a_module_comes_back_as_it_was(module, saved, batch_of):
    again = zoo.from_pretrained(saved)
    assert not again.training
    assert again.state_dict().keys() == module.state_dict().keys()
    assert_same(module, again, batch_of(module))


def test_saving_what_was_loaded_writes_the_same_files(module, saved, tmp_path):
    second = zoo.from_pretrained(saved).save_pretrained(tmp_path / "second")
    for file in saved.rglob("*"):
        again = second / file.relative_to(saved)
        if file.suffix == ".safetensors":  # the order of its header is another one every time
            first, other = load_file(file), load_file(again)
            assert first.keys() == other.keys()
            assert all(torch.equal(first[name], other[name]) for name in first)
        elif file.is_file() and file.name != "README.md":  # names its folder
            assert file.read_bytes() == again.read_bytes(), file


def test_a_folder_can_be_moved_and_replaced(module, saved, tmp_path, batch_of):
    moved = tmp_path / "elsewhere" / "moved"
    shutil.move(shutil.copytree(saved, tmp_path / "copy"), moved)
    shutil.rmtree(saved)
    assert_same(module, zoo.from_pretrained(str(moved)), batch_of(module))
    with torch.no_grad():
        module.model.extra_embedding.weight.add_(1)
    module.save_pretrained(moved)
    assert_same(module, zoo.from_pretrained(moved), batch_of(module))


def test_parts_from_folders_travel_with_the_checkpoint(tmp_path, batch_of):
    """Their shape, vocabulary and statistics are in the checkpoint; the folders they came from may vanish."""
    module = zoo.from_recipe(recipe_of_folders(tmp_path / "parts")).eval()
    saved = module.save_pretrained(tmp_path / "saved")
    shutil.rmtree(tmp_path / "parts")
    spec = json.loads((saved / "config.json").read_text())["model"]["init_args"]
    for part in ("vision", "language", "tokenizer"):
        assert spec[part]["class_path"] == f"hf:./{part}"
    assert str(tmp_path) not in (saved / "config.json").read_text()
    again = zoo.from_pretrained(saved)
    assert again.model.vision.mean.flatten().tolist() == pytest.approx([0.4, 0.5, 0.6])
    assert_same(module, again, batch_of(module))


def test_the_vocabulary_is_one_that_transformers_reads(saved, module):
    theirs = AutoTokenizer.from_pretrained(saved / "tokenizer")
    turns = [{"role": "user", "content": "What colour?"}, {"role": "assistant", "content": "red"}]
    ours = module.processor.tokenizer
    told = theirs.apply_chat_template(turns, tokenize=True, return_dict=False)
    assert told == [*ours.prompt("What colour?"), *ours.encode("red"), ours.eos_id]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_shard_size": "5 gigabytes"}, "max_shard_size '5 gigabytes': expected a number of KB, MB, GB or TB"),
        ({"stored_dtype": "bfloat16"}, r"is torch\.bfloat16 already, so that this type cannot stand for float32"),
    ],
)
def test_a_mistake_is_told_before_a_folder_is_replaced(module, saved, arguments, message):
    before = {path.name: path.read_bytes() for path in saved.iterdir() if path.is_file()}
    module.model.language.to(torch.bfloat16)
    with pytest.raises(ConfigError, match=message):
        module.save_pretrained(saved, **arguments)
    assert {path.name: path.read_bytes() for path in saved.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_types_come_back(module, tmp_path, batch_of, dtype):
    module.to(dtype)
    again = zoo.from_pretrained(module.save_pretrained(tmp_path / "saved"))
    assert {p.dtype for p in again.parameters()} == {dtype}
    assert_same(module, again, batch_of(module))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_may_be_stored_in_half_the_size(module, saved, tmp_path, dtype):
    halved = module.save_pretrained(tmp_path / "halved", stored_dtype=dtype)
    assert (halved / "model.safetensors").stat().st_size < 0.6 * (saved / "model.safetensors").stat().st_size
    again = zoo.from_pretrained(halved).state_dict()
    for name, tensor in module.state_dict().items():
        assert again[name].dtype == tensor.dtype
        torch.testing.assert_close(again[name], tensor, rtol=1e-2, atol=1e-3)
    second = zoo.from_pretrained(halved).save_pretrained(tmp_path / "second", stored_dtype=dtype)
    stored, stored_again = (load_file(folder / "model.safetensors") for folder in (halved, second))
    assert all(torch.equal(stored[name], stored_again[name]) for name in stored)


def test_weights_of_the_stored_type_keep_it_apart_from_float32(module, tmp_path):
    module.model.language.bfloat16()
    with pytest.raises(ConfigError, match=r"is torch.bfloat16 already"):
        module.save_pretrained(tmp_path / "a", stored_dtype="bfloat16")
    again = zoo.from_pretrained(module.save_pretrained(tmp_path / "b", stored_dtype="float16")).state_dict()
    assert {name: tensor.dtype for name, tensor in again.items()} == {
        name: tensor.dtype for name, tensor in module.state_dict().items()
    }


def test_an_unknown_stored_type_is_refused(module, saved, edit):
    with pytest.raises(ConfigError, match="stored_dtype 'int3': expected float16, bfloat16"):
        module.save_pretrained(saved, stored_dtype="int3")
    zoo.from_pretrained(saved)  # refused before anything was replaced
    edit(saved / "config.json", lambda config: config.update(stored_dtype="int3"))
    with pytest.raises(ConfigError, match="stores float32 as 'int3'"):
        zoo.from_pretrained(saved)


def test_types_may_differ_from_part_to_part(module, tmp_path):
    module.model.language.bfloat16()
    again = zoo.from_pretrained(module.save_pretrained(tmp_path / "saved"))
    for name, tensor in module.state_dict().items():
        assert again.state_dict()[name].dtype == tensor.dtype, name
    buffers = dict(module.named_buffers())
    assert {n: b.dtype for n, b in again.named_buffers()} == {n: b.dtype for n, b in buffers.items()}


def test_a_module_with_a_pruner_comes_back_with_it(recipe, tmp_path, batch_of):
    recipe["init_args"]["pruner"] = {"class_path": "random", "init_args": {"remove": 0.4}}
    module = zoo.from_recipe(recipe).eval()
    assert_same(module, zoo.from_pretrained(module.save_pretrained(tmp_path / "pruned")), batch_of(module))


def test_large_weights_are_sharded(module, tmp_path, batch_of):
    saved = module.save_pretrained(tmp_path / "saved", max_shard_size="100KB")
    assert (saved / "model.safetensors.index.json").is_file()
    assert len(list(saved.glob("model-*.safetensors"))) > 3
    assert_same(module, zoo.from_pretrained(saved), batch_of(module))
    module.save_pretrained(saved)  # shards of before are gone
    assert [file.name for file in saved.glob("model*")] == ["model.safetensors"]


FRESH = """
import sys, torch, zoo
module = zoo.from_pretrained(sys.argv[1])
with torch.no_grad():
    torch.save([module.logits(torch.tensor([[5, 6, 7, 8]])), sorted(module.state_dict())], sys.argv[2])
"""


def test_a_fresh_process_computes_the_same(module, saved, tmp_path):
    out = tmp_path / "out.pt"
    command = [sys.executable, "-c", FRESH, os.fspath(saved), os.fspath(out)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    logits, names = torch.load(out, weights_only=True)
    with torch.no_grad():
        torch.testing.assert_close(logits, module.logits(torch.tensor([[5, 6, 7, 8]])), rtol=0, atol=0)
    assert names == sorted(module.state_dict())


# -- what is refused --------------------------------------------------------------------------------------------------


def test_a_class_outside_the_registry_is_refused(saved, edit):
    edit(saved / "config.json", lambda c: c["model"]["init_args"].update(heads=[{"class_path": "subprocess.Popen"}]))
    with pytest.raises(ConfigError, match=r"names subprocess\.Popen, which no registered head is"):
        zoo.from_pretrained(saved)


def test_a_plug_in_that_is_not_installed_is_named(saved, edit):
    edit(saved / "config.json", lambda c: c["model"]["init_args"].update(pruner={"class_path": "elsewhere"}))
    with pytest.raises(UnknownNameError, match=r"model\.pruner: no pruner 'elsewhere'.* List: zoo list pruner"):
        zoo.from_pretrained(saved)


@pytest.mark.parametrize("ending", [".bin", ".pt", ".pth"])
def test_a_pickle_is_refused_unread(saved, ending):
    class Planted:
        def __reduce__(self):
            return (os.mkdir, ("planted",))

    (saved / "model.safetensors").unlink()
    file = saved / f"pytorch_model{ending}"
    file.write_bytes(pickle.dumps(Planted()))
    for given in (saved, file):
        with pytest.raises(ConfigError, match=r"pytorch_model\.\w+ is a pickle, which can run code"):
            zoo.from_pretrained(given)
    file.rename(saved / "model.safetensors")  # under the right name it is no safetensors file
    with pytest.raises(DataError, match=r"model\.safetensors is cut short, or no safetensors file"):
        zoo.from_pretrained(saved)
    assert not Path("planted").exists()


def without(weights):
    weights.pop("model.extra_embedding.weight")


def misnamed(weights):
    weights["model.extra_embeding.weight"] = weights.pop("model.extra_embedding.weight")


def wider(weights):
    weights["model.extra_embedding.weight"] = torch.zeros(128, 40)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without, r"does not fit the model: missing model\.extra_embedding\.weight$"),
        (misnamed, r"missing model\.extra_embedding\.weight; unexpected model\.extra_embeding\.weight"),
        (wider, r"other sizes model\.extra_embedding\.weight \(128, 40\), expected \(128, 32\)"),
    ],
)
def test_weights_must_be_exactly_the_module_s(saved, change, message):
    weights = load_file(saved / "model.safetensors")
    change(weights)
    save_file(weights, saved / "model.safetensors")
    with pytest.raises(ConfigError, match=message):
        zoo.from_pretrained(saved)


def test_a_folder_of_another_size_is_refused(saved, edit):
    edit(saved / "config.json", lambda c: c["model"]["init_args"]["language"]["init_args"].update(num_layers=2))
    with pytest.raises(ConfigError, match=r"unexpected model\.language\.model\.model\.layers\.2\.\S+, .* and \d+ more"):
        zoo.from_pretrained(saved)


def test_a_shard_that_is_missing_is_named(module, tmp_path):
    saved = module.save_pretrained(tmp_path / "saved", max_shard_size="100KB")
    gone = sorted(saved.glob("model-*"))[1]
    gone.unlink()
    with pytest.raises(DataError, match=f"lists {gone.name}, which is missing"):
        zoo.from_pretrained(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("format"), "no checkpoint of molmo-zoo"),
        (lambda c: c.update(format_version=2), "has format version 2, this molmo-zoo .* reads 1"),
        (lambda c: c.pop("model"), "model: expected a module by name, got None"),
        (lambda c: c.update(buffer_dtypes={"model.nothing": "bfloat16"}), "no such buffer or type"),
        (lambda c: c.update(buffer_dtypes={"model.vision.mean": "load"}), "no such buffer or type"),
    ],
)
def test_a_configuration_of_something_else_is_refused(saved, edit, change, message):
    edit(saved / "config.json", change)
    with pytest.raises(ConfigError, match=message):
        zoo.from_pretrained(saved)


@pytest.mark.parametrize("name", ["config.json", "processor_config.json"])
@pytest.mark.parametrize("text", ["{", "[1]", "\x00"])
def test_a_file_that_does_not_parse_is_named(saved, name, text):
    (saved / name).write_text(text)
    with pytest.raises((ConfigError, DataError), match=name):
        zoo.from_pretrained(saved)


def test_other_inputs_than_it_was_trained_on_are_refused(saved, edit):
    edit(saved / "processor_config.json", lambda c: c["sampling"].update(frame_rate=8.0))
    with pytest.raises(ConfigError, match=r"makes other inputs .*: sampling\.frame_rate was 8\.0, is 2\.0$"):
        zoo.from_pretrained(saved)


def test_a_setting_that_is_newer_than_the_folder_changes_nothing(saved, edit):
    edit(saved / "processor_config.json", lambda c: c["inputs"].pop("length_hint"))
    zoo.from_pretrained(saved)


def test_other_statistics_are_refused(module, saved):
    check_processor(module, saved)
    module.model.vision.mean += 0.1
    with pytest.raises(ConfigError, match="black and white were"):
        check_processor(module, saved)


def test_every_field_of_the_processor_is_a_fact_or_a_part(module):
    facts = processor_facts(module)
    assert facts["image_size"] == [48, 48]
    assert {"sampling", "grid", "video_window", "timestamps", "pixels"} <= set(facts)


def test_a_folder_without_a_checkpoint_says_what_it_lacks(tmp_path):
    with pytest.raises(ConfigError, match=r"is no checkpoint folder, it has no config\.json; zoo convert checkpoint"):
        zoo.from_pretrained(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ConfigError, match="holds an adapter and no model"):
        zoo.from_pretrained(tmp_path)


def test_a_transformers_folder_is_told_where_it_belongs(tmp_path):
    LlamaForCausalLM(
        LlamaConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=9)
    ).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=f"as a part of a model it is hf:{tmp_path}"):
        zoo.from_pretrained(tmp_path)


def test_what_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    for given in ("nothing", "runs/nothing", "a/b/c"):
        with pytest.raises(ConfigError, match=f"no folder {given}, .*and no hub id"):
            zoo.from_pretrained(given)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match="give the folder that holds it"):
        zoo.from_pretrained("model.safetensors")
    with pytest.raises(ConfigError, match="has no revision 'v1'"):
        zoo.from_pretrained(tmp_path, revision="v1")


def test_a_folder_with_other_content_is_not_written_into(module, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ConfigError, match="holds something else than a checkpoint"):
        module.save_pretrained(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_module_without_a_recipe_cannot_be_saved(module_of, tmp_path):
    with pytest.raises(ConfigError, match="keeps no recipe"):
        module_of().save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


# -- a swapped part ---------------------------------------------------------------------------------------------------


def test_the_same_weights_run_under_another_pruner(module, saved, recipe, batch_of):
    recipe["init_args"]["pruner"] = {"class_path": "random", "init_args": {"remove": 0.4}}
    pruned = zoo.from_recipe(recipe).eval()
    load_weights(pruned, saved)
    batch = batch_of(module)
    with torch.no_grad():
        assert pruned(batch).layout.num_tokens < module(batch).layout.num_tokens
    for name, tensor in module.state_dict().items():
        assert torch.equal(pruned.state_dict()[name], tensor)


def test_a_part_with_weights_of_its_own_may_be_swapped_in_to_be_trained(saved, recipe):
    fresh = zoo.from_recipe(recipe)
    fresh.heads["qa"].register_parameter("scale", torch.nn.Parameter(torch.ones(1)))
    with pytest.raises(ConfigError, match=r"missing heads\.qa\.scale"):  # the same head must have the same weights
        load_weights(fresh, saved, may_start_anew=True)
    recipe["init_args"]["heads"] = ["qa", "grounding"]
    other = zoo.from_recipe(recipe)
    other.heads["grounding"].register_parameter("scale", torch.nn.Parameter(torch.ones(1)))
    load_weights(other, saved, may_start_anew=True)
    with pytest.raises(ConfigError, match=r"has no trained model\.patch_projection\.weight"):
        load_weights(other, saved)


def test_a_longer_vocabulary_begins_with_the_stored_rows(module, saved, recipe):
    recipe["init_args"]["tokenizer"] = {"class_path": "words", "init_args": {"places": True}}
    recipe["init_args"]["language"]["init_args"]["vocab_size"] = 768
    longer = zoo.from_recipe(recipe)
    name = next(name for name in longer.state_dict() if name.endswith("embed_tokens.weight"))
    before = longer.state_dict()[name].clone()
    load_weights(longer, saved, may_start_anew=True)
    stored, table = module.state_dict()[name], longer.state_dict()[name]
    assert torch.equal(table[: len(stored)], stored)
    assert torch.equal(table[len(stored) :], before[len(stored) :])
    with pytest.raises(ConfigError, match=r"other sizes"):
        load_weights(longer, saved)


def test_rows_of_other_tokens_are_not_taken(saved, recipe, edit):
    edit(saved / "tokenizer" / "tokenizer.json", lambda content: content["model"].update(swapped_ids(content["model"])))
    recipe["init_args"]["language"]["init_args"]["vocab_size"] = 768
    with pytest.raises(ConfigError, match=r"other sizes"):
        load_weights(zoo.from_recipe(recipe), saved, may_start_anew=True)


def swapped_ids(model: dict) -> dict:
    """A vocabulary whose last two tokens change places."""
    vocabulary = dict(model["vocab"])
    first, second = sorted(vocabulary, key=vocabulary.get)[-2:]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    return {"vocab": vocabulary}


# -- the hub ----------------------------------------------------------------------------------------------------------


class FakeHub:
    """A hub that is a folder: repositories, each a copy of what was uploaded last."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls = []

    def create_repo(self, *, repo_id, private, exist_ok):
        self.calls.append(("create", repo_id, private, exist_ok))
        return huggingface_hub.RepoUrl(f"https://huggingface.co/{repo_id}")

    def create_branch(self, *, repo_id, branch, exist_ok):
        self.calls.append(("branch", repo_id, branch, exist_ok))

    def upload_folder(self, *, repo_id, folder_path, revision, commit_message):
        self.calls.append(("upload", repo_id, revision, commit_message))
        shutil.copytree(folder_path, self.root / repo_id)
        return f"https://huggingface.co/{repo_id}/commit/1"

    def download(self, repo_id, *, revision, allow_patterns):
        if revision == "gone":
            raise RevisionNotFoundError("gone", response=FakeResponse())
        if not (self.root / repo_id).is_dir():
            raise LocalEntryNotFoundError("offline")
        self.calls.append(("download", repo_id, revision))
        assert "*.bin" not in allow_patterns
        return str(self.root / repo_id)


class FakeResponse:
    headers = {}
    request = None
    status_code = 404


@pytest.fixture
def hub(tmp_path, monkeypatch) -> FakeHub:
    fake = FakeHub(tmp_path / "hub")
    monkeypatch.setattr("zoo.hub.HfApi", lambda: fake)
    monkeypatch.setattr("zoo.hub.snapshot_download", fake.download)
    monkeypatch.chdir(tmp_path)
    return fake


def test_what_is_pushed_can_be_loaded_by_its_id(module, hub, batch_of):
    training = Training(licence="apache-2.0", data="two clips", steps=3)
    address = module.push_to_hub("lab/tiny", revision="trial", private=True, training=training)
    assert address == "https://huggingface.co/lab/tiny/commit/1"
    assert hub.calls[0] == ("create", "lab/tiny", True, True)
    assert hub.calls[1] == ("branch", "lab/tiny", "trial", True)
    assert hub.calls[2][:3] == ("upload", "lab/tiny", "trial")
    card = (hub.root / "lab/tiny/README.md").read_text()
    assert 'zoo.from_pretrained("lab/tiny")' in card
    assert_same(module, zoo.from_pretrained("lab/tiny", revision="trial"), batch_of(module))
    assert hub.calls[-1] == ("download", "lab/tiny", "trial")


def test_a_hub_that_cannot_be_asked_is_said(hub):
    with pytest.raises(ConfigError, match="no copy of the hub's lab/tiny in the cache, and the hub cannot be asked"):
        zoo.from_pretrained("lab/tiny")
    with pytest.raises(ConfigError, match="has no revision 'gone'"):
        zoo.from_pretrained("lab/tiny", revision="gone")


def test_a_refused_upload_is_said(module, hub, monkeypatch):
    def offline(**_):
        raise ConnectionError("no route to the hub.")

    monkeypatch.setattr(hub, "upload_folder", offline)
    with pytest.raises(ConfigError, match=r"the hub did not take lab/tiny: no route to the hub\. Log in"):
        module.push_to_hub("lab/tiny")


# -- the card ---------------------------------------------------------------------------------------------------------


def test_the_card_tells_what_is_known(module, tmp_path):
    family = {"questions": 1200, "accuracy": 0.5, "temporal": False, "blind": 0.25, "controls": {}}
    results = {"split": "held-out", "questions": 1200, "accuracy": 0.5, "blind": 0.25, "families": {"count": family}}
    training = Training(title="Tiny", licence="mit", data="clips of a table", steps=1100, results=results)
    folder = module.save_pretrained(tmp_path / "saved", training=training)
    card = huggingface_hub.ModelCard.load(folder / "README.md")
    assert card.data.license == "mit"
    assert card.data.library_name == "molmo-zoo"
    assert card.data.eval_results[0].metric_value == 0.5
    for text in (
        "# Tiny",
        "clips of a table",
        "1,100 optimiser steps",
        "| count | 1,200 | 50.0% | 25.0% |",
        "`vit-tiny`",
    ):
        assert text in card.content
    bare = huggingface_hub.ModelCard.load(module.save_pretrained(tmp_path / "bare") / "README.md")
    assert "Nothing was measured" in bare.content
    assert bare.data.eval_results is None


def test_settings_of_inputs_come_back(recipe, tmp_path):
    recipe["init_args"]["inputs"] = {"max_crops": 4, "overlap_margins": [1, 2], "frame_marks": "clip"}
    module = zoo.from_recipe(recipe)
    assert module.processor.inputs.overlap_margins == (1, 2)
    again = zoo.from_pretrained(module.save_pretrained(tmp_path / "cropped"))
    assert again.processor.inputs == module.processor.inputs


def test_impossible_settings_of_inputs_are_refused(recipe):
    recipe["init_args"]["inputs"] = {"frame_marks": "video"}
    with pytest.raises(ConfigError, match="frame_marks"):
        zoo.from_recipe(recipe)
