"""RING's policy trunk, as released and for a CPU.

Source: sheet spoc_ring_holodeck_graspmolmo 2.4. SPOC's fusion in front of a Llama-style decoder; nothing is said of the
    hand. RING's "separate" critic is a second trunk: whoever trains with it builds two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from zoo.backbones.policy.fusion import POOLED_GRID, Grid
from zoo.backbones.policy.fusion_trunk import FusionTrunk
from zoo.backbones.policy.llama_decoder import LlamaDecoder
from zoo.backbones.policy.spoc import CAMERAS, NUM_ACTIONS, SpocSizes, trunk_of
from zoo.backbones.policy.step_embedding import AS_RELEASED, StepScales
from zoo.policy_trunk import ActionIds, TrunkInputs

ACTION_IDS = ActionIds(num_actions=NUM_ACTIONS, padding=NUM_ACTIONS, start=NUM_ACTIONS + 1)
"""RING's release has 20 on padding and 21 before the first action, SPOC's the other way round."""

FusionVariant = Literal["plain", "nonTxEnc"]
"""Those of SPOC's variants that concern what fuses cameras and goal: as published, or convolutions."""


def ring(*, goal_in_decoder: bool = True, dropout: float = 0.1, knows_body: bool = False) -> FusionTrunk:
    """For SigLIP base at 256 pixels: 3 layers of fusion and 3 over steps, of 512.

    Args:
        goal_in_decoder: Decoder blocks attend to the instruction, as in the released policy.
        dropout: Share that is zeroed in training.
        knows_body: It is told of its body, as in RING's ablation with a token of its nineteen numbers.
    """
    sizes = SpocSizes(patch_channels=768, text_channels=768, has_pooled_token=True, grid=POOLED_GRID)
    return _ring(sizes, goal_in_decoder=goal_in_decoder, dropout=dropout, knows_body=knows_body)


def ring_tiny(
    *,
    patch_channels: int = 128,
    text_channels: int = 64,
    has_pooled_token: bool = True,
    hidden_size: int = 128,
    num_layers: int = 2,
    num_heads: int = 4,
    grid: Grid = (5, 5),
    variant: FusionVariant = "plain",
    goal_in_decoder: bool = True,
    cameras: Sequence[str] = CAMERAS,
    dropout: float = 0.1,
    target_grid: Grid | None = None,
    memory_steps: int | None = None,
    scales: StepScales = AS_RELEASED,
    tells_blocked: bool = False,
    knows_body: bool = False,
) -> FusionTrunk:
    """RING's trunk for work on a CPU.

    Args:
        patch_channels: Channels of the vision encoder; `vit-tiny` has the default.
        text_channels: Channels of the text encoder; `siglip-text-tiny` has the default.
        has_pooled_token: The text encoder's pooled vector is one more token: SigLIP yes, T5 no.
        hidden_size: Channels; num_heads divides them.
        num_layers: Layers of the fusion, and as many over steps.
        num_heads: Attention heads.
        grid: (rows, columns) that the patches of a camera are pooled to.
        variant: plain, or nonTxEnc, which fuses by SPOC's convolutions and costs least.
        goal_in_decoder: Decoder blocks attend to the instruction, as in the released policy.
        cameras: Names, alphabetical.
        dropout: Share that is zeroed in training.
        target_grid: (rows, columns) of the vision encoder's patches, where the trunk is to be shown in which of them
            the target is seen; null where it is not.
        memory_steps: Last steps that a step attends to in each layer, as many as a window of the training has; null for
            all.
        scales: How loud what is added to a step begins.
        tells_blocked: A step is told where the action before had no effect, because something was in the way.
        knows_body: It is told of its body, as in RING's ablation with a token of its nineteen numbers.
    """
    sizes = SpocSizes.of_one_depth(
        num_layers,
        num_heads,
        patch_channels=patch_channels,
        text_channels=text_channels,
        has_pooled_token=has_pooled_token,
        hidden_size=hidden_size,
        grid=tuple(grid),
        target_grid=None if target_grid is None else tuple(target_grid),
        memory_steps=memory_steps,
    )
    return _ring(
        sizes,
        variant=variant,
        cameras=cameras,
        goal_in_decoder=goal_in_decoder,
        dropout=dropout,
        scales=scales,
        tells_blocked=tells_blocked,
        knows_body=knows_body,
    )


def _ring(
    sizes: SpocSizes,
    *,
    goal_in_decoder: bool,
    dropout: float,
    variant: FusionVariant = "plain",
    cameras: Sequence[str] = CAMERAS,
    scales: StepScales = AS_RELEASED,
    tells_blocked: bool = False,
    knows_body: bool = False,
) -> FusionTrunk:
    inputs = TrunkInputs(
        patch_channels=sizes.patch_channels,
        text_channels=sizes.text_channels,
        cameras=tuple(cameras),
        actions=ACTION_IDS.telling(blocked=tells_blocked),
        has_in_hand=False,
        target_grid=sizes.target_grid,
        knows_body=knows_body,
    )
    decoder = LlamaDecoder(
        hidden_size=sizes.hidden_size,
        num_layers=sizes.decoder_layers,
        num_heads=sizes.decoder_heads,
        sees_goal=goal_in_decoder,
        dropout=dropout,
        memory_steps=sizes.memory_steps,
    )
    return trunk_of(sizes, variant, inputs, decoder, dropout=dropout, scales=scales)
