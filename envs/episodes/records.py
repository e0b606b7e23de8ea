"""JSON objects as typed records that keep what they do not know.

Source: sheet molmospaces section 6, "unknown fields are kept, not rejected".

A record that was read remembers the object it came from. Written back, it states the same fields in the same order,
with the same spelling of numbers; only what a program changed since is new. A record that a program made states every
field, defaults included.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from zoo.envs.episodes.fields import FAILED, Fault, Reader, expectation_of, fail, reader_of, sentence
from zoo.errors import DataError
from zoo.registry import near

_BOOKKEEPING = ("extra", "stated")


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A JSON object with typed fields.

    Args:
        extra: Fields of the object that this class does not know, as plain JSON.
        stated: The object that was read; None for what a program made.

    Raises:
        DataError: a field holds what its type does not allow; all faults of the record are named.
    """

    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    stated: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        faults: list[Fault] = []
        for name, slot in slots_of(type(self)).items():
            value = slot.reader(getattr(self, name), name, faults)
            if value is not FAILED:
                object.__setattr__(self, name, value)
        if faults:
            raise DataError(f"{type(self).__name__}: {sentence(faults)}")

    @classmethod
    def variant(cls, content: Mapping[str, Any], path: str, faults: list[Fault]) -> type[Record] | None:
        """The class that an object asks for; None with a fault where there is no such class."""
        del content, path, faults
        return cls

    @classmethod
    def read(cls, value: Any, path: str, faults: list[Fault]) -> Any:
        """A record out of a JSON object at a path, or `FAILED` with its faults added."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            return fail(value, "an object", path, faults)
        chosen = cls.variant(value, path, faults)
        if chosen is None:
            return FAILED
        before, values, slots = len(faults), {}, slots_of(chosen)
        extra = {key: item for key, item in value.items() if key not in slots}
        for name, slot in slots.items():
            inner = f"{path}.{name}" if path else name
            has_default = slot.default is not dataclasses.MISSING
            if name not in value:
                if not has_default:
                    similar = near(name, tuple(map(str, extra)), limit=1)
                    hint = f"; there is {similar[0]!r}" if similar else ""
                    faults.append(Fault(inner, f"is missing, expected {slot.expectation}{hint}"))
            elif value[name] is not None or slot.may_be_null or not has_default:
                values[name] = slot.reader(value[name], inner, faults)
        return FAILED if len(faults) > before else chosen(**values, extra=extra, stated=value)

    @classmethod
    def from_json(cls, content: Any, place: str) -> Self:
        """Read a record.

        Args:
            content: Plain JSON.
            place: What the messages begin with: file, line, index.
        Raises:
            DataError: it is none; the first faults are named.
        """
        faults: list[Fault] = []
        record = cls.read(content, "", faults)
        if faults:
            raise DataError(f"{place}: {sentence(faults)}")
        return record

    def to_json(self) -> dict[str, Any]:
        """Plain JSON that `from_json` reads; shares nothing with the record."""
        slots = slots_of(type(self))
        stated = {} if self.stated is None else self.stated
        content: dict[str, Any] = {}
        for key, given in stated.items():
            if key in slots:
                content[key] = _restated(slots[key], getattr(self, key), given)
            elif key in self.extra:
                content[key] = _plain(self.extra[key])
        for name, slot in slots.items():
            value = getattr(self, name)
            if name not in stated and (self.stated is None or value != slot.default):
                content[name] = _plain(value)
        content.update((key, _plain(value)) for key, value in self.extra.items() if key not in content)
        return content

    def explicit(self) -> Self:
        """The same record, which states every field when it is written."""
        values = {name: _explicit(getattr(self, name)) for name in slots_of(type(self))}
        return dataclasses.replace(self, stated=None, **values)


@dataclass(frozen=True, slots=True)
class Slot:
    """A field of a record class.

    Args:
        reader: Of its type.
        default: `dataclasses.MISSING` for what must be given.
        may_be_null: Its type has None. Elsewhere null counts as not stated, if there is a default.
        expectation: Of its type, in words.
    """

    reader: Reader
    default: Any
    may_be_null: bool
    expectation: str


@functools.cache
def slots_of(kind: type[Record]) -> dict[str, Slot]:
    """Fields of a record class by their JSON names."""
    hints = typing.get_type_hints(kind, include_extras=True)
    slots = {}
    for part in dataclasses.fields(kind):
        if part.name not in _BOOKKEEPING:
            has_factory = part.default_factory is not dataclasses.MISSING
            default = part.default_factory() if has_factory else part.default
            hint = hints[part.name]
            is_optional = type(None) in typing.get_args(hint)
            slots[part.name] = Slot(reader_of(hint), default, is_optional, expectation_of(hint))
    return slots


def load_json(file: Path) -> Any:
    """Content of a JSON file.

    Raises:
        DataError: no such file, not UTF-8, not JSON, or an object with one key twice.
    """
    try:
        return json.loads(file.read_bytes().decode("utf-8"), object_pairs_hook=functools.partial(_object, file))
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{file} is no JSON: {error}") from error


def dump_json(content: Any) -> str:
    """One line of JSON in ASCII, which any text survives: how records are hashed and written."""
    return json.dumps(content)


def _object(file: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise DataError(f"{file}: an object has the key {twice!r} twice, expected once")
    return content


def _restated(slot: Slot, value: Any, given: Any) -> Any:
    """A field as it was read, or its new value where that changed."""
    if given is None and not slot.may_be_null:
        return None if value == slot.default else _plain(value)
    if isinstance(value, Record) or (isinstance(value, tuple) and any(isinstance(item, Record) for item in value)):
        return _plain(value)  # each of them knows how it was read
    return _plain(given if slot.reader(given, "", []) == value else value)


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _explicit(value: Any) -> Any:
    if isinstance(value, Record):
        return value.explicit()
    return tuple(map(_explicit, value)) if isinstance(value, tuple) else value
