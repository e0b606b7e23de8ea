"""Contracts of connectors and language models.

The loop over layers lives here, because pruning, capture and packing must mean the same for every language model, which
says only what one layer does. Source: docs/architecture.md.

Shapes: T packed tokens, W windows, C channels, H heads, D head_dim.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from zoo.attention import attend, received_attention
from zoo.batch import TokenStream
from zoo.cache import KeyValueCache
from zoo.layout import TokenLayout
from zoo.observation import Observable
from zoo.portable import Portable
from zoo.preprocessing.vision_tokens import NUM_EXTRA_TOKENS
from zoo.pruner import (
    Need,
    Site,
)
from zoo.pruning_pass import PruningPass


class Connector(nn.Module, ABC):
    """Patch features of a window to one vector of the language model.

    Its sizes follow from its neighbours, so layers are made by `build`, which the composed model calls once.

    Class attributes:
        image_window: (rows, columns) of patches pooled into one token of an image.
        video_window: The same for a video frame.
    """

    kind: ClassVar[str] = "connector"
    image_window: tuple[int, int]
    video_window: tuple[int, int]

    @abstractmethod
    def build(self, *, vision_size: int, num_features: int, hidden_size: int, intermediate_size: int) -> None:
        """Make the layers.

        Args:
            vision_size: Channels of one vision feature.
            num_features: Features side by side in the input.
            hidden_size: Channels of the language model.
            intermediate_size: MLP width of the language model.
        """

    @abstractmethod
    def forward(self, features: Tensor, table: Tensor) -> Tensor:
        """Pool windows.

        Args:
            features: (tokens, num_features * vision_size).
            table: (W, widest) int64, tokens that each window pools, padded with -1.
        Returns:
            (W, hidden_size).
        """


@dataclass(kw_only=True)
class Glimpse:
    """What a pruner before the next layer wants to know of this layer's attention, taken once.

    The layer may be computed again in the backward pass; the decision is not made again.

    Args:
        needs: What is wanted.
        rows: (rows,) int64, asking tokens by their places in the batch's sequence; None: all tokens.
        reduction: Over the rows.
    """

    needs: frozenset[Need]
    rows: Tensor | None
    reduction: Literal["mean", "max"]
    keys: Tensor | None = None
    received: Tensor | None = None
    is_taken: bool = False

    @torch.no_grad()
    def take(self, query: Tensor, key: Tensor, stream: TokenStream, scale: float) -> None:
        """Look at (T, heads, D) queries and keys."""
        if self.is_taken:
            return
        self.is_taken = True
        if "keys" in self.needs:
            self.keys = key.detach()
        if "received_attention" in self.needs:
            asking = torch.arange(len(query), device=query.device)
            if self.rows is not None:
                asking = asking[torch.isin(stream.index, self.rows)]
            self.received = received_attention(query, key, stream.segments, asking, scale, reduction=self.reduction)


@dataclass(kw_only=True)
class LayerContext:
    """What the attention of one layer needs beside queries, keys and values.

    Args:
        language: The decoder.
        stream: Packed tokens of a prefill; None: new tokens go on behind the rows of a cache.
        cache: Of a generation.
        counts: (R,) int64, new tokens of each row; None: all.
        glimpse: What a pruner is to be shown of this layer.
        pruning: Pruners of a step by a single token, where any of them acts while answers are generated.
        hidden_at: Layer in which the last of them hid slots at this step.
    """

    language: LanguageModel
    stream: TokenStream | None = None
    cache: KeyValueCache | None = None
    counts: Tensor | None = None
    glimpse: Glimpse | None = None
    pruning: PruningPass | None = None
    hidden_at: int | None = None

    def attend(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        scale: float,
        local_attention: int | None = None,
    ) -> Tensor:
        """Attention of a layer.

        Args:
            layer: Layer index.
            query: (1, H, T, D) of a packed prefill, or (R, H, n, D) of new tokens on a cache.
            key: The same with KV heads.
            value: The same with KV heads.
            scale: Factor of the products.
            local_attention: Most tokens, itself included, that a token of this layer looks back at; None: all.
        Returns:
            The queries' shape.
        """
        if self.stream is None:
            self.cache.append(layer, key, value, self.counts)
            if self.pruning is not None and self.pruning.has(Site("decode.layer", layer)):
                self.cache.hide(self.pruning.at(Site("decode.layer", layer)), layer, query, self.counts, scale)
                self.hidden_at = layer
            return self.cache.attend(
                layer, query, self.counts, scale=scale, local_attention=local_attention, hidden_at=self.hidden_at
            )
        stream = self.stream.within(local_attention)
        q, k, v = (x.squeeze(0).transpose(0, 1) for x in (query, key, value))
        if self.cache is not None:
            self.cache.fill(layer, k, v, stream.index)
        self.language.observe(layer, q, k, v, stream, scale)
        if self.glimpse is not None:
            self.glimpse.take(q, k, stream, scale)
        bias = self.language.blocked_bias(layer, q, k, stream)
        out = attend(q, k, v, stream.segments, scale=scale, pair_bias=bias)
        return out.transpose(0, 1).unsqueeze(0)


class LanguageModel(Observable, Portable, nn.Module, ABC):
    """A decoder whose layer loop is ours: packed sequences, ragged caches, pruning between layers, capture.

    Args:
        activation_checkpointing: Recompute layers in the backward pass.
    """

    kind: ClassVar[str] = "language_model"
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    vocab_size: int
    num_extra_tokens: int = NUM_EXTRA_TOKENS
    """Ids behind the vocabulary, whose embeddings the composed model holds."""
    image_patch_id: int | None = None
    """Id of a patch token where it is another one than Molmo2's, which the processor writes."""

    def __init__(self, *, activation_checkpointing: bool) -> None:
        super().__init__()
        self.activation_checkpointing = activation_checkpointing

    @abstractmethod
    def embed(self, input_ids: Tensor) -> Tensor:
        """Embeddings of ids below `vocab_size`."""

    @abstractmethod
    def rotary(self, states: Tensor, position_ids: Tensor) -> Sequence[tuple[Tensor, Tensor]]:
        """Cosines and sines for (batch, tokens) positions, a pair for each layer; alike layers share theirs."""

    @abstractmethod
    def layer(self, index: int, states: Tensor, rotary: tuple[Tensor, Tensor], context: LayerContext) -> Tensor:
        """One layer over (batch, tokens, C); its attention asks the context."""

    @abstractmethod
    def final_norm(self, states: Tensor) -> Tensor:
        """The norm before the output head."""

    @abstractmethod
    def head(self, states: Tensor) -> Tensor:
        """Normed states to logits."""

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., vocabulary) of the residual stream at the places where they are wanted."""
        return self.head(self.final_norm(hidden))

    def units(self) -> tuple[nn.Module, ...]:
        """Modules that run one after the other through their own `forward`; sharded training gathers one at a time."""
        return ()

    def sites(self) -> tuple[Site, ...]:
        """Where pruners may act, in the order in which they are reached."""
        layers = range(self.num_layers)
        return (*(Site("llm.layer", k) for k in layers), *(Site("decode.layer", k) for k in layers))

    def forward(
        self,
        stream: TokenStream,
        *,
        layout: TokenLayout | None = None,
        pruning: PruningPass | None = None,
        cache: KeyValueCache | None = None,
    ) -> tuple[TokenStream, TokenLayout | None]:
        """Run the layers over a packed sequence.

        Args:
            stream: Embedded tokens.
            layout: Of the patch tokens, needed where a pruner acts.
            pruning: Pruners of this forward pass.
            cache: Filled with every layer's keys and values.
        Returns:
            The stream after the last layer, before the final norm; and the layout of its patch tokens.
        """
        rotary, glimpse = None, None
        for index in range(self.num_layers):
            site = Site("llm.layer", index)
            if pruning is not None and pruning.has(site):
                stream, layout = self._cut(site, stream, layout, pruning, glimpse, cache)
                rotary = None
            glimpse = None if pruning is None else self._glimpse(Site("llm.layer", index + 1), layout, pruning)
            if rotary is None:
                rotary = self.rotary(stream.states, stream.position_ids.unsqueeze(0))
            self.see_hidden(index, stream)
            context = LayerContext(language=self, stream=stream, cache=cache, glimpse=glimpse)
            stream = stream.with_states(self._run(index, stream.states.unsqueeze(0), rotary[index], context).squeeze(0))
        self.see_hidden(self.num_layers, stream)
        return stream, layout

    def extend(
        self,
        states: Tensor,
        position_ids: Tensor,
        counts: Tensor | None,
        cache: KeyValueCache,
        pruning: PruningPass | None = None,
    ) -> Tensor:
        """Run new tokens of every row on a filled cache.

        Args:
            states: (R, n, C) embedded tokens, rows padded on the right.
            position_ids: (R, n) int64.
            counts: (R,) int64, real tokens of each row; None: all.
            cache: Extended in place.
            pruning: Of the prefill; its pruners hide slots where n is 1, several tokens at once see everything.
        Returns:
            (R, n, C), before the final norm.
        """
        rotary = self.rotary(states, position_ids)
        is_step = states.shape[1] == 1
        decodes = is_step and pruning is not None and any(site.stage == "decode.layer" for site in pruning.by_site)
        context = LayerContext(language=self, cache=cache, counts=counts, pruning=pruning if decodes else None)
        for index in range(self.num_layers):
            states = self.layer(index, states, rotary[index], context)
        cache.steps += is_step
        return states

    def _run(self, index: int, states: Tensor, rotary: tuple[Tensor, Tensor], context: LayerContext) -> Tensor:
        if self.activation_checkpointing and torch.is_grad_enabled():
            return checkpoint(self.layer, index, states, rotary, context, use_reentrant=False)
        return self.layer(index, states, rotary, context)

    def _glimpse(self, site: Site, layout: TokenLayout | None, pruning: PruningPass) -> Glimpse | None:
        """What the pruner at a site must be shown of the layer before it."""
        needs = pruning.needs(site)
        if not needs or layout is None or not layout.num_tokens:
            return None
        pruner = pruning.at(site)
        rows = None if pruner.attention_rows == "all" else pruning.attention_rows[pruner.attention_rows]
        return Glimpse(needs=needs, rows=rows, reduction=pruner.attention_reduction)

    def _cut(
        self,
        site: Site,
        stream: TokenStream,
        layout: TokenLayout | None,
        pruning: PruningPass,
        glimpse: Glimpse | None,
        cache: KeyValueCache | None,
    ) -> tuple[TokenStream, TokenLayout | None]:
        if layout is None or not layout.num_tokens:
            return stream, layout
        selection = pruning.select(
            site,
            stream.states[stream.is_patch],
            layout,
            keys=lambda: glimpse.keys[stream.is_patch],
            received_attention=lambda: glimpse.received[stream.is_patch],
        )
        if selection is None:
            return stream, layout
        survivors = selection.apply(stream.states[stream.is_patch], layout)
        if selection.embeddings is not None:
            survivors = selection.embeddings
        stream = stream.keep_patches(selection.keep)
        if selection.prune_cache and cache is not None:
            cache.restrict(stream.index, before_layer=site.index)
        stream = stream.with_states(stream.states.masked_scatter(stream.is_patch.unsqueeze(1), survivors))
        layout = selection.layout_after(layout)
        pruning.record(site, layout)
        return stream, layout
