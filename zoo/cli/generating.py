"""`zoo generate NAME --out FOLDER`: the flags are the arguments of the generator's constructor."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ActionConfigFile

from zoo import registry
from zoo.cli.parsing import CommandParser
from zoo.errors import ConfigError

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
    generator_class = registry.load(KIND, name)
    parser = CommandParser(prog=f"zoo {command} {name}", description=f"Make a data set with {name}.")
    parser.add_argument("--config", action=ActionConfigFile, help="YAML file with these options.")
    parser.add_argument(
        "--out", type=Path, required=True, help="Folder of the data set; an interrupted run is continued."
    )
    parser.add_argument("--workers", type=int, default=2, help="Processes that make shards; 0 makes them in this one.")
    own = parser.add_class_arguments(generator_class, fail_untyped=True, sub_configs=True)
    settings = parser.instantiate(parser.parse_args(flags))
    generator_class(**{option: settings[option] for option in own}).generate(settings.out, workers=settings.workers)
    print(settings.out)


def _list() -> str:
    return f"Generators: {', '.join(registry.names(KIND))}"
