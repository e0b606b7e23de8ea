"""Bundled recipes, named by their path under `zoo/recipes` without the ending: `molmo2/tiny`."""

from pathlib import Path

import yaml

import zoo
from zoo.errors import ConfigError, UnknownNameError
from zoo.registry import near

FOLDER = Path(zoo.__file__).parent / "recipes"


def names() -> tuple[str, ...]:
    """Every bundled recipe."""
    return tuple(sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.yaml")))


def summary(name: str) -> str:
    """The first comment of a recipe: what it makes."""
    first = path_of(name).read_text(encoding="utf-8").partition("\n")[0]
    return first.lstrip("# ").strip() if first.startswith("#") else ""


def path_of(name: str) -> Path:
    """File of a bundled recipe.

    Raises:
        UnknownNameError: no such recipe.
    """
    if name.removesuffix(".yaml") not in names():
        close = near(name, names())
        hint = f"Near: {', '.join(close)}. " if close else ""
        raise UnknownNameError(
            f"no recipe {name!r}. {hint}Looked in: files here, bundled recipes ({len(names())}). List: zoo list recipe"
        )
    return FOLDER / f"{name.removesuffix('.yaml')}.yaml"


def is_text(value: str) -> bool:
    """Whether `--config VALUE` names no file here: an address, standard input, or the configuration itself."""
    return "\n" in value or value.lstrip().startswith("{") or "://" in value or value == "-"


def resolve(value: str) -> str:
    """The file that `--config VALUE` means: one that exists, or a bundled recipe of that name.

    Args:
        value: A path, a recipe's name, or what else jsonargparse takes: an address, or the configuration itself.

    Raises:
        UnknownNameError: neither a file nor a recipe.
    """
    if is_text(value) or Path(value).is_file():
        return value
    return str(path_of(value))


def check_readable(path: Path) -> None:
    """Refuse a configuration file that is no YAML, by its name; what it says is the parser's to judge.

    Raises:
        ConfigError: it is no text, does not parse, or is no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.compose(text, Loader=yaml.CSafeLoader)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no text in UTF-8; --config takes a YAML file") from error
    except yaml.MarkedYAMLError as error:
        line = min(error.problem_mark.line + 1, len(text.splitlines()))  # what is missing is missed behind the end
        raise ConfigError(f"{path}, line {line}: {' '.join(filter(None, (error.context, error.problem)))}") from error
    except yaml.YAMLError as error:  # such as characters that no YAML may hold
        raise ConfigError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if content is not None and not isinstance(content, yaml.MappingNode):
        raise ConfigError(f"{path} holds no mapping; a recipe says model:, data: and trainer: (zoo show molmo2/tiny)")


def name_of(path: Path) -> str:
    """What runs of a configuration are called: the recipe's name, or the file's stem.

    A configuration that a run saved (`runs/NAME/version_N/config.yaml`) keeps the name of that run.
    """
    resolved = path.resolve()
    if resolved.is_relative_to(FOLDER.resolve()):
        return resolved.relative_to(FOLDER.resolve()).with_suffix("").as_posix()
    if resolved.parent.name.startswith("version_"):
        return run_name_of(resolved.parent)
    return resolved.stem


def run_name_of(version_folder: Path) -> str:
    """`molmo2/tiny` of `runs/molmo2/tiny/version_3`; a bundled name if it ends in one, else the folder's own name."""
    parents = version_folder.parent.parts
    return next((name for name in names() if parents[-len(name.split("/")) :] == tuple(name.split("/"))), parents[-1])
