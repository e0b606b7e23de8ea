"""`zoo generate NAME --out FOLDER`: the flags are the arguments of the generator's constructor."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jsonargparse import ActionConfigFile

from zoo import registry
from zoo.cli.parsing import CommandParser
from zoo.errors import ConfigError
from zoo.executor import ExecutorName
from zoo.generator import ShardGenerator

KIND = "generator"


def run(command: str, arguments: Sequence[str]) -> None:
    """Make a data set.

    Args:
        command: What was typed to come here, for the help.
        arguments: Name of the generator, then its flags.

    Raises:
        UnknownNameError: no such generator.
        ConfigError: wrong flags, or a folder that holds other data.
    """
    if not arguments or arguments[0].startswith("-"):
        if arguments[:1] in (["-h"], ["--help"]):
            print(
                f"usage: zoo {command} NAME --out FOLDER [options]\n\n{_list()}\nIts options: zoo {command} NAME --help"
            )
            return
        raise ConfigError(f"zoo {command} wants the name of a generator first. {_list()}")
    name, *flags = arguments
    make(registry.load(KIND, name), flags, prog=f"zoo {command} {name}", description=f"Make a data set with {name}.")


def make(
    generator_class: type[ShardGenerator],
    flags: Sequence[str],
    *,
    prog: str,
    description: str,
    known: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Read a generator's arguments from flags, run it, and print where the data are.

    Args:
        generator_class: Its constructor's arguments are the flags.
        flags: What was typed.
        prog: What was typed before them.
        description: First line of the help.
        known: Arguments that are no flags, because they were told in another way.
    """
    parser = CommandParser(prog=prog, description=description)
    parser.add_argument("--config", action=ActionConfigFile, help="YAML file with these options.")
    parser.add_argument(
        "--out", type=Path, required=True, help="Folder of the data set; an interrupted run is continued."
    )
    parser.add_argument("--workers", type=int, default=2, help="Processes that make shards; 0 makes them in this one.")
    parser.add_argument(
        "--executor",
        type=ExecutorName,
        default="processes",
        help="Where workers run: processes of this machine, or a ray cluster that shares the folder.",
    )
    own = parser.add_class_arguments(generator_class, fail_untyped=True, sub_configs=True, skip=set(known))
    settings = parser.instantiate(parser.parse_args(list(flags)))
    generator = generator_class(**known, **{option: settings[option] for option in own})
    generator.generate(settings.out, workers=settings.workers, executor=settings.executor)
    print(settings.out)


def _list() -> str:
    return f"Generators: {', '.join(registry.names(KIND))}"
