"""Pictures, numbered actions and padding, from episodes made by hand."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from recorded_episodes import CAMERAS, arrays, episode_files, record

from zoo.envs.robots.ring_body import EmbodimentParams, RingCamera
from zoo.errors import ConfigError, DataError
from zoo.policy_batch import NO_TIME
from zoo.policy_head import IGNORED
from zoo.policy_processor import PolicyProcessor, padded_to_square
from zoo.policy_trunk import IN_HAND_PADDING, ActionIds
from zoo.shards.policy_episode import MISSING_BOX, EpisodeFault, PolicyEpisode

IDS = ActionIds(num_actions=20, start=20, padding=21)
RING_IDS = ActionIds(num_actions=20, start=21, padding=20)


def processor(**changes):
    return PolicyProcessor(
        **({"cameras": CAMERAS, "image_size": (8, 12), "action_ids": IDS, "boxes_per_camera": 2} | changes)
    )


def pictures(time, height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (time, height, width, 3), dtype=np.uint8)


def example(num_steps, steps, *, of=None, **arguments):
    of = of or processor()
    episode = PolicyEpisode(record("k", num_steps), arrays(num_steps), {})
    steps = np.asarray(steps)
    frames = of.frames({name: pictures(len(steps), 8, 12) for name in CAMERAS})
    return of.example(episode, steps=steps, frames=frames, goal="go", **arguments)


def test_pictures_of_the_encoder_s_size_are_not_touched():
    clips = {"manipulation": pictures(3, 8, 12), "navigation": pictures(3, 8, 12, seed=1), "third": pictures(2, 4, 4)}
    frames = processor().frames(clips)
    assert frames.shape == (3, 2, 3, 8, 12)
    for place, name in enumerate(CAMERAS):
        np.testing.assert_array_equal(frames[:, place].permute(0, 2, 3, 1).numpy(), clips[name])


def test_resizing_is_pillow_s_bicubic():
    clip = pictures(2, 36, 64)
    frames = processor(image_size=(25, 30)).frames({"navigation": clip})
    for ours, theirs in zip(frames[:, 1], clip, strict=True):
        expected = np.asarray(Image.fromarray(theirs).resize((30, 25), Image.Resampling.BICUBIC)).astype(int)
        # Weights are whole numbers of other sizes: single pixels round to a neighbour.
        assert np.abs(ours.permute(1, 2, 0).numpy() - expected).max() <= 2


def test_a_camera_that_is_not_there_is_black():
    frames = processor().frames({"navigation": pictures(2, 16, 24)})
    assert not frames[:, 0].any()
    assert frames[:, 1].any()


def test_the_same_picture_alone_and_in_a_clip():
    """A policy acts on one picture at a time, and learns from clips."""
    clip = pictures(4, 36, 64)
    made = processor()
    whole = made.frames({"navigation": clip})
    for step in range(4):
        assert torch.equal(made.frames({"navigation": clip[step : step + 1]})[0], whole[step])


def test_an_expert_s_action_that_the_head_never_chooses_is_a_fault_of_the_episode():
    def check(*actions):
        made = PolicyEpisode(record("k", 3), arrays(3, actions=actions), {})
        processor(choosable=(0, 1, 2, 4)).check(made, where="a.tar: sample")

    check(0, 2, 4)
    with pytest.raises(EpisodeFault, match=r"a\.tar: sample 'k': the expert of .* takes sub_done, which") as caught:
        check(0, 5, 4)
    assert caught.value.reason == "unknown_action"


def test_an_episode_whose_body_nobody_described_is_a_fault_where_the_policy_is_told_of_it():
    made = record("k", 3)
    wants, does_not = processor(knows_body=True), processor()
    does_not.check(PolicyEpisode(made | {"embodiment": None}, arrays(3), {}))
    wants.check(PolicyEpisode(made | {"embodiment": [0.0] * 19}, arrays(3), {}))
    with pytest.raises(EpisodeFault, match="sample 'k': nothing describes the body of stretch") as caught:
        wants.check(PolicyEpisode(made | {"embodiment": None}, arrays(3), {}))
    assert caught.value.reason == "unknown_body"


def test_a_body_in_a_mirror():
    """Cameras and pivot on the right are on the left, and the second camera looks to the other side."""
    body = EmbodimentParams(
        size_m=(0.3, 1.0, 0.4),
        pivot_m=(0.1, 0.05),
        cameras=(
            RingCamera(x_m=0.02, y_m=0.9, z_m=0.1, pitch_deg=5, fovy_deg=60),
            RingCamera(x_m=-0.03, y_m=0.8, pitch_deg=7, yaw_deg=90, fovy_deg=50),
        ),
    )
    first, second = body.cameras
    mirrored = replace(
        body,
        pivot_m=(-0.1, 0.05),
        cameras=(replace(first, x_m=-0.02), replace(second, x_m=0.03, yaw_deg=270)),
    )
    episode = PolicyEpisode(record("k", 3) | {"embodiment": body.vector().tolist()}, arrays(3), {})
    for is_mirrored, expected in ((False, body), (True, mirrored)):
        made = window_of(episode, is_mirrored=is_mirrored).embodiment
        np.testing.assert_allclose(made.numpy(), expected.vector())


def shown_episode(num_steps, *, task_type="object_nav_type"):
    """Of two cameras, of which the second shows the second category in one corner."""
    made = record("k", num_steps) | {"categories": ["bed.n.01", "sink.n.01"]}
    made["goal_spec"] = {"task_type": task_type, "synsets": ["sink.n.01"]}
    cells = np.zeros((num_steps, 2, 8, 14), np.uint32)
    cells[:, 1, 0, 13] = 2
    return PolicyEpisode(made, arrays(num_steps) | {"shows": cells}, {})


def window_of(episode, of=None, **arguments):
    of = of or processor()
    frames = of.frames({name: pictures(3, 8, 12) for name in CAMERAS})
    return of.example(episode, steps=np.arange(3), frames=frames, goal="go", **arguments)


def test_what_pictures_show_comes_along_with_the_category_that_is_asked_for():
    made = window_of(shown_episode(3))
    assert (made.categories, made.category) == (("bed.n.01", "sink.n.01"), "sink.n.01")
    assert made.shows.sum((2, 3)).tolist() == [[0, 2]] * 3
    assert window_of(shown_episode(3, task_type="object_nav_room")).category is None
    one_camera = window_of(shown_episode(3), of=processor(cameras=CAMERAS[1:]))
    assert one_camera.shows.shape == (3, 1, 8, 14)
    assert one_camera.shows[:, 0, 0, 13].tolist() == [2] * 3
    assert window_of(shown_episode(3), of=processor(crop_columns=2)).shows is None


def test_a_batch_says_what_it_shows_where_all_its_rows_do():
    of, shown = processor(), window_of(shown_episode(3))
    short = of.collate([shown, window_of(shown_episode(3), seed=1)])
    assert short.shows.shape == (2, 3, 2, 8, 14)
    assert short.category == ("sink.n.01",) * 2
    mixed = of.collate([shown, example(5, range(5))])
    assert (mixed.shows, mixed.categories, mixed.category) == (None, (), ())


def test_in_a_mirror_left_is_right():
    plain, mirrored = window_of(shown_episode(3)), window_of(shown_episode(3), is_mirrored=True)
    assert torch.equal(mirrored.frames, plain.frames.flip(-1))
    assert torch.equal(mirrored.shows, plain.shows.flip(-1))
    turned = {1: 2, 2: 1, 6: 7, 7: 6}
    for ours, theirs in ((mirrored.actions, plain.actions), (mirrored.previous_actions, plain.previous_actions)):
        assert ours.tolist() == [turned.get(action, action) for action in theirs.tolist()]
    there = plain.boxes[..., 4] > MISSING_BOX[4]
    widths = torch.tensor([camera["width"] for camera in shown_episode(3).record["cameras"]])[:, None]
    assert torch.equal(mirrored.boxes[there][:, 4], plain.boxes[there][:, 4])
    assert torch.equal(mirrored.boxes[..., 0][there], (widths - 1 - plain.boxes[..., 2])[there])
    assert torch.equal(mirrored.boxes[~there], plain.boxes[~there])
    assert there.any()


def test_columns_are_cut_off_both_sides():
    clip = pictures(1, 8, 18)
    frames = processor(crop_columns=3).frames({"navigation": clip})
    np.testing.assert_array_equal(frames[0, 1].permute(1, 2, 0).numpy(), clip[0, :, 3:15])


@given(height=st.integers(1, 9), width=st.integers(1, 9))
def test_padding_to_a_square_keeps_the_picture_in_the_middle(height, width):
    clip = np.full((1, height, width, 3), 7, np.uint8)
    square = padded_to_square(clip)
    side = max(height, width)
    assert square.shape == (1, side, side, 3)
    assert square.sum() == clip.sum()
    rows, columns = np.flatnonzero(square[0, :, :, 0].any(1)), np.flatnonzero(square[0, :, :, 0].any(0))
    assert abs(rows[0] - (side - 1 - rows[-1])) <= 1
    assert abs(columns[0] - (side - 1 - columns[-1])) <= 1


def test_padded_pictures_are_squares_of_the_encoder_s_size():
    clip = np.full((1, 4, 8, 3), 200, np.uint8)
    frames = processor(image_size=(8, 8), resize="pad").frames({"navigation": clip})[0, 1]
    assert (frames[:, 2:6] == 200).all()
    assert not frames[:, :2].any()
    assert not frames[:, 6:].any()


@pytest.mark.parametrize("ids", [IDS, RING_IDS])
def test_previous_actions_are_the_actions_one_step_earlier(ids):
    made = example(6, range(6), of=processor(action_ids=ids))
    assert made.actions.tolist() == [0, 1, 2, 3, 0, 4]
    assert made.previous_actions.tolist() == [ids.start, 0, 1, 2, 3, 0]
    assert made.time_ids.tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("ids", [IDS, RING_IDS])
def test_an_action_without_effect_is_numbered_as_blocked_where_that_is_told(ids):
    episode = PolicyEpisode(record("k", 6), arrays(6) | {"action_success": np.array([1, 0, 1, 1, 0, 0], bool)}, {})

    def previous(action_ids, **arguments):
        of = processor(action_ids=action_ids)
        frames = of.frames({name: pictures(6, 8, 12) for name in CAMERAS})
        made = of.example(episode, steps=np.arange(6), frames=frames, goal="go", **arguments)
        return made.previous_actions.tolist()

    assert previous(ids) == [ids.start, 0, 1, 2, 3, 0]
    assert previous(ids.telling(blocked=True)) == [ids.start, 0, 22, 2, 3, 22]
    assert previous(ids.telling(blocked=True), is_mirrored=True) == [ids.start, 0, 22, 1, 3, 22]


def test_a_window_knows_what_was_before_it():
    made = example(9, [2, 4, 5], time_offset=100, seed=3)
    assert made.actions.tolist() == [2, 0, 1]
    assert made.previous_actions.tolist() == [1, 3, 0]  # of the episode, not of the window
    assert made.time_ids.tolist() == [102, 104, 105]
    assert made.in_hand.tolist() == [0, 0, 1]
    assert made.seed == 3
    assert made.boxes[:, 0, 0, 0].tolist() == [2.0, 4.0, 5.0]
    assert made.boxes[:, 1, 0, 0].tolist() == [3.0, 5.0, 6.0]  # of the second camera
    assert made.boxes[0, 0, 1].tolist() == list(MISSING_BOX)
    assert made.embodiment.isnan().all()


def test_boxes_of_a_camera_that_was_not_recorded_are_missing():
    episode = PolicyEpisode(record("k", 3, cameras=("navigation",)), arrays(3, cameras=("navigation",)), {})
    of = processor(boxes_per_camera=1)
    frames = of.frames({"navigation": pictures(3, 8, 12)})
    made = of.example(episode, steps=np.arange(3), frames=frames, goal="go")
    assert made.boxes.shape == (3, 2, 1, 5)
    assert made.boxes[:, 0, 0].tolist() == [list(MISSING_BOX)] * 3
    assert made.boxes[:, 1, 0, 0].tolist() == [0.0, 1.0, 2.0]


def test_a_body_s_numbers_come_along():
    numbers = [float(number) for number in range(19)]
    made, _, columns = episode_files("k", 2, embodiment=numbers)
    of = processor()
    frames = of.frames({"navigation": pictures(2, 8, 12)})
    shown = of.example(PolicyEpisode(made, columns, {}), steps=np.arange(2), frames=frames, goal="go")
    assert shown.embodiment.tolist() == numbers


def test_collating_pads_behind_the_last_step():
    of = processor(action_ids=RING_IDS)
    batch = of.collate([example(5, range(4), of=of, seed=8), example(5, [3, 4], of=of, seed=9)])
    assert batch.valid_mask.tolist() == [[True] * 4, [True, True, False, False]]
    assert batch.actions[1].tolist() == [3, 4, IGNORED, IGNORED]
    assert batch.previous_actions[1].tolist() == [2, 3, RING_IDS.padding, RING_IDS.padding]
    assert batch.time_ids[1].tolist() == [3, 4, NO_TIME, NO_TIME]
    assert batch.in_hand[1].tolist() == [1, 0, IN_HAND_PADDING, IN_HAND_PADDING]
    assert (batch.boxes[1, 2:] == torch.tensor(MISSING_BOX)).all()
    assert not batch.frames[1, 2:].any()
    assert batch.frames[1, :2].any()
    assert batch.seeds == (8, 9)
    assert batch.frames.flatten(0, 2).is_contiguous(memory_format=torch.channels_last)


def test_a_processor_survives_the_way_to_a_worker():
    assert pickle.loads(pickle.dumps(processor())) == processor()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"cameras": ("navigation", "manipulation")},
            "in order: .'manipulation', 'navigation'",
        ),
        ({"cameras": ()}, r"cameras \[\]"),
        ({"image_size": (0, 8)}, r"image_size \(0, 8\)"),
        ({"boxes_per_camera": 3}, "boxes_per_camera 3, expected 0 to 2"),
        ({"resize": "crop"}, "resize 'crop', expected one of bicubic, pad"),
        ({"crop_columns": -1}, "crop_columns -1"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        processor(**changes)


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ({}, "pictures of no camera; this policy looks through manipulation, navigation"),
        ({"head": pictures(1, 8, 12)}, "pictures of head; this policy"),
        ({"navigation": pictures(1, 8, 12)[0]}, r"pictures of navigation are \(8, 12, 3\) uint8"),
        ({"navigation": pictures(1, 8, 12).astype(float)}, "float64, expected"),
        ({"navigation": pictures(1, 8, 12)[:0]}, r"are \(0, 8, 12, 3\)"),
        (
            {"navigation": pictures(2, 8, 12), "manipulation": pictures(3, 8, 12)},
            "3 of manipulation, 2 of navigation",
        ),
    ],
)
def test_pictures_that_are_none_are_refused(clips, message):
    with pytest.raises(DataError, match=message):
        processor().frames(clips)


def test_a_picture_that_is_all_cut_off_is_refused():
    with pytest.raises(DataError, match="12 columns; 6 are cut off each side"):
        processor(crop_columns=6).frames({"navigation": pictures(1, 8, 12)})
