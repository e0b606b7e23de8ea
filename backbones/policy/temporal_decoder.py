"""Decoders over the steps of an episode: SPOC's transformer and its recurrent rival.

Source: sheet spoc_ring_holodeck_graspmolmo 1.5 (torch's TransformerDecoder, 3 layers; GRU 3 x 512) and 1.11. Differs:
    the release attends anew over all fused vectors at every step; here a step attends to keys and values that are kept.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from zoo.backbones.policy.goal import Goal
from zoo.backbones.policy.key_values import KeyValueCache
from zoo.backbones.policy.post_norm import DecoderLayer
from zoo.policy_trunk import PolicyCache


class TemporalDecoder(nn.Module, ABC):
    """Fused steps to states, causal in time.

    Attributes:
        hidden_size: Channels of the states.
    """

    hidden_size: int

    @abstractmethod
    def forward(self, states: Tensor, goal: Goal) -> Tensor:
        """(batch, time, channels) to (batch, time, hidden_size)."""

    @abstractmethod
    def new_cache(self, *, num_slots: int, max_steps: int) -> PolicyCache:
        """An empty memory."""

    @abstractmethod
    def step(self, states: Tensor, goal: Goal, cache: PolicyCache, slots: Sequence[int]) -> Tensor:
        """(rows, 1, channels) of the next step of each slot to (rows, 1, hidden_size)."""


class AttentionDecoder(TemporalDecoder):
    """A decoder of layers that attend over steps, whose keys and values are kept.

    Attributes:
        num_heads: Attention heads of each layer; they divide the channels.
        layers: In their order.
        memory_steps: Last steps that a step attends to in each layer, itself included; None for all. No layer has
            learnt to attend to more than a window of the training.
    """

    num_heads: int
    layers: nn.ModuleList
    memory_steps: int | None = None

    def new_cache(self, *, num_slots: int, max_steps: int) -> KeyValueCache:
        return KeyValueCache(
            num_slots=num_slots,
            max_steps=max_steps,
            num_layers=len(self.layers),
            num_heads=self.num_heads,
            head_dim=self.hidden_size // self.num_heads,
            like=next(self.parameters()),
            memory_steps=self.memory_steps,
        )


class TransformerDecoder(AttentionDecoder):
    """torch's transformer decoder without a final norm, whose memory are the goal's tokens.

    Args:
        hidden_size: Channels.
        num_layers: Layers.
        num_heads: Attention heads.
        intermediate_size: Width of the feed-forward networks.
        dropout: Share that is zeroed in training.
        memory_steps: Last steps that a step attends to; None for all.
    """

    def __init__(
        self,
        *,
        hidden_size: int,
        num_layers: int,
        num_heads: int,
        intermediate_size: int = 2048,
        dropout: float = 0.1,
        memory_steps: int | None = None,
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.num_heads = num_heads
        self.memory_steps = memory_steps
        self.layers = nn.ModuleList(
            DecoderLayer(
                hidden_size=hidden_size, num_heads=num_heads, intermediate_size=intermediate_size, dropout=dropout
            )
            for _ in range(num_layers)
        )

    def forward(self, states: Tensor, goal: Goal) -> Tensor:
        for layer in self.layers:
            states = layer(states, goal.tokens, goal.mask, memory_steps=self.memory_steps)
        return states

    def step(self, states: Tensor, goal: Goal, cache: KeyValueCache, slots: Sequence[int]) -> Tensor:
        place = cache.place(slots)
        for index, layer in enumerate(self.layers):
            states = layer(states, goal.tokens, goal.mask, partial(cache.attend, index, place))
        return states


class RecurrentCache(PolicyCache):
    """Hidden states of a recurrent network.

    Args:
        num_slots: Episodes that can run side by side.
        max_steps: Steps that an episode can have; the states would carry more, but no trunk was taught to.
        hidden: (layers, slots, channels) zeros.
    """

    def __init__(self, *, num_slots: int, max_steps: int, hidden: Tensor) -> None:
        super().__init__(num_slots=num_slots, max_steps=max_steps)
        self.hidden = hidden

    def restart(self, slots: Sequence[int]) -> None:
        super().restart(slots)
        self.hidden[:, list(slots)] = 0


class RecurrentDecoder(TemporalDecoder):
    """A GRU; the goal comes in with the fused steps alone.

    Args:
        input_size: Channels of fused steps.
        hidden_size: Channels of the states.
        num_layers: Layers.
    """

    def __init__(self, *, input_size: int, hidden_size: int, num_layers: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.gru = nn.GRU(input_size, hidden_size, num_layers, batch_first=True)

    def forward(self, states: Tensor, goal: Goal | None = None) -> Tensor:
        return self.gru(states)[0]

    def new_cache(self, *, num_slots: int, max_steps: int) -> RecurrentCache:
        hidden = self.gru.weight_hh_l0.new_zeros(self.gru.num_layers, num_slots, self.hidden_size)
        return RecurrentCache(num_slots=num_slots, max_steps=max_steps, hidden=hidden.detach())

    def step(self, states: Tensor, goal: Goal | None, cache: RecurrentCache, slots: Sequence[int]) -> Tensor:
        rows = torch.tensor(list(slots), device=cache.hidden.device)
        out, hidden = self.gru(states, cache.hidden[:, rows].to(states.dtype))
        cache.hidden[:, rows] = hidden.to(cache.hidden.dtype)
        return out
