import pytest

from zoo.errors import DataError
from zoo.shards.faults import MIN_SEEN, FaultCounter


def test_skipping_counts_and_names(caplog):
    faults = FaultCounter("skip")
    faults.num_good = 5
    faults.report(DataError("a.tar: sample 'k'"))
    assert faults.num_bad == 1
    assert "skipped bad sample 1 of 6 read so far: a.tar: sample 'k'" in caplog.text


def test_raising_says_how_to_skip():
    with pytest.raises(DataError, match=r"sample 'k' \(on_bad_sample=skip passes over it\)"):
        FaultCounter("raise").report(DataError("sample 'k'"))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_too_many_end_the_work(share):
    faults = FaultCounter("skip", max_bad_share=share)
    faults.num_good = MIN_SEEN
    allowed = int(share * MIN_SEEN / (1 - share))
    for number in range(allowed):
        faults.report(DataError(f"no. {number}"))
    with pytest.raises(DataError, match=rf"samples are bad, more than {share:.0%}; the last: one more"):
        faults.report(DataError("one more"))
