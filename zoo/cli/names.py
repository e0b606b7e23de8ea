"""Registry names wherever jsonargparse expects a class path: flags, YAML, list items, dict values, `.help NAME`.

jsonargparse offers no public hook that knows the expected type where a name is read, so a few functions of its
private modules are wrapped here, once, by `install`. This file is the only one that touches them;
`tests/cli/test_names.py` checks the installed version.

What is parsed is an ordinary class path afterwards: `stts` becomes `zoo.pruning.stts.STTS`, and `timm:vit_x` the
class path of the builder listed as `timm:*` with `init_args: {name: vit_x}`. So `--print_config` and saved
configurations need no registry to be read.
"""

import dataclasses
import inspect
import types
import typing
from functools import wraps
from typing import Any

from jsonargparse import Namespace, class_from_function
from jsonargparse import _actions as private_actions
from jsonargparse import _signatures as private_signatures
from jsonargparse import _typehints as private

from zoo import registry
from zoo.errors import ConfigError, UnknownNameError, ZooError
from zoo.registry import is_about_kinds, kind_of

WRAPPED = {
    "adapt_typehints": ("val", "typehint", "serialize", "instantiate_classes"),
    "resolve_class_path_by_name": ("cls", "name"),
    "get_class_types": ("typehint", "closed_types"),
    "get_all_subclass_paths": ("cls",),
}
"""Private functions of jsonargparse that are replaced or used, and the arguments that are relied on."""


class UnknownValueError(ValueError):
    """`UnknownNameError` as what jsonargparse expects of a refused value; `zoo.argument_faults` unwraps it."""


class LocatedError(ConfigError):
    """A mistake that a constructor found, with the path of the component under which the user typed it."""

    def __init__(self, key: str, error: ZooError) -> None:
        self.keys = [key]
        self.error = error

    def __str__(self) -> str:
        return f"{'.'.join(self.keys)}: {self.error}"


def component_of(expected: Any, text: str) -> registry.Component | None:
    """The component that a text names where a type is expected; None for class paths and names of imported classes.

    Raises:
        UnknownValueError: it looks like a name, and nothing is called so.
        MissingLibraryError: it names a plug-in that does not import.
    """
    kind = kind_of(expected)
    if kind is None:
        return None
    has_components = kind in registry.kinds()
    prefix, colon, _ = text.partition(":")
    is_source = has_components and bool(colon) and f"{prefix}:*" in registry.sources(kind)
    is_listed = has_components and text in registry.names(kind)
    if not (is_source or is_listed or _looks_like_name(expected, text)):
        return None
    if not has_components:
        raise UnknownValueError(_unknown_class(expected, text))
    try:
        component = registry.find(kind, text)
    except UnknownNameError as error:
        raise UnknownValueError(str(error)) from error
    if component.origin != registry.OWN:
        component.load()  # a plug-in that does not import is reported by its own name, not as a wrong class path
    return component


def _looks_like_name(expected: Any, text: str) -> bool:
    """Neither a class path, nor a file, nor the name of an imported class."""
    return not ("." in text or "/" in text or "." in _original["resolve_class_path_by_name"](expected, text))


def _unknown_class(expected: Any, text: str) -> str:
    """The error for Lightning's callbacks and loggers, which are found by the names of imported classes."""
    offered = {path.rpartition(".")[2] for path in private.get_all_subclass_paths(expected)}
    close = registry.near(text, tuple(sorted(offered)))
    hint = f"Near: {', '.join(close)}. " if close else ""
    return f"no {expected.__name__} called {text!r}. {hint}A class of your own: package.module.Class"


def install() -> None:
    """Teach jsonargparse the registry's names; further calls do nothing.

    Raises:
        RuntimeError: the installed jsonargparse has other private functions than those this file knows.
    """
    if _original:
        return
    for name, arguments in WRAPPED.items():
        function = vars(private).get(name)
        if function is None or tuple(inspect.signature(function).parameters)[: len(arguments)] != arguments:
            raise RuntimeError(f"jsonargparse has no {name}{arguments} any more; zoo.cli.names was written for 4.53")
        _original[name] = function
    _original["resolve_help_type"] = private_actions._ActionHelpClassPath.resolve_help_type  # noqa: SLF001
    _original["extra_help"] = private.ActionTypeHint.extra_help
    _original["instantiate_classes"] = private.ActionTypeHint.instantiate_classes
    _original["convert_to_dict"] = private_signatures.convert_to_dict
    private_signatures.convert_to_dict = _convert_to_dict
    private.adapt_typehints = wraps(_original["adapt_typehints"])(_adapt_typehints)
    private.resolve_class_path_by_name = wraps(_original["resolve_class_path_by_name"])(_resolve_class_path_by_name)
    private.ActionTypeHint.extra_help = _extra_help
    private.ActionTypeHint.instantiate_classes = _instantiate_classes
    private_actions._ActionHelpClassPath.resolve_help_type = _resolve_help_type  # noqa: SLF001


_original: dict[str, Any] = {}


def _adapt_typehints(
    val: Any, typehint: Any, serialize: bool = False, instantiate_classes: bool = False, **rest: Any
) -> Any:
    if not (serialize or val is None):
        typehint = _meant_subtype(val, rest.get("prev_val"), typehint, append=rest.get("append", False))
        val = val if instantiate_classes else _translate(val, typehint)
    return _original["adapt_typehints"](val, typehint, serialize, instantiate_classes, **rest)


def _meant_subtype(val: Any, previous: Any, typehint: Any, *, append: bool) -> Any:
    """The one member of a union that a value can mean, if it is about contract classes: then one error only.

    An argument of a component that was chosen before, such as `--data.generator.train_clips=3`, is about a class too.
    """
    if typing.get_origin(typehint) not in (typing.Union, types.UnionType):
        return typehint
    subtypes = [subtype for subtype in typing.get_args(typehint) if subtype is not types.NoneType]
    if str in subtypes or not any(is_about_kinds(subtype) for subtype in subtypes):
        return typehint
    meant = subtypes
    if len(subtypes) > 1 and (append or isinstance(val, list)):
        meant = [s for s in subtypes if typing.get_origin(s) in private.sequence_origin_types]
    elif len(subtypes) > 1 and _class_text(val, previous) is not None and not private.leaf_types.intersection(subtypes):
        meant = [s for s in subtypes if kind_of(s)]
    return meant[0] if len(meant) == 1 else typehint


def _class_text(val: Any, previous: Any = None) -> str | None:
    """The class path or name in a value, in any of the forms in which jsonargparse hands it on.

    Args:
        val: What is given now.
        previous: What it changes; counts where only an argument is given now.
    """
    if isinstance(val, private.NestedArg):
        return val.val if val.key == "class_path" else _class_text(previous)
    if isinstance(val, dict | Namespace):
        val = val.get("class_path")
    return val if isinstance(val, str) else None


def _translate(val: Any, typehint: Any) -> Any:
    text = _class_text(val)
    component = None if text is None else component_of(typehint, text)
    if component is None:
        return val
    if component.argument is None:
        named = {"class_path": component.class_path}
        return {**_as_dict(val), **named} if isinstance(val, dict | Namespace) else Namespace(named)
    spec = _as_dict(val) if isinstance(val, dict | Namespace) else {}
    arguments = {**_as_dict(spec.get("init_args") or {}), **component.load().keywords}
    return Namespace({**spec, "class_path": component.class_path, "init_args": Namespace(arguments)})


def _as_dict(value: dict | Namespace) -> dict[str, Any]:
    """Top level of a mapping; what lies below is kept as it is."""
    return dict(vars(value)) if isinstance(value, Namespace) else dict(value)


def _resolve_class_path_by_name(cls: Any, name: str) -> str:
    for expected in cls if isinstance(cls, tuple) else (cls,):
        component = component_of(expected, name)
        if component is not None:
            return component.class_path
    return _original["resolve_class_path_by_name"](cls, name)


def _resolve_help_type(self: Any, value: str | None, option_string: str) -> Any:
    """What `--x.help NAME` describes; the original refuses builder functions."""
    for expected in self._help_types:
        try:
            component = _only_component(expected) if value is None else component_of(expected, value)
        except UnknownValueError as error:
            raise TypeError(f"{option_string}: {error}") from error
        if component is not None:
            target = component.load()
            target = getattr(
                target, "func", target
            )  # of a source: the builder, its first argument included in the help
            return target if inspect.isclass(target) else class_from_function(target)
    return _original["resolve_help_type"](self, value, option_string)


def _only_component(expected: Any) -> registry.Component | None:
    """What `--model.help` means without a name, where there is nothing to choose from."""
    kind = kind_of(expected)
    offered = registry.components(kind) if kind in registry.kinds() else ()
    return offered[0] if len(offered) == 1 else None


def _instantiate_classes(self: Any, value: Any) -> Any:
    try:
        return _original["instantiate_classes"](self, value)
    except LocatedError as error:
        error.keys.insert(0, self.dest)
        raise
    except ZooError as error:
        raise LocatedError(self.dest, error) from error


def _convert_to_dict(value: Any) -> dict:
    """A settings object that is a default, as a mapping; the original cannot read dataclasses with slots."""
    if not dataclasses.is_dataclass(value) or "__dict__" in dir(value):
        return _original["convert_to_dict"](value)
    read = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {name: _convert_to_dict(v) if dataclasses.is_dataclass(v) else v for name, v in read.items()}


def _extra_help(self: Any) -> str:
    """The end of an argument's help: registry names in place of the class paths that happen to be imported."""
    expected = private.get_class_types(self._typehint, closed_types=False)
    wanted = [kind for kind in dict.fromkeys(map(kind_of, expected)) if kind in registry.kinds()]
    offered = [component.name for kind in wanted for component in registry.components(kind)]
    return f", names: {', '.join(offered)}" if offered else _original["extra_help"](self)
