"""LLaVA's connector: a two-layer MLP; a window enters it as the mean of its patches.

Source: transformers' LlavaMultiModalProjector, and LlavaNextVideoPooler, which averages before it projects. Not pixel
    shuffle, which joins a window's patches side by side: its input would be wider for the 3 x 3 windows of video than
    for the 2 x 2 of images, and undefined for windows that lost or merged patches on their way; a mean is neither.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.backbone import Connector


class MlpConnector(Connector):
    """The window's mean through two linear layers with GELU between them.

    Args:
        image_window: (rows, columns) of patches averaged into one token of an image; (1, 1) as in LLaVA.
        video_window: The same for a video frame.
        intermediate_size: Width between the layers; `hidden` takes the language model's channels, as LLaVA does.
    """

    def __init__(
        self,
        *,
        image_window: tuple[int, int] = (2, 2),
        video_window: tuple[int, int] = (3, 3),
        intermediate_size: int | Literal["hidden"] = "hidden",
    ) -> None:
        super().__init__()
        self.image_window = tuple(image_window)
        self.video_window = tuple(video_window)
        self._intermediate_size = intermediate_size

    def build(self, *, vision_size: int, num_features: int, hidden_size: int, intermediate_size: int) -> None:
        width = hidden_size if self._intermediate_size == "hidden" else self._intermediate_size
        self.enter = nn.Linear(num_features * vision_size, width)
        self.leave = nn.Linear(width, hidden_size)
        for layer in (self.enter, self.leave):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)

    def forward(self, features: Tensor, table: Tensor) -> Tensor:
        valid = (table >= 0).unsqueeze(-1).to(features.dtype)  # (W, K, 1)
        patches = features.index_select(0, table.clamp(min=0).flatten()).unflatten(0, table.shape)
        mean = (patches * valid).sum(1) / valid.sum(1)
        return self.leave(F.gelu(self.enter(mean)))
