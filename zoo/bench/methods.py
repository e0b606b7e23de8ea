"""Token pruners as they are typed: `stts(auxiliary_weight=0)+fastv(layer=2)`, several behind commas.

A name is the registry's, its arguments are the constructor's with YAML values, and `+` puts one behind another.
"""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from zoo import registry
from zoo.errors import ConfigError

EXAMPLE = "none,random,stts(auxiliary_weight=0)+fastv(layer=2)"
REMOVE = "remove"
SEED = "seed"

_PRUNER = re.compile(r"([^\s(),+=\[\]{}]+)\s*(?:\((.*)\))?", re.DOTALL)
_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True)
class Part:
    """One pruner of a method.

    Args:
        name: In the registry.
        arguments: That were typed.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        typed = ", ".join(f"{name}={_shown(value)}" for name, value in sorted(self.arguments.items()))
        return f"{self.name}({typed})" if typed else self.name

    def takes(self, argument: str) -> bool:
        """Whether the constructor has an argument of this name."""
        return argument in inspect.signature(registry.load("pruner", self.name)).parameters


@dataclass(frozen=True)
class Method:
    """Pruners that work one behind another.

    Args:
        parts: At least one.
    """

    parts: tuple[Part, ...]

    @property
    def label(self) -> str:
        """The method as it would be typed, arguments in the order of their names."""
        return "+".join(part.label for part in self.parts)

    @property
    def removes(self) -> bool:
        """Whether its first pruner is told a share to remove from outside; else it is what it is, as `none`."""
        first = self.parts[0]
        return REMOVE not in first.arguments and first.takes(REMOVE)

    @property
    def remove(self) -> float:
        """The share that was typed for its first pruner; 0 where none was."""
        return float(self.parts[0].arguments.get(REMOVE, 0.0))

    @property
    def draws(self) -> bool:
        """Whether a pruner of it draws something that a seed outside of it decides."""
        return any(SEED not in part.arguments and part.takes(SEED) for part in self.parts)

    def specs(self, *, remove: float | None = None, seed: int | None = None) -> list[dict[str, Any]]:
        """Class paths and arguments, as a recipe has them under `model.pruner`.

        Args:
            remove: Of the first pruner, where it takes one and was not told another.
            seed: Of every pruner that takes one and was not told another.
        """
        specs = []
        for number, part in enumerate(self.parts):
            arguments = dict(part.arguments)
            if remove is not None and number == 0 and self.removes:
                arguments[REMOVE] = remove
            if seed is not None and SEED not in arguments and part.takes(SEED):
                arguments[SEED] = seed
            specs.append({"class_path": part.name, "init_args": arguments})
        return specs

    def build(self, *, remove: float | None = None, seed: int | None = None) -> list[Any]:
        """The pruners themselves; see `specs`."""
        specs = self.specs(remove=remove, seed=seed)
        return [registry.build("pruner", spec["class_path"], **spec["init_args"]) for spec in specs]


def parse_methods(text: str) -> tuple[Method, ...]:
    """Methods from a list with commas; those inside brackets belong to the arguments.

    Raises:
        ConfigError: broken syntax, no method, or one that is named twice.
        UnknownNameError: no such pruner.
    """
    methods = tuple(parse_method(one) for one in _split(text, ",", whole=text))
    labels = [method.label for method in methods]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ConfigError(f"methods {text!r} name {', '.join(twice)} twice; leave one out")
    return methods


def parse_method(text: str) -> Method:
    """One method.

    Raises:
        ConfigError: broken syntax.
        UnknownNameError: no such pruner.
    """
    return Method(tuple(_part(one, whole=text) for one in _split(text, "+", whole=text)))


def _part(text: str, *, whole: str) -> Part:
    found = _PRUNER.fullmatch(text)
    if found is None:
        raise _fault(whole, f"{text!r} is no name with arguments in brackets")
    name, typed = found.groups()
    registry.find("pruner", name)
    arguments: dict[str, Any] = {}
    for pair in _split(typed, ",", whole=whole) if typed and typed.strip() else ():
        argument, equals, value = pair.partition("=")
        if not equals or not argument.strip().isidentifier() or not value.strip():
            raise _fault(whole, f"{pair!r} is no argument=value")
        if argument.strip() in arguments:
            raise _fault(whole, f"{argument.strip()} of {name} stands there twice")
        arguments[argument.strip()] = _value(value.strip(), whole)
    return Part(name, arguments)


def _split(text: str, mark: str, *, whole: str) -> list[str]:
    """Pieces between marks that stand in no brackets."""
    pieces, open_brackets = [""], []
    for letter in text:
        if letter in _OPENING:
            open_brackets.append(letter)
        elif letter in _CLOSING and (
            not open_brackets or _OPENING.index(open_brackets.pop()) != _CLOSING.index(letter)
        ):
            raise _fault(whole, f"{letter!r} closes nothing")
        if letter == mark and not open_brackets:
            pieces.append("")
        else:
            pieces[-1] += letter
    if open_brackets:
        raise _fault(whole, f"{open_brackets[-1]!r} is not closed")
    pieces = [piece.strip() for piece in pieces]
    if not all(pieces):
        raise _fault(whole, f"nothing stands before or behind a {mark!r}" if len(pieces) > 1 else "nothing is named")
    return pieces


def _value(text: str, whole: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _fault(whole, f"{text!r} is no YAML value") from error
    if value == text:  # a text without quotes
        try:
            return float(text)  # YAML 1.1 reads 1e-3 as text
        except ValueError:
            pass
    return value


def _shown(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()


def _fault(whole: str, reason: str) -> ConfigError:
    return ConfigError(f"methods: {reason} in {whole!r}; type pruners like {EXAMPLE}")
