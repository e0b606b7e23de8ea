import math

import pytest
import timm.optim.muon as timm_muon
import torch
from torch import nn

from zoo.errors import ConfigError
from zoo.muon import Muon
from zoo.optimisation import (
    Group,
    OptimiserSettings,
    build_optimizer,
    clip_by_component,
    freeze,
    learning_rate_share,
    parameter_groups,
)


def test_the_rate_grows_then_falls_along_a_cosine():
    share = [
        learning_rate_share(s, warmup_steps=10, total_steps=110, final_share=0.1) for s in (0, 5, 10, 60, 110, 500)
    ]
    assert share == pytest.approx([0, 0.5, 1, 0.55, 0.1, 0.1])


def test_before_the_rate_falls_a_longer_run_is_the_same_run():
    def rates(total_steps: int) -> list[float]:
        given = {"warmup_steps": 10, "total_steps": total_steps, "final_share": 0.1, "decay_share": 0.25}
        return [learning_rate_share(step, **given) for step in range(total_steps + 1)]

    short, long = rates(110), rates(210)
    assert short[:86] == long[:86] == [step / 10 for step in range(10)] + [1.0] * 76
    assert short[85:] == pytest.approx([0.1 + 0.9 * (1 + math.cos(math.pi * k / 25)) / 2 for k in range(26)])


@pytest.mark.parametrize("share", [0, -0.5, 1.5])
def test_a_decay_of_no_share_of_the_steps_is_refused(share):
    with pytest.raises(ConfigError, match=f"decay_share is {share}, expected above 0 and at most 1"):
        OptimiserSettings(decay_share=share)


def test_each_component_has_its_rate_and_only_matrices_decay():
    vision, language = (
        nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)),
        nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2)),
    )
    settings = OptimiserSettings(
        vision=Group(learning_rate=1e-3, weight_decay=0.1), language=Group(learning_rate=1e-4, weight_decay=0.2)
    )
    groups = parameter_groups({"vision": [vision], "language": [language]}, settings)
    found = {(g["name"], g["lr"], g["weight_decay"]): {id(p) for p in g["params"]} for g in groups}
    assert found == {
        ("vision", 1e-3, 0.1): {id(vision[0].weight)},
        ("vision", 1e-3, 0.0): {id(vision[0].bias), id(vision[1].weight), id(vision[1].bias)},
        ("language", 1e-4, 0.2): {id(language[1].weight)},
        ("language", 1e-4, 0.0): {id(language[0].weight), id(language[1].bias)},
    }


def test_rate_zero_freezes_a_component():
    vision, language = nn.Linear(2, 2), nn.Linear(2, 2)
    parts, settings = {"vision": [vision], "language": [language]}, OptimiserSettings(vision=Group(learning_rate=0))
    assert {g["name"] for g in parameter_groups(parts, settings)} == {"language"}
    freeze(parts, settings)
    assert not vision.weight.requires_grad
    assert language.weight.requires_grad


def test_freezing_everything_is_refused():
    with pytest.raises(ConfigError, match="nothing is left to train"):
        parameter_groups({"vision": [nn.Linear(2, 2)]}, OptimiserSettings(vision=Group(learning_rate=0)))


def test_gradients_are_clipped_component_by_component():
    parts = {"vision": [nn.Linear(2, 2)], "language": [nn.Linear(2, 2)]}
    optimizer = torch.optim.AdamW(parameter_groups(parts, OptimiserSettings()))
    for p in parts["vision"][0].parameters():
        p.grad = torch.full_like(p, 100.0)
    for p in parts["language"][0].parameters():
        p.grad = torch.full_like(p, 0.01)
    before = clip_by_component(optimizer, 1.0)
    norms = {n: torch.cat([p.grad.flatten() for p in m[0].parameters()]).norm() for n, m in parts.items()}
    assert before["vision"] == pytest.approx(100 * 6**0.5)
    assert norms["vision"] == pytest.approx(1.0, abs=1e-4)
    assert norms["language"] == pytest.approx(0.01 * 6**0.5)


def test_a_negative_rate_is_refused():
    with pytest.raises(ConfigError, match="may be negative"):
        Group(learning_rate=-1.0)


def test_muon_takes_hidden_matrices_and_leaves_the_rest_to_adamw():
    parts = {"language": [nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))]}
    settings = OptimiserSettings(method="muon", language=Group(learning_rate=1e-3, warmup_steps=0), muon_scale=4.0)
    optimizer = build_optimizer(parameter_groups(parts, settings), settings)
    assert [(g["use_fallback"], g["lr"], len(g["params"])) for g in optimizer.param_groups] == [
        (False, 4e-3, 1),
        (True, 1e-3, 2),
    ]
    before = [p.detach().clone() for p in parts["language"][0].parameters()]
    for p in parts["language"][0].parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    assert all(not torch.equal(p, old) for p, old in zip(parts["language"][0].parameters(), before, strict=True))


def test_muon_on_a_cpu_orthogonalises_in_float32():
    """bfloat16 is emulated on most CPUs: a third of the time that ring/tiny trained for went into it."""
    torch.manual_seed(0)
    ours, published = nn.Parameter(torch.randn(64, 32)), nn.Parameter(torch.empty(64, 32))
    published.data.copy_(before := ours.detach().clone())
    gradient, coefficients = torch.randn(64, 32), (3.4445, -4.7750, 2.0315)
    for parameter, method in ((ours, Muon), (published, timm_muon.Muon)):
        parameter.grad = gradient.clone()
        groups = [{"params": [parameter], "use_fallback": False}]
        method(groups, lr=1.0, weight_decay=0.0, nesterov=True, ns_coefficients=coefficients).step()
    iteration = timm_muon.zeropower_via_newtonschulz
    direction = iteration(gradient, 5, [coefficients], dtype=torch.float32)
    torch.testing.assert_close((before - ours) / (before - ours).norm(), direction / direction.norm())
    torch.testing.assert_close(ours, published, atol=0.02, rtol=0)
    assert not torch.equal(ours, published)
    assert timm_muon.zeropower_via_newtonschulz is iteration  # timm's own Muon stays as it was


class Placed(nn.Module):
    """Tables of positions and tokens as vision transformers hold them, a convolution, and an output head that is the
    embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(1, 9, 4))
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 4))
        self.stem = nn.Conv2d(3, 4, 3)
        self.embedding = nn.Embedding(7, 4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight


def test_only_weights_of_layers_are_matrices():
    """A table of positions under Muon moved by a thousandth of its size a step, and under decay it vanished."""
    module = Placed()
    settings = OptimiserSettings(method="muon", vision=Group(learning_rate=1e-3, weight_decay=0.1))
    matrices, others = parameter_groups({"vision": [module]}, settings)
    assert matrices["params"] == [module.stem.weight]
    assert {id(p) for p in others["params"]} == {
        id(p) for p in (module.pos_embed, module.cls_token, module.stem.bias, module.embedding.weight)
    }
    assert (matrices["use_fallback"], others["use_fallback"]) == (False, True)
    assert (matrices["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
