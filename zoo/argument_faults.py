"""Turn what jsonargparse says about a wrong argument into one sentence: where it was typed, what is wrong, what is
near.

jsonargparse nests its messages by level and repeats them; the chain of causes has each level once, which is what is
read here.
"""

import importlib
import inspect
import re
from collections.abc import Iterable

from zoo.errors import ZooError
from zoo.registry import near

_KEY = re.compile(r'Parser key "(?P<key>[^"]+)"')
_OWNER = re.compile(r"Problem with given class_path '(?P<path>[\w.]+)'")
_NOT_ACCEPTED = re.compile(
    r"(?:Subcommand '\w+' does not accept option|Option) '(?P<name>[^']+)'(?: is not accepted)?$"
)
_UNRECOGNIZED = re.compile(r"unrecognized arguments: (?P<arguments>.+)$")
_REQUIRED = re.compile(r"the following arguments are required: (?P<names>.+)$")
_UNION = re.compile(
    r"Does not validate against any of the Union subtypes\nSubtypes: \[(?P<types>.*?)\]\nErrors:", re.DOTALL
)
_GIVEN = re.compile(r"\nGiven value: (?P<value>.+)$", re.DOTALL)
_EXPECTED = re.compile(r"Expected an? (?P<type>.+?)\. Got value: (?P<value>.*)$", re.DOTALL)
_LITERAL = re.compile(r"Literal\[([^\]]*)\]")
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
        taken = _parameters(owners[-1])
        what = owners[-1].rpartition(".")[2]
        rest = f"{what} takes {', '.join(taken)}" if taken else f"{what} takes no arguments"
        close = near(name.rpartition(".")[2], taken)
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


def _parameters(class_path: str) -> tuple[str, ...]:
    """Arguments of a class or builder that was imported a moment ago."""
    module, _, name = class_path.rpartition(".")
    target = getattr(importlib.import_module(module), name, None)
    if not callable(target):
        return ()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return tuple(name for name, p in inspect.signature(target).parameters.items() if p.kind not in variable)


def _union_fault(text: str) -> str:
    types = _LITERAL.sub(r"\1", _plain_type(_UNION.match(text)["types"])).replace(", ", " or ")
    given = _GIVEN.search(text)
    return f"expected {types}" + (f", got {_one_line(given['value'])!r}" if given else "")


def _plain_type(text: str) -> str:
    plain = _TYPE.sub(lambda match: "null" if match["name"] == "NoneType" else match["name"], text)
    return plain.replace("typing.", "").replace("collections.abc.", "")


def _one_line(text: str, limit: int = 400) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."
