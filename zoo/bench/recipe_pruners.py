"""Arguments of a recipe's own pruners, which methods of the same names take where nothing else was typed.

So `stts` in a sweep over a recipe that trains STTS is the STTS of that recipe, not one with the defaults of its class.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from zoo import registry
from zoo.bench.methods import REMOVE, SEED, Method
from zoo.errors import ConfigError


def arguments_of(recipe: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """By registry name, in their order, without shares and seeds: those a sweep gives.

    Args:
        recipe: Content of its file.
    Raises:
        ConfigError: what stands under `model.pruner` is no pruner.
    """
    pruner = recipe["model"]["init_args"].get("pruner")
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in pruner if isinstance(pruner, list) else [] if pruner is None else [pruner]:
        spec = {"class_path": one} if isinstance(one, str) else one
        if not isinstance(spec, dict) or not isinstance(spec.get("class_path"), str):
            raise ConfigError(
                f"the recipe's model.pruner holds {one!r}, expected a name or {{class_path: NAME, init_args: {{...}}}}"
            )
        component = registry.by_class_path(spec["class_path"], "pruner")
        arguments = spec.get("init_args") or {}
        found[component.name if component else spec["class_path"]].append(
            {name: value for name, value in arguments.items() if name not in (REMOVE, SEED)}
        )
    return dict(found)


def completed(method: Method, arguments: Mapping[str, Sequence[Mapping[str, Any]]]) -> Method:
    """A method with a recipe's arguments; typed ones win, and a name's second pruner takes those of its second.

    Args:
        method: As it was typed.
        arguments: See `arguments_of`.
    """
    left = {name: iter(own) for name, own in arguments.items()}
    return Method(
        tuple(
            replace(part, arguments={**next(left.get(part.name, iter(())), {}), **part.arguments})
            for part in method.parts
        )
    )
