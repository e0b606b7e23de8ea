"""The contract of policy trunks: what a robot sees and is told, step by step, to one state a step.

SPOC, RING and their relatives read frozen encoders' features and choose an action at every step (sheet
spoc_ring_holodeck_graspmolmo 1.5 and 2.4). The encoders are no part of a trunk; neither is the head that reads its
states. A trunk runs over whole windows to learn, and step by step with a cache to act; both give the same states.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from zoo.embodiment import NUM_EMBODIMENT
from zoo.errors import ConfigError
from zoo.text_encoder import TextFeatures

IN_HAND_PADDING = 2
"""Stands on padding, beside 0 (nothing in the hand) and 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ActionIds:
    """How previous actions are numbered: the actions themselves, then a start and a padding entry, perhaps one more.

    Args:
        num_actions: Actions, counted from 0.
        start: Stands before the first action of an episode.
        padding: Stands on padding.
        blocked: Stands for any action that had no effect, because something was in the way; None, as released, where
            such an action is numbered as what it was to be.
    Raises:
        ConfigError: start and padding are not the two numbers behind the actions, or blocked is not the third.
    """

    num_actions: int
    start: int
    padding: int
    blocked: int | None = None

    def __post_init__(self) -> None:
        behind = (self.num_actions, self.num_actions + 1)
        if (self.start, self.padding) not in (behind, behind[::-1]):
            raise ConfigError(
                f"previous actions: start {self.start} and padding {self.padding}; behind the {self.num_actions} "
                f"actions come exactly these two, {behind[0]} and {behind[1]}"
            )
        if self.blocked not in (None, self.num_actions + 2):
            raise ConfigError(
                f"previous actions: blocked {self.blocked}, expected {self.num_actions + 2}, the number behind start "
                "and padding, or null"
            )

    @property
    def count(self) -> int:
        """Different numbers."""
        return self.num_actions + (2 if self.blocked is None else 3)

    def telling(self, *, blocked: bool) -> ActionIds:
        """The same numbers and, where `blocked`, one for an action that had no effect."""
        return replace(self, blocked=self.num_actions + 2 if blocked else None)


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicySteps:
    """Steps of some episodes as a trunk reads them; acting sees one step at a time.

    A row is one episode or a window of one, never two: rollouts that hold several are cut at their ends, which is the
    same as masking by trajectory. What is shorter than the longest row is padded behind its last step.

    Args:
        patches: (batch, time, cameras, channels, rows, columns) of the frozen vision encoder; cameras in the trunk's
            order.
        text: The instruction, one row a row of the batch.
        previous_actions: (batch, time) int64, numbered by the trunk's `ActionIds`.
        time_ids: (batch, time) int64, steps since the episode began.
        in_hand: (batch, time) int64: 0, 1 or `IN_HAND_PADDING`.
        boxes: (batch, time, cameras, boxes, 5) float: x1, y1, x2, y2 in pixels, and area; where nothing is in
            view `zoo.shards.policy_episode.MISSING_BOX`.
        target_map: (batch, time, cameras, rows, columns) float, how sure the policy is that a patch shows the target.
        embodiment: (batch, 19) float, the body of each row, without nan.
        valid_mask: (batch, time) bool, True on real steps; None where all are.
    Raises:
        ValueError: shapes disagree, or, where it costs no wait for a device, a real step stands behind padding.
    """

    patches: Tensor
    text: TextFeatures
    previous_actions: Tensor
    time_ids: Tensor
    in_hand: Tensor | None = None
    boxes: Tensor | None = None
    target_map: Tensor | None = None
    embodiment: Tensor | None = None
    valid_mask: Tensor | None = None

    def __post_init__(self) -> None:
        shape = self.time_ids.shape
        if len(shape) != 2 or self.patches.ndim != 6 or self.patches.shape[:2] != shape:
            raise ValueError(
                f"patches {tuple(self.patches.shape)} must be (batch, time, cameras, channels, rows, columns) and "
                f"time_ids {tuple(shape)} (batch, time)"
            )
        for name in ("previous_actions", "in_hand", "valid_mask"):
            given = getattr(self, name)
            if given is not None and given.shape != shape:
                raise ValueError(f"{name} {tuple(given.shape)} must be (batch, time) of time_ids {tuple(shape)}")
        if self.text.states.shape[0] != shape[0]:
            raise ValueError(f"{self.text.states.shape[0]} instructions for {shape[0]} rows; every row has its own")
        cameras = self.patches.shape[2]
        if self.boxes is not None and (self.boxes.ndim != 5 or self.boxes.shape[:3] != (*shape, cameras)):
            raise ValueError(
                f"boxes {tuple(self.boxes.shape)} must be (batch, time, cameras, boxes, 5) of {(*shape, cameras)}"
            )
        if self.target_map is not None and (
            self.target_map.ndim != 5 or self.target_map.shape[:3] != (*shape, cameras)
        ):
            raise ValueError(
                f"target_map {tuple(self.target_map.shape)} must be (batch, time, cameras, rows, columns) of "
                f"{(*shape, cameras)}"
            )
        if self.embodiment is not None and self.embodiment.shape != (shape[0], NUM_EMBODIMENT):
            raise ValueError(
                f"embodiment {tuple(self.embodiment.shape)} must be (batch, numbers) {(shape[0], NUM_EMBODIMENT)}"
            )
        mask = self.valid_mask
        if mask is not None and not mask.is_cuda and bool((mask[:, 1:] & ~mask[:, :-1]).any()):
            raise ValueError("valid_mask has a real step behind padding; rows are padded behind their last step only")

    def to(self, device: torch.device | str, non_blocking: bool = False) -> PolicySteps:
        def moved(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.to(device, non_blocking=non_blocking)

        text = replace(
            self.text,
            states=moved(self.text.states),
            attention_mask=moved(self.text.attention_mask),
            pooled=moved(self.text.pooled),
        )
        return PolicySteps(
            patches=moved(self.patches),
            text=text,
            previous_actions=moved(self.previous_actions),
            time_ids=moved(self.time_ids),
            in_hand=moved(self.in_hand),
            boxes=moved(self.boxes),
            target_map=moved(self.target_map),
            embodiment=moved(self.embodiment),
            valid_mask=moved(self.valid_mask),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrunkInputs:
    """What a trunk wants to be shown.

    Args:
        patch_channels: Channels of the vision encoder.
        text_channels: Channels of the text encoder's states.
        cameras: Names, in the order of the cameras in `PolicySteps.patches`: alphabetical, as released.
        actions: Numbering of previous actions.
        has_in_hand: Wants to know whether something is in the hand.
        boxes_per_camera: Boxes of every camera; 0 where it takes none.
        target_grid: (rows, columns) of the vision encoder's patches, of which it wants to know whether they show the
            target; None where it does not.
        knows_body: Wants to know the nineteen numbers of the body.
    Raises:
        ConfigError: no camera, a camera twice, or another order.
    """

    patch_channels: int
    text_channels: int
    cameras: tuple[str, ...]
    actions: ActionIds
    has_in_hand: bool = True
    boxes_per_camera: int = 0
    target_grid: tuple[int, int] | None = None
    knows_body: bool = False

    def __post_init__(self) -> None:
        if not self.cameras or list(self.cameras) != sorted(set(self.cameras)):
            raise ConfigError(
                f"cameras {list(self.cameras)}; expected one name or more in alphabetical order, each once: "
                f"{sorted(set(self.cameras))}"
            )

    def check(self, steps: PolicySteps) -> None:
        """Compare shapes with what is wanted.

        Raises:
            ConfigError: encoders of other sizes, another number of cameras or boxes, something missing or too much.
        """
        cameras, channels = steps.patches.shape[2:4]
        pairs = (
            ("channels of patches", channels, self.patch_channels),
            ("channels of text states", steps.text.states.shape[-1], self.text_channels),
            ("cameras", cameras, len(self.cameras)),
            ("boxes per camera", 0 if steps.boxes is None else steps.boxes.shape[3], self.boxes_per_camera),
            ("in-hand flags", int(steps.in_hand is not None), int(self.has_in_hand)),
            ("grid of the target", grid_of(steps.target_map), self.target_grid),
            ("descriptions of bodies", int(steps.embodiment is not None), int(self.knows_body)),
        )
        wrong = [f"{given} {name}, not {wanted}" for name, given, wanted in pairs if given != wanted]
        if wrong:
            raise ConfigError(
                f"policy trunk: {'; '.join(wrong)}. The encoders, cameras and sensors of the policy must be those that "
                "the trunk was built for"
            )


def grid_of(target_map: Tensor | None) -> tuple[int, int] | None:
    """(rows, columns) of a map."""
    return None if target_map is None else tuple(target_map.shape[-2:])


class PolicyCache:
    """What a trunk remembers of running episodes, one slot each; slots begin and end independently.

    Args:
        num_slots: Episodes that can run side by side.
        max_steps: Steps that an episode can have.
    Raises:
        ConfigError: no slot, or no step.
    """

    def __init__(self, *, num_slots: int, max_steps: int) -> None:
        if num_slots < 1 or max_steps < 1:
            raise ConfigError(f"policy cache of {num_slots} slots and {max_steps} steps; both must be 1 or more")
        self.max_steps = max_steps
        self.lengths = [0] * num_slots

    def restart(self, slots: Sequence[int]) -> None:
        """Forget these slots' episodes; the next step is the first of new ones.

        Raises:
            ConfigError: no such slot, or one twice.
        """
        self.check(slots)
        for slot in slots:
            self.lengths[slot] = 0

    def check(self, slots: Sequence[int]) -> None:
        """See that slots exist.

        Raises:
            ConfigError: no such slot, or one twice.
        """
        if len(set(slots)) != len(slots) or not all(0 <= slot < len(self.lengths) for slot in slots):
            raise ConfigError(
                f"slots {list(slots)} of a policy cache; expected different ones below {len(self.lengths)}"
            )

    def check_room(self, slots: Sequence[int]) -> None:
        """See that slots exist and can take one more step.

        Raises:
            ConfigError: no such slot, one twice, or one whose episode has had all its steps.
        """
        self.check(slots)
        full = [slot for slot in slots if self.lengths[slot] >= self.max_steps]
        if full:
            raise ConfigError(
                f"slots {full} have had {self.max_steps} steps, all that this policy cache holds; end their episodes "
                "(restart), or ask new_cache for more max_steps"
            )

    def advance(self, slots: Sequence[int]) -> None:
        """Count the step that these slots have taken."""
        for slot in slots:
            self.lengths[slot] += 1


class PolicyTrunk(nn.Module, ABC):
    """Steps to states, causal in time: a state depends on its own step and those before it in its row.

    Args:
        inputs: What it wants to be shown.
        hidden_size: Channels of the states.
    """

    kind: ClassVar[str] = "policy_trunk"

    def __init__(self, *, inputs: TrunkInputs, hidden_size: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.hidden_size = hidden_size

    @abstractmethod
    def encode(self, steps: PolicySteps) -> Tensor:
        """(batch, time, hidden_size) of whole windows; anything on padding."""

    @abstractmethod
    def new_cache(self, *, num_slots: int, max_steps: int = 1000) -> PolicyCache:
        """An empty memory for acting, on the device of the weights.

        Args:
            num_slots: Episodes that can run side by side.
            max_steps: Steps that an episode can have.
        """

    @abstractmethod
    def encode_step(self, steps: PolicySteps, cache: PolicyCache, slots: Sequence[int]) -> Tensor:
        """(batch, 1, hidden_size) of the next step of each slot; writes the cache, leaves its lengths alone."""

    def forward(self, steps: PolicySteps) -> Tensor:
        """(batch, time, hidden_size) of whole windows, from their first step on; 0 on padding.

        Raises:
            ConfigError: the steps are not of the sizes that the trunk wants.
        """
        self.inputs.check(steps)
        hidden = self.encode(steps)
        return hidden if steps.valid_mask is None else hidden.masked_fill(~steps.valid_mask.unsqueeze(-1), 0)

    @torch.no_grad()
    def step(self, steps: PolicySteps, cache: PolicyCache, slots: Sequence[int]) -> Tensor:
        """The next step of some slots, at a cost that does not grow with the steps before but for attention to them.

        In evaluation mode the same states as `forward` on all steps since the slot's restart.

        Args:
            steps: Of one step, a row for each slot.
            cache: Of `new_cache`; takes the step in, unless it is refused.
            slots: Of the rows.
        Returns:
            (batch, 1, hidden_size).
        Raises:
            ConfigError: no such slot, one twice, one that has had all its steps, or steps of other sizes.
            ValueError: more than one step, or not a row for each slot.
        """
        if not len(slots) or steps.time_ids.shape != (len(slots), 1):
            raise ValueError(
                f"steps of {tuple(steps.time_ids.shape)} (batch, time) for {len(slots)} slots; each takes one step"
            )
        self.inputs.check(steps)
        cache.check_room(slots)
        hidden = self.encode_step(steps, cache, slots)
        cache.advance(slots)
        return hidden
