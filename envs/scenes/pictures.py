"""Pictures of a scene: a plan from above, and views as somebody in its rooms would see them.

The plan is orthographic. For a view, somebody stands where most of the room is in sight: rays at eye height are cast
from places all over it, and the widest view of all wins; what is seen through a door does not count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from zoo.envs.navigation.occupancy import NO_ROOM, OccupancyMap
from zoo.envs.rendering import OffscreenRenderer
from zoo.envs.robots.cameras import PlacedCamera, add_cameras, looking_at, move_camera
from zoo.envs.scenes.compile import compiled
from zoo.envs.scenes.sources import OpenedScene, SpecifiedScene
from zoo.envs.simulator import mujoco

PLAN_PX = (640, 480)  # largest width, and height
VIEW_PX = (320, 240)
VIEW_ROWS = 2
ABOVE_M = 20.0  # of the camera for the plan; how far is all the same in an orthographic picture
EYE_M = 1.5
DOWN = math.radians(15)  # by which views look down
FOVY_DEG = 70.0
CLEARANCE_M = 0.25  # of whoever looks
PLACES = 24  # in a room
DIRECTIONS = 36
SIGHT_M = 8.0  # farther is not better
STEP_M = 0.1  # along a line of sight
SKY = ((0.85, 0.92, 1.0), (0.55, 0.7, 0.9))  # at the horizon and above
SKY_PX = 64
TEXT_PX = 13
BACKGROUND = (255, 255, 255)
LABEL, LABEL_SHADOW = (20, 20, 20), (255, 255, 255)


@dataclass(frozen=True, kw_only=True, slots=True)
class Viewpoint:
    """Where somebody stands and looks.

    Args:
        position_m: On the floor.
        yaw: Of the direction, ccw from +x.
        room: Name of the room; "" where the map has none.
    """

    position_m: tuple[float, float]
    yaw: float
    room: str = ""


def picture(opened: OpenedScene, *, views: int = 4) -> Image.Image:
    """The plan, and at its right one view of each of the largest rooms.

    Args:
        opened: The scene; where it has ceilings, they hide nothing from above, as renderers leave out their backs.
        views: Rooms to look into, at most; 0 draws the plan alone.
    Raises:
        MissingLibraryError: there is no GL library.
    """
    spec = opened.build(with_ceiling=isinstance(opened, SpecifiedScene))
    _add_sky(spec)
    size = spec.visual.global_
    size.offwidth, size.offheight = max(size.offwidth, PLAN_PX[0]), max(size.offheight, PLAN_PX[1])
    nowhere = looking_at("", (0, 0, 1), (1, 0, 1), fovy_deg=FOVY_DEG)
    add_cameras(spec, [_renamed(nowhere, number) for number in range(views + 1)])
    spec.camera(_camera(0)).proj = mujoco.mjtProjection.mjPROJ_ORTHOGRAPHIC
    model = compiled(spec, opened.name)
    data = opened.start(model)
    plan = opened.plan(model, data)
    points = viewpoints(model, data, plan, views)
    low, high = bounds_m(plan)
    width, span_m = _plan_size(low, high)
    middle = (low + high) / 2
    above = looking_at("", (*middle, ABOVE_M), (*middle, 0), fovy_deg=span_m, up=(0, 1, 0))
    move_camera(model, _renamed(above, 0))
    for number, point in enumerate(points, 1):
        move_camera(model, _renamed(_eye(point), number))
    mujoco.mj_forward(model, data)
    with OffscreenRenderer(width=width, height=PLAN_PX[1]) as renderer:
        pixels = _render(renderer, model, data, 0)
        drawn = Image.fromarray(np.where((renderer.geom_ids() < 0)[..., None], np.uint8(BACKGROUND), pixels))
    _label(drawn, opened, middle, PLAN_PX[1] / span_m)
    with OffscreenRenderer(width=VIEW_PX[0], height=VIEW_PX[1]) as renderer:
        seen = [_render(renderer, model, data, number) for number in range(1, len(points) + 1)]
    return _sheet(drawn, seen)


def viewpoints(model: mujoco.MjModel, data: mujoco.MjData, plan: OccupancyMap, count: int) -> tuple[Viewpoint, ...]:
    """The widest view of each of the largest rooms, of the whole map where it has no rooms.

    Args:
        model: Of the scene.
        data: Its state.
        plan: Its map.
        count: Of views; fewer where there are fewer rooms in which one can stand.
    """
    free = plan.dilated(CLEARANCE_M)
    sizes = np.bincount(plan.rooms.ravel())
    numbers = [number for number in np.argsort(-sizes, kind="stable") if number != NO_ROOM and sizes[number]]
    found = []
    for number in numbers or [NO_ROOM]:
        cells = np.argwhere(~free.blocked & (plan.rooms == number))
        if len(cells) and len(found) < count:
            chosen = cells[np.unique(np.linspace(0, len(cells) - 1, PLACES).astype(int))]
            position, yaw = _widest(model, data, plan, chosen)
            found.append(Viewpoint(position_m=position, yaw=yaw, room=plan.room_names.get(int(number), "")))
    return tuple(found)


def bounds_m(plan: OccupancyMap) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest corner of a map in the world, (2,) each."""
    rows, columns = plan.blocked.shape
    corners = np.array([[0, 0, 1], [rows, 0, 1], [0, columns, 1], [rows, columns, 1]]) @ plan.map_to_world.T
    return corners[:, :2].min(axis=0), corners[:, :2].max(axis=0)


def _widest(
    model: mujoco.MjModel, data: mujoco.MjData, plan: OccupancyMap, cells: np.ndarray
) -> tuple[tuple[float, float], float]:
    """Place (x, y) and yaw from which the area in sight is largest, among cells (cells, 2) of one room."""
    yaws = np.arange(DIRECTIONS) * (2 * math.pi / DIRECTIONS)
    flat = np.stack([np.cos(yaws), np.sin(yaws)], axis=1)
    level = math.cos(DOWN)
    rays = np.column_stack([level * flat, np.full(DIRECTIONS, -math.sin(DOWN))]).ravel()
    aspect = VIEW_PX[0] / VIEW_PX[1]
    half = math.atan(aspect * math.tan(math.radians(FOVY_DEG) / 2)) / (yaws[1] - yaws[0])
    window = np.abs((np.arange(DIRECTIONS) + DIRECTIONS // 2) % DIRECTIONS - DIRECTIONS // 2) <= half
    best, chosen = -1.0, (0, 0)
    ids, distances = np.zeros(DIRECTIONS, np.int32), np.zeros(DIRECTIONS)
    places = plan.point_of(cells)
    for index, (x, y) in enumerate(places.tolist()):
        eye = np.array([x, y, EYE_M])
        mujoco.mj_multiRay(model, data, eye, rays, None, True, -1, ids, distances, None, DIRECTIONS, SIGHT_M / level)
        seen = np.where(distances < 0, SIGHT_M, distances * level)  # nothing in sight comes back as -1
        seen = np.minimum(seen, _to_border(plan, cells[index], flat))
        areas = [float((seen[np.roll(window, turn)] ** 2).sum()) for turn in range(DIRECTIONS)]
        if max(areas) > best:
            best, chosen = max(areas), (index, int(np.argmax(areas)))
    return tuple(places[chosen[0]].tolist()), float(yaws[chosen[1]])


def _to_border(plan: OccupancyMap, cell: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(directions,) metres from a cell until lines along (directions, 2) unit vectors leave its room, or the map."""
    steps = np.arange(0.0, SIGHT_M, STEP_M)
    cells = plan.cell_of(plan.point_of(cell) + steps[:, None, None] * directions)  # (steps, directions, 2)
    inside = plan.contains(cells)
    row, column = np.moveaxis(np.where(inside[..., None], cells, 0), -1, 0)
    stays = inside & (plan.rooms[row, column] == plan.rooms[tuple(cell)])
    return np.where(stays.all(axis=0), SIGHT_M, stays.argmin(axis=0) * STEP_M)


def _add_sky(spec: mujoco.MjSpec) -> None:
    """Behind windows, where a scene has no sky of its own."""
    if not any(texture.type == mujoco.mjtTexture.mjTEXTURE_SKYBOX for texture in spec.textures):
        spec.add_texture(
            name="picture/sky",
            type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
            builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
            rgb1=SKY[1],
            rgb2=SKY[0],
            width=SKY_PX,
            height=6 * SKY_PX,
        )


def _plan_size(low: np.ndarray, high: np.ndarray) -> tuple[int, float]:
    """Width of the plan in pixels, and metres from its top to its bottom."""
    across, along = (high - low).tolist()
    span = max(along, across * PLAN_PX[1] / PLAN_PX[0])
    return math.ceil(PLAN_PX[1] * across / span), span


def _eye(point: Viewpoint) -> PlacedCamera:
    x, y = point.position_m
    ahead = (x + math.cos(point.yaw), y + math.sin(point.yaw), EYE_M - math.tan(DOWN))
    return looking_at("", (x, y, EYE_M), ahead, fovy_deg=FOVY_DEG)


def _camera(number: int) -> str:
    return f"picture/{number}"


def _renamed(camera: PlacedCamera, number: int) -> PlacedCamera:
    return PlacedCamera(
        name=_camera(number),
        body=None,
        position_m=camera.position_m,
        quat_wxyz=camera.quat_wxyz,
        fovy_deg=camera.fovy_deg,
    )


def _render(renderer: OffscreenRenderer, model: mujoco.MjModel, data: mujoco.MjData, number: int) -> np.ndarray:
    renderer.bind(model, camera=model.camera(_camera(number)).id)
    renderer.update(data)
    return renderer.rgb()


def _label(drawn: Image.Image, opened: OpenedScene, middle: np.ndarray, px_per_m: float) -> None:
    """Write what each room is into the plan."""
    if not isinstance(opened, SpecifiedScene):
        return
    pen, font = ImageDraw.Draw(drawn), ImageFont.load_default(TEXT_PX)
    for room in opened.scene.rooms:
        offset = (np.mean(room.polygon_m, axis=0) - middle) * px_per_m
        place = (drawn.width / 2 + offset[0], drawn.height / 2 - offset[1])
        text = room.room_type.replace("_", " ")
        pen.text(place, text, LABEL, font, anchor="mm", stroke_width=2, stroke_fill=LABEL_SHADOW)


def _sheet(drawn: Image.Image, seen: Sequence[np.ndarray]) -> Image.Image:
    """The plan at the left, views in columns of `VIEW_ROWS` at the right."""
    columns = -(-len(seen) // VIEW_ROWS)
    sheet = Image.new("RGB", (drawn.width + columns * VIEW_PX[0], PLAN_PX[1]), BACKGROUND)
    sheet.paste(drawn)
    for index, pixels in enumerate(seen):
        column, row = divmod(index, VIEW_ROWS)
        sheet.paste(Image.fromarray(pixels), (drawn.width + column * VIEW_PX[0], row * VIEW_PX[1]))
    return sheet
