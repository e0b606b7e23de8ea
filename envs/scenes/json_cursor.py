"""Values inside JSON that others wrote, with their path, so that a fault names the place where it is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from zoo.errors import DataError


@dataclass(frozen=True, slots=True)
class Cursor:
    """One value of a JSON document.

    Args:
        value: Plain JSON; None also stands for a key that is not there.
        path: Of the value, as `house.rooms[0].floorPolygon`.
    """

    value: Any
    path: str

    def __bool__(self) -> bool:
        """Whether there is a value at all."""
        return self.value is not None

    def get(self, key: str) -> Cursor:
        """The value of a key, or a cursor at None."""
        if not isinstance(self.value, dict):
            raise DataError(f"{self.path} is {_shown(self.value)}, expected an object with {key!r}")
        return Cursor(self.value.get(key), f"{self.path}.{key}")

    def need(self, key: str) -> Cursor:
        """The value of a key that must be there."""
        found = self.get(key)
        if not found:
            raise DataError(f"{found.path} is missing; there are {', '.join(map(str, self.value)) or 'no keys'}")
        return found

    def list(self) -> Iterator[Cursor]:
        """The elements of a list; none where there is no value."""
        if self.value is not None and not isinstance(self.value, list):
            raise DataError(f"{self.path} is {_shown(self.value)}, expected a list")
        return (Cursor(item, f"{self.path}[{i}]") for i, item in enumerate(self.value or ()))

    def object(self) -> dict[str, Any]:
        """The mapping itself; an empty one where there is no value."""
        if self.value is not None and not isinstance(self.value, dict):
            raise DataError(f"{self.path} is {_shown(self.value)}, expected an object")
        return dict(self.value or {})

    def number(self, default: float | None = None) -> float:
        """A finite number."""
        if self.value is None and default is not None:
            return default
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)) or not math.isfinite(self.value):
            raise DataError(f"{self.path} is {_shown(self.value)}, expected a number")
        return float(self.value)

    def text(self, default: str | None = None) -> str:
        """Text."""
        if self.value is None and default is not None:
            return default
        if not isinstance(self.value, str):
            raise DataError(f"{self.path} is {_shown(self.value)}, expected text")
        return self.value

    def flag(self, default: bool) -> bool:
        """A truth value."""
        if self.value is None:
            return default
        if not isinstance(self.value, bool):
            raise DataError(f"{self.path} is {_shown(self.value)}, expected true or false")
        return self.value

    def xyz(self) -> tuple[float, float, float]:
        """The numbers of an object with x, y and z."""
        x, y, z = (self.need(axis).number() for axis in "xyz")
        return (x, y, z)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
