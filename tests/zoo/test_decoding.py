"""Ids that are chosen: greedily, drawn from the likeliest ones, and less often if they were there before."""

import pytest
import torch

from zoo.decoding import GREEDY, Decoding
from zoo.errors import ConfigError

NONE = [[]] * 2000


def test_top_p_draws_only_from_the_smallest_sufficient_set():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log().expand(2000, 4)
    ids = Decoding(temperature=1.0, top_p=0.7).next_ids(logits, NONE, torch.Generator().manual_seed(0))
    assert set(ids.tolist()) == {0, 1}
    assert (ids == 0).float().mean().item() == pytest.approx(0.5 / 0.8, abs=0.04)  # 4 sigma at 2000 draws


def test_temperature_zero_is_greedy():
    logits = torch.randn(7, 11)
    assert torch.equal(GREEDY.next_ids(logits, NONE[:7]), logits.argmax(-1))


def test_a_penalty_counts_how_often_an_id_was_there():
    logits = torch.tensor([[1.0, 0.85, 0.0], [1.0, 0.85, 0.0], [1.0, 0.85, 0.0]])
    ids = Decoding(frequency_penalty=0.1).next_ids(logits, [[0], [0, 0], [0, 1, 0]])
    assert ids.tolist() == [0, 1, 0]


def test_a_penalty_counts_beside_large_logits_of_few_bits():
    logits = torch.tensor([[40.0, 40.0]], dtype=torch.bfloat16)
    assert Decoding(frequency_penalty=0.1).next_ids(logits, [[0]]).tolist() == [1]


def test_draws_about_the_same_samples_are_the_same_and_leave_torch_alone():
    logits, drawn = torch.zeros(50, 9), Decoding(temperature=1.0)
    before = torch.get_rng_state()
    first, again, other = (
        drawn.next_ids(logits, [[]] * 50, drawn.generator(keys, logits.device)) for keys in ("ab", "ab", "ac")
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())
    assert GREEDY.generator("ab", logits.device) is None


def test_what_must_not_come_does_not_come():
    logits = torch.tensor([[-torch.inf, 1.0, 0.0]]).expand(50, 3)
    drawn = Decoding(temperature=2.0, frequency_penalty=-5.0).next_ids(logits, [[0, 0]] * 50)
    assert 0 not in drawn.tolist()


@pytest.mark.parametrize(
    "arguments",
    [
        {"temperature": -1.0},
        {"temperature": float("inf")},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"frequency_penalty": float("nan")},
    ],
)
def test_values_out_of_range_are_refused(arguments):
    with pytest.raises(ConfigError, match="expected 0 or more, above 0 up to 1, and a number"):
        Decoding(**arguments)
