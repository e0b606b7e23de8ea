"""Types of JSON values: how a value is read, and what is said of one that is something else.

A type is an annotation: plain types, tuples, mappings, unions, literals, and `Annotated` ones, whose checks return what
they expected of a value that they refuse.
"""

from __future__ import annotations

import functools
import math
import numbers
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

MAX_SHOWN_FAULTS = 5
MAX_SHOWN_CHARACTERS = 60  # of a value in a message
QUATERNION_TOLERANCE = 2e-2  # public examples round poses to two decimals


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at one place of a file.

    Args:
        path: Of the value, as `cameras[1].fov`.
        problem: What it is and what was expected.
    """

    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path} {self.problem}" if self.path else f"it {self.problem}"


@dataclass(frozen=True, slots=True)
class Within:
    """Bounds of a number, both included."""

    low: float
    high: float = math.inf

    def __call__(self, value: float) -> str | None:
        if self.low <= value <= self.high:
            return None
        return f"at least {self.low:g}" if self.high == math.inf else f"{self.low:g} to {self.high:g}"


def _is_positive(value: float) -> str | None:
    return None if value > 0 else "more than 0"


def _is_view_angle(value: float) -> str | None:
    return None if 0 < value < 180 else "degrees between 0 and 180"


def _is_text(value: str) -> str | None:
    return None if value.strip() else "text that is not empty"


def _is_unit_quaternion(value: tuple[float, ...]) -> str | None:
    is_unit = abs(math.hypot(*value[-4:]) - 1) <= QUATERNION_TOLERANCE
    return None if is_unit else "a quaternion w, x, y, z of length 1 at its end"


def _is_direction(value: tuple[float, ...]) -> str | None:
    return None if math.hypot(*value) > 0 else "a direction other than 0, 0, 0"


Name = Annotated[str, _is_text]
Count = Annotated[int, Within(0)]
Size = Annotated[int, Within(1)]
Positive = Annotated[float, _is_positive]
NonNegative = Annotated[float, Within(0)]
Share = Annotated[float, Within(0, 1)]
ViewAngle = Annotated[float, _is_view_angle]
Vector = tuple[float, float, float]
Direction = Annotated[Vector, _is_direction]
Rgba = tuple[Share, Share, Share, Share]
Quaternion = Annotated[tuple[float, float, float, float], _is_unit_quaternion]
Pose7 = Annotated[tuple[float, float, float, float, float, float, float], _is_unit_quaternion]
"""x, y, z in metres, then the quaternion w, x, y, z."""

Reader = Callable[[Any, str, list[Fault]], Any]
"""Turns a JSON value at a path into a typed one, or adds faults and returns `FAILED`."""


class _Failed:
    """What a reader returns beside its faults."""


FAILED = _Failed()


def sentence(faults: Iterable[Fault | str]) -> str:
    """The first faults in a row, and how many more there are."""
    texts = [str(fault) for fault in faults]
    more = len(texts) - MAX_SHOWN_FAULTS
    return "; ".join(texts[:MAX_SHOWN_FAULTS]) + (f"; and {more} more" if more > 0 else "")


def fail(value: Any, expectation: str, path: str, faults: list[Fault]) -> _Failed:
    """Add a fault, and be the value of what was not read."""
    shown = repr(value)
    shown = shown if len(shown) <= MAX_SHOWN_CHARACTERS else f"{shown[:MAX_SHOWN_CHARACTERS]}..."
    faults.append(Fault(path, f"is {shown}, expected {expectation}"))
    return FAILED


_WORDS: dict[Any, str] = {bool: "true or false", int: "a whole number", float: "a finite number", str: "text"}


def expectation_of(kind: Any) -> str:
    """A type in words."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return expectation_of(arguments[0])
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin in (typing.Union, types.UnionType):
        return " or ".join("null" if item is type(None) else expectation_of(item) for item in arguments)
    if origin is tuple:
        count = "" if arguments[-1] is Ellipsis else f" of {len(arguments)} values"
        return f"a list{count}"
    return _WORDS.get(kind, "an object")


@functools.cache
def reader_of(kind: Any) -> Reader:
    """How values of a type are read."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return functools.partial(_read_checked, reader_of(arguments[0]), arguments[1:])
    if origin is Literal:
        return functools.partial(_read_literal, arguments, expectation_of(kind))
    if origin in (typing.Union, types.UnionType):
        inner = tuple(reader_of(item) for item in arguments if item is not type(None))
        return functools.partial(_read_union, inner, type(None) in arguments, expectation_of(kind))
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return functools.partial(_read_list, reader_of(arguments[0]))
        if set(arguments) == {float}:
            return functools.partial(_read_numbers, len(arguments))
        return functools.partial(_read_tuple, tuple(map(reader_of, arguments)))
    if kind is Any:
        return _read_any
    if origin is not None:
        return functools.partial(_read_mapping, reader_of(arguments[1]))
    scalar = _SCALARS.get(kind)
    return kind.read if scalar is None else scalar  # what is left are records


def _read_any(value: Any, path: str, faults: list[Fault]) -> Any:
    del path, faults
    return value


def _read_number(value: Any, path: str, faults: list[Fault]) -> Any:
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        # A whole number of more than 308 digits is JSON, and has no float.
        number = float(value) if not isinstance(value, int) or value.bit_length() < 1024 else math.inf
        if math.isfinite(number):
            return number
    return fail(value, _WORDS[float], path, faults)


def _read_integer(value: Any, path: str, faults: list[Fault]) -> Any:
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    return fail(value, _WORDS[int], path, faults)


def _read_exact(kind: type, value: Any, path: str, faults: list[Fault]) -> Any:
    return value if isinstance(value, kind) else fail(value, _WORDS[kind], path, faults)


_SCALARS: dict[Any, Reader] = {
    float: _read_number,
    int: _read_integer,
    str: functools.partial(_read_exact, str),
    bool: functools.partial(_read_exact, bool),
}


def _read_checked(inner: Reader, checks: tuple[Any, ...], value: Any, path: str, faults: list[Fault]) -> Any:
    result = inner(value, path, faults)
    if result is not FAILED:
        for check in checks:
            expectation = check(result)
            if expectation:
                return fail(value, expectation, path, faults)
    return result


def _read_literal(allowed: tuple[Any, ...], expectation: str, value: Any, path: str, faults: list[Fault]) -> Any:
    return value if value in allowed else fail(value, expectation, path, faults)


def _read_union(
    inner: tuple[Reader, ...], may_be_null: bool, expectation: str, value: Any, path: str, faults: list[Fault]
) -> Any:
    if value is None and may_be_null:
        return None
    if len(inner) == 1:
        return inner[0](value, path, faults)
    for reader in inner:
        result = reader(value, path, [])
        if result is not FAILED:
            return result
    return fail(value, expectation, path, faults)


def _read_list(inner: Reader, value: Any, path: str, faults: list[Fault]) -> Any:
    if not isinstance(value, (list, tuple)):
        return fail(value, "a list", path, faults)
    items = tuple(inner(item, f"{path}[{index}]", faults) for index, item in enumerate(value))
    return FAILED if FAILED in items else items


def _read_tuple(inner: tuple[Reader, ...], value: Any, path: str, faults: list[Fault]) -> Any:
    if not isinstance(value, (list, tuple)) or len(value) != len(inner):
        return fail(value, f"a list of {len(inner)} values", path, faults)
    pairs = zip(inner, value, strict=True)
    items = tuple(reader(item, f"{path}[{index}]", faults) for index, (reader, item) in enumerate(pairs))
    return FAILED if FAILED in items else items


def _read_numbers(count: int, value: Any, path: str, faults: list[Fault]) -> Any:
    """A fixed number of floats; poses make up most of a benchmark, so these skip the reader of single numbers."""
    is_plain = type(value) in (list, tuple) and len(value) == count and all(type(item) is float for item in value)
    if is_plain and math.isfinite(sum(value)):
        return tuple(value)
    return _read_tuple((_read_number,) * count, value, path, faults)


def _read_mapping(inner: Reader, value: Any, path: str, faults: list[Fault]) -> Any:
    if not isinstance(value, Mapping):
        return fail(value, "an object", path, faults)
    items = {str(key): inner(item, f"{path}[{key!r}]", faults) for key, item in value.items()}
    return FAILED if FAILED in items.values() else items
