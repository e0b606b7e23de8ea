from dataclasses import replace

import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader
from trunk_fixtures import build_module

from zoo.backbones.tokenizers import words
from zoo.errors import ConfigError
from zoo.heads.qa import QuestionAnswering
from zoo.module import ZooModule, controlled_pixels
from zoo.optimisation import Group, OptimiserSettings
from zoo.pruning.random import RandomPruner

FAST = Group(learning_rate=3e-3, warmup_steps=2)
SETTINGS = OptimiserSettings(vision=FAST, connector=FAST, language=FAST)


def loader(batch, count=1):
    return DataLoader([batch] * count, batch_size=None)


def trainer(tmp_path, **arguments):
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        **arguments,
    )


def test_it_learns_one_batch_by_heart_and_answers_it(module_of, batch_of, tmp_path):
    module = module_of(optimiser=SETTINGS)
    batch = batch_of(module)
    run = trainer(tmp_path, max_steps=150)
    run.fit(module, loader(batch, 150))
    scores = run.validate(module, loader(batch), verbose=False)[0]
    assert scores["val/accuracy"] == 1.0
    assert scores["val/qa/accuracy/family1"] == 1.0
    assert [p.answer for p in module.answer(batch)] == [t.message.answer for t in batch.turns]


def test_bfloat16_autocast_trains_and_predicts(module_of, batch_of, tmp_path):
    module = module_of(RandomPruner(remove=0.5, site="vit.block[1]"), optimiser=SETTINGS)
    batch = batch_of(module)
    run = trainer(tmp_path, max_steps=2, precision="bf16-mixed")
    run.fit(module, loader(batch, 2), loader(batch))
    assert len(run.predict(module, loader(batch))[0]) == len(batch.turns)


def test_one_module_under_two_pruners_counts_its_vision_tokens(module_of, batch_of, tmp_path):
    counts = []
    for pruner in (None, RandomPruner(remove=0.5, site="vit.output")):
        module = module_of(pruner)
        counts.append(
            trainer(tmp_path).validate(module, loader(batch_of(module)), verbose=False)[0]["val/vision_tokens"]
        )
    assert counts == [10.0, 5.0]  # of 12 and 8 windows


def test_controls_are_measured_beside_the_test(module_of, batch_of, tmp_path):
    module = module_of(controls=["shuffled_frames", "blank_video", "other_video"])
    scores = trainer(tmp_path).test(module, loader(batch_of(module)), verbose=False)[0]
    for control in ("shuffled_frames", "blank_video", "other_video"):
        assert f"test/{control}/accuracy" in scores


def test_controls_change_what_they_say(module, batch_of):
    batch = batch_of(module, (3, 3), (1, 1))
    pixels = batch.pixels
    blank = controlled_pixels(batch, "blank_video", torch.Generator())
    assert blank.unique().numel() == 1
    other = controlled_pixels(batch, "other_video", torch.Generator())
    assert torch.equal(other, torch.cat([pixels[3:], pixels[:3]]))
    shuffled = controlled_pixels(batch, "shuffled_frames", torch.Generator().manual_seed(1))
    assert not torch.equal(shuffled, pixels)
    for clip in (slice(0, 3), slice(3, 6)):
        assert sorted(f.float().mean().item() for f in shuffled[clip]) == sorted(
            f.float().mean().item() for f in pixels[clip]
        )


def test_the_loss_is_the_token_weighted_mean_with_z_loss(module, batch_of):
    batch = batch_of(module)
    with torch.no_grad():
        outputs = module(batch)
        loss, terms = module._losses(outputs, batch)
        log_probs = outputs.logits.log_softmax(-1)
        normaliser = (outputs.logits - log_probs)[:, 0]
        cross = (
            -(outputs.weights * log_probs[torch.arange(len(log_probs)), outputs.targets]).sum() / outputs.weights.sum()
        )
        expected = cross + 1e-4 * (outputs.weights * normaliser**2).sum() / outputs.weights.sum()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(terms["qa/cross_entropy"], cross)


def test_weights_travel_through_a_checkpoint(module_of, batch_of, tmp_path):
    module = module_of(optimiser=SETTINGS)
    batch = batch_of(module)
    run = trainer(tmp_path, max_steps=3)
    run.fit(module, loader(batch, 3))
    run.save_checkpoint(tmp_path / "last.ckpt")
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    fresh = module_of(optimiser=SETTINGS)
    fresh.load_state_dict(saved["state_dict"], strict=True)
    with torch.no_grad():
        torch.testing.assert_close(fresh.eval()(batch).logits, module.eval()(batch).logits, rtol=0, atol=0)


def test_a_step_leaves_the_batch_as_it_was(module, batch_of):
    batch = batch_of(module)
    before = {
        name: getattr(batch, name).clone() for name in ("pixels", "input_ids", "labels", "loss_weights", "position_ids")
    }
    module(batch)
    for name, tensor in before.items():
        assert torch.equal(getattr(batch, name), tensor), name


def test_batches_move_as_one(module, batch_of):
    batch = batch_of(module)
    assert replace(batch.to("cpu"), turns=()).input_ids.device.type == "cpu"


def test_a_vocabulary_that_is_too_small_is_refused():
    from trunk_fixtures import build_module

    good = build_module()
    small = type(good.model.language)(model=_small_network(good))
    with pytest.raises(ConfigError, match=f"the tokenizer has {words().vocab_size} ids, the language model 100 rows"):
        ZooModule(
            vision=good.model.vision,
            connector=good.model.connector,
            language=small,
            tokenizer=words(),
            heads=[QuestionAnswering()],
        )


def _small_network(module):
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        vocab_size=100,
    )
    return Qwen3ForCausalLM(config)


def test_heads_of_one_name_are_refused(module):
    model = module.model
    with pytest.raises(ConfigError, match=r"\['qa', 'qa'\]"):
        ZooModule(
            vision=model.vision,
            connector=model.connector,
            language=model.language,
            tokenizer=words(),
            heads=[QuestionAnswering(), QuestionAnswering()],
        )


def test_weights_of_another_model_are_refused_in_one_sentence():
    state = build_module().state_dict()
    state["model.other.weight"] = state.pop("model.extra_embedding.weight")
    with pytest.raises(ConfigError, match="does not fit the model: missing model.extra_embedding.weight; unexpected "):
        build_module().load_state_dict(state)
