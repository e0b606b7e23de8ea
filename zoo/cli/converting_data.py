"""`zoo convert data SOURCE --out FOLDER`: data of others as shards; the flags are the reader's arguments."""

from collections.abc import Sequence
from pathlib import Path

from zoo import registry
from zoo.cli import generating
from zoo.errors import ConfigError, UnknownNameError

OF_FILES = "conversations"
"""The reader of whatever is a path."""

_USAGE = "A file (.jsonl, .json, .parquet) or folder of images or videos with conversations, or the name of a reader"


def run(command: str, arguments: Sequence[str]) -> None:
    """Turn a data set of others into shards.

    Args:
        command: What was typed to come here, for the help.
        arguments: A path or the name of a reader, then flags.

    Raises:
        UnknownNameError: neither a path nor a reader.
        ConfigError: wrong flags, or a folder that holds other data.
        DataError: a source that cannot be read.
    """
    if not arguments or arguments[0].startswith("-"):
        if arguments[:1] in (["-h"], ["--help"]):
            print(
                f"usage: zoo {command} SOURCE --out FOLDER [options]\n\n{_USAGE}.\nOptions: zoo {command} SOURCE --help"
            )
            return
        raise ConfigError(f"zoo {command} wants its source first. {_USAGE}")
    source, *flags = arguments
    prog, description = f"zoo {command} {source}", f"Turn {source} into shards."
    if source in registry.names(generating.KIND):
        generating.make(registry.load(generating.KIND, source), flags, prog=prog, description=description)
        return
    if not Path(source).exists():
        close = registry.near(source, registry.names(generating.KIND))
        hint = f"Near: {', '.join(close)}. " if close else ""
        raise UnknownNameError(f"no file, folder or reader {source!r}. {hint}{_USAGE}: zoo list {generating.KIND}")
    reader = registry.load(generating.KIND, OF_FILES)
    generating.make(reader, flags, prog=prog, description=description, known={"source": source})
