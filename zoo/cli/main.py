"""`zoo COMMAND ...`: find the command, run it, turn a user's mistake into one sentence and an exit code.

Exit codes: 0 done, 1 a bug (with its traceback), 2 a mistake of the user's, 130 interrupted. `--debug`, anywhere,
shows the traceback of a mistake as well.
"""

import gc
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import zoo
from zoo.cli.commands import COMMANDS, Command
from zoo.errors import UnknownNameError, ZooError
from zoo.registry import near

EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130
DEBUG = "--debug"

_TAIL = """
zoo COMMAND --help lists a command's options; --debug shows the traceback of a mistake."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What was typed after `zoo`; None: of this process.

    Returns:
        Exit code.
    """
    typed = list(sys.argv[1:] if arguments is None else arguments)
    debug = DEBUG in typed
    typed = [argument for argument in typed if argument != DEBUG]
    try:
        with _progress_on_stderr():
            _run(typed)
        sys.stdout.flush()
    except ZooError as error:
        if debug:
            traceback.print_exc()
        print(f"zoo: {error}", file=sys.stderr)
        return EXIT_MISTAKE
    except KeyboardInterrupt:
        print("zoo: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except SystemExit as stop:  # argparse after --help or --print_config
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BrokenPipeError:  # `zoo list | head`: the reader has left, so there is nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def help_text() -> str:
    """What `zoo --help` prints."""
    width = max(len(command.name) for command in COMMANDS)
    lines = [f"  {command.name:<{width}}  {command.summary}" for command in COMMANDS]
    return "\n".join([f"usage: zoo COMMAND ...\n\n{zoo.__doc__.partition(chr(10))[0]}\n", *lines, _TAIL])


def find(typed: Sequence[str]) -> tuple[Command, list[str]]:
    """The command that the first one or two words name, and what follows.

    Raises:
        UnknownNameError: no such command.
    """
    for words in (2, 1):
        for command in COMMANDS:
            if command.name == " ".join(typed[:words]) and len(command.name.split()) == words:
                return command, list(typed[words:])
    group = [command.name for command in COMMANDS if command.name.startswith(f"{typed[0]} ")]
    if group:
        raise UnknownNameError(f"zoo {typed[0]} wants one of: {', '.join(name.partition(' ')[2] for name in group)}")
    close = near(typed[0], tuple(command.name for command in COMMANDS))
    hint = f"Near: {', '.join(close)}. " if close else ""
    raise UnknownNameError(f"no command {typed[0]!r}. {hint}List: zoo --help")


def _run(typed: list[str]) -> None:
    if not typed or typed[0] in ("-h", "--help", "help"):
        print(help_text())
        return
    if typed[0] == "--version":
        print(f"molmo-zoo {zoo.__version__}")
        return
    if len(typed) > 1 and typed[1] in ("-h", "--help") and _group_help(typed[0]):
        return
    command, arguments = find(typed)
    module, _, name = command.target.partition(":")
    with _no_collection():
        function = getattr(importlib.import_module(module), name)
    if command.style == "arguments":
        result = function(command.name, arguments)
    else:
        from zoo.cli.parsing import run_function

        result = run_function(function, arguments, prog=f"zoo {command.name}", summary=command.summary)
    if result is not None:
        print(result)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Leave garbage where it is: what importing makes stays anyway, and looking through it takes a second of six."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def _progress_on_stderr() -> Iterator[None]:
    """Show what our own modules report; other libraries keep their own ways."""
    logger = logging.getLogger("zoo")
    handler = logging.StreamHandler(sys.stderr)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _group_help(word: str) -> bool:
    """Print the commands of a group, such as `bench`; False where the word is none."""
    group = [command for command in COMMANDS if command.name.startswith(f"{word} ")]
    if group:
        print(f"usage: zoo {word} WHAT ...\n\n" + "\n".join(f"  {c.name}  {c.summary}" for c in group))
    return bool(group)
