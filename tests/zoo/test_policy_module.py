from dataclasses import replace

import pytest
import torch
from lightning.pytorch import Trainer
from tiny_policy import FAST, LEARNS, tiny_batch, tiny_policy
from torch.utils.data import DataLoader

from zoo.errors import ConfigError
from zoo.optimisation import Group, PolicyOptimiserSettings
from zoo.policy_head import IGNORED
from zoo.policy_target import cell_shares, in_view, is_missing


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


def test_it_learns_one_batch_by_heart(tmp_path):
    module = tiny_policy()
    batch = tiny_batch(module)
    run = trainer(tmp_path, max_steps=120)
    run.fit(module, loader(batch, 120))
    scores = run.validate(module, loader(batch), verbose=False)[0]
    assert scores["val/f1_weighted"] == 1.0
    (predictions,) = run.predict(module, loader(batch))
    assert [p.chosen for p in predictions] == [p.expert for p in predictions]
    assert [len(p.chosen) for p in predictions] == [5, 3]


def test_encoders_learn_where_the_target_is(tmp_path):
    """Actions say nothing here: the first picture shows a bright patch, whose place is the only thing to learn."""
    module = tiny_policy(target_weight=1.0)
    batch = tiny_batch(module, lengths=(5, 5))
    batch.frames[:, ::2, 0, :, 4:30, 3:20] = 255
    run = trainer(tmp_path, max_steps=60)
    run.fit(module, loader(batch, 60))
    boxes = batch.boxes[:, :, :, 0]
    shown = cell_shares(in_view(boxes, (48, 32), module.processor), is_missing(boxes), (2, 3)) > 0.5
    with torch.no_grad():
        found = module.eval()(batch).target_logits.sigmoid()
    assert shown.any()
    assert found.squeeze(1)[shown].min() > found.squeeze(1)[~shown].max()


def shown_batch(module):
    """Bright patches are beds, dark ones sinks; the first row asks for a bed, the second, of other bits, for a sink."""
    batch = tiny_batch(module, lengths=(4, 4))
    shows = torch.zeros(2, 4, 2, 8, 14, dtype=torch.int64)
    batch.frames[:, :, :, :, :16, :16] = 255
    batch.frames[:, :, :, :, 16:, 32:] = 0
    shows[0, :, :, :4, :4], shows[0, :, :, 4:, 10:] = 1, 2
    shows[1, :, :, :4, :4], shows[1, :, :, 4:, 10:] = 4, 1
    return replace(
        batch,
        goals=("find a bed", "find a sink"),
        shows=shows,
        categories=(("bed", "sink"), ("sink", "oven", "bed")),
        category=("bed", "sink"),
    )


def test_every_row_teaches_what_every_goal_of_the_batch_looks_like(tmp_path):
    module = tiny_policy(target_weight=1.0, target_grid=(2, 3))
    batch = shown_batch(module)
    run = trainer(tmp_path, max_steps=60)
    run.fit(module, loader(batch, 60), loader(batch))
    assert {"val/loss", "val/action_loss", "val/target_loss"} <= set(run.logged_metrics)
    assert run.logged_metrics["val/target_average_precision"] > 0.95
    module.eval()
    with torch.no_grad():
        found = module(batch).target_logits.sigmoid()  # (rows, goals, time, cameras, rows, columns)
    for goal, (row, column) in enumerate(((0, 0), (1, 2))):
        shown = torch.zeros(2, 3, dtype=torch.bool)
        shown[row, column] = True
        assert found[:, goal][..., shown].min() > found[:, goal][..., ~shown].max()


def test_the_trunk_reads_where_the_target_is_also_when_it_acts():
    torch.manual_seed(0)
    module = tiny_policy(target_weight=1.0, target_grid=(2, 3)).eval()
    batch = shown_batch(module)
    before = module(batch).logits
    with torch.no_grad():
        module.model.target.bias += 3
        assert (module(batch).logits - before).abs().max() > 1e-4
        alone = module(replace(batch, shows=None, categories=(), category=()))
    torch.testing.assert_close(alone.logits, module(batch).logits)
    assert alone.target_logits.shape[1] == 1


def test_a_trunk_that_asks_for_the_target_must_be_taught_it_on_the_same_grid():
    with pytest.raises(ConfigError, match="nothing teaches that; give model.target_weight above 0"):
        tiny_policy(target_grid=(2, 3))
    with pytest.raises(ConfigError, match=r"grid of \(2, 3\) patches, model.trunk.target_grid is \(3, 3\)"):
        tiny_policy(target_weight=1.0, target_grid=(3, 3))


@pytest.mark.parametrize("target_weight", [0.0, 0.5])
def test_every_weight_that_may_learn_gets_a_gradient(target_weight):
    module = tiny_policy(target_weight=target_weight)
    module.configure_model()
    module.train()
    loss, _ = module._losses(module(batch := tiny_batch(module)), batch)
    loss.backward()
    assert [n for n, p in module.named_parameters() if p.requires_grad and p.grad is None] == []


def test_the_loss_is_the_mean_over_real_steps():
    module = tiny_policy().eval()
    batch = tiny_batch(module, lengths=(5, 2))
    with torch.no_grad():
        outputs = module(batch)
        loss, terms = module._losses(outputs, batch)
    real = batch.actions != IGNORED
    picked = outputs.logits.log_softmax(-1)[real].gather(1, batch.actions[real].unsqueeze(1))
    torch.testing.assert_close(loss, -picked.mean())
    assert set(terms) == {"action_loss"}


def test_what_the_target_layer_learns_is_left_out_of_acting():
    torch.manual_seed(0)
    module = tiny_policy(target_weight=1.0).eval()
    batch = tiny_batch(module)
    before = module(batch).logits
    for parameter in module.model.target.parameters():
        parameter.data.normal_()
    assert torch.equal(module(batch).logits, before)


def test_bfloat16_trains_tests_and_leaves_the_batch_alone(tmp_path):
    module = tiny_policy(target_weight=1.0)
    batch = tiny_batch(module)
    before = batch.frames.clone()
    run = trainer(tmp_path, max_steps=2, precision="bf16-mixed")
    run.fit(module, loader(batch, 2), loader(batch))
    scores = run.test(module, loader(batch), verbose=False)[0]
    assert {"test/loss", "test/f1_weighted", "test/f1_macro", "test/f1_move_ahead"} <= set(scores)
    assert torch.equal(batch.frames, before)


def test_groups_are_trained_at_their_own_rates(tmp_path):
    rates = {"vision": 1e-4, "text": 2e-4, "trunk": 3e-4, "head": 4e-4}
    settings = PolicyOptimiserSettings(**{n: Group(learning_rate=r, warmup_steps=0) for n, r in rates.items()})
    module = tiny_policy(optimiser=settings, target_weight=1.0)
    run = trainer(tmp_path, max_steps=1)
    run.fit(module, loader(tiny_batch(module)))
    assert {g["name"]: g["lr"] for g in run.optimizers[0].param_groups} == rates
    listed = {id(p) for group in run.optimizers[0].param_groups for p in group["params"]}
    assert listed == {id(p) for p in module.parameters() if p.requires_grad}


def test_published_settings_are_the_defaults(tmp_path):
    module = tiny_policy(optimiser=PolicyOptimiserSettings())
    run = trainer(tmp_path, max_steps=3)
    run.fit(module, loader(tiny_batch(module), 3))
    (optimizer,) = run.optimizers
    assert type(optimizer) is torch.optim.AdamW
    assert {(g["lr"], tuple(g["betas"]), g["eps"]) for g in optimizer.param_groups} == {(1e-4, (0.9, 0.999), 1e-8)}
    assert {g["name"] for g in optimizer.param_groups} == {"trunk", "head"}


def test_contradictions_are_refused():
    still = PolicyOptimiserSettings(trunk=FAST, head=FAST)
    with pytest.raises(ConfigError, match="teaches the encoders where the target is, and both are frozen"):
        tiny_policy(optimiser=still, target_weight=1.0)
    with pytest.raises(ConfigError, match=r"target_weight is -1"):
        tiny_policy(target_weight=-1.0)
    with pytest.raises(ConfigError, match="give their .width, height. as model.picture_size"):
        tiny_policy(target_weight=1.0, picture_size=None)
    module = tiny_policy()
    module.model.text.frozen = True
    with pytest.raises(ConfigError, match="model.text is frozen and .*learning_rate is 0.003"):
        type(module)(
            vision=module.model.vision,
            text=module.model.text,
            trunk=module.model.trunk,
            head=module.model.head,
            optimiser=LEARNS,
        )


def test_all_steps_ignored_costs_nothing():
    module = tiny_policy()
    batch = tiny_batch(module)
    batch.actions.fill_(IGNORED)
    loss, _ = module._losses(module(batch), batch)
    assert loss.item() == 0.0
