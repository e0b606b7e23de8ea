"""From a stored episode to the example of one of its windows.

Whatever is drawn depends on (seed, epoch, pass over the data, sample key) alone, and on how far the training is where
the rule of windows asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from zoo.datamodules.policy.reading import RejectionCounter
from zoo.datamodules.policy.windows import WindowRule
from zoo.errors import DataError
from zoo.goal_texts import TEMPLATES, goal_text
from zoo.policy_batch import PolicyExample
from zoo.policy_processor import PolicyProcessor
from zoo.shards.decode import decode_video
from zoo.shards.policy_episode import EpisodeFault, PolicyEpisode, policy_episode
from zoo.shards.reader import Sample

MAX_SEED = 1 << 63


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowPreparation:
    """Makes the examples of one reader and epoch.

    Args:
        processor: Of the module that is fed.
        rule: How windows are cut out.
        faults: Told of episodes that cannot be learnt from.
        seed: Of the stream.
        epoch: Another epoch draws other windows; evaluation passes 0.
        training: Draw windows, times and wordings anew; else windows that stay and goals as recorded.
    """

    processor: PolicyProcessor
    rule: WindowRule
    faults: RejectionCounter
    seed: int
    epoch: int
    training: bool

    def group(self, drawn: Iterator[tuple[Sample, int]], size: int, *, progress: float = 0.0) -> list[PolicyExample]:
        """So many examples, or fewer where the episodes end; no more episodes are read than that takes.

        Args:
            drawn: Episodes, and the number of the pass over the data that each is of.
            size: Of the group.
            progress: How much of the training is done, 0 to 1.
        """
        made: list[PolicyExample] = []
        # One by one: whoever draws asks after a pass whether any of its episodes was good.
        for sample, number in drawn:
            try:
                made.append(self.example(sample, number, progress=progress))
            except DataError as error:
                self.faults.report(error)
                continue
            self.faults.num_good += 1
            if len(made) == size:
                break
        return made

    def example(self, sample: Sample, pass_number: int = 0, *, progress: float = 0.0) -> PolicyExample:
        """A window of one episode.

        Args:
            sample: As read from a shard.
            pass_number: Over the data, in this epoch.
            progress: How much of the training is done, 0 to 1.
        Raises:
            DataError: names shard and key; an `EpisodeFault` where it is the episode that is faulty.
        """
        where = f"{sample.shard}: sample"
        episode = policy_episode(sample.record, sample.files, where=where)
        self.processor.check(episode, where=where)
        generator = np.random.default_rng([self.seed, self.epoch, pass_number, crc32(sample.key.encode())])
        if self.training:
            window = self.rule.training_window(episode.arrays["actions"], progress=progress, generator=generator)
            goal = spoken_goal(episode, generator, where=where)
        else:
            window = self.rule.evaluation_window(episode.num_steps, generator)
            goal = episode.record["goal"]
        return self.processor.example(
            episode,
            steps=window.steps,
            frames=self.processor.frames(window_pictures(episode, self.processor.cameras, window.steps, where=where)),
            goal=goal,
            time_offset=window.time_offset,
            seed=int(generator.integers(MAX_SEED)),
            is_mirrored=window.is_mirrored,
        )


def spoken_goal(episode: PolicyEpisode, generator: np.random.Generator, *, where: str = "sample") -> str:
    """The goal in words drawn anew; as recorded where only its words are, and of tasks that CHORES does not have.

    Raises:
        EpisodeFault: the specification cannot be put into words.
    """
    specification = episode.record["goal_spec"]
    if specification.get("task_type") not in TEMPLATES:
        return episode.record["goal"]
    try:
        return goal_text(specification, generator)
    except DataError as error:
        raise EpisodeFault(f"{where} {episode.key!r}: {error}", reason="bad_record") from error


def window_pictures(
    episode: PolicyEpisode, cameras: Iterable[str], steps: np.ndarray, *, where: str = "sample"
) -> dict[str, np.ndarray]:
    """The pictures of some steps, by camera; cameras that were not recorded are left out.

    Args:
        episode: Checked.
        cameras: Names.
        steps: (time,) growing places.
        where: Shard and key, for messages.
    Returns:
        (time, height, width, 3) uint8 RGB each.
    Raises:
        EpisodeFault: a video does not decode, or to another size than recorded.
    """
    pictures = {}
    for recorded in episode.record["cameras"]:
        name = recorded["name"]
        if name not in cameras:
            continue
        try:
            clip = decode_video(episode.media[name], lambda times_s: steps, expected_frames=episode.num_steps).frames
        except DataError as error:
            raise EpisodeFault(f"{where} {episode.key!r}: camera {name}: {error}", reason="missing_frames") from error
        size = (recorded["height"], recorded["width"])
        if clip.shape[1:3] != size:
            raise EpisodeFault(
                f"{where} {episode.key!r}: camera {name} has pictures of {clip.shape[1:3]} pixels (height, width), the "
                f"record speaks of {size}",
                reason="frame_size",
            )
        pictures[name] = clip
    return pictures
