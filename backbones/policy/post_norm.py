"""torch's post-norm transformer layers, which attend through `scaled_dot_product_attention` in every mode.

Source: torch.nn's TransformerEncoderLayer and TransformerDecoderLayer: their weights, names, dropout and results, as
    SPOC uses them. Differs: queries may be fewer than tokens; one step may attend to what a cache holds; torch's fast
    path for evaluation, whose masked softmax took a fifth of a step on a CPU, is not taken. Masks: True is attended.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.backbones.policy.key_values import recent_mask

StepAttention = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Query, key and value of one step, (rows, heads, head_dim) each, to (rows, 1, channels)."""


def attend(
    attention: nn.MultiheadAttention,
    states: Tensor,
    memory: Tensor,
    *,
    mask: Tensor | None = None,
    is_causal: bool = False,
    memory_steps: int | None = None,
) -> Tensor:
    """What torch's attention module gives.

    Args:
        attention: With biases, batch first, keys and values of the same memory.
        states: (batch, queries, C).
        memory: (batch, keys, C).
        mask: (batch, keys) bool, True where attended; None for all.
        is_causal: No query sees a later key.
        memory_steps: Where it is causal, the last keys that a query sees, its own included; None for all.
    Returns:
        (batch, queries, C).
    """
    channels, shape = attention.embed_dim, (attention.num_heads, attention.head_dim)
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    q = F.linear(states, weight[:channels], bias[:channels]).unflatten(-1, shape).transpose(1, 2)
    k, v = (
        part.unflatten(-1, shape).transpose(1, 2)  # (B, H, keys, D)
        for part in F.linear(memory, weight[channels:], bias[channels:]).chunk(2, dim=-1)
    )
    mask = None if mask is None else mask[:, None, None]
    if is_causal and memory_steps is not None and memory_steps < states.shape[1]:
        mask, is_causal = recent_mask(states.shape[1], memory_steps, states.device), False
    # On a CPU the backward pass in bfloat16 takes four times as long as in float32 (800 rows, 76 tokens of 4 x 32).
    is_slow = q.dtype == torch.bfloat16 and q.device.type == "cpu" and q.requires_grad
    with torch.autocast("cpu", enabled=False) if is_slow else nullcontext():
        out = F.scaled_dot_product_attention(
            *((x.float() for x in (q, k, v)) if is_slow else (q, k, v)),
            attn_mask=mask,
            is_causal=is_causal,
            dropout_p=attention.dropout if attention.training else 0.0,
        )
    return attention.out_proj(out.transpose(1, 2).flatten(2))


class EncoderLayer(nn.TransformerEncoderLayer):
    """A layer whose queries may be some of its tokens.

    Args:
        hidden_size: Channels.
        num_heads: Attention heads.
        intermediate_size: Width of the feed-forward network.
        dropout: Share that is zeroed in training.
    """

    def __init__(self, *, hidden_size: int, num_heads: int, intermediate_size: int, dropout: float) -> None:
        super().__init__(hidden_size, num_heads, intermediate_size, dropout, batch_first=True)

    def forward(self, queries: Tensor, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """(rows, queries, C), with the queries among the tokens (rows, tokens, C)."""
        states = self.norm1(queries + self.dropout1(attend(self.self_attn, queries, tokens, mask=mask)))
        widened = self.linear2(self.dropout(F.relu(self.linear1(states))))
        return self.norm2(states + self.dropout2(widened))


class DecoderLayer(nn.TransformerDecoderLayer):
    """A causal layer that can also take one step.

    Args:
        hidden_size: Channels.
        num_heads: Attention heads.
        intermediate_size: Width of the feed-forward network.
        dropout: Share that is zeroed in training.
    """

    def __init__(self, *, hidden_size: int, num_heads: int, intermediate_size: int, dropout: float) -> None:
        super().__init__(hidden_size, num_heads, intermediate_size, dropout, batch_first=True)

    def forward(
        self,
        states: Tensor,
        memory: Tensor,
        mask: Tensor | None,
        attend_step: StepAttention | None = None,
        *,
        memory_steps: int | None = None,
    ) -> Tensor:
        """(batch, time, C) of whole windows, or of one step where `attend_step` knows those before.

        Args:
            states: (batch, time, C).
            memory: (batch, tokens, C).
            mask: (batch, tokens) bool, True where attended; None for all.
            attend_step: Self-attention of one step.
            memory_steps: Last steps that a step of a window attends to, itself included; None for all.
        """
        if attend_step is None:
            attended = attend(self.self_attn, states, states, is_causal=True, memory_steps=memory_steps)
        else:
            attended = self._attend_step(states, attend_step)
        states = self.norm1(states + self.dropout1(attended))
        crossed = attend(self.multihead_attn, states, memory, mask=mask)
        states = self.norm2(states + self.dropout2(crossed))
        widened = self.linear2(self.dropout(F.relu(self.linear1(states))))
        return self.norm3(states + self.dropout3(widened))

    def _attend_step(self, states: Tensor, attend_step: StepAttention) -> Tensor:
        attention = self.self_attn
        joined = F.linear(states.squeeze(1), attention.in_proj_weight, attention.in_proj_bias)
        q, k, v = joined.view(len(states), 3, attention.num_heads, attention.head_dim).unbind(1)  # (rows, H, D)
        return attention.out_proj(attend_step(q, k, v))
