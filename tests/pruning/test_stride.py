from fractions import Fraction
from itertools import pairwise
from math import floor

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.layouts import layout_of_clips
from zoo.errors import ConfigError
from zoo.frames import Frames
from zoo.layout import TokenLayout
from zoo.preprocessing.crops import Tiling
from zoo.pruner import ClipSize, SiteView
from zoo.pruning.stride import RemoveFrames, TemporalStride, even_frames


def kept_frames(layout: TokenLayout, **arguments: object) -> list[int]:
    pruner = TemporalStride(**arguments)
    view = SiteView(
        site=pruner.sites()[0],
        tokens=torch.zeros(layout.num_tokens, 0),
        layout=layout,
        clip_seeds=(0,) * layout.frames.num_clips,
        training=False,
    )
    keep = pruner.select(view, {}).keep
    assert keep.shape == (layout.num_tokens,)
    whole = keep.view(len(layout.frames), -1)
    assert torch.equal(whole.all(dim=1), whole.any(dim=1))  # nothing but whole frames
    return whole.all(dim=1).nonzero().flatten().tolist()


@pytest.mark.parametrize(
    ("frames", "kept", "expected"),
    [
        (1, 1, [0]),
        (5, 1, [0]),
        (5, 2, [0, 4]),
        (5, 3, [0, 2, 4]),
        (4, 3, [0, 2, 3]),  # 1.5 rounds up
        (8, 4, [0, 2, 5, 7]),  # 7 / 3 and 14 / 3
        (3, 3, [0, 1, 2]),
    ],
)
def test_frames_are_spread_from_the_first_to_the_last(frames, kept, expected):
    assert even_frames(frames, kept).tolist() == expected


@given(frames=st.integers(1, 400), data=st.data())
def test_spacing_is_exact_arithmetic_and_gaps_differ_by_one_at_most(frames, data):
    kept = data.draw(st.integers(1, frames))
    chosen = even_frames(frames, kept).tolist()
    if kept == 1:
        assert chosen == [0]
        return
    exact = [Fraction(i * (frames - 1), kept - 1) for i in range(kept)]
    assert chosen == [floor(place + Fraction(1, 2)) for place in exact]
    gaps = {b - a for a, b in pairwise(chosen)}
    assert min(gaps) >= 1
    assert max(gaps) - min(gaps) <= 1
    assert (chosen[0], chosen[-1]) == (0, frames - 1)


@pytest.mark.parametrize(
    ("remove", "frames", "kept"),
    [
        (0.5, 5, 3),  # 2.5 frames: at most the share leaves
        (0.5, 2, 1),
        (0.5, 1, 1),
        (0.99, 3, 1),
        (0.29, 100, 71),  # 0.29 * 100 is 28.999999999999996
        (0.0, 7, 7),
        (1 - 1e-12, 4, 1),
    ],
)
def test_at_most_the_share_of_frames_leaves_and_one_stays(remove, frames, kept):
    assert RemoveFrames(remove)((ClipSize(81 * frames, frames),)) == (81 * kept,)


def test_the_budget_leaves_images_whole():
    assert RemoveFrames(0.9)((ClipSize(24, 10), ClipSize(1000, 9, is_video=False))) == (2 * 1, 1000)


def test_each_clip_keeps_its_own_ends_and_images_stay():
    layout = layout_of_clips(5, 1, 1, 2, 4, images=(2,))
    assert kept_frames(layout, remove=0.5) == [0, 2, 4, 5, 6, 7, 9, 12]


def test_an_image_in_tiles_stays_whole_beside_a_video():
    tiling = Tiling(1, 2, (1, 1))
    frames = Frames(
        clip=(0, 0, 0, 1, 1, 1),
        time_s=(0.0,) * 6,
        size_px=((48, 48),) * 6,
        window=((2, 2),) * 3 + ((3, 3),) * 3,
        tile=(None, *tiling.tiles(), None, None, None),
        is_video=(False,) * 3 + (True,) * 3,
    )
    assert kept_frames(TokenLayout.of_frames(frames, (6, 6)), remove=0.5) == [0, 1, 2, 3, 5]


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    remove=st.floats(0, 1, exclude_max=True),
    images=st.sets(st.integers(0, 3)),
)
def test_as_many_windows_stay_as_the_budget_says(lengths, remove, images):
    layout = layout_of_clips(*lengths, images=tuple(images))
    kept = kept_frames(layout, remove=remove)
    sizes = [ClipSize(4 * length, length, number not in images) for number, length in enumerate(lengths)]
    counts = [4 * sum(layout.frames.clip[frame] == number for frame in kept) for number in range(len(lengths))]
    assert TemporalStride(remove=remove).budget()(sizes) == tuple(counts)


def test_frames_that_leave_are_never_embedded(module_of, batch_of):
    module = module_of(TemporalStride(remove=0.5))
    batch = batch_of(module, frames=(4, 3))
    with torch.no_grad():
        before = module(batch).logits
        dropped = [frame for frame in range(7) if frame not in (0, 3, 4, 6)]
        pixels = batch.pixels.clone()
        pixels[dropped] = 255 - pixels[dropped]
        batch.pixels.copy_(pixels)
        after = module(batch).logits
    torch.testing.assert_close(after, before, rtol=0, atol=0)


@pytest.mark.parametrize("remove", [1.0, -0.1])
def test_a_share_outside_its_range_is_refused(remove):
    with pytest.raises(ConfigError, match=rf"stride: remove must be in \[0, 1\), got {remove}"):
        TemporalStride(remove=remove)
