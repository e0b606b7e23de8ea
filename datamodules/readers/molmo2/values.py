"""Values of a row by column, each checked, with what was found where it is not what was expected."""

import math
from collections.abc import Collection, Mapping
from typing import Any

from zoo.datamodules.readers.files import Row, parse_json
from zoo.datamodules.readers.turns import plain_text, said, short
from zoo.errors import DataError

Values = Mapping[str, Any]


def require_columns(row: Row, columns: Collection[str], reader: str) -> None:
    """Refuse a source whose rows are others than those that a reader is for.

    Raises:
        DataError: names what is missing and what is there.
    """
    missing = [column for column in columns if column not in row.values]
    if missing:
        there = ", ".join(map(str, row.values)) or "none"
        raise DataError(
            f"{reader}: {row.where} has no column {', '.join(missing)}; expected {', '.join(columns)}; found {there}"
        )


def text(values: Values, column: str) -> str:
    """A text that is not empty.

    Raises:
        DataError: it is something else.
    """
    return said(values.get(column), column)


def optional_text(values: Values, column: str) -> str:
    """A text, or an empty one where the row has none."""
    value = values.get(column)
    return "" if value is None else plain_text(value, column).strip()


def number(values: Values, column: str) -> float:
    """A finite number.

    Raises:
        DataError: it is something else.
    """
    value = values.get(column)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DataError(f"{column} is {short(value)}, expected a number")
    return value


def optional_number(values: Values, column: str) -> float | None:
    """A finite number, or None where the row has none; Parquet files say "none" by NaN, too."""
    value = values.get(column)
    return None if value is None or value != value else number(values, column)


def whole(values: Values, column: str, *, least: int = 0) -> int:
    """A whole number.

    Raises:
        DataError: it is something else, or below `least`.
    """
    value = number(values, column)
    if value != int(value) or value < least:
        raise DataError(f"{column} is {short(value)}, expected a whole number of at least {least}")
    return int(value)


def items(values: Values, column: str) -> list[Any]:
    """A list, which tables of text hold as JSON; none is an empty one.

    Raises:
        DataError: it is something else.
    """
    value = values.get(column)
    if isinstance(value, str):
        value = parse_json(value)
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise DataError(f"{column} is {short(value)}, expected a list")
    return list(value)


def fields(value: Any, column: str) -> Values:
    """An object with named values.

    Raises:
        DataError: it is something else.
    """
    if not isinstance(value, Mapping):
        raise DataError(f"{column} holds {short(value)}, expected an object with named values")
    return value


def pair(value: Any, column: str) -> tuple[float, float]:
    """X and y, as an object with these names or as a list of two.

    Raises:
        DataError: it is something else.
    """
    x, y = (value.get("x"), value.get("y")) if isinstance(value, Mapping) else _two(value, column)
    return number({column: x}, column), number({column: y}, column)


def _two(value: Any, column: str) -> tuple[Any, Any]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise DataError(f"{column} holds {short(value)}, expected a point: x and y")
    return value[0], value[1]
