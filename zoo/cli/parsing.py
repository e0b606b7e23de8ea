"""Parsers that know registry names and answer mistakes in one sentence; plain functions run as commands."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import docstring_parser
from jsonargparse import ArgumentParser

from zoo.cli import faults, names
from zoo.errors import ConfigError

names.install()


class OneSentence:
    """What our parsers share: a mistake raises `ConfigError`, which `zoo.cli.main` prints."""

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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})


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
    optional = [
        p
        for p in inspect.signature(function).parameters.values()
        if p.kind != p.KEYWORD_ONLY and p.default is not p.empty
    ]
    skip = {parameter.name for parameter in optional}
    parser.add_function_arguments(function, as_group=False, as_positional=True, skip=skip, sub_configs=True)
    texts = {text.arg_name: text.description for text in docstring_parser.parse(function.__doc__ or "").params}
    for parameter in optional:
        kwargs = {"type": parameter.annotation, "default": parameter.default, "help": texts.get(parameter.name)}
        parser.add_argument(parameter.name, nargs="?", **kwargs)
    settings = parser.instantiate_classes(parser.parse_args(list(arguments)))
    return function(**settings.as_dict())


def first_paragraph(docstring: str | None) -> str:
    """Text up to the first empty line, on one line."""
    return " ".join((docstring or "").strip().partition("\n\n")[0].split())
