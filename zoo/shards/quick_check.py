"""A quick yes to valid JSON: a JSON Schema becomes checks of whole columns of values.

jsonschema takes longer for a record than a decoder for its clip, so it cannot be asked about every sample that is read.
A yes from here is a yes of the schema's. A no means little (1.0 is an integer to the schema, not here): then jsonschema
has the last word.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from typing import Any

Schema = Mapping[str, Any]

Check = Callable[[Sequence[Any]], bool]
"""Whether all values of a column, as `json.loads` gives them, are surely valid."""

_ANNOTATIONS = frozenset({"$schema", "title", "description"})

_TEXT, _INTEGER, _BOOLEAN = frozenset({str}), frozenset({int}), frozenset({bool})
_NUMBER, _ARRAY, _OBJECT = frozenset({int, float}), frozenset({list}), frozenset({dict})


def column_check(schema: Schema) -> Check:
    """The check of the values that one schema describes.

    Args:
        schema: Of draft 2020-12, made of the keywords of the functions below.
    Raises:
        ValueError: a schema that this module does not know how to check.
    """
    if "const" in schema:
        _know(schema, {"const"})
        constant = schema["const"]
        return lambda values: all(type(value) is type(constant) and value == constant for value in values)
    if "anyOf" in schema:
        _know(schema, {"anyOf"})
        return _or_none(schema["anyOf"])
    if "enum" in schema:
        _know(schema, {"enum"})
        return _enum(schema["enum"])
    if schema.get("type") not in _OF_TYPE:
        raise ValueError(f"a schema without const, enum, anyOf or type among {', '.join(_OF_TYPE)}: {dict(schema)}")
    return _OF_TYPE[schema["type"]](schema)


def _know(schema: Schema, keywords: Collection[str]) -> None:
    unknown = schema.keys() - _ANNOTATIONS - set(keywords)
    if unknown:
        raise ValueError(f"JSON Schema keywords {sorted(unknown)} are not among {sorted(keywords)}")


def _or_none(choices: Sequence[Schema]) -> Check:
    if len(choices) != 2 or choices[1] != {"type": "null"}:
        raise ValueError(f"choices among something else than a value and null: {choices}")
    inner = column_check(choices[0])
    return lambda values: inner([value for value in values if value is not None])


def _enum(allowed: Sequence[Any]) -> Check:
    if not all(isinstance(value, str) for value in allowed):
        raise ValueError(f"an enumeration of something else than texts: {allowed}")
    texts = frozenset(allowed)
    return lambda values: _are(values, _TEXT) and texts.issuperset(values)


def _are(values: Sequence[Any], kinds: frozenset[type]) -> bool:
    return kinds.issuperset(map(type, values))


def _where(labels: Sequence[Any], label: Any, values: Sequence[Any]) -> list[Any]:
    return [value for own, value in zip(labels, values, strict=True) if own == label]


def _string(schema: Schema) -> Check:
    _know(schema, {"type", "minLength", "pattern"})
    least, pattern = schema.get("minLength", 0), schema.get("pattern")
    if pattern is not None:
        search = re.compile(pattern).search
        return lambda values: _are(values, _TEXT) and all(len(value) >= least and search(value) for value in values)
    if least == 1:
        return lambda values: _are(values, _TEXT) and "" not in values
    return lambda values: _are(values, _TEXT) and all(len(value) >= least for value in values)


def _number(schema: Schema) -> Check:
    _know(schema, {"type", "minimum", "maximum", "exclusiveMinimum"})
    kinds = _INTEGER if schema["type"] == "integer" else _NUMBER
    low, high = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))
    above = schema.get("exclusiveMinimum")
    return lambda values: (
        _are(values, kinds) and all(low <= value <= high and (above is None or value > above) for value in values)
    )


def _boolean(schema: Schema) -> Check:
    _know(schema, {"type"})
    return lambda values: _are(values, _BOOLEAN)


def _array(schema: Schema) -> Check:
    _know(schema, {"type", "items", "minItems", "maxItems"})
    least, most = schema.get("minItems", 0), schema.get("maxItems", float("inf"))
    inner = column_check(schema["items"]) if "items" in schema else lambda values: True

    def check(values: Sequence[Any]) -> bool:
        if not _are(values, _ARRAY):
            return False
        if values and not least <= min(map(len, values)) <= max(map(len, values)) <= most:
            return False
        return inner(values[0] if len(values) == 1 else list(chain.from_iterable(values)))

    return check


def _object(schema: Schema) -> Check:
    _know(schema, {"type", "properties", "required", "additionalProperties"})
    of_name = {name: column_check(inner) for name, inner in schema.get("properties", {}).items()}
    required, is_open = set(schema.get("required", ())), schema.get("additionalProperties", True)
    if is_open not in (True, False):
        raise ValueError(f"additionalProperties is {is_open}, expected true or false")
    plans: dict[tuple[str, ...], list[Check | None]] = {}  # by the valid names that were met

    def check(values: Sequence[Any]) -> bool:
        if not _are(values, _OBJECT):
            return False
        names_of = list(map(tuple, values))
        for names in set(names_of):
            if names not in plans:
                if not required.issubset(names) or not (is_open or of_name.keys() >= set(names)):
                    return False
                plans[names] = [of_name.get(name) for name in names]
            alike = values if names_of.count(names) == len(values) else _where(names_of, names, values)
            for inner, column in zip(plans[names], zip(*map(dict.values, alike), strict=True), strict=False):
                if inner is not None and not inner(column):
                    return False
        return True

    return check


_OF_TYPE: dict[str, Callable[[Schema], Check]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _number,
    "number": _number,
    "boolean": _boolean,
}
