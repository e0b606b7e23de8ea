"""What every test shares: seeds from the test's name, a registry that forgets, packages that exist for one test."""

import os
import random
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from zoo import registry

pytest_plugins = ("trunk_fixtures",)

# Machines are shared: how long an example takes says nothing about the code.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# CI judges a change, not the dice: it draws the same examples every time, everybody else draws new ones.
settings.register_profile("repeated", settings.get_profile("shared"), derandomize=True)
settings.load_profile("repeated" if os.environ.get("CI") else "shared")


@pytest.fixture(autouse=True)
def _seeded(request: pytest.FixtureRequest) -> None:
    seed = zlib.crc32(request.node.nodeid.encode())
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - for other people's code under test
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


@pytest.fixture
def sandboxed_registry() -> Iterator[None]:
    """What the test registers or installs is forgotten after it."""
    before = dict(registry._registered)
    registry.refresh()
    yield
    registry._registered.clear()
    registry._registered.update(before)
    registry.refresh()


@pytest.fixture
def install_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandboxed_registry: None
) -> Callable[[str, dict[str, str], dict[str, str]], Path]:
    """Put a distribution on the path as pip would: its modules beside a dist-info folder with entry points."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def install(name: str, modules: dict[str, str], entry_points: dict[str, str]) -> Path:
        information = site / f"{name.replace('-', '_')}-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"[{group}]\n{entry}\n" for group, entry in entry_points.items()]
        (information / "entry_points.txt").write_text("\n".join(lines))
        for module, text in modules.items():
            (site / f"{module}.py").write_text(text)
        registry.refresh()
        return site

    return install
