"""Optional packages, imported where they are used, with the extra that brings them in the error."""

import importlib
from types import ModuleType

from zoo.errors import MissingLibraryError


def optional(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import a package that only part of the zoo needs.

    Args:
        module: What is imported, such as `pyarrow.parquet`.
        extra: Extra of molmo-zoo that installs it.
        purpose: What it is needed for, as the end of "... is needed to".
    Raises:
        MissingLibraryError: it is not there, or does not import.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        reason = "is not installed" if getattr(error, "name", None) == package else f"does not import ({error})"
        raise MissingLibraryError(
            f"{package} {reason}; it is needed to {purpose}: pip install 'molmo-zoo[{extra}]'"
        ) from error
