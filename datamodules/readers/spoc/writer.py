"""Recorded episodes in shards as SPOC's and RING's public trajectory layout, house by house.

Source: sheet spoc_ring_holodeck_graspmolmo 1.8. The state behind the last action repeats the one before it. The record
    of a sample goes into the task specification's `extras`, where others pass over it and the reader finds it.
Lost: the bytes of videos, not their pictures where our encoder made them; areas of boxes, which are those of their
    edges; which object a box belongs to (it is written for the first); numbers of episodes begin at 0 in each house.
Differs: the release's constants file and pickled action space are not written: nothing reads them, a pickle is code.
"""

from __future__ import annotations

import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from zoo.datamodules.readers.spoc import layout, recording, specification, videos
from zoo.datamodules.readers.spoc.layout import Vocabulary
from zoo.datamodules.readers.spoc.reader import EMBODIMENT_VECTOR
from zoo.errors import ConfigError
from zoo.libraries import optional
from zoo.shards.policy_episode import PolicyEpisode, check_policy_record, policy_episode
from zoo.shards.reader import read_again, read_index, read_shard
from zoo.shards.writer import write_json

UNFINISHED_SUFFIX = ".part"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """Where a sample lies.

    Args:
        key: Of the sample.
        shard: Path of the tar.
        offset: In it.
    """

    key: str
    shard: Path
    offset: int


Houses = Mapping[tuple[str, str, int], Sequence[_Found]]
"""Samples by task, split and house."""


def trajectories(data: Path, *, out: Path, vocabulary: Vocabulary = "fifteen_type") -> str:
    """Write recorded episodes in the layout that SPOC's and RING's own code reads.

    Args:
        data: Folder of shards of recorded episodes.
        out: Folder that gets the tasks; an interrupted run is continued, whole houses stay.
        vocabulary: Name of the folder above the tasks: few types of objects, or many.

    Returns:
        The folder above the tasks.

    Raises:
        ConfigError: a split that the layout does not have, cameras that it does not have, or other episodes in `out`.
        DataError: shards of something else, or a sample that cannot be learned from.
        MissingLibraryError: h5py is not installed.
    """
    _h5py()
    houses = _houses(data)
    root = out / vocabulary
    with tqdm(total=sum(map(len, houses.values())), unit="episode", desc="trajectories", file=sys.stderr) as bar:
        for (task, split, house), found in houses.items():
            folder = root / layout.TASKS[task] / split / layout.house_folder(house)
            if not _is_whole(folder, found):
                _write_house(folder, found)
            bar.update(len(found))
    for task, split in sorted({name[:2] for name in houses}):
        numbers = {
            layout.house_folder(house): [str(number) for number in range(len(found))]
            for (other_task, other_split, house), found in houses.items()
            if (other_task, other_split) == (task, split)
        }
        write_json(root / layout.TASKS[task] / layout.houses_file(split), numbers)
    return str(root)


def _h5py() -> Any:
    return optional("h5py", extra="hdf5", purpose="write the trajectories of SPOC and RING")


def _houses(data: Path) -> Houses:
    """Every sample of a data set by its house; only records are read."""
    splits = {split: shards for split, shards in read_index(data).items() if shards}
    if odd := sorted(splits.keys() - set(layout.SPLITS)):
        raise ConfigError(f"{data} has the split {', '.join(odd)}; the layout has {' and '.join(layout.SPLITS)} only")
    found: dict[tuple[str, str, int], list[_Found]] = defaultdict(list)
    for split, shards in splits.items():
        for shard in shards:
            for sample in read_shard(shard.path, suffixes=("json",), check=check_policy_record):
                record = sample.record
                if record["task"] not in layout.TASKS:
                    raise ConfigError(
                        f"{data}: no folder for task {record['task']}; {', '.join(layout.TASKS)} have one"
                    )
                place = (record["task"], split, record["house"]["index"])
                found[place].append(_Found(key=sample.key, shard=shard.path, offset=sample.offset))
    return {place: sorted(found[place], key=lambda sample: sample.key) for place in sorted(found)}


def _digest(found: Sequence[_Found]) -> str:
    """Of the keys of a house; tells whether a folder holds these episodes."""
    return blake2b("\n".join(sample.key for sample in found).encode(), digest_size=8).hexdigest()


def _is_whole(folder: Path, found: Sequence[_Found]) -> bool:
    """Whether a house is there already.

    Raises:
        ConfigError: it is, with other episodes.
    """
    sentinel = folder / layout.SENTINEL
    if not folder.exists():
        return False
    if sentinel.is_file() and sentinel.read_text(encoding="utf-8").strip() == _digest(found):
        return True
    raise ConfigError(f"{folder} holds other episodes; choose another folder, or delete this one")


def _write_house(folder: Path, found: Sequence[_Found]) -> None:
    """Write one house beside its place, and put it there when it is whole."""
    unfinished = folder.with_name(folder.name + UNFINISHED_SUFFIX)
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    with _h5py().File(unfinished / layout.SENSORS, "w") as file:
        for number, episode in enumerate(_episodes(found)):
            _write_episode(unfinished, file, str(number), episode)
    (unfinished / layout.SENTINEL).write_text(_digest(found) + "\n", encoding="utf-8")
    unfinished.rename(folder)


def _episodes(found: Sequence[_Found]) -> Iterator[PolicyEpisode]:
    """One after the other, so that a house of many takes no more memory than one of few."""
    for place in found:
        (sample,) = read_again(place.shard, [place.offset], check=check_policy_record).values()
        yield policy_episode(sample.record, sample.files, where=f"{place.shard}: sample")


def _write_episode(folder: Path, file: Any, number: str, episode: PolicyEpisode) -> None:
    record = episode.record
    if odd := sorted(set(episode.cameras) - layout.CAMERAS.keys()):
        raise ConfigError(f"{episode.key}: camera {', '.join(odd)}; the layout has {', '.join(layout.CAMERAS)} only")
    spec = specification.to_public(record["goal_spec"])
    spec |= {"natural_language_spec": record["goal"], "house_index": record["house"]["index"]}
    spec["extras"] = (spec.get("extras") or {}) | {specification.OURS: record}
    objects = record["goal_spec"].get("broad_synset_to_object_ids") or {}
    members = recording.members_of(episode.arrays, objects=objects, cameras=episode.cameras, success=record["success"])
    num_states = episode.num_steps + 1
    members[layout.SPECIFICATION] = layout.json_rows(spec, num_states)
    members[layout.HOUSE] = np.full((num_states, 1), record["house"]["index"], np.int64)
    if record["embodiment"] is not None:
        body = {EMBODIMENT_VECTOR: record["embodiment"]}
        members[layout.EMBODIMENT] = layout.json_rows(body, num_states)
    _write_members(file.create_group(number), members)
    for camera, video in episode.media.items():
        longer = videos.with_last_frame_again(video, fps=record["fps"])
        (folder / layout.video_file(camera, number)).write_bytes(longer)


def _write_members(group: Any, members: Mapping[str, Any]) -> None:
    for name, value in members.items():
        if isinstance(value, Mapping):
            _write_members(group.create_group(name), value)
        elif value.size:
            group.create_dataset(name, data=value, compression="gzip", compression_opts=layout.GZIP_LEVEL)
        else:  # no objects; HDF5 has no pieces of nothing to compress
            group.create_dataset(name, data=value)
