import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.policy_processor import PolicyProcessor
from zoo.policy_target import PRIOR, TargetHead, cell_shares, in_view, is_missing, shown_shares, target_loss
from zoo.policy_trunk import ActionIds
from zoo.shards.policy_episode import MISSING_BOX

IDS = ActionIds(num_actions=20, start=20, padding=21)
NONE = torch.tensor(False)


def processor(**settings):
    return PolicyProcessor(cameras=("a",), image_size=(64, 64), action_ids=IDS, **settings)


def test_a_cell_inside_a_box_counts_whole_and_one_at_its_edge_by_its_part():
    shares = cell_shares(torch.tensor([0.0, 0.0, 0.625, 0.5]), NONE, (2, 4))
    assert shares.tolist() == [[1, 1, 0.5, 0], [0, 0, 0, 0]]


def test_a_thin_box_counts_in_every_cell_that_it_crosses():
    shares = cell_shares(torch.tensor([0.3, 0.0, 0.32, 1.0]), NONE, (3, 2))
    assert shares[:, 0].tolist() == pytest.approx([1, 1, 1])
    assert shares[:, 1].sum() == 0


def test_a_box_inside_a_cell_counts_as_if_it_filled_it():
    shares = cell_shares(torch.tensor([0.3, 0.55, 0.4, 0.65]), NONE, (2, 4))
    assert shares[1, 1] == pytest.approx(1)
    assert shares.sum() == pytest.approx(1)


def test_nothing_is_shown_where_nothing_is_in_view():
    box = torch.tensor(MISSING_BOX)
    assert cell_shares(in_view(box, (64, 64), processor()), is_missing(box), (2, 4)).sum() == 0


@given(
    corners=st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4),
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
)
def test_shares_are_shares_and_some_cell_shows_a_box_that_is_in_the_picture(corners, rows, columns):
    (x1, x2), (y1, y2) = sorted(corners[:2]), sorted(corners[2:])
    shares = cell_shares(torch.tensor([x1, y1, x2, y2]), NONE, (rows, columns))
    assert shares.min() >= 0
    assert shares.max() <= 1
    if (x2 - x1) * (y2 - y1) > 1e-3:
        assert shares.max() > 0.2  # of four cells that share a small box evenly, each has a quarter


def test_boxes_follow_the_picture_through_cutting_and_padding():
    box = torch.tensor([10.0, 0.0, 50.0, 60.0, 2400.0])
    assert in_view(box, (100, 60), processor()).tolist() == pytest.approx([0.1, 0, 0.5, 1])
    cut = in_view(box, (100, 60), processor(crop_columns=10))
    assert cut.tolist() == pytest.approx([0, 0, 0.5, 1])
    padded = in_view(box, (100, 60), processor(resize="pad"))
    assert padded.tolist() == pytest.approx([0.1, 0.2, 0.5, 0.8])


def test_pixels_of_a_padded_picture_lie_where_boxes_say():
    picture = torch.zeros(1, 30, 64, 3, dtype=torch.uint8).numpy()
    picture[:, 10:20, 16:48] = 255
    shown = processor(resize="pad").frames({"a": picture})[0, 0, 0].float() / 255
    box = torch.tensor([16.0, 10.0, 48.0, 20.0, 320.0])
    expected = cell_shares(in_view(box, (64, 30), processor(resize="pad")), NONE, (64, 64))
    assert torch.equal(shown > 0.5, expected > 0.5)


def test_a_fresh_layer_expects_few_patches_to_show_the_target():
    head = TargetHead(patch_channels=8, goal_channels=6)
    logits = head(torch.zeros(2, 3, 1, 8, 2, 2), torch.zeros(2, 4, 6))
    assert logits.shape == (2, 4, 3, 1, 2, 2)
    assert logits.sigmoid().mean().item() == pytest.approx(PRIOR, abs=0.01)


def test_padding_teaches_nothing_and_the_loss_is_a_mean_over_steps():
    logits, shares = torch.zeros(1, 1, 3, 2, 2, 2), torch.zeros(1, 1, 3, 2, 2, 2)
    shares[0, 0, 2] = 1
    mask = torch.tensor([[True, True, False]])
    loss = target_loss(logits, shares, mask, torch.tensor(2.0))
    assert loss.item() == pytest.approx(4 * 0.6931, abs=1e-3)
    logits[0, 0, 2] = 99
    assert target_loss(logits, shares, mask, torch.tensor(2.0)) == loss


def test_goals_that_nothing_is_known_about_teach_nothing():
    logits, shares = torch.randn(2, 3, 4, 1, 2, 2), torch.rand(2, 3, 4, 1, 2, 2)
    mask, steps = torch.ones(2, 4, dtype=torch.bool), torch.tensor(8.0)
    asked = torch.tensor([[True, False, True], [False, False, False]])
    loss = target_loss(logits, shares, mask, steps, asked)
    known = [target_loss(logits[:1, [g]], shares[:1, [g]], mask[:1], steps) for g in (0, 2)]
    torch.testing.assert_close(loss, (known[0] + known[1]) / 2)
    assert torch.equal(target_loss(logits, shares, mask, steps, asked & False), torch.tensor(0.0))


def test_a_goal_is_shown_where_any_recorded_cell_has_its_bit():
    shows = torch.zeros(2, 1, 1, 8, 14, dtype=torch.int64)
    shows[0, 0, 0, 0, 0] = 0b101
    shows[0, 0, 0, 7, 13] = 0b010
    shows[1, 0, 0, 3, 2] = 1 << 31
    found = shown_shares(shows, torch.tensor([[0, 1, -1], [31, 0, 2]]), (4, 7))
    assert found.shape == (2, 3, 1, 1, 4, 7)
    assert found[0, 0].sum() == found[0, 1].sum() == found[1, 0].sum() == 1
    assert found[0, 0, 0, 0, 0, 0] == found[0, 1, 0, 0, 3, 6] == found[1, 0, 0, 0, 1, 1] == 1
    assert found[1, 1:].sum() == 0
