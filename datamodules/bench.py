"""What loading costs: samples a second through the whole loader, against nothing but decoding the same clips.

The loader reads tars, decodes, renders questions, tokenises, resizes and collates, in this process and on one thread.
The other side is the loop of PyAV's documentation on one thread, over the same files already in memory, converting the
same frames to RGB and stopping after the last of them. Where heads learn from label arrays, which are other files and
so have no counterpart there, the loader is timed with and without them. The sides take turns batch by batch, and of
each batch the quickest round counts, because other programs can only slow it down.
"""

import gc
import io
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from zoo.datamodules.preparation import SampleProcessor
from zoo.datamodules.sources import Source
from zoo.datamodules.stream import StreamSpec, TrainStream
from zoo.errors import ConfigError, DataError
from zoo.shards.decode import VIDEO_SUFFIXES, decode_sample
from zoo.shards.reader import MEDIA_AND_JSON, read_shard

LOADER, BARE, LABELLED = "loader", "bare", "with labels"

SIDES = {
    LOADER: "tar, decode, tokens, batch",
    BARE: "PyAV loop, files in memory",
    LABELLED: "the loader as training runs it",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadingCost:
    """Result of `measure_loading`.

    Args:
        samples: Samples of each round.
        frames: Frames of each round.
        rounds: For each round the seconds that each side took for each batch, in the order of measuring.
    """

    samples: int
    frames: int
    rounds: tuple[Mapping[str, tuple[float, ...]], ...]

    def seconds(self, side: str) -> float:
        """Sum over the batches of the quickest round of each: what the work takes when nothing else runs."""
        return sum(map(min, zip(*(turn[side] for turn in self.rounds), strict=True)))

    @property
    def ratio(self) -> float:
        """Loader throughput over bare throughput."""
        return self.seconds(BARE) / self.seconds(LOADER)

    @property
    def round_ratios(self) -> list[float]:
        """The same of single rounds, with whatever disturbed them."""
        return [sum(turn[BARE]) / sum(turn[LOADER]) for turn in self.rounds]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        seconds = {side: self.seconds(side) for side in SIDES if side in self.rounds[0]}
        result = {
            "ratio": self.ratio,
            "ratio_median": statistics.median(self.round_ratios),
            "samples": self.samples,
            "frames": self.frames,
        }
        if LABELLED in seconds:
            result["ratio_with_labels"] = seconds[BARE] / seconds[LABELLED]
        for side, taken in seconds.items():
            rates = {"samples_per_s": self.samples / taken, "frames_per_s": self.frames / taken}
            result[side.replace(" ", "_")] = rates
        return {
            **result,
            "rounds": [
                {**{f"{side.replace(' ', '_')}_s": sum(turn[side]) for side in seconds}, "ratio": ratio}
                for turn, ratio in zip(self.rounds, self.round_ratios, strict=True)
            ],
        }

    def as_text(self) -> str:
        """Table of the sides, and the ratio."""
        result = self.as_dict()
        lines = [f"{self.samples} clips, {self.frames} sampled frames, one thread, best of {len(self.rounds)} rounds"]
        for side, text in SIDES.items():
            speed = result.get(side.replace(" ", "_"))
            if speed is not None:
                rates = f"{speed['samples_per_s']:8.1f} clips/s {speed['frames_per_s']:9.1f} frames/s"
                lines.append(f"{side:<12} {rates}  ({text})")
        low, high, median = min(self.round_ratios), max(self.round_ratios), result["ratio_median"]
        lines.append(f"{'ratio':<12} {self.ratio:8.2f}  (single rounds {low:.2f} to {high:.2f}, median {median:.2f})")
        return "\n".join(lines)


def measure_loading(
    source: Source, processor: SampleProcessor, *, samples: int = 200, batch_size: int = 20, rounds: int = 5
) -> LoadingCost:
    """Time the loader and bare decoding over the same clips.

    Args:
        source: Split to read; the first shards of it that hold enough samples are used.
        processor: Of the module that would be fed.
        samples: Samples of a round at most; rounded down to whole batches.
        batch_size: Samples a batch.
        rounds: Passes of all sides over the samples, after one that is not counted.
    Raises:
        ConfigError: fewer samples than a batch, or no round.
        DataError: a sample that cannot be decoded.
    """
    num_batches = min(samples, source.num_samples) // batch_size
    if num_batches < 1 or rounds < 1:
        raise ConfigError(
            f"bench: {min(samples, source.num_samples)} samples, batches of {batch_size}, {rounds} rounds; "
            "expected at least one batch and one round"
        )
    count = num_batches * batch_size
    source = replace(source, shards=_first_shards(source, count))
    spec = StreamSpec(
        sources=(source,), processor=processor, batch_size=batch_size, on_bad_sample="raise", labels=False
    )
    streams = {LOADER: TrainStream(spec, num_batches=num_batches, same_epoch=True)}
    if not set(processor.suffixes) <= set(processor.asked_suffixes):
        streams[LABELLED] = TrainStream(replace(spec, labels=True), num_batches=num_batches, same_epoch=True)
    keys = [key for batch in streams[LOADER] for key in batch.keys]
    clips = _clips(source, processor, keys)
    groups = [clips[start : start + batch_size] for start in range(0, count, batch_size)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a loader worker, where garbage is not looked for in what was there before
    gc.freeze()
    try:
        _round(streams, groups)
        turns = [_round(streams, groups) for _ in range(rounds)]
    finally:
        gc.unfreeze()
        torch.set_num_threads(threads)
    return LoadingCost(samples=count, frames=sum(len(indices) for _, indices in clips), rounds=tuple(turns))


def _first_shards(source: Source, count: int) -> tuple:
    held = np.cumsum([shard.num_samples for shard in source.shards])
    return source.shards[: int(np.searchsorted(held, count)) + 1]


def _clips(source: Source, processor: SampleProcessor, keys: Sequence[str]) -> list[tuple[bytes, frozenset[int]]]:
    """(file, indices of the sampled frames) of each key."""
    wanted = set(keys)
    found = {}
    for shard in source.shards:
        for sample in read_shard(shard.path, suffixes=MEDIA_AND_JSON, wanted=lambda _, key: key in wanted):
            data = next((sample.files[suffix] for suffix in VIDEO_SUFFIXES if suffix in sample.files), None)
            if data is None:
                raise DataError(f"{sample.shard}: sample {sample.key!r} is no video; this bench decodes videos only")
            found[sample.key] = data, frozenset(decode_sample(sample, processor.sampling).indices.tolist())
    return [found[key] for key in keys]


def _round(
    streams: Mapping[str, TrainStream], groups: Sequence[Sequence[tuple[bytes, frozenset[int]]]]
) -> dict[str, tuple[float, ...]]:
    """Seconds of each side for each batch; the sides change places from batch to batch."""
    batches = {side: iter(stream) for side, stream in streams.items()}
    taken: dict[str, list[float]] = {side: [] for side in (*streams, BARE)}
    for number, clips in enumerate(groups):
        work = {side: partial(next, iterator) for side, iterator in batches.items()} | {BARE: partial(_bare, clips)}
        order = list(taken)
        turn = number % len(order)
        for side in order[turn:] + order[:turn]:
            taken[side].append(_seconds(work[side]))
    return {side: tuple(seconds) for side, seconds in taken.items()}


def _bare(clips: Sequence[tuple[bytes, frozenset[int]]]) -> None:
    import av

    for data, indices in clips:
        last = max(indices)
        with av.open(io.BytesIO(data)) as container:
            stream = container.streams.video[0]
            stream.thread_type, stream.codec_context.thread_count = "NONE", 1
            for index, frame in enumerate(container.decode(stream)):
                if index in indices:
                    frame.to_ndarray(format="rgb24", threads=1)
                if index == last:
                    break


def _seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin
