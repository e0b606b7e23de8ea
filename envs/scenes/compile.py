"""Turn a scene into a MuJoCo model: floors, walls, doors, lights, and objects through their libraries.

Source: sheet molmospaces section 12 (solver, contact classes).

A model is built with every joint at 0 and every free body at its pose. Where things begin (a door ajar, a drawer pulled
out) is not a keyframe of the model, because a keyframe no longer fits once a robot is added to the specification:
`start_state` sets it by joint names in any model that has the scene in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zoo.envs.assets.library import AssetLibrary
from zoo.envs.scenes.appearance import Palette, add_light, set_picture
from zoo.envs.scenes.doors import add_door, joint_name
from zoo.envs.scenes.floors import add_ceiling, add_floor, add_ground
from zoo.envs.scenes.physics import set_options
from zoo.envs.scenes.specification import Placement, Room, Scene
from zoo.envs.scenes.walls import add_wall, corner_extensions
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError, DataError

OFFSCREEN_PX = (1280, 960)
JOINT_TOLERANCE = 1e-4  # rad or m that a position may lie outside its range


def build_spec(
    scene: Scene,
    libraries: Mapping[str, AssetLibrary],
    *,
    with_ceiling: bool = False,
    offscreen_px: tuple[int, int] = OFFSCREEN_PX,
) -> mujoco.MjSpec:
    """The scene as a specification, to which robots and cameras may be added.

    Bodies at the world are called like the rooms, walls, doors and objects.

    Args:
        scene: What to build.
        libraries: By the names that placements use.
        with_ceiling: Close the rooms from above; maps and pictures from above are made without.
        offscreen_px: Width and height of the largest picture that can be rendered.
    Returns:
        A specification that compiles.
    Raises:
        ConfigError: a library is missing.
        UnknownNameError: a library has no such asset.
        DataError: a polygon crosses itself.
    """
    _check_libraries(scene, libraries)
    spec = mujoco.MjSpec()
    spec.modelname = scene.name
    spec.compiler.degree = False
    set_options(spec)
    set_picture(spec, scene, offscreen_px)
    palette = Palette(spec)
    add_ground(spec.worldbody)
    for room in scene.rooms:
        body = add_floor(spec, room, palette)
        if with_ceiling:
            add_ceiling(spec, body, room, ceiling_height_m(scene, room), palette)
    extensions = corner_extensions(scene.walls)
    for wall in scene.walls:
        add_wall(spec.worldbody, wall, extensions[wall.name], palette)
        for hole in wall.openings:
            if hole.leaf is not None:
                add_door(spec.worldbody, wall, hole, palette)
    for light in scene.lights:
        add_light(spec.worldbody, light)
    for item in scene.objects:
        _add_object(spec, item, libraries[item.library])
    return spec


def compile_scene(
    scene: Scene,
    libraries: Mapping[str, AssetLibrary],
    *,
    with_ceiling: bool = False,
    offscreen_px: tuple[int, int] = OFFSCREEN_PX,
) -> mujoco.MjModel:
    """The scene as a model; arguments and errors as of `build_spec`.

    Raises:
        DataError: MuJoCo refuses an asset.
    """
    return compiled(build_spec(scene, libraries, with_ceiling=with_ceiling, offscreen_px=offscreen_px), scene.name)


def compiled(spec: mujoco.MjSpec, name: str) -> mujoco.MjModel:
    """The model of a specification.

    Args:
        spec: Of a scene.
        name: For the message.
    Raises:
        DataError: MuJoCo refuses it.
    """
    try:
        return spec.compile()
    except ValueError as error:
        raise DataError(f"scene {name!r} does not compile: {error}. Look at the asset named there") from error


def start_positions(model: mujoco.MjModel, scene: Scene) -> dict[str, float]:
    """Positions of the joints of doors and objects that do not begin at 0, by their names in the model.

    Raises:
        DataError: an object has no such joint, or the position is outside its range; all are named at once.
    """
    asked = {joint_name(hole): hole.leaf.angle for _, hole in scene.doors if hole.leaf is not None and hole.leaf.angle}
    asked |= {f"{item.name}/{joint}": value for item in scene.objects for joint, value in item.joints.items()}
    faults = [fault for name, value in asked.items() for fault in _joint_faults(model, name, value)]
    if faults:
        raise DataError(f"scene {scene.name!r}: " + "; ".join(faults))
    return asked


def start_state(model: mujoco.MjModel, scene: Scene) -> mujoco.MjData:
    """The state in which a scene begins: doors and drawers where the scene has them, everything at rest.

    Args:
        model: Of the scene, perhaps with a robot in it.
        scene: That the model was built from.
    Returns:
        With positions, contacts and sensors computed (`mj_forward`).
    Raises:
        DataError: as `start_positions`.
    """
    data = mujoco.MjData(model)
    for name, value in start_positions(model, scene).items():
        data.qpos[model.joint(name).qposadr[0]] = value
    mujoco.mj_forward(model, data)
    return data


def ceiling_height_m(scene: Scene, room: Room) -> float:
    """Height of the tallest wall around a room, of all walls where none bounds it; 0 without walls."""
    own = [wall.height_m for wall in scene.walls if room.name in wall.rooms]
    return max(own or [wall.height_m for wall in scene.walls], default=0.0)


def _check_libraries(scene: Scene, libraries: Mapping[str, AssetLibrary]) -> None:
    missing = {item.library: item.name for item in reversed(scene.objects) if item.library not in libraries}
    if missing:
        shown = ", ".join(f"{library!r} (for {item!r})" for library, item in sorted(missing.items()))
        raise ConfigError(
            f"scene {scene.name!r} needs asset libraries {shown}; given: {', '.join(libraries) or 'none'}. "
            "List them: zoo list asset_library"
        )


def _add_object(spec: mujoco.MjSpec, item: Placement, library: AssetLibrary) -> None:
    asset = library.asset(item.asset)
    asset.add_to(
        spec.worldbody,
        item.name,
        position_m=item.position_m,
        quat_wxyz=item.quat_wxyz,
        is_free=not (item.is_static or asset.facts.is_static),
        scale=item.scale,
        colours=item.colours,
    )


def _joint_faults(model: mujoco.MjModel, name: str, value: float) -> Iterator[str]:
    number = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT.value, name)
    owner = name.rpartition("/")[0]
    if number < 0:
        names = [model.joint(index).name for index in range(model.njnt)]
        own = [joint.removeprefix(f"{owner}/") for joint in names if joint.startswith(f"{owner}/")]
        yield f"{owner!r} has no joint {name.removeprefix(owner + '/')!r}; it has {', '.join(own) or 'none'}"
    elif model.jnt_type[number] in (mujoco.mjtJoint.mjJNT_FREE.value, mujoco.mjtJoint.mjJNT_BALL.value):
        yield f"joint {name!r} has no single position"
    elif model.jnt_limited[number]:
        low, high = model.jnt_range[number]
        if not low - JOINT_TOLERANCE <= value <= high + JOINT_TOLERANCE:
            yield f"joint {name!r} begins at {value:g}, expected {low:g} to {high:g}"
