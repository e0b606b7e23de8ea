"""`zoo copy`: a bundled recipe, or the source of a component, as a file of the user's own."""

import re
from pathlib import Path

from zoo import registry
from zoo.cli import recipes
from zoo.cli.listing import RECIPE, find_component, source_file
from zoo.envs import COMPONENTS
from zoo.errors import ConfigError, UnknownNameError

BASES = {"module": "model", "datamodule": "data", "callback": "trainer.callbacks"}
"""Kinds whose place on the command line is no argument of the model."""

SIMULATOR = frozenset(COMPONENTS)
"""Kinds that no training takes."""


def copy(what: str, name: str | None = None, destination: str | None = None) -> str:
    """Copy a bundled recipe, or the file in which a component is written, as a start for your own.

    Args:
        what: A recipe, such as molmo2/tiny; KIND/NAME of a component, such as pruner/random; or a kind alone, with the
            name behind it.
        name: Name of a component of that kind; behind a recipe or KIND/NAME, the destination.
        destination: File or folder of the copy; the folder you are in where left out.

    Raises:
        UnknownNameError: no such recipe or component.
        ConfigError: there is a file already, or the component has no file of its own.
    """
    if what == RECIPE or what in registry.kinds():
        if name is None:
            raise UnknownNameError(f"zoo copy {what} wants a name behind it. List: zoo list {what}")
        return _copy(name if what == RECIPE else f"{what}/{name}", Path(destination or "."))
    if destination is not None:
        raise ConfigError(f"{what} is copied to {name}, or to {destination}? Say only one of them")
    return _copy(what, Path(name or "."))


def _copy(name: str, destination: Path) -> str:
    if name.removesuffix(".yaml") in recipes.names():
        name = name.removesuffix(".yaml")
        target = _write(recipes.path_of(name), destination, default=f"{name.replace('/', '-')}.yaml")
        return f"copied recipe {name} to {target}\nnext: change it, then zoo fit --config {target}"
    kind, slash, own_name = name.partition("/")
    if not slash or kind not in registry.kinds():
        raise UnknownNameError(_unknown(name))
    component = find_component(kind, own_name)
    module, _, attribute = component.target.partition(":")
    source = source_file(module)
    if source is None:
        raise ConfigError(f"{kind} {own_name!r} is written in {module}, which has no file to copy")
    target = _write(source, destination, default=f"my_{_identifier(own_name)}.py")
    trial = [f"next: change {attribute} in it"]
    if kind not in SIMULATOR:
        trial = [
            f"{trial[0]}, then, in {target.parent.resolve()}:",
            f"  python -m zoo fit --config molmo2/tiny --{_flag(kind)}={target.stem}.{attribute}",
        ]
    return "\n".join(
        [
            f"copied {kind} {own_name} (from {component.origin}) to {target}",
            *trial,
            "for a package of yours, so that zoo list shows it, in its pyproject.toml (docs/plugins.md):",
            f'  [project.entry-points."{registry.ENTRY_POINT_PREFIX}{kind}"]',
            f'  {target.stem} = "{target.stem}:{attribute}"',
        ]
    )


def _unknown(name: str) -> str:
    offered = (
        *recipes.names(),
        *(f"{c.kind}/{c.name}" for kind in registry.kinds() for c in registry.components(kind)),
    )
    close = registry.near(name, offered)
    hint = f"Near: {', '.join(close)}. " if close else ""
    forms = "a recipe is written molmo2/tiny, a component pruner/random or pruner random"
    return f"no recipe or component {name!r}. {hint}Forms: {forms}. List: zoo list"


def _flag(kind: str) -> str:
    return BASES.get(kind, f"model.{kind}")


def _identifier(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_")


def _write(source: Path, destination: Path, *, default: str) -> Path:
    target = destination / default if destination.is_dir() else destination
    if target.exists():
        raise ConfigError(f"{target} is there already and is left as it is; choose another name")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot write {target}: {error.strerror}; choose another place") from error
    return target
