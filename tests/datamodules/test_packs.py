"""Packs of a stream: within their limits, decoded only when emitted, and an epoch of a known length."""

from itertools import chain

import pytest

from zoo.datamodules import preparation
from zoo.datamodules.loader import loader
from zoo.datamodules.packs import Packing, check_frames, expected_packs
from zoo.datamodules.preparation import Preparation
from zoo.datamodules.shards import ShardDataModule
from zoo.datamodules.sources import Source
from zoo.datamodules.stream import StreamSpec, TrainStream
from zoo.errors import ConfigError, DataError
from zoo.packing import PackLimits
from zoo.shards.faults import FaultCounter
from zoo.shards.reader import read_shard, read_split

LIMITS = PackLimits(max_tokens=240, max_frames=24, pool=6)  # samples hold 20 to 79 tokens and 4 frames


def samples_of(folder, split="train"):
    return [sample for shard in read_split(folder, split) for sample in read_shard(shard.path)]


def packing(processor, *, policy="skip", limits=LIMITS, epoch=0):
    preparation = Preparation(
        processor=processor,
        faults=FaultCounter(policy),
        seed=0,
        epoch=epoch,
        training=True,
        labels=False,
        max_tokens=limits.max_tokens,
    )
    return Packing(limits, preparation)


def keys_of(groups):
    return [[example["key"] for example in group] for group in groups]


def spec_of(processor, folder, **arguments):
    source = Source(folder=str(folder), shards=tuple(read_split(folder, "train")))
    return StreamSpec(
        **({"sources": (source,), "processor": processor, "batch_size": 2, "packing": LIMITS} | arguments)
    )


def test_finite_samples_come_once_each_in_packs_within_the_limits(blocks, packing_processor):
    groups = list(packing(packing_processor).groups(samples_of(blocks)))
    assert sorted(chain.from_iterable(keys_of(groups))) == [
        f"t{shard}{place}" for shard in range(6) for place in range(5)
    ]
    for group in groups:
        sizes = [packing_processor.size(example) for example in group]
        assert sum(size.tokens for size in sizes) <= LIMITS.max_tokens
        assert sum(size.frames for size in sizes) <= LIMITS.max_frames
        assert all(len(example["pixels"]) == len(example["times_s"]) == 4 for example in group)


def test_packs_are_those_of_the_epoch(blocks, packing_processor):
    samples = samples_of(blocks)
    first, again, second = (keys_of(packing(packing_processor, epoch=epoch).groups(samples)) for epoch in (0, 0, 1))
    assert first == again != second


def test_planned_questions_are_those_of_an_unpacked_stream(blocks, packing_processor):
    groups = list(packing(packing_processor).groups(samples_of(blocks)))
    draws = {example["key"]: example["draw"] for example in chain.from_iterable(groups)}
    stream = TrainStream(spec_of(packing_processor, blocks, packing=None, batch_size=5), num_batches=6)
    unpacked = [pair for batch in stream for pair in zip(batch.keys, batch.draws, strict=True)]
    assert dict(unpacked) == draws


def test_nothing_is_decoded_before_its_pack_is_emitted(blocks, packing_processor, monkeypatch):
    decoded = []
    real = preparation.decode_sample
    monkeypatch.setattr(
        preparation, "decode_sample", lambda sample, choose: decoded.append(sample.key) or real(sample, choose)
    )
    drawn = []
    groups = packing(packing_processor).groups(drawn.append(sample) or sample for sample in samples_of(blocks))
    first = next(groups)
    assert len(drawn) == LIMITS.pool + 1  # the pool and the one that found it full
    assert decoded == [example["key"] for example in first]


def test_a_stream_gives_as_many_packs_as_were_asked_for(blocks, packing_processor):
    stream = TrainStream(spec_of(packing_processor, blocks), num_batches=9)
    epochs = [[batch.keys for batch in stream] for _ in range(2)]
    assert [len(epoch) for epoch in epochs] == [9, 9] == [len(stream)] * 2
    assert epochs[0] != epochs[1]
    assert len({len(keys) for keys in epochs[0]}) > 1  # not a fixed number of samples


@pytest.mark.parametrize("num_workers", [0, 2])
def test_packs_come_through_loader_workers(blocks, packing_processor, num_workers):
    batches = list(loader(TrainStream(spec_of(packing_processor, blocks, num_workers=num_workers), num_batches=5)))
    assert len(batches) == 5
    assert all(4 * len(batch.keys) == len(batch.pixels) <= LIMITS.max_frames for batch in batches)


def test_an_epoch_is_about_one_pass(blocks, packing_processor):
    data = ShardDataModule(path=str(blocks), packing=LIMITS)
    data.processor = packing_processor
    train = data.train_dataloader()
    whole = len(list(packing(packing_processor).groups(samples_of(blocks))))
    assert whole - 2 <= len(train) <= whole  # the last packs of a pass are not full
    assert len(list(train)) == len(train)


def test_frames_shorten_an_epoch_where_they_bind(blocks, packing_processor):
    sources = [(read_split(blocks, "train"), 1.0)]
    few = PackLimits(max_tokens=10_000, max_frames=8)
    assert expected_packs(few, packing_processor, sources, samples=30, seed=0) == 15
    assert expected_packs(few, packing_processor, sources, samples=1, seed=0) == 0


def test_sources_count_by_weight(blocks, packing_processor, make_dataset, tmp_path):
    class Long(type(packing_processor)):
        """Samples of the second data set take twice the frames."""

        def size(self, tree):
            size = super().size(tree)
            return type(size)(size.tokens, size.frames * (2 if tree["key"].startswith("w") else 1))

    wide = make_dataset(tmp_path / "wide", train=[["w0", "w1"]])
    sources = [(read_split(blocks, "train"), 3.0), (read_split(wide, "train"), 1.0)]
    limits = PackLimits(max_tokens=10_000, max_frames=10)
    assert expected_packs(limits, Long(), sources, samples=100, seed=0) == 50  # 5 frames a sample on average


@pytest.fixture
def damaged(make_dataset, tmp_path):
    """Clips among which one has no readable table and one has damaged frames behind a good table."""
    root = make_dataset(tmp_path / "good", train=[["a"]])
    media = bytearray(samples_of(root)[0].files["mp4"])
    data = media.index(b"mdat") + 4
    media[data : data + 400] = bytes(400)
    return make_dataset(
        tmp_path / "damaged", train=[["g0", ("no_table", b"no video" * 20), ("no_frames", bytes(media)), "g1", "g2"]]
    )


def test_bad_samples_are_skipped_when_planned_and_when_decoded(damaged, packing_processor, caplog):
    packs = packing(packing_processor)
    assert sorted(chain.from_iterable(keys_of(packs.groups(samples_of(damaged))))) == ["g0", "g1", "g2"]
    warnings = [record.getMessage() for record in caplog.records]
    assert any("sample 'no_table'" in text and "shard-000000.tar" in text for text in warnings)
    assert any("sample 'no_frames'" in text and "shard-000000.tar" in text for text in warnings)
    assert (packs.preparation.faults.num_good, packs.preparation.faults.num_bad) == (3, 2)


@pytest.mark.parametrize("bad", ["no_table", "no_frames"])
def test_raise_ends_at_the_first_bad_sample(damaged, packing_processor, bad):
    samples = [sample for sample in samples_of(damaged) if sample.key in ("g0", bad)]
    with pytest.raises(DataError, match=f"shard-000000.tar: sample '{bad}'"):
        list(packing(packing_processor, policy="raise").groups(samples))


def test_a_small_split_is_read_again_until_the_pool_is_full(make_dataset, tmp_path, packing_processor):
    root = make_dataset(tmp_path / "small", train=[["a", "b"]])
    keys = [batch.keys for batch in TrainStream(spec_of(packing_processor, root), num_batches=3)]
    assert set(chain.from_iterable(keys)) == {"a", "b"}


def test_a_tree_that_does_not_fit_names_shard_and_key(blocks, packing_processor):
    class Full(type(packing_processor)):
        def plan(self, sample, *, times_s, messages, max_tokens=None, training=True):
            raise DataError(f"{sample.key}: no question fits beside {len(times_s)} frames into {max_tokens} tokens")

    with pytest.raises(DataError, match=r"shard-000000\.tar: sample t00: no question fits .* into 240 tokens"):
        packing(Full()).preparation.plan(samples_of(blocks)[0])


def test_samples_that_nobody_asks_about_are_passed_over(blocks, packing_processor):
    class Silent(type(packing_processor)):
        def messages(self, sample, shown, generator, *, training):
            return [] if sample.key != "t11" else super().messages(sample, shown, generator, training=training)

    assert keys_of(packing(Silent()).groups(samples_of(blocks))) == [["t11"]]


def test_a_bug_while_planning_names_the_sample(blocks, packing_processor):
    class Broken(type(packing_processor)):
        def plan(self, sample, **arguments):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        packing(Broken()).preparation.plan(samples_of(blocks)[0])
    assert "'t00'" in caught.value.__notes__[0]


def test_limits_below_a_single_clip_are_refused(blocks, packing_processor):
    few = PackLimits(max_tokens=240, max_frames=3)
    with pytest.raises(ConfigError, match="a pack holds 3 frames, a single clip up to 4; raise packing.max_frames"):
        check_frames(few, packing_processor)
    data = ShardDataModule(path=str(blocks), packing=few)
    data.processor = packing_processor
    with pytest.raises(ConfigError, match="a pack holds 3 frames"):
        data.train_dataloader()


def test_an_epoch_without_a_pack_is_refused(blocks, packing_processor):
    data = ShardDataModule(path=str(blocks), packing=PackLimits(max_tokens=100_000, max_frames=10_000))
    data.processor = packing_processor
    with pytest.raises(ConfigError, match="30 samples holds no pack of 100000 tokens .* lower packing.max_tokens"):
        data.train_dataloader()


def test_samples_that_cannot_be_planned_are_refused_before_training(make_dataset, tmp_path, packing_processor):
    root = make_dataset(tmp_path / "broken", train=[[("a", b"x"), ("b", b"y")]])
    with pytest.raises(DataError, match="none of the first 64 samples can be packed; the last: .* sample 'b'"):
        expected_packs(LIMITS, packing_processor, [(read_split(root, "train"), 1.0)], samples=2, seed=0)
