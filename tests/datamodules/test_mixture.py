"""Mixtures: rates of groups, roots of sizes, overrides, what is missing, and what training then draws."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.datamodules.mixture import Group, Member, check_groups, weights_of, without
from zoo.datamodules.shards import ShardDataModule
from zoo.errors import ConfigError, DataError

PLAIN = Member()


def test_within_a_group_rates_follow_the_root_of_the_size():
    groups = {
        "qa": Group(rate=3.0, paths={"a": PLAIN, "b": PLAIN, "c": Member(factor=1.5), "d": Member(size=400)}),
        "text": Group(rate=1.0, paths={"t": PLAIN}),
    }
    sizes = {"a": 100, "b": 900, "c": 100, "d": 1_000_000, "t": 7}
    weights = weights_of(groups, sizes.__getitem__)
    own = {"a": 10, "b": 30, "c": 15, "d": 20}
    assert weights == pytest.approx({p: 0.75 * count / 75 for p, count in own.items()} | {"t": 0.25})


def test_a_group_may_be_divided_at_given_rates():
    """The sheet's division of video pointing by the number of points."""
    rates = {"few": 0.4, "some": 0.3, "many": 0.1, "academic": 0.2}
    groups = {
        "pointing": Group(rate=0.15, paths={path: Member(rate=rate) for path, rate in rates.items()}),
        "rest": Group(rate=0.85, paths={"r": PLAIN}),
    }
    weights = weights_of(groups, {"r": 9}.__getitem__)  # nobody asks for the size of the others
    assert weights == pytest.approx({path: 0.15 * rate for path, rate in rates.items()} | {"r": 0.85})


PATHS = st.sets(st.sampled_from("abcdefghij"), min_size=1)


@given(paths=PATHS, lost=PATHS, rate=st.floats(0.01, 10), other=st.floats(0.01, 10))
def test_weights_are_shares_whatever_is_missing(paths, lost, rate, other):
    groups = {
        "one": Group(rate=rate, paths=dict.fromkeys(sorted(paths), PLAIN)),
        "two": Group(rate=other, paths={"z": PLAIN}),
    }
    kept = without(groups, frozenset(lost))
    weights = weights_of(kept, ord)
    assert set(weights) == (paths - lost) | {"z"}
    assert math.fsum(weights.values()) == pytest.approx(1)
    if paths - lost:
        assert math.fsum(weights[path] for path in paths - lost) == pytest.approx(rate / (rate + other))


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({}, "no group"),
        ({"a": Group(rate=0, paths={"x": PLAIN})}, "rate of a is 0"),
        ({"a": Group(rate=math.inf, paths={"x": PLAIN})}, "rate of a is inf"),
        ({"a": Group(rate=1, paths={})}, "a names no data set"),
        ({"a": Group(rate=1, paths={"x": Member(rate=1), "y": PLAIN})}, "some data sets of a have a rate and some"),
        ({n: Group(rate=1, paths={"x": PLAIN}) for n in "ab"}, "x is in a and in b"),
        ({"a": Group(rate=1, paths={"x": Member(size=0)})}, "size of x is 0"),
        ({"a": Group(rate=1, paths={"x": Member(factor=-1)})}, "factor of x is -1"),
        ({"a": Group(rate=1, paths={"x": Member(rate=float("nan"))})}, "rate of x is nan"),
    ],
)
def test_mixtures_that_cannot_be_drawn(groups, words):
    with pytest.raises(ConfigError, match=words):
        check_groups(groups)


def mixture(blocks, letters, **more):
    return {
        "one": Group(rate=1.0, paths={str(blocks): PLAIN}),
        "two": Group(rate=3.0, paths={str(letters): PLAIN} | more),
    }


def test_training_draws_at_the_rates_and_evaluation_reads_all_once(blocks, letters, processor):
    data = ShardDataModule(mixture=mixture(blocks, letters), batch_size=4, epoch_samples=400, shuffle_buffer=4)
    data.processor = processor
    drawn = Counter(key[0] for batch in data.train_dataloader() for key in batch.keys)
    assert drawn["l"] / 400 == pytest.approx(0.75, abs=0.09)  # four standard deviations
    seen = [key for batch in data.val_dataloader() for key in batch.keys]
    assert sorted(seen) == sorted([*(f"v{place}" for place in range(7)), "lv0", "lv1"])


def test_sizes_are_those_of_the_training_split(blocks, letters):
    groups = {"all": Group(rate=1.0, paths={str(blocks): PLAIN, str(letters): PLAIN})}
    data = ShardDataModule(mixture=groups)
    weights = [source.weight for source in data.sources("train")]
    assert weights[0] / weights[1] == pytest.approx((30 / 12) ** 0.5)


def test_what_is_missing_ends_the_run_or_is_told(blocks, letters, caplog):
    groups = mixture(blocks, letters, gone=PLAIN)
    with pytest.raises(DataError, match="gone holds no dataset.json"):
        ShardDataModule(mixture=groups).setup("fit")
    data = ShardDataModule(mixture=groups, missing="skip")
    data.setup("fit")
    assert [source.folder for source in data.sources("train")] == [str(blocks), str(letters)]
    assert caplog.text.count("1 of 3 data sets are missing: gone") == 1
    with pytest.raises(DataError, match="none of the 1 data sets is there, the first: gone"):
        ShardDataModule(path="gone", missing="skip").setup("fit")


@pytest.mark.parametrize(("arguments", "words"), [({}, "neither of path and mixture"), ({"path": "x"}, "both of path")])
def test_data_are_named_in_one_way(blocks, letters, arguments, words):
    if arguments:
        arguments |= {"mixture": mixture(blocks, letters)}
    with pytest.raises(ConfigError, match=words):
        ShardDataModule(**arguments)
