"""Streams: who reads what, in which order, and what becomes of bad samples."""

import io
import re
import shutil
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import av
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from zoo.datamodules.loader import loader
from zoo.datamodules.sources import Source
from zoo.datamodules.stream import EvalStream, StreamSpec, TrainStream
from zoo.errors import ConfigError, DataError
from zoo.shards import faults
from zoo.shards.reader import read_split


def spec_of(processor, *folders, split="train", weights=None, **arguments):
    weights = weights or [1.0] * len(folders)
    sources = tuple(
        Source(folder=str(folder), shards=tuple(read_split(folder, split)), weight=weight)
        for folder, weight in zip(folders, weights, strict=True)
    )
    return StreamSpec(**({"sources": sources, "processor": processor, "batch_size": 2} | arguments))


def keys_of(batches):
    return [key for batch in batches for key in batch.keys]


def readers(spec, make):
    """One stream per rank and the keys of each of its workers, without processes: the deal is a pure function."""
    for rank in range(spec.world_size):
        stream = make(StreamSpec(**{name: getattr(spec, name) for name in spec.__slots__} | {"rank": rank}))
        yield stream, [list(stream.batches(worker, 0)) for worker in range(spec.workers)]


@pytest.mark.parametrize(("world_size", "num_workers"), [(1, 0), (1, 2), (2, 1), (2, 3), (3, 2)])
def test_training_deals_every_shard_to_one_reader(blocks, processor, world_size, num_workers):
    spec = spec_of(processor, blocks, world_size=world_size, num_workers=num_workers, batch_size=1)
    counts = Counter()
    for stream, workers in readers(spec, lambda spec: TrainStream(spec, num_batches=30 // world_size)):
        assert sum(len(batches) for batches in workers) == len(stream)
        for batches in workers:
            counts.update({key[:2] for key in keys_of(batches)})
    assert counts == {f"t{shard}": 1 for shard in range(6)}


@pytest.mark.parametrize("shuffle_buffer", [1, 4, 1000])
def test_one_pass_reads_every_sample_once(blocks, processor, shuffle_buffer):
    spec = spec_of(processor, blocks)
    keys = keys_of(TrainStream(spec, num_batches=15, shuffle_buffer=shuffle_buffer))
    assert len(keys) == len(set(keys)) == 30


def test_epochs_differ_and_seeds_repeat(blocks, processor):
    def epochs(seed, **arguments):
        stream = TrainStream(spec_of(processor, blocks, seed=seed), num_batches=5, shuffle_buffer=8, **arguments)
        return [keys_of(stream) for _ in range(3)]

    first = epochs(7)
    assert first == epochs(7)
    assert first != epochs(8)
    assert first[0] != first[1]
    assert epochs(7, first_epoch=1)[0] == first[1]
    assert epochs(7, same_epoch=True) == [first[0]] * 3


def test_draws_depend_on_seed_epoch_and_key_alone(blocks, processor):
    def draws(num_workers, shuffle_buffer):
        spec = spec_of(processor, blocks, num_workers=num_workers, seed=3)
        stream = TrainStream(spec, num_batches=15, shuffle_buffer=shuffle_buffer)
        batches = [batch for worker in range(spec.workers) for batch in stream.batches(worker, 0)]
        return {key: draw for batch in batches for key, draw in zip(batch.keys, batch.draws, strict=True)}

    alone = draws(0, 1)
    assert draws(0, 16) == alone
    stream = TrainStream(spec_of(processor, blocks, seed=3), num_batches=15)
    list(stream)
    assert dict(zip(keys_of([batch := next(iter(stream))]), batch.draws, strict=True)).items() - alone.items()


def test_mixture_follows_its_weights(blocks, letters, processor):
    spec = spec_of(processor, blocks, letters, weights=[3.0, 1.0])
    keys = keys_of(TrainStream(spec, num_batches=150))
    assert keys == keys_of(TrainStream(spec, num_batches=150))
    share = sum(key.startswith("l") for key in keys) / len(keys)
    assert abs(share - 0.25) < 0.075  # 300 draws: three standard deviations


@pytest.mark.parametrize(("world_size", "num_workers"), [(1, 0), (2, 1), (1, 2)])
def test_a_data_set_may_begin_later(blocks, letters, processor, world_size, num_workers):
    spec = spec_of(processor, blocks, letters, world_size=world_size, num_workers=num_workers)
    late = replace(spec, sources=(spec.sources[0], replace(spec.sources[1], after=40)))
    for stream, workers in readers(late, lambda spec: TrainStream(spec, num_batches=60, epoch_samples=120)):
        for batches in workers:
            keys = keys_of(batches)
            begin = 40 // late.readers
            assert not any(key.startswith("l") for key in keys[:begin])
            assert any(key.startswith("l") for key in keys[begin:])
        assert any(key.startswith("l") for key in keys_of(stream.batches(0, 1))[:10])  # the next epoch is past it


def test_a_stream_goes_on_across_the_beginning_of_a_data_set(blocks, letters, processor):
    spec = spec_of(processor, blocks, letters)
    late = replace(spec, sources=(spec.sources[0], replace(spec.sources[1], after=10)))
    stream = TrainStream(late, num_batches=20, shuffle_buffer=4, epoch_samples=40)
    whole = list(stream.deliveries(0, 0))
    for done in (3, 5, 8):
        rest = stream.deliveries(0, 0, whole[done - 1].cursor)
        assert keys_of(delivery.batch for delivery in rest) == keys_of(delivery.batch for delivery in whole[done:])


@settings(max_examples=25, deadline=None)
@given(world_size=st.integers(1, 4), num_workers=st.integers(0, 4), batch_size=st.integers(1, 8))
def test_evaluation_reads_every_sample_once(blocks, letters, world_size, num_workers, batch_size):
    class KeysOnly:
        """Decodes nothing, so that many deals can be tried."""

        def sampling_of(self, sample, *, training):
            return lambda times_s: [0]  # what decode_sample accepts beside a FrameSampling

        def messages(self, sample, shown, generator, *, training):
            return [sample.key]

        suffixes = asked_suffixes = ("mp4",)

        def labels(self, sample, indices):
            return ()

        def plan(self, sample, *, times_s, messages, max_tokens=None, training=True):
            return sample.key

        def with_frames(self, tree, frames, labels):
            return tree

        def collate(self, examples):
            return SimpleNamespace(keys=examples)

    assume((world_size - 1) * max(1, num_workers) < 9)  # else some ranks would have none
    spec = spec_of(
        KeysOnly(), blocks, letters, split="val", world_size=world_size, num_workers=num_workers, batch_size=batch_size
    )
    keys = []
    for stream, workers in readers(spec, EvalStream):
        assert sum(len(batches) for batches in workers) == len(stream)
        keys += [key for batches in workers for key in keys_of(batches)]
    assert sorted(keys) == [*sorted(["lv0", "lv1"]), *(f"v{place}" for place in range(7))]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_loader_gives_whole_batches_through_real_workers(blocks, processor, num_workers):
    spec = spec_of(processor, blocks, num_workers=num_workers)
    batches = loader(TrainStream(spec, num_batches=7, shuffle_buffer=4))
    epochs = [list(batches), list(batches)]
    assert [len(epoch) for epoch in epochs] == [len(batches)] * 2 == [7, 7]
    assert keys_of(epochs[0]) != keys_of(epochs[1])
    assert epochs[0][0].pixels.shape[1:] == (16, 16, 3)
    expected = TrainStream(spec, num_batches=7, shuffle_buffer=4)
    assert sorted(keys_of(epochs[0])) == sorted(
        key for worker in range(spec.workers) for key in keys_of(expected.batches(worker, 0))
    )


def test_fewer_shards_than_readers_names_both_numbers_and_the_fix(blocks, processor):
    with pytest.raises(ConfigError, match=r"6 shards for 8 readers \(2 ranks x 4 .* num_workers to 3 or less, or .* 8"):
        TrainStream(spec_of(processor, blocks, world_size=2, num_workers=4), num_batches=1)
    with pytest.raises(ConfigError, match="use at most 6 ranks"):
        TrainStream(spec_of(processor, blocks, world_size=7), num_batches=1)


def test_fewer_samples_than_ranks_cannot_be_evaluated_together(blocks, processor):
    with pytest.raises(ConfigError, match="7 samples for 3 ranks of 4 loader workers, so some ranks would have none"):
        EvalStream(spec_of(processor, blocks, split="val", world_size=3, num_workers=4))
    streams = readers(spec_of(processor, blocks, split="val", world_size=3, num_workers=3), EvalStream)
    assert all(len(stream) for stream, _ in streams)


@pytest.fixture
def damaged(make_dataset, tmp_path):
    """A training shard whose second clip is no video, and a shard cut in the middle of its last clip."""
    root = make_dataset(
        tmp_path / "damaged",
        train=[["a0", ("bad", b"no video" * 20), "a2"], ["b0", "b1", "b2"]],
        val=[[("w0", b"x"), ("w1", b"y")]],
    )
    path = root / "train/shard-000001.tar"
    path.write_bytes(path.read_bytes()[: path.read_bytes().index(b"b2.mp4") + 700])
    return root


def test_bad_samples_are_skipped_with_a_warning_that_names_them(damaged, processor, caplog):
    keys = keys_of(TrainStream(spec_of(processor, damaged, batch_size=1), num_batches=5))
    assert sorted(keys[:4]) == ["a0", "a2", "b0", "b1"]  # the fifth is of the next pass
    warnings = [record.getMessage() for record in caplog.records]
    assert any("shard-000000.tar: sample 'bad'" in text and "skipped bad sample" in text for text in warnings)
    assert any("shard-000001.tar" in text and "truncated" in text for text in warnings)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_raise_ends_at_the_first_bad_sample_in_one_sentence(damaged, processor, num_workers):
    spec = spec_of(processor, damaged, on_bad_sample="raise", num_workers=num_workers)
    with pytest.raises(DataError, match=r"shard-00000\d\.tar") as caught:
        list(loader(TrainStream(spec, num_batches=10)))
    assert "Traceback" not in str(caught.value)
    assert "\n" not in str(caught.value)


def without_frames():
    """An mp4 file that holds no frame."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        container.add_stream("libx264", rate=8)
        container.start_encoding()
    return file.getvalue()


FAULTS = {
    "truncated tar": (lambda tar: tar[: tar.index(b"b.json") + 700], r"in or behind sample 'b': truncated"),
    "corrupt mp4": (lambda tar: tar.replace(b"moov", b"moon"), r"sample '[abc]'"),
    "no frames": (None, r"sample 'b'.*no video"),
    "schema": (lambda tar: tar.replace(b'"temporal":false', b'"temporal":"no!"', 1), r"sample 'a'.*temporal"),
    "header": (lambda tar: tar.replace(b'"video_qa"', b'"voice_qa"', 1), r"sample 'a'.*'voice_qa'"),
    "syntax": (lambda tar: tar.replace(b'"fps"', b'"fps!', 1), r"sample 'a'.*does not parse"),
}


@pytest.fixture(params=FAULTS)
def faulty(request, make_dataset, tmp_path):
    """(data set whose first shard has a fault, what a message about it says)."""
    change, words = FAULTS[request.param]
    middle = "b" if change else ("b", without_frames())
    root = make_dataset(tmp_path / "faulty", train=[["a", middle, "c"], ["x", "y", "z"]])
    path = root / "train/shard-000000.tar"
    if change is not None:
        data = path.read_bytes()
        assert change(data) != data
        path.write_bytes(change(data))
    return root, rf"shard-000000\.tar: .*{words}"


def test_every_fault_is_skipped_with_a_counted_warning(faulty, processor, caplog):
    root, words = faulty
    keys = keys_of(TrainStream(spec_of(processor, root, batch_size=1), num_batches=4))
    assert {"x", "y", "z"} & set(keys)
    assert re.search(rf"skipped bad sample 1 of \d+ read so far: .*{words}", caplog.text)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_every_fault_is_fatal_where_it_shall_be(faulty, processor, num_workers):
    root, words = faulty
    spec = spec_of(processor, root, batch_size=1, num_workers=num_workers, on_bad_sample="raise")
    with pytest.raises(DataError, match=rf"{words}.*\(on_bad_sample=skip passes over it\)"):
        list(loader(TrainStream(spec, num_batches=8)))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_random_damage_never_breaks_the_stream(tmp_path_factory, undamaged, processor_once, data):
    """Whatever bytes change, samples that are left come, or the stream ends with a sentence."""
    root = tmp_path_factory.mktemp("damaged") / "copy"
    shutil.copytree(undamaged, root)
    path = root / "train/shard-000000.tar"
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(content) - 1))
        content[start : start + data.draw(st.integers(1, 40))] = data.draw(st.binary(max_size=40))
    path.write_bytes(content)
    stream = TrainStream(spec_of(processor_once, root, batch_size=1), num_batches=8, shuffle_buffer=3)
    try:
        keys = keys_of(stream)
    except DataError as error:
        assert "damaged" in str(error)  # noqa: PT017 - both outcomes are right
    else:
        assert len(keys) == 8


def test_too_many_bad_samples_end_the_run(damaged, processor, monkeypatch):
    monkeypatch.setattr(faults, "MIN_SEEN", 4)
    with pytest.raises(DataError, match=r"\d of \d samples are bad, more than 10%"):
        list(TrainStream(spec_of(processor, damaged), num_batches=50))


def test_a_split_without_any_good_sample_does_not_loop_for_ever(damaged, processor):
    spec = spec_of(processor, damaged, split="val")
    with pytest.raises(DataError, match="gave no sample to learn from"):
        list(TrainStream(spec, num_batches=5))
    with pytest.raises(DataError, match="no sample to evaluate"):
        list(EvalStream(spec))


def test_a_batch_may_be_longer_than_a_pass(make_dataset, tmp_path, processor, blocks):
    few = make_dataset(tmp_path / "few", train=[["a", "b", "c"]])
    keys = keys_of(TrainStream(spec_of(processor, few, batch_size=7), num_batches=3))
    assert len(keys) == 21
    assert all(sorted(keys[start : start + 3]) == ["a", "b", "c"] for start in range(0, 21, 3))  # pass by pass
    mixed = TrainStream(spec_of(processor, few, blocks, weights=[9.0, 1.0], batch_size=16), num_batches=2)
    assert len(keys_of(mixed)) == 32


def test_a_bug_in_a_processor_keeps_its_traceback_and_names_the_sample(blocks, processor):
    class Broken(type(processor)):
        def plan(self, sample, **arguments):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        list(EvalStream(spec_of(Broken(), blocks, split="val")))
    assert "'v0'" in caught.value.__notes__[0]
