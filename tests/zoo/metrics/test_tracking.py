"""Hand-computed cases are on discs of radius 4; golden numbers are TrackEval's (make_golden.py)."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import disc_scene

from zoo.metrics import track_scores
from zoo.metrics.tracking import evaluation_frames, hota
from zoo.points import Point

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())["hota"]
GONE = (np.nan, np.nan)

# Two objects stand still for four seconds, the second is hidden in the last.
CENTRES = [[(10, 10), (40, 10)]] * 3 + [[(10, 10), GONE]]
KEYS = (0.0, 1.0, 2.0, 3.0)


@pytest.fixture
def scene():
    return disc_scene(CENTRES, keys=KEYS)


@pytest.mark.parametrize("case", GOLDEN)
def test_hota_is_trackevals(case):
    tracks = {
        name: [np.asarray(frame, bool if name == "similarity" else int) for frame in frames]
        for name, frames in case["tracks"].items()
    }
    shapes = [(len(a), len(b)) for a, b in zip(tracks["true_ids"], tracks["predicted_ids"], strict=True)]
    tracks["similarity"] = [s.reshape(shape) for s, shape in zip(tracks["similarity"], shapes, strict=True)]
    assert hota(**tracks) == pytest.approx(case["scores"], abs=1e-12)


def test_the_truth_is_perfect_whatever_its_ids(scene):
    masks, true = scene
    renamed = [point._replace(object_id=7 - point.object_id) for point in true]
    assert set(track_scores(renamed, true, masks).scores.values()) == {1.0}


def test_means_are_over_frames_in_which_anything_is_or_is_said(scene):
    masks, true = scene
    # Only the first object, in the first two seconds, and at 5 s, when there is nothing:
    # frames 0, 1: precision 1, recall 1/2, F1 2/3; frames 2, 3: all 0, nothing said; 5 s: all 0, nothing there.
    predicted = [Point(0.0, 1, 10, 10), Point(1.0, 1, 11, 10), Point(5.0, 1, 10, 10)]
    scores = track_scores(predicted, true, masks).scores
    assert scores["precision"] == pytest.approx(2 / 5)
    assert scores["recall"] == pytest.approx(1 / 5)
    assert scores["f1"] == pytest.approx(2 * (2 / 3) / 5)
    # 2 hits, 7 true points, 3 predicted: DetA = 2 / (7 + 3 - 2); object 0 has 4 points, the track 3, 2 of them shared.
    assert scores["det_a"] == pytest.approx(2 / 8)
    assert scores["ass_a"] == pytest.approx(2 / (4 + 3 - 2))
    assert scores["hota"] == pytest.approx((2 / 8 * 2 / 5) ** 0.5)


def test_an_identity_switch_costs_association_and_nothing_else():
    masks, true = disc_scene([[(10, 10), (40, 10)]] * 4, keys=KEYS)
    swapped = [point._replace(object_id=1 - point.object_id) if point.key > 1 else point for point in true]
    scores = track_scores(swapped, true, masks).scores
    assert [scores[name] for name in ("precision", "recall", "f1", "det_a")] == [1.0] * 4
    # Each of four pairs (object, track) shares 2 frames of 4 + 4 - 2.
    assert scores["ass_a"] == pytest.approx(2 / 6)


def test_without_tracks_silence_is_right(scene):
    masks, true = scene
    assert set(track_scores([], [], masks).scores.values()) == {1.0}
    assert set(track_scores([], true, masks).scores.values()) == {0.0}
    assert set(track_scores(true, [], masks).scores.values()) == {0.0}


def test_an_answer_at_two_frames_a_second_is_compared_at_one():
    keys = tuple(np.arange(7) / 2)
    masks, true = disc_scene([[(10 + 4 * frame, 10)] for frame in range(7)], keys=keys)
    wrong_between = [p if p.key % 1 == 0 else p._replace(x_px=60.0, y_px=40.0) for p in true]
    assert track_scores(wrong_between, true, masks, fps=1.0).scores["hota"] == 1.0
    # Three of seven points are wrong: hits 4, and 4 / (7 + 7 - 4) both ways.
    scores = track_scores(wrong_between, true, masks, fps=None).scores
    assert scores["f1"] == pytest.approx(4 / 7)
    assert scores["hota"] == pytest.approx(4 / 10)


def test_times_that_no_frame_has_are_wrong_where_all_frames_count(scene):
    masks, true = scene
    stray = [*true, Point(0.4, 0, 10, 10), Point(0.4, 1, 40, 10)]
    assert track_scores(stray, true, masks, fps=1.0).scores["f1"] == 1.0  # 0.4 s is no whole second
    assert track_scores(stray, true, masks, fps=None).scores["f1"] == pytest.approx(4 / 5)  # a fifth frame, all wrong


def test_of_a_repeated_id_the_first_point_counts(scene):
    masks, true = scene
    doubled = [*true, *(point._replace(x_px=60.0) for point in true)]
    assert set(track_scores(doubled, true, masks).scores.values()) == {1.0}


def test_found_objects_are_tallied_by_size(scene):
    masks, true = scene
    tallies = track_scores([point for point in true if point.object_id == 0], true, masks).tallies
    assert tallies["recall/mask_size/0-8 px"] == (4, 7)
    assert tallies["hota/count/0-5"][1] == 1


def test_each_step_takes_its_nearest_frame():
    masks, _ = disc_scene([[(10, 10)]] * 5, keys=(0.0, 0.97, 1.01, 1.04, 2.2))
    assert evaluation_frames(masks, 1.0) == {0: 0, 1: 2}  # nothing is near enough to 2 s
    assert evaluation_frames(masks, None) == {frame: frame for frame in range(5)}


def test_a_rate_is_above_zero(scene):
    with pytest.raises(ValueError, match="fps must be above 0, got 0"):
        track_scores([], [], scene[0], fps=0)


@given(
    st.lists(
        st.tuples(st.sampled_from(KEYS), st.integers(0, 3), st.integers(0, 63), st.integers(0, 47)),
        max_size=12,
        unique_by=lambda point: point[:2],
    ),
    st.permutations(range(4)),
    st.randoms(use_true_random=False),
)
def test_names_of_tracks_mean_nothing_and_a_stray_track_never_helps(points, names, random):
    masks, true = disc_scene(CENTRES, keys=KEYS)
    predicted = [Point(*point) for point in points]
    scores = track_scores(predicted, true, masks).scores
    assert all(0 <= score <= 1 for score in scores.values())
    renamed = [point._replace(object_id=names[point.object_id]) for point in predicted]
    # Two points in one object are told apart by their order where all else is equal, so they stay in it.
    again = track_scores(renamed, true, masks).scores
    if all(len({p for p in predicted if p.key == key and abs(p.x_px - x) < 15}) <= 1 for key in KEYS for x in (10, 40)):
        assert again == pytest.approx(scores)
        shuffled = random.sample(predicted, len(predicted))
        assert track_scores(shuffled, true, masks).scores == pytest.approx(scores)
        stray = [*predicted, Point(0.0, 99, 63, 47)]
        assert track_scores(stray, true, masks).scores["hota"] <= scores["hota"] + 1e-12
