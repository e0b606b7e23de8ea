"""The answers to questions for places as an automaton over characters: what may be written next.

Keys stand in growing order and are those of shown frames or images; points are numbered 1, 2, ...; in tracks the ids of
a group grow, and a new object takes the next number; coordinates have three digits, 1000 four. What is written by it is
read by `zoo.points.parse` without loss. Source: Molmo2 sheet A8.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from zoo.points import NOTHING, Style

Phase = Literal["open", "key", "id", "x", "y", "close", "label", "end", "done"]

NUMBER = "#"
"""Stands in an opening for a number without leading zeros."""

MAX_DIGITS = 4
MAX_LABEL = 80
"""Characters of a label after which it must end."""

DIGITS = "0123456789"


class State(NamedTuple):
    """How far an answer has come.

    Args:
        phase: Which field is being written.
        text: What of it is there; of a label only whether it is more than spaces.
        key: Place of the last key among those of the grammar, -1 before the first.
        last: The last id; in tracks of the group, 0 in a new one. Of a label its length.
        seen: The largest id.
        style: Of the answer, once it has a tag.
    """

    phase: Phase = "open"
    text: str = ""
    key: int = -1
    last: int = 0
    seen: int = 0
    style: Style | None = None


def is_free(character: str) -> bool:
    """Whether a character may stand in a label."""
    return character.isprintable() and character not in '<>"'


def _in_number(digits: str, *, zero: bool) -> bool:
    return len(digits) <= MAX_DIGITS and (not digits.startswith("0") or (zero and digits == "0"))


@dataclass(frozen=True)
class PointGrammar:
    """What can be read as an answer.

    Args:
        tag: Name of the tag: "points" or "tracks".
        keys: Texts of the times or image numbers that may be named, in order, each once.
        styles: Forms of the answer that may be chosen; `point`, `point_count` and `count_point` include NOTHING.
    """

    tag: Literal["points", "tracks"]
    keys: tuple[str, ...]
    styles: tuple[Style, ...]

    @cached_property
    def _openings(self) -> dict[str, Style | None]:
        """What answers begin with, the shortest to finish first; None where that is all."""
        head = f'<{self.tag} coords="'
        of_style = {"point": head, "point_count": f"Counting the {head}", "count_point": f"There are {NUMBER} {head}"}
        openings: dict[str, Style | None] = {}
        if "count" in self.styles:
            openings[NUMBER] = None
        if any(style != "count" for style in self.styles):
            openings[NOTHING] = None
        if self.keys:
            openings |= {text: style for style, text in of_style.items() if style in self.styles}
        return openings

    @cached_property
    def longest_completion(self) -> int:
        """Characters that are surely enough to end an answer, wherever it stands."""
        opening = max(len(text) - text.count(NUMBER) + MAX_DIGITS * text.count(NUMBER) for text in self._openings)
        if not self.keys or self.styles == ("count",):
            return opening
        group = max(map(len, self.keys)) + 2 * MAX_DIGITS + len('  000 000">x')
        return opening + group + len(self._tail("point_count", 10**MAX_DIGITS))

    @property
    def start(self) -> State:
        return State()

    def is_final(self, state: State) -> bool:
        """Whether an answer may end here."""
        return state.phase == "done" or (state.phase == "open" and bool(state.text) and NUMBER in self._matching(state))

    def takes_free_text(self, state: State) -> bool:
        """Whether any text of `is_free` characters may come, which leaves all further choices as they are."""
        return state.phase == "label" and (state.last < MAX_LABEL or not state.text)

    def signature(self, state: State) -> State:
        """The same for states in which the same may come next."""
        return state._replace(last=min(state.last, MAX_LABEL) // MAX_LABEL) if state.phase == "label" else state

    def next_characters(self, state: State) -> str:
        """What may come next, free text apart."""
        match state.phase:
            case "open":
                return "".join(dict.fromkeys("".join(self._after(text, state.text) for text in self._matching(state))))
            case "key" | "id":
                fields = [field for field in self._fields(state) if field.startswith(state.text)]
                return "".join(dict.fromkeys(field[len(state.text)] for field in fields))
            case "x" | "y":
                return self._after_coordinate(state)
            case "close":
                return ">"
            case "label":
                return "<" if state.text else ""
            case "end":
                return self._tail(state.style, state.seen)[len(state.text)]
            case "done":
                return ""

    def step(self, state: State, character: str) -> State | None:
        """The state behind one more character; None where it may not come."""
        if state.phase == "label" and character != "<":
            if not is_free(character):
                return None
            return state._replace(text=state.text or character.strip(), last=state.last + 1)
        if character not in self.next_characters(state):
            return None
        text = state.text + character
        match state.phase:
            case "open":
                return self._opened(state._replace(text=text))
            case "key":
                return self._keyed(state, text)
            case "id":
                return self._numbered(state, text)
            case "x" | "y":
                return self._placed(state, text)
            case "close":
                return state._replace(phase="label", text="", last=0)
            case _:  # the label ends, or goes on ending
                begun = "<" if state.phase == "label" else text
                is_done = begun == self._tail(state.style, state.seen)
                return state._replace(phase="done" if is_done else "end", text="" if is_done else begun, last=0)

    def completion(self, state: State) -> str:
        """A short way to end an answer; at most `longest_completion` characters."""
        return "".join(self._completing(state))

    def _completing(self, state: State) -> Iterator[str]:
        while not self.is_final(state):
            following = self.next_characters(state)
            if state.phase == "open":
                opening = self._matching(state)[0]
                leading = self._after(opening, state.text)
                character = leading[0] if leading[-1].isdigit() else leading[-1]
            elif state.phase == "y" and '"' in following:
                character = '"'
            elif state.phase == "label" and not state.text:
                character = "x"
            else:
                character = following[0]
            yield character
            state = self.step(state, character)

    # -- fields -------------------------------------------------------------------------------------------------------

    def _matching(self, state: State) -> list[str]:
        return [opening for opening in self._openings if self._after(opening, state.text) is not None]

    def _after(self, opening: str, text: str) -> str | None:
        """Characters that may follow a text in an opening, what leads on last; None where the text is not its begin."""
        head, number, tail = opening.partition(NUMBER)
        if not number or len(text) < len(head):
            return opening[len(text) :][:1] if head.startswith(text) else None
        if not text.startswith(head):
            return None
        written = text[len(head) :]
        digits = written[: len(written) - len(written.lstrip(DIGITS))]
        rest, zero = written[len(digits) :], not tail
        if not _in_number(digits, zero=zero) or not tail.startswith(rest):
            return None
        if rest:
            return tail[len(rest) :][:1]
        more = "".join(digit for digit in DIGITS if _in_number(digits + digit, zero=zero))
        return more + (tail[:1] if digits else "")

    def _opened(self, state: State) -> State:
        for opening, style in self._openings.items():
            if style is not None and self._after(opening, state.text) == "":
                return State(phase="key", style=style)
        return State(phase="done") if state.text == NOTHING else state

    def _fields(self, state: State) -> list[str]:
        """Keys or ids that may be written, each with the space behind it."""
        if state.phase == "key":
            return [f"{key} " for key in self.keys[state.key + 1 :]]
        first = state.seen + 1 if self.tag == "points" else state.last + 1
        return [f"{number} " for number in range(first, state.seen + 2)]

    def _keyed(self, state: State, text: str) -> State:
        if text[-1] != " ":
            return state._replace(text=text)
        return state._replace(phase="id", text="", key=self.keys.index(text[:-1]), last=0)

    def _numbered(self, state: State, text: str) -> State:
        if text[-1] != " ":
            return state._replace(text=text)
        number = int(text)
        return state._replace(phase="x", text="", last=number, seen=max(state.seen, number))

    def _after_coordinate(self, state: State) -> str:
        if len(state.text) < len("000"):
            return DIGITS
        fourth = "0" if state.text == "100" else ""
        if state.phase == "x":
            return f" {fourth}"
        is_last_key = state.key + 1 == len(self.keys)
        return f'" {"" if is_last_key else ";"}{fourth}'

    def _placed(self, state: State, text: str) -> State:
        match text[-1]:
            case ";":
                return state._replace(phase="key", text="")
            case '"':
                return state._replace(phase="close", text="")
            case " ":
                return state._replace(phase="y" if state.phase == "x" else "id", text="")
            case _:
                return state._replace(text=text)

    def _tail(self, style: Style | None, count: int) -> str:
        """What ends an answer with a tag, from the label's end on."""
        behind = {"point_count": f" shows a total of {count}.", "count_point": "."}
        return f"</{self.tag}>{behind.get(style, '')}"
