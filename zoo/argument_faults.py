"""Turn what jsonargparse says about a wrong argument into one sentence: where it was typed, what is wrong, what is
near.

jsonargparse nests its messages by level and repeats them; the chain of causes has each level once, which is what is
read here.
"""

import dataclasses
import importlib
import inspect
import re
import typing
from collections.abc import Callable, Iterable
from typing import Any

from zoo.errors import ZooError
from zoo.registry import near

_KEY = re.compile(r'Parser key "(?P<key>[^"]+)"')
_OWNER = re.compile(r"Problem with given class_path '(?P<path>[\w.]+)'")
_NOT_ACCEPTED = re.compile(
    r"(?:Subcommand '\w+' does not accept option|Option) '(?P<name>[^']+)'(?: is not accepted)?$"
)
_GROUP = re.compile(r"Group '(?P<group>[\w.]+)' does not accept option '(?P<name>[^']+)'$")
_UNRECOGNIZED = re.compile(r"unrecognized arguments: (?P<arguments>.+)$")
_REQUIRED = re.compile(r"the following arguments are required: (?P<names>.+)$")
_UNION = re.compile(
    r"Does not validate against any of the Union subtypes\nSubtypes: \[(?P<types>.*?)\]\nErrors:", re.DOTALL
)
_GIVEN = re.compile(r"\nGiven value: (?P<value>.+)$", re.DOTALL)
_EXPECTED = re.compile(r"Expected an? (?P<type>.+?)\. Got value: (?P<value>.*)$", re.DOTALL)
_LITERAL = re.compile(r"Literal\[([^\]]*)\]")
_BETWEEN = re.compile(r", (?![^\[]*\])")
"""A comma that is in no brackets."""
_MODULE = re.compile(r"\b(?:[a-z_]\w*\.)+(?=[A-Z])")
"""What stands before a class in its import path."""
_NESTED = re.compile(r"NestedArg\(key='([^']*)', val='([^']*)'\)")
"""jsonargparse's own word for an argument of something that has no arguments."""
_AS_TYPED = r"\1=\2"
_TRAINING = ("fit", "validate", "test", "predict")
_BASES = ("LightningModule", "LightningDataModule")
_TYPE = re.compile(r"<class '(?:[\w.]*\.)?(?P<name>\w+)'>")


def sentence(message: str, error: BaseException | None, options: Iterable[str]) -> str:
    """What is wrong with the arguments, in one sentence.

    Args:
        message: What the parser was about to print.
        error: What made it, with its chain of causes; None where there is only the message.
        options: Keys that the parser takes, for near names.
    """
    chain = list(causes(error))
    own = next((str(link) for link in chain if isinstance(link, ZooError)), None)
    texts = _without_repeats([str(link).strip() for link in chain] or [message])
    path = [match["key"] for text in texts if (match := _KEY.match(text))]
    owners = [match["path"] for text in texts if (match := _OWNER.match(text))]
    leaf = texts[-1].removeprefix(f'Parser key "{path[-1]}": ' if path else "")
    union = texts[-2] if len(texts) > 1 and _UNION.match(texts[-2]) and leaf.startswith("Expected") else None
    if own is not None:
        fault = own
    elif match := _NOT_ACCEPTED.search(leaf):
        return _unknown_key(match["name"], path, owners, options)
    elif match := _GROUP.search(leaf):
        return _unknown_key(f"{match['group']}.{match['name']}", path, owners, options)
    elif match := _UNRECOGNIZED.search(leaf):
        return _unknown_flag(match["arguments"], path, owners, options)
    elif match := _REQUIRED.search(leaf):
        return _missing(match["names"], path)
    elif union is not None:
        fault = _union_fault(union)
    elif match := _EXPECTED.match(leaf):
        fault = f"expected {_plain_type(match['type'])}, got {match['value']!r}"
    elif owners and not _KEY.match(leaf):
        fault = f"{owners[-1]} cannot be used: {_one_line(leaf)}"
    else:
        fault = _one_line(leaf)
    return f"{'.'.join(path)}: {fault}" if path else fault


def causes(error: BaseException | None) -> Iterable[BaseException]:
    """An exception and what led to it, the last first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _without_repeats(texts: list[str]) -> list[str]:
    return [text for number, text in enumerate(texts) if number == 0 or text != texts[number - 1]]


def _unknown_key(name: str, path: list[str], owners: list[str], options: Iterable[str]) -> str:
    """An option or a key of a configuration that its owner does not take."""
    if path and owners and owners[-1].endswith(_BASES):
        return f"{'.'.join([*path, name])}: of which {path[-1]}? Say --{path[-1]}=NAME or --config=RECIPE before it"
    if owners:
        owner, wrong = _owner_of(_imported(owners[-1]), name.removeprefix("init_args.").split("."))
        taken = _parameters(owner)
        what = getattr(owner, "__name__", owners[-1].rpartition(".")[2])
        rest = f"{what} takes {', '.join(taken)}" if taken else f"{what} takes no arguments"
        close = near(wrong, taken)
    else:
        keys = tuple(option for option in options if not option.endswith(".help"))
        close = near(name, keys) or near(name.partition(".")[0], keys)
        rest = "List: add --help"
    hint = f"Near: {', '.join(close)}. " if close else ""
    return f"no option {'.'.join([*path, name])!r}. {hint}{rest}"


def _unknown_flag(arguments: str, path: list[str], owners: list[str], options: Iterable[str]) -> str:
    first = arguments.split(maxsplit=1)[0]
    if not first.startswith("-"):
        return f"unexpected {arguments!r}; an option is written --name=value. List: add --help"
    return _unknown_key(first.lstrip("-").partition("=")[0], path, owners, options)


def _missing(names: str, path: list[str]) -> str:
    listed = [name.removeprefix(_command_of(name)) for name in names.split(", ")]
    wanted = ", ".join(".".join([*path, name]) for name in listed)
    if not path and "model" in listed:
        return f"{wanted}: missing. Give --config=RECIPE (zoo list recipe) or --model=NAME (zoo list module)"
    return f"{wanted}: missing. What it is: --{path[0]}.help NAME" if path else f"{wanted}: missing. What it is: --help"


def _command_of(name: str) -> str:
    """`fit.` of `fit.model`: the training commands are sub-parsers, and their names no part of what was typed."""
    return next((f"{command}." for command in _TRAINING if name.startswith(f"{command}.")), "")


def _imported(class_path: str) -> Callable[..., Any] | None:
    """A class or builder that was imported a moment ago."""
    module, _, name = class_path.rpartition(".")
    return getattr(importlib.import_module(module), name, None)


def _owner_of(target: Any, names: list[str]) -> tuple[Any, str]:
    """Of a dotted name, the first part that is not taken where it stands, and the class of settings that it is told."""
    first, *rest = names
    if rest and first in _parameters(target):
        hint = typing.get_type_hints(target.__init__ if inspect.isclass(target) else target).get(first)
        inner = next((t for t in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(t)), None)
        if inner is not None:
            return _owner_of(inner, rest)
    return target, names[-1] if first in _parameters(target) else first


def _parameters(target: Any) -> tuple[str, ...]:
    """Arguments of a class or builder."""
    if not callable(target):
        return ()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return tuple(name for name, p in inspect.signature(target).parameters.items() if p.kind not in variable)


def _union_fault(text: str) -> str:
    types = _LITERAL.sub(r"\1", _plain_type(_UNION.match(text)["types"]))
    given = _GIVEN.search(text)
    expected = f"expected {_BETWEEN.sub(' or ', types)}"
    return expected if given is None else f"{expected}, got {_NESTED.sub(_AS_TYPED, _one_line(given['value']))!r}"


def _plain_type(text: str) -> str:
    plain = _TYPE.sub(lambda match: "null" if match["name"] == "NoneType" else match["name"], text)
    return _MODULE.sub("", plain)


def _one_line(text: str, limit: int = 400) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."
