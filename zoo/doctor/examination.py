"""The checks by name, in the order in which they are made."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from zoo.doctor import machine, packages
from zoo.doctor.findings import Finding
from zoo.errors import UnknownNameError
from zoo.registry import near

RUN_FOLDER = Path("runs")

CHECKS: dict[str, Callable[[], Iterator[Finding]]] = {
    "packages": packages.check_packages,
    "imports": packages.check_imports,
    "accelerators": machine.check_accelerators,
    "graphics": machine.check_graphics,
    "video": machine.check_video,
    "plugins": machine.check_plugins,
    "memory": machine.check_memory,
    "run-folder": partial(machine.check_run_folder, RUN_FOLDER),
}


def examine(names: Sequence[str] = ()) -> Iterator[Finding]:
    """Make checks, and tell what each finds as soon as it is known.

    Args:
        names: Of checks; none means all.
    Raises:
        UnknownNameError: no such check.
    """
    for name in names:
        if name not in CHECKS:
            close = near(name, tuple(CHECKS))
            hint = f"Near: {', '.join(close)}. " if close else ""
            raise UnknownNameError(f"no check {name!r}. {hint}Checks: {', '.join(CHECKS)}")
    for name in names or CHECKS:
        yield from CHECKS[name]()
