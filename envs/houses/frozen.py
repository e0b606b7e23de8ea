"""Houses kept as they were once drawn: a benchmark must stay what it is while the generator goes on.

A file of them is gzipped JSON: `{"split": ..., "houses": [...]}`, each as `Scene.to_json` writes it.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from zoo.envs.assets.library import Split
from zoo.envs.episodes.benchmark import BUNDLED
from zoo.envs.scenes.specification import Scene
from zoo.errors import ConfigError, DataError

HOUSES_FILE = "houses.json.gz"


class FrozenHouses:
    """A scene planner whose houses are read from a file. A subclass without arguments can be registered by a name.

    Args:
        file: As `write_houses` writes it.
    """

    kind: ClassVar[str] = "scene_planner"
    example_args: ClassVar[dict[str, Any]] = {}

    def __init__(self, *, file: str) -> None:
        self.file = Path(file)

    def plan(self, split: Split, index: int) -> Scene:
        """The house of a number.

        Args:
            split: The one that the file is of.
            index: From 0.

        Raises:
            ConfigError: the file has no such house.
            DataError: the file is missing or no such file.
        """
        own, houses = self._content
        if split != own or not 0 <= index < len(houses):
            raise ConfigError(
                f"house {index} of split {split!r}: {self.file.parent.name} has {len(houses)} houses, 0 to "
                f"{len(houses) - 1} of split {own!r}"
            )
        return Scene.from_json(houses[index])

    @cached_property
    def _content(self) -> tuple[str, list[Any]]:
        try:
            content = json.loads(gzip.decompress(self.file.read_bytes()))
        except (OSError, EOFError, ValueError) as error:
            raise DataError(f"cannot read the houses {self.file}: {error}") from error
        if not isinstance(content, dict) or not {"split", "houses"} <= content.keys():
            raise DataError(f"{self.file} holds no houses, expected an object with 'split' and 'houses'")
        return content["split"], content["houses"]


class BundledHouses(FrozenHouses):
    """Houses of a bundled benchmark; a subclass says which."""

    benchmark: ClassVar[str]

    def __init__(self) -> None:
        super().__init__(file=str(BUNDLED / self.benchmark / HOUSES_FILE))


class MiniHouses(BundledHouses):
    """Those of `mini`."""

    benchmark: ClassVar[str] = "mini"


class Nav100Houses(BundledHouses):
    """Those of `nav100`."""

    benchmark: ClassVar[str] = "nav100"


class NavValHouses(BundledHouses):
    """Those of `nav_val`."""

    benchmark: ClassVar[str] = "nav_val"


class NavBodiesHouses(BundledHouses):
    """Those of `nav_bodies`."""

    benchmark: ClassVar[str] = "nav_bodies"


class NavRandomBodiesHouses(BundledHouses):
    """Those of `nav_random_bodies`."""

    benchmark: ClassVar[str] = "nav_random_bodies"


class NavRandomBodiesValHouses(BundledHouses):
    """Those of `nav_random_bodies_val`."""

    benchmark: ClassVar[str] = "nav_random_bodies_val"


def write_houses(houses: Sequence[Scene], split: Split, file: Path) -> None:
    """Write a file of houses; the same houses give the same bytes.

    Args:
        houses: In the order that numbers them.
        split: Of all of them.
        file: Is overwritten.
    """
    content = {"split": split, "houses": [scene.to_json() for scene in houses]}
    text = json.dumps(content, separators=(",", ":"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(text.encode(), mtime=0))
