"""The contract of readers: generators whose samples are found in files instead of being drawn.

A reader first plans: it lists its samples with their texts, splits them by a hash of their keys, and leaves the media
closed. Workers then open the media of one shard each. So a sample keeps its split when others come or go, and the run
(spawned workers, atomic shards, resuming, the index) is the one of every generator.
"""

import copy
import json
import logging
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar, Protocol

from zoo.datamodules.readers.clips import FramesPart, SecondsPart, cut
from zoo.datamodules.readers.files import ImageSet
from zoo.datamodules.readers.media import as_one_kind, probe
from zoo.errors import ConfigError, DataError
from zoo.generator import GeneratedSample, ShardGenerator
from zoo.shards.faults import MAX_BAD_SHARE, FaultCounter, OnBadSample
from zoo.shards.schema import SCHEMA_NAME, SCHEMA_VERSION

logger = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
KEY_TEXT = 40  # characters of a file's name that its key repeats, for people


class MediaSource(Protocol):
    """Where the bytes of an image or a video are; picklable."""

    name: str

    def read(self) -> bytes:
        """The bytes.

        Raises:
            DataError: they are not there.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A sample that was found, its media still closed.

    Args:
        key: Stable id within the data set; the split hangs on it.
        where: File and row, for messages.
        media: The image or video, or images that are looked at together.
        annotations: As the shards' schema has them.
        split: Where the source says which split it belongs to; None leaves that to the hash.
        origin: What must not be divided among splits, such as the video that several clips are cut from; empty: the
            sample stands for itself.
        part: What of a video the sample is about; None: all of it.
        more: Further fields of the record, as the shards' schema has them.
        meta: Free JSON that goes into the record.
    """

    key: str
    where: str
    media: MediaSource | ImageSet
    annotations: Sequence[Mapping[str, Any]]
    split: str | None = None
    origin: str = ""
    part: SecondsPart | FramesPart | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)


class Reader(ShardGenerator):
    """Turns what others published, or what lies in a folder, into shards.

    Args:
        val_share: Share of the samples that becomes the split val where the source has none, in [0, 1).
        test_share: The same for test.
        samples_per_shard: Samples in one tar.
        on_bad_sample: Skip what cannot be read, each with a warning, or end at the first.
        max_bad_share: Share of bad samples at which the source counts as broken, in [0, 1].
    """

    unit: ClassVar[str] = "sample"
    keeps_order: bool = False  # else samples are stored in an order that has nothing to do with the source's

    def __init__(
        self,
        *,
        val_share: float = 0.05,
        test_share: float = 0.0,
        samples_per_shard: int = 250,
        on_bad_sample: OnBadSample = "skip",
        max_bad_share: float = MAX_BAD_SHARE,
    ) -> None:
        shares = {"val_share": val_share, "test_share": test_share}
        faults = [f"{name} is {share}, expected at least 0 and below 1" for name, share in shares.items()
                  if not 0 <= share < 1]  # fmt: skip
        if not faults and val_share + test_share >= 1:
            faults.append(f"val_share and test_share are {val_share + test_share} together, which leaves no train")
        if samples_per_shard < 1:
            faults.append(f"samples_per_shard is {samples_per_shard}, expected 1 or more")
        if not 0 <= max_bad_share <= 1:
            faults.append(f"max_bad_share is {max_bad_share}, expected 0 to 1")
        if faults:
            raise ConfigError(f"{self.name}: {'; '.join(faults)}")
        self.val_share, self.test_share = val_share, test_share
        self.samples_per_shard = samples_per_shard
        self.on_bad_sample = on_bad_sample
        self.max_bad_share = max_bad_share
        self._counts: dict[str, int] = {}
        self._planned: dict[tuple[str, int], list[Entry]] = {}  # (split, shard) to its samples

    @abstractmethod
    def entries(self, faults: FaultCounter) -> Iterator[Entry]:
        """Everything that is in the source, in an order that does not change.

        Args:
            faults: Counts what was read; is told of every row that cannot be.
        Raises:
            DataError: the source as a whole cannot be read.
        """

    @property
    def splits(self) -> dict[str, int]:
        return dict(self._counts)

    @property
    def shard_size(self) -> int:
        return self.samples_per_shard

    def plan(self) -> str:
        faults = FaultCounter(self.on_bad_sample, max_bad_share=self.max_bad_share)
        found = list(self.entries(faults))
        if not found:
            raise DataError(f"{self.name}: nothing to read ({faults.num_bad} bad samples)")
        if faults.num_bad:
            logger.warning("%s: %d bad rows were left out, each named above", self.name, faults.num_bad)
        split_of = assign_splits(found, val_share=self.val_share, test_share=self.test_share)
        if not self.keeps_order:
            found.sort(key=lambda entry: (hash_share(entry.key), entry.key))
        digest = blake2b(digest_size=16)
        for split in SPLITS:
            members = [entry for entry in found if split_of[entry.key] == split]
            self._counts[split] = len(members)
            for entry in members:
                said = [split, entry.key, list(entry.annotations), dict(entry.more)]
                digest.update(json.dumps(said, sort_keys=True).encode())
            for start in range(0, len(members), self.shard_size):
                self._planned[split, start // self.shard_size] = members[start : start + self.shard_size]
        return digest.hexdigest()

    def for_shard(self, split: str, shard: int) -> "Reader":
        part = copy.copy(self)
        part._planned = {(split, shard): self._planned[split, shard]}  # noqa: SLF001 - its own copy
        return part

    def read(self, entry: Entry) -> GeneratedSample:
        """Open the media of an entry, and write down what they are; a reader that has labels adds them here.

        Raises:
            DataError: no whole image or video.
        """
        about, media = _images(entry.media) if isinstance(entry.media, ImageSet) else _media(entry)
        record = {
            "schema": SCHEMA_NAME,
            "version": SCHEMA_VERSION,
            "key": entry.key,
            **about,
            "annotations": list(entry.annotations),
            "statements": [],
            **entry.more,
            "meta": {"source": entry.where, **entry.meta},
        }
        return GeneratedSample(record, media, None)

    def samples(self, split: str, shard: int, count: int) -> Iterator[GeneratedSample | DataError]:
        for entry in self._planned[split, shard]:
            try:
                yield self.read(entry)
            except DataError as error:
                yield DataError(f"{entry.where}: {error}")


def _media(entry: Entry) -> tuple[dict[str, Any], bytes]:
    """What a record says about its image or video, and the bytes."""
    media = probe(entry.media.name, entry.media.read())
    about = {
        "media": media.suffix,
        "width": media.width,
        "height": media.height,
        "num_frames": media.num_frames,
        "fps": media.fps,
    }
    if entry.part is None:
        return about, media.data
    part = cut(media.data, entry.part)
    about |= {"num_frames": part.num_frames, "fps": part.fps}
    if part.num_frames != part.stored_frames:
        about["clip"] = {"first_frame": part.first_frame, "stored_frames": part.stored_frames}
    return about, part.data


def _images(images: ImageSet) -> tuple[dict[str, Any], bytes | tuple[bytes, ...]]:
    """The same of several images, whose record repeats the first one's size."""
    found = as_one_kind([probe("", data) for data in images.read_all()])
    if not found:
        raise DataError("a set without images")
    sizes = [{"width": image.width, "height": image.height} for image in found]
    about = {"media": found[0].suffix, **sizes[0], "num_frames": len(found), "fps": 1.0}
    if len(found) == 1:
        return about, found[0].data
    return about | {"images": sizes}, tuple(image.data for image in found)


def key_of(identity: str) -> str:
    """A key that shards take, the same for the same thing every time: part of its name, and a hash of all of it."""
    name = re.sub(r"[^A-Za-z0-9_]+", "-", Path(identity).stem).strip("-")[:KEY_TEXT]
    digest = blake2b(identity.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
    return f"{name}-{digest}" if name else digest


def hash_share(key: str) -> float:
    """A number in [0, 1) that hangs on the key alone, evenly spread."""
    return int.from_bytes(blake2b(key.encode(), digest_size=6).digest(), "big") / 2**48


def assign_splits(entries: Sequence[Entry], *, val_share: float, test_share: float) -> dict[str, str]:
    """Split of every key: what the source says, else the hash of the origin.

    Shares are cut from what the source leaves open or calls train, and only for splits that it does not have itself.
    A share above 0 gets one sample at least, where there are two to divide, so that a tiny source trains as well.

    Args:
        entries: With differing keys.
        val_share: Of the samples that may be divided.
        test_share: The same.
    """
    own = {entry.split for entry in entries}
    shares = {"val": 0.0 if "val" in own else val_share, "test": 0.0 if "test" in own else test_share}
    split_of = {entry.key: entry.split for entry in entries if entry.split not in (None, "train")}
    members: dict[str, list[str]] = {}
    for entry in entries:
        if entry.key not in split_of:
            members.setdefault(entry.origin or entry.key, []).append(entry.key)
    free = sorted((hash_share(origin), origin) for origin in members)
    low = 0.0
    for split, share in shares.items():
        chosen = [origin for place, origin in free if low <= place < low + share]
        if share and not chosen and len(free) > 1:
            chosen = [free[0][1]]
        split_of |= {key: split for origin in chosen for key in members.pop(origin)}
        free = [(place, origin) for place, origin in free if origin in members]
        low += share
    return split_of | {key: "train" for keys in members.values() for key in keys}
