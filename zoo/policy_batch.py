"""What a policy learns from: windows of recorded episodes, one at a time and padded into a batch.

Source: sheet spoc_ring_holodeck_graspmolmo 1.8 (alignment of actions) and 1.9 (padding).
Differs: padded in the loader's workers instead of on the device; the mask is true on real steps, not on padding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from zoo.embodiment import NUM_EMBODIMENT

NO_TIME = -1
"""Time of steps that are padding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyExample:
    """A window of one episode.

    Args:
        key: Of the episode.
        task: Name of its task.
        goal: What the robot is told.
        seed: Of what is drawn about the window later on, on the device: its augmentation.
        frames: (time, cameras, 3, height, width) uint8, what it sees before each action.
        actions: (time,) int64 of the expert.
        previous_actions: (time,) int64, the action before each, numbered by the trunk's `ActionIds`.
        time_ids: (time,) int64, steps since the episode began, and an offset in training.
        in_hand: (time,) int64, 1 where an object is held.
        boxes: (time, cameras, boxes, 5) float32: x1, y1, x2, y2 in pixels of the recorded picture, and area.
        embodiment: (19,) float32, nan where the body is not described.
        shows: (time, cameras, 8, 14) int64, bit k set where a cell of a picture shows category k; None where that was
            not recorded.
        categories: Names of the categories of `shows`, in the order of their bits.
        category: The one that the goal asks for; None where it asks for another thing, or for one of them alone.
    """

    key: str
    task: str
    goal: str
    seed: int
    frames: Tensor
    actions: Tensor
    previous_actions: Tensor
    time_ids: Tensor
    in_hand: Tensor
    boxes: Tensor
    embodiment: Tensor
    shows: Tensor | None = None
    categories: tuple[str, ...] = ()
    category: str | None = None

    def __len__(self) -> int:
        return len(self.actions)


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyBatch:
    """Windows of several episodes, padded behind their last step.

    Args:
        keys: Of the episodes.
        tasks: Names of their tasks.
        goals: What the robots are told.
        frames: (batch, time, cameras, 3, height, width) uint8, 0 on padding; channels lie last in memory.
        actions: (batch, time) int64, `IGNORED` on padding.
        previous_actions: (batch, time) int64, `ActionIds.padding` on padding.
        time_ids: (batch, time) int64, `NO_TIME` on padding.
        in_hand: (batch, time) int64, `IN_HAND_PADDING` on padding.
        boxes: (batch, time, cameras, boxes, 5) float32 in pixels of the recorded picture; `MISSING_BOX` on padding.
        embodiment: (batch, 19) float32, nan where the body is not described.
        valid_mask: (batch, time) bool, True on real steps.
        seeds: One integer a row, of what is drawn about it later on; empty where nothing will be.
        shows: (batch, time, cameras, 8, 14) int64, as in the examples, 0 on padding; None where a row has none.
        categories: Of each row; empty where `shows` is None.
        category: Of each row, what its goal asks for; empty where `shows` is None.
    Raises:
        ValueError: shapes disagree.
    """

    keys: tuple[str, ...]
    tasks: tuple[str, ...]
    goals: tuple[str, ...]
    frames: Tensor
    actions: Tensor
    previous_actions: Tensor
    time_ids: Tensor
    in_hand: Tensor
    boxes: Tensor
    embodiment: Tensor
    valid_mask: Tensor
    seeds: tuple[int, ...] = ()
    shows: Tensor | None = None
    categories: tuple[tuple[str, ...], ...] = ()
    category: tuple[str | None, ...] = ()

    def __post_init__(self) -> None:
        shape = tuple(self.valid_mask.shape)
        if len(shape) != 2 or not shape[0] == len(self.keys) == len(self.tasks) == len(self.goals):
            raise ValueError(
                f"valid_mask {shape} of {len(self.keys)} keys, {len(self.tasks)} tasks and {len(self.goals)} goals; "
                "expected (batch, time), and one of each for every row"
            )
        for name in ("actions", "previous_actions", "time_ids", "in_hand"):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} {tuple(getattr(self, name).shape)} must be (batch, time) {shape}")
        is_shaped = self.frames.ndim == 6 and self.boxes.ndim == 5
        if not is_shaped or self.frames.shape[:2] != shape or self.boxes.shape[:3] != self.frames.shape[:3]:
            raise ValueError(
                f"frames {tuple(self.frames.shape)} and boxes {tuple(self.boxes.shape)} must both begin with (batch, "
                f"time, cameras) and have 6 and 5 axes; batch and time are {shape}"
            )
        if self.shows is not None and (
            self.shows.ndim != 5
            or self.shows.shape[:3] != self.frames.shape[:3]
            or not len(self.categories) == len(self.category) == shape[0]
        ):
            raise ValueError(
                f"shows {tuple(self.shows.shape)} of {len(self.categories)} rows' categories and "
                f"{len(self.category)} goals'; expected (batch, time, cameras, rows, columns) and one of each a row"
            )
        if self.embodiment.shape != (shape[0], NUM_EMBODIMENT):
            raise ValueError(f"embodiment {tuple(self.embodiment.shape)} must be {(shape[0], NUM_EMBODIMENT)}")

    def __len__(self) -> int:
        return len(self.keys)

    def _map(self, change: Callable[[Tensor], Tensor]) -> PolicyBatch:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: change(v) for name, v in values.items() if isinstance(v, Tensor)})

    def to(self, device: torch.device | str, non_blocking: bool = False) -> PolicyBatch:
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> PolicyBatch:
        return self._map(lambda tensor: tensor.pin_memory())
