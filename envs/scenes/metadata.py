"""The `_metadata.json` of a house in the public layout.

Source: sheet molmospaces section 12 (fields of the metadata). `mjcf_path` is empty: our objects are built
into the scene's own MJCF.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from zoo.envs.assets.library import AssetFacts, AssetLibrary
from zoo.envs.scenes.compile import ceiling_height_m
from zoo.envs.scenes.inventory import Inventory
from zoo.envs.scenes.specification import Placement, Scene
from zoo.envs.simulator import mujoco

OBJECT_ENUM = "custom_obj"  # neither THOR's nor Objaverse's
DOOR_ASSET = "zoo_door"
HASH_BYTES = 16
OUTSIDE = 0  # room id of what is in no room


def hash_name(library: str, asset: str) -> str:
    """Digest of an asset's identity, the same in every scene, hexadecimal."""
    return hashlib.blake2b(f"{library}:{asset}".encode(), digest_size=HASH_BYTES).hexdigest()


def room_ids(scene: Scene) -> dict[str, int]:
    """Number of each room by name, from 1; 0 is outside."""
    return {room.name: number for number, room in enumerate(scene.rooms, OUTSIDE + 1)}


def metadata_of(scene: Scene, libraries: Mapping[str, AssetLibrary], model: mujoco.MjModel) -> dict[str, Any]:
    """What public readers want to know of a house, as plain JSON.

    Args:
        scene: The house.
        libraries: By the names that its placements use.
        model: Compiled from the scene; gives names and sizes.
    Returns:
        `objects` maps the name of a root body to `hash_name`, `asset_id`, `object_id`, `category`, `object_enum`,
        `is_static`, `name_map` (bodies, joints and sites of the model to their names in the asset), `mjcf_path`,
        `parent` (what it rests on; None for floor and walls), `room_id`, `children` and `boundingBox` (extents x, y, z
        in metres, along the object's axes). Doors are objects of the category door. `rooms` has name, type, polygon and
        height by room id.
    """
    inventory = Inventory.of_scene(scene, model)
    numbers = room_ids(scene)
    names = _names_by_root(model)
    sizes = {item.name: item.half_m for item in inventory.items}
    placed = {item.name for item in scene.objects}
    children: dict[str, list[str]] = {name: [] for name in placed}
    for item in scene.objects:
        if item.support in placed:
            children[item.support].append(item.name)
    objects = {}
    for item in scene.objects:
        asset = libraries[item.library].facts()[item.asset]
        objects[item.name] = _entry(item, asset, numbers) | {
            "name_map": names[item.name],
            "parent": item.support if item.support in placed else None,
            "children": children[item.name],
            "boundingBox": _extents(sizes[item.name]),
        }
    for wall, hole in scene.doors:
        if hole.leaf is not None:
            objects[hole.name] = {
                "hash_name": hash_name("", DOOR_ASSET),
                "asset_id": DOOR_ASSET,
                "object_id": hole.name,
                "category": "door",
                "object_enum": OBJECT_ENUM,
                "is_static": True,
                "mjcf_path": "",
                "room_id": next((numbers[room] for room in wall.rooms if room is not None), OUTSIDE),
                "name_map": names[hole.name],
                "parent": None,
                "children": [],
                "boundingBox": _extents(sizes[hole.name]),
            }
    rooms = {
        str(numbers[room.name]): {
            "name": room.name,
            "room_type": room.room_type,
            "polygon_m": [list(corner) for corner in room.polygon_m],
            "height_m": ceiling_height_m(scene, room),
        }
        for room in scene.rooms
    }
    return {"objects": objects, "rooms": rooms}


def _entry(item: Placement, asset: AssetFacts, numbers: Mapping[str, int]) -> dict[str, Any]:
    return {
        "hash_name": hash_name(item.library, item.asset),
        "asset_id": item.asset,
        "object_id": item.name,
        "category": asset.category,
        "object_enum": OBJECT_ENUM,
        "is_static": item.is_static or asset.is_static,
        "mjcf_path": "",
        "room_id": OUTSIDE if item.room is None else numbers[item.room],
    }


def _extents(half_m: Any) -> dict[str, float]:
    return {axis: float(2 * half) for axis, half in zip("xyz", half_m, strict=True)}


def _names_by_root(model: mujoco.MjModel) -> dict[str, dict[str, dict[str, str]]]:
    """Names of bodies, joints and sites in the model to their own names, by the name of the root body."""
    roots = [model.body(int(root)).name for root in model.body_rootid]
    names: dict[str, dict[str, dict[str, str]]] = {
        root: {"bodies": {}, "joints": {}, "sites": {}} for root in dict.fromkeys(roots)
    }
    named = (
        ("bodies", [(model.body(i).name, i) for i in range(model.nbody)]),
        ("joints", [(model.joint(i).name, model.jnt_bodyid[i]) for i in range(model.njnt)]),
        ("sites", [(model.site(i).name, model.site_bodyid[i]) for i in range(model.nsite)]),
    )
    for kind, entries in named:
        for name, body in entries:
            root = roots[body]
            names[root][kind][name] = name.removeprefix(f"{root}/")
    return names
