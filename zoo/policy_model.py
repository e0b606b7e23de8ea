"""The network of a policy that is no language model: two encoders, a trunk over steps, and a head.

Source: sheet spoc_ring_holodeck_graspmolmo 1.5 and 2.4 (data flow), 1.11 (what is encoded once an episode). The trunk
pools patches to a grid of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from zoo.errors import ConfigError
from zoo.frames import Frames
from zoo.layout import TokenLayout
from zoo.policy_batch import PolicyBatch
from zoo.policy_head import PolicyHead
from zoo.policy_target import TargetHead
from zoo.policy_trunk import PolicySteps, PolicyTrunk
from zoo.text_encoder import TextEncoder, TextFeatures
from zoo.vision_encoder import VisionEncoder

PICTURES_AT_ONCE = 256
"""Of a frozen vision encoder: more are encoded in turns, because nothing of it is kept for a backward pass."""


@dataclass(frozen=True, kw_only=True)
class PolicyOutputs:
    """What a policy makes of a batch.

    Args:
        logits: (batch, time, actions) float32.
        target_logits: (batch, goals, time, cameras, rows, columns), that a patch shows what a goal names: the row's
            own goal alone, or, where the batch says what pictures show, its `distinct` goals; None where nothing is
            taught.
    """

    logits: Tensor
    target_logits: Tensor | None


class PolicyModel(nn.Module):
    """Pictures and an instruction to actions, step by step.

    An encoder whose weights are all frozen stays in evaluation mode and keeps nothing for a backward pass.

    Args:
        vision: Pictures to patch states.
        text: Instructions to token states.
        trunk: Steps to states.
        head: States to actions.
        teaches_target: Have a layer that tells where the target is seen, which teaches the encoders, and the trunk
            where it asks for it; else acting leaves it out.
        vision_gradient_share: Share of a training batch's pictures, drawn anew each time, that have a backward pass
            through the vision encoder.
    Raises:
        ConfigError: parts of different sizes, or a share that is none.
    """

    def __init__(
        self,
        *,
        vision: VisionEncoder,
        text: TextEncoder,
        trunk: PolicyTrunk,
        head: PolicyHead,
        teaches_target: bool = False,
        vision_gradient_share: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0 < vision_gradient_share <= 1:
            raise ConfigError(
                f"policy: vision_gradient_share is {vision_gradient_share}, expected above 0 and at most 1; where the "
                "vision encoder is not to be trained, set model.optimiser.vision.learning_rate to 0"
            )
        patch_channels = vision.hidden_size * len(vision.feature_blocks)
        pairs = (
            ("model.vision has patches of", patch_channels, "channels", trunk.inputs.patch_channels),
            ("model.text has states of", text.hidden_size, "channels", trunk.inputs.text_channels),
            ("model.head has", head.num_actions, "actions", trunk.inputs.actions.num_actions),
        )
        wrong = [f"{what} {given} {unit}, model.trunk wants {wanted}" for what, given, unit, wanted in pairs
                 if given != wanted]  # fmt: skip
        asked = trunk.inputs.target_grid
        if asked is not None and asked != tuple(vision.grid):
            wrong.append(f"model.vision has a grid of {tuple(vision.grid)} patches, model.trunk.target_grid is {asked}")
        if wrong:
            raise ConfigError(f"policy: {'; '.join(wrong)}; make the parts' sizes agree")
        if asked is not None and not teaches_target:
            raise ConfigError(
                "policy: model.trunk is to be shown where the target is, and nothing teaches that; give "
                "model.target_weight above 0, or leave model.trunk.target_grid out"
            )
        self.vision = vision
        self.text = text
        self.trunk = trunk
        self.head = head
        self.vision_gradient_share = vision_gradient_share
        head.build(hidden_size=trunk.hidden_size)
        self.target = None
        if teaches_target:
            self.target = TargetHead(patch_channels=patch_channels, goal_channels=text.pooled_size)

    def train(self, mode: bool = True) -> PolicyModel:
        super().train(mode)
        for encoder in (self.vision, self.text):
            if mode and not is_trained(encoder):
                encoder.eval()
        return self

    def see(self, frames: Tensor) -> Tensor:
        """Encode pictures.

        Args:
            frames: (steps, cameras, 3, height, width) uint8.
        Returns:
            (steps, cameras, channels, rows, columns).
        """
        pictures = frames.flatten(0, 1)
        if not (is_trained(self.vision) and torch.is_grad_enabled()):
            states = self._patches_only(pictures)
        elif self.training and self.vision_gradient_share < 1:
            states = self._patches_in_part(pictures)
        else:
            states = self._patches(pictures)
        return states.unflatten(0, frames.shape[:2])

    @torch.no_grad()
    def _patches_only(self, pictures: Tensor) -> Tensor:
        return torch.cat([self._patches(part) for part in pictures.split(PICTURES_AT_ONCE)])

    def _patches_in_part(self, pictures: Tensor) -> Tensor:
        """Patches of all pictures, and a backward pass through some: neighbours in time teach nearly the same."""
        order = torch.randperm(len(pictures)).to(pictures.device)
        learnt, only_seen = order.tensor_split([math.ceil(self.vision_gradient_share * len(pictures))])
        # These first: autocast keeps the weights that it casts, and those cast without a gradient would have none.
        parts = [self._patches(pictures[learnt])]
        if len(only_seen):
            parts.append(self._patches_only(pictures[only_seen]))
        return torch.cat(parts)[order.argsort()]

    def _patches(self, pictures: Tensor) -> Tensor:
        layout = whole_pictures(len(pictures), self.vision.grid, pictures.device)
        states = self.vision(pictures, layout).states  # (pictures * rows * columns, channels)
        return states.view(len(pictures), *self.vision.grid, -1).permute(0, 3, 1, 2)

    def see_windows(self, frames: Tensor, valid_mask: Tensor) -> Tensor:
        """(batch, time, cameras, 3, height, width) to patches in the same places; padding is not encoded and gets 0."""
        if bool(valid_mask.all()):
            return self.see(frames.flatten(0, 1)).unflatten(0, valid_mask.shape)
        seen = self.see(frames[valid_mask])
        patches = seen.new_zeros(*valid_mask.shape, *seen.shape[1:])
        patches[valid_mask] = seen
        return patches

    def read(self, goals: Sequence[str]) -> TextFeatures:
        """Encode instructions, each different one once."""
        firsts, places = distinct(goals)
        with torch.set_grad_enabled(torch.is_grad_enabled() and is_trained(self.text)):
            text = self.text.read([goals[first] for first in firsts])
        rows = torch.tensor(places, device=text.states.device)
        return TextFeatures(
            states=text.states[rows], attention_mask=text.attention_mask[rows], pooled=text.pooled[rows]
        )

    def target_map(self, patches: Tensor, pooled_goal: Tensor) -> Tensor | None:
        """What the trunk is shown of the target.

        Args:
            patches: (batch, time, cameras, channels, rows, columns).
            pooled_goal: (batch, channels).
        Returns:
            (batch, time, cameras, rows, columns) in [0, 1]; None where it is shown nothing.
        """
        if self.trunk.inputs.target_grid is None:
            return None
        return self.target(patches, pooled_goal.unsqueeze(1)).squeeze(1).sigmoid()

    def _ask(self, patches: Tensor, batch: PolicyBatch, pooled_goals: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of all goals that the batch tells about, and of each row's own (without the axis of goals)."""
        if batch.shows is None:
            own = self.target(patches, pooled_goals.unsqueeze(1))
            return own, own.squeeze(1)
        firsts, places = distinct(batch.goals)
        logits = self.target(patches, pooled_goals[list(firsts)].expand(len(batch), -1, -1))
        return logits, logits[range(len(batch)), list(places)]

    def forward(self, batch: PolicyBatch) -> PolicyOutputs:
        text = self.read(batch.goals)
        patches = self.see_windows(batch.frames, batch.valid_mask)
        wanted = self.trunk.inputs
        target_logits = target_map = None
        if self.target is not None:
            target_logits, own = self._ask(patches, batch, text.pooled)
            target_map = None if wanted.target_grid is None else own.sigmoid()
        steps = PolicySteps(
            patches=patches,
            text=text,
            previous_actions=batch.previous_actions,
            time_ids=batch.time_ids,
            in_hand=batch.in_hand if wanted.has_in_hand else None,
            boxes=batch.boxes[..., : wanted.boxes_per_camera, :] if wanted.boxes_per_camera else None,
            target_map=target_map,
            embodiment=batch.embodiment if wanted.knows_body else None,
            valid_mask=batch.valid_mask,
        )
        return PolicyOutputs(logits=self.head(self.trunk(steps)), target_logits=target_logits)

    def units(self) -> tuple[nn.Module, ...]:
        """Modules that run one after the other through their own `forward`; sharded training gathers one at a time."""
        return self.vision.units()


def distinct(goals: Sequence[str]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The row of each different goal that has it first, and for each row the number of its goal among these."""
    numbers = {goal: number for number, goal in enumerate(dict.fromkeys(goals))}
    places = tuple(numbers[goal] for goal in goals)
    return tuple(places.index(number) for number in range(len(numbers))), places


def is_trained(module: nn.Module) -> bool:
    """Whether any of its weights takes a gradient."""
    return any(parameter.requires_grad for parameter in module.parameters())


@lru_cache(maxsize=8)
def whole_pictures(count: int, grid: tuple[int, int], device: torch.device) -> TokenLayout:
    """Every patch of so many pictures that have nothing to do with one another."""
    rows, columns = grid
    frames = Frames(
        clip=tuple(range(count)),
        time_s=(0.0,) * count,
        size_px=((columns, rows),) * count,  # nobody asks for pixels; patches are the unit
        window=((1, 1),) * count,
    )
    return TokenLayout.of_frames(frames, grid, device)
