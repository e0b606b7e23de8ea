"""Prompts as Molmo2 writes them: names of styles, hints of length, choices, subtitles.

Source: Molmo2 sheet A4.4 (subtitles), A5 (styles, hints, choices). Differs: the templates of choices that are drawn in
training are our own few; the published set has many more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any, Literal

import numpy as np

PromptRule = Literal["none", "style", "style_and_length"]

POINTING_STYLES = frozenset(
    {
        *("pointing", "point_count", "cosyn_point", "video_point", "video_point_count", "video_count"),
        *("video_count_point", "multi_image_pointing", "multi_image_counting", "multi_image_point_then_count"),
        *("multi_image_count_then_point",),
    }
)
"""Kinds of questions that are answered with points or their number."""

DEMO_STYLES = POINTING_STYLES | frozenset(
    {
        *("demo", "user_qa", "correction_qa", "text_sft", "long_caption", "short_caption", "video_long_caption"),
        *("video_short_caption", "video_transcript", "video_clip_caption_start_end", "video_frame_caption_timestamp"),
        *("video_clip_caption_start_end_in_seconds", "video_clip_transcript_start_end"),
        *("video_clip_transcript_start_end_in_seconds", "video_frame_caption_timestamp_in_seconds"),
        *("video_point_track_per_frame", "video_point_track_start_end", "video_point_track_all_frames"),
        *("video_single_point_track_start_end", "video_single_point_track_per_frame", "video_point_ground_start_end"),
        *("a_okvqa_mc", "ai2_diagram", "ai2_diagram_no_letter", "science_qa", "multi_image_mc", "multi_image_mc_exp"),
        *("mantis_instruct_mc", "video_multiple_choice", "video_multiple_choice_count_without_pointing"),
        *("video_multiple_choice_multiple_correct", "video_multiple_choice_w_subtitle"),
    }
)
"""Kinds of questions that are asked as a person would, without their name before them."""

WITHOUT_LENGTH = POINTING_STYLES | {"text_sft"}
"""Kinds whose answers are never asked for by length."""

HINT_CHARACTERS = 15
"""Of an answer, in one unit of a hint."""
HINT_NOISE = 25.0
"""Standard deviation, characters, that the true length is told with."""
HINT_DROPPED = 0.1
"""Share of the training answers whose hint is left out."""

STANDARD_SHARE = 0.1
"""Share of the training questions with choices that are written as at evaluation."""

MARKED_SHARE = 0.8
"""Of the other forms, those whose choices have names."""
NAME_ONLY_SHARE = 0.25
"""Of those with names, the ones answered by the name alone."""
INLINE_SHARE = 0.1
"""Of the other forms, those whose choices stand in one line."""

MARKS = ("{}.", "{})", "{}:", "({})")

CHOICE_TEMPLATES = (
    "{question}\n{choices}",
    "{question}\nAnswer with one of these:\n{choices}",
    "Question: {question}\nOptions:\n{choices}",
    "Which of the options answers the question?\n{question}\n{choices}",
    "{choices}\nPick the option that is right: {question}",
    "{question} Choose one:\n{choices}",
)


def _capitals(count: int) -> tuple[str, ...]:
    """A, B, C; numbers where the alphabet ends too early."""
    return tuple(ascii_uppercase[:count]) if count <= len(ascii_uppercase) else _numbers(count)


def _small(count: int) -> tuple[str, ...]:
    return tuple(name.lower() for name in _capitals(count))


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(str(number + 1) for number in range(count))


CHOICE_NAMES = (_capitals, _small, _numbers)

SUBTITLE_REACH_S = 1.0
"""A line is shown where some sampled frame is at most this far from it, seconds."""


def style_prefix(
    style: str,
    *,
    rule: PromptRule,
    num_characters: int,
    length_hint: int | None,
    generator: np.random.Generator,
    training: bool,
) -> str:
    """What stands before a question; empty or ending with a colon.

    Args:
        style: Kind of the question.
        rule: See `InputSettings.prompts`.
        num_characters: Of the answer; read in training alone.
        length_hint: Told when nothing is learnt; None tells nothing.
        generator: Draws the noise of a hint, and whether it is left out.
        training: The answer is known and learnt.
    """
    if rule == "none" or (rule == "style" and style in DEMO_STYLES):
        return ""
    if rule == "style" or style in WITHOUT_LENGTH:
        return f"{style}:"
    hint = length_hint
    if training:
        is_kept = generator.random() >= HINT_DROPPED
        noisy = num_characters + int(generator.normal(scale=HINT_NOISE))
        hint = noisy // HINT_CHARACTERS if is_kept else None
    return f"{style}:" if hint is None else f"{style} {hint}:"


def joined(prefix: str, question: str) -> str:
    """A prefix and a question, either of which may be empty."""
    return f"{prefix} {question}" if prefix and question else prefix + question


def choice_question(question: str, choices: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """A question with choices, as it is put at evaluation.

    Returns:
        The prompt, and the answer that each choice stands for: "B. blue".
    """
    answers = tuple(f"{name}. {choice}" for name, choice in zip(_capitals(len(choices)), choices, strict=True))
    return "\n".join((question, "Only return the correct answer option.", *answers)), answers


def drawn_choice_question(
    question: str, choices: Sequence[str], generator: np.random.Generator
) -> tuple[str, tuple[str, ...]]:
    """The same in one of many forms; in a tenth of the cases as at evaluation.

    Args:
        question: In words.
        choices: At least one.
        generator: Draws the form.
    """
    if generator.random() < STANDARD_SHARE:
        return choice_question(question, choices)
    names = CHOICE_NAMES[generator.integers(len(CHOICE_NAMES))](len(choices))
    mark = MARKS[generator.integers(len(MARKS))]
    template = CHOICE_TEMPLATES[generator.integers(len(CHOICE_TEMPLATES))]
    is_marked, says_name, inline = generator.random(3) < (MARKED_SHARE, NAME_ONLY_SHARE, INLINE_SHARE)
    shown = tuple(
        f"{mark.format(name)} {choice}" if is_marked else choice for name, choice in zip(names, choices, strict=True)
    )
    prompt = template.format(question=question, choices=("; " if inline else "\n").join(shown))
    return prompt, names if is_marked and says_name else shown


def subtitle_text(lines: Sequence[Mapping[str, Any]], times_s: Sequence[float]) -> str:
    """Subtitles as they stand behind the frames of a clip; empty where no line is near a frame.

    Args:
        lines: `start_s`, `end_s` and `text` of each.
        times_s: Of the sampled frames.
    """
    times = np.asarray(times_s, dtype=np.float64)
    near = [
        f"{line['start_s']:.1f} - {line['end_s']:.1f} {line['text']}"
        for line in lines
        if ((times >= line["start_s"] - SUBTITLE_REACH_S) & (times <= line["end_s"] + SUBTITLE_REACH_S)).any()
    ]
    return "\n".join(("subtitle", *near)) if near else ""
