import numpy as np
import pytest
import torch

from zoo.errors import DataError
from zoo.preprocessing.crops import Tiling
from zoo.preprocessing.pixels import cut, squash


def test_frames_of_the_right_size_are_left_alone():
    frames = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), dtype=np.uint8)
    assert torch.equal(squash(frames, (20, 30)), torch.from_numpy(frames).permute(0, 3, 1, 2))


def test_images_of_several_sizes_are_squashed_as_alone():
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in ((9, 40), (9, 40), (20, 30), (50, 8))]
    together = squash(images, (20, 30))
    assert together.dtype == torch.uint8
    for one, image in zip(together, images, strict=True):
        assert torch.equal(one, squash([image], (20, 30))[0])


@pytest.mark.parametrize("layout", ["together", "apart", "flipped"])
def test_half_the_size_is_what_bilinear_rounds_to(layout):
    frames = np.random.default_rng(0).integers(0, 256, (3, 24, 40, 3), dtype=np.uint8)
    # Sums of four: 0, 1020, and 2 and 6, whose quarters are halves.
    frames[0, :2, :8, 0] = [[0, 0, 255, 255, 1, 0, 3, 3], [0, 0, 255, 255, 1, 0, 0, 0]]
    given = {"together": frames, "apart": list(frames), "flipped": frames[:, ::-1, ::-1]}[layout]
    pixels = torch.from_numpy(np.stack(list(given))).permute(0, 3, 1, 2).float()
    expected = torch.nn.functional.interpolate(pixels, size=(12, 20), mode="bilinear").round().to(torch.uint8)
    assert torch.equal(squash(given, (12, 20)), expected)


def test_nothing_is_squashed_to_nothing():
    assert squash((), (4, 6)).shape == (0, 3, 4, 6)


def test_neighbouring_crops_share_their_margins():
    image = np.random.default_rng(0).integers(0, 256, (61, 83, 3), dtype=np.uint8)
    tiling, grid, crop_px = Tiling(2, 3, (1, 2)), (6, 6), (24, 24)
    crops = cut(image, tiling, grid, crop_px)
    assert crops.shape == (7, 3, 24, 24)
    assert torch.equal(crops[0], squash([image], crop_px)[0])
    tiles = crops[1:].view(2, 3, 3, 24, 24)
    assert torch.equal(tiles[:, :-1, :, :, 12:], tiles[:, 1:, :, :, :12])  # margins of 3 patches of 4 pixels
    assert torch.equal(tiles[:-1, :, :, 12:], tiles[1:, :, :, :12])


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (np.zeros((0, 5, 3), np.uint8), "picture 2 is 5 x 0 pixels and shows nothing"),
        (np.zeros((5, 5), np.uint8), r"picture 2 is \(5, 5\) uint8, expected"),
        (np.zeros((5, 5, 4), np.uint8), "expected"),
        (np.zeros((5, 5, 3), np.float32), "float32, expected"),
    ],
)
def test_what_is_no_picture_is_named(frame, match):
    with pytest.raises(DataError, match=match):
        squash([np.zeros((5, 5, 3), np.uint8), frame], (4, 4))
