"""Mixing of tasks: in turns, or by weight; passes are told apart."""

from collections import Counter
from dataclasses import replace
from itertools import islice

import pytest
from recorded_episodes import episode_files, episode_source, write_episodes

from zoo.datamodules.policy.reading import UNREADABLE, EpisodeReader, RejectionCounter
from zoo.errors import DataError


class Reading:
    """An `EpisodeReader` whose episodes are all good, which preparation would tell the counter."""

    def __init__(self, *folders, mixing="turns", weights=(1.0, 1.0), **changes):
        sources = [
            replace(episode_source(folder), weight=weight) for folder, weight in zip(folders, weights, strict=False)
        ]
        arguments = {"mixing": mixing, "seed": 3, "epoch": 0, "reader": 0, "readers": 1, "shuffle_buffer": 3}
        self.faults = RejectionCounter("skip")
        self.reader = EpisodeReader(sources, faults=self.faults, **(arguments | changes))

    def draw(self, number):
        got = []
        for sample, place in islice(self.reader, number):
            self.faults.num_good += 1
            got.append((sample.key, place))
        return got


def test_tasks_take_turns_and_the_smaller_one_is_passed_over_more_often(walks, visits):
    """Of 24 and 6 episodes: sample i is of data set i mod 2, which begins anew when it is over."""
    got = Reading(walks, visits).draw(48)
    assert [key[0] for key, _ in got] == ["w", "v"] * 24
    assert Counter(key for key, _ in got[::2]).most_common(1)[0][1] == 1
    assert set(Counter(key for key, _ in got[1::2]).values()) == {4}
    assert [place for _, place in got[1::2]] == [number for number in range(4) for _ in range(6)]


def test_by_weight_tasks_are_drawn(walks, visits):
    got = Reading(walks, visits, mixing="weights", weights=(4.0, 1.0)).draw(300)
    assert 205 < sum(key[0] == "w" for key, _ in got) < 275  # 240 expected, standard deviation 7


@pytest.mark.parametrize("mixing", ["turns", "weights"])
def test_readers_share_the_shards(walks, visits, mixing):
    readings = [Reading(walks, visits, mixing=mixing, reader=number, readers=2) for number in range(2)]
    first, second = ({key for key, _ in reading.draw(200)} for reading in readings)
    assert not first & second
    assert len(first | second) == 30


@pytest.mark.parametrize("mixing", ["turns", "weights"])
def test_a_reader_goes_on_from_its_state(walks, visits, mixing):
    reading = Reading(walks, visits, mixing=mixing)
    reading.draw(17)
    state = reading.reader.state()
    rest = reading.draw(40)
    other = Reading(walks, visits, mixing=mixing)
    other.faults.num_good = 17
    other.reader.restore(state)
    assert other.draw(40) == rest


def test_records_of_another_kind_are_rejected_by_reason(tmp_path):
    good, bad = episode_files("good", 6), episode_files("bad", 6)
    root = write_episodes(tmp_path, train=[[good, bad]])
    path = root / "train/shard-000000.tar"
    path.write_bytes(path.read_bytes().replace(b'"key":"bad","task"', b'"kex":"bad","task"'))
    reading = Reading(root, shuffle_buffer=1)
    assert reading.draw(2) == [("good", 0), ("good", 1)]
    assert reading.faults.reasons == {"bad_record": 1}


def test_a_cut_shard_is_unreadable(tmp_path):
    root = write_episodes(tmp_path, train=[[("a", 6), ("b", 6)]])
    path = root / "train/shard-000000.tar"
    path.write_bytes(path.read_bytes()[:-3000])
    reading = Reading(root, shuffle_buffer=1)
    assert reading.draw(2) == [("a", 0), ("a", 1)]
    assert reading.faults.reasons == {UNREADABLE: 1}


def test_a_pass_without_a_good_episode_ends_the_work(visits):
    reading = Reading(visits)
    with pytest.raises(DataError, match="a pass over 3 shards gave no sample"):
        list(islice(reading.reader, 7))  # none of which was told to be good
