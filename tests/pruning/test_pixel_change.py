import torch

from zoo.frames import Frames
from zoo.layout import TokenLayout
from zoo.preprocessing.crops import Tiling
from zoo.pruning.pixel_change import frame_before, patch_change, window_change

INF = float("inf")


def frames_of(clip: tuple[int, ...], **options: object) -> Frames:
    count = len(clip)
    return Frames(
        **{"clip": clip, "time_s": (0.0,) * count, "size_px": ((24, 24),) * count, "window": ((3, 3),) * count}
        | options
    )


def test_the_frame_before_lies_in_the_same_video():
    frames = frames_of((0, 0, 0, 1, 2, 2, 3, 3), is_video=(True,) * 4 + (False,) * 2 + (True,) * 2)
    assert frame_before(TokenLayout.of_frames(frames, (6, 6))).tolist() == [-1, 0, 1, -1, -1, -1, -1, 6]


def test_the_frame_before_is_one_that_is_still_there():
    layout = TokenLayout.of_frames(frames_of((0, 0, 0, 0, 1, 1)), (6, 6))
    alive = layout.keep(~torch.isin(layout.frame_of_token, torch.tensor([1, 2, 4])))
    before = frame_before(alive).tolist()
    assert (before[0], before[3]) == (-1, 0)
    assert before[5] == -1  # what is alive before it is another clip


def test_a_patch_is_compared_over_its_own_pixels_and_channels():
    pixels = torch.zeros(2, 3, 4, 4)
    pixels[1, 0, 0, 0] = 1.2  # one of twelve numbers of the first patch
    pixels[1, 1, 3, 3] = -2.4
    change = patch_change(pixels, torch.tensor([-1, 0]), (2, 2))
    assert torch.isinf(change[0]).all()
    torch.testing.assert_close(change[1], torch.tensor([[0.1, 0.0], [0.0, 0.2]]))
    assert pixels[1].sum() == torch.tensor(1.2) - torch.tensor(2.4)  # the view's pixels stay as they were


def test_pixels_beyond_the_last_whole_patch_belong_to_none():
    pixels = torch.zeros(2, 3, 7, 5)  # patches of 2 x 2 on a grid of 3 x 2
    pixels[1, :, 6] = pixels[1, :, :, 4] = 9.0
    assert patch_change(pixels, torch.tensor([-1, 0]), (3, 2))[1].abs().max() == 0


def test_half_precision_is_compared_in_float32():
    pixels = torch.full((2, 3, 2, 2), 1.0, dtype=torch.bfloat16)
    pixels[1] = 1.0078125  # the next number that bfloat16 has
    assert patch_change(pixels, torch.tensor([-1, 0]), (1, 1))[1].item() == 0.0078125


def test_a_window_is_the_mean_of_its_patches_also_where_it_is_cut_off_or_dead():
    layout = TokenLayout.of_frames(frames_of((0, 0)), (4, 3))  # padded to 6 x 3: windows of 6 and of 6 patches
    change = torch.arange(24.0).view(2, 4, 3)
    half = layout.keep(torch.arange(24) % 2 == 0)
    expected = []
    for frame in range(2):
        for window in range(2):
            mine = [change[frame, r, c].item() for r in range(4) for c in range(3) if (r + 1) // 3 == window]
            expected.append(sum(mine) / len(mine))
    assert window_change(change, layout).tolist() == expected
    assert window_change(change, half).tolist() == expected


def test_margins_of_tiles_count_for_no_window():
    tiling = Tiling(1, 2, (1, 1))
    frames = frames_of((0, 0, 0, 1, 1), tile=(None, *tiling.tiles(), None, None), is_video=(False,) * 3 + (True,) * 2)
    layout = TokenLayout.of_frames(frames, (6, 6))
    change = torch.full((5, 6, 6), INF)
    change[4] = 0.5
    windows = window_change(change, layout)
    assert windows.shape == (layout.num_windows,)
    assert windows[-4:].tolist() == [0.5] * 4
    assert torch.isinf(windows[:-4]).all()
