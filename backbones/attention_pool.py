"""Molmo2's connector: attention pooling over windows of patches, then a SwiGLU projector.

Source: Molmo2 sheet A1.2. Agrees with the published connector: mean query over valid patches, no residual, no norm.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.backbone import Connector
from zoo.errors import ConfigError

GATE_GAIN = 2.0
"""Averaging a window makes its vector small, where silu(gate) * up is a product of two small numbers
and hardly learns."""


class AttentionPool(Connector):
    """One vector a window: the window's mean asks its patches.

    Args:
        image_window: (rows, columns) of patches pooled into one token of an image.
        video_window: The same for a video frame.
        head_dim: Channels of a pooling head; it divides the vision encoder's channels.
        intermediate_size: Width of the projector; `language` takes the language model's MLP width.
        norm_output: Put a layer norm behind the projector. For training from nothing: without it vectors grew to
            thousands, which no layer of the language model can add anything to.
        output_scale: What the layer norm's weight begins at: the size of a channel of the language model's embeddings.
    Raises:
        ConfigError: a scale without the norm that it belongs to.
    """

    example_args: ClassVar = {"head_dim": 16}

    def __init__(
        self,
        *,
        image_window: tuple[int, int] = (2, 2),
        video_window: tuple[int, int] = (3, 3),
        head_dim: int = 72,
        intermediate_size: int | Literal["language"] = "language",
        norm_output: bool = False,
        output_scale: float = 1.0,
    ) -> None:
        super().__init__()
        if output_scale != 1.0 and not norm_output:
            raise ConfigError(f"attention_pool: output_scale {output_scale} without a norm; set norm_output to true")
        self.image_window = tuple(image_window)
        self.video_window = tuple(video_window)
        self.head_dim = head_dim
        self._intermediate_size = intermediate_size
        self._norm_output = norm_output
        self._output_scale = output_scale

    def build(self, *, vision_size: int, num_features: int, hidden_size: int, intermediate_size: int) -> None:
        if vision_size % self.head_dim:
            raise ConfigError(f"attention_pool: head_dim {self.head_dim} does not divide {vision_size} vision channels")
        width = intermediate_size if self._intermediate_size == "language" else self._intermediate_size
        self.num_heads = vision_size // self.head_dim
        self.query = nn.Linear(num_features * vision_size, vision_size)
        self.key = nn.Linear(num_features * vision_size, vision_size)
        self.value = nn.Linear(num_features * vision_size, vision_size)
        self.output = nn.Linear(vision_size, vision_size)
        self.gate = nn.Linear(vision_size, width, bias=False)
        self.up = nn.Linear(vision_size, width, bias=False)
        self.down = nn.Linear(width, hidden_size, bias=False)
        self.norm = nn.LayerNorm(hidden_size) if self._norm_output else nn.Identity()
        for layer in (self.query, self.key, self.value, self.output, self.gate, self.up, self.down):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
        for layer in (self.gate, self.up):
            layer.weight.data.mul_(GATE_GAIN)
        if self._norm_output:
            nn.init.constant_(self.norm.weight, self._output_scale)

    def forward(self, features: Tensor, table: Tensor) -> Tensor:
        valid = table >= 0  # (W, K)
        heads = (self.num_heads, self.head_dim)
        slots = table.clamp(min=0).flatten()

        def windows(
            states: Tensor,
        ) -> Tensor:  # (tokens, ...) -> (W, K, ...); index_select has the cheaper backward pass
            return states.index_select(0, slots).unflatten(0, table.shape)

        # Keys and values once a patch, before windows gather them: a patch lies in one window, padding costs nothing.
        k, v = (
            windows(x(features).unflatten(-1, heads)).transpose(1, 2) for x in (self.key, self.value)
        )  # (W, H, K, D)
        count = valid.sum(1, keepdim=True).to(features.dtype)
        mean = (windows(features) * valid.unsqueeze(-1)).sum(1) / count  # (W, features)
        q = self.query(mean).unflatten(-1, heads).unsqueeze(2)  # (W, H, 1, D)
        logits = (q * k).sum(-1).float() * self.head_dim**-0.5  # (W, H, K): one query, too thin for an attention kernel
        weights = logits.masked_fill(~valid.unsqueeze(1), -torch.inf).softmax(-1).to(v.dtype)
        pooled = self.output((weights.unsqueeze(-1) * v).sum(2).flatten(1))  # (W, vision_size)
        return self.norm(self.down(F.silu(self.gate(pooled)) * self.up(pooled)))
