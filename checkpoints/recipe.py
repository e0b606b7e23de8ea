"""The recipe of a module as plain JSON: registry names and arguments, and the module built from it.

A recipe comes from a stranger's file, so nothing that it says is imported before it was found in the registry: this
walks it beside the constructors' annotations, knows therefore where a component may stand, and refuses one anywhere
else. What is left for jsonargparse are numbers, texts and settings.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser
from lightning.pytorch import LightningModule

from zoo import argument_faults as faults
from zoo import registry
from zoo.errors import ConfigError, UnknownNameError, ZooError

RECIPE_KEY = "recipe"
"""Hyper-parameter under which a module keeps the class_path and init_args that it was built from."""

Spec = dict[str, Any]
"""`{"class_path": name or import path, "init_args": {...}}`, nested, as in a recipe's YAML."""

PLAIN = (str, int, float, bool, types.NoneType, Path)
BESIDE = "./"
"""Begins the argument of a source that lies in the checkpoint's own folder, as in `hf:./tokenizer`."""

PRETRAINED = "pretrained"
"""Argument of builders that fetch initial weights; a checkpoint brings its own."""


def recipe_of(module: LightningModule) -> Spec:
    """What a module was built from.

    Raises:
        ConfigError: it was put together in Python, so that nobody could rebuild it.
    """
    spec = module.hparams.get(RECIPE_KEY)
    if spec is None:
        raise ConfigError(
            f"this {type(module).__name__} was put together in Python and keeps no recipe to rebuild it from; make it "
            "with zoo.from_recipe"
        )
    return spec


def keep_recipe(module: LightningModule, spec: Spec) -> None:
    """Let a module say what it was built from, and so which of its weights can be fetched again.

    Args:
        module: Just built.
        spec: With the defaults of today, which another version may have changed.
    """
    module.save_hyperparameters({RECIPE_KEY: spec}, logger=False)
    from zoo.component_module import ComponentModule  # heavy: brings torch's parts; `zoo fit --help` reads this file

    if isinstance(module, ComponentModule):
        parts = {name: value.get("init_args") for name, value in spec["init_args"].items() if isinstance(value, dict)}
        module.fetched = frozenset(name for name, arguments in parts.items() if (arguments or {}).get(PRETRAINED))


def with_names(spec: Any) -> Any:
    """A recipe with registry names in place of import paths, as it is written into a checkpoint.

    Raises:
        ConfigError: a class that no registry offers, so that whoever loads the checkpoint could not build it.
    """
    if isinstance(spec, list | tuple):
        return [with_names(value) for value in spec]
    if not isinstance(spec, Mapping):
        return str(spec) if isinstance(spec, Path) else spec
    if "class_path" not in spec:
        return {key: with_names(value) for key, value in spec.items()}
    text, arguments = spec["class_path"], {k: with_names(v) for k, v in (spec.get("init_args") or {}).items()}
    component = registry.by_class_path(text)
    if component is None and _is_import_path(text):
        raise ConfigError(
            f"{text} is in no registry, so nobody could load a checkpoint that names it; list it as an entry point of "
            "its package (docs/plugins.md)"
        )
    if component is None:
        return {"class_path": text, "init_args": arguments}
    if component.is_source:
        argument = arguments.pop(registry.first_parameter(component.load_builder()))
        return {"class_path": f"{component.name.removesuffix('*')}{argument}", "init_args": arguments}
    return {"class_path": component.name, "init_args": arguments}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reader:
    """Turns a recipe that may be anybody's into one whose import paths are all registered components.

    Args:
        folder: Of the checkpoint, to which `./` belongs; None for a recipe that lies in none.
        weights_follow: The weights come from elsewhere, so that builders need not fetch any.
    """

    folder: Path | None = None
    weights_follow: bool = False

    def component(self, value: Any, kind: str, place: str) -> Spec:
        """A component's class path and arguments.

        Raises:
            ConfigError: it is none, or arguments that it does not take.
            UnknownNameError: a name that this installation does not offer.
        """
        spec = {"class_path": value} if isinstance(value, str) else value
        if not isinstance(spec, Mapping) or not isinstance(spec.get("class_path"), str):
            raise ConfigError(f"{place}: expected a {kind} by name, got {_shown(value)}")
        arguments = spec.get("init_args") or {}
        if set(spec) - {"class_path", "init_args"} or not isinstance(arguments, Mapping):
            raise ConfigError(f"{place}: a {kind} is class_path and init_args, got {sorted(map(str, spec))}")
        found = _find(kind, spec["class_path"], place)
        builder = found.load_builder()
        arguments = dict(arguments)
        if found.is_source or found.argument is not None:
            first = registry.first_parameter(builder)
            arguments[first] = self._beside(arguments.get(first) if found.argument is None else found.argument, place)
        return {"class_path": found.class_path, "init_args": self._arguments(builder, arguments, found.name, place)}

    def _beside(self, argument: Any, place: str) -> Any:
        if self.folder is None or not isinstance(argument, str) or not argument.startswith(BESIDE):
            return argument
        path = self.folder / argument.removeprefix(BESIDE)
        if ".." in path.parts[len(self.folder.parts) :]:
            raise ConfigError(f"{place}: {argument!r} leads out of the checkpoint's folder")
        return str(path.resolve())

    def _arguments(self, builder: Callable[..., Any], arguments: Mapping[str, Any], name: str, place: str) -> Spec:
        target = builder.__init__ if inspect.isclass(builder) else builder
        taken = {n: p for n, p in inspect.signature(builder).parameters.items() if p.kind not in _VARIABLE}
        hints = typing.get_type_hints(target)
        foreign = sorted(str(given) for given in arguments if given not in taken)
        if foreign:
            raise ConfigError(
                f"{place}: {name} takes no {', '.join(foreign)}; it takes {', '.join(taken) or 'nothing'}"
            )
        read = {n: self.value(v, hints.get(n, Any), f"{place}.{n}") for n, v in arguments.items()}
        if self.weights_follow and PRETRAINED in taken:
            read[PRETRAINED] = False
        return read

    def value(self, value: Any, hint: Any, place: str) -> Any:
        """An argument's value.

        Raises:
            ConfigError: a component or class where the annotation has none.
        """
        if not registry.is_about_kinds(hint):
            return _plain(value, hint, place)
        kind = registry.kind_of(hint)
        if value is None or kind is not None:
            return None if value is None else self.component(value, kind, place)
        if isinstance(value, list | tuple):
            inner = _member(hint, Sequence)
            return [self.value(v, inner, f"{place}[{i}]") for i, v in enumerate(value)]
        if isinstance(value, Mapping) and "class_path" not in value:
            inner = _member(hint, Mapping)
            return {str(k): self.value(v, inner, f"{place}.{k}") for k, v in value.items()}
        return self.value(value, _member(hint, None), place)


_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _is_import_path(text: str) -> bool:
    """Whether a text is no name: `package.module.Class`; names may hold dots too, as in `qwen2-0.5b`."""
    return "." in text and all(part.isidentifier() for part in text.split("."))


def _find(kind: str, text: str, place: str) -> registry.Component:
    found = registry.by_class_path(text, kind)
    if found is not None:
        return found
    if _is_import_path(text):
        raise ConfigError(
            f"{place}: the checkpoint's recipe names {text}, which no registered {kind} is; install the plug-in that "
            "offers it (zoo list), or rebuild the module in Python and load the weights yourself"
        )
    try:
        return registry.find(kind, text)
    except UnknownNameError as error:
        raise UnknownNameError(f"{place}: {error}") from error


def _member(hint: Any, wanted: type | None) -> Any:
    """Of a union, the list's or mapping's element type, or the component itself where `wanted` is None.

    A hint that has none answers itself as an annotation about nothing, so that the value is refused as plain.
    """
    hints = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    for member in hints:
        origin = typing.get_origin(member)
        if wanted is None and registry.kind_of(member):
            return member
        if wanted is not None and inspect.isclass(origin) and issubclass(origin, wanted):
            return next(inner for inner in reversed(typing.get_args(member)) if inner is not Ellipsis)
    return None


def _plain(value: Any, hint: Any, place: str) -> Any:
    """Refuse what could be imported or looked up: only JSON, and only where annotations ask for no class."""
    if not _is_plain(hint) and value is not None:
        raise ConfigError(f"{place}: a checkpoint's recipe may hold no {getattr(hint, '__name__', hint)} of its own")
    if isinstance(value, Mapping):
        if "class_path" in value:
            raise ConfigError(f"{place}: names {_shown(value['class_path'])} where no component belongs")
        return {str(k): _plain(v, Any, f"{place}.{k}") for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v, Any, f"{place}[{i}]") for i, v in enumerate(value)]
    if not isinstance(value, PLAIN) or (isinstance(value, str) and "${" in value):
        raise ConfigError(f"{place}: expected plain JSON without interpolation, got {_shown(value)}")
    return str(value) if isinstance(value, Path) else value


def _is_plain(hint: Any) -> bool:
    """Whether an annotation asks for numbers, texts, settings and lists of them only."""
    if hint is Any or hint in PLAIN or hint is None or typing.get_origin(hint) is typing.Literal:
        return True
    origin = typing.get_origin(hint)
    if origin is not None:
        is_container = origin in (typing.Union, types.UnionType) or (
            inspect.isclass(origin) and issubclass(origin, Sequence | Mapping | set | frozenset)
        )
        return is_container and all(inner is Ellipsis or _is_plain(inner) for inner in typing.get_args(hint))
    if not inspect.isclass(hint):
        return False
    if dataclasses.is_dataclass(hint):
        return all(_is_plain(inner) for inner in typing.get_type_hints(hint).values())
    return issubclass(hint, enum.Enum) or hint in (list, tuple, dict, set)


def _shown(value: Any, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def read_recipe(spec: Any, *, folder: Path | None = None, weights_follow: bool = False) -> Spec:
    """A module's recipe with import paths of registered components only.

    Args:
        spec: As it was found, with names or import paths.
        folder: Of the checkpoint that it lies in.
        weights_follow: Let builders take their shape only.
    Raises:
        ConfigError: it names something else, or arguments that a component does not take.
        UnknownNameError: a name that this installation does not offer.
    """
    reader = Reader(folder=None if folder is None else folder.resolve(), weights_follow=weights_follow)
    return reader.component(spec, "module", "model")


def build_module(spec: Any, *, folder: Path | None = None, weights_follow: bool = False) -> LightningModule:
    """Build a module from its recipe, which it keeps.

    Args:
        spec: See `read_recipe`.
        folder: See `read_recipe`.
        weights_follow: See `read_recipe`.
    Raises:
        ConfigError: see `read_recipe`; or arguments of a wrong type, or parts that do not fit together.
        UnknownNameError: see `read_recipe`.
    """
    read = read_recipe(spec, folder=folder, weights_follow=weights_follow)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LightningModule, "model")
    try:
        parsed = parser.parse_object({"model": read})
    except ArgumentError as error:
        raise ConfigError(f"the recipe cannot be built: {faults.sentence(str(error), error, ())}") from error
    kept = json.loads(parser.dump(parsed, format="json", skip_unset=False))["model"]  # defaults of today included
    try:
        module = parser.instantiate(parsed).model
    except ValueError as error:  # jsonargparse hides what a constructor raised behind the other members of a union
        own = next((cause for cause in faults.causes(error) if isinstance(cause, ZooError)), None)
        if own is None:
            raise
        raise own from error
    keep_recipe(module, kept)
    module.configure_model()
    return module
