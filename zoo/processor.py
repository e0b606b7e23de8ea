"""From frames and messages to token sequences: everything about inputs that belongs to the weights.

The module owns the processor and the datamodule asks for it, so that a recipe states sizes, tokens and frame budget
once. Source: Molmo2 sheet A4 (frames), A5 (layout), A6.3 (trees), A7.1 (weights). What is done to pixels and prompts is
in `zoo.preprocessing`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate, chain
from typing import Any, ClassVar, Literal
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from zoo.batch import IGNORE_INDEX, Batch, Turn, seeds_of
from zoo.errors import DataError
from zoo.head import Labeller, Message, PatchText, Renderer
from zoo.message_tree import Branch, Example, MessageTree, frames_of
from zoo.packing import PackSize
from zoo.portable import Portable
from zoo.preprocessing.crops import CropRule, Tiling
from zoo.preprocessing.pixels import check_picture, cut, squash
from zoo.preprocessing.prompts import POINTING_STYLES, joined, style_prefix, subtitle_text
from zoo.preprocessing.settings import InputSettings
from zoo.preprocessing.vision_tokens import NOT_VISION, VisionText, VisionToken
from zoo.pruner import ClipSize, TokenBudget
from zoo.shards.decode import ShownFrames, image_sizes, media_kind
from zoo.shards.reader import MEDIA_AND_JSON, Sample
from zoo.shards.sampling import FrameSampling


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


@dataclass(frozen=True, kw_only=True)
class Processor:
    """Renders, tokenises, resizes and packs; weightless and picklable.

    Args:
        tokenizer: Text to ids.
        renderers: Data halves of the heads.
        labellers: Data halves of heads that label patches.
        reads: Files that the renderers read beside media and JSON.
        vocab_size: Rows of the language model's own embedding; extra tokens follow.
        image_size: (height, width) of the vision encoder's input, pixels.
        grid: (rows, columns) of patches of a frame.
        image_window: Patches pooled into one token of an image, (rows, columns).
        video_window: The same for a video frame.
        sampling: Which frames of a clip are shown.
        timestamps: Write each frame's time before it.
        answer_weight: Token weights of an answer with n loss tokens in a tree of b branches: `code` is
            2 / sqrt(n) / sqrt(b), `paper` is 4 / sqrt(n), `flat` is 1 (sheet A7.1); times the message's own weight.
        budgets: Of the pruners, in order: packs are planned on what they let into the language model.
        inputs: Crops, several images, marks, prompts.
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
    reads: frozenset[str] = frozenset()
    budgets: tuple[TokenBudget, ...] = field(default=(), hash=False)  # another package's may have no hash
    inputs: InputSettings = field(default_factory=InputSettings)

    def messages(
        self, sample: Sample, shown: ShownFrames, generator: np.random.Generator, *, training: bool = True
    ) -> list[Message]:
        """What all heads ask about a sample; in training in a drawn order, so that a limit drops none for ever."""
        asked = (render(sample, shown, generator, training=training) for render in self.renderers)
        messages = list(chain.from_iterable(asked))
        if training:
            messages = [messages[place] for place in generator.permutation(len(messages))]
        return [self._styled(message, generator, training=training) for message in messages]

    def _styled(self, message: Message, generator: np.random.Generator, *, training: bool) -> Message:
        """A message that begins with what the prompt rule puts before questions of its style."""
        if message.style is None:
            return message
        prefix = style_prefix(
            message.style,
            rule=self.inputs.prompts,
            num_characters=len(message.answer),
            length_hint=self.inputs.length_hint,
            generator=generator,
            training=training,
        )
        if not message.history:
            return message._replace(prompt=joined(prefix, message.prompt))
        (asked, told), *later = message.history
        return message._replace(history=((joined(prefix, asked), told), *later))

    @property
    def asked_suffixes(self) -> frozenset[str]:
        """Files of a sample that asking reads; labels are left in the shard where no head wants them."""
        return MEDIA_AND_JSON | self.reads

    @property
    def suffixes(self) -> frozenset[str]:
        """Files that training reads: also those that label patches."""
        return self.asked_suffixes | {"npz"} if self.labellers else self.asked_suffixes

    def labels(self, sample: Sample, indices: np.ndarray) -> list[PatchText]:
        """What the heads know about the patches of the shown frames."""
        return list(chain.from_iterable(label(sample, indices, self.grid) for label in self.labellers))

    @property
    def asked_sampling(self) -> FrameSampling:
        """Which frames of a clip are shown when nothing is learnt."""
        most = self.inputs.eval_max_frames
        return self.sampling if most is None else replace(self.sampling, max_frames=most)

    def sampling_of(self, sample: Sample, *, training: bool) -> FrameSampling:
        """Which frames of a clip are shown: of one whose tracks have a rate, those of that rate (sheet A4.4)."""
        sampling = self.sampling if training else self.asked_sampling
        rates = [entry["fps"] for entry in sample.record.get("points", ()) if entry.get("fps") is not None]
        return replace(sampling, mode="fps", frame_rate=max(rates)) if rates else sampling

    def plan(
        self,
        sample: Sample,
        *,
        times_s: np.ndarray,
        messages: Sequence[Message],
        max_tokens: int | None = None,
        training: bool = True,
    ) -> MessageTree:
        """The tree of a sample out of a shard, nothing decoded; see `tree`."""
        kind = media_kind(sample)
        return self.tree(
            key=sample.key,
            times_s=times_s,
            messages=messages,
            is_video=kind == "video",
            max_tokens=max_tokens,
            sizes_px=image_sizes(sample) if kind == "images" else (),
            subtitles=sample.record.get("subtitles", ()),
            training=training,
        )

    def tree(
        self,
        *,
        key: str,
        times_s: np.ndarray,
        messages: Sequence[Message],
        is_video: bool = True,
        max_tokens: int | None = None,
        sizes_px: Sequence[tuple[int, int]] = (),
        subtitles: Sequence[Mapping[str, Any]] = (),
        training: bool = False,
    ) -> MessageTree:
        """Turn messages about frames into ids; the frames themselves may still be encoded.

        Args:
            key: Sample key.
            times_s: (frames,) seconds, or 0 for each image; none of text alone.
            messages: What is asked; an empty answer is left to generation.
            is_video: False for images, which have no timestamps and the finer window, and for text alone.
            max_tokens: Limit of the tokens that reach the language model. In order, a branch takes what is left; its
                answer is cut there, and a branch of which no answer token would be left is dropped (sheet A6.3).
            sizes_px: (width, height) of each image; needed where images are cut into crops.
            subtitles: `start_s`, `end_s` and `text` of each line; of a clip only.
            training: Decides how many crops and images there may be.
        Raises:
            DataError: a clip without frames, too many images, one without pixels or far too long, or a limit that
                leaves room for none of the messages.
        """
        if is_video and not len(times_s):
            raise DataError(f"{key}: 0 frames for a clip")
        times = tuple(float(t) for t in times_s)
        tilings: tuple[Tiling | None, ...] = ()
        if is_video:
            prefix = self.vision_text.clip(times)
            if subtitles and self.inputs.subtitles:
                prefix += tuple(self.tokenizer.encode(subtitle_text(subtitles, times)))
        else:
            self._check_images(key, len(times), sizes_px, training=training)
            tilings = self._tilings(key, sizes_px, messages, training=training) or (None,) * len(times)
            prefix = self.vision_text.images(tilings)
        tree = MessageTree(
            key=key,
            times_s=times,
            is_video=is_video,
            prefix=prefix,
            branches=tuple((m, self._prompt_ids(m), self._answer_ids(m.answer)) for m in messages),
            sizes_px=tuple(sizes_px),
            tilings=tilings,
        )
        return tree if max_tokens is None else self._within(tree, max_tokens)

    @cached_property
    def vision_text(self) -> VisionText:
        """Writes pictures as ids."""
        return VisionText(
            tokenizer=self.tokenizer,
            vocab_size=self.vocab_size,
            grid=self.grid,
            image_window=self.image_window,
            video_window=self.video_window,
            timestamps=self.timestamps,
            settings=self.inputs,
        )

    def _check_images(self, key: str, count: int, sizes_px: Sequence[tuple[int, int]], *, training: bool) -> None:
        most = self.inputs.images(training=training)
        if count > most:
            setting = "max_images" if training else "eval_max_images"
            raise DataError(
                f"{key}: {count} images, {most} are allowed; raise model.inputs.{setting} or leave some out"
            )
        if sizes_px and len(sizes_px) != count:
            raise ValueError(f"{key}: {len(sizes_px)} sizes for {count} images")
        for number, (width, height) in enumerate(sizes_px):
            if not (width and height):
                raise DataError(f"{key}: picture {number + 1} is {width} x {height} pixels and shows nothing")
            longest = self.inputs.max_aspect_ratio
            if longest is not None and max(width, height) > longest * min(width, height):
                raise DataError(
                    f"{key}: picture {number + 1} is {width} x {height} pixels, longer than {longest:g} times its "
                    "shorter side; cut it, or raise model.inputs.max_aspect_ratio"
                )

    def _tilings(
        self, key: str, sizes_px: Sequence[tuple[int, int]], messages: Sequence[Message], *, training: bool
    ) -> tuple[Tiling, ...]:
        """How each image is cut; nothing where none is."""
        is_pointed = len(sizes_px) == 1 and any(message.style in POINTING_STYLES for message in messages)
        # By key, so that an image is always cut alike.
        draw = crc32(f"crops {key}".encode()) / 2**32 if is_pointed else 1.0
        most = self.inputs.crops(training=training, pointing_draw=draw)
        if not most:
            return ()
        rule = CropRule(
            max_crops=most, margins=self.inputs.overlap_margins, grid=self.grid, crop_px=tuple(self.image_size)
        )
        return tuple(rule.tiling((width, height)) for width, height in sizes_px)

    def _within(self, tree: MessageTree, max_tokens: int) -> MessageTree:
        room = max_tokens - len(tree.prefix) + self._pruned_windows(tree)
        kept: list[Branch] = []
        for message, prompt, answer in tree.branches:
            if len(prompt) + min(len(answer), 1) <= room:
                kept.append((message, prompt, answer[: room - len(prompt)]))
                room -= len(prompt) + len(kept[-1][2])
        if tree.branches and not kept:
            raise DataError(f"{tree.key}: no question fits beside {tree.num_frames} frames into {max_tokens} tokens")
        return replace(tree, branches=tuple(kept))

    def _pruned_windows(self, tree: MessageTree) -> int:
        if not self.budgets:
            return 0
        windows = left = tree.prefix.count(self.vocab_size + VisionToken.IM_PATCH)
        for budget in self.budgets:
            first = windows // max(tree.num_frames, 1)
            (left,) = budget((ClipSize(left, tree.num_frames, is_video=tree.is_video, first_frame=first),))
        return windows - left

    def size(self, tree: MessageTree) -> PackSize:
        """What a tree takes of a pack: the tokens of it that reach the language model, and its frames."""
        return PackSize(tokens=tree.num_tokens - self._pruned_windows(tree), frames=tree.num_frames)

    def example(
        self,
        *,
        key: str,
        frames: Sequence[np.ndarray],
        times_s: np.ndarray,
        messages: Sequence[Message],
        labels: Sequence[PatchText] = (),
        is_video: bool = True,
        subtitles: Sequence[Mapping[str, Any]] = (),
        training: bool = False,
    ) -> Example:
        """Turn decoded frames and messages into ids and pixels of the model's size.

        Args:
            key: Sample key.
            frames: (height, width, 3) uint8 RGB each, or all in one array.
            times_s: (frames,) seconds.
            messages: What is asked; an empty answer is left to generation.
            labels: What patches of these frames show.
            is_video: False for images, which have no timestamps and the finer window, and for text alone.
            subtitles: `start_s`, `end_s` and `text` of each line; of a clip only.
            training: Decides how many crops and images there may be.
        Raises:
            DataError: see `tree`; or a picture that is none.
        """
        with _of_sample(key):
            for number, frame in enumerate(frames):
                check_picture(frame, number)
        sizes = () if is_video else tuple((frame.shape[1], frame.shape[0]) for frame in frames)
        tree = self.tree(
            key=key,
            times_s=times_s,
            messages=messages,
            is_video=is_video,
            sizes_px=sizes,
            subtitles=subtitles,
            training=training,
        )
        return self.with_frames(tree, frames, labels)

    def with_frames(self, tree: MessageTree, frames: Sequence[np.ndarray], labels: Sequence[PatchText] = ()) -> Example:
        """A tree with the frames that it is about.

        Args:
            tree: Made for the times of these frames.
            frames: (height, width, 3) uint8 RGB each, or all in one array.
            labels: What patches of these frames show.
        Raises:
            DataError: a picture that is none, or an image of another size than it was planned with.
            ValueError: another number of frames than the tree has times.
        """
        if len(frames) != len(tree.times_s):
            raise ValueError(f"{tree.key}: {len(frames)} frames for a tree of {len(tree.times_s)}")
        sizes = tuple((frame.shape[1], frame.shape[0]) for frame in (frames[:1] if tree.is_video else frames))
        with _of_sample(tree.key):
            if any(tree.tilings) and sizes != tree.sizes_px:
                raise DataError(f"images of {_sizes(sizes)} pixels, the record says {_sizes(tree.sizes_px)}")
            pixels = self._pixels(tree, frames)
        fields = {name: getattr(tree, name) for name in MessageTree.__slots__}
        return Example(**fields | {"sizes_px": sizes}, pixels=pixels, patch_words=self._patch_words(labels))

    def _pixels(self, tree: MessageTree, frames: Sequence[np.ndarray]) -> Tensor:
        """(frames, 3, height, width) uint8, crops behind their image."""
        size = tuple(self.image_size)
        if not any(tree.tilings):
            return squash(frames, size)
        return torch.cat(
            [
                squash([frame], size) if tiling is None else cut(frame, tiling, self.grid, size)
                for frame, tiling in zip(frames, tree.tilings, strict=True)
            ]
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

    def token_weight(self, message: Message, num_targets: int, num_branches: int) -> float:
        """Loss weight of each of a message's tokens."""
        if message.is_flat:
            return message.weight
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
            frames=frames_of(examples, self.grid, image_window=self.image_window, video_window=self.video_window),
            clip_seeds=seeds_of([e.key for e in examples if e.times_s]),
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
        starts = accumulate((e.num_frames * self.grid[0] * self.grid[1] for e in examples), initial=0)
        return torch.cat(
            [e.patch_words + torch.tensor([start, 0, 0]) for start, e in zip(starts, examples, strict=False)]
        )


@contextmanager
def _of_sample(key: str) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise DataError(f"{key}: {error}") from error


def _sizes(sizes_px: Sequence[tuple[int, int]]) -> str:
    return ", ".join(f"{width} x {height}" for width, height in sizes_px)
