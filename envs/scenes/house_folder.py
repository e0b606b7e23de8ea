"""Write a scene as a folder: our own description, and the files of a house in the public layout.

Source: sheet molmospaces section 12, files of a house. For the scene `train_12`:

    scene.json               all of it, in the terms of `Scene`
    train_12.xml             MJCF without ceilings, for maps and cameras above
    train_12_ceiling.xml     MJCF with ceilings
    train_12_metadata.json   what every body is
    train_12_map.png         occupancy map with room ids
    assets/                  pictures on surfaces

In both models everything begins as in the scene: what is ajar is built ajar, and its joint counts from there (`ref`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zoo.envs.assets.library import AssetLibrary
from zoo.envs.navigation.map_files import write_map
from zoo.envs.navigation.occupancy import build_map
from zoo.envs.scenes.compile import build_spec, compiled, start_positions, start_state
from zoo.envs.scenes.export_mjcf import export_mjcf
from zoo.envs.scenes.metadata import metadata_of
from zoo.envs.scenes.specification import Scene
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError

SCENE_FILE = "scene.json"


def write_house_folder(scene: Scene, libraries: Mapping[str, AssetLibrary], folder: str | Path) -> Path:
    """Write the files; those of an earlier writing are replaced.

    Args:
        scene: Whose name the files get.
        libraries: By the names that its placements use.
        folder: Is made.
    Returns:
        The folder.
    Raises:
        ConfigError: the folder is a file.
        ZooError: the scene cannot be built, as `compile_scene` says.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; a scene is written as a folder of files, such as {folder.parent}")
    spec = build_spec(scene, libraries, with_ceiling=True)
    model = compiled(spec, scene.name)
    data = start_state(model, scene)
    make_portable(spec, start_positions(model, scene))
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / SCENE_FILE, scene.to_json())
    export_mjcf(spec, folder / f"{scene.name}_ceiling.xml")
    # Taken from the same specification, so that pictures of both models have the same names.
    for room in scene.rooms:
        spec.delete(spec.geom(f"{room.name}/ceiling"))
        spec.delete(spec.mesh(f"{room.name}/ceiling"))
    export_mjcf(spec, folder / f"{scene.name}.xml")
    _write_json(folder / f"{scene.name}_metadata.json", metadata_of(scene, libraries, model))
    write_map(folder / f"{scene.name}_map.png", build_map(model, data, scene=scene))
    return folder


def make_portable(spec: mujoco.MjSpec, positions: Mapping[str, float]) -> None:
    """Let joints of a specification begin at positions, also in a file that is written of it.

    Bodies are moved along their joints, and `ref` names the position. Unlike a keyframe this stays right when a robot
    is added.

    Args:
        spec: Is changed. Bodies of these joints have one joint and an orientation by quaternion.
        positions: By name of hinge or slide, rad or m.
    """
    for name, value in positions.items():
        joint = spec.joint(name)
        body = joint.parent
        axis = np.array(joint.axis) / np.linalg.norm(joint.axis)
        turn, shift = np.array([1.0, 0.0, 0.0, 0.0]), value * axis
        if joint.type == mujoco.mjtJoint.mjJNT_HINGE:
            mujoco.mju_axisAngle2Quat(turn, axis, value)
            swung = np.zeros(3)
            mujoco.mju_rotVecQuat(swung, joint.pos, turn)
            shift = joint.pos - swung  # the anchor stays where it is
        moved, quat = np.zeros(3), np.zeros(4)
        mujoco.mju_rotVecQuat(moved, shift, body.quat)
        mujoco.mju_mulQuat(quat, body.quat, turn)
        body.pos, body.quat, joint.ref = body.pos + moved, quat, value


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
