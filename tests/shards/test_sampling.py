"""Frame sampling: Molmo2's rule in numbers, and what must hold for any clip."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import ConfigError, DataError
from zoo.shards.sampling import FrameSampling

samplings = st.builds(
    FrameSampling,
    max_frames=st.integers(1, 400),
    frame_rate=st.floats(0.05, 60),
    mode=st.sampled_from(["last_frame", "fps"]),
)


def test_short_clip_takes_the_grid_and_the_last_frame():
    times = FrameSampling(max_frames=128).times(1.7)
    np.testing.assert_allclose(times, [0, 0.5, 1.0, 1.5, 1.7])


def test_last_frame_on_the_grid_is_taken_once():
    np.testing.assert_allclose(FrameSampling(max_frames=8).times(1.5), [0, 0.5, 1.0, 1.5])


def test_long_clip_is_spread_evenly_over_both_ends():
    times = FrameSampling(max_frames=5).times(100.0)
    np.testing.assert_allclose(times, [0, 25, 50, 75, 100])


def test_the_two_branches_meet_where_the_sheet_says():
    sampling = FrameSampling(max_frames=5)  # (F - 1) / rate = 2 s
    np.testing.assert_allclose(sampling.times(2.0), [0, 0.5, 1, 1.5, 2])
    np.testing.assert_allclose(sampling.times(2.4), [0, 0.6, 1.2, 1.8, 2.4])


def test_in_mode_fps_the_grid_stays_regular_and_ends_at_the_limit():
    np.testing.assert_allclose(FrameSampling(max_frames=8, mode="fps").times(1.7), [0, 0.5, 1.0, 1.5])
    np.testing.assert_allclose(FrameSampling(max_frames=3, mode="fps").times(9.0), [0, 0.5, 1.0])


def test_one_frame_is_the_first():
    assert FrameSampling(max_frames=1).times(9.0).tolist() == [0.0]
    assert FrameSampling(max_frames=8).times(0.0).tolist() == [0.0]


def test_nearest_stored_frame_wins_and_none_comes_twice():
    sparse = np.array([10.0, 10.9, 12.0])  # a slide show: three frames in two seconds, not starting at 0
    assert FrameSampling(max_frames=9).indices(sparse).tolist() == [0, 1, 2]
    steady = np.arange(20) / 8
    assert FrameSampling(max_frames=8).indices(steady).tolist() == [0, 4, 8, 12, 16, 19]


@given(samplings, st.floats(0, 7200))
def test_times_grow_and_stay_inside(sampling, duration_s):
    times = sampling.times(duration_s)
    assert 1 <= len(times) <= sampling.max_frames
    assert times[0] == 0 and times[-1] <= duration_s
    assert (np.diff(times) > 0).all()
    if sampling.mode == "last_frame" and sampling.max_frames > 1:
        assert duration_s - times[-1] <= 1e-5


@given(
    st.builds(
        FrameSampling,
        max_frames=st.integers(1, 400),
        frame_rate=st.floats(0.05, 60),
        mode=st.sampled_from(["last_frame", "uniform"]),
    ),
    st.lists(st.floats(0.001, 3), max_size=80),
    st.floats(-5, 5),
)
def test_indices_name_stored_frames_once(sampling, gaps, start):
    frame_times = start + np.concatenate([[0.0], np.cumsum(gaps)])
    indices = sampling.indices(frame_times)
    assert 1 <= len(indices) <= min(sampling.max_frames, len(frame_times))
    assert (np.diff(indices) > 0).all()
    assert indices[0] == 0 and indices[-1] < len(frame_times)


@given(
    rate=st.integers(1, 8),
    step=st.integers(1, 30),
    frames=st.integers(1, 400),
    most=st.integers(1, 40),
)
def test_mode_fps_takes_every_so_manieth_frame(rate, step, frames, most):
    times = np.round(np.arange(frames) / (rate * step), 4) + 3  # as containers round them
    indices = FrameSampling(max_frames=most, frame_rate=rate, mode="fps").indices(times)
    np.testing.assert_array_equal(indices, np.arange(0, frames, step)[:most])


@pytest.mark.parametrize(("stored", "rate"), [(5, 2), (29.97, 2), (1, 2), (8, 3)])
def test_mode_fps_refuses_a_rate_between_frames(stored, rate):
    with pytest.raises(DataError, match=f"{rate} frames/s does not divide the stored {stored}"):
        FrameSampling(max_frames=9, frame_rate=rate, mode="fps").indices(np.arange(400) / stored)


def test_mode_fps_of_one_frame_is_that_frame():
    assert FrameSampling(max_frames=9, mode="fps").indices(np.zeros(1)).tolist() == [0]


def test_mode_uniform_knows_no_times():
    with pytest.raises(ValueError, match="counts stored frames"):
        FrameSampling(max_frames=4, mode="uniform").times(2.0)


def test_mode_uniform_is_the_rule_of_transformers():
    torch = pytest.importorskip("torch")
    from transformers.models.molmo2.video_processing_molmo2 import Molmo2VideoProcessor
    from transformers.video_utils import VideoMetadata

    theirs, generator = Molmo2VideoProcessor(), np.random.default_rng(0)
    for _ in range(400):
        total, most = int(generator.integers(1, 900)), int(generator.integers(1, 130))
        fps = float(generator.choice([1, 2, 5, 8, 10, 23.976, 24, 25, 29.97, 30, 50, 60]))
        metadata = VideoMetadata(total_num_frames=total, fps=fps)
        expected = theirs.sample_frames(metadata, num_frames=most, max_fps=2)
        assert isinstance(expected, torch.Tensor)
        ours = FrameSampling(max_frames=most, mode="uniform").indices(np.arange(total) / fps)
        inside = [index for index in expected.tolist() if index < total]  # rounding may add one behind the end there
        assert ours.tolist() == inside, (total, most, fps)


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ({"max_frames": 0}, "0"),
        ({"max_frames": 4, "mode": "keys"}, "keys"),
        ({"max_frames": 4, "frame_rate": 0.0}, "0.0"),
        ({"max_frames": 4, "frame_rate": float("nan")}, "nan"),
    ],
)
def test_impossible_sampling_is_refused(arguments, value):
    with pytest.raises(ConfigError, match=value):
        FrameSampling(**arguments)


@pytest.mark.parametrize("duration_s", [-0.1, float("inf"), float("nan")])
def test_impossible_duration_is_refused(duration_s):
    with pytest.raises(ValueError, match=str(duration_s)):
        FrameSampling(max_frames=4).times(duration_s)


def test_no_frames_are_refused():
    with pytest.raises(ValueError, match="without frames"):
        FrameSampling(max_frames=4).indices(np.array([]))
