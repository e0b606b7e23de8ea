"""Contract of assets: what is known of an object without building it, how it is built, and who offers it.

Frame of an asset: z up, origin in the middle of its footprint at its bottom, +x is its front (the side with handles and
seats; the back of what stands at a wall is -x). Lengths in metres.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

from zoo.envs.simulator import mujoco

Split = Literal["train", "val", "test"]
Mounting = Literal["floor", "wall", "surface", "ceiling"]

DIGEST_BYTES = 8  # of one asset


@dataclass(frozen=True, kw_only=True, slots=True)
class Surface:
    """A level place on or in an asset where other things may stand.

    Args:
        name: Unique in the asset.
        body: Part that it belongs to; it moves with a drawer.
        centre_m: Of the surface, in that part's frame with all joints at 0.
        size_m: Extent along x and y of that frame.
        clearance_m: Free height above it.
        is_inside: Within a drawer, cabinet or fridge.
    """

    name: str
    body: str
    centre_m: tuple[float, float, float]
    size_m: tuple[float, float]
    clearance_m: float = 1.0
    is_inside: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Articulation:
    """A joint that can be opened; 0 is closed.

    Args:
        joint: Name in the asset.
        kind: Turns or slides.
        range: Of its position, radians or metres; the end that is not 0 is open.
        part: What moves, in words: drawer, door, lid.
        handle: Geom of the asset that one pulls at.
    """

    joint: str
    kind: Literal["hinge", "slide"]
    range: tuple[float, float]
    part: str
    handle: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AssetFacts:
    """What is known of an asset without building it.

    Args:
        uid: Unique in its library.
        category: What people call it: mug, sofa.
        synset: WordNet's, as `mug.n.04`.
        description: A few words that tell it from others of its category.
        size_m: Extents along x, y, z with joints at 0, scale 1.
        mass_kg: Of the whole.
        mounting: Where it belongs.
        is_static: Too heavy or fixed: never has a free joint.
        is_pickupable: One hand can lift it.
        surfaces: Where other things may stand.
        articulations: What can be opened.
        colours: Names of the parts that may be coloured.
        split: Which scenes may use this instance.
    """

    uid: str
    category: str
    synset: str
    description: str
    size_m: tuple[float, float, float]
    mass_kg: float
    mounting: Mounting = "floor"
    is_static: bool = False
    is_pickupable: bool = False
    surfaces: tuple[Surface, ...] = ()
    articulations: tuple[Articulation, ...] = ()
    colours: tuple[str, ...] = ()
    split: Split = "train"

    @property
    def is_receptacle(self) -> bool:
        return bool(self.surfaces)


class Asset(ABC):
    """One object that can be put into models."""

    facts: AssetFacts

    @abstractmethod
    def add_to(
        self,
        parent: mujoco.MjsBody,
        name: str,
        *,
        position_m: Sequence[float],
        quat_wxyz: Sequence[float],
        is_free: bool,
        scale: float = 1.0,
        colours: Mapping[str, Sequence[float]] | None = None,
    ) -> mujoco.MjsBody:
        """Build it under a body.

        Its root body is called `name`; every other element (bodies, joints, geoms, sites) `name/<own name>`, where the
        own name is what `facts` say. Geoms carry the contact bits and groups of `zoo.envs.scenes.physics`.

        Args:
            parent: Usually the world body.
            name: Of the root body.
            position_m: Of the origin, in the parent's frame.
            quat_wxyz: Rotation in the parent's frame.
            is_free: With a free joint, called `name/free`.
            scale: Of all lengths; masses follow volume.
            colours: RGBA by part name, each one of `facts.colours`.
        Returns:
            The root body.
        """


class AssetLibrary(ABC):
    """Offers assets by identifier. Listing and facts are cheap: nothing is built or read beyond an index."""

    kind: ClassVar[str] = "asset_library"
    example_args: ClassVar[dict[str, Any]] = {}

    @abstractmethod
    def facts(self) -> Mapping[str, AssetFacts]:
        """Of every asset, by uid, in an order that does not change."""

    @abstractmethod
    def asset(self, uid: str) -> Asset:
        """The asset itself.

        Raises:
            UnknownNameError: the library has none of this name; near names, and what to install where it is known.
        """

    @abstractmethod
    def digest_of(self, uid: str) -> str:
        """Of an asset's content: benchmarks name it, so that other content under the same name is noticed.

        Raises:
            UnknownNameError: the library has none of this name.
        """

    @cached_property
    def digest(self) -> str:
        """Of the content of all assets that have facts."""
        digest = hashlib.blake2b(digest_size=16)
        for uid in self.facts():
            digest.update(f"{uid} {self.digest_of(uid)}\n".encode())
        return digest.hexdigest()

    def of(self, *, category: str | None = None, split: Split | None = None) -> tuple[AssetFacts, ...]:
        """Facts of a category, of a split, or of all."""
        return tuple(
            facts
            for facts in self.facts().values()
            if category in (None, facts.category) and split in (None, facts.split)
        )
