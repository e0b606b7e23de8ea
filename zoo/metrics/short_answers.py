"""Short answers against reference answers: VQA score, relaxed accuracy, ANLS, and letters of choices.

Source: Molmo2 sheet A9. VQA score: Antol et al. 2015 with the normalisation and leave-one-out mean of its evaluation;
relaxed accuracy: ChartQA, Masry et al. 2022, section 5.1; ANLS: Biten et al. 2019, equation 1.
Differs: contractions are completed ("dont" is "don't") only where the letters alone are no other word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

RELAXED_TOLERANCE = 0.05
"""Largest relative error of a number."""

ANLS_LIMIT = 0.5
"""Relative edit distance from which on an answer is worth nothing."""

VQA_AGREEMENT = 3
"""So many people have to give an answer for it to be worth 1."""

_ARTICLES = frozenset(("a", "an", "the"))
_COUNTED = "zero one two three four five six seven eight nine ten"
_NUMBERS = {word: str(number) for number, word in enumerate(_COUNTED.split())} | {"none": "0"}
_STEMS = {
    "n't": "ai are ca could did does do had has have is might must need ought sha should was were wo would",
    "'ve": "could i might must should they we would you",
    "'re": "they you",
    "'ll": "it they what who you",
    "'s": "he how that there what when where who",
    "'d": "how it there they who you",
}
_WHOLE = [stem + ending for ending, stems in _STEMS.items() for stem in stems.split()]
_CONTRACTIONS = {whole.replace("'", ""): whole for whole in _WHOLE}
_PUNCTUATION = re.compile(r"[;/\[\]\"{}()=+\\_\-<>@`,?!]")
_FULL_STOP = re.compile(r"\.(?!\d)")
_DIGIT_COMMA = re.compile(r"(?<=\d),(?=\d)")
_LETTER = re.compile(r"\(?\b([A-Z])\b[).:]?", re.IGNORECASE)
_NAMED_LETTER = re.compile(r"\b(?:answer|option|choice)(?: is)?:? *\(?([A-Z])\b", re.IGNORECASE)


def vqa_text(text: str) -> str:
    """A text as VQA compares it: lower case, without punctuation and articles, numbers up to ten as digits."""
    text = " ".join(text.lower().split())
    has_number_comma = bool(_DIGIT_COMMA.search(text))
    # A mark between two words parts them, at an end or inside numbers it only disappears.
    marks = {mark[0] for mark in _PUNCTUATION.finditer(text)}
    for mark in marks:
        is_between = f"{mark} " not in text and f" {mark}" not in text and not has_number_comma
        text = text.replace(mark, " " if is_between else "")
    words = (_NUMBERS.get(word, word) for word in _FULL_STOP.sub("", text).split())
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def vqa_score(answer: str, references: Sequence[str]) -> float:
    """How far people agree with an answer.

    Args:
        answer: Of the model.
        references: What people said, ten of them in VQA v2; with one alone, it has to be that.
    Returns:
        Mean over all sets that leave out one reference of min(matches / 3, 1).
    Raises:
        ValueError: no reference.
    """
    if not references:
        raise ValueError("vqa_score: no reference answer")
    said = vqa_text(answer)
    matches = [vqa_text(reference) == said for reference in references]
    if len(matches) == 1:
        return float(matches[0])
    total = sum(matches)
    return sum(min((total - match) / VQA_AGREEMENT, 1.0) for match in matches) / len(matches)


def relaxed_accuracy(answer: str, references: Sequence[str]) -> float:
    """1 if a number is within 5 % of a reference, or a text equal to one but for upper case; else 0.

    Args:
        answer: Of the model; "12 %" is read as 0.12, as are references.
        references: Any of them will do.
    """
    return float(any(_is_close(answer.strip(), reference.strip()) for reference in references))


def anls(answer: str, references: Sequence[str]) -> float:
    """Average normalised Levenshtein similarity of one answer: 1 minus the edit distance to the nearest reference over
    the longer one's length; 0 from a half on. Upper case does not matter, and white space counts as one space.
    """
    said, *true = (" ".join(text.lower().split()) for text in (answer, *references))
    return max((_similarity(said, reference) for reference in true), default=0.0)


SHORT_SCORES: Mapping[str, Callable[[str, Sequence[str]], float]] = {
    "vqa_score": vqa_score,
    "relaxed_accuracy": relaxed_accuracy,
    "anls": anls,
}
"""Scores of an answer and its references, by the names that annotations ask for them with."""

MAX_CHOICES = 26
"""That letters tell apart."""


def choice_index(answer: str, choices: Sequence[str]) -> int | None:
    """Which of some choices an answer means.

    Args:
        answer: A letter with or without what stands behind it ("B", "(b)", "B. red"), a sentence that names one
            ("the answer is B"), or a choice's own text.
        choices: Texts in the order of their letters; at most 26.
    Returns:
        Index of the choice; None where the answer means none, or more than one.
    """
    said = answer.strip()
    texts = [" ".join(choice.lower().split()).rstrip(".") for choice in choices]
    plain = " ".join(said.lower().split()).rstrip(".")
    if texts.count(plain) == 1:
        return texts.index(plain)
    letter = _NAMED_LETTER.search(said) or _LETTER.match(said)
    # "A red cube" begins with an article: a bare letter with words behind it is none unless a mark parts them.
    if letter and (letter.re is _NAMED_LETTER or letter[0][-1] in ").:" or letter.end() == len(said)):
        index = ord(letter[1].upper()) - ord("A")
        return index if index < len(choices) else None
    held = [index for index, text in enumerate(texts) if re.search(rf"\b{re.escape(text)}\b", plain)]
    return held[0] if len(held) == 1 else None


def _is_close(said: str, reference: str) -> bool:
    number, true = _number(said), _number(reference)
    if number is None or not true:  # nothing is within 5 % of zero, so zero is compared as text
        return said.lower() == reference.lower()
    return abs(number - true) <= RELAXED_TOLERANCE * abs(true)


def _number(text: str) -> float | None:
    digits = text.removesuffix("%").strip()
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", digits, re.IGNORECASE):
        return None
    return float(digits) / (100 if text.endswith("%") else 1)


def _similarity(one: str, other: str) -> float:
    longest = max(len(one), len(other))
    distance = _edit_distance(one, other) / longest if longest else 0.0
    return 1 - distance if distance < ANLS_LIMIT else 0.0


def _edit_distance(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for length, letter in enumerate(one, 1):
        diagonal, row[0] = row[0], length
        for place, of_other in enumerate(other, 1):
            diagonal, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, diagonal + (letter != of_other))
    return row[-1]
