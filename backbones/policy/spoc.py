"""SPOC's policy trunks, all published variants, and one for a CPU.

Source: sheet spoc_ring_holodeck_graspmolmo 1.4 to 1.6 (table of variants, embedding details). Of four variants the
    sheet says "512 or 768" channels; there `hidden_size` chooses. The one fusion of width 768 whose heads it counts has
    eight, so all have. SigLIP's large text tower has 1024 channels (its model card).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from zoo.backbones.policy.fusion import POOLED_GRID, ConvolutionalFusion, Fusion, Grid, TransformerFusion
from zoo.backbones.policy.fusion_trunk import FusionTrunk
from zoo.backbones.policy.goal import GoalAdapter
from zoo.backbones.policy.step_embedding import AS_RELEASED, StepScales
from zoo.backbones.policy.temporal_decoder import RecurrentDecoder, TemporalDecoder, TransformerDecoder
from zoo.errors import ConfigError
from zoo.navigation_actions import SpocAction
from zoo.policy_trunk import ActionIds, TrunkInputs
from zoo.shards.policy_episode import BOXES_PER_CAMERA

CAMERAS = ("manipulation_camera", "navigation_camera")
"""Of stretch, and of bodies with two cameras."""
RECURRENT_LAYERS = 3
FUSION_HEADS = 8
NUM_ACTIONS = len(SpocAction)
ACTION_IDS = ActionIds(num_actions=NUM_ACTIONS, start=NUM_ACTIONS, padding=NUM_ACTIONS + 1)
"""SPOC's release: 20 before the first action, 21 on padding."""

Variant = Literal["plain", "double_det", "nonTxEnc", "gru"]
"""As published, with boxes of the goal, with convolutions for the fusion, or with a GRU over steps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SpocSizes:
    """Sizes of a trunk.

    Args:
        patch_channels: Channels of the vision encoder.
        text_channels: Channels of the text encoder's states.
        has_pooled_token: The text encoder's pooled vector is one more token: SigLIP yes, T5 no.
        hidden_size: Channels of the trunk; both numbers of heads divide them.
        fusion_layers: Layers of the fusion.
        fusion_heads: Its attention heads.
        decoder_layers: Layers over steps.
        decoder_heads: Their attention heads.
        intermediate_size: Width of all feed-forward networks.
        grid: (rows, columns) that the patches of a camera are pooled to.
        target_grid: (rows, columns) of the vision encoder's patches where the trunk is shown in which of them the
            target is seen; None, as published, where it is not.
        memory_steps: Last steps that a step attends to; None, as published, for all. Not of a GRU.
    Raises:
        ConfigError: heads that do not divide the channels, an odd number of channels, or no step.
    """

    patch_channels: int
    text_channels: int
    has_pooled_token: bool
    hidden_size: int = 512
    fusion_layers: int = 3
    fusion_heads: int = FUSION_HEADS
    decoder_layers: int = 3
    decoder_heads: int = 8
    intermediate_size: int = 2048
    grid: Grid = POOLED_GRID
    target_grid: Grid | None = None
    memory_steps: int | None = None

    def __post_init__(self) -> None:
        for name in ("fusion_heads", "decoder_heads"):
            check_heads(self.hidden_size, getattr(self, name), name)
        if self.memory_steps is not None and self.memory_steps < 1:
            raise ConfigError(f"policy trunk: memory_steps is {self.memory_steps}, expected 1 or more, or null for all")

    @classmethod
    def of_one_depth(cls, num_layers: int, num_heads: int, *, hidden_size: int, **others: Any) -> SpocSizes:
        """As deep and with as many heads over cameras as over steps; feed-forward networks are four times as wide.

        Args:
            num_layers: Of the fusion, and as many over steps.
            num_heads: Of each.
            hidden_size: Channels.
            **others: Further sizes by name.
        """
        return cls(
            hidden_size=hidden_size,
            fusion_layers=num_layers,
            fusion_heads=num_heads,
            decoder_layers=num_layers,
            decoder_heads=num_heads,
            intermediate_size=4 * hidden_size,
            **others,
        )


def check_heads(hidden_size: int, num_heads: int, name: str) -> None:
    """See that heads share the channels evenly.

    Raises:
        ConfigError: they do not, or the channels are odd and no sinusoid fits.
    """
    if num_heads < 1 or hidden_size % num_heads or hidden_size % 2:
        fitting = [n for n in range(1, 33) if hidden_size % n == 0]
        raise ConfigError(
            f"policy trunk: hidden_size {hidden_size} with {name} {num_heads}; channels must be even, and one of "
            f"{fitting} heads divides them"
        )


def spoc(
    *,
    sizes: SpocSizes,
    variant: Variant = "plain",
    cameras: Sequence[str] = CAMERAS,
    dropout: float = 0.1,
    scales: StepScales = AS_RELEASED,
    tells_blocked: bool = False,
) -> FusionTrunk:
    """SPOC's trunk of any size.

    Args:
        sizes: Of its parts.
        variant: plain; double_det takes boxes of the goal; nonTxEnc fuses by convolutions; gru has no transformer over
            steps.
        cameras: Names, alphabetical.
        dropout: Share that is zeroed in training.
        scales: Of what is added to a step.
        tells_blocked: A step is told where the action before had no effect.
    Raises:
        ConfigError: cameras in another order, or sizes that do not fit.
    """
    boxes_per_camera = BOXES_PER_CAMERA if variant == "double_det" else 0
    inputs = TrunkInputs(
        patch_channels=sizes.patch_channels,
        text_channels=sizes.text_channels,
        cameras=tuple(cameras),
        actions=ACTION_IDS.telling(blocked=tells_blocked),
        boxes_per_camera=boxes_per_camera,
        target_grid=sizes.target_grid,
    )
    return trunk_of(sizes, variant, inputs, _decoder(sizes, variant, dropout), dropout=dropout, scales=scales)


def trunk_of(
    sizes: SpocSizes,
    variant: Variant,
    inputs: TrunkInputs,
    decoder: TemporalDecoder,
    *,
    dropout: float,
    scales: StepScales,
) -> FusionTrunk:
    """SPOC's fusion of cameras and goal in front of any decoder.

    Args:
        sizes: Of its parts.
        variant: nonTxEnc fuses by convolutions, all others by a transformer.
        inputs: Of the trunk.
        decoder: Over steps.
        dropout: Share of the fusion that is zeroed in training.
        scales: Of what is added to a step.
    """
    return FusionTrunk(
        inputs=inputs,
        goal=GoalAdapter(
            text_channels=sizes.text_channels,
            hidden_size=sizes.hidden_size,
            has_pooled_token=sizes.has_pooled_token,
        ),
        fusion=_fusion(sizes, variant, inputs, dropout),
        decoder=decoder,
        scales=scales,
    )


def _fusion(sizes: SpocSizes, variant: Variant, inputs: TrunkInputs, dropout: float) -> Fusion:
    num_cameras = len(inputs.cameras)
    if variant == "nonTxEnc":
        return ConvolutionalFusion(
            patch_channels=sizes.patch_channels,
            pooled_channels=sizes.text_channels,
            num_cameras=num_cameras,
            hidden_size=sizes.hidden_size,
            grid=sizes.grid,
        )
    return TransformerFusion(
        patch_channels=sizes.patch_channels,
        num_cameras=num_cameras,
        hidden_size=sizes.hidden_size,
        num_layers=sizes.fusion_layers,
        num_heads=sizes.fusion_heads,
        intermediate_size=sizes.intermediate_size,
        grid=sizes.grid,
        num_boxes=num_cameras * inputs.boxes_per_camera,
        dropout=dropout,
    )


def _decoder(sizes: SpocSizes, variant: Variant, dropout: float) -> TemporalDecoder:
    if variant == "gru":
        if sizes.memory_steps is not None:
            raise ConfigError(
                f"policy trunk: memory_steps is {sizes.memory_steps} and variant 'gru', whose memory is one state; "
                "leave memory_steps out, or take another variant"
            )
        return RecurrentDecoder(
            input_size=sizes.hidden_size, hidden_size=sizes.hidden_size, num_layers=RECURRENT_LAYERS
        )
    return TransformerDecoder(
        hidden_size=sizes.hidden_size,
        num_layers=sizes.decoder_layers,
        num_heads=sizes.decoder_heads,
        intermediate_size=sizes.intermediate_size,
        dropout=dropout,
        memory_steps=sizes.memory_steps,
    )


def _dinov2(channels: int, layers: int, hidden_size: int, variant: Variant) -> FusionTrunk:
    sizes = SpocSizes(
        patch_channels=channels,
        text_channels=512,
        has_pooled_token=False,
        hidden_size=hidden_size,
        fusion_layers=layers,
        decoder_layers=layers,
    )
    return spoc(sizes=sizes, variant=variant)


def _siglip(fusion_layers: int, decoder_layers: int, hidden_size: int, variant: Variant) -> FusionTrunk:
    is_wide = hidden_size == 768
    sizes = SpocSizes(
        patch_channels=768,
        text_channels=768,
        has_pooled_token=True,
        hidden_size=hidden_size,
        fusion_layers=fusion_layers,
        fusion_heads=12 if is_wide and fusion_layers >= 6 else 8,  # base_3_6 keeps eight there
        decoder_layers=decoder_layers,
        decoder_heads=12 if is_wide else 8,
    )
    return spoc(sizes=sizes, variant=variant)


def spoc_small_3(*, variant: Variant = "plain") -> FusionTrunk:
    """For DINOv2 small and T5-small: 3 and 3 layers of 512.

    Args:
        variant: As in `spoc`.
    """
    return _dinov2(384, 3, 512, variant)


def spoc_small_6(*, variant: Variant = "plain") -> FusionTrunk:
    """For DINOv2 small and T5-small: 6 and 6 layers of 512.

    Args:
        variant: As in `spoc`.
    """
    return _dinov2(384, 6, 512, variant)


def spoc_base_3(*, variant: Variant = "plain") -> FusionTrunk:
    """For DINOv2 base and T5-small: 3 and 3 layers of 512.

    Args:
        variant: As in `spoc`.
    """
    return _dinov2(768, 3, 512, variant)


def spoc_base_6(*, variant: Variant = "plain") -> FusionTrunk:
    """For DINOv2 base and T5-small: 6 and 6 layers of 768.

    Args:
        variant: As in `spoc`.
    """
    return _dinov2(768, 6, 768, variant)


def spoc_siglip_3(*, variant: Variant = "plain") -> FusionTrunk:
    """For SigLIP base at 256 pixels, the main one (also called siglip_base_3): 3 and 3 layers of 512.

    Args:
        variant: As in `spoc`.
    """
    return _siglip(3, 3, 512, variant)


def spoc_siglip_base_3_6(*, variant: Variant = "plain") -> FusionTrunk:
    """For SigLIP base at 256 pixels: 3 and 6 layers of 768.

    Args:
        variant: As in `spoc`.
    """
    return _siglip(3, 6, 768, variant)


def spoc_siglip_base_6(*, variant: Variant = "plain", hidden_size: Literal[512, 768] = 512) -> FusionTrunk:
    """For SigLIP base at 256 pixels: 6 and 6 layers.

    Args:
        variant: As in `spoc`.
        hidden_size: Channels.
    """
    return _siglip(6, 6, hidden_size, variant)


def spoc_siglip_base_6_3(*, variant: Variant = "plain", hidden_size: Literal[512, 768] = 768) -> FusionTrunk:
    """For SigLIP base at 256 pixels: 6 and 3 layers.

    Args:
        variant: As in `spoc`.
        hidden_size: Channels.
    """
    return _siglip(6, 3, hidden_size, variant)


def spoc_siglip_base_6_6(*, variant: Variant = "plain", hidden_size: Literal[512, 768] = 768) -> FusionTrunk:
    """For SigLIP base at 256 pixels: 6 and 6 layers.

    Args:
        variant: As in `spoc`.
        hidden_size: Channels.
    """
    return _siglip(6, 6, hidden_size, variant)


def spoc_siglip_base_12_12(*, variant: Variant = "plain", hidden_size: Literal[512, 768] = 768) -> FusionTrunk:
    """For SigLIP base at 256 pixels: 12 and 12 layers.

    Args:
        variant: As in `spoc`.
        hidden_size: Channels.
    """
    return _siglip(12, 12, hidden_size, variant)


def spoc_siglip_large_3(*, variant: Variant = "plain") -> FusionTrunk:
    """For SigLIP large at 256 pixels: 3 and 3 layers of 512.

    Args:
        variant: As in `spoc`.
    """
    return spoc(sizes=SpocSizes(patch_channels=1024, text_channels=1024, has_pooled_token=True), variant=variant)


def spoc_clip_resnet_50_3(*, variant: Variant = "plain") -> FusionTrunk:
    """For CLIP's ResNet-50 and T5-small: 3 and 3 layers of 512.

    Args:
        variant: As in `spoc`.
    """
    return spoc(sizes=SpocSizes(patch_channels=2048, text_channels=512, has_pooled_token=False), variant=variant)


def spoc_tiny(
    *,
    patch_channels: int = 128,
    text_channels: int = 64,
    has_pooled_token: bool = True,
    hidden_size: int = 128,
    num_layers: int = 2,
    num_heads: int = 4,
    grid: Grid = (5, 5),
    variant: Variant = "plain",
    cameras: Sequence[str] = CAMERAS,
    dropout: float = 0.1,
    target_grid: Grid | None = None,
    memory_steps: int | None = None,
    scales: StepScales = AS_RELEASED,
    tells_blocked: bool = False,
) -> FusionTrunk:
    """SPOC's trunk for work on a CPU.

    Args:
        patch_channels: Channels of the vision encoder; `vit-tiny` has the default.
        text_channels: Channels of the text encoder; `siglip-text-tiny` has the default.
        has_pooled_token: The text encoder's pooled vector is one more token: SigLIP yes, T5 no.
        hidden_size: Channels; num_heads divides them.
        num_layers: Layers of the fusion, and as many over steps.
        num_heads: Attention heads.
        grid: (rows, columns) that the patches of a camera are pooled to.
        variant: As in `spoc`.
        cameras: Names, alphabetical.
        dropout: Share that is zeroed in training.
        target_grid: (rows, columns) of the vision encoder's patches, where the trunk is to be shown in which of them
            the target is seen; null where it is not.
        memory_steps: Last steps that a step attends to in each layer, as many as a window of the training has; null for
            all.
        scales: How loud what is added to a step begins.
        tells_blocked: A step is told where the action before had no effect, because something was in the way.
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
    return spoc(
        sizes=sizes, variant=variant, cameras=cameras, dropout=dropout, scales=scales, tells_blocked=tells_blocked
    )
