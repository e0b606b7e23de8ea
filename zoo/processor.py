"""From frames and messages to token sequences: everything about inputs that belongs to the weights.

The module owns the processor and the datamodule asks for it, so that a recipe states sizes, tokens and frame budget
once. Source: Molmo2 sheet A1.4 (ids), A4 (frames), A5 (layout), A6.3 (trees), A7.1 (weights). Differs: an image is
one squashed frame; the multi-crop layout of A4.2 comes with the public checkpoints.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import lru_cache
from itertools import accumulate, chain
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.batch import IGNORE_INDEX, Batch, Turn, seeds_of
from zoo.errors import DataError
from zoo.head import Labeller, Message, PatchText, Renderer
from zoo.layout import Frames, window_of_patch
from zoo.packing import PackSize
from zoo.portable import Portable
from zoo.pruner import TokenBudget
from zoo.shards.reader import MEDIA_AND_JSON, Sample
from zoo.shards.sampling import FrameSampling


class VisionToken(IntEnum):
    """Offsets of the extra tokens behind the vocabulary (sheet A1.4)."""

    IM_START = 0
    IM_END = 1
    IM_PATCH = 2
    IM_COL = 3
    LOW_RES_IM_START = 4
    IMAGE = 5
    IM_LOW = 6
    FRAME_START = 7
    FRAME_END = 8
    VIDEO = 9


NUM_EXTRA_TOKENS = 128
"""Rows of the second embedding (sheet A1.4); most are reserved."""

NOT_VISION = (VisionToken.IMAGE, VisionToken.VIDEO)
"""Extra tokens outside the set whose members see each other both ways (sheet A6.1)."""


class TextTokenizer(Portable, ABC):
    """What the processor needs of a tokenizer; picklable.

    Attributes:
        vocab_size: Ids below this may appear in text.
        bos_id: Begins every sequence, or None.
        eos_id: Ends an answer.
    """

    kind: ClassVar[str] = "tokenizer"
    vocab_size: int
    bos_id: int | None
    eos_id: int

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Ids of a text, nothing added."""

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, special tokens left out."""

    @abstractmethod
    def prompt(self, text: str) -> list[int]:
        """Ids of a user's turn, up to where the answer begins."""

    def turn_separator(self) -> list[int]:
        """Ids between an answer's end and the user's next turn; nothing unless a chat format has them."""
        return []


NOT_LEARNT = -1.0
"""Stands for the weight of tokens that are read only; a weight of 0 counts in the metrics of the loss."""

Branch = tuple[Message, tuple[int, ...], tuple[int, ...]]
"""A message, its prompt's ids, and its answer's ids with the end token."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MessageTree:
    """One sample as token ids, which needs no decoded frame: a prefix and its branches.

    Args:
        key: Sample key.
        times_s: (frames,) seconds.
        is_video: Frames of a clip rather than one image.
        prefix: Ids of the shared tokens.
        branches: Questions and answers, in order.
    """

    key: str
    times_s: tuple[float, ...]
    is_video: bool
    prefix: tuple[int, ...]
    branches: tuple[Branch, ...]

    def runs_of_ids(self) -> Iterator[tuple[int, ...]]:
        """The prefix, then every prompt and answer."""
        yield self.prefix
        for _, prompt, answer in self.branches:
            yield prompt
            yield answer

    @property
    def num_tokens(self) -> int:
        return len(self.prefix) + sum(len(prompt) + len(answer) for _, prompt, answer in self.branches)


@dataclass(frozen=True, kw_only=True, slots=True)
class Example(MessageTree):
    """A message tree and the frames that it is about.

    Args:
        pixels: (frames, 3, height, width) uint8.
        size_px: (width, height) of the source.
        patch_words: (pairs, 3) int64, patch of the example, id of a word about what it shows, 1 where one frame
            alone does not tell the word.
    """

    pixels: Tensor
    size_px: tuple[int, int]
    patch_words: Tensor


@dataclass(frozen=True, kw_only=True)
class Processor:
    """Renders, tokenises, resizes and packs; weightless and picklable.

    Args:
        tokenizer: Text to ids.
        renderers: Data halves of the heads.
        labellers: Data halves of heads that label patches.
        vocab_size: Rows of the language model's own embedding; extra tokens follow.
        image_size: (height, width) of the vision encoder's input, pixels.
        grid: (rows, columns) of patches of a frame.
        image_window: Patches pooled into one token of an image, (rows, columns).
        video_window: The same for a video frame.
        sampling: Which frames of a clip are shown.
        timestamps: Write each frame's time before it.
        answer_weight: Token weights of an answer with n loss tokens in a tree of b branches: `code` is
            2 / sqrt(n) / sqrt(b), `paper` is 4 / sqrt(n), `flat` is 1 (sheet A7.1); times the message's own weight.
        budgets: Of the pruners that cut before the language model, in order: packs are planned on what they leave.
    """

    tokenizer: TextTokenizer
    renderers: tuple[Renderer, ...]
    labellers: tuple[Labeller, ...]
    vocab_size: int
    image_size: tuple[int, int]
    grid: tuple[int, int]
    image_window: tuple[int, int]
    video_window: tuple[int, int]
    sampling: FrameSampling
    timestamps: bool = True
    answer_weight: Literal["code", "paper", "flat"] = "code"
    budgets: tuple[TokenBudget, ...] = field(default=(), hash=False)  # another package's may have no hash

    def messages(self, sample: Sample, generator: np.random.Generator, *, training: bool = True) -> list[Message]:
        """What all heads ask about a sample; in training in a drawn order, so that a limit drops none for ever."""
        messages = list(chain.from_iterable(render(sample, generator, training=training) for render in self.renderers))
        return [messages[place] for place in generator.permutation(len(messages))] if training else messages

    @property
    def suffixes(self) -> frozenset[str]:
        """Files of a sample that training reads; labels are left in the shard where no head wants them."""
        return MEDIA_AND_JSON | {"npz"} if self.labellers else MEDIA_AND_JSON

    def labels(self, sample: Sample, indices: np.ndarray) -> list[PatchText]:
        """What the heads know about the patches of the shown frames."""
        return list(chain.from_iterable(label(sample, indices, self.grid) for label in self.labellers))

    def tree(
        self,
        *,
        key: str,
        times_s: np.ndarray,
        messages: Sequence[Message],
        is_video: bool = True,
        max_tokens: int | None = None,
    ) -> MessageTree:
        """Turn messages about frames into ids; the frames themselves may still be encoded.

        Args:
            key: Sample key.
            times_s: (frames,) seconds.
            messages: What is asked; an empty answer is left to generation.
            is_video: False for a single image, which has no timestamp and the finer window.
            max_tokens: Limit of the tokens that reach the language model. In order, a branch takes what is left; its
                answer is cut there, and a branch of which no answer token would be left is dropped (sheet A6.3).
        Raises:
            DataError: no frame, an image of several frames, or a limit that leaves room for none of the messages.
        """
        if not len(times_s) or (not is_video and len(times_s) != 1):
            raise DataError(f"{key}: {len(times_s)} frames for {'a clip' if is_video else 'an image'}")
        times = tuple(float(t) for t in times_s)
        branches = tuple((m, self._prompt_ids(m), self._answer_ids(m.answer)) for m in messages)
        tree = MessageTree(
            key=key, times_s=times, is_video=is_video, prefix=vision_ids(self, times, is_video), branches=branches
        )
        return tree if max_tokens is None else self._within(tree, max_tokens)

    def _within(self, tree: MessageTree, max_tokens: int) -> MessageTree:
        room = max_tokens - len(tree.prefix) + self._pruned_windows(tree)
        kept: list[Branch] = []
        for message, prompt, answer in tree.branches:
            if len(prompt) + min(len(answer), 1) <= room:
                kept.append((message, prompt, answer[: room - len(prompt)]))
                room -= len(prompt) + len(kept[-1][2])
        if tree.branches and not kept:
            raise DataError(f"{tree.key}: no question fits beside {len(tree.times_s)} frames into {max_tokens} tokens")
        return replace(tree, branches=tuple(kept))

    def _pruned_windows(self, tree: MessageTree) -> int:
        if not self.budgets:
            return 0
        windows = left = tree.prefix.count(self.vocab_size + VisionToken.IM_PATCH)
        for budget in self.budgets:
            (left,) = budget((left,))
        return windows - left

    def size(self, tree: MessageTree) -> PackSize:
        """What a tree takes of a pack: the tokens of it that reach the language model, and its frames."""
        return PackSize(tokens=tree.num_tokens - self._pruned_windows(tree), frames=len(tree.times_s))

    def example(
        self,
        *,
        key: str,
        frames: np.ndarray,
        times_s: np.ndarray,
        messages: Sequence[Message],
        labels: Sequence[PatchText] = (),
        is_video: bool = True,
    ) -> Example:
        """Turn decoded frames and messages into ids and pixels of the model's size.

        Args:
            key: Sample key.
            frames: (frames, height, width, 3) uint8, RGB.
            times_s: (frames,) seconds.
            messages: What is asked; an empty answer is left to generation.
            labels: What patches of these frames show.
            is_video: False for a single image, which has no timestamp and the finer window.
        Raises:
            DataError: no frame, or an image of several frames.
        """
        return self.with_frames(
            self.tree(key=key, times_s=times_s, messages=messages, is_video=is_video), frames, labels
        )

    def with_frames(self, tree: MessageTree, frames: np.ndarray, labels: Sequence[PatchText] = ()) -> Example:
        """A tree with the frames that it is about.

        Args:
            tree: Made for the times of these frames.
            frames: (frames, height, width, 3) uint8, RGB.
            labels: What patches of these frames show.
        Raises:
            ValueError: another number of frames than the tree has times.
        """
        if len(frames) != len(tree.times_s):
            raise ValueError(f"{tree.key}: {len(frames)} frames for a tree of {len(tree.times_s)}")
        height, width = frames.shape[1:3]
        return Example(
            **{name: getattr(tree, name) for name in MessageTree.__slots__},
            pixels=self._resize(torch.from_numpy(frames).permute(0, 3, 1, 2)),
            size_px=(width, height),
            patch_words=self._patch_words(labels),
        )

    def _patch_words(self, labels: Sequence[PatchText]) -> Tensor:
        """Each patch with each word of its text; words are read as they stand behind a space."""
        rows = [torch.zeros(0, 3, dtype=torch.int64)]
        for label in labels:
            ids = list(chain.from_iterable(self.tokenizer.encode(f" {word}") for word in label.text.split()))
            patches = torch.from_numpy(label.patches.ravel().nonzero()[0])
            rows.append(torch.cartesian_prod(patches, torch.tensor(ids), torch.tensor([int(label.takes_time)])))
        return torch.cat(rows)

    def _prompt_ids(self, message: Message) -> tuple[int, ...]:
        """Every turn before an answer.

        Each turn of a conversation is a branch that repeats those before it, so its answer has the logits that it has
        in one long sequence, and is learnt from once.
        """
        ids: list[int] = []
        for prompt, answer in message.history:
            ids += [*self.tokenizer.prompt(prompt), *self._answer_ids(answer), *self.tokenizer.turn_separator()]
        return (*ids, *self.tokenizer.prompt(message.prompt))

    def _answer_ids(self, answer: str) -> tuple[int, ...]:
        return (*self.tokenizer.encode(answer), self.tokenizer.eos_id) if answer else ()

    def _resize(self, pixels: Tensor) -> Tensor:
        """Squash to the model's size: bilinear without antialias, on uint8 (sheet A4.1)."""
        if tuple(pixels.shape[-2:]) == tuple(self.image_size):
            return pixels.contiguous()
        return F.interpolate(pixels, size=self.image_size, mode="bilinear", antialias=False)

    def token_weight(self, message: Message, num_targets: int, num_branches: int) -> float:
        """Loss weight of each of a message's tokens."""
        match self.answer_weight:
            case "flat":
                return message.weight
            case "paper":
                return message.weight * 4 * num_targets**-0.5
            case "code":
                return message.weight * 2 * (num_targets * num_branches) ** -0.5

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Pack examples one behind the other."""
        turns: list[Turn] = []
        runs: list[tuple[int, ...]] = []
        sizes, firsts, weights = [], [], []  # of each prefix, prompt and answer, in the order of the sequence
        end = 0
        for number, example in enumerate(examples):
            shared, branches = len(example.prefix), len(example.branches)
            prefix = (end, end := end + shared)
            sizes.append(shared)
            firsts.append(0)
            weights.append(NOT_LEARNT)
            run = [shared]
            for message, prompt, answer in example.branches:
                asked, told = len(prompt), len(answer)
                begin, middle = end, end + asked
                end = middle + told
                run.append(asked + told)
                sizes += asked, told
                firsts += shared, shared + asked
                weights += NOT_LEARNT, self.token_weight(message, told, branches) if told else NOT_LEARNT
                turns.append(
                    Turn(example=number, message=message, prefix=prefix, prompt=(begin, middle), answer=(middle, end))
                )
            runs.append(tuple(run))
        ids = np.fromiter(chain.from_iterable(run for e in examples for run in e.runs_of_ids()), np.int64, count=end)
        starts = np.cumsum(sizes) - sizes
        positions = np.arange(end) - np.repeat(starts - firsts, sizes)
        # The token before each answer token predicts it.
        per_token = np.roll(np.repeat(np.array(weights, np.float32), sizes), -1)
        is_learnt = per_token != NOT_LEARNT
        labels = np.where(is_learnt, np.roll(ids, -1), IGNORE_INDEX)
        input_ids = torch.from_numpy(ids)
        extra = input_ids - self.vocab_size
        is_vision = extra >= 0
        for token in NOT_VISION:
            is_vision &= extra != token
        return Batch(
            keys=tuple(e.key for e in examples),
            pixels=torch.cat([e.pixels for e in examples]),
            frames=self._frames(examples),
            clip_seeds=seeds_of([e.key for e in examples]),
            input_ids=input_ids,
            position_ids=torch.from_numpy(positions),
            runs=tuple(runs),
            is_vision=is_vision,
            is_patch=extra == VisionToken.IM_PATCH,
            labels=torch.from_numpy(labels),
            loss_weights=torch.from_numpy(np.where(is_learnt, per_token, np.float32(0))),
            turns=tuple(turns),
            patch_words=self._shifted_patch_words(examples),
            empty_word=self.tokenizer.eos_id,
        )

    def _shifted_patch_words(self, examples: Sequence[Example]) -> Tensor:
        starts = accumulate((len(e.times_s) * self.grid[0] * self.grid[1] for e in examples), initial=0)
        return torch.cat(
            [e.patch_words + torch.tensor([start, 0, 0]) for start, e in zip(starts, examples, strict=False)]
        )

    def _frames(self, examples: Sequence[Example]) -> Frames:
        counts = [len(e.times_s) for e in examples]
        return Frames(
            clip=tuple(c for c, count in enumerate(counts) for _ in range(count)),
            time_s=tuple(chain.from_iterable(e.times_s for e in examples)),
            size_px=tuple(e.size_px for e in examples for _ in e.times_s),
            window=tuple(self.video_window if e.is_video else self.image_window for e in examples for _ in e.times_s),
        )


@lru_cache(maxsize=4096)  # clips of a data set are sampled at the same few sets of times
def vision_ids(processor: Processor, times_s: tuple[float, ...], is_video: bool) -> tuple[int, ...]:
    """Ids of an example's prefix: frames with their times, or one image (sheet A5)."""
    tokenizer, first = processor.tokenizer, processor.vocab_size
    ids = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    _, windows = window_of_patch(processor.grid, processor.video_window if is_video else processor.image_window)
    patches = [first + VisionToken.IM_PATCH] * windows
    if not is_video:
        return (*ids, first + VisionToken.LOW_RES_IM_START, *patches, first + VisionToken.IM_END)
    for number, time in enumerate(times_s):
        if processor.timestamps:
            ids += tokenizer.encode(f"{' ' if number else ''}{time:.1f} ")
        ids += [first + VisionToken.FRAME_START, *patches, first + VisionToken.FRAME_END]
    return tuple(ids)
