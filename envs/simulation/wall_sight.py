"""What the walls of a house hide from a place, found in the plane before anything is drawn.

Walls stand from the floor to one height, and whatever is between floor and that height behind one of them is hidden
from an eye that is also between them. Doors, windows and all that is no whole wall hide nothing here. So what is said
to be hidden shows in no pixel, and what is not said to be may be hidden all the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from zoo.envs.kinematics.poses import Array
from zoo.envs.scenes.physics import COLLISION_GROUP
from zoo.envs.simulator import mujoco

LEAST_TOP_M, LEAST_LENGTH_M = 2.0, 0.2  # of boxes that count as wall
SAME_M = 1e-3  # heights that are one
LEVEL = 1e-9  # of one less the cosine: axes that are upright
INSET_M = 1e-3  # by which a wall's ends hide less than they could: drawn edges that meet are not quite tight
NEAR_M = 0.05  # of an eye; a wall that near may be cut open by the picture's nearest plane
BELOW_M = 0.02  # that things may sink into the floor, which hides what is beneath it
WIDEST = 0.99 * math.pi  # part of the round view without a corner; an eye outside of a house has a wider one
SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)


@dataclass(frozen=True, slots=True)
class Outline:
    """How far an eye sees around itself; everything is in the plane, from the eye.

    Parts of the round view end where a wall does, so that a wall stands in the whole of a part or nowhere in it.

    Args:
        edges: (parts + 1,) angles between the parts, rising by a whole turn, rad.
        farthest_m: (parts,) at most, until the first wall.
    """

    edges: Array
    farthest_m: Array

    def is_past(self, points_m: Array) -> np.ndarray:
        """(points,) bool: (points, 2) that are farther than what is seen in their direction."""
        angles = np.arctan2(points_m[:, 1], points_m[:, 0])
        parts = np.searchsorted(self.edges, angles, side="right") - 1  # before the first edge: the last part
        return np.hypot(points_m[:, 0], points_m[:, 1]) > self.farthest_m[np.minimum(parts, len(self.farthest_m) - 1)]

    def is_behind(self, corners_m: Array) -> np.ndarray:
        """(things,) bool: as a whole farther than what is seen, in all directions in which they lie.

        Args:
            corners_m: (things, points, 2) around each.
        """
        centres = corners_m.mean(axis=1)
        towards = centres / np.maximum(np.linalg.norm(centres, axis=1), 1e-9)[:, None]
        ahead = np.einsum("gpi,gi->gp", corners_m, towards)
        aside = corners_m[:, :, 1] * towards[:, None, 0] - corners_m[:, :, 0] * towards[:, None, 1]
        nearest = ahead.min(axis=1)  # not above the distance of any point between the corners
        angles = np.arctan2(aside, np.maximum(ahead, 1e-9))
        half = np.diff(self.edges) / 2
        offsets = _wrapped(self.edges[:-1] + half - np.arctan2(towards[:, 1], towards[:, 0])[:, None])
        overlaps = offsets + half >= angles.min(axis=1)[:, None]  # (things, parts)
        overlaps &= offsets - half <= angles.max(axis=1)[:, None]
        return (nearest > 0) & ~(overlaps & (self.farthest_m >= nearest[:, None])).any(axis=1)


class WallSight:
    """The whole walls of a scene.

    Args:
        model: Of the scene.
        data: Its state, positions computed; walls stay where they are.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._model = model
        walls = _candidates(model)
        rotations = data.geom_xmat[walls].reshape(-1, 3, 3)
        upright = np.abs(rotations[:, 2]).argmax(axis=1)  # which of their axes
        rows = np.arange(len(walls))
        half = model.geom_size[walls]
        heights, middles = half[rows, upright], data.geom_xpos[walls]
        tops, bottoms = middles[:, 2] + heights, middles[:, 2] - heights
        flat = np.array([[1, 2], [0, 2], [0, 1]])[upright]  # the other two axes
        across = half[rows[:, None], flat].argmin(axis=1)
        along = flat[rows, 1 - across]
        lengths, thicknesses = half[rows, along], half[rows, flat[rows, across]]
        whole = (np.abs(rotations[rows, 2, upright]) > 1 - LEVEL) & (2 * lengths >= LEAST_LENGTH_M)
        whole &= (np.abs(bottoms) < SAME_M) & (tops >= LEAST_TOP_M)
        self.top_m = float(tops[whole].max(initial=0.0))
        whole &= tops > self.top_m - SAME_M
        whole[whole] = _first_of_layers(model, walls[whole], lengths[whole])
        directions = rotations[rows, :2, along][whole]
        reach = (lengths[whole] - INSET_M)[:, None] * directions
        self._begins, self._ends = middles[whole, :2] - reach, middles[whole, :2] + reach
        self._half_m = thicknesses[whole]
        self._eye_m: Array | None = None
        self._last: Outline | None = None

    @property
    def number(self) -> int:
        """Walls that hide something."""
        return len(self._begins)

    def hides(self, data: mujoco.MjData, eye_m: Array, geoms: np.ndarray) -> np.ndarray:
        """(geoms,) bool: those of which an eye sees nothing.

        Args:
            data: State of the scene.
            eye_m: (3,) where it is.
            geoms: Their indices; none of them a plane.
        """
        hidden = np.zeros(len(geoms), bool)
        outline = self._outline(eye_m[:2]) if len(geoms) and 0 < eye_m[2] < self.top_m else None
        if outline is None:
            return hidden
        far = np.flatnonzero(outline.is_past(data.geom_xpos[geoms, :2] - eye_m[:2]))  # the others show their middle
        corners = _corners(self._model, data, geoms[far])
        heights = corners[:, :, 2]
        between = (heights.min(axis=1) > -BELOW_M) & (heights.max(axis=1) < self.top_m + SAME_M)
        far, corners = far[between], corners[between, :, :2] - eye_m[:2]
        hidden[far] = outline.is_behind(corners)
        return hidden

    def _outline(self, eye_m: Array) -> Outline | None:
        """How far an eye sees; None where nothing can be said. The last one is kept: cameras turn on the spot."""
        if self._eye_m is None or not np.array_equal(self._eye_m, eye_m):
            self._eye_m, self._last = eye_m.copy(), self._new_outline(eye_m)
        return self._last

    def _new_outline(self, eye_m: Array) -> Outline | None:
        begins, ends = self._begins - eye_m, self._ends - eye_m
        along = ends - begins
        share = np.clip(-(begins * along).sum(axis=1) / np.maximum((along**2).sum(axis=1), 1e-12), 0, 1)
        is_off = np.linalg.norm(begins + share[:, None] * along, axis=1) > self._half_m + NEAR_M
        begins, ends, along = begins[is_off], ends[is_off], along[is_off]
        if not len(begins):
            return None
        first, second = np.arctan2(begins[:, 1], begins[:, 0]), np.arctan2(ends[:, 1], ends[:, 0])
        turn = _wrapped(second - first)
        low, width = np.where(turn >= 0, first, second), np.abs(turn)
        edges = np.sort(np.concatenate([first, second]))
        edges = np.append(edges, edges[0] + 2 * math.pi)
        widths = np.diff(edges)
        if widths.max() > WIDEST:
            return None
        stands = (edges[:-1, None] + widths[:, None] / 2 - low) % (2 * math.pi) < width
        ahead = np.stack([np.cos(edges), np.sin(edges)])
        slant = ahead[0][:, None] * along[:, 1] - ahead[1][:, None] * along[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            far = (begins[:, 0] * along[:, 1] - begins[:, 1] * along[:, 0]) / slant
        return Outline(edges, np.where(stands, np.maximum(far[:-1], far[1:]), math.inf).min(axis=1))


def _candidates(model: mujoco.MjModel) -> np.ndarray:
    """Boxes that never move and that nothing shines through."""
    alphas = model.geom_rgba[:, 3].copy()
    has_material = model.geom_matid >= 0
    alphas[has_material] = model.mat_rgba[model.geom_matid[has_material], 3]
    is_fixed = (model.body_weldid[model.geom_bodyid] == 0) & (model.body_mocapid[model.geom_bodyid] < 0)
    is_box = model.geom_type == int(mujoco.mjtGeom.mjGEOM_BOX)
    return np.flatnonzero(is_box & is_fixed & (alphas >= 1) & (model.geom_group < COLLISION_GROUP))


def _first_of_layers(model: mujoco.MjModel, walls: np.ndarray, lengths: Array) -> np.ndarray:
    """(walls,) bool: one of the layers that lie side by side in a wall, which hide the same."""
    places = model.geom_pos[walls]
    rows = np.column_stack([model.geom_bodyid[walls], places[:, 0], places[:, 2], lengths]).round(4)
    is_first = np.zeros(len(walls), bool)
    is_first[np.unique(rows, axis=0, return_index=True)[1]] = True
    return is_first


def _corners(model: mujoco.MjModel, data: mujoco.MjData, geoms: np.ndarray) -> Array:
    """(geoms, 8, 3) of the boxes around geoms, world frame."""
    local = model.geom_aabb[geoms, None, :3] + SIGNS * model.geom_aabb[geoms, None, 3:]
    rotations = data.geom_xmat[geoms].reshape(-1, 3, 3)
    return data.geom_xpos[geoms, None] + local @ rotations.transpose(0, 2, 1)


def _wrapped(angles: Array) -> Array:
    return (angles + math.pi) % (2 * math.pi) - math.pi
