"""What the user can mend: every class here becomes one sentence and exit code 2 at the command line.

A message has three parts: what was given (with the place where it was typed), what was expected, what to type instead.
Only `zoo.cli.main` catches `ZooError`; anything else is a bug and keeps its traceback.
"""


class ZooError(Exception):
    """A mistake of the user's, or of the machine's set-up, with the fix in its message."""


class UnknownNameError(ZooError, LookupError):
    """A name that no registry table, source or plug-in offers."""


class ConfigError(ZooError, ValueError):
    """An argument, or a combination of components, that cannot work."""


class DataError(ZooError):
    """A shard, clip or record that cannot be read as what it claims to be."""


class MissingLibraryError(ZooError):
    """A system library or optional package that the requested work needs and this machine lacks."""
