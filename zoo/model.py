"""The composed video-language model: vision encoder, connector, language model, and the pruners between them.

Pure torch; training lives in `zoo.module`. Source: Molmo2 sheet A1.4-A1.5 (extra embedding, vectors are added), B8
(only surviving windows reach the language model). Knows its parts by their contracts only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from zoo.backbone import Connector, LanguageModel
from zoo.batch import IGNORE_INDEX, Batch, TokenStream, Turn
from zoo.cache import KeyValueCache, rows_table
from zoo.errors import ConfigError
from zoo.frames import Frames
from zoo.generation import GenerationSession, rows_of
from zoo.head import TrunkOutputs
from zoo.host_facts import on_device
from zoo.layout import TokenLayout
from zoo.place_embedding import PlaceEmbedding
from zoo.preprocessing.vision_tokens import VisionToken
from zoo.processor import TextTokenizer
from zoo.pruner import (
    Pruner,
    Rows,
    Site,
    TrunkShape,
)
from zoo.pruning_pass import PruningPass, budgets_in_order, resolve_pruners
from zoo.vision_encoder import VisionEncoder, VisionFeatures

PositionRule = Literal["dense", "gapped"]
"""Positions after a cut before the language model: renumbered, or kept with gaps (sheet B8, rules a and b)."""

VisionAttention = Literal["example", "image"]
"""Vision tokens that see each other in both directions: all of an example, or those of one image (sheet A6.2)."""


@dataclass(frozen=True, kw_only=True)
class TrunkPass:
    """A batch after the language model's last layer.

    Args:
        stream: Living tokens, before the final norm.
        layout: Of the living patch tokens.
        vectors: (windows, hidden), as they entered the language model.
        window_layout: Of those windows.
        features: Of the patches that the windows were pooled from.
        position_ids: (tokens,) int64 of the batch's full sequence, as the language model saw them.
        pruning: What pruners did.
    """

    stream: TokenStream
    layout: TokenLayout
    vectors: Tensor | None
    window_layout: TokenLayout
    features: VisionFeatures | None
    position_ids: Tensor
    pruning: PruningPass


class VideoLanguageModel(nn.Module):
    """Frames and text in, hidden states and logits out.

    Args:
        vision: Frames to patch states.
        connector: Windows of patches to vectors of the language model.
        language: The decoder.
        pruners: Which vision tokens leave, and where.
        position_rule: Positions after a cut before the language model.
        window_places: Add to each window's vector where in its frame it lies.
        vision_attention: Which vision tokens see each other in both directions.
        needs: What heads read beside logits; see `Head.needs`.
    Raises:
        ConfigError: a pruner acts where this trunk has no site, or where another one acts.
    """

    def __init__(
        self,
        *,
        vision: VisionEncoder,
        connector: Connector,
        language: LanguageModel,
        pruners: Sequence[Pruner] = (),
        position_rule: PositionRule = "dense",
        window_places: bool = False,
        vision_attention: VisionAttention = "example",
        needs: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__()
        self.vision = vision
        self.connector = connector
        self.language = language
        self.position_rule = position_rule
        self.vision_attention = vision_attention
        self.needs = needs
        self.connector.build(
            vision_size=vision.hidden_size,
            num_features=len(vision.feature_blocks),
            hidden_size=language.hidden_size,
            intermediate_size=language.intermediate_size,
        )
        self.set_pruners(pruners)
        features = vision.hidden_size * len(vision.feature_blocks)
        self.patch_projection = nn.Linear(features, language.hidden_size) if "patch_logits" in needs else None
        self.place_embedding = PlaceEmbedding(language.hidden_size) if window_places else None
        self.extra_embedding = nn.Embedding(language.num_extra_tokens, language.hidden_size)
        nn.init.normal_(self.extra_embedding.weight, std=0.02)

    def set_pruners(self, pruners: Sequence[Pruner]) -> None:
        """Put other pruners in, their weights made for this trunk.

        Raises:
            ConfigError: a pruner acts where this trunk has no site, or where another one acts.
        """
        shape = TrunkShape(
            vision_size=self.vision.hidden_size,
            vision_heads=self.vision.num_heads,
            num_blocks=self.vision.last_block() + 1,
            grid=self.vision.grid,
            video_window=self.connector.video_window,
            hidden_size=self.language.hidden_size,
            num_layers=self.language.num_layers,
        )
        for pruner in pruners:
            pruner.build(shape)
        sites = (*self.vision.sites(), Site("connector.output"), *self.language.sites())
        self._pruner_of_site = resolve_pruners(pruners, sites)
        self.budgets = budgets_in_order(pruners, sites)
        self.pruners = nn.ModuleList(pruners)

    def pruning_pass(self, clip_seeds: tuple[int, ...], turns: Sequence[Turn] = ()) -> PruningPass:
        """The pruners' work on one batch, about to begin."""
        return PruningPass(
            pruners=tuple(self.pruners),
            by_site=self._pruner_of_site,
            clip_seeds=clip_seeds,
            training=self.training,
            attention_rows=self._asking_rows(turns),
        )

    def _asking_rows(self, turns: Sequence[Turn]) -> dict[Rows, Tensor]:
        """Places of the tokens whose attention pruners in the language model may ask for."""
        if not any(site.stage == "llm.layer" and p.needs_at(site) for site, p in self._pruner_of_site.items()):
            return {}
        device = self.extra_embedding.weight.device
        text = [place for turn in turns for place in range(*turn.prompt)]
        return {
            "last": on_device([turn.prompt[1] - 1 for turn in turns], device, torch.int64),
            "text": on_device(text, device, torch.int64),
        }

    @property
    def num_ids(self) -> int:
        """Ids that can be embedded, extra tokens included."""
        return self.language.vocab_size + self.language.num_extra_tokens

    @property
    def image_patch_id(self) -> int:
        """Id of the places of pooled windows."""
        own = self.language.image_patch_id
        return self.language.vocab_size + VisionToken.IM_PATCH if own is None else own

    def vision_group(self, input_ids: Tensor) -> Tensor | None:
        """(tokens,) int64, number of the image or clip that a vision token belongs to; None where that does not matter.

        Every image begins with its low resolution; the frames of a clip are one group.
        """
        if self.vision_attention == "example":
            return None
        return (input_ids == self.language.vocab_size + VisionToken.LOW_RES_IM_START).cumsum(0)

    def embed(self, input_ids: Tensor) -> Tensor:
        """Embeddings of text ids and of the extra tokens behind the vocabulary."""
        is_extra = input_ids >= self.language.vocab_size
        text = self.language.embed(input_ids.masked_fill(is_extra, 0))
        extra = self.extra_embedding((input_ids - self.language.vocab_size).clamp(min=0))
        return torch.where(is_extra.unsqueeze(-1), extra, text)

    def see(self, batch: Batch, pruning: PruningPass) -> tuple[VisionFeatures, Tensor, TokenLayout]:
        """Features of the surviving patches, vectors (windows, hidden) of their windows, and where these came from."""
        layout = TokenLayout.of_frames(batch.frames, self.vision.grid, batch.pixels.device)
        features = self.vision(batch.pixels, layout, pruning)
        vectors, pooled = self._pool(features)
        vectors, pooled = self._cut_vectors(vectors, pooled, pruning)
        return features, vectors, pooled

    def _cut_vectors(self, vectors: Tensor, layout: TokenLayout, pruning: PruningPass) -> tuple[Tensor, TokenLayout]:
        site = Site("connector.output")
        selection = pruning.select(site, vectors, layout)
        if selection is None:
            return vectors, layout
        survivors = selection.apply(vectors, layout) if selection.embeddings is None else selection.embeddings
        layout = selection.layout_after(layout)
        pruning.record(site, layout)
        return survivors, layout

    def _pool(self, features: VisionFeatures) -> tuple[Tensor, TokenLayout]:
        pooled, table = features.layout.pool()
        vectors = self.connector(features.states, table)
        return vectors if self.place_embedding is None else vectors + self.place_embedding(pooled), pooled

    def run(self, batch: Batch, cache: KeyValueCache | None = None) -> TrunkPass:
        """The whole trunk over a batch.

        Raises:
            ConfigError: the batch has another number of patch tokens than its frames have windows, or the weights
                other ids of vision tokens than the processor writes.
        """
        if len(batch.frames) and self.language.image_patch_id is not None:
            raise ConfigError(
                f"the weights have image patches at id {self.language.image_patch_id}, the processor writes "
                f"{self.language.vocab_size + VisionToken.IM_PATCH}; give tensors of transformers' processor instead"
            )
        pruning = self.pruning_pass(batch.clip_seeds, batch.turns)
        stream = batch.stream(self.embed(batch.input_ids), self.vision_group(batch.input_ids))
        layout = TokenLayout.of_frames(batch.frames, self.vision.grid, batch.pixels.device)
        position_ids, features, vectors = batch.position_ids, None, None
        if len(batch.frames):
            features, vectors, layout = self.see(batch, pruning)
            stream, position_ids = self._splice(stream, vectors, layout, int(batch.is_patch.sum()))
        elif self._is_waited_for():
            stream = stream.with_states(stream.states + self._nothing_seen().to(stream.states.dtype))
        window_layout = layout
        stream, layout = self.language(stream, layout=layout, pruning=pruning, cache=cache)
        return TrunkPass(
            stream=stream,
            layout=layout,
            vectors=vectors,
            window_layout=window_layout,
            features=features,
            position_ids=position_ids,
            pruning=pruning,
        )

    def _is_waited_for(self) -> bool:
        """Whether others want a gradient of every weight, also from a process whose batch is text only."""
        return torch.is_grad_enabled() and torch.distributed.is_initialized()

    def _nothing_seen(self) -> Tensor:
        """Zero, out of one grey frame."""
        height, width = self.vision.image_size
        frame = Frames(
            clip=(0,),
            time_s=(0.0,),
            size_px=((width, height),),
            window=(self.connector.image_window,),
            is_video=(False,),
        )
        pixels = torch.full((1, 3, height, width), 128, dtype=torch.uint8, device=self.extra_embedding.weight.device)
        pruning = self.pruning_pass((0,))
        features = self.vision(pixels, TokenLayout.of_frames(frame, self.vision.grid, pixels.device), pruning)
        vectors, _ = self._cut_vectors(*self._pool(features), pruning)
        return sum(part.sum() * 0 for part in [vectors, *pruning.losses])

    def units(self) -> tuple[nn.Module, ...]:
        """Blocks and layers, in the order in which they run."""
        return (*self.vision.units(), *self.language.units())

    def _splice(
        self, stream: TokenStream, vectors: Tensor, layout: TokenLayout, num_patch_tokens: int
    ) -> tuple[TokenStream, Tensor]:
        """Add window vectors onto their patch tokens and drop the patch tokens of dead windows."""
        if layout.num_windows != num_patch_tokens:
            raise ConfigError(
                f"{num_patch_tokens} patch tokens in the text for {layout.num_windows} windows in the frames"
            )
        places = stream.is_patch.nonzero().squeeze(1)[layout.window_of_token]
        states = stream.states.index_add(0, places, vectors.to(stream.states.dtype))
        position_ids = stream.position_ids
        stream = stream.with_states(states)
        if layout.num_tokens == num_patch_tokens:
            return stream, position_ids
        keep = ~stream.is_patch
        keep[places] = True
        shorter = stream.keep(keep)
        if self.position_rule == "gapped":
            return shorter, position_ids
        renumbered = stream.renumbered(keep)
        full = position_ids.clone()
        full[shorter.index] = renumbered
        return TokenStream(
            states=shorter.states,
            position_ids=renumbered,
            segments=shorter.segments,
            is_patch=shorter.is_patch,
            index=shorter.index,
        ), full

    def outputs(self, batch: Batch, done: TrunkPass) -> TrunkOutputs:
        """Logits where the batch has targets, and what heads may read beside them."""
        labels = batch.labels[done.stream.index]
        weights = batch.loss_weights[done.stream.index]
        read = self.needs if self.training and done.features is not None else frozenset()
        wanted = labels != IGNORE_INDEX
        logits = self.language.logits(done.stream.states[wanted])
        if done.features is None and self.patch_projection is not None and self._is_waited_for():
            # Here and not behind the grey frame: DeepSpeed sums gradients in the order in which they come, which must
            # be that of a process with frames.
            nothing = self.patch_projection.weight.new_zeros(self.patch_projection.in_features)
            logits = logits + self.patch_projection(nothing).sum() * 0
        return TrunkOutputs(
            hidden=done.stream.states,
            index=done.stream.index,
            logits=logits,
            targets=labels[wanted],
            weights=weights[wanted],
            total_weight=weights.sum(),
            layout=done.layout,
            window_logits=self.language.logits(done.vectors) if "window_logits" in read else None,
            window_layout=done.window_layout,
            state_logits=self._state_logits(done.stream) if "state_logits" in read else None,
            patch_logits=self._patch_logits(done.features) if "patch_logits" in read else None,
            patch_layout=None if done.features is None else done.features.layout,
            auxiliary_losses=done.pruning.losses,
            tokens_per_site={str(site): counts for site, counts in done.pruning.tokens_per_clip.items()},
        )

    def _state_logits(self, stream: TokenStream) -> Tensor:
        return self.language.logits(stream.states[stream.is_patch])

    def _patch_logits(self, features: VisionFeatures) -> Tensor:
        return self.language.logits(self.patch_projection(features.states))

    def forward(self, batch: Batch) -> TrunkOutputs:
        return self.outputs(batch, self.run(batch))

    def prefill(
        self, batch: Batch, turns: Sequence[Turn], tokenizer: TextTokenizer
    ) -> tuple[TrunkOutputs, GenerationSession]:
        """Outputs of a batch and a session whose rows are the asked turns, from one forward pass.

        A row continues its example's prefix and its own question; the answer tokens that the batch holds for the loss
        are not in it.
        """
        device = batch.input_ids.device
        rows = rows_table(rows_of(turns), device)
        is_video = TokenLayout.of_frames(batch.frames, self.vision.grid, device).window_in_video
        cache = KeyValueCache(rows, batch.is_patch.masked_scatter(batch.is_patch, is_video))
        done = self.run(batch, cache)
        place = torch.zeros(len(batch.input_ids), dtype=torch.int64, device=device)
        place[done.stream.index] = torch.arange(len(done.stream.index), device=device)
        last = torch.tensor([t.prompt[1] - 1 for t in turns], dtype=torch.int64, device=device)
        session = GenerationSession(
            model=self,
            turns=tuple(turns),
            cache=cache,
            logits=self.language.logits(done.stream.states[place[last]]),
            position_ids=done.position_ids[last] + 1,
            tokenizer=tokenizer,
            pruning=done.pruning,
        )
        return self.outputs(batch, done), session
