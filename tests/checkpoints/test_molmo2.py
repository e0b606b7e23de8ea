"""Released checkpoints: what transformers writes and computes, the zoo reads and computes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoProcessor, Molmo2ForConditionalGeneration

import zoo
from tests.fakes import released
from zoo.ask import answer
from zoo.checkpoints.converters import checkpoint
from zoo.checkpoints.molmo2 import released_recipe
from zoo.checkpoints.molmo2_export import save_released
from zoo.checkpoints.pretrained import load_weights
from zoo.cli import folders
from zoo.errors import ConfigError, DataError
from zoo.lora import LoraSettings, LowRank, is_adapter
from zoo.shards.encode import encode_mp4

EXACT = {"rtol": 0, "atol": 1e-4}
"""Float32, other orders of summation; what the parts disagree by is below 1e-5."""


@pytest.fixture(scope="module", params=released.NAMES)
def folder(request, tmp_path_factory):
    return released.released(request.param, tmp_path_factory.mktemp("released"))


@pytest.fixture(scope="module")
def both(folder):
    return zoo.from_pretrained(folder), Molmo2ForConditionalGeneration.from_pretrained(folder).eval()


@torch.no_grad()
@pytest.mark.parametrize("kind", released.KINDS)
def test_logits_and_answers_are_those_of_transformers(both, kind):
    ours, theirs = both
    inputs = released.inputs(kind)
    valid = inputs["attention_mask"].bool()
    given, expected = ours.logits(**inputs), theirs(**inputs).logits
    torch.testing.assert_close(given[valid], expected[valid], **EXACT)
    assert given.shape == expected.shape
    assert not given[~valid].any()
    answers = theirs.generate(**inputs, max_new_tokens=16, min_new_tokens=16, do_sample=False)
    session = ours.session(**inputs)
    for step in range(16):  # the tokens of transformers are fed, so that each step is compared on the same text
        token = answers[:, valid.shape[1] + step]
        assert torch.equal(session.logits.argmax(-1), token)
        session.append(token[:, None])


@torch.no_grad()
def test_the_way_back(both, folder, tmp_path):
    """Transformers' own class opens what is written, and answers as before, to the last bit."""
    ours, theirs = both
    written = save_released(ours, tmp_path / "out", max_shard_size="100KB")
    assert len(list(written.glob("model-*.safetensors"))) > 3
    again, told = Molmo2ForConditionalGeneration.from_pretrained(written, output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"] and not told["mismatched_keys"]
    expected, given = theirs.state_dict(), again.state_dict()
    assert given.keys() == expected.keys()
    assert all(torch.equal(given[name], expected[name]) for name in expected)
    inputs = released.inputs("images in some rows")
    torch.testing.assert_close(again(**inputs).logits, theirs(**inputs).logits, rtol=0, atol=0)
    read, stored = AutoProcessor.from_pretrained(written), released.inputs("image")
    text = read(images=[released.picture(50, 70)], text="<|image|>Which?", return_tensors="pt")
    assert text["pixel_values"].shape[1:] == stored["pixel_values"].shape[1:]
    assert set(text) == set(stored)
    read_again = zoo.from_pretrained(written).state_dict()  # from many files
    assert all(torch.equal(read_again[name], tensor) for name, tensor in ours.state_dict().items())


def test_a_released_module_is_saved_in_our_layout_too(folder, tmp_path):
    ours = zoo.from_pretrained(folder)
    again = zoo.from_pretrained(ours.save_pretrained(tmp_path / "ours"))
    inputs = released.inputs("image")
    with torch.no_grad():
        torch.testing.assert_close(again.logits(**inputs), ours.logits(**inputs), rtol=0, atol=0)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The folder of a small Molmo2 with grouped queries."""
    return released.save(released.model_of(released.TEXT), tmp_path_factory.mktemp("plain"))


@torch.no_grad()
def test_tables_and_ids_may_be_any(tmp_path):
    """Patches in several windows, vision tokens within the vocabulary, one feature, no tokenizer in the folder."""
    theirs = released.model_of({**released.TEXT, "additional_vocab_size": 16}, features=(1,), image_patch_id=5)
    theirs.save_pretrained(tmp_path)
    ours = zoo.from_pretrained(tmp_path)
    ids = torch.randint(6, 400, (2, 30))
    ids[:, 3:12] = 5
    inputs = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "mm_token_type_ids": (ids == 5).long(),
        "pixel_values": torch.randn(2, 81, 108),
        "image_token_pooling": torch.randint(-1, 162, (18, 4)).clamp(min=torch.tensor([0, -1, -1, -1])),
        "image_grids": torch.tensor([[3, 3, 0, 0]] * 2),
        "image_num_crops": torch.ones(2, dtype=torch.int64),
    }
    torch.testing.assert_close(ours.logits(**inputs), theirs(**inputs).logits, **EXACT)
    no_types = {**inputs, "mm_token_type_ids": None}
    torch.testing.assert_close(ours.logits(**no_types), theirs(**no_types).logits, **EXACT)
    answers = theirs.generate(**inputs, max_new_tokens=8, do_sample=False)[:, 30:]
    assert ours.generate(**inputs, max_new_tokens=8) == answers.tolist()
    with pytest.raises(ConfigError, match="cannot be read: the model came without a vocabulary"):
        ours.processor.tokenizer.prompt("What colour?")


@torch.no_grad()
def test_vision_tokens_of_an_image_alone_may_see_each_other(plain):
    """The narrower option of sheet A6.2, against transformers with the mask written out."""
    ours = zoo.from_pretrained(plain)
    theirs = Molmo2ForConditionalGeneration.from_pretrained(plain).eval()
    inputs = released.inputs("images in some rows")
    ids, valid = inputs["input_ids"], inputs["attention_mask"].bool()
    image = (ids == released.VOCAB + 4).cumsum(1)  # every image begins with <low_res_im_start>
    is_vision = inputs["mm_token_type_ids"] == 1
    size = ids.shape[1]
    both = is_vision[:, :, None] & is_vision[:, None] & (image[:, :, None] == image[:, None])
    mask = (torch.ones(size, size, dtype=torch.bool).tril() | both) & valid[:, None]
    mask |= torch.eye(size, dtype=torch.bool)  # padding sees itself, or its softmax has nothing
    expected = theirs(**{**inputs, "attention_mask": mask[:, None], "mm_token_type_ids": None}).logits
    wide = ours.logits(**inputs)
    ours.model.vision_attention = "image"
    torch.testing.assert_close(ours.logits(**inputs)[valid], expected[valid], **EXACT)
    assert not torch.allclose(wide[2][valid[2]], expected[2][valid[2]], atol=1e-2)  # the row of two images
    torch.testing.assert_close(wide[0][valid[0]], expected[0][valid[0]], **EXACT)  # one image


def adapted(folder):
    """A released model with adapters that change what it says."""
    module = zoo.from_pretrained(folder)
    module.lora = LoraSettings(language=LowRank(rank=4), vision=LowRank(rank=2))
    module._is_configured = False
    module.configure_model()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
    return module.eval()


@torch.no_grad()
def test_adapters_are_merged_into_what_is_written(plain, tmp_path):
    module, inputs = adapted(plain), released.inputs("image")
    before = module.logits(**inputs)
    theirs = Molmo2ForConditionalGeneration.from_pretrained(save_released(module, tmp_path / "out")).eval()
    torch.testing.assert_close(theirs(**inputs).logits, before, **EXACT)
    assert module.is_adapted
    assert not torch.allclose(zoo.from_pretrained(plain).logits(**inputs), before, atol=1e-2)


@torch.no_grad()
def test_weights_of_a_released_folder_go_below_adapters(plain):
    module = adapted(plain)
    for name, parameter in module.named_parameters():
        if "lora_B" in name or not is_adapter(name):
            parameter.zero_()
    load_weights(module, plain)
    inputs = released.inputs("image")
    torch.testing.assert_close(module.logits(**inputs), zoo.from_pretrained(plain).logits(**inputs), **EXACT)


def without(part):
    recipe = released_recipe(part.pop("folder"))
    recipe["init_args"] |= part
    return zoo.from_recipe(recipe)


UNFIT = {
    "the vision encoder": {"vision": {"class_path": "vit-tiny", "init_args": {"image_size": 48, "hidden_size": 32}}},
    "the connector": {"connector": "mlp"},
    "the language model": {"language": {"class_path": "qwen2-tiny", "init_args": {"hidden_size": 64, "num_heads": 4}}},
    "window_places": {"window_places": True},
    "a head that names patches": {"heads": ["qa", "grounding"], "inputs": {"max_crops": 0}},
}


@pytest.mark.parametrize("part", UNFIT)
def test_a_part_that_has_no_place_is_named(plain, tmp_path, part):
    module = without({"folder": plain, **UNFIT[part]})
    with pytest.raises(ConfigError, match=f"{part} has no place in Molmo2's layout: "):
        save_released(module, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_local_attention_has_no_place(plain, tmp_path):
    language = {"class_path": "olmo3-tiny", "init_args": {"hidden_size": 64, "num_heads": 4, "num_layers": 4}}
    with pytest.raises(
        ConfigError, match="the language model has local attention; Molmo2's layout has no place for it"
    ):
        save_released(without({"folder": plain, "language": language}), tmp_path / "out")


STOCK = {
    "qwen3-tiny": {"hidden_size": 64, "num_heads": 4, "num_layers": 4},
    "olmo2-tiny": {"hidden_size": 64, "num_heads": 4, "num_layers": 4},
    "olmo3-tiny": {"hidden_size": 64, "num_heads": 4, "num_layers": 4, "local_attention": None},
}


@torch.no_grad()
@pytest.mark.parametrize("name", STOCK)
def test_models_put_together_here_are_written_too(plain, tmp_path, name):
    """The start of pre-training: towers on their own behind a new connector; a tied head is stored as a copy."""
    module = without(
        {"folder": plain, "language": {"class_path": name, "init_args": STOCK[name]}, "tokenizer": "words"}
    )
    for parameter in module.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.05)
    module.eval()
    theirs = Molmo2ForConditionalGeneration.from_pretrained(save_released(module, tmp_path / "out")).eval()
    read = AutoProcessor.from_pretrained(tmp_path / "out")
    inputs = read(images=[released.picture(50, 70)], text="<|image|>Which is red?", return_tensors="pt")
    assert inputs["input_ids"].max() >= 512  # fillers stand between the text and the extra tokens
    torch.testing.assert_close(module.logits(**inputs), theirs(**inputs).logits, **EXACT)


def edited(folder, target, update):
    shutil.copytree(folder, target)
    config = json.loads((target / "config.json").read_text())
    update(config)
    (target / "config.json").write_text(json.dumps(config))
    return target


FOREIGN = {
    "vit_config.num_key_value_heads gives 1; the zoo runs 2": lambda c: c["vision_config"].update(
        num_key_value_heads=1
    ),
    "adapter_config.pooling_attention_mask gives False": lambda c: c["adapter_config"].update(
        pooling_attention_mask=False
    ),
    "text_config.qkv_bias gives True": lambda c: c["text_config"].update(attention_bias=True),
    "is no Molmo2's": lambda c: c["text_config"].update(qk_norm_type="gemma"),
    "missing model.transformer.blocks.3": lambda c: c["text_config"].update(num_hidden_layers=5),
    "unexpected model.transformer.blocks.2": lambda c: c["text_config"].update(num_hidden_layers=2),
    "other sizes model.transformer.blocks.0.self_attn.att_proj": lambda c: c["text_config"].update(
        num_attention_heads=8
    ),
    "feature block": lambda c: c["vision_config"].update(num_hidden_layers=9),
}


@pytest.mark.parametrize("message", FOREIGN)
def test_a_configuration_of_another_model_is_refused(plain, tmp_path, message):
    with pytest.raises(ConfigError, match=message):
        zoo.from_pretrained(edited(plain, tmp_path / "edited", FOREIGN[message]))


def rewritten(folder, target, tensors):
    """A copy of a released folder with other tensors."""
    edited(folder, target, lambda config: None)
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, target / "model.safetensors")
    return target


def trainers_name(name):
    """Molmo2's conversion script read backwards: what its own trainer calls a released tensor."""
    if name == "lm_head.weight":
        return "transformer.ff_out.weight"
    return name.removeprefix("model.").replace(".self_attn.", ".").replace(".mlp.", ".")


def test_names_of_the_trainer_are_read(plain, tmp_path):
    tensors = load_file(plain / "model.safetensors")
    renamed = {trainers_name(name): tensor for name, tensor in tensors.items()}
    assert len(renamed) == len(tensors)
    assert not renamed.keys() & tensors.keys()
    ours, native = zoo.from_pretrained(plain), zoo.from_pretrained(rewritten(plain, tmp_path / "native", renamed))
    state = native.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in ours.state_dict().items())


@torch.no_grad()
@pytest.mark.parametrize("is_the_trainers", [False, True])
def test_a_tied_output_head_is_the_embedding(plain, tmp_path, is_the_trainers):
    tensors = load_file(plain / "model.safetensors")
    table = "model.transformer.wte."
    vocabulary = len(tensors["lm_head.weight"])
    rows = torch.cat([tensors[f"{table}embedding"], tensors[f"{table}new_embedding"]])
    tensors |= {
        f"{table}embedding": rows[:vocabulary],
        f"{table}new_embedding": rows[vocabulary:],
    }  # as they are released
    whole = tensors | {"lm_head.weight": rows[:vocabulary]}
    expected = zoo.from_pretrained(rewritten(plain, tmp_path / "whole", whole))
    named = trainers_name if is_the_trainers else str
    stored = {named(name): tensor for name, tensor in tensors.items() if name != "lm_head.weight"}
    folder = rewritten(plain, tmp_path / "headless", stored)
    if not is_the_trainers:
        with pytest.raises(ConfigError, match=r"lacks lm_head\.weight"):
            zoo.from_pretrained(folder)
        folder = edited(folder, tmp_path / "tied", lambda config: config.update(tie_word_embeddings=True))
    inputs = released.inputs("text")
    assert torch.equal(zoo.from_pretrained(folder).logits(**inputs), expected.logits(**inputs))


def test_a_tensor_under_two_names_is_refused(plain, tmp_path):
    tensors = load_file(plain / "model.safetensors")
    both = tensors | {"transformer.ln_f.weight": tensors["model.transformer.ln_f.weight"]}
    with pytest.raises(ConfigError, match=r"holds transformer\.ln_f\.weight twice, also as model\.transformer\.ln_f"):
        zoo.from_pretrained(rewritten(plain, tmp_path / "both", both))


def test_a_file_that_was_cut_short_is_refused(plain, tmp_path):
    folder = edited(plain, tmp_path / "cut", lambda config: None)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cut short"):
        zoo.from_pretrained(folder)


def test_a_folder_of_something_else_is_not_written_over(plain, tmp_path):
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(ConfigError, match="holds something else than a Molmo2"):
        save_released(zoo.from_pretrained(plain), tmp_path)


@torch.no_grad()
def test_convert_writes_both_layouts(plain, tmp_path):
    ours = checkpoint(plain, out=tmp_path / "ours")
    back = checkpoint(Path(ours), out=tmp_path / "back", to="hf", stored_dtype="bfloat16")
    theirs = Molmo2ForConditionalGeneration.from_pretrained(back, dtype="auto")
    first = Molmo2ForConditionalGeneration.from_pretrained(plain)
    for name, tensor in theirs.state_dict().items():
        assert tensor.dtype == torch.bfloat16
        assert torch.equal(tensor, first.state_dict()[name].bfloat16())
    with pytest.raises(ConfigError, match="say where to write: --out FOLDER"):
        checkpoint(plain)


def test_a_released_model_points_counts_and_tracks(plain, tmp_path):
    """Asked as any checkpoint of ours is; a random model writes what can be read because it may write nothing else."""
    Image.fromarray(released.picture(50, 70)).save(tmp_path / "a.png")
    Image.fromarray(released.picture(90, 40)).save(tmp_path / "b.png")
    (tmp_path / "c.mp4").write_bytes(encode_mp4(np.zeros((16, 48, 64, 3), np.uint8), fps=8.0))
    module = zoo.from_pretrained(plain)
    assert set(module.heads) == {"qa", "caption", "pointing", "counting", "tracking"}
    asked = {"Point to the cube.": "pointing", "Count the cubes.": "counting", "Track the cube at 2 FPS.": "tracking"}
    for question, head in asked.items():
        module.heads[head].max_new_tokens = 60
        for media in (["c.mp4"], ["a.png"], ["a.png", "b.png"]):
            given = answer(module, question, [tmp_path / name for name in media], constrained=True)
            assert given.said.dropped == {}
            assert given.said.count is not None
            assert given.canvas.is_video == (media == ["c.mp4"])
    with pytest.raises(ConfigError, match="the head qa writes free text"):
        answer(module, "What is it?", [tmp_path / "a.png"], constrained=True)


def test_training_commands_take_a_released_folder(plain):
    recipe = json.loads(folders.model_arguments(["--ckpt_path", str(plain)])[1])["model"]
    assert recipe["class_path"] == "zoo.module.ZooModule"
    assert recipe["init_args"]["language"]["init_args"]["num_kv_heads"] == 2
    module = zoo.from_recipe(released_recipe(plain))
    folders.fill(module, plain, may_start_anew=True)
    given = zoo.from_pretrained(plain).state_dict()
    assert all(torch.equal(tensor, given[name]) for name, tensor in module.state_dict().items())
