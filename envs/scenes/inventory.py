"""What a model of a scene holds, by object: its bodies, its joints, how large and heavy it is, whether it is free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.envs.scenes.compile import start_state
from zoo.envs.scenes.specification import Scene
from zoo.envs.simulator import mujoco
from zoo.errors import DataError

SCALAR_JOINTS = (mujoco.mjtJoint.mjJNT_HINGE.value, mujoco.mjtJoint.mjJNT_SLIDE.value)
NOBODY = -1
CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)


@dataclass(frozen=True, kw_only=True)
class Item:
    """One object, or the leaf of a door.

    Args:
        name: Of its root body.
        body: Number of the root body.
        is_free: Its root has a free joint.
        is_door: It belongs to the house and is no object of the scene.
        joints: Numbers of its hinges and slides that have a range.
        geoms: Numbers of the geoms that collide.
        mass_kg: Of all its bodies.
        centre_m: Middle of the box around its colliding geoms at the start, in the root body's frame, (3,).
        half_m: Half the extents of that box, (3,).
    """

    name: str
    body: int
    is_free: bool
    is_door: bool
    joints: tuple[int, ...]
    geoms: tuple[int, ...]
    mass_kg: float
    centre_m: np.ndarray
    half_m: np.ndarray

    @property
    def volume_m3(self) -> float:
        return float(8 * np.prod(self.half_m))


class Inventory:
    """A model at its start, sorted by objects.

    Args:
        model: With the objects in it; it is not changed.
        start: State in which the scene begins; it is not changed.
        objects: Names of the objects' root bodies.
        doors: Names of the bodies of door leaves.
        name: Of the scene, for messages.
    Raises:
        DataError: the model has no body of a name.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        start: mujoco.MjData,
        *,
        objects: Sequence[str],
        doors: Sequence[str] = (),
        name: str = "scene",
    ) -> None:
        self.model, self.start, self.name = model, start, name
        names = [*objects, *doors]
        roots = [mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY.value, body) for body in names]
        missing = [body for body, root in zip(names, roots, strict=True) if root < 0]
        if missing:
            raise DataError(f"{name!r}: the model has no body {', '.join(map(repr, missing[:5]))}; compile this scene")
        self.owner = _owners(model, roots)
        self.items = tuple(
            self._item(number, root, is_door=number >= len(objects)) for number, root in enumerate(roots)
        )

    @classmethod
    def of_scene(cls, scene: Scene, model: mujoco.MjModel) -> Inventory:
        """Of the model that a scene was compiled to."""
        return cls(
            model,
            start_state(model, scene),
            objects=[item.name for item in scene.objects],
            doors=[hole.name for _, hole in scene.doors if hole.leaf is not None],
            name=scene.name,
        )

    def owner_of_geom(self, geom: int) -> int:
        """Number of the item that a geom belongs to, or NOBODY for floor, walls and whatever else is there."""
        return int(self.owner[self.model.geom_bodyid[geom]])

    def name_of_geom(self, geom: int) -> str:
        """What a geom belongs to, in a word: an item, a wall, the floor."""
        owner = self.owner_of_geom(geom)
        if owner != NOBODY:
            return self.items[owner].name
        body = self.model.geom_bodyid[geom]
        return self.model.geom(geom).name if body == 0 else self.model.body(self.model.body_rootid[body]).name

    def joint_name(self, joint: int) -> str:
        return self.model.joint(joint).name

    def holds(self, number: int, data: mujoco.MjData, point: np.ndarray) -> bool:
        """Whether a point (3,) of the world is within an item's box."""
        item = self.items[number]
        rotation = data.xmat[item.body].reshape(3, 3)
        local = rotation.T @ (point - data.xpos[item.body]) - item.centre_m
        return bool(np.all(np.abs(local) <= item.half_m))

    def _item(self, number: int, root: int, *, is_door: bool) -> Item:
        model = self.model
        bodies = np.flatnonzero(self.owner == number)
        is_mine = np.isin(model.geom_bodyid, bodies)
        geoms = np.flatnonzero(is_mine & ((model.geom_contype != 0) | (model.geom_conaffinity != 0)))
        centre, half = _box(model, self.start, root, geoms if len(geoms) else np.flatnonzero(is_mine))
        first = model.body_jntadr[root]
        return Item(
            name=model.body(root).name,
            body=root,
            is_free=bool(first >= 0 and model.jnt_type[first] == mujoco.mjtJoint.mjJNT_FREE.value),
            is_door=is_door,
            joints=tuple(
                int(joint)
                for joint in np.flatnonzero(np.isin(model.jnt_bodyid, bodies))
                if model.jnt_type[joint] in SCALAR_JOINTS and model.jnt_limited[joint]
            ),
            geoms=tuple(int(geom) for geom in geoms),
            mass_kg=float(model.body_mass[bodies].sum()),
            centre_m=centre,
            half_m=half,
        )


def _owners(model: mujoco.MjModel, roots: Sequence[int]) -> np.ndarray:
    """(bodies,) number of the item that each body belongs to, or NOBODY; parents come before children."""
    owner = np.full(model.nbody, NOBODY)
    number_of_root = {root: number for number, root in enumerate(roots)}
    for body in range(1, model.nbody):
        owner[body] = number_of_root.get(body, owner[model.body_parentid[body]])
    return owner


def geom_boxes(model: mujoco.MjModel, data: mujoco.MjData, geoms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest corner of the axis-aligned boxes around geoms in the world, each (geoms, 3)."""
    rotation = data.geom_xmat[geoms].reshape(-1, 3, 3)
    centre = data.geom_xpos[geoms] + np.einsum("gij,gj->gi", rotation, model.geom_aabb[geoms, :3])
    half = np.einsum("gij,gj->gi", np.abs(rotation), model.geom_aabb[geoms, 3:])
    return centre - half, centre + half


def _box(model: mujoco.MjModel, data: mujoco.MjData, root: int, geoms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle and half extents of the box around geoms, along the axes of a body, each (3,)."""
    if not len(geoms):
        return np.zeros(3), np.zeros(3)
    rotation = data.geom_xmat[geoms].reshape(-1, 1, 3, 3)
    local = model.geom_aabb[geoms, None, :3] + CORNERS * model.geom_aabb[geoms, None, 3:]  # (geoms, 8, 3)
    world = data.geom_xpos[geoms, None] + np.einsum(
        "gcij,gcj->gci", np.broadcast_to(rotation, (*local.shape, 3)), local
    )
    points = (world - data.xpos[root]).reshape(-1, 3) @ data.xmat[root].reshape(3, 3)
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, (high - low) / 2
