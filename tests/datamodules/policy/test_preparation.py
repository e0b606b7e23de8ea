"""From stored episodes to windows: what is shown, said and drawn, and what is refused."""

import numpy as np
import pytest
from recorded_episodes import CAMERAS, GOAL, SPECIFICATION, arrays, record, steps_shown, video, write_episodes

from zoo.datamodules.policy.preparation import WindowPreparation, spoken_goal, window_pictures
from zoo.datamodules.policy.reading import RejectionCounter
from zoo.datamodules.policy.windows import WindowRule
from zoo.goal_texts import GO_TO
from zoo.shards.policy_episode import EpisodeFault, PolicyEpisode, check_policy_record
from zoo.shards.reader import Sample, read_shard


def preparation(processor, *, training=True, policy="skip", **changes):
    return WindowPreparation(
        **{
            "processor": processor,
            "rule": WindowRule(length=5),
            "faults": RejectionCounter(policy),
            "seed": 3,
            "epoch": 0,
            "training": training,
        }
        | changes
    )


def samples_of(root, split="train"):
    paths = sorted((root / split).glob("*.tar"))
    return [sample for path in paths for sample in read_shard(path, check=check_policy_record)]


def episode(num_steps=6, **changes):
    return PolicyEpisode(record("k", num_steps, **changes), arrays(num_steps), dict.fromkeys(CAMERAS, video(num_steps)))


def test_pictures_sensors_and_actions_are_of_the_same_steps(walks, window_processor):
    for sample in samples_of(walks):
        made = preparation(window_processor).example(sample)
        shown = steps_shown(made.frames[:, :, 0].numpy())  # (time, cameras)
        offset = int(made.time_ids[0]) - shown[0, 0]
        assert 0 <= offset <= 1000 - len(made)
        assert (shown == shown[:, :1]).all()
        assert (made.time_ids.numpy() - offset == shown[:, 0]).all()
        assert made.boxes[:, 0, 0, 0].tolist() == shown[:, 0].tolist()
        assert made.in_hand.tolist() == (shown[:, 0] % 2).tolist()
        assert len(made) == 5


def test_evaluation_shows_true_times_and_the_recorded_goal(walks, window_processor):
    for sample in samples_of(walks, "val"):
        made = preparation(window_processor, training=False).example(sample)
        assert made.time_ids.tolist() == steps_shown(made.frames[:, 0, 0].numpy()).tolist()
        assert made.goal == GOAL


def test_whatever_is_drawn_is_drawn_anew_in_another_epoch_and_pass(walks, window_processor):
    (sample, *_) = samples_of(walks)[-1:]

    def drawn(epoch, number):
        made = preparation(window_processor, epoch=epoch).example(sample, number)
        return made.time_ids.tolist(), made.goal, made.seed

    assert drawn(0, 0) == drawn(0, 0)
    assert len({str(drawn(epoch, number)) for epoch in range(3) for number in range(3)}) == 9


def test_goals_are_worded_anew(window_processor):
    texts = {spoken_goal(episode(), np.random.default_rng(seed)) for seed in range(60)}
    assert texts == {f"{verb} a mug" for verb in GO_TO}


@pytest.mark.parametrize("spec", [{}, {"task_type": "leave_room", "room_ids": ["1"]}], ids=["none", "other_task"])
def test_a_goal_that_chores_has_no_words_for_is_said_as_recorded(spec):
    assert spoken_goal(episode(goal_spec=spec), np.random.default_rng(0)) == GOAL


def test_a_goal_that_cannot_be_worded_names_the_episode():
    with pytest.raises(EpisodeFault, match=r"sample 'k': a goal of object_nav_type needs synsets") as caught:
        spoken_goal(episode(goal_spec=SPECIFICATION | {"synsets": []}), np.random.default_rng(0))
    assert caught.value.reason == "bad_record"


def test_only_the_asked_steps_of_the_asked_cameras_are_decoded():
    pictures = window_pictures(episode(), ("navigation", "head"), np.array([1, 2, 5]))
    assert list(pictures) == ["navigation"]
    assert steps_shown(pictures["navigation"][..., 0]).tolist() == [1, 2, 5]


def test_pictures_of_another_size_than_recorded_are_refused():
    with pytest.raises(EpisodeFault, match=r"'k': camera manipulation has pictures of \(16, 24\) pixels") as caught:
        window_pictures(episode(size=(16, 32)), CAMERAS, np.arange(2))
    assert caught.value.reason == "frame_size"


def test_a_video_that_does_not_decode_is_refused():
    made = episode()
    data = bytearray(made.media["navigation"])
    begin = data.index(b"mdat") + 4
    data[begin:] = bytes(len(data) - begin)
    broken = PolicyEpisode(made.record, made.arrays, made.media | {"navigation": bytes(data)})
    with pytest.raises(EpisodeFault, match="'k': camera navigation:") as caught:
        window_pictures(broken, CAMERAS, np.arange(6))
    assert caught.value.reason == "missing_frames"


def damaged(sample, kind):
    """A copy with one fault, named as it is counted."""
    files = dict(sample.files)
    made = sample.record
    match kind:
        case "missing_frames":
            files["navigation.mp4"] = video(made["num_steps"] - 1)
        case "length_mismatch":
            files["navigation.mp4"] = video(made["num_steps"] + 1)
        case "bad_arrays":
            files["npz"] = b"no npz"
        case "bad_record":
            made = made | {"goal_spec": SPECIFICATION | {"synsets": []}}
    return Sample(sample.key, sample.shard, made, files, sample.offset)


KINDS = ("missing_frames", "length_mismatch", "bad_arrays", "bad_record")


def test_faulty_episodes_are_passed_over_and_counted_by_reason(walks, window_processor, caplog):
    good = samples_of(walks)
    mixed = [damaged(good[place], kind) for place, kind in enumerate((*KINDS, "missing_frames"))] + good[5:12]
    ready = preparation(window_processor)
    group = ready.group(((sample, 0) for sample in mixed), 6)
    assert [made.key for made in group] == [sample.key for sample in good[5:11]]
    assert ready.faults.reasons == {kind: 1 + (kind == "missing_frames") for kind in KINDS}
    assert ready.faults.summary() == (
        "rejected 5 of 11 episodes: bad_arrays 1, bad_record 1, length_mismatch 1, missing_frames 2"
    )
    assert str(mixed[0].shard) in caplog.text
    other = RejectionCounter("skip")
    other.restore(ready.faults.state())
    assert other.summary() == ready.faults.summary()


def test_the_first_faulty_episode_ends_the_work_where_that_is_asked_for(walks, window_processor):
    bad = damaged(samples_of(walks)[0], "missing_frames")
    with pytest.raises(Exception, match=r"camera navigation has 5 frames.*on_bad_sample=skip passes over it"):
        preparation(window_processor, policy="raise").group(iter([(bad, 0)]), 1)


def test_no_more_is_drawn_than_a_group_takes(walks, window_processor):
    episodes = iter([(sample, 0) for sample in samples_of(walks)])
    preparation(window_processor).group(episodes, 3)
    assert len(list(episodes)) == 24 - 3


def test_a_data_set_of_one_camera_shows_the_other_black(tmp_path, window_processor):
    names = ("navigation",)
    made = (record("k", 6, cameras=names), {"navigation": video(6)}, arrays(6, cameras=names))
    (sample,) = samples_of(write_episodes(tmp_path, train=[[made]]))
    example = preparation(window_processor).example(sample)
    assert not example.frames[:, 0].any()
    assert example.frames[1:, 1].any()
