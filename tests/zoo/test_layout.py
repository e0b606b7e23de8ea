import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.frames import Frames, window_of_patch
from zoo.layout import TokenLayout

GRID = (6, 9)


@pytest.fixture
def layout(clips):
    return TokenLayout.of_frames(clips, GRID)


def test_windows_run_row_by_row_and_pad_left_by_half():
    windows, count = window_of_patch((3, 5), (2, 2))
    assert count == 6
    # 5 columns and 3 rows are padded by 1, floor(1 / 2) = 0 of it on the left and top.
    assert windows.view(3, 5).tolist() == [[0, 0, 1, 1, 2], [0, 0, 1, 1, 2], [3, 3, 4, 4, 5]]


def test_every_patch_of_a_fresh_layout_is_its_own_token(layout, clips):
    rows, columns = GRID
    assert layout.num_tokens == len(clips) * rows * columns
    assert layout.tokens_per_clip == (3 * 54, 2 * 54)
    assert layout.windows_per_clip == (18, 12)
    expected = torch.cartesian_prod(torch.arange(5), torch.arange(rows), torch.arange(columns)).float()
    torch.testing.assert_close(layout.coordinates(), expected, rtol=0, atol=0)


@given(
    frame=st.integers(0, 4),
    x=st.floats(0, 143.99),
    y=st.floats(0, 143.99),
    seed=st.integers(0, 2**16),
)
def test_painting_a_token_and_looking_it_up_come_back_to_it(frame, x, y, seed):
    frames = Frames(clip=(0, 0, 0, 1, 1), time_s=(0.0,) * 5, size_px=((144, 144),) * 5, window=((3, 3),) * 5)
    layout = TokenLayout.of_frames(frames, GRID)
    keep = torch.rand(layout.num_tokens, generator=torch.Generator().manual_seed(seed)) < 0.5
    after = layout.keep(keep)
    token = after.token_at(frame, x, y)
    painted = after.paint(torch.arange(after.num_tokens))
    row, column = int(y / 144 * 6), int(x / 144 * 9)
    if token is None:
        assert painted[frame, row, column].isnan()
    else:
        assert painted[frame, row, column] == token
        x0, y0, x1, y1 = after.box_xyxy_px[token].tolist()
        assert x0 - 1e-3 <= x <= x1 + 1e-3
        assert y0 - 1e-3 <= y <= y1 + 1e-3


def test_a_crop_maps_points_of_the_picture(clips):
    frames = Frames(
        clip=(0,), time_s=(0.0,), size_px=((200, 100),), window=((2, 2),), box_xyxy_px=((100.0, 0.0, 200.0, 100.0),)
    )
    layout = TokenLayout.of_frames(frames, (2, 2))
    assert layout.token_at(0, 50, 50) is None
    assert layout.token_at(0, 160, 20) == 1
    assert layout.box_xyxy_px[1].tolist() == [150, 0, 200, 50]


def test_pooling_names_the_patches_of_each_window(layout):
    pooled, table = layout.pool()
    assert pooled.num_tokens == layout.num_windows == 30
    assert table.shape == (30, 9)
    assert torch.equal(layout.window_of_token[table], torch.arange(30)[:, None].expand(30, 9))


def test_pooling_pads_windows_that_lost_patches(layout):
    keep = torch.ones(layout.num_tokens, dtype=torch.bool)
    keep[[0, 1]] = False  # two patches of window 0
    keep[layout.window_of_token == 4] = False  # all of window 4
    pooled, table = layout.keep(keep).pool()
    assert pooled.num_tokens == 29
    assert (table[0] >= 0).sum() == 7
    assert 4 not in pooled.window_of_token
    assert pooled.alive.sum() == keep.sum()


def test_merging_keeps_every_patch_alive_and_averages_places(layout):
    into = torch.arange(layout.num_tokens)
    into[10] = 2  # same frame
    into[60] = 2  # patch 6 of frame 1
    merged = layout.merge(into)
    assert merged.num_tokens == layout.num_tokens - 2
    assert bool(merged.alive.all())
    places = layout.coordinates()
    torch.testing.assert_close(merged.coordinates()[2], places[[2, 10, 60]].mean(0))
    x0, y0, x1, y1 = merged.box_xyxy_px[2].tolist()  # of its first frame: patches (0, 2) and (1, 1)
    assert (x0, y0, x1, y1) == (16, 0, 48, 48)


def test_merged_tokens_are_pooled_by_every_window_they_cover(layout):
    into = torch.arange(layout.num_tokens)
    into[60] = 0  # frame 1, window 18 // 3 + ... joins the first token
    pooled, table = layout.merge(into).pool()
    owners = (table == 0).any(1).nonzero().flatten().tolist()
    assert owners == sorted({int(layout.windows[0]), int(layout.windows[60])})
    assert pooled.num_tokens == layout.num_windows


def test_merging_into_a_merged_token_is_refused(layout):
    into = torch.arange(layout.num_tokens)
    into[5], into[6] = 6, 7
    with pytest.raises(ValueError, match="itself merged away"):
        layout.merge(into)


@given(seed=st.integers(0, 2**16), first=st.integers(0, 18), second=st.integers(0, 12))
def test_top_windows_fills_the_budget_of_every_clip_with_the_best(seed, first, second):
    frames = Frames(clip=(0, 0, 0, 1, 1), time_s=(0.0,) * 5, size_px=((144, 144),) * 5, window=((3, 3),) * 5)
    layout = TokenLayout.of_frames(frames, GRID)
    scores = torch.rand(30, generator=torch.Generator().manual_seed(seed)).mul(8).floor()  # ties on purpose
    keep = layout.top_windows(scores, (first, second))
    for part, budget in ((slice(0, 18), first), (slice(18, 30), second)):
        assert keep[part].sum() == budget
        if 0 < budget < len(keep[part]):
            assert scores[part][keep[part]].min() >= scores[part][~keep[part]].max()


def test_keep_of_another_size_is_refused(layout):
    with pytest.raises(ValueError, match=r"keep must be \(270,\) bool"):
        layout.keep(torch.ones(3, dtype=torch.bool))


def test_frames_out_of_order_are_refused():
    with pytest.raises(ValueError, match="clip by clip"):
        Frames(clip=(0, 2), time_s=(0.0, 0.0), size_px=((8, 8),) * 2, window=((1, 1),) * 2)
