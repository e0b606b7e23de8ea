"""The data half of a policy: pictures at the size its vision encoder takes, numbered actions, padded batches.

The workers of a loader and the acting policy both make pictures here, so that a policy acts on what it learnt from.
Source: sheet spoc_ring_holodeck_graspmolmo 1.5 (sizes and camera order), 1.8 (alignment), 1.9 (padding), 2.4 (RING).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.embodiment import EMBODIMENT, NUM_EMBODIMENT
from zoo.errors import ConfigError, DataError
from zoo.goal_texts import category_asked
from zoo.navigation_actions import SpocAction
from zoo.policy_batch import NO_TIME, PolicyBatch, PolicyExample
from zoo.policy_head import IGNORED
from zoo.policy_trunk import IN_HAND_PADDING, ActionIds
from zoo.shards.policy_episode import BOXES_PER_CAMERA, MISSING_BOX, SHOWS, EpisodeFault

if TYPE_CHECKING:
    from zoo.shards.policy_episode import PolicyEpisode

Resize = Literal["bicubic", "pad"]

_SIDES = ((SpocAction.ROTATE_LEFT, SpocAction.ROTATE_RIGHT),
          (SpocAction.ROTATE_LEFT_SMALL, SpocAction.ROTATE_RIGHT_SMALL))  # fmt: skip
_SWAPPED = {int(a): int(b) for pair in _SIDES for a, b in (pair, pair[::-1])}
MIRRORED = np.array([_SWAPPED.get(number, number) for number in range(len(SpocAction) + 3)])
"""What an action is in a mirror, by its number; start, padding and blocked stay."""
_IS_TURNED = np.array([number.mirrored == "turned" for number in EMBODIMENT])
_IS_NEGATED = np.array([number.mirrored != "same" for number in EMBODIMENT])


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyProcessor:
    """Makes examples of recorded episodes, and batches of examples; picklable.

    Args:
        cameras: Names in alphabetical order, as the trunk wants them.
        image_size: (height, width) of the pictures that the vision encoder takes.
        action_ids: Numbering of previous actions.
        has_in_hand: The trunk wants to know whether something is in the hand; whoever makes `PolicySteps` asks.
        boxes_per_camera: Boxes of each camera that the trunk takes, 0 to 2.
        resize: `bicubic` ignores the aspect ratio, as released; `pad` puts the picture into the middle of a black
            square first, as RING's paper.
        crop_columns: Columns cut off each side before resizing: 6 of 396 in SPOC's renderings, 3 of 384 for DINOv2.
        choosable: Actions that the head may choose; None for all.
        knows_body: The trunk wants to know the body.
    Raises:
        ConfigError: cameras in another order, no pixels, or an unknown choice.
    """

    cameras: tuple[str, ...]
    image_size: tuple[int, int]
    action_ids: ActionIds
    has_in_hand: bool = True
    boxes_per_camera: int = 0
    resize: Resize = "bicubic"
    crop_columns: int = 0
    choosable: tuple[int, ...] | None = None
    knows_body: bool = False

    def __post_init__(self) -> None:
        faults = []
        if not self.cameras or list(self.cameras) != sorted(set(self.cameras)):
            faults.append(
                f"cameras {list(self.cameras)}, expected different ones in order: {sorted(set(self.cameras))}"
            )
        if len(self.image_size) != 2 or min(self.image_size) < 1:
            faults.append(f"image_size {self.image_size}, expected (height, width) of 1 pixel or more")
        if not 0 <= self.boxes_per_camera <= BOXES_PER_CAMERA:
            faults.append(f"boxes_per_camera {self.boxes_per_camera}, expected 0 to {BOXES_PER_CAMERA}")
        if self.resize not in get_args(Resize):
            faults.append(f"resize {self.resize!r}, expected one of {', '.join(get_args(Resize))}")
        if self.crop_columns < 0:
            faults.append(f"crop_columns {self.crop_columns}, expected 0 or more")
        if faults:
            raise ConfigError(f"policy inputs: {'; '.join(faults)}")

    def frames(self, pictures: Mapping[str, np.ndarray]) -> Tensor:
        """Pictures of all cameras at the encoder's size; of a camera that is not there, black ones.

        Args:
            pictures: By camera (time, height, width, 3) uint8 RGB; sizes may differ between cameras, others are left
                alone.
        Returns:
            (time, cameras, 3, *image_size) uint8; channels lie last in memory.
        Raises:
            DataError: no camera that the policy looks through, other shapes, or numbers of pictures that differ.
        """
        seen = {name: pictures[name] for name in self.cameras if name in pictures}
        if not seen:
            raise DataError(
                f"pictures of {', '.join(pictures) or 'no camera'}; this policy looks through {', '.join(self.cameras)}"
            )
        for name, clip in seen.items():
            self._check_clip(name, clip)
        lengths = {len(clip) for clip in seen.values()}
        if len(lengths) > 1:
            counts = ", ".join(f"{len(clip)} of {name}" for name, clip in seen.items())
            raise DataError(f"cameras differ in their number of pictures: {counts}")
        made = np.zeros((lengths.pop(), len(self.cameras), *self.image_size, 3), np.uint8)
        for place, name in enumerate(self.cameras):
            if name in seen:
                self._show(seen[name], made[:, place])
        return torch.from_numpy(made).permute(0, 1, 4, 2, 3)

    def _check_clip(self, name: str, clip: np.ndarray) -> None:
        if clip.ndim != 4 or clip.shape[3] != 3 or clip.dtype != np.uint8 or 0 in clip.shape:
            raise DataError(
                f"pictures of {name} are {clip.shape} {clip.dtype}, expected (time, height, width, 3) uint8"
            )
        if clip.shape[2] <= 2 * self.crop_columns:
            raise DataError(
                f"pictures of {name} have {clip.shape[2]} columns; {self.crop_columns} are cut off each side"
            )

    def _show(self, clip: np.ndarray, out: np.ndarray) -> None:
        clip = clip[:, :, self.crop_columns : clip.shape[2] - self.crop_columns]
        if self.resize == "pad":
            clip = padded_to_square(clip)
        if clip.shape == out.shape:
            out[:] = clip
            return
        pixels = torch.from_numpy(np.ascontiguousarray(clip)).permute(0, 3, 1, 2)
        # Of uint8 it rounds and clamps by itself, as Pillow does.
        resized = F.interpolate(pixels, size=self.image_size, mode="bicubic", antialias=True)
        out[:] = resized.permute(0, 2, 3, 1).numpy()

    def example(
        self,
        episode: PolicyEpisode,
        *,
        steps: np.ndarray,
        frames: Tensor,
        goal: str,
        time_offset: int = 0,
        seed: int = 0,
        is_mirrored: bool = False,
    ) -> PolicyExample:
        """A window of a recorded episode.

        Args:
            episode: As read from a shard and checked.
            steps: (time,) growing places of the window's steps in the episode.
            frames: What `frames` made of the pictures of these steps.
            goal: What the robot is told.
            time_offset: Steps added to the times.
            seed: Of what is drawn about the window later on.
            is_mirrored: Show it as in a mirror: left is right in pictures, boxes, actions and what is told of the body.
                True of cameras that look straight ahead.
        """
        arrays, embodiment = episode.arrays, episode.record["embodiment"]
        made = arrays["actions"].astype(np.int64)
        previous = np.concatenate(([self.action_ids.start], made[:-1]))
        if self.action_ids.blocked is not None:
            previous[1:][~arrays["action_success"][:-1]] = self.action_ids.blocked
        numbers = np.full(NUM_EMBODIMENT, np.nan) if embodiment is None else np.array(embodiment)
        if is_mirrored:
            numbers = np.where(_IS_NEGATED, -numbers, numbers)
            numbers[_IS_TURNED] %= 360
        labels = episode.labels[steps].astype(np.int64)
        boxes, shows = self._boxes(episode, steps), self._shows(episode, steps)
        if is_mirrored:
            frames, labels, previous = frames.flip(-1), MIRRORED[labels], MIRRORED[previous]
            boxes = self._mirrored_boxes(boxes, episode)
            shows = None if shows is None else shows.flip(-1)
        return PolicyExample(
            key=episode.key,
            task=episode.record["task"],
            goal=goal,
            seed=seed,
            frames=frames,
            actions=torch.from_numpy(labels),
            previous_actions=torch.from_numpy(previous[steps]),
            time_ids=torch.from_numpy(np.asarray(steps, np.int64) + time_offset),
            in_hand=torch.from_numpy(arrays["in_hand"][steps].astype(np.int64)),
            boxes=boxes,
            embodiment=torch.from_numpy(numbers.astype(np.float32)),
            shows=shows,
            categories=() if shows is None else tuple(episode.record["categories"]),
            category=None if shows is None else category_asked(episode.record["goal_spec"]),
        )

    def check(self, episode: PolicyEpisode, *, where: str = "sample") -> None:
        """Refuse an episode that the policy could not act like, or lacks what it wants to know; costs no picture.

        Args:
            episode: As read from a shard.
            where: Names its shard, for the message.
        Raises:
            EpisodeFault: the body is not described, and the policy wants to know it; or the expert takes an action that
                the head never chooses.
        """
        if self.knows_body and episode.record["embodiment"] is None:
            raise EpisodeFault(
                f"{where} {episode.key!r}: nothing describes the body of {episode.record['robot']}, and the policy is "
                "told of it; generate episodes of stretch or ring_body anew, or train without knows_body",
                reason="unknown_body",
            )
        if self.choosable is None:
            return
        others = np.setdiff1d(episode.labels, self.choosable)
        if len(others):
            names = ", ".join(SpocAction(number).long_name for number in others)
            raise EpisodeFault(
                f"{where} {episode.key!r}: the expert of {episode.record['task']} takes {names}, which the policy's "
                "head never chooses; train on other tasks, or with a head that does (navigation_only: false)",
                reason="unknown_action",
            )

    def _shows(self, episode: PolicyEpisode, steps: np.ndarray) -> Tensor | None:
        """(time, cameras, rows, columns) int64; None where it was not recorded, or pictures are cut or padded."""
        if SHOWS not in episode.arrays or self.crop_columns or self.resize == "pad":
            return None
        recorded = torch.from_numpy(episode.arrays[SHOWS][steps].astype(np.int64))
        own = recorded.new_zeros(len(steps), len(self.cameras), *recorded.shape[2:])
        for place, name in enumerate(self.cameras):
            if name in episode.cameras:
                own[:, place] = recorded[:, episode.cameras.index(name)]
        return own

    def _mirrored_boxes(self, boxes: Tensor, episode: PolicyEpisode) -> Tensor:
        widths = {camera["name"]: camera["width"] for camera in episode.record["cameras"]}
        last = boxes.new_tensor([widths.get(name, 1) - 1 for name in self.cameras])[:, None]
        mirrored = boxes.clone()
        mirrored[..., 0], mirrored[..., 2] = last - boxes[..., 2], last - boxes[..., 0]
        is_there = boxes[..., 4] > MISSING_BOX[4]
        return torch.where(is_there.unsqueeze(-1), mirrored, boxes)

    def _boxes(self, episode: PolicyEpisode, steps: np.ndarray) -> Tensor:
        boxes = missing_boxes(len(steps), len(self.cameras), self.boxes_per_camera)
        if self.boxes_per_camera:
            recorded = torch.from_numpy(episode.arrays["boxes"][steps])
            for own, name in enumerate(self.cameras):
                if name in episode.cameras:
                    boxes[:, own] = recorded[:, episode.cameras.index(name), : self.boxes_per_camera]
        return boxes

    def collate(self, examples: Sequence[PolicyExample]) -> PolicyBatch:
        """Pad windows behind their last step to the longest one.

        Args:
            examples: One or more, made by a processor of the same settings.
        """
        rows, longest = len(examples), max(len(example) for example in examples)
        shape = (rows, longest)
        cameras, colours, height, width = examples[0].frames.shape[1:]
        # Channels last in memory, like the examples: nothing is transposed, and convolutions on a CPU want it so.
        pixels = torch.empty(*shape, cameras, height, width, colours, dtype=torch.uint8).permute(0, 1, 2, 5, 3, 4)
        batch = PolicyBatch(
            keys=tuple(example.key for example in examples),
            tasks=tuple(example.task for example in examples),
            goals=tuple(example.goal for example in examples),
            seeds=tuple(example.seed for example in examples),
            frames=pixels,
            actions=torch.full(shape, IGNORED),
            previous_actions=torch.full(shape, self.action_ids.padding),
            time_ids=torch.full(shape, NO_TIME),
            in_hand=torch.full(shape, IN_HAND_PADDING),
            boxes=missing_boxes(*shape, cameras, self.boxes_per_camera),
            embodiment=torch.stack([example.embodiment for example in examples]),
            valid_mask=torch.zeros(shape, dtype=torch.bool),
        )
        for row, example in enumerate(examples):
            real = (row, slice(len(example)))
            batch.valid_mask[real] = True
            for name in ("frames", "actions", "previous_actions", "time_ids", "in_hand", "boxes"):
                getattr(batch, name)[real] = getattr(example, name)
            pixels[row, len(example) :] = 0
        return with_shown(batch, examples)


def with_shown(batch: PolicyBatch, examples: Sequence[PolicyExample]) -> PolicyBatch:
    """A batch with what its pictures show, where all examples say so."""
    if any(example.shows is None for example in examples):
        return batch
    shows = torch.zeros(*batch.frames.shape[:3], *examples[0].shows.shape[2:], dtype=torch.int64)
    for row, example in enumerate(examples):
        shows[row, : len(example)] = example.shows
    return replace(
        batch,
        shows=shows,
        categories=tuple(example.categories for example in examples),
        category=tuple(example.category for example in examples),
    )


def missing_boxes(*shape: int) -> Tensor:
    """(*shape, 5) float32 boxes of objects that are not in view."""
    return torch.tensor(MISSING_BOX).expand(*shape, len(MISSING_BOX)).clone()


def padded_to_square(clip: np.ndarray) -> np.ndarray:
    """(time, height, width, 3) pictures in the middle of black squares; an odd row or column is put behind."""
    height, width = clip.shape[1:3]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    return np.pad(clip, ((0, 0), (top, side - height - top), (left, side - width - left), (0, 0)))
