"""The way of a robot through an episode, drawn into the plan of its house.

From above: rooms in pale colours with their types, walls with doors and windows, outlines of what stands on the floor,
outlines of what was sought, and the way of the base, blue at the start and red at the end. Drawn from the scene and the
shadows of collision geoms, without a renderer, so that a picture of every episode of a benchmark can be kept.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from zoo.envs.navigation.footprints import collision_footprints, subtree
from zoo.envs.navigation.raster import ConvexShapes, touched_cells
from zoo.envs.scenes.specification import FLOOR, Opening, Scene, Wall
from zoo.envs.simulation.environment import EpisodeEnv
from zoo.envs.simulator import mujoco
from zoo.navigation_actions import SpocAction

TRAJECTORIES = "trajectories"
"""Folder of a run, with a picture for each episode by its index."""

LONGEST_PX = 420  # of the house; six furnished rooms with a way of 200 steps are a file of 5 kB
MARGIN_PX = 8
FINER = 3  # drawn so many times larger, and made smaller at the end: PIL draws lines without antialiasing
LOW_M, HIGH_M = 0.02, 2.0  # heights of what is outlined: no rugs, no lamps at the ceiling
COLOURS = 96  # of the file's palette
TEXT_PX = 11

OUTSIDE, WALL, LEAF, PANE = (255, 255, 255), (70, 74, 80), (168, 121, 74), (120, 182, 224)
ROOM_COLOURS = ((246, 240, 228), (231, 240, 246), (236, 243, 230), (244, 233, 238), (238, 236, 246), (246, 244, 222))
THING, THING_EDGE = (222, 222, 218), (158, 160, 162)
SOUGHT, SOUGHT_EDGE = (255, 214, 140), (226, 132, 0)
TEXT, START, END = (96, 100, 106), (34, 139, 60), (190, 30, 40)
WAY = ((40, 70, 200), (0, 165, 190), (90, 175, 60), (240, 170, 0), (215, 40, 40))
"""Of the way, at equal steps of time from start to end."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Trajectory:
    """What is drawn of an episode.

    Args:
        scene: The house.
        things: Shadows of what stands on its floor, world frame, metres.
        sought: Shadows of the task's targets, at the start.
        poses: (steps + 1, 3) x, y and yaw of the base, at the start and after every step.
        said: Actions of the steps, one fewer than the poses; None for robots whose actions have no names.
    """

    scene: Scene
    things: ConvexShapes
    sought: ConvexShapes
    poses: np.ndarray
    said: tuple[SpocAction | None, ...]


class TrajectoryRecorder:
    """Follows one episode."""

    def __init__(self) -> None:
        self._start: tuple[Scene, ConvexShapes, ConvexShapes] | None = None
        self._poses: list[np.ndarray] = []
        self._said: list[SpocAction | None] = []

    def add(self, env: EpisodeEnv) -> None:
        """Note where the robot is: at the start of the episode, and after every step."""
        world = env.simulation.world
        if self._start is None:
            scene, sought = env.simulation.house.scene, env.task.targets
            standing = [one.name for one in scene.objects if one.support == FLOOR and one.name in world.objects]
            things, targets = (_shadows(world.model, world.data, names) for names in (standing, sought))
            self._start = scene, things, targets
        else:
            self._said.append(world.said)
        self._poses.append(world.base_pose())

    def trajectory(self) -> Trajectory:
        """What was noted so far.

        Raises:
            ValueError: nothing was.
        """
        if self._start is None:
            raise ValueError("a trajectory of no pose; call add at the start of the episode")
        scene, things, sought = self._start
        return Trajectory(
            scene=scene, things=things, sought=sought, poses=np.array(self._poses), said=tuple(self._said)
        )

    def write(self, file: Path) -> None:
        """Draw what was noted so far into a PNG; whole, or not at all."""
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}.unfinished")
        drawn = picture(self.trajectory()).quantize(COLOURS, dither=Image.Dither.NONE)
        drawn.save(unfinished, "PNG", optimize=True)
        os.replace(unfinished, file)


def picture(trajectory: Trajectory) -> Image.Image:
    """The plan with the way in it, north up: RGB, `LONGEST_PX` and two margins along its longer side."""
    plan = _Plan.of(trajectory.scene)
    image = Image.new("RGB", plan.size_px, OUTSIDE)
    pen = ImageDraw.Draw(image)
    _draw_rooms(pen, plan, trajectory.scene)
    _draw_shapes(image, plan, trajectory.things, THING, THING_EDGE)
    for wall in trajectory.scene.walls:
        _draw_wall(pen, plan, wall)
    _draw_shapes(image, plan, trajectory.sought, SOUGHT, SOUGHT_EDGE)
    _label_rooms(pen, plan, trajectory.scene)
    _draw_way(pen, plan, trajectory)
    width, height = image.size
    return image.resize((width // FINER, height // FINER), Image.Resampling.BOX)


def way_colour(share: float) -> tuple[int, int, int]:
    """Colour of the way after a share of its steps, in [0, 1]."""
    places = np.linspace(0, 1, len(WAY))
    red, green, blue = (round(float(np.interp(share, places, channel))) for channel in zip(*WAY, strict=True))
    return red, green, blue


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """From metres on the floor to pixels of the larger drawing; y goes up there and down here.

    Args:
        low_m: Lowest corner of the house.
        px_per_m: Pixels a metre.
        size_px: Width and height.
    """

    low_m: tuple[float, float]
    px_per_m: float
    size_px: tuple[int, int]

    @classmethod
    def of(cls, scene: Scene) -> _Plan:
        corners = np.array(
            [corner for room in scene.rooms for corner in room.polygon_m]
            + [end for wall in scene.walls for end in (wall.start_m, wall.end_m)]
        )
        low, span = corners.min(axis=0), np.ptp(corners, axis=0)
        scale = LONGEST_PX / float(span.max())
        width, height = (FINER * (math.ceil(length * scale) + 2 * MARGIN_PX) for length in span.tolist())
        return cls(low_m=tuple(low.tolist()), px_per_m=scale * FINER, size_px=(width, height))

    def at(self, point_m: Sequence[float]) -> tuple[float, float]:
        """(x, y) in pixels."""
        x, y = (self.px_per_m * (point_m[axis] - self.low_m[axis]) + FINER * MARGIN_PX for axis in (0, 1))
        return x, self.size_px[1] - y

    def shapes(self, shapes: ConvexShapes) -> ConvexShapes:
        """The same in pixels."""
        linear = np.diag([self.px_per_m, -self.px_per_m])
        return shapes.moved(linear, np.array(self.at((0.0, 0.0))))


def _shadows(model: mujoco.MjModel, data: mujoco.MjData, names: Iterable[str]) -> ConvexShapes:
    return collision_footprints(model, data, bodies=subtree(model, names), low_m=LOW_M, high_m=HIGH_M)


def _draw_rooms(pen: ImageDraw.ImageDraw, plan: _Plan, scene: Scene) -> None:
    """Types have colours in the order of their names, so that a type looks the same all over a house."""
    types = sorted({room.room_type for room in scene.rooms})
    for room in scene.rooms:
        colour = ROOM_COLOURS[types.index(room.room_type) % len(ROOM_COLOURS)]
        pen.polygon([plan.at(corner) for corner in room.polygon_m], fill=colour)


def _label_rooms(pen: ImageDraw.ImageDraw, plan: _Plan, scene: Scene) -> None:
    font = ImageFont.load_default(TEXT_PX * FINER)
    for room in scene.rooms:
        middle = np.mean(room.polygon_m, axis=0)
        pen.text(plan.at(middle), room.room_type.replace("_", " "), TEXT, font, anchor="mm")


def _draw_shapes(
    image: Image.Image, plan: _Plan, shapes: ConvexShapes, fill: tuple[int, int, int], edge: tuple[int, int, int]
) -> None:
    width, height = plan.size_px
    cells = touched_cells(plan.shapes(shapes), height, width)
    around = cells.copy()
    for axis, reach in ((0, FINER), (0, -FINER), (1, FINER), (1, -FINER)):
        around |= np.roll(cells, reach, axis)  # what is rolled over a border is margin
    for colour, part in ((edge, around), (fill, cells)):
        image.paste(colour, mask=Image.fromarray(part))


def _draw_wall(pen: ImageDraw.ImageDraw, plan: _Plan, wall: Wall) -> None:
    thickness = max(2 * FINER, round(wall.thickness_m * plan.px_per_m))
    cuts = [0.0, *(end for hole in wall.openings for end in (hole.offset_m, hole.offset_m + hole.width_m))]
    for begin, end in zip(cuts[::2], [*cuts[1::2], wall.length_m], strict=True):
        pen.line([plan.at(wall.at(begin)), plan.at(wall.at(end))], WALL, thickness)
    for hole in wall.openings:
        ends = wall.at(hole.offset_m), wall.at(hole.offset_m + hole.width_m)
        if hole.kind == "window":
            pen.line([plan.at(end) for end in ends], PANE, thickness)
        elif hole.leaf is not None:
            _draw_leaf(pen, plan, wall, hole)


def _draw_leaf(pen: ImageDraw.ImageDraw, plan: _Plan, wall: Wall, hole: Opening) -> None:
    """The leaf of a door at the angle at which it begins."""
    is_at_start, is_left = hole.leaf.hinge == "start", hole.leaf.swing == "left"
    hinge = wall.at(hole.offset_m if is_at_start else hole.offset_m + hole.width_m)
    closed = wall.yaw if is_at_start else wall.yaw + math.pi
    turn = hole.leaf.angle if is_at_start == is_left else -hole.leaf.angle
    tip = (
        hinge[0] + hole.width_m * math.cos(closed + turn),
        hinge[1] + hole.width_m * math.sin(closed + turn),
    )
    pen.line([plan.at(hinge), plan.at(tip)], LEAF, 2 * FINER)


def _draw_way(pen: ImageDraw.ImageDraw, plan: _Plan, trajectory: Trajectory) -> None:
    points = [plan.at(pose) for pose in trajectory.poses[:, :2]]
    last = max(len(points) - 1, 1)
    for step, ends in enumerate(pairwise(points)):
        colour = way_colour(step / last)
        pen.line(ends, colour, 3 * FINER)
        for x, y in ends:  # round joints
            _disc(pen, x, y, 1.5 * FINER, colour)
    for step, action in enumerate(trajectory.said, 1):
        if action is SpocAction.SUB_DONE:
            _diamond(pen, *points[step], 5 * FINER, way_colour(step / last))
        elif action is SpocAction.PICKUP:
            _disc(pen, *points[step], 5 * FINER, way_colour(step / last), outline=OUTSIDE)
    _pointer(pen, points[0], trajectory.poses[0, 2], START)
    _disc(pen, *points[0], 5 * FINER, START, outline=OUTSIDE)
    x, y = points[-1]
    if trajectory.said and trajectory.said[-1] is SpocAction.DONE:
        pen.ellipse((x - 9 * FINER, y - 9 * FINER, x + 9 * FINER, y + 9 * FINER), outline=END, width=2 * FINER)
    _pointer(pen, points[-1], trajectory.poses[-1, 2], END)
    half = 4 * FINER
    pen.rectangle((x - half, y - half, x + half, y + half), END, OUTSIDE, FINER)


def _pointer(pen: ImageDraw.ImageDraw, place: tuple[float, float], yaw: float, colour: tuple[int, int, int]) -> None:
    """A line from a place to where the robot faces."""
    reach = 13 * FINER
    tip = (place[0] + reach * math.cos(yaw), place[1] - reach * math.sin(yaw))
    pen.line([place, tip], colour, 2 * FINER)


def _disc(
    pen: ImageDraw.ImageDraw,
    x: float,
    y: float,
    radius: float,
    colour: tuple[int, int, int],
    outline: tuple[int, int, int] | None = None,
) -> None:
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), colour, outline, FINER)


def _diamond(pen: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: tuple[int, int, int]) -> None:
    pen.polygon([(x - radius, y), (x, y - radius), (x + radius, y), (x, y + radius)], colour, OUTSIDE, FINER)
