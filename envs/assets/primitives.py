"""Our own asset library: household things in several variants each, made of primitives and small convex meshes.

Source: sheet molmospaces section 12 (contact classes, masses) and 13 (split by instance); the designs are ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType

import numpy as np

from zoo.envs.assets import (
    appliances,
    bathroom,
    cutlery,
    decoration,
    food,
    furniture,
    household,
    kitchenware,
    play,
    seats,
    storage,
)
from zoo.envs.assets.design import Category, Design, MovingPart
from zoo.envs.assets.library import DIGEST_BYTES, Asset, AssetFacts, AssetLibrary
from zoo.envs.assets.shapes import Shape
from zoo.envs.scenes.physics import FRICTION, SOLIMP, Role, add_free_joint, set_contact
from zoo.envs.scenes.specification import Vector
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError, UnknownNameError
from zoo.registry import near

CATEGORIES: tuple[Category, ...] = (
    *kitchenware.CATEGORIES,
    *cutlery.CATEGORIES,
    *food.CATEGORIES,
    *household.CATEGORIES,
    *play.CATEGORIES,
    *decoration.CATEGORIES,
    *furniture.CATEGORIES,
    *seats.CATEGORIES,
    *storage.CATEGORIES,
    *appliances.CATEGORIES,
    *bathroom.CATEGORIES,
)
ROLLING_FRICTION_M = 0.004  # of balls and fruit: a slow one comes to rest within half a metre
ROLLING_CONDIM = 6  # contacts with rolling friction
GEOM_TYPES = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    "mesh": mujoco.mjtGeom.mjGEOM_MESH,
}


class PrimitiveLibrary(AssetLibrary):
    """Household things of primitives, complete without any file."""

    def facts(self) -> Mapping[str, AssetFacts]:
        return self._facts

    def asset(self, uid: str) -> Asset:
        return PrimitiveAsset(*self._entry(uid))

    def digest_of(self, uid: str) -> str:
        return hashlib.blake2b(repr(self._entry(uid)).encode(), digest_size=DIGEST_BYTES).hexdigest()

    def _entry(self, uid: str) -> tuple[AssetFacts, Design]:
        if uid not in self._facts:
            close = near(uid, tuple(self._facts))
            raise UnknownNameError(
                f"the library of primitives has no asset {uid!r}. Near: {', '.join(close) or 'none'}. It has "
                f"{len(self._facts)} assets of {len(CATEGORIES)} categories, called <category>_<number>, as mug_0"
            )
        return self._facts[uid], self._designs[uid]

    @cached_property
    def _entries(self) -> tuple[tuple[AssetFacts, Design], ...]:
        return tuple(self._drawn_up())

    def _drawn_up(self) -> Iterator[tuple[AssetFacts, Design]]:
        return (entry for category in CATEGORIES for entry in category.assets())

    @cached_property
    def _facts(self) -> Mapping[str, AssetFacts]:
        return MappingProxyType({facts.uid: facts for facts, _ in self._entries})

    @cached_property
    def _designs(self) -> Mapping[str, Design]:
        return {facts.uid: design for facts, design in self._entries}


class PrimitiveAsset(Asset):
    """One variant, built straight into a model.

    Args:
        facts: What is known of it.
        design: What it is made of.
    """

    def __init__(self, facts: AssetFacts, design: Design) -> None:
        self.facts = facts
        self._design = design

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
        self._check(name, is_free=is_free, scale=scale, colours=colours or {})
        paints = {**self._design.colours, **(colours or {})}
        builder = _Builder(self._design, self._role(is_free), scale, paints, self.facts.is_pickupable)
        pose = {"pos": position_m, "quat": quat_wxyz}
        if any(shape.kind == "mesh" for shape in builder.all_shapes()):
            # Meshes belong to a specification, which a body does not give away: build in a new one and attach.
            specification = mujoco.MjSpec()
            root = specification.worldbody.add_body()
            builder.add_meshes(specification)
            builder.fill(root, "")
            root = parent.add_frame(**pose).attach_body(root, f"{name}/", "")
            root.name = name
        else:
            root = parent.add_body(name=name, **pose)
            builder.fill(root, f"{name}/")
        if is_free:
            add_free_joint(root, name)
        return root

    @staticmethod
    def _role(is_free: bool) -> Role:
        # What is fixed counts as structure even if it could be moved: a body welded to the world would otherwise
        # collide with its own drawers, which MuJoCo exempts only from free parents.
        return "dynamic" if is_free else "structure"

    def _check(self, name: str, *, is_free: bool, scale: float, colours: Mapping[str, Sequence[float]]) -> None:
        facts, faults = self.facts, []
        unknown = sorted(set(colours) - set(facts.colours))
        if unknown:
            faults.append(f"no colours {', '.join(unknown)}; it has {', '.join(facts.colours)}")
        faults += [f"colour {part} is {list(c)}, expected RGBA" for part, c in colours.items() if len(c) != 4]
        if not scale > 0:
            faults.append(f"scale is {scale}, expected more than 0")
        if is_free and facts.is_static:
            faults.append("it is fixed: pass is_free=False, or choose an asset whose facts say is_static False")
        if faults:
            raise ConfigError(f"asset {facts.uid} as {name!r}: {'; '.join(faults)}")


class _Builder:
    """Fills a root body with a design, scaled and painted."""

    def __init__(
        self,
        design: Design,
        role: Role,
        scale: float,
        paints: Mapping[str, Sequence[float]],
        is_pickupable: bool,
    ) -> None:
        self.design, self.role, self.scale, self.paints = design, role, scale, paints
        # The lid of what is carried about must hit walls and tables, which the class of fixtures would pass through.
        self.moving_role: Role = "dynamic" if role == "dynamic" and is_pickupable else "articulated"
        solid = [shape for shape in self.all_shapes() if not shape.is_visual]
        self.is_all_visual = not solid  # a rug, which weighs something all the same
        heavy = solid or self.all_shapes()
        self.kg_per_m3 = design.mass_kg / sum(shape.volume_m3() * shape.density for shape in heavy)

    def all_shapes(self) -> tuple[Shape, ...]:
        return (*self.design.shapes, *(shape for part in self.design.moving for shape in part.shapes))

    def add_meshes(self, specification: mujoco.MjSpec) -> None:
        for vertices, name in self._mesh_names().items():
            specification.add_mesh(name=name).uservert = (np.array(vertices) * self.scale).ravel()

    def fill(self, root: mujoco.MjsBody, prefix: str) -> None:
        origin = self.design.origin_m()
        self._add_geoms(root, prefix, "", self.design.shapes, origin, self.role)
        for part in self.design.moving:
            body = root.add_body(name=prefix + part.name, pos=self._scaled(part.anchor_m, origin))
            body.gravcomp = float(part.is_counterbalanced)
            self._add_joint(body, prefix, part)
            self._add_geoms(body, prefix, f"{part.name}_", part.shapes, part.anchor_m, self.moving_role)

    def _mesh_names(self) -> dict[tuple[Vector, ...], str]:
        meshes = dict.fromkeys(shape.vertices_m for shape in self.all_shapes() if shape.kind == "mesh")
        return {vertices: f"mesh{index}" for index, vertices in enumerate(meshes)}

    def _scaled(self, point: Vector, origin: Vector) -> list[float]:
        return [self.scale * (a - b) for a, b in zip(point, origin, strict=True)]

    def _add_joint(self, body: mujoco.MjsBody, prefix: str, part: MovingPart) -> None:
        is_hinge = part.kind == "hinge"
        reach = part.reach if is_hinge else part.reach * self.scale
        in_degrees = is_hinge and body.compiler.degree
        weight = self.scale ** (4 if is_hinge else 3)  # friction has to hold the moment of a weight, or the weight
        body.add_joint(
            name=prefix + part.joint,
            type=mujoco.mjtJoint.mjJNT_HINGE if is_hinge else mujoco.mjtJoint.mjJNT_SLIDE,
            axis=part.axis,
            range=(0.0, np.rad2deg(reach) if in_degrees else reach),
            limited=mujoco.mjtLimited.mjLIMITED_TRUE,
            damping=np.array([part.damping * weight, 0.0, 0.0]),
            frictionloss=part.friction_loss * weight,
            solimp_friction=SOLIMP,  # MuJoCo's own lets a lid creep down, and a hand push it beyond its end
            solimp_limit=SOLIMP,
        )

    def _add_geoms(
        self, body: mujoco.MjsBody, prefix: str, kind: str, shapes: Sequence[Shape], origin: Vector, role: Role
    ) -> None:
        meshes = self._mesh_names()
        for index, shape in enumerate(shapes):
            geom = body.add_geom(
                name=prefix + (shape.name or f"{kind}shape{index}"),
                type=GEOM_TYPES[shape.kind],
                pos=self._scaled(shape.centre_m, origin),
                quat=shape.quat_wxyz,
                rgba=self.paints[shape.colour],
            )
            if shape.kind == "mesh":
                geom.meshname = meshes[shape.vertices_m]
            else:
                geom.size = np.array(shape.size) * self.scale
            set_contact(geom, "visual" if shape.is_visual else role)
            if self.is_all_visual or not shape.is_visual:
                geom.mass = self.kg_per_m3 * shape.density * shape.volume_m3() * self.scale**3
            if self.design.rolls:
                geom.condim = ROLLING_CONDIM
                geom.friction = (*FRICTION[:2], ROLLING_FRICTION_M)
