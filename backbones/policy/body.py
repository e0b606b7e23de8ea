"""What a policy is told of its body, where it is told.

Source: sheet spoc_ring_holodeck_graspmolmo 2.2 (the nineteen numbers and their ranges) and 2.8 (RING's ablation with an
    explicit token of them, an MLP). Differs: added to every step rather than one more token of the fusion; picture
    sizes are left out, which what the encoder takes has lost, and so are cameras that the policy does not look through;
    what lies beyond the range that bodies are drawn from counts as its end.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.backbones.policy.step_embedding import TABLE_BOUND
from zoo.embodiment import CAMERAS_OF_BODY, EMBODIMENT, NUM_EMBODIMENT, EmbodimentNumber
from zoo.errors import ConfigError

_PICTURE = ("width", "height")


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
        lowest, highest = torch.tensor([(number.lowest, number.highest) for number in EMBODIMENT]).float().unbind(1)
        is_told = torch.tensor([_is_told(number, cameras) for number in EMBODIMENT])
        self.register_buffer("middles", (lowest + highest) / 2, persistent=False)
        self.register_buffer("factors", is_told * 2 / (highest - lowest), persistent=False)
        self.layers = nn.Sequential(
            nn.Linear(NUM_EMBODIMENT, hidden_size), nn.GELU(), nn.Linear(hidden_size, hidden_size)
        )
        for parameter in self.layers[2].parameters():
            nn.init.uniform_(parameter, -TABLE_BOUND, TABLE_BOUND)

    def forward(self, embodiment: Tensor) -> Tensor:
        """(batch, 19) to (batch, hidden_size)."""
        return self.layers(((embodiment - self.middles) * self.factors).clamp(-1, 1))


def _is_told(number: EmbodimentNumber, cameras: Sequence[str]) -> bool:
    """Whether a policy with these cameras hears of it."""
    if number.camera is None:
        return number.name not in _PICTURE
    return CAMERAS_OF_BODY[number.camera] in cameras
