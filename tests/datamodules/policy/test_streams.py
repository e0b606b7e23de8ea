"""Streams of windows: ranks and workers, resumption, evaluation."""

import io
import logging
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorded_episodes import episode_files, episode_source, write_episodes

from zoo.datamodules.loader import loader
from zoo.datamodules.policy.streams import WindowEvalStream, WindowTrainStream
from zoo.datamodules.policy.windows import WindowRule
from zoo.datamodules.stream import StreamSpec
from zoo.errors import ConfigError, DataError

RULE = WindowRule(length=6, last_probability=0.5, reduce_redundancy=True)


def spec_of(processor, *folders, split="train", **arguments):
    sources = tuple(episode_source(folder, split) for folder in folders)
    return StreamSpec(**({"sources": sources, "processor": processor, "batch_size": 3, "seed": 5} | arguments))


def train_stream(processor, *folders, num_batches=7, shuffle_buffer=4, mixing="turns", total_batches=21, **arguments):
    return WindowTrainStream(
        spec_of(processor, *folders, **arguments),
        rule=RULE,
        mixing=mixing,
        num_batches=num_batches,
        total_batches=total_batches,
        shuffle_buffer=shuffle_buffer,
    )


def seen(batches, number=None):
    """Everything that was drawn about the next batches."""
    got = []
    for batch in batches:
        got.append((batch.keys, batch.goals, batch.seeds, batch.time_ids.tolist(), batch.actions.tolist()))
        if len(got) == number:
            break
    return got


def through_a_checkpoint(state):
    """As a `.ckpt` file would bring it back."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_worker_goes_on_from_any_cursor(walks, visits, window_processor, data):
    num_workers, mixing = data.draw(st.integers(0, 2)), data.draw(st.sampled_from(["turns", "weights"]))
    worker = data.draw(st.integers(0, max(0, num_workers - 1)))
    stream = train_stream(
        window_processor, walks, visits, num_workers=num_workers, mixing=mixing, num_batches=12,
        shuffle_buffer=data.draw(st.sampled_from([1, 3, 100])),
    )  # fmt: skip
    whole = list(stream.deliveries(worker, 1))
    cut = data.draw(st.integers(0, len(whole)))
    cursor = through_a_checkpoint(whole[cut - 1].cursor) if cut else None
    rest = list(stream.deliveries(worker, 1, cursor))
    assert seen(d.batch for d in rest) == seen(d.batch for d in whole[cut:])
    assert [d.cursor for d in rest] == [d.cursor for d in whole[cut:]]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_loader_goes_on_in_the_midst_of_an_epoch(walks, visits, window_processor, num_workers):
    def make():
        return loader(train_stream(window_processor, walks, visits, num_workers=num_workers))

    unbroken = make()
    epochs = [seen(unbroken) for _ in range(3)]
    assert len({str(epoch) for epoch in epochs}) == 3
    first = make()
    seen(first)
    iterator = iter(first)
    before = seen(iterator, 3)
    state = through_a_checkpoint(first.state_dict())
    del iterator
    second = make()
    second.load_state_dict(state)
    assert before + seen(second) == epochs[1]
    assert seen(second) == epochs[2]


def test_workers_and_none_give_batches_of_one_shape(walks, window_processor):
    (batch, *_) = loader(train_stream(window_processor, walks, num_workers=2))
    assert batch.frames.shape == (3, 6, 2, 3, 16, 24)
    assert batch.frames.dtype == torch.uint8
    assert batch.valid_mask.all()


def test_what_decides_on_batches_is_compared(walks, window_processor):
    state = loader(train_stream(window_processor, walks)).state_dict()
    other = loader(train_stream(window_processor, walks, mixing="weights"))
    with pytest.raises(ConfigError, match=r"data\.mixing is weights and was turns"):
        other.load_state_dict(state)
    shorter = WindowTrainStream(
        spec_of(window_processor, walks), rule=WindowRule(length=5), mixing="turns", num_batches=7, shuffle_buffer=4
    )
    with pytest.raises(ConfigError, match=r"data\.window is {'length': 5.* and was {'length': 6"):
        loader(shorter).load_state_dict(state)
    longer_run = loader(train_stream(window_processor, walks, total_batches=900))
    longer_run.load_state_dict(state)


def test_progress_goes_from_the_first_batch_of_the_training_to_the_last(walks, window_processor):
    stream = train_stream(window_processor, walks, num_workers=2, num_batches=4, total_batches=8)
    order = [(epoch, worker, done) for epoch in range(2) for done in range(2) for worker in range(2)]
    assert [stream.progress(*place) for place in order] == pytest.approx([place / 7 for place in range(8)])
    assert stream.progress(5, 0, 0) == 1.0
    assert train_stream(window_processor, walks, total_batches=None).progress(3, 0, 2) == 0.0


def test_the_end_of_an_episode_is_seen_as_often_as_progress_says(walks, window_processor):
    rule = WindowRule(length=6, last_probability=1.0)
    stream = WindowTrainStream(
        spec_of(window_processor, walks, batch_size=8), rule=rule, mixing="turns", num_batches=20, total_batches=20
    )
    ends = [(batch.actions[:, -1] == 4).float().mean().item() for batch in stream]
    assert ends[0] == 1.0
    assert sum(ends[:5]) > sum(ends[-5:])


def test_ranks_share_an_epoch(walks, window_processor):
    streams = [train_stream(window_processor, walks, world_size=2, rank=rank, num_batches=4) for rank in range(2)]
    ranks = [[key for batch in stream for key in batch.keys] for stream in streams]
    assert [len(keys) for keys in ranks] == [12, 12]
    assert sorted(ranks[0] + ranks[1]) == sorted(f"w{shard}{place}" for shard in range(6) for place in range(4))


def test_fewer_shards_than_readers_are_refused(visits, window_processor):
    with pytest.raises(ConfigError, match="3 shards for 4 readers"):
        train_stream(window_processor, visits, num_workers=4)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_evaluation_sees_every_episode_once_and_always_the_same_way(walks, visits, window_processor, num_workers):
    spec = spec_of(window_processor, walks, visits, num_workers=num_workers, batch_size=4)
    made = loader(WindowEvalStream(spec, rule=RULE))
    first, second = seen(made), seen(made)
    assert first == second
    assert len(first) == len(made)
    keys = [key for batch in first for key in batch[0]]
    assert len(keys) == len(set(keys)) == 30


def test_ranks_share_an_evaluation(walks, window_processor):
    specs = [spec_of(window_processor, walks, split="val", world_size=2, rank=rank) for rank in range(2)]
    keys = [[key for batch in WindowEvalStream(spec, rule=RULE) for key in batch.keys] for spec in specs]
    assert keys == [["wv0", "wv2", "wv4"], ["wv1", "wv3"]]


def test_an_evaluation_of_nothing_but_faulty_episodes_says_why(tmp_path, window_processor):
    made, videos, arrays = episode_files("a", 6)
    root = write_episodes(tmp_path, val=[[(made, videos, arrays)]])
    path = root / "val/shard-000000.tar"
    path.write_bytes(path.read_bytes().replace(b'"goal":"find a mug"', b'"goal":"          "'))
    with pytest.raises(DataError, match="no episode to evaluate; rejected 1 of 1 episodes: empty_goal 1"):
        list(WindowEvalStream(spec_of(window_processor, root, split="val"), rule=RULE))


def test_rejections_are_told_at_the_end_of_an_epoch(tmp_path, window_processor, caplog):
    root = write_episodes(tmp_path, train=[[(f"k{number}", 6) for number in range(4)]])
    path = root / "train/shard-000000.tar"
    path.write_bytes(path.read_bytes().replace(b'"key":"k2"', b'"kex":"k2"'))
    stream = train_stream(window_processor, root, num_batches=2)
    with caplog.at_level(logging.WARNING):
        keys = {key for batch in stream for key in batch.keys}
    assert keys == {"k0", "k1", "k3"}
    assert "training, epoch 0, worker 0: rejected" in caplog.text
    assert "bad_record" in caplog.text


def test_the_model_s_random_numbers_are_left_alone(walks, window_processor):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    stream = train_stream(window_processor, walks)
    seen(loader(stream))
    seen(loader(WindowEvalStream(replace(stream.spec), rule=RULE)))
    assert torch.equal(torch.get_rng_state(), before)
