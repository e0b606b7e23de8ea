"""Names for components: kind and name give a class, which is imported only when it is asked for.

Three places offer components. Our families list them in `COMPONENTS` of their `__init__.py` (kind, name,
`"module:attribute"`), third parties in entry points (group `zoo.<kind>`, one component each), notebooks with the
decorator `register`. A name that ends in `:*` is a *source*: `timm:vit_x` calls the builder listed as `timm:*` with
`vit_x` as its first argument.

Listing reads tables and package metadata and imports none of the listed modules.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import typing
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import Any, TypeVar

from zoo.errors import ConfigError, MissingLibraryError, UnknownNameError

TABLES = (
    "zoo.components",
    "zoo.backbones",
    "zoo.pruning",
    "zoo.heads",
    "zoo.datamodules",
    "zoo.envs",
    "zoo.checkpoints",
)
"""Modules that hold a `COMPONENTS` table; all of them are light."""

LIGHTNING_KINDS = {
    "lightning.pytorch.core.module.LightningModule": "module",
    "lightning.pytorch.core.datamodule.LightningDataModule": "datamodule",
    "lightning.pytorch.callbacks.callback.Callback": "callback",
    "lightning.pytorch.loggers.logger.Logger": "logger",
}
"""Base classes that are not ours and so carry no `kind`."""

OWN = "zoo"
DECORATOR = "register()"
ENTRY_POINT_PREFIX = "zoo."
_SOURCE = ":*"

_Target = TypeVar("_Target", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Component:
    """One thing that can be built by name.

    Args:
        kind: What contract it fulfils.
        name: What the user types; ends in `:*` where this is a source that still wants its argument.
        target: `"module:attribute"` of a class, or of a function that returns the contract class.
        origin: `zoo`, the distribution of a plug-in, or `register()`.
        argument: What followed the source's prefix, or None.
    """

    kind: str
    name: str
    target: str
    origin: str
    argument: str | None = None

    @property
    def is_source(self) -> bool:
        return self.name.endswith(_SOURCE)

    @property
    def class_path(self) -> str:
        """The target as an import path with dots."""
        return self.target.replace(":", ".")

    def load(self) -> Callable[..., Any]:
        """Import the class or builder; of a source, the builder with its first argument bound.

        Raises:
            MissingLibraryError: the module of a plug-in failed to import, for whatever reason.
        """
        target = self.load_builder()
        if self.argument is None:
            return target
        return partial(target, **{first_parameter(target): self.argument})

    def load_builder(self) -> Callable[..., Any]:
        """Import the class or builder as it is; of a source, with its first argument still wanted.

        Raises:
            MissingLibraryError: the module of a plug-in failed to import, for whatever reason.
        """
        return self._import() if self.origin == OWN else self._import_foreign()

    def _import(self) -> Callable[..., Any]:
        module, _, attribute = self.target.partition(":")
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        return found

    def _import_foreign(self) -> Callable[..., Any]:
        if (self.kind, self.name) in _registered:
            return _registered[self.kind, self.name][1]
        try:
            return self._import()
        except Exception as error:  # foreign code may raise anything at import; it is named, and the cause is kept
            reason = f"{type(error).__name__}: {error}"
            raise MissingLibraryError(
                f"{self.kind} {self.name!r} of the plug-in {self.origin} did not load ({reason}). "
                f"Mend it, or remove it: pip uninstall {self.origin}"
            ) from error


_registered: dict[tuple[str, str], tuple[Component, Callable[..., Any]]] = {}
_tables: dict[str, dict[str, Component]] = {}


def first_parameter(builder: Callable[..., Any]) -> str:
    """Name of the argument that receives what follows a source's prefix."""
    return next(iter(inspect.signature(builder).parameters))


def register(kind: str, name: str) -> Callable[[_Target], _Target]:
    """Offer a class or builder under a name, for as long as this process lives.

    A notebook cell may be run again: the same function or class replaces its former self.

    Args:
        kind: Kind of contract, such as `pruner`; a new kind comes into being by being used.
        name: What recipes and flags call it; ends in `:*` for a source.

    Raises:
        ConfigError: something else has that name.
    """

    def add(target: _Target) -> _Target:
        path = f"{target.__module__}:{target.__qualname__}"
        component = Component(kind, name, path, DECORATOR)
        others = {key: value for key, value in _registered.items() if key != (kind, name) or value[0].target != path}
        _check_free(component, others.get((kind, name), (None,))[0] or _tables_of_others().get(kind, {}).get(name))
        _registered[kind, name] = (component, target)
        _tables.clear()
        return target

    return add


def refresh() -> None:
    """Forget what was read of package metadata, so that a plug-in installed meanwhile is seen."""
    _tables.clear()


def kinds() -> tuple[str, ...]:
    """Every kind that has a component."""
    return tuple(sorted(_all()))


def components(kind: str) -> tuple[Component, ...]:
    """Components of a kind, sources last.

    Raises:
        UnknownNameError: no such kind.
    """
    return tuple(sorted(_table(kind).values(), key=lambda c: (c.is_source, c.name)))


def names(kind: str) -> tuple[str, ...]:
    """Names of a kind that can be built as they are; `sources` lists the prefixes that want an argument."""
    return tuple(c.name for c in components(kind) if not c.is_source)


def sources(kind: str) -> tuple[str, ...]:
    """Prefixes of a kind, such as `timm:*`."""
    return tuple(c.name for c in components(kind) if c.is_source)


def find(kind: str, name: str) -> Component:
    """The component of a name, without importing it.

    Args:
        kind: What contract it must fulfil.
        name: A listed name, or `prefix:argument` where `prefix:*` is listed.

    Raises:
        UnknownNameError: nothing has that name; the text holds near names, where it looked, and plug-ins that did not
            load.
    """
    table = _table(kind)
    if name in table and not name.endswith(_SOURCE):
        return table[name]
    prefix, colon, argument = name.partition(":")
    source = table.get(prefix + _SOURCE) if colon else None
    if source is None:
        raise UnknownNameError(_unknown_text(kind, name, table))
    if argument in ("", "*"):
        raise UnknownNameError(
            f"{kind} {name!r} lacks what follows the colon, as in {prefix}:NAME. List: zoo list {kind}"
        )
    return Component(kind, name, source.target, source.origin, argument)


def by_class_path(path: str, kind: str | None = None) -> Component | None:
    """The component whose class or builder an import path means, or None.

    Args:
        path: `package.module.Class`, as configurations spell it.
        kind: Only components of this kind.
    """
    offered = _all()
    tables = offered.values() if kind is None else [offered.get(kind, {})]
    return next((c for table in tables for c in table.values() if c.class_path == path), None)


def kind_of(expected: Any) -> str | None:
    """Registry kind that a type annotation stands for, or None where it is no contract class."""
    if not inspect.isclass(expected):
        return None
    for base in expected.__mro__:
        kind = vars(base).get("kind") or LIGHTNING_KINDS.get(f"{base.__module__}.{base.__qualname__}")
        if isinstance(kind, str):
            return kind
    return None


def is_about_kinds(typehint: Any) -> bool:
    """Whether a contract class stands anywhere in a type annotation."""
    return kind_of(typehint) is not None or any(is_about_kinds(inner) for inner in typing.get_args(typehint))


def load(kind: str, name: str) -> Callable[..., Any]:
    """Import the class or builder of a name; of a source, the builder with its first argument bound."""
    return find(kind, name).load()


def build(kind: str, name: str, **arguments: Any) -> Any:
    """Import and construct a component.

    Args:
        kind: What contract it fulfils.
        name: A listed name, or `prefix:argument`.
        **arguments: Exactly what its constructor takes.
    """
    return load(kind, name)(**arguments)


def check_arguments(kind: str, name: str, arguments: Iterable[str]) -> None:
    """Refuse names that a component's constructor does not know; one that hands on whatever it is given knows all.

    Raises:
        ConfigError: it takes no such argument; those that it takes are listed.
    """
    taken = inspect.signature(load(kind, name)).parameters
    hands_on = any(parameter.kind == inspect.Parameter.VAR_KEYWORD for parameter in taken.values())
    unknown = [argument for argument in arguments if argument not in taken]
    if unknown and not hands_on:
        raise ConfigError(
            f"{kind.replace('_', ' ')} {name!r} takes no {', '.join(unknown)}; it takes {', '.join(taken) or 'nothing'}"
        )


def example(kind: str, name: str) -> Any:
    """The smallest valid instance: built with the target's `example_args`, or with its defaults where it has none."""
    target = load(kind, name)
    return target(**getattr(target, "example_args", {}))


def near(name: str, offered: tuple[str, ...], limit: int = 3) -> tuple[str, ...]:
    """Offered names that look like a mistyped one."""
    lower = {other.lower(): other for other in offered}
    close = difflib.get_close_matches(name.lower(), lower, n=limit, cutoff=0.6)
    starts = [low for low in sorted(lower) if len(name) > 1 and low.startswith(name.lower()) and low not in close]
    return tuple(lower[match] for match in (close + starts)[:limit])


def _check_free(component: Component, other: Component | None) -> None:
    if other is None or other.target == component.target:
        return
    raise ConfigError(
        f"two components are called {component.kind} {component.name!r}: {other.target} (from {other.origin}) and "
        f"{component.target} (from {component.origin}). Rename one, or uninstall its package"
    )


def _table(kind: str) -> dict[str, Component]:
    tables = _all()
    if kind not in tables:
        close = near(kind, tuple(tables))
        hint = f"Near: {', '.join(close)}. " if close else ""
        raise UnknownNameError(f"no kind {kind!r}. {hint}Kinds: {', '.join(sorted(tables))}. List: zoo list")
    return tables[kind]


def _all() -> dict[str, dict[str, Component]]:
    if not _tables:
        tables = _tables_of_others()
        for component, _ in _registered.values():
            _add(tables, component)
        _tables.update(tables)
    return _tables


def _tables_of_others() -> dict[str, dict[str, Component]]:
    """What families and entry points offer."""
    tables: dict[str, dict[str, Component]] = {}
    for module in TABLES:
        for kind, entries in importlib.import_module(module).COMPONENTS.items():
            for name, target in entries.items():
                _add(tables, Component(kind, name, target, OWN))
    installed = metadata.entry_points()
    for group in installed.groups:
        if not group.startswith(ENTRY_POINT_PREFIX):
            continue
        for point in installed.select(group=group):
            target = f"{point.module}:{point.attr}"
            _add(tables, Component(group.removeprefix(ENTRY_POINT_PREFIX), point.name, target, point.dist.name))
    return tables


def _add(tables: dict[str, dict[str, Component]], component: Component) -> None:
    table = tables.setdefault(component.kind, {})
    _check_free(component, table.get(component.name))
    table[component.name] = component


def _unknown_text(kind: str, name: str, table: dict[str, Component]) -> str:
    close = near(name, tuple(c.name for c in table.values()))
    counts = Counter(c.origin for c in table.values())
    looked = ", ".join(
        f"{origin} ({n} name{'s' if n > 1 else ''})" for origin, n in sorted(counts.items(), key=_own_first)
    )
    failed = _failed_plugins(table)
    parts = [f"no {kind} {name!r}"]
    if close:
        parts.append(f"Near: {', '.join(close)}")
    parts.append(f"Looked in: {looked}")
    if failed:
        parts.append("Not loaded: " + "; ".join(f"{origin} ({reason})" for origin, reason in sorted(failed.items())))
    parts.append(f"List: zoo list {kind}")
    return ". ".join(parts)


def _own_first(item: tuple[str, int]) -> tuple[bool, str]:
    return item[0] != OWN, item[0]


def _failed_plugins(table: dict[str, Component]) -> dict[str, str]:
    """Why plug-ins of a kind do not import; they are tried only here, where a name is missing already."""
    failed = {}
    for component in table.values():
        if component.origin in (OWN, DECORATOR) or component.origin in failed:
            continue
        try:
            component.load()
        except MissingLibraryError as error:
            failed[component.origin] = str(error.__cause__)
    return failed
