"""What a policy is told of its body, where it is told.

Source: sheet spoc_ring_holodeck_graspmolmo 2.2 (the nineteen numbers and their ranges) and 2.8 (RING's ablation with an
    explicit token of them, an MLP). Differs: added to every step rather than one more token of the fusion; picture
    sizes are left out, which what the encoder takes has lost, and so are cameras that the policy does not look through.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.backbones.policy.step_embedding import TABLE_BOUND
from zoo.errors import ConfigError
from zoo.shards.policy_episode import NUM_EMBODIMENT

CAMERAS_OF_BODY = ("navigation_camera", "manipulation_camera")
"""In the order in which the nineteen numbers have them."""
_MIDDLES_AND_SPANS = (
    *[(70.0, 30.0)] * 2,  # vertical fields of view, degrees
    *[(10.0, 30.0), (180.0, 180.0), (20.0, 40.0), (180.0, 180.0)],  # pitch and yaw, degrees
    *[(0.0, 0.2), (0.9, 0.6), (0.0, 0.2)] * 2,  # places of cameras, m
    *[(280.0, 168.0)] * 2,  # sizes of pictures, pixels
    *[(0.0, 0.2)] * 2,  # pivot, m
    *((0.35, 0.15), (0.9, 0.6), (0.35, 0.15)),  # box, m
)
"""Of the ranges that bodies are drawn from, so that they come out as -1 to 1."""


class BodyEmbedding(nn.Module):
    """Nineteen numbers of a body to one vector, nearly silent at the beginning.

    Args:
        cameras: Names of those that the policy looks through.
        hidden_size: Channels of the vector.
    Raises:
        ConfigError: a camera that the nineteen numbers do not describe.
    """

    def __init__(self, *, cameras: Sequence[str], hidden_size: int) -> None:
        super().__init__()
        others = sorted(set(cameras) - set(CAMERAS_OF_BODY))
        if others:
            raise ConfigError(
                f"policy trunk: knows_body tells of {' and '.join(CAMERAS_OF_BODY)} alone, and it looks through "
                f"{', '.join(others)}; leave knows_body out"
            )
        middles, spans = torch.tensor(_MIDDLES_AND_SPANS).unbind(1)
        is_told = torch.tensor(_told(cameras))
        self.register_buffer("middles", middles, persistent=False)
        self.register_buffer("factors", is_told / spans, persistent=False)
        self.layers = nn.Sequential(
            nn.Linear(NUM_EMBODIMENT, hidden_size), nn.GELU(), nn.Linear(hidden_size, hidden_size)
        )
        for parameter in self.layers[2].parameters():
            nn.init.uniform_(parameter, -TABLE_BOUND, TABLE_BOUND)

    def forward(self, embodiment: Tensor) -> Tensor:
        """(batch, 19) to (batch, hidden_size)."""
        return self.layers((embodiment - self.middles) * self.factors)


def _told(cameras: Sequence[str]) -> list[float]:
    """1 for numbers that a policy with these cameras is told, 0 for others."""
    looks = [float(name in cameras) for name in CAMERAS_OF_BODY]
    angles = [its for its in looks for _ in range(2)]
    places = [its for its in looks for _ in range(3)]
    return [*looks, *angles, *places, 0.0, 0.0, *[1.0] * 5]
