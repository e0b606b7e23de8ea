"""Tilings: each unique patch of the stitched map is owned once, and lengths follow the sheet."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.molmo2.image_processing_molmo2 import compute_crop_geometry

from zoo.errors import ConfigError
from zoo.frames import Frames, window_of_tiled_patch
from zoo.layout import TokenLayout
from zoo.preprocessing.crops import CropRule, Tiling, owners

GRID, CROP_PX = (27, 27), (378, 378)


def rule(max_crops=8, margins=(4, 4)):
    return CropRule(max_crops=max_crops, margins=margins, grid=GRID, crop_px=CROP_PX)


@given(
    width=st.integers(1, 4000),
    height=st.integers(1, 4000),
    max_crops=st.integers(1, 24),
    margins=st.tuples(st.integers(0, 6), st.integers(0, 6)),
)
def test_the_choice_is_that_of_transformers(width, height, max_crops, margins):
    tiling = rule(max_crops, margins).tiling((width, height))
    expected = compute_crop_geometry(height, width, max_crops, list(margins), CROP_PX[0], 14)
    assert (tiling.rows, tiling.columns, *tiling.canvas_px(GRID, CROP_PX)) == expected
    assert tiling.num_crops <= max_crops


@pytest.mark.parametrize("size", [(112, 112), (112, 500), (111, 9), (1, 10_000), (10_000, 1)])
def test_sides_within_the_margins_are_cut_as_transformers_cuts_them(size):
    tiling = rule(24).tiling(size)
    assert (tiling.rows, tiling.columns) == compute_crop_geometry(size[1], size[0], 24, [4, 4], 378, 14)[:2]


tilings = st.builds(Tiling, st.integers(1, 4), st.integers(1, 4), st.tuples(st.integers(0, 2), st.integers(0, 2)))
grids = st.tuples(st.integers(5, 9), st.integers(5, 9))


@given(tilings, grids)
def test_every_place_of_the_map_has_one_owner_that_shows_it(tiling, grid):
    place = owners(tiling, grid)
    rows, columns = tiling.stitched(grid)
    owned = place[place[..., 0] >= 0]
    assert sorted(map(tuple, owned.tolist())) == [(r, c) for r in range(rows) for c in range(columns)]
    for number, tile in enumerate(tiling.tiles()):
        x0, y0, x1, y1 = tile.box(grid, (columns, rows))  # an image of one pixel a patch
        assert (x1 - x0, y1 - y0) == pytest.approx((grid[1], grid[0]))
        shown = place[number][place[number][..., 0] >= 0]
        row, column = np.nonzero(place[number][..., 0] >= 0)
        np.testing.assert_allclose(shown, np.stack([y0 + row, x0 + column], axis=1))


@given(tilings, grids, st.tuples(st.integers(1, 4), st.integers(1, 4)))
def test_every_owned_patch_is_in_one_window_and_no_other_is(tiling, grid, window):
    windows, count = window_of_tiled_patch(tiling, grid, window)
    rows, columns = tiling.stitched(grid)
    assert count == -(-rows // window[0]) * -(-columns // window[1])
    assert int((windows >= 0).sum()) == rows * columns
    assert torch.unique(windows[windows >= 0]).tolist() == list(range(count))
    assert int(torch.bincount(windows[windows >= 0]).max()) <= window[0] * window[1]


def test_pooled_tokens_an_axis_are_those_of_the_sheet():
    found = [-(-Tiling(1, tiles, (4, 4)).stitched(GRID)[1] // 2) for tiles in range(1, 9)]
    assert found == [14, 23, 33, 42, 52, 61, 71, 80]


def frames(tiling, size=(200, 100), clip=0, window=(2, 2)):
    tiles = (None, *tiling.tiles())
    boxes = tuple((0.0, 0.0, *map(float, size)) if t is None else t.box((7, 7), size) for t in tiles)
    count = len(tiles)
    return {
        "clip": (clip,) * count,
        "time_s": (0.0,) * count,
        "size_px": (size,) * count,
        "window": (window,) * count,
        "box_xyxy_px": boxes,
        "tile": tiles,
    }


@given(
    tilings.filter(lambda tiling: sum(tiling.margins) < 5),
    st.floats(0, 199.99),
    st.floats(0, 99.99),
    st.integers(0, 2**16),
)
def test_a_point_of_a_picture_comes_back_from_its_token(tiling, x, y, seed):
    layout, _ = TokenLayout.of_frames(Frames(**frames(tiling)), (7, 7)).pool()
    keep = torch.rand(layout.num_tokens, generator=torch.Generator().manual_seed(seed)) < 0.7
    for one in (layout, layout.keep(keep)):
        token = one.token_in_picture(0, x, y)
        if token is None:
            assert one is not layout
            continue
        x0, y0, x1, y1 = one.box_xyxy_px[token].tolist()
        assert x0 - 1e-2 <= x <= x1 + 1e-2
        assert y0 - 1e-2 <= y <= y1 + 1e-2
    whole = layout.token_in_picture(0, x, y)
    assert int(layout.frame_of_token[whole]) > 0  # tiles know more than the whole
    row, column = layout.centres()[whole].tolist()
    assert 0 < row < 1
    assert 0 < column < 1


def test_centres_and_boxes_of_windows_that_span_crops():
    tiling = Tiling(1, 2, (1, 2))  # 7 x 11 patches, of which the first crop owns 5 columns: windows of 2 x 2 span both
    layout, table = TokenLayout.of_frames(Frames(**frames(tiling, size=(110, 70))), (7, 7)).pool()
    spanning = layout.num_windows - 24 + 2  # the third window of the tiles' first row: columns 4 and 5
    assert layout.box_xyxy_px[spanning].tolist() == [40, 0, 60, 20]
    seam = [t for t in range(layout.num_tokens) if len({int(p) // 49 for p in layout.patch[layout.token == t]}) == 2]
    assert seam == list(range(spanning, layout.num_windows, 6))
    for token in seam:
        x0, y0, x1, y1 = layout.box_xyxy_px[token].tolist()
        assert x1 - x0 == 20
        row, column = layout.centres()[token].tolist()
        assert column == pytest.approx((x0 + x1) / 2 / 110)
        assert row == pytest.approx((y0 + y1) / 2 / 70)
    assert table.shape[1] == 4


def test_margins_stay_while_a_window_of_their_crop_does():
    layout = TokenLayout.of_frames(Frames(**frames(Tiling(2, 2, (1, 1)))), (7, 7))
    assert layout.has_margins
    keep = torch.zeros(layout.num_windows, dtype=torch.bool)
    keep[int(layout.windows[49])] = True  # one window of the first tile
    kept = layout.keep(layout.keep_windows(keep))
    assert set(kept.frame_of_token.tolist()) == {1}
    assert int((kept.window_of_token < 0).sum()) == int((layout.windows[49:98] < 0).sum()) > 0
    assert int(kept.living_windows.sum()) == 1
    values = layout.of_window(torch.arange(layout.num_windows).float() + 5, missing=-3)
    assert torch.equal(values, torch.where(layout.windows < 0, -3, layout.windows + 5).float())


def test_tiles_out_of_place_are_refused():
    good = frames(Tiling(1, 2, (0, 0)))
    for order in ([1, 0, 2], [0, 2, 1], [0, 1], [1, 2]):
        bad = {name: tuple(values[place] for place in order) for name, values in good.items()}
        with pytest.raises(ValueError, match="tiles"):
            Frames(**bad)
    assert Frames(**good).picture == (0, 0, 0)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [({"max_crops": 0}, "max_crops is 0"), ({"margins": (14, 13)}, "leave nothing of a crop of 27 x 27")],
)
def test_rules_that_cannot_cut_are_refused(arguments, match):
    with pytest.raises(ConfigError, match=match):
        rule(**arguments)
