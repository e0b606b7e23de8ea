"""EmbSigLIP-GRU, the baseline that SPOC's authors train by reinforcement learning.

Source: sheet spoc_ring_holodeck_graspmolmo 1.16. The sheet leaves open whether cameras share their convolutions; here
    they do, as SPOC's cameras share theirs. It has no encoding of time.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.backbones.policy.fusion import POOLED_GRID, GoalConvolution, Grid
from zoo.backbones.policy.spoc import ACTION_IDS, CAMERAS
from zoo.backbones.policy.step_embedding import action_table, in_hand_table
from zoo.backbones.policy.temporal_decoder import RecurrentCache, RecurrentDecoder
from zoo.policy_trunk import PolicySteps, PolicyTrunk, TrunkInputs

EMBEDDING_CHANNELS = 6
"""Of the previous action and of the hand."""


class EmbSiglipGru(PolicyTrunk):
    """Convolutions over patches and goal, and a recurrent network over steps.

    Args:
        patch_channels: Channels of the vision encoder.
        text_channels: Channels of the text encoder's pooled vector.
        hidden_size: Channels of the recurrent network.
        grid: (rows, columns) that the patches of a camera are pooled to.
        cameras: Names, alphabetical.
    """

    def __init__(
        self,
        *,
        patch_channels: int = 768,
        text_channels: int = 768,
        hidden_size: int = 512,
        grid: Grid = POOLED_GRID,
        cameras: Sequence[str] = CAMERAS,
    ) -> None:
        inputs = TrunkInputs(
            patch_channels=patch_channels, text_channels=text_channels, cameras=tuple(cameras), actions=ACTION_IDS
        )
        super().__init__(inputs=inputs, hidden_size=hidden_size)
        self.convolution = GoalConvolution(
            patch_channels=patch_channels, pooled_channels=text_channels, grid=tuple(grid)
        )
        self.previous_action = action_table(inputs, EMBEDDING_CHANNELS)
        self.in_hand = in_hand_table(EMBEDDING_CHANNELS)
        self.decoder = RecurrentDecoder(
            input_size=len(cameras) * self.convolution.out_channels + 2 * EMBEDDING_CHANNELS,
            hidden_size=hidden_size,
            num_layers=1,
        )

    def encode(self, steps: PolicySteps) -> Tensor:
        return self.decoder(self._seen(steps))

    def new_cache(self, *, num_slots: int, max_steps: int = 1000) -> RecurrentCache:
        return self.decoder.new_cache(num_slots=num_slots, max_steps=max_steps)

    def encode_step(self, steps: PolicySteps, cache: RecurrentCache, slots: Sequence[int]) -> Tensor:
        return self.decoder.step(self._seen(steps), None, cache, slots)

    def _seen(self, steps: PolicySteps) -> Tensor:
        """(batch, time, channels) of every step by itself."""
        frames = self.convolution(steps.patches, steps.text.pooled)
        return torch.cat([frames, self.previous_action(steps.previous_actions), self.in_hand(steps.in_hand)], dim=-1)


def emb_siglip_gru() -> EmbSiglipGru:
    """As published: SigLIP base at 256 pixels, two cameras, a GRU of 512."""
    return EmbSiglipGru()


def emb_siglip_gru_tiny(
    *,
    patch_channels: int = 128,
    text_channels: int = 64,
    hidden_size: int = 64,
    grid: Grid = (5, 5),
    cameras: Sequence[str] = CAMERAS,
) -> EmbSiglipGru:
    """The baseline for work on a CPU.

    Args:
        patch_channels: Channels of the vision encoder; `vit-tiny` has the default.
        text_channels: Channels of the text encoder's pooled vector; `siglip-text-tiny` has the default.
        hidden_size: Channels of the recurrent network.
        grid: (rows, columns) that the patches of a camera are pooled to.
        cameras: Names, alphabetical.
    """
    return EmbSiglipGru(
        patch_channels=patch_channels, text_channels=text_channels, hidden_size=hidden_size, grid=grid, cameras=cameras
    )
