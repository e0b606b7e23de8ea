import pytest
import torch

from tests.fakes.layouts import layout_of_clips
from zoo.errors import ConfigError
from zoo.layout import TokenLayout
from zoo.pruner import AtMostAll, RemoveShare, Selection, SiteView
from zoo.pruning.rlt import RunLengthTokenization

GRID, WINDOW, PATCH = (6, 6), (3, 3), 4


def select(layout: TokenLayout, pixels: torch.Tensor, **arguments: object) -> Selection:
    pruner = RunLengthTokenization(**arguments)
    view = SiteView(
        site=pruner.sites()[0],
        tokens=torch.zeros(layout.num_tokens, 0),
        layout=layout,
        clip_seeds=(0,) * layout.frames.num_clips,
        training=False,
        pixels=pixels,
    )
    return pruner.select(view, {})


def random_pixels(layout: TokenLayout, seed: int) -> torch.Tensor:
    """Frames of which about half the patches stay as they were, the others change a little or a lot."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = layout.grid
    frames = [torch.randn(3, rows * PATCH, columns * PATCH, generator=generator)]
    for _ in range(len(layout.frames) - 1):
        much = torch.rand(rows, columns, generator=generator).mul(0.6).sub(0.2).clamp(min=0)
        noise = torch.randn(3, rows * PATCH, columns * PATCH, generator=generator)
        frames.append(frames[-1] + noise * much.repeat_interleave(PATCH, 0).repeat_interleave(PATCH, 1))
    return torch.stack(frames)


def literal_changes(layout: TokenLayout, pixels: torch.Tensor) -> list[float | None]:
    """Mean absolute difference of every patch to the one before, in loops; None where nothing lies before."""
    values, (rows, columns) = pixels.tolist(), layout.grid
    found: list[float | None] = []
    for frame in range(len(layout.frames)):
        for row in range(rows):
            for column in range(columns):
                if layout.frames.is_first[frame] or not layout.frames.is_video[frame]:
                    found.append(None)
                    continue
                total = 0.0
                for channel in range(3):
                    for y in range(row * PATCH, (row + 1) * PATCH):
                        for x in range(column * PATCH, (column + 1) * PATCH):
                            total += abs(values[frame][channel][y][x] - values[frame - 1][channel][y][x])
                found.append(total / (3 * PATCH * PATCH))
    return found


def literal_windows(layout: TokenLayout, changes: list[float | None]) -> list[float | None]:
    """Mean of the patches of every window."""
    found: list[float | None] = []
    for window in range(layout.num_windows):
        mine = [c for c, own in zip(changes, layout.windows.tolist(), strict=True) if own == window]
        found.append(None if mine[0] is None else sum(mine) / len(mine))
    return found


CASES = [((3, 2), ()), ((4, 1, 3), ()), ((1,), ()), ((2, 1, 3), (1,)), ((3, 3), (0,))]


@pytest.mark.parametrize(("lengths", "images"), CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_single_patches_leave_as_in_the_paper(lengths, images, seed):
    layout = layout_of_clips(*lengths, images=images)
    pixels = random_pixels(layout, seed)
    keep = select(layout, pixels, threshold=0.1, unit="patch").keep
    changes = literal_changes(layout, pixels)
    assert keep.tolist() == [change is None or change > 0.1 for change in changes]
    if any(c is not None for c in changes):
        assert 0 < int((~keep).sum()) < sum(c is not None for c in changes)  # the case decides something


@pytest.mark.parametrize(("lengths", "images"), CASES)
@pytest.mark.parametrize("grid", [GRID, (7, 5)])
def test_whole_windows_leave_by_their_mean(lengths, images, grid):
    layout = layout_of_clips(*lengths, images=images, grid=grid)
    pixels = random_pixels(layout, 2)
    windows = literal_windows(layout, literal_changes(layout, pixels))
    keep = select(layout, pixels, threshold=0.12).keep
    assert keep.tolist() == [windows[w] is None or windows[w] > 0.12 for w in layout.windows.tolist()]


@pytest.mark.parametrize(("lengths", "images"), CASES)
@pytest.mark.parametrize("remove", [0.0, 0.3, 0.5, 0.95])
def test_the_share_that_changed_least_leaves(lengths, images, remove):
    layout = layout_of_clips(*lengths, images=images)
    pixels = random_pixels(layout, 3)
    windows = literal_windows(layout, literal_changes(layout, pixels))
    gone = set()
    for clip in range(len(lengths)):
        mine = [w for w, own in enumerate(layout.clip_of_window.tolist()) if own == clip and windows[w] is not None]
        number = min(int(remove * 4 * lengths[clip]), len(mine))
        gone |= set(sorted(mine, key=lambda w: windows[w])[:number])
    keep = select(layout, pixels, remove=remove).keep
    assert {w for w, k in zip(layout.windows.tolist(), keep.tolist(), strict=True) if not k} == gone


def test_the_patch_that_changes_too_little_by_a_hair_leaves():
    layout = layout_of_clips(2)
    pixels = torch.zeros(2, 3, 24, 24)
    pixels[1, :, :PATCH, :PATCH] = 0.125  # exact in float32: at most the threshold
    pixels[1, :, :PATCH, PATCH : 2 * PATCH] = 0.1328125
    keep = select(layout, pixels, threshold=0.125, unit="patch").keep
    assert keep[36:].nonzero().flatten().tolist() == [1]


def test_a_window_is_gone_when_all_its_patches_are():
    layout = layout_of_clips(3)
    pixels = torch.zeros(3, 3, 24, 24)
    pixels[1, :, 0, 0] = 99.0  # one patch of one window, there and back again
    after = select(layout, pixels, threshold=0.1, unit="patch").layout_after(layout)
    assert after.tokens_per_frame == (36, 1, 1)
    assert after.pool()[0].window_of_token.tolist() == [0, 1, 2, 3, 4, 8]


@pytest.mark.parametrize("unit", ["window", "patch"])
def test_a_still_clip_keeps_its_first_frame_only(unit):
    layout = layout_of_clips(3, 2)
    pixels = torch.randn(1, 3, 24, 24).expand(5, -1, -1, -1)
    keep = select(layout, pixels, threshold=0.0, unit=unit).keep
    assert layout.frame_of_token[keep].unique().tolist() == [0, 3]
    assert int(keep.sum()) == 72


def test_in_a_still_clip_the_share_is_met_and_the_later_windows_leave():
    layout = layout_of_clips(3, 2)
    selection = select(layout, torch.ones(5, 3, 24, 24), remove=0.5)
    kept = selection.layout_after(layout).pool()[0].window_of_token.tolist()
    assert kept == [*range(6), *range(12, 16)]
    assert torch.isfinite(selection.scores).all()


def test_the_one_window_that_changes_stays():
    layout = layout_of_clips(4)
    pixels = torch.zeros(4, 3, 24, 24)
    pixels[2:, :, 12:, :12] = 1.0  # lower left window, from the third frame on
    selection = select(layout, pixels, remove=0.6875)  # 11 of 16
    assert selection.layout_after(layout).pool()[0].window_of_token.tolist() == [0, 1, 2, 3, 10]
    by_threshold = select(layout, pixels, threshold=0.1)
    assert by_threshold.layout_after(layout).pool()[0].window_of_token.tolist() == [0, 1, 2, 3, 10]


def test_the_budget_is_exact_only_without_a_threshold():
    assert RunLengthTokenization(remove=0.3).budget() == RemoveShare(0.3, protect_first_frame=True)
    assert RunLengthTokenization(threshold=0.1).budget() == AtMostAll()


@pytest.mark.parametrize("unit", ["window", "patch"])
def test_a_count_that_depends_on_content_runs_in_a_trunk(unit, module_of, batch_of):
    module = module_of(RunLengthTokenization(threshold=0.5, unit=unit))
    batch = batch_of(module)
    batch.pixels[1] = batch.pixels[0]  # the second of three frames repeats the first
    with torch.no_grad():
        done = module.model.run(batch)
    assert done.window_layout.tokens_per_frame[1] == 0
    assert torch.isfinite(done.stream.states).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"remove": 1.0}, r"remove must be in \[0, 1\), got 1.0"),
        ({"threshold": -0.1}, "rlt: threshold is -0.1; use 0 or more"),
        ({"threshold": float("nan")}, "rlt: threshold is nan; use 0 or more"),
        ({"unit": "patch"}, "rlt: unit 'patch' without a threshold"),
        ({"unit": "tubelet"}, "rlt: unit is 'tubelet'; use window or patch"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        RunLengthTokenization(**arguments)
