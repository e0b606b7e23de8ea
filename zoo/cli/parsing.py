"""Parsers that know registry names and answer mistakes in one sentence; plain functions run as commands."""

import inspect
import typing
from collections.abc import Callable, Collection, Sequence
from typing import Any, NoReturn

import docstring_parser
from jsonargparse import ArgumentParser

from zoo import argument_faults as faults
from zoo.cli import names
from zoo.errors import ConfigError

names.install()


class OneSentence:
    """What our parsers share: a mistake raises `ConfigError`, which `zoo.cli.main` prints; names are typed whole."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise what is wrong as one sentence; parsers of nested classes hand theirs up first."""
        if not self.exit_on_error:
            super().error(message, ex)
        raise ConfigError(faults.sentence(message, ex, self.options())) from ex

    def options(self) -> tuple[str, ...]:
        """Every key this parser or its subcommands take, without the leading dashes."""
        found = []
        for action in self._actions:
            found += [option.lstrip("-") for option in action.option_strings]
            for subparser in getattr(action.choices, "values", tuple)():
                found += subparser.options()
        return tuple(dict.fromkeys(option for option in found if not option.endswith("+")))


class CommandParser(OneSentence, ArgumentParser):
    """Parser of a command that is a plain function or a constructor."""


def run_function(function: Callable[..., Any], arguments: Sequence[str], *, prog: str, summary: str) -> Any:
    """Call a function with arguments read from a command line: its signature and its docstring are the interface.

    Args:
        function: Keyword-only arguments with a default become flags, all others are told by their place; types may be
            contract classes, then registry names are taken.
        arguments: What was typed after the command.
        prog: The command, for the help.
        summary: First line of the help where the function has no docstring.

    Raises:
        ConfigError: the arguments do not fit the signature.
    """
    parser = CommandParser(prog=prog, description=first_paragraph(function.__doc__) or summary)
    signature = inspect.signature(function, eval_str=True).parameters.values()
    by_place = [parameter for parameter in signature if parameter.kind != parameter.KEYWORD_ONLY]
    texts = {text.arg_name: text.description for text in docstring_parser.parse(function.__doc__ or "").params}
    for parameter in by_place:
        parser.add_argument(parameter.name, help=texts.get(parameter.name), **_place(parameter))
    skip = {parameter.name for parameter in by_place}
    parser.add_function_arguments(function, as_group=False, as_positional=True, skip=skip, sub_configs=True)
    switches = {f"--{parameter.name}" for parameter in signature if parameter.annotation is bool}
    settings = parser.instantiate(parser.parse_args(_switched_on(arguments, switches)))
    return function(**settings.as_dict())


def _switched_on(arguments: Sequence[str], switches: Collection[str]) -> list[str]:
    """A switch that stands alone means true: `--merge` is `--merge=true`, and `--merge false` stays what it is."""
    behind = [*arguments[1:], ""]
    return [
        f"{word}=true" if word in switches and following not in ("true", "false") else word
        for word, following in zip(arguments, behind, strict=False)
    ]


def _place(parameter: inspect.Parameter) -> dict[str, Any]:
    """How an argument that is told by its place is read: a list takes several words, a default makes it optional."""
    if parameter.default is not parameter.empty:
        return {"type": parameter.annotation, "nargs": "?", "default": parameter.default}
    if typing.get_origin(parameter.annotation) is list:
        return {"type": typing.get_args(parameter.annotation)[0], "nargs": "+"}
    return {"type": parameter.annotation}


def first_paragraph(docstring: str | None) -> str:
    """Text up to the first empty line, on one line."""
    return " ".join((docstring or "").strip().partition("\n\n")[0].split())
