"""RING's decoder over steps: Llama's blocks without rotary positions, with or without attention to the goal.

Source: sheet spoc_ring_holodeck_graspmolmo 2.4. Names of weights are those of molmoact_molmobot 12, whose decoder has
    the same blocks. Time is added to the input, so attention needs no positions. No part has a bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.backbones.policy.goal import Goal
from zoo.backbones.policy.key_values import KeyValueCache, recent_mask
from zoo.backbones.policy.post_norm import StepAttention
from zoo.backbones.policy.temporal_decoder import AttentionDecoder

NORM_EPS = 1e-5
WIDTH_STEP = 256
"""Feed-forward networks are as wide as the next multiple of this."""


def feed_forward_size(hidden_size: int) -> int:
    """Two thirds of four times the channels, rounded up: 1536 for 512."""
    exact = 4 * hidden_size * 2 // 3
    return (exact + WIDTH_STEP - 1) // WIDTH_STEP * WIDTH_STEP


class Attention(nn.Module):
    """Attention of several heads without biases.

    Args:
        hidden_size: Channels; num_heads divides them.
        num_heads: Heads.
    """

    def __init__(self, *, hidden_size: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.wq = nn.Linear(hidden_size, hidden_size, bias=False)
        self.wk = nn.Linear(hidden_size, hidden_size, bias=False)
        self.wv = nn.Linear(hidden_size, hidden_size, bias=False)
        self.wo = nn.Linear(hidden_size, hidden_size, bias=False)

    def heads(self, states: Tensor) -> Tensor:
        """(batch, tokens, C) to (batch, tokens, H, D)."""
        return states.unflatten(-1, (self.num_heads, -1))

    def forward(self, states: Tensor, memory: Tensor, *, mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        """(batch, queries, C) to (batch, keys, C), where `mask` is True or keys are not later.

        Args:
            states: (batch, queries, C).
            memory: (batch, keys, C).
            mask: (batch, 1, 1, keys) or (queries, keys) bool; None for all.
            is_causal: No query sees a later key.
        """
        q, k, v = (
            self.heads(project(x)).transpose(1, 2)
            for project, x in ((self.wq, states), (self.wk, memory), (self.wv, memory))
        )
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=is_causal)
        return self.wo(out.transpose(1, 2).flatten(2))

    def step(self, states: Tensor, attend: StepAttention) -> Tensor:
        """(rows, 1, C) to what the row's slot holds, itself included."""
        q, k, v = (self.heads(project(states)).squeeze(1) for project in (self.wq, self.wk, self.wv))
        return self.wo(attend(q, k, v))


class FeedForward(nn.Module):
    """SwiGLU without biases.

    Args:
        hidden_size: Channels.
        intermediate_size: Width.
    """

    def __init__(self, *, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.w2 = nn.Linear(intermediate_size, hidden_size, bias=False)
        self.w3 = nn.Linear(hidden_size, intermediate_size, bias=False)

    def forward(self, states: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(states)) * self.w3(states))


class LlamaBlock(nn.Module):
    """Pre-norm: attention over steps, then the feed-forward network.

    Args:
        hidden_size: Channels.
        num_heads: Attention heads.
        dropout: Share of what each part adds that is zeroed in training.
    """

    def __init__(self, *, hidden_size: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(hidden_size, eps=NORM_EPS)
        self.attention = Attention(hidden_size=hidden_size, num_heads=num_heads)
        self.ffn_norm = nn.RMSNorm(hidden_size, eps=NORM_EPS)
        self.feed_forward = FeedForward(hidden_size=hidden_size, intermediate_size=feed_forward_size(hidden_size))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, states: Tensor, goal: Goal, attend: StepAttention | None = None, *, memory_steps: int | None = None
    ) -> Tensor:
        """(batch, time, C) to (batch, time, C); of one step, where `attend` knows those before."""
        normed = self.attention_norm(states)
        if attend is None:
            time = states.shape[1]
            is_short = memory_steps is None or memory_steps >= time
            mask = None if is_short else recent_mask(time, memory_steps, states.device)
            attended = self.attention(normed, normed, mask=mask, is_causal=is_short)
        else:
            attended = self.attention.step(normed, attend)
        return self.widen(states + self.dropout(attended), goal)

    def widen(self, states: Tensor, goal: Goal) -> Tensor:
        """What follows attention over steps."""
        return states + self.dropout(self.feed_forward(self.ffn_norm(states)))


class GoalBlock(LlamaBlock):
    """Between the two, attention to the goal, whose tokens have a norm of their own.

    Args:
        hidden_size: Channels.
        num_heads: Attention heads.
        dropout: Share of what each part adds that is zeroed in training.
    """

    def __init__(self, *, hidden_size: int, num_heads: int, dropout: float) -> None:
        super().__init__(hidden_size=hidden_size, num_heads=num_heads, dropout=dropout)
        # In this block `ffn_norm` is in front of the goal, as in the released names.
        self.ffn_norm_kv = nn.RMSNorm(hidden_size, eps=NORM_EPS)
        self.cross_attention = Attention(hidden_size=hidden_size, num_heads=num_heads)
        self.cross_ffn_norm = nn.RMSNorm(hidden_size, eps=NORM_EPS)

    def widen(self, states: Tensor, goal: Goal) -> Tensor:
        mask = None if goal.mask is None else goal.mask[:, None, None]
        crossed = self.cross_attention(self.ffn_norm(states), self.ffn_norm_kv(goal.tokens), mask=mask)
        states = states + self.dropout(crossed)
        return states + self.dropout(self.feed_forward(self.cross_ffn_norm(states)))


class LlamaDecoder(AttentionDecoder):
    """Blocks, a final norm and a linear output.

    Args:
        hidden_size: Channels.
        num_layers: Layers.
        num_heads: Attention heads.
        sees_goal: Blocks attend to the goal's tokens, as in the released policy.
        dropout: Share of what each part of a block adds that is zeroed in training.
        memory_steps: Last steps that a step attends to; None for all.
    """

    def __init__(
        self,
        *,
        hidden_size: int,
        num_layers: int,
        num_heads: int,
        sees_goal: bool = True,
        dropout: float = 0.1,
        memory_steps: int | None = None,
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.num_heads = num_heads
        self.memory_steps = memory_steps
        block = GoalBlock if sees_goal else LlamaBlock
        self.layers = nn.ModuleList(
            block(hidden_size=hidden_size, num_heads=num_heads, dropout=dropout) for _ in range(num_layers)
        )
        self.norm = nn.RMSNorm(hidden_size, eps=NORM_EPS)
        self.output = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, states: Tensor, goal: Goal) -> Tensor:
        for layer in self.layers:
            states = layer(states, goal, memory_steps=self.memory_steps)
        return self.output(self.norm(states))

    def step(self, states: Tensor, goal: Goal, cache: KeyValueCache, slots: Sequence[int]) -> Tensor:
        place = cache.place(slots)
        for index, layer in enumerate(self.layers):
            states = layer(states, goal, partial(cache.attend, index, place))
        return self.output(self.norm(states))
