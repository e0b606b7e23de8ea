"""Tokens for points and tracks, put behind those of a byte-level vocabulary: few a point, and no id changes.

A point ` 1 312 644` takes five tokens instead of ten: its number, and of each coordinate first the hundreds, which say
where on a grid of ten by ten, then the rest. A time that begins a group is one token, so are the parts of a tag. Text
outside of tags is cut as before.
"""

from typing import Any

TEXT_PATTERN = r"\d| ?\p{L}+| ?[^\s\p{L}\d]+|\s+"
"""How the `words` vocabulary cuts text: words, digits one by one, punctuation."""

_TAGS = r" ?</?(?:points|tracks)>?| coords=\"|\">"
_TIME = r"(?<=[\";])\d+\.\d(?= )"
_ID = r" \d{1,2}(?= \d{3,4} \d{3,4})"
_COORDINATE = r" \d{3}(?!\d)"
PATTERN = f"{_TAGS}|{_TIME}|{_ID}|{_COORDINATE}|{TEXT_PATTERN}"

DIGITS = "0123456789"
SPACE = "Ġ"
"""A space, as byte-level vocabularies write it."""

PARTS = ("<points", " <points", "<tracks", " <tracks", "</points>", "</tracks>", ' coords="', '">')

WORDS = (
    *("Count", "Counting", "Find", "Follow", "Give", "Locate", "Mark", "Point", "Put", "Say", "Show", "State", "There"),
    *("Track", "Write", " FPS", " all", " and", " at", " be", " can", " count", " how", " last", " many", " none"),
    *(" number", " on", " out", " path", " place", " point", " shows", " them", " total", " where"),
    *("balls", "cones", "cubes", "cylinders", "object", "objects"),
)
"""Words of prompts and answers of the heads pointing, counting and tracking; labels behind a tag have no space."""


def with_places(vocabulary: dict[str, Any]) -> dict[str, Any]:
    """A vocabulary with these tokens behind its own.

    Args:
        vocabulary: JSON of a byte-level BPE of the `tokenizers` library whose first pre-tokenizer cuts by
            `TEXT_PATTERN`.
    Returns:
        The longer vocabulary's; what was given stays as it is.
    """
    model, cuts = vocabulary["model"], vocabulary["pre_tokenizer"]["pretokenizers"]
    ids: dict[str, int] = dict(model["vocab"])
    # Hundreds before the rest of a coordinate, tenths before whole seconds: merges are done in this order.
    merges = [(SPACE, digit) for digit in DIGITS] + [(".", digit) for digit in DIGITS]
    merges += [(first, f".{second}") for first in DIGITS for second in DIGITS]
    merges += [(first, second) for first in DIGITS for second in DIGITS]
    added = [first + second for first, second in merges]
    for token in [*(text.replace(" ", SPACE) for text in (*PARTS, *WORDS)), *added]:
        ids.setdefault(token, len(ids))
    longer = model | {
        "vocab": ids,
        "merges": [*model["merges"], *map(list, merges)],
        "ignore_merges": True,  # a piece that is a token stays one, without the merges that would lead there
    }
    pieces = cuts[0] | {"pattern": {"Regex": PATTERN}}
    return vocabulary | {
        "model": longer,
        "pre_tokenizer": vocabulary["pre_tokenizer"] | {"pretokenizers": [pieces, *cuts[1:]]},
    }
