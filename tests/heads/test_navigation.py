"""The navigation head; sheet sections 1.3, 1.10, 1.11, 2.3 and 2.4."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from zoo import registry
from zoo.errors import ConfigError
from zoo.heads.navigation import NavigationHead, draw
from zoo.navigation_actions import NAVIGATION_ACTIONS, SpocAction
from zoo.policy_head import IGNORED, PolicyHead

A = SpocAction


def head_of(**arguments) -> NavigationHead:
    head = NavigationHead(**arguments)
    head.build(hidden_size=8)
    return head


def logits_of(**probabilities: float) -> torch.Tensor:
    """(1, 20) of some actions' probabilities; the others share the rest."""
    rest = (1 - sum(probabilities.values())) / (20 - len(probabilities))
    return torch.tensor([[probabilities.get(action.long_name, rest) for action in A]]).log()


def shares(head: NavigationHead, logits: torch.Tensor, count: int = 4000) -> torch.Tensor:
    """How often each action is chosen over evenly spread draws."""
    draws = (torch.arange(count) + 0.5) / count
    return torch.bincount(head.choose(logits.expand(count, -1), draws), minlength=20) / count


def test_it_is_registered():
    head = registry.build("policy_head", "navigation")
    assert isinstance(head, PolicyHead)
    assert head.num_actions == 20


def test_logits_and_values_are_linear_in_the_state():
    head = head_of(has_critic=True)
    hidden = torch.randn(2, 3, 8)
    torch.testing.assert_close(head(hidden), F.linear(hidden, head.actor.weight, head.actor.bias))
    assert head.values(hidden).shape == (2, 3)
    assert head.critic.bias.tolist() == [0.0]
    assert head.critic.weight.norm().item() == pytest.approx(1)  # one orthogonal row
    assert head.bfloat16()(hidden.bfloat16()).dtype == torch.float32


def test_without_a_critic_there_are_no_values():
    with pytest.raises(ConfigError, match="has no critic; set has_critic"):
        head_of().values(torch.zeros(1, 8))


def test_only_navigation_is_left_where_only_navigation_is_wanted():
    head = head_of(navigation_only=True)
    logits = head(torch.randn(5, 8))
    left = [action for action in A if logits[:, action].min() > -999_999]
    assert left == sorted(NAVIGATION_ACTIONS)
    assert len(left) == 7
    assert set(logits[:, A.PICKUP].tolist()) == {-999_999.0}
    chosen = {int(a) for seed in range(20) for a in head.choose(logits, torch.full((5,), seed / 20))}
    assert chosen <= {int(a) for a in NAVIGATION_ACTIONS}
    assert head.choosable == tuple(sorted(int(a) for a in NAVIGATION_ACTIONS))
    assert head_of().choosable == tuple(range(20))


def test_loss_is_the_mean_over_real_steps():
    head = head_of()
    logits = torch.randn(2, 3, 20, requires_grad=True)
    actions = torch.tensor([[1, 4, IGNORED], [19, IGNORED, IGNORED]])
    loss = head.loss(logits, actions, torch.tensor(3.0))["loss"]
    by_hand = -sum(logits.log_softmax(-1)[b, t, a] for b, t, a in ((0, 0, 1), (0, 1, 4), (1, 0, 19))) / 3
    torch.testing.assert_close(loss, by_hand)
    loss.backward()
    assert logits.grad[actions == IGNORED].abs().max() == 0
    assert logits.grad[actions != IGNORED].abs().amax(-1).min() > 0


def test_nothing_to_learn_is_no_loss():
    head = head_of()
    logits = torch.randn(1, 2, 20, requires_grad=True)
    loss = head.loss(logits, torch.full((1, 2), IGNORED), torch.tensor(0.0))["loss"]
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().max() == 0


def test_two_processes_together_have_the_gradient_of_one():
    head = head_of()
    logits, actions = torch.randn(2, 4, 20), torch.randint(20, (2, 4))
    actions[1, 1:] = IGNORED
    whole = head.loss(logits, actions, torch.tensor(5.0))["loss"]
    halves = [head.loss(logits[r : r + 1], actions[r : r + 1], torch.tensor(2.5))["loss"] for r in (0, 1)]
    torch.testing.assert_close(sum(halves) / 2, whole)


def test_greedy_takes_the_likeliest():
    logits = torch.cat([logits_of(done=0.3, pickup=0.2), logits_of(done=0.3, pickup=0.4)])
    chosen = head_of(choice="greedy").choose(logits, torch.tensor([0.99, 0.0]))
    assert chosen.tolist() == [A.DONE, A.PICKUP]


def test_sampling_follows_the_probabilities():
    logits = logits_of(done=0.35, move_ahead=0.2)
    found = shares(head_of(choice="sample"), logits)
    torch.testing.assert_close(found, logits[0].softmax(-1), rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("choice", "done", "ahead", "ends"),
    [
        ("sample_done_if_likeliest", 0.4, 0.3, True),
        ("sample_done_if_likeliest", 0.4, 0.5, False),
        ("sample_done_if_likeliest", 0.2, 0.1, True),
        ("sample_done_if_probable", 0.2, 0.1, False),
        ("sample_done_if_probable", 0.31, 0.6, True),
        ("sample_done_if_probable", 0.29, 0.6, False),
    ],
)
def test_done_is_drawn_only_where_its_rule_lets_it(choice, done, ahead, ends):
    logits = logits_of(done=done, move_ahead=ahead)
    expected = logits[0].softmax(-1)
    if not ends:  # drawn again among the others
        expected[A.DONE] = 0
        expected = expected / expected.sum()
    torch.testing.assert_close(shares(head_of(choice=choice), logits), expected, rtol=0, atol=1e-3)


def test_rows_have_rules_of_their_own():
    logits, draws = torch.cat([logits_of(done=0.5), logits_of(done=0.1, move_ahead=0.5)]), torch.tensor([0.3, 0.6])
    assert head_of(choice="sample").choose(logits, draws).tolist() == [A.DONE, A.DONE]
    first, second = head_of(choice="sample_done_if_probable").choose(logits, draws).tolist()
    assert first == A.DONE != second


def test_another_threshold():
    head = head_of(choice="sample_done_if_probable", min_done_probability=0.1)
    assert shares(head, logits_of(done=0.2))[A.DONE] == pytest.approx(0.2, abs=1e-3)


def test_certain_done_still_ends_where_only_done_is_left():
    logits = torch.full((1, 20), -math.inf)
    logits[0, A.DONE] = 0
    for choice in ("greedy", "sample", "sample_done_if_likeliest", "sample_done_if_probable"):
        assert head_of(choice=choice).choose(logits, torch.tensor([0.7])).tolist() == [A.DONE]


@given(
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30).filter(lambda w: sum(w) > 1e-3),
    st.floats(0, 1, exclude_max=True),
)
def test_a_draw_is_never_of_weight_zero(weights, number):
    weights = torch.tensor([weights], dtype=torch.float64)
    chosen = draw(weights, torch.tensor([number], dtype=torch.float64))
    assert weights[0, chosen].item() > 0


def test_scores_are_f1_over_real_steps():
    metrics = head_of().metrics()
    truth = torch.tensor([[0, 0, 1, IGNORED], [4, 4, IGNORED, IGNORED]])
    chosen = torch.tensor([[0, 1, 1, 7], [4, 0, 9, 9]])
    metrics.update(chosen[:1], truth[:1])
    metrics.update(chosen[1:], truth[1:])
    scores = {name: score.item() for name, score in metrics.compute().items()}
    # move_ahead: 1 hit, 1 too many, 1 missed; rotate_right: 1 hit, 1 too many; done: 1 hit, 1 missed
    by_hand = {"move_ahead": 1 / 2, "rotate_right": 2 / 3, "done": 2 / 3}
    assert {name: scores[f"f1_{name}"] for name in by_hand} == pytest.approx(by_hand)
    assert scores["f1_macro"] == pytest.approx(sum(by_hand.values()) / 3)  # actions that never occur are left out
    assert scores["f1_weighted"] == pytest.approx((2 * 1 / 2 + 1 * 2 / 3 + 2 * 2 / 3) / 5)
    assert len(scores) == 22


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"choice": "best"}, "choice 'best'; one of greedy, sample"),
        ({"min_done_probability": 1.2}, "min_done_probability 1.2, expected one in"),
    ],
)
def test_refused_arguments(arguments, text):
    with pytest.raises(ConfigError, match=text):
        NavigationHead(**arguments)
