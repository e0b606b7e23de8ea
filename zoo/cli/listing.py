"""`zoo list` and `zoo show`: what there is, and what one of it takes."""

import ast
import importlib.util
import inspect
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from zoo import bundled, registry
from zoo.cli import recipes
from zoo.errors import UnknownNameError

RECIPE, CHECKPOINT = "recipe", "checkpoint"

_MODULE = re.compile(r"\b(?:[a-z_]\w*\.)+(?=[A-Z])")
"""What stands before a class in its import path."""


def list_names(kind: str | None = None) -> str:
    """List components, recipes and bundled checkpoints: kind, name, origin, purpose.

    Args:
        kind: Only this kind, such as pruner, or recipe, or checkpoint.

    Raises:
        UnknownNameError: no such kind.
    """
    rows = []
    for listed in (*registry.kinds(), RECIPE, CHECKPOINT) if kind is None else (kind,):
        if listed == RECIPE:
            rows += [(RECIPE, name, registry.OWN, recipes.summary(name)) for name in recipes.names()]
        elif listed == CHECKPOINT:
            rows += [(CHECKPOINT, name, registry.OWN, bundled.summary(name)) for name in bundled.names()]
        else:
            rows += [(c.kind, c.name, c.origin, _summary(c)) for c in registry.components(listed)]
    return _table([("kind", "name", "origin", "what it is"), *rows])


def show(what: str, name: str | None = None) -> str:
    """Show one component's arguments and place, or a recipe's text.

    Args:
        what: A kind, with a name behind it; or the name of a recipe.
        name: Name of a component of that kind.

    Raises:
        UnknownNameError: no such component or recipe.
    """
    if name is None:
        if what in registry.kinds():
            raise UnknownNameError(
                f"zoo show {what} wants a name: {', '.join(c.name for c in registry.components(what))}"
            )
        return recipes.path_of(what).read_text(encoding="utf-8").rstrip()
    if what == RECIPE:
        return recipes.path_of(name).read_text(encoding="utf-8").rstrip()
    return _describe(find_component(what, name))


def find_component(kind: str, name: str) -> registry.Component:
    """A component, or the source itself for `timm:*`.

    Raises:
        UnknownNameError: no such kind or component.
    """
    return next((c for c in registry.components(kind) if c.is_source and c.name == name), None) or registry.find(
        kind, name
    )


def _describe(component: registry.Component) -> str:
    target = component.load()
    target = getattr(target, "func", target)
    signature = inspect.signature(target)
    arguments = [f"  {_argument(parameter)}" for parameter in signature.parameters.values()]
    place = f"{inspect.getsourcefile(target)}:{inspect.getsourcelines(target)[1]}"
    return "\n".join(
        [
            f"{component.kind} {component.name} (from {component.origin})",
            f"class_path: {component.class_path}",
            f"source: {place}",
            "",
            inspect.getdoc(target) or "(no description)",
            "",
            "Arguments:" if arguments else "No arguments.",
            *arguments,
        ]
    )


def _argument(parameter: inspect.Parameter) -> str:
    told = parameter.annotation
    text = told if isinstance(told, str) else inspect.formatannotation(told)  # a text where the module postpones them
    annotation = "" if told is parameter.empty else f": {_MODULE.sub('', text)}"
    default = " (required)" if parameter.default is parameter.empty else f" = {parameter.default!r}"
    return f"{parameter.name}{annotation}{default}"


def _summary(component: registry.Component) -> str:
    """First line of the target's docstring, read from its source without importing it; empty where there is none."""
    module, _, attribute = component.target.partition(":")
    if module in sys.modules:
        target = getattr(sys.modules[module], attribute, None)
        return (inspect.getdoc(target) or "").partition("\n")[0]
    source = source_file(module)
    if source is None:
        return ""
    try:
        body = ast.parse(source.read_text(encoding="utf-8"), filename=str(source)).body
    except SyntaxError as error:  # of a plug-in; the others are listed all the same
        return f"cannot be read: {error}"
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == attribute:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return ""


def source_file(module: str) -> Path | None:
    """The file of a module, found without importing it or its parents; None where it has none."""
    top, *inner = module.split(".")
    spec = importlib.util.find_spec(top)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in (Path(folder, *inner).with_suffix(".py"), Path(folder, *inner, "__init__.py")):
            if path.is_file():
                return path
    return Path(spec.origin) if spec and not inner and spec.origin and spec.origin.endswith(".py") else None


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]]).rstrip() for row in rows
    )
