"""SPOC's and RING's published trajectories as shards of recorded episodes.

Source: sheet spoc_ring_holodeck_graspmolmo 1.8 (layout, alignment, what is rejected) and 2.2 (RING's bodies).
Differs: the state behind the last action, which nobody learns from, is taken off here and not whenever a sample is
    loaded, without coding pictures anew; an episode that is rejected is counted by reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np

from zoo.datamodules.readers.files import MediaFile
from zoo.datamodules.readers.reader import Entry, Reader, hash_share
from zoo.datamodules.readers.spoc import layout, recording, specification, videos
from zoo.datamodules.readers.spoc.layout import Release
from zoo.embodiment import NUM_EMBODIMENT
from zoo.errors import ConfigError, DataError
from zoo.generator import GeneratedSample, GivenUpError
from zoo.libraries import optional
from zoo.navigation_actions import SpocAction
from zoo.shards.faults import MAX_BAD_SHARE, FaultCounter, OnBadSample
from zoo.shards.policy_episode import (
    POLICY_SAMPLES,
    POLICY_SCHEMA,
    POLICY_VERSION,
    EpisodeFault,
    PolicyEpisode,
    Reason,
)

DATASET = "spoc"
"""Family of houses, where a recording does not say."""
ROBOTS: Mapping[Release, str] = {"spoc": "stretch", "ring": "ring_body"}
EMBODIMENT_VECTOR = "vector"
"""Entry of our embodiment sensor: the nineteen numbers."""


class SpocTrajectories(Reader):
    """Episodes in the public layout of SPOC and RING.

    Args:
        root: Folder that holds fifteen_type, all_type, or both.
        release: Whose recordings: spoc has two cameras of 384 x 224 pixels at 5 frames a second, ring one or two of any
            size at 10.
        tasks: Our names or theirs, as object_nav_type or ObjectNavType; left out: all that are there.
        from_splits: Of train and val; they keep their names.
        num_episodes: Of each task and split at most, spread over the houses; left out: all.
        samples_per_shard: Episodes in one tar.
        on_bad_sample: Skip what cannot be learned from, each with a warning and counted by reason, or end at the first.
        max_bad_share: Share of bad episodes at which the source counts as broken, in [0, 1].
    Raises:
        ConfigError: an unknown release, task or split, or a number below 1.
    """

    name: ClassVar[str] = "spoc_trajectories"
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "episode"
    schema = POLICY_SAMPLES

    def __init__(
        self,
        *,
        root: str,
        release: Release = "spoc",
        tasks: Sequence[str] | None = None,
        from_splits: Sequence[str] = layout.SPLITS,
        num_episodes: int | None = None,
        samples_per_shard: int = 100,
        on_bad_sample: OnBadSample = "skip",
        max_bad_share: float = MAX_BAD_SHARE,
    ) -> None:
        super().__init__(
            val_share=0.0,  # the source has its own
            samples_per_shard=samples_per_shard,
            on_bad_sample=on_bad_sample,
            max_bad_share=max_bad_share,
        )
        faults = [f"split {split!r}, expected train or val" for split in from_splits if split not in layout.SPLITS]
        if release not in get_args(Release):
            faults.append(f"release {release!r}, expected one of {', '.join(get_args(Release))}")
        if num_episodes is not None and num_episodes < 1:
            faults.append(f"num_episodes {num_episodes}, expected 1 or more")
        if not from_splits:
            faults.append("from_splits is empty, expected train, val or both")
        if faults:
            raise ConfigError(f"{self.name}: {'; '.join(faults)}")
        self.root = str(root)
        self.release = release
        self.tasks = None if tasks is None else [_our_name(task) for task in tasks]
        self.from_splits = list(from_splits)
        self.num_episodes = num_episodes

    def plan(self) -> str:
        _h5py()
        return super().plan()

    def entries(self, faults: FaultCounter) -> Iterator[Entry]:
        folders = list(_task_folders(Path(self.root), self.tasks))
        if not folders:
            raise DataError(
                f"{self.root} holds no {' or '.join(get_args(layout.Vocabulary))} with a task of "
                f"{', '.join(self.tasks or layout.TASKS)}; name the folder above them"
            )
        for task, folder in folders:
            for split in self.from_splits:
                found = list(_listed(folder, task, split, faults))
                if self.num_episodes is not None:
                    found = sorted(found, key=lambda entry: (hash_share(entry.key), entry.key))[: self.num_episodes]
                yield from found

    def samples(self, split: str, shard: int, count: int) -> Iterator[GeneratedSample | DataError]:
        for entry in self._planned[split, shard]:
            try:
                episode = self.episode(entry)
                yield GeneratedSample(episode.record, episode.media, episode.arrays)
            except EpisodeFault as fault:
                yield GivenUpError(f"{entry.where}: {fault}", {f"rejected: {fault.reason}": 1})

    def episode(self, entry: Entry) -> PolicyEpisode:
        """Read one episode.

        Args:
            entry: Of `entries`.
        Raises:
            EpisodeFault: it cannot be learned from.
        """
        number = entry.more["episode"]
        sensors = Path(entry.media.name)
        try:
            with _h5py().File(sensors, "r") as file:
                if number not in file:
                    raise EpisodeFault(f"no episode {number} among the {len(file)} recorded", reason="bad_arrays")
                return self._episode(entry, recording.Group(file[number]))
        except OSError as error:
            raise EpisodeFault(f"{sensors.name} cannot be read: {error}", reason="bad_arrays") from error

    def _episode(self, entry: Entry, group: recording.Group) -> PolicyEpisode:
        given = group.json(layout.SPECIFICATION)
        spec = specification.from_public(given)
        kept = _record_of_ours(spec)
        media, sizes = self._videos(entry, group.num_states, has_record=kept is not None)
        cameras = tuple(camera["name"] for camera in kept["cameras"]) if kept else tuple(media)
        if set(cameras) != set(media):
            raise EpisodeFault(f"videos of {', '.join(media)}, expected {', '.join(cameras)}", reason="missing_frames")
        targets = specification.targets_of(spec)
        rooms = kept["house"]["rooms"] if kept else ()
        arrays = recording.arrays_of(group, targets=targets, cameras=cameras, num_rooms=len(rooms))
        record = kept or self._record(entry, group, spec, arrays, sizes)
        episode = PolicyEpisode(record, arrays, media)
        episode.check()
        return episode

    def _videos(
        self, entry: Entry, num_states: int, *, has_record: bool
    ) -> tuple[dict[str, bytes], dict[str, tuple[int, int]]]:
        """Videos without their last frames, and (height, width), by camera; our record says of which size they are."""
        folder, number = Path(entry.media.name).parent, entry.more["episode"]
        paths = {camera: folder / layout.video_file(camera, number) for camera in layout.CAMERAS}
        paths = {camera: path for camera, path in paths.items() if path.is_file()}
        recording.required_cameras(self.release, tuple(paths))
        media, sizes = {}, {}
        for camera, path in paths.items():
            try:
                video = videos.opened(path.read_bytes())
                self._check_video(video, num_states, any_size=has_record or self.release == "ring")
                media[camera] = videos.without_last_frame(video.data)
            except EpisodeFault as fault:
                raise EpisodeFault(f"{path.name} {fault}", reason=fault.reason) from fault
            except DataError as error:
                raise EpisodeFault(f"{path.name}: {error}", reason="missing_frames") from error
            sizes[camera] = (video.height, video.width)
        return media, sizes

    def _check_video(self, video: videos.Opened, num_states: int, *, any_size: bool) -> None:
        if video.num_frames != num_states:
            reason: Reason = "missing_frames" if video.num_frames < num_states else "length_mismatch"
            raise EpisodeFault(f"has {video.num_frames} frames, {num_states} states were recorded", reason=reason)
        if not any_size and (video.height, video.width) != layout.FRAME_SIZE:
            expected = " x ".join(map(str, layout.FRAME_SIZE))
            raise EpisodeFault(
                f"has frames of {video.height} x {video.width}, expected {expected}; --release ring takes any size",
                reason="frame_size",
            )

    def _record(
        self,
        entry: Entry,
        group: recording.Group,
        spec: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        sizes: Mapping[str, tuple[int, int]],
    ) -> dict[str, Any]:
        """The record of an episode that somebody else recorded."""
        actions = arrays["actions"]
        body = group.json(layout.EMBODIMENT) if group.has(layout.EMBODIMENT) else None
        is_done = bool(actions[-1] == SpocAction.DONE)
        moved = np.diff(arrays["base_pose"][:, :2].astype(np.float64), axis=0)
        house = group.states(layout.HOUSE)[0] if group.has(layout.HOUSE) else entry.more["house"]
        length = spec.get("expert_length")
        return {
            "schema": POLICY_SCHEMA,
            "version": POLICY_VERSION,
            "key": entry.key,
            "task": spec["task_type"],
            "goal": specification.worded(spec, entry.key),
            "goal_spec": dict(spec),
            "cameras": [
                {"name": camera, "width": width, "height": height, "fovy_deg": layout.FOVY_DEG}
                for camera, (height, width) in sizes.items()
            ],
            "fps": layout.FPS[self.release],
            "num_steps": len(actions),
            "robot": ROBOTS[self.release],
            "embodiment": _embodiment(body),
            "episode": None,
            "house": {"dataset": DATASET, "split": entry.split, "index": int(house), "rooms": []},
            "expert_steps": length if isinstance(length, int) and length > 0 else len(actions),
            "path_m": float(np.hypot(*moved.T).sum()),
            "shortest_m": None,
            "success": is_done and bool(group.states(layout.STRICT)[-1]),
            "meta": {"source": entry.where} | ({} if body is None else {"embodiment": body}),
        }


def _h5py() -> Any:
    return optional("h5py", extra="hdf5", purpose="read the trajectories of SPOC and RING")


def _our_name(task: str) -> str:
    names = {public: ours for ours, public in layout.TASKS.items()}
    found = names.get(task, task)
    if found not in layout.TASKS:
        raise ConfigError(f"spoc_trajectories: no task {task!r}; tasks: {', '.join(layout.TASKS)}")
    return found


def _task_folders(root: Path, tasks: Sequence[str] | None) -> Iterator[tuple[str, Path]]:
    """(our name, folder) of the tasks that are there."""
    for vocabulary in get_args(layout.Vocabulary):
        for task in tasks or layout.TASKS:
            folder = root / vocabulary / layout.TASKS[task]
            if folder.is_dir():
                yield task, folder


def _listed(folder: Path, task: str, split: str, faults: FaultCounter) -> Iterator[Entry]:
    """Entries of one task and split; none where the split is not there."""
    path = folder / layout.houses_file(split)
    if not path.is_file():
        return
    try:
        houses = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is no JSON: {error}") from error
    if not isinstance(houses, dict):
        raise DataError(f"{path} is no list of houses: expected an object of episodes by house")
    for house, episodes in sorted(houses.items()):
        where = f"{folder.parent.name}/{folder.name}/{split}/{house}"
        if not house.isdecimal() or not isinstance(episodes, list):
            faults.report(DataError(f"{path.name}: house {house!r} with {episodes!r}; expected six digits and a list"))
            continue
        for number in map(str, episodes):
            faults.num_good += 1
            key = f"{folder.parent.name}-{task}-{split}-{house}-{number}"
            yield Entry(
                key=key.replace(".", "-"),
                where=f"{where} episode {number}",
                media=MediaFile(folder / split / house / layout.SENSORS),
                annotations=(),
                split=split,
                more={"episode": number, "house": int(house)},
            )


def _record_of_ours(spec: dict[str, Any]) -> dict[str, Any] | None:
    """The record that our writer left in a specification; None of another one."""
    extras = spec.get("extras")
    record = extras.get(specification.OURS) if isinstance(extras, Mapping) else None
    return dict(record) if isinstance(record, Mapping) and record.get("schema") == POLICY_SCHEMA else None


def _embodiment(body: Any) -> list[float] | None:
    """RING's body as nineteen numbers; None where its sensor has them by other names."""
    vector = body.get(EMBODIMENT_VECTOR) if isinstance(body, Mapping) else None
    return list(map(float, vector)) if isinstance(vector, list) and len(vector) == NUM_EMBODIMENT else None
