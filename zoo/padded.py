"""The tensors of transformers' Molmo2 processor as this model's input: logits and generation in its padded convention.

Source: transformers' Molmo2ForConditionalGeneration.forward; Molmo2 sheet A1.5, A3, A6.2. Differs: rows are packed
    before they run, so padding costs nothing; logits at padding are zero.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.batch import TokenStream, Turn
from zoo.cache import KeyValueCache
from zoo.errors import ConfigError, DataError
from zoo.frames import Frames
from zoo.generation import GenerationSession
from zoo.head import Message
from zoo.layout import TokenLayout
from zoo.processor import Processor, TextTokenizer
from zoo.segments import Segments

if TYPE_CHECKING:
    from zoo.model import VideoLanguageModel


@dataclass(frozen=True, kw_only=True)
class PaddedInputs:
    """What transformers' Molmo2 processor returns; images or videos, never both.

    Args:
        input_ids: (batch, tokens) int64.
        attention_mask: (batch, tokens), 0 on padding, on either side; None: no padding.
        token_type_ids: (batch, tokens), 1 on tokens that see each other in both directions; None: text order only, as
            in transformers.
        mm_token_type_ids: The name that transformers' own processor has for the same.
        pixel_values: (crops, patches, 3 * patch_size ** 2) float, normalised, a patch as (row, column, channel); crops
            of all images in a row.
        image_token_pooling: (windows, widest) int, the patches that each window pools, counted over all crops; -1 pads.
        image_grids: (images, 4) int, rows and columns of windows of the low and of the high resolution.
        image_num_crops: (images,) int.
        pixel_values_videos: As `pixel_values`, of frames.
        video_token_pooling: As `image_token_pooling`.
        video_grids: (videos, 3) int, frames, rows and columns of windows.
    Raises:
        DataError: tensors that contradict one another.
    """

    input_ids: Tensor
    attention_mask: Tensor | None = None
    token_type_ids: Tensor | None = None
    mm_token_type_ids: Tensor | None = None
    pixel_values: Tensor | None = None
    image_token_pooling: Tensor | None = None
    image_grids: Tensor | None = None
    image_num_crops: Tensor | None = None
    pixel_values_videos: Tensor | None = None
    video_token_pooling: Tensor | None = None
    video_grids: Tensor | None = None

    def __post_init__(self) -> None:
        if self.input_ids.ndim != 2:
            raise DataError(f"input_ids is {tuple(self.input_ids.shape)}; expected (batch, tokens)")
        for name in ("attention_mask", "token_type_ids", "mm_token_type_ids"):
            given = getattr(self, name)
            if given is not None and given.shape != self.input_ids.shape:
                raise DataError(f"{name} is {tuple(given.shape)}, input_ids {tuple(self.input_ids.shape)}")
        if self.pixel_values is not None and self.pixel_values_videos is not None:
            raise DataError("pixel_values and pixel_values_videos are given together; a call is about one of them")
        for pixels, table in (
            ("pixel_values", "image_token_pooling"),
            ("pixel_values_videos", "video_token_pooling"),
        ):
            if (getattr(self, pixels) is None) != (getattr(self, table) is None):
                raise DataError(f"{pixels} and {table} belong together; one of them is missing")

    @cached_property
    def valid(self) -> Tensor:
        """(batch, tokens) bool: no padding."""
        mask = self.attention_mask
        return torch.ones_like(self.input_ids, dtype=torch.bool) if mask is None else mask.bool()

    @property
    def is_vision(self) -> Tensor | None:
        """(batch, tokens) bool: tokens that see each other in both directions."""
        types = self.mm_token_type_ids if self.token_type_ids is None else self.token_type_ids
        return None if types is None else types == 1

    @property
    def patches(self) -> Tensor | None:
        """(crops or frames, patches, channels) of either kind."""
        given = self.pixel_values if self.pixel_values is not None else self.pixel_values_videos
        return None if given is None else given.flatten(0, -3)

    @property
    def table(self) -> Tensor | None:
        """(windows, widest) int64 of either kind, without windows that pool nothing."""
        given = self.image_token_pooling if self.pixel_values is not None else self.video_token_pooling
        if given is None:
            return None
        table = given.flatten(0, -2).long()
        return table[(table >= 0).any(1)]


def padded_inputs(**tensors: Tensor | None) -> PaddedInputs:
    """The inputs that keywords name.

    Raises:
        DataError: a tensor that Molmo2 has no use for, or see `PaddedInputs`.
    """
    known = [field.name for field in fields(PaddedInputs)]
    if foreign := [name for name in tensors if name not in known]:
        raise DataError(f"no input of Molmo2 is called {', '.join(foreign)}; there are {', '.join(known)}")
    return PaddedInputs(**tensors)


def frames_of_patches(patches: Tensor, image_size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Put flattened patches together again.

    Args:
        patches: (frames, patches, channels * height * width of a patch), a patch as (row, column, channel).
        image_size: (height, width) of a frame, pixels.
        grid: (rows, columns) of patches.
    Returns:
        (frames, 3, height, width).
    Raises:
        DataError: patches of another number or size.
    """
    (height, width), (rows, columns) = image_size, grid
    side = (height // rows, width // columns)
    if patches.shape[1:] != (rows * columns, side[0] * side[1] * 3):
        raise DataError(
            f"pixel values of {tuple(patches.shape[1:])} a crop; the model sees {rows * columns} patches of "
            f"{side[0]} x {side[1]} pixels with 3 channels"
        )
    cells = patches.unflatten(2, (*side, 3)).unflatten(1, (rows, columns))  # frames, rows, columns, y, x, channel
    return cells.permute(0, 5, 1, 3, 2, 4).reshape(len(patches), 3, height, width)


def patches_of_frames(frames: Tensor, grid: tuple[int, int]) -> Tensor:
    """The way back of `frames_of_patches`."""
    rows, columns = grid
    cells = frames.unflatten(3, (columns, -1)).unflatten(2, (rows, -1))  # frames, channel, rows, y, columns, x
    return cells.permute(0, 2, 4, 3, 5, 1).reshape(len(frames), rows * columns, -1)


def vectors_of(model: VideoLanguageModel, inputs: PaddedInputs) -> Tensor:
    """(windows, hidden): what the connector makes of the patches that each row of the table names.

    Raises:
        ConfigError: a pruner would take tokens away that the tensors hold.
        DataError: the table names patches that are not there.
    """
    acting = [type(pruner).__name__ for pruner in model.pruners if pruner.sites()]
    if acting:
        raise ConfigError(
            f"{', '.join(acting)} removes vision tokens, and tensors of fixed places have a logit for every one; take "
            "the pruner out, or ask through the module's own processor"
        )
    vision, table = model.vision, inputs.table
    pixels = frames_of_patches(inputs.patches, vision.image_size, vision.grid)
    count, (height, width) = len(pixels), vision.image_size
    if int(table.max()) >= count * vision.grid[0] * vision.grid[1]:
        raise DataError(f"the pooling table names patch {int(table.max())}, {count} crops hold fewer")
    frames = Frames(
        clip=(0,) * count,
        time_s=tuple(map(float, range(count))),
        size_px=((width, height),) * count,
        window=(model.connector.image_window,) * count,
    )
    weights = next(vision.parameters())
    layout = TokenLayout.of_frames(frames, vision.grid, pixels.device)
    features = vision(pixels.to(weights.dtype), layout)
    return model.connector(features.states, table)


def stream_of(model: VideoLanguageModel, inputs: PaddedInputs, position_ids: Tensor) -> TokenStream:
    """All rows as one packed sequence that enters the language model.

    Args:
        model: The composed model.
        inputs: Padded rows.
        position_ids: (batch, tokens) int64.
    Raises:
        ConfigError: see `vectors_of`.
        DataError: see `vectors_of`; or another number of patch tokens than windows, or ids that do not exist.
    """
    valid = inputs.valid
    ids = inputs.input_ids[valid]
    if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < model.num_ids:
        raise DataError(f"input_ids reach from {int(ids.min())} to {int(ids.max())}; the model has {model.num_ids} ids")
    is_patch = ids == model.image_patch_id
    states = model.embed(ids)
    if inputs.patches is not None:
        vectors = vectors_of(model, inputs)
        if len(vectors) != int(is_patch.sum()):
            raise DataError(f"{int(is_patch.sum())} patch tokens in input_ids for {len(vectors)} windows")
        states = states.index_add(0, is_patch.nonzero().squeeze(1), vectors.to(states.dtype))
    is_vision = None if inputs.is_vision is None else inputs.is_vision[valid]
    return TokenStream(
        states=states,
        position_ids=position_ids[valid],
        segments=Segments(
            runs=tuple((length,) for length in valid.sum(1).tolist()),
            is_vision=is_vision,
            vision_group=None if is_vision is None else model.vision_group(ids),
            device=ids.device,
        ),
        is_patch=is_patch,
        index=torch.arange(len(ids), device=ids.device),
    )


def logits(model: VideoLanguageModel, inputs: PaddedInputs) -> Tensor:
    """(batch, tokens, vocabulary); zeros on padding.

    Raises:
        ConfigError: see `stream_of`.
        DataError: see `stream_of`.
    """
    # Padding counts, as in transformers: only differences matter, but rounding differs where positions do.
    places = torch.arange(inputs.input_ids.shape[1], device=inputs.input_ids.device)
    stream, _ = model.language(stream_of(model, inputs, places.expand_as(inputs.input_ids)))
    packed = model.language.logits(stream.states)
    return packed.new_zeros(*inputs.input_ids.shape, packed.shape[-1]).masked_scatter(
        inputs.valid.unsqueeze(-1), packed
    )


def session(model: VideoLanguageModel, inputs: PaddedInputs, tokenizer: TextTokenizer) -> GenerationSession:
    """A session that goes on behind each row, from one forward pass.

    Raises:
        ConfigError: see `stream_of`.
        DataError: see `stream_of`; or a row without a token.
    """
    lengths = inputs.valid.sum(1)
    if int(lengths.min()) < 1:
        raise DataError(f"row {int(lengths.argmin())} of input_ids holds padding only")
    ends = lengths.cumsum(0)
    places = torch.arange(int(lengths.max()), device=lengths.device)
    rows = torch.where(places < lengths[:, None], (ends - lengths)[:, None] + places, -1)
    cache = KeyValueCache(rows)
    position_ids = inputs.valid.long().cumsum(1) - 1  # generation does not count padding, here as in transformers
    stream, _ = model.language(stream_of(model, inputs, position_ids), cache=cache)
    message = Message(head="", prompt="", answer="", family="")
    turns = [
        Turn(example=row, message=message, prefix=(end - length,) * 2, prompt=(end - length, end), answer=(end, end))
        for row, (end, length) in enumerate(zip(ends.tolist(), lengths.tolist(), strict=True))
    ]
    return GenerationSession(
        model=model,
        turns=tuple(turns),
        cache=cache,
        logits=model.language.logits(stream.states[ends - 1]),
        position_ids=lengths,
        tokenizer=tokenizer,
    )


class TakesPaddedTensors:
    """Methods of a module that are given what transformers' Molmo2 processor returns, by keyword.

    Attributes:
        model: The composed model.
        processor: For the token that ends an answer.
    """

    model: VideoLanguageModel
    processor: Processor

    def logits(self, input_ids: Tensor, attention_mask: Tensor | None = None, **vision: Tensor | None) -> Tensor:
        """Logits at every place.

        Args:
            input_ids: (batch, tokens) int64.
            attention_mask: (batch, tokens), 0 on padding, on either side.
            vision: The other tensors of `PaddedInputs`.
        Returns:
            (batch, tokens, vocabulary); zeros on padding.
        Raises:
            ConfigError: a pruner would take tokens away that the tensors hold.
            DataError: tensors that contradict one another, or do not fit the model.
        """
        return logits(self.model, padded_inputs(input_ids=input_ids, attention_mask=attention_mask, **vision))

    @torch.no_grad()
    def session(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **vision: Tensor | None
    ) -> GenerationSession:
        """A session that goes on behind each row; its `generate` answers, greedily unless it is told otherwise.

        Args:
            input_ids: (batch, tokens) int64.
            attention_mask: (batch, tokens), 0 on padding, on either side.
            vision: The other tensors of `PaddedInputs`.
        Raises:
            ConfigError: see `logits`.
            DataError: see `logits`; or a row without a token.
        """
        inputs = padded_inputs(input_ids=input_ids, attention_mask=attention_mask, **vision)
        return session(self.model, inputs, self.processor.tokenizer)

    @torch.no_grad()
    def generate(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        *,
        max_new_tokens: int,
        **vision: Tensor | None,
    ) -> list[list[int]]:
        """Greedy answers to every row: new ids, without the end token.

        Args:
            input_ids: (batch, tokens) int64.
            attention_mask: (batch, tokens), 0 on padding, on either side.
            max_new_tokens: Longest answer.
            vision: The other tensors of `PaddedInputs`.
        Raises:
            ConfigError: see `logits`.
            DataError: see `session`.
        """
        return self.session(input_ids, attention_mask, **vision).generate(max_new_tokens=max_new_tokens)
