"""Versions: of Python, and of every package that pyproject.toml names."""

import platform
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import zoo
from zoo.doctor.findings import TORCH, Finding, fail, ok, run_probe, unanswered

PROJECT = "molmo-zoo"
DEVELOPMENT = "dev"  # the extra of those who change the zoo
CHECK = "packages"


def check_packages() -> Iterator[Finding]:
    """Python and every required package are there in a version that fits; optional ones are told."""
    try:
        from packaging.requirements import Requirement
        from packaging.specifiers import SpecifierSet
    except ImportError:
        yield fail(CHECK, "packaging is not installed", fix="pip install packaging")
        return
    python, requirements = _declared()
    version = platform.python_version()
    if SpecifierSet(python).contains(version):
        yield ok(CHECK, f"Python {version}")
    else:
        yield fail(CHECK, f"Python {version}, {python} is needed", fix="python3.11 -m venv .venv, and install there")
    good, optional = [], []
    for text in requirements:
        requirement, extra = Requirement(text), _extra(text)
        is_for_here = requirement.marker is None or requirement.marker.evaluate({"extra": extra or ""})
        if not is_for_here or extra == DEVELOPMENT:
            continue
        found = _version(requirement.name)
        fits = found is not None and requirement.specifier.contains(found, prereleases=True)
        wanted = f"{requirement.name}{requirement.specifier}"
        if fits:
            good.append(f"{requirement.name} {found}")
        elif extra is None:
            fault = "is not installed" if found is None else f"{found} does not fit {wanted}"
            yield fail(CHECK, f"{requirement.name} {fault}", fix=f"pip install '{wanted}'")
        else:
            optional.append(f"{requirement.name} (pip install '{PROJECT}[{extra}]')")
    yield ok(CHECK, ", ".join(good) or "no package that fits")
    if optional:
        yield ok(CHECK, f"not installed, and needed by a part only: {', '.join(optional)}")


def check_imports() -> Iterator[Finding]:
    """Torch, Lightning and all that training needs import together."""
    probed = run_probe("stack")
    if probed.answer is None:
        yield unanswered("imports", probed, f"importing what training needs: {probed.fault}", fix=TORCH)
        return
    module, error = probed.answer["module"], probed.answer["error"]
    if not error:
        yield ok("imports", "torch, torchvision, lightning, transformers, timm, peft and zoo import")
        return
    # Seen most often: torchvision of another build, which takes lightning down with it.
    name = module.partition(".")[0]
    fixes = {"torch": TORCH, "torchvision": TORCH, "zoo": "this is a fault of the zoo; please report it"}
    yield fail("imports", f"import {module}: {error}", fix=fixes.get(name, f"pip install --force-reinstall {name}"))


def _declared() -> tuple[str, list[str]]:
    """Range of Python and requirements, from the checkout that runs, or else from the installed distribution."""
    project = Path(zoo.__file__).parents[1] / "pyproject.toml"
    if project.is_file():
        table = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
        extras = table.get("optional-dependencies", {})
        optional = [f'{text}; extra == "{extra}"' for extra, texts in extras.items() for text in texts]
        return table["requires-python"], [*table["dependencies"], *optional]
    declared = metadata.metadata(PROJECT)
    return declared["Requires-Python"], metadata.requires(PROJECT) or []


def _extra(requirement: str) -> str | None:
    _, found, rest = requirement.partition("extra ==")
    return rest.strip().strip("'\"") if found else None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
