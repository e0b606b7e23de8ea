import pytest

from zoo.metrics import count_scores
from zoo.metrics.scored import count_bin, mask_size_bin, resolution_bin


@pytest.mark.parametrize(
    ("predicted", "true", "is_video", "accuracy", "close"),
    [
        (3, 3, False, 1, 1),
        (4, 3, False, 0, 1),
        (5, 3, False, 0, 0),
        (0, 0, True, 1, 1),
        (None, 0, True, 0, 0),
        (21, 19, True, 0, 0),  # 1 + floor(0.95) = 1
        (22, 20, True, 0, 1),  # 1 + floor(1.00) = 2
        (22, 20, False, 0, 0),
        (64, 60, True, 0, 1),  # 1 + floor(3.00) = 4
        (65, 60, True, 0, 0),
    ],
)
def test_counts_are_exact_or_close(predicted, true, is_video, accuracy, close):
    scored = count_scores(predicted, true, is_video=is_video)
    assert scored.scores == {"accuracy": accuracy, "close": close}
    assert scored.tallies == {
        f"accuracy/count/{count_bin(true)}": (accuracy, 1),
        f"close/count/{count_bin(true)}": (close, 1),
    }


def test_bins_have_their_lower_limit():
    counts = (0, 4, 5, 9, 10, 24, 25, 1000)
    assert [count_bin(n) for n in counts] == ["0-5", "0-5", "5-10", "5-10", "10-15", "20-25", "25+", "25+"]
    assert [mask_size_bin(side**2) for side in (1, 8, 31.9, 32, 96)] == [
        *("0-8 px", "8-16 px", "16-32 px", "32-96 px", "96+ px"),
    ]
    assert [resolution_bin(*size) for size in ((640, 127), (144, 200), (1920, 1080))] == [
        *("0-128 px", "128-256 px", "1024+ px"),
    ]


def test_nothing_has_a_negative_count():
    with pytest.raises(ValueError, match="-1"):
        count_scores(0, -1, is_video=True)
