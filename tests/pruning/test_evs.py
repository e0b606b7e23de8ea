import numpy as np
import pytest
import torch

from tests.fakes.layouts import layout_of_clips
from zoo.errors import ConfigError
from zoo.layout import TokenLayout
from zoo.pruner import ClipSize, RemoveShare, Selection, Site, SiteView, clip_sizes
from zoo.pruning.evs import EfficientVideoSampling
from zoo.pruning.stride import TemporalStride


def select(layout: TokenLayout, pixels: torch.Tensor, remove: float) -> Selection:
    pruner = EfficientVideoSampling(remove=remove)
    view = SiteView(
        site=pruner.sites()[0],
        tokens=torch.zeros(layout.num_tokens, 4),
        layout=layout,
        clip_seeds=(0,) * layout.frames.num_clips,
        training=False,
        pixels=pixels,
    )
    return pruner.select(view, {})


def kept_windows(layout: TokenLayout, selection: Selection) -> list[int]:
    return selection.layout_after(layout).pool()[0].window_of_token.tolist()


def literal_kept(pixels: np.ndarray, lengths: tuple[int, ...], images: tuple[int, ...], remove: float) -> list[int]:
    """The paper's rule in loops: a clip's windows above the quantile of its changes; first frames lie above all."""
    kept, start = [], 0
    for clip, length in enumerate(lengths):
        changes = {}
        for frame in range(length):
            for window, (y, x) in enumerate([(0, 0), (0, 12), (12, 0), (12, 12)]):
                now = pixels[start + frame, :, y : y + 12, x : x + 12]
                past = pixels[start + frame - 1, :, y : y + 12, x : x + 12]
                is_first = frame == 0 or clip in images
                changes[4 * (start + frame) + window] = np.inf if is_first else np.abs(now - past).mean()
        ranked = sorted(changes, key=lambda w: changes[w])
        below = 0 if clip in images else min(int(len(ranked) * remove), 4 * (length - 1))
        kept += ranked[below:]
        start += length
    return sorted(kept)


@pytest.mark.parametrize(
    ("lengths", "images"), [((3, 2), ()), ((6, 1, 2), ()), ((1,), ()), ((2, 2, 4), (1,)), ((1, 5), (0,))]
)
@pytest.mark.parametrize("remove", [0.0, 0.25, 0.5, 0.75, 0.99])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_changed_more_than_the_quantile_stays(lengths, images, remove, seed):
    layout = layout_of_clips(*lengths, images=images)
    pixels = torch.randn(sum(lengths), 3, 24, 24, generator=torch.Generator().manual_seed(seed))
    selection = select(layout, pixels, remove)
    assert kept_windows(layout, selection) == literal_kept(pixels.double().numpy(), lengths, images, remove)


@pytest.mark.parametrize("remove", [0.0, 0.3, 0.75, 0.99])
def test_as_many_windows_stay_as_the_budget_says_when_nothing_changes(remove):
    layout = layout_of_clips(4, 1, 3, 2, images=(3,))
    selection = select(layout, torch.full((10, 3, 24, 24), 0.7), remove)
    sizes = [ClipSize(16, 4), ClipSize(4, 1), ClipSize(12, 3), ClipSize(8, 2, is_video=False)]
    expected = RemoveShare(remove, protect_first_frame=True)(sizes)
    assert selection.layout_after(layout).pool()[0].tokens_per_clip == expected
    assert selection.keep[layout.frame_of_token == 0].all()
    assert torch.isfinite(selection.scores).all()


def test_the_one_window_that_changes_stays():
    layout = layout_of_clips(4)
    pixels = torch.zeros(4, 3, 24, 24)
    pixels[3, 0, 20, 20] = 1e-3  # lower right window of the last frame
    assert kept_windows(layout, select(layout, pixels, 0.6875)) == [0, 1, 2, 3, 15]


def test_scores_say_how_much_changed_and_first_frames_score_highest():
    layout = layout_of_clips(3)
    pixels = torch.zeros(3, 3, 24, 24)
    pixels[1, :, :12, :12] = 0.5
    scores = layout.per_window(select(layout, pixels, 0.5).scores)
    assert scores.tolist() == [0.5] * 4 + [0.5, 0, 0, 0] + [0.5, 0, 0, 0]


def test_behind_a_stride_frames_are_compared_with_what_is_left():
    layout = layout_of_clips(5, 2)
    pixels = torch.zeros(7, 3, 24, 24)
    pixels[1:, :, :12, :12] = 1.0  # happens in a frame that the stride drops, of 0, 2, 4
    pixels[3:5, :, 12:, 12:] = 2.0
    dropped = torch.isin(layout.frame_of_token, torch.tensor([1, 3]))
    thinned = layout.keep(~dropped)
    selection = select(thinned, pixels, 0.5)
    assert kept_windows(thinned, selection) == [0, 1, 2, 3, 8, 19, *range(20, 24)]
    sizes = clip_sizes(thinned)
    assert [size.windows for size in sizes] == [12, 8]


def test_it_composes_with_a_stride_in_a_trunk(module_of, batch_of):
    module = module_of([TemporalStride(remove=0.5), EfficientVideoSampling(remove=0.5)])
    with torch.no_grad():
        done = module.model.run(batch_of(module, frames=(4, 3)))
    assert done.pruning.tokens_per_clip[Site("pixels")] == (72, 72)
    assert done.window_layout.tokens_per_clip == (4, 4)


@pytest.mark.parametrize("remove", [1.0, -0.1])
def test_a_share_outside_its_range_is_refused(remove):
    with pytest.raises(ConfigError, match=rf"remove must be in \[0, 1\), got {remove}"):
        EfficientVideoSampling(remove=remove)
