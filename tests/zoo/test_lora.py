import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import nn
from torch.utils.data import DataLoader
from trunk_fixtures import build_batch, build_module
from weighted_head import WeightedHead

from zoo.adaptation import BASE_KEY
from zoo.backbones.attention_pool import AttentionPool
from zoo.backbones.decoder import qwen3_tiny
from zoo.backbones.tokenizers import words
from zoo.backbones.vit import vit_tiny
from zoo.errors import ConfigError
from zoo.heads.qa import QuestionAnswering
from zoo.lora import LoraSettings, LowRank, digest, find_targets, merge
from zoo.module import ZooModule
from zoo.optimisation import Group, OptimiserSettings
from zoo.pruning.random import RandomPruner

FAST = Group(learning_rate=3e-3, warmup_steps=0)
SETTINGS = OptimiserSettings(vision=FAST, connector=FAST, language=FAST, heads=FAST)
LANGUAGE = LoraSettings(language=LowRank(rank=4, alpha=8))
ALL = LoraSettings(
    vision=LowRank(rank=2, alpha=6, targets=["qkv", "mlp.fc1"]),
    connector=LowRank(rank=3, alpha=3),
    language=LowRank(rank=4, alpha=8),
)


def seeded(seed: int = 1, **arguments: object) -> ZooModule:
    """Modules of one seed have the same weights below their adapters."""
    torch.manual_seed(seed)
    return build_module(**{"optimiser": SETTINGS, **arguments})


def adapted(settings: LoraSettings = ALL, **arguments: object) -> ZooModule:
    """A module whose adapters, and whatever else is trained, are no longer what they began as."""
    module = seeded(lora=settings, **arguments)
    module.configure_model()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return module


def fit(module: ZooModule, folder, steps: int, path=None, **arguments: object) -> Trainer:
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False)
    run = Trainer(**quiet, accelerator="cpu", max_steps=steps, default_root_dir=folder, **arguments)
    run.fit(module, DataLoader([build_batch(module)] * 8, batch_size=None), ckpt_path=path, weights_only=True)
    return run


class SaveAfterTwo(Callback):
    """Saves in the midst of a run."""

    def __init__(self, path) -> None:
        self.path = path

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        if trainer.global_step == 2:
            trainer.save_checkpoint(self.path)


def trainable(module: nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}


# -- targets ----------------------------------------------------------------------------------------------------------


def test_linear_means_every_linear_layer_but_the_output_head():
    found = find_targets("language", qwen3_tiny(hidden_size=32, num_layers=2, num_heads=2), "linear")
    layers = [name.removeprefix("model.model.layers.").partition(".")[0] for name in found]
    assert sorted(layers) == ["0"] * 7 + ["1"] * 7  # q, k, v, o, gate, up, down


def test_an_untied_output_head_is_left_out_too_unless_it_is_named():
    from zoo.backbones.decoder import qwen3

    model = qwen3(
        hidden_size=32,
        intermediate_size=64,
        num_layers=1,
        num_heads=2,
        num_kv_heads=1,
        head_dim=16,
        vocab_size=100,
        tie_embeddings=False,
    )
    assert not any("lm_head" in name for name in find_targets("language", model, "linear"))
    assert find_targets("language", model, ["lm_head"]) == ["model.lm_head"]


def test_layers_are_named_by_the_ends_of_their_names():
    vision = vit_tiny(image_size=48, hidden_size=32, num_blocks=2, num_heads=2, stem_channels=16)
    assert find_targets("vision", vision, ["attn.proj"]) == ["vit.blocks.0.attn.proj", "vit.blocks.1.attn.proj"]
    assert find_targets("vision", vision, ["blocks.1.mlp.fc1"]) == ["vit.blocks.1.mlp.fc1"]


def test_a_target_that_does_not_exist_is_told_with_those_that_do():
    language = qwen3_tiny(hidden_size=32, num_layers=1, num_heads=2)
    with pytest.raises(ConfigError, match=r"model\.lora\.language\.targets: no linear layer called qkv; has down_proj"):
        find_targets("language", language, ["q_proj", "qkv"])


def test_a_tied_output_head_is_refused():
    with pytest.raises(ConfigError, match=r"model\.lm_head shares its weights"):
        find_targets("language", qwen3_tiny(hidden_size=32, num_layers=1, num_heads=2), ["lm_head"])


def test_blocks_that_no_feature_needs_get_no_adapter():
    torch.manual_seed(0)
    module = ZooModule(
        vision=vit_tiny(
            image_size=48, hidden_size=32, num_blocks=3, num_heads=2, stem_channels=16, feature_blocks=(0,)
        ),
        connector=AttentionPool(head_dim=16),
        language=qwen3_tiny(hidden_size=32, num_layers=1, num_heads=2),
        tokenizer=words(),
        heads=[QuestionAnswering()],
        lora=LoraSettings(vision=LowRank(targets=["qkv"])),
    )
    module.configure_model()
    assert {n.split(".")[4] for n in trainable(module) if n.startswith("model.vision")} == {"0"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: LowRank(rank=0), "rank 0 and alpha 32 must be 1 or more"),
        (lambda: LowRank(targets=[]), "targets is empty"),
        (lambda: LoraSettings(dropout=1.0), r"dropout must be in \[0, 1\), got 1.0"),
        (
            lambda: build_module(lora=LANGUAGE, optimiser=OptimiserSettings(language=Group(learning_rate=0))),
            "model.lora adapts language and model.optimiser gives learning_rate 0",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        wrong()


# -- injection --------------------------------------------------------------------------------------------------------


def test_a_new_adapter_changes_nothing_and_a_second_call_neither():
    module, plain = seeded(lora=ALL), seeded()
    module.configure_model()
    names = list(dict(module.named_parameters()))
    module.configure_model()
    assert list(dict(module.named_parameters())) == names
    batch = build_batch(plain)
    with torch.no_grad():
        torch.testing.assert_close(module(batch).logits, plain(batch).logits, rtol=0, atol=0)


@pytest.mark.parametrize("component", ["vision", "connector", "language"])
def test_of_an_adapted_component_only_adapters_are_trained(component):
    module = seeded(lora=LoraSettings(**{component: LowRank(rank=2)}))
    module.configure_model()
    for name, parts in module.components().items():
        for part in parts:
            of_part = dict(part.named_parameters())
            chosen = {n for n in of_part if ".lora_" in n} if name == component else set(of_part)
            assert trainable(part) == chosen, name


def test_optimiser_groups_of_components_hold_adapters_and_what_is_trained_whole(tmp_path):
    module = seeded(lora=LANGUAGE, optimiser=OptimiserSettings(vision=Group(learning_rate=0), language=FAST))
    run = fit(module, tmp_path, 1)
    by_name = {id(p): n for n, p in module.named_parameters()}
    groups = run.optimizers[0].param_groups
    assert {g["name"] for g in groups} == {"connector", "language"}
    for group in groups:
        names = [by_name[id(p)] for p in group["params"]]
        assert all((".lora_" in name) == (group["name"] == "language") for name in names)
    assert not any(name.startswith("model.vision") for name in trainable(module))


def test_adapters_are_no_hidden_matrices_to_muon(tmp_path):
    module = seeded(lora=LANGUAGE, optimiser=OptimiserSettings(method="muon", language=FAST, connector=FAST))
    groups = fit(module, tmp_path, 1).optimizers[0].param_groups
    assert {(g["name"], g["use_fallback"]) for g in groups if g["name"] == "language"} == {("language", True)}
    assert ("connector", False) in {(g["name"], g["use_fallback"]) for g in groups}


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_training_moves_adapters_and_leaves_the_base_as_it_was(tmp_path, precision):
    module = seeded(
        lora=ALL, pruner=RandomPruner(remove=0.5, site="vit.block[1]"), heads=[QuestionAnswering(), WeightedHead()]
    )
    module.configure_model()
    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    fit(module, tmp_path, 3, precision=precision)
    moved = {n for n, p in module.named_parameters() if not torch.equal(p, before[n])}
    assert moved == trainable(module)


def test_adapters_learn_the_same_under_activation_checkpointing():
    gradients = []
    for recompute in (False, True):
        module = adapted()
        for part in (module.model.vision, module.model.language):
            part.activation_checkpointing = recompute
        batch = build_batch(module)
        outputs = module.train()(batch)
        module._losses(outputs, batch)[0].backward()
        gradients.append({n: p.grad for n, p in module.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys() == trainable(module)
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-5, atol=1e-7)  # sums in another order


def test_dropout_acts_in_training_only():
    module = seeded(lora=LoraSettings(language=LowRank(rank=4), dropout=0.5, initial="gaussian"))
    module.configure_model()
    for name, parameter in module.named_parameters():
        if ".lora_B." in name:
            nn.init.normal_(parameter)
    batch = build_batch(module)
    with torch.no_grad():
        torch.testing.assert_close(module(batch).logits, module(batch).logits, rtol=0, atol=0)
        module.train()
        assert not torch.equal(module(batch).logits, module(batch).logits)


# -- merging ----------------------------------------------------------------------------------------------------------


def test_merged_weights_answer_as_the_adapters_did_and_are_a_plain_model():
    module, plain = adapted(), seeded()
    batch = build_batch(plain)
    with torch.no_grad():
        expected = module(batch).logits
        module.merge_adapters()
        torch.testing.assert_close(module(batch).logits, expected, rtol=1e-5, atol=1e-5)
    plain.load_state_dict(module.state_dict(), strict=True)
    assert trainable(module) == trainable(plain)
    assert not module.is_adapted
    assert module.lora == LoraSettings()


def test_there_must_be_something_to_merge():
    with pytest.raises(ConfigError, match=r"no adapter to merge: the model was trained without model\.lora"):
        merge(seeded())


def test_adapters_that_are_no_numbers_are_not_merged():
    module = adapted(LANGUAGE)
    expected = {name: value.clone() for name, value in module.named_parameters()}
    broken = next(name for name in reversed(expected) if ".lora_B." in name)
    with torch.no_grad():
        module.get_parameter(broken).fill_(torch.nan)
        expected[broken].fill_(torch.nan)
    with pytest.raises(ConfigError, match="down_proj cannot be merged"):
        module.merge_adapters()
    for name, value in module.named_parameters():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-6, equal_nan=True)  # folded in and out again


# -- checkpoints of a run ---------------------------------------------------------------------------------------------


def test_a_checkpoint_holds_all_that_nobody_can_fetch_again_and_a_run_goes_on_from_it_exactly(tmp_path):
    through = seeded(lora=ALL)
    fit(through, tmp_path, 4, callbacks=[SaveAfterTwo(tmp_path / "two.ckpt")])
    saved = torch.load(tmp_path / "two.ckpt", weights_only=True)
    again = seeded(seed=2, lora=ALL)  # the base of another seed, which the checkpoint replaces
    fit(again, tmp_path, 4, tmp_path / "two.ckpt")
    assert saved["global_step"] == 2
    assert saved["state_dict"].keys() == dict(again.named_parameters(remove_duplicate=False)).keys()
    for name, parameter in through.named_parameters():
        assert torch.equal(parameter, again.get_parameter(name)), name


def fetching(seed: int = 1) -> ZooModule:
    """A module as if its language model came from files."""
    module = seeded(seed, lora=LANGUAGE)
    module.fetched = frozenset({"language"})
    return module


def test_weights_that_are_frozen_and_can_be_fetched_again_are_left_out(tmp_path):
    module = fetching()
    fit(module, tmp_path, 1).save_checkpoint(tmp_path / "one.ckpt")
    saved = torch.load(tmp_path / "one.ckpt", weights_only=True)
    assert set(saved["state_dict"]) == trainable(module)
    assert saved[BASE_KEY].keys() == {"language"}
    with module.whole():
        assert module.state_dict().keys() == dict(module.named_parameters(remove_duplicate=False)).keys()
    again = fetching()
    fit(again, tmp_path, 2, tmp_path / "one.ckpt")
    for name in module.frozen:
        assert torch.equal(module.get_parameter(name), again.get_parameter(name)), name


def test_a_checkpoint_of_other_frozen_weights_is_refused(tmp_path):
    fit(fetching(), tmp_path, 1).save_checkpoint(tmp_path / "one.ckpt")
    with pytest.raises(ConfigError, match="holds adapters for other frozen weights of language; start from"):
        fit(fetching(seed=2), tmp_path, 2, tmp_path / "one.ckpt")


def misnamed(weights):
    weights["model.language.model.model.layers.9.mlp.up_proj.lora_A.default.weight"] = weights.pop(
        next(name for name in weights if "lora_A" in name)
    )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (misnamed, r"missing \['model\..*lora_A.*\], unexpected \['model\.language\.model\.model\.layers\.9"),
        (lambda weights: weights.popitem(), r"missing \['model\..*\], unexpected \[\]"),
        (lambda weights: weights.update(extra=torch.zeros(1)), r"missing \[\], unexpected \['extra'\]"),
    ],
)
def test_names_too_many_or_too_few_are_an_error(spoil, message):
    module = adapted(LANGUAGE)
    weights = dict(module.state_dict())
    spoil(weights)
    with pytest.raises(ConfigError, match=message):
        module.load_state_dict(weights)


def test_a_plain_run_keeps_and_demands_all_weights(tmp_path):
    module = seeded(optimiser=OptimiserSettings(vision=Group(learning_rate=0), language=FAST))
    run = fit(module, tmp_path, 1)
    run.save_checkpoint(tmp_path / "one.ckpt")
    saved = torch.load(tmp_path / "one.ckpt", weights_only=True)
    assert BASE_KEY not in saved
    assert saved["state_dict"].keys() == seeded().state_dict().keys()


# -- digests ----------------------------------------------------------------------------------------------------------


def test_a_digest_knows_weights_in_any_precision_and_through_adapters():
    plain, module = seeded(), adapted()
    own = {name: digest(parts) for name, parts in plain.components().items()}
    assert {name: digest(parts) for name, parts in plain.bfloat16().components().items()} == own
    assert digest(module.components()["language"]) == own["language"]
    assert digest(seeded(seed=2).components()["language"]) != own["language"]
    with torch.device("meta"):
        assert digest([qwen3_tiny()]) is None
