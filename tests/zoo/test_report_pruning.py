"""Pictures of what pruners left: pixel by pixel, and in the report of a run."""

import json

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger
from PIL import Image

from zoo.callbacks import RunReport
from zoo.callbacks.pruning_pictures import kept_patches, pruners_text
from zoo.datamodules.shards import ShardDataModule
from zoo.frames import Frames
from zoo.layout import TokenLayout
from zoo.model import TrunkPass
from zoo.pruner import Site
from zoo.pruning.none import NoPruner
from zoo.pruning.random import RandomPruner
from zoo.pruning_pass import PruningPass
from zoo.report import write_report
from zoo.report.pruning import (
    DROPPED,
    KEPT,
    LINE_COLOUR,
    MAX_SHEET_FRAMES,
    MERGED,
    NO_SCORE_COLOUR,
    KeptPatches,
    curves_of,
    heat_map,
    outline,
    overlay,
    score_limits,
    sheet,
    spread,
    summary,
    video,
)
from zoo.shards.decode import decode_video
from zoo.shards.encode import encode_jpg, encode_mp4
from zoo.shards.writer import ShardWriter, shard_name, write_index

NUM_FRAMES = 5


def kept(num_frames=2, **changes):
    state = np.full((num_frames, 2, 3), KEPT, np.uint8)
    state[:, 0, 1:] = DROPPED, MERGED
    counts = dict.fromkeys(("windows", "entered", "remaining"), (6,) * num_frames)
    return KeptPatches(**({"pruners": "random at pixels", "state": state, "scores": {}} | counts | changes))


def colourful(height=80, width=120):
    return np.random.default_rng(0).integers(60, 250, (height, width, 3), dtype=np.uint8)


def plain(height=80, width=120):
    return np.full((height, width, 3), 90, np.uint8)


# -- one frame ------------------------------------------------------------------------------------------------------


def test_kept_pixels_stay_as_they_are_and_others_are_dimmed():
    frame = colourful()
    picture = overlay(frame, kept().state[0])
    is_kept = np.ones((80, 120), bool)
    is_kept[:40, 40:] = False
    assert (picture[is_kept] == frame[is_kept]).all()
    dropped, merged = (slice(1, 38), slice(42, 79)), (slice(1, 38), slice(82, 119))
    grey = picture[dropped]
    assert (grey.max(-1) == grey.min(-1)).all()
    assert (grey.max(-1) < frame[dropped].max(-1)).all()
    assert picture[dropped].mean() < picture[merged].mean() < frame[merged].mean()
    assert (picture[39, 40:] == LINE_COLOUR).all()
    assert (picture[:40, 40] == LINE_COLOUR).all()
    assert frame.sum() == colourful().sum()  # what was handed in is as it was


def test_a_frame_that_was_kept_whole_or_dropped_whole_has_no_line():
    frame = colourful()
    assert (overlay(frame, np.full((2, 3), KEPT)) == frame).all()
    assert not (overlay(frame, np.full((2, 3), DROPPED)) == LINE_COLOUR).all(-1).any()


@pytest.mark.parametrize(
    ("cells", "size"), [((2, 3), (4, 6)), ((3, 3), (10, 7)), ((9, 9), (144, 143)), ((4, 4), (2, 2))]
)
def test_pixels_take_the_patch_under_their_middle(cells, size):
    patches = np.arange(cells[0] * cells[1]).reshape(cells)
    pixels = spread(patches, *size)
    for y in range(size[0]):
        for x in range(size[1]):
            assert pixels[y, x] == patches[int((y + 0.5) * cells[0] / size[0]), int((x + 0.5) * cells[1] / size[1])]


def test_a_line_runs_outside_round_a_kept_pixel():
    alone = np.zeros((5, 5), bool)
    alone[2, 2] = True
    ring = np.zeros((5, 5), bool)
    ring[1:4, 1:4] = True
    assert (outline(alone) == (ring & ~alone)).all()


def test_scores_become_colours_and_what_has_none_is_grey():
    scores = np.array([[0.0, 1.0, np.nan], [np.inf, -np.inf, 0.5]], np.float32)
    assert score_limits(scores) == (0.0, 1.0)
    picture = heat_map(scores, 20, 30, score_limits(scores))
    low, high, none = picture[5, 5], picture[5, 15], picture[5, 25]
    assert low.tolist() == [68, 1, 84]  # both ends of viridis
    assert high.tolist() == [253, 231, 36]
    assert (picture[15, 5] == high).all()
    assert (picture[15, 15] == low).all()
    assert none.tolist() in ([*NO_SCORE_COLOUR], [255, 255, 255])
    assert len(np.unique(picture[:10, 20:].reshape(-1, 3), axis=0)) == 2  # stripes


@pytest.mark.parametrize("scores", [np.full((2, 2), 7.0), np.full((2, 2), np.nan), np.full((2, 2), np.inf)])
def test_scores_without_a_range_have_a_picture(scores):
    picture = heat_map(scores, 8, 8, score_limits(scores))
    assert (picture.shape, picture.dtype) == ((8, 8, 3), np.uint8)


# -- numbers --------------------------------------------------------------------------------------------------------


def test_curves_count_windows_along_seconds():
    counts = {"times_s": [0.0, 0.5], "windows": [9, 9], "entered": [4, 2], "remaining": [4, 2]}
    assert curves_of(counts) == {"shown": [(0.0, 9), (0.5, 9)], "kept": [(0.0, 4), (0.5, 2)]}
    assert summary(counts) == "6 of 18 windows kept (33 %)"
    later = counts | {"remaining": [1, 2]}
    assert list(curves_of(later)) == ["shown", "enter the language model", "remain after its last layer"]
    assert summary(later) == "6 of 18 windows enter the language model, 3 remain after its last layer (17 %)"
    assert curves_of(later | {"entered": [9, 9]}) == {
        "enter the language model": [(0.0, 9), (0.5, 9)],
        "remain after its last layer": [(0.0, 1), (0.5, 2)],
    }


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "x",
        {},
        {"times_s": []},
        {"times_s": [0.0], "windows": [1], "entered": [1]},
        {"times_s": [0.0], "windows": [1], "entered": [1, 2], "remaining": [1]},
        {"times_s": ["0"], "windows": [1], "entered": [1], "remaining": [1]},
    ],
)
def test_counts_of_another_shape_are_left_out(tmp_path, entry):
    assert curves_of(entry) == {}
    (tmp_path / "samples.json").write_text(json.dumps({"samples": [{"key": "a", "kept": entry}]}))
    assert "What was kept" not in write_report(tmp_path).read_text()


def test_what_became_of_each_patch():
    """Two frames of 2 x 2 windows: one is merged into the first, the fourth stays, the last leaves in the language
    model, the others before."""
    frames = Frames(clip=(0, 0), time_s=(0.0, 1.0), size_px=((60, 60),) * 2, window=((3, 3),) * 2)
    whole, _ = TokenLayout.of_frames(frames, (6, 6)).pool()
    entered = whole.merge(torch.tensor([0, 0, -1, 3, -1, -1, -1, 7]))
    site = Site("connector.output")
    pruning = PruningPass(pruners=(), layouts={site: entered}, scores={site: (whole, torch.arange(8.0))})
    end = entered.keep(torch.tensor([True, True, False]))
    done = TrunkPass(
        stream=None,
        layout=end,
        vectors=None,
        window_layout=entered,
        features=None,
        position_ids=torch.zeros(0),
        pruning=pruning,
    )
    found = kept_patches(done, "by hand")
    assert found.state[:, ::3, ::3].tolist() == [[[KEPT, MERGED], [DROPPED, KEPT]], [[DROPPED] * 2] * 2]
    assert (found.state[0, :3, 3:] == MERGED).all()
    assert (found.windows, found.entered, found.remaining) == ((4, 4), (2, 1), (2, 0))
    assert found.scores["connector.output"][:, ::3, ::3].flatten().tolist() == list(range(8))


def test_pruners_are_named_as_they_are_typed():
    assert pruners_text([RandomPruner(site="llm.layer[1]"), NoPruner()]) == "random at llm.layer[1]"


# -- all frames -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("num_frames", "size"), [(7, (80, 120)), (1, (33, 47)), (3, (720, 90))])
def test_the_video_has_every_shown_frame(num_frames, size):
    frames = [plain(*size)] * num_frames
    clip = decode_video(
        video(frames, np.arange(num_frames) / 4, kept(num_frames)), lambda times_s: np.arange(len(times_s))
    )
    assert len(clip.frames) == num_frames
    assert clip.frames.shape[1] >= 360
    assert np.allclose(clip.times_s, np.arange(num_frames) / 4, atol=0.01)


@pytest.mark.parametrize(("times_s", "fps"), [([0.0, 0.0, 0.0], 2), ([0.0, 30.0, 60.0], 2), ([0.0, 0.01, 0.02], 8)])
def test_frames_follow_one_another_as_fast_as_one_can_see(times_s, fps):
    clip = decode_video(video([plain()] * 3, times_s, kept(3)), lambda times_s: np.arange(len(times_s)))
    assert np.allclose(clip.times_s, np.arange(3) / fps, atol=0.01)


def test_a_sheet_grows_with_frames_and_scores_up_to_a_limit():
    def height(count, **changes):
        return sheet([plain()] * count, np.arange(count) / 2, kept(count, **changes)).height

    scores = {"pixels": np.full((2, 2, 3), np.nan, np.float32)}
    assert height(2) == height(8) < height(2, scores=scores)
    assert height(2) < height(9)
    assert height(MAX_SHEET_FRAMES) == height(4 * MAX_SHEET_FRAMES)


def test_more_clips_are_folded_and_files_that_are_missing_or_too_large_are_named(tmp_path):
    counts = {"times_s": [0.0], "windows": [9], "entered": [4], "remaining": [4], "pruners": "<b>"}
    samples = [{"key": f"k{n}", "kept": counts | {"video": "a.mp4", "sheet": "b.png"}} for n in range(5)]
    (tmp_path / "samples.json").write_text(json.dumps({"samples": samples}))
    (tmp_path / "b.png").write_bytes(b"x" * 4_000_001)
    page = write_report(tmp_path).read_text()
    assert "2 more clips" in page
    assert page.count("&lt;b&gt;: 4 of 9 windows kept (44 %)") == 5
    assert page.count("a.mp4 is not in this folder.") == page.count("b.png is too large for this page.") == 5


# -- a run ----------------------------------------------------------------------------------------------------------


def record(key, media):
    note = {"family": "color", "question": "What color?", "answer": "red", "temporal": False}
    size = {"width": 40, "height": 40}
    video = {"num_frames": NUM_FRAMES, "fps": 4.0} if media == "mp4" else {"num_frames": 1, "fps": 1.0}
    more = {"schema": "video_qa", "version": 1, "statements": [], "meta": {}}
    return more | size | video | {"key": key, "media": media, "annotations": [note]}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A clip and an image in each split."""
    root = tmp_path_factory.mktemp("data")
    frames = np.random.default_rng(0).integers(0, 255, (NUM_FRAMES, 40, 40, 3), dtype=np.uint8)
    splits = {}
    for split in ("train", "val", "test"):
        with ShardWriter(root / split / shard_name(0)) as writer:
            writer.write(record(f"{split}/0", "mp4"), encode_mp4(frames, fps=4))
            writer.write(record(f"{split}/1", "jpg"), encode_jpg(frames[0]))
        splits[split] = [(shard_name(0), 2)]
    write_index(root, splits=splits, generator={"name": "test"})
    return root


def run(tmp_path, **arguments):
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    logger = CSVLogger(tmp_path, name="run", version=0)
    return Trainer(accelerator="cpu", devices=1, logger=logger, callbacks=[RunReport()], **quiet, **arguments)


def test_a_test_shows_what_was_kept(dataset, tmp_path, module_of):
    module = module_of(RandomPruner(remove=0.5, site="llm.layer[1]"), controls=[])
    run(tmp_path).test(module, datamodule=ShardDataModule(path=str(dataset), batch_size=2), verbose=False)
    folder = tmp_path / "run/version_0"
    clip, image = json.loads((folder / "samples.json").read_text())["samples"]
    assert "kept" not in image
    assert clip["kept"]["pruners"] == "random at llm.layer[1]"
    assert clip["kept"]["times_s"] == [0.0, 0.5, 1.0]
    assert clip["kept"]["entered"] == clip["kept"]["windows"] == [4, 4, 4]
    assert sum(clip["kept"]["remaining"]) == 6
    assert Image.open(folder / clip["kept"]["sheet"]).width > 500
    assert decode_video((folder / clip["kept"]["video"]).read_bytes(), module.processor.sampling).frames.shape[1] >= 360
    page = (folder / "report.html").read_text()
    assert "What was kept" in page
    assert "12 of 12 windows enter the language model, 6 remain after its last layer (50 %)" in page
    assert write_report(folder).read_text() == page  # without the model


def test_a_fit_shows_what_was_kept_in_its_last_validation(dataset, tmp_path, module_of):
    module = module_of(RandomPruner(remove=0.5))
    trainer = run(tmp_path, max_steps=2, num_sanity_val_steps=0)
    trainer.fit(module, datamodule=ShardDataModule(path=str(dataset), batch_size=2))
    page = (tmp_path / "run/version_0/report.html").read_text()
    assert "6 of 12 windows kept (50 %)" in page


def test_the_dense_model_shows_nothing_of_the_kind(dataset, tmp_path, module_of):
    module = module_of(NoPruner(), controls=[])
    run(tmp_path).test(module, datamodule=ShardDataModule(path=str(dataset), batch_size=2), verbose=False)
    assert "What was kept" not in (tmp_path / "run/version_0/report.html").read_text()
