"""What of an object each picture shows, without drawing what cannot hide it.

To see which pixels show an object, only what lies in the pyramid between the camera and the object is drawn: of a house
with hundreds of geoms a handful. The pixels are those that the whole picture would have. Where all that a picture shows
is recorded, the whole one is drawn, once, and the objects are looked up in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.envs.data_engine.shown import bits_of_bodies, cells_of, synsets_of
from zoo.envs.scenes.physics import COLLISION_GROUP
from zoo.envs.simulation.camera_rig import CameraRig
from zoo.envs.simulation.environment import EpisodeEnv
from zoo.envs.simulator import mujoco

NEAR_M = 1e-3  # in front of a camera; points nearer than this have no place in its picture
SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a picture shows of an object.

    Args:
        pixels: Number of them.
        box: First column, first row, last column, last row of them; None where there are none.
    """

    pixels: int
    box: tuple[int, int, int, int] | None = None


NOTHING = Seen(0)


@dataclass(frozen=True, slots=True)
class Pyramid:
    """A part of what a camera sees.

    Args:
        slopes: (4,) tangents of its sides: left, right, low, high.
        far_m: How deep it reaches.
    """

    slopes: np.ndarray
    far_m: float = math.inf


class SightRig(CameraRig):
    """A rig that says what it sees of objects; that is kept until something moves.

    Args:
        width: Of every picture, pixels.
        height: Pixels.
        is_whole: Look objects up in the whole picture, which is drawn for `owners` anyway.
    """

    def __init__(self, *, width: int, height: int, is_whole: bool = False) -> None:
        super().__init__(width=width, height=height)
        self.is_whole = is_whole

    def show(self, model: mujoco.MjModel, data: mujoco.MjData, cameras: Mapping[str, str]) -> None:
        super().show(model, data, cameras)
        self._views = {
            name: _picture_of(model, camera, self.width / self.height) for name, camera in self._cameras.items()
        }
        self._roots = model.body_rootid[model.geom_bodyid]
        self._planes = model.geom_type == int(mujoco.mjtGeom.mjGEOM_PLANE)
        self._seen: dict[tuple[str, int], Seen] = {}
        self._owners: dict[str, np.ndarray] = {}
        self._seen_at = np.empty(0)

    def visible_pixels(self, name: str, root: int) -> int:
        return self.seen(name, root).pixels

    def seen(self, name: str, root: int) -> Seen:
        """What a camera's picture shows of a root body; see `seen_all`."""
        return self.seen_all(name, [root])[0]

    def seen_all(self, name: str, roots: Sequence[int]) -> list[Seen]:
        """What a camera's picture shows of root bodies; at most one small picture for all of them.

        What was asked before is told again until something moves.
        """
        self._forget_what_has_moved()
        if new := [root for root in roots if (name, root) not in self._seen]:
            self._seen |= {(name, root): seen for root, seen in self._look(name, new).items()}
        return [self._seen[name, root] for root in roots]

    def owners(self, name: str) -> np.ndarray:
        """(height, width) int32: the root body that each pixel of a camera's whole picture shows, -1 for none."""
        self._forget_what_has_moved()
        if name not in self._owners:
            self._owners[name] = self._owners_of(self._drawn(name).geom_ids())
        return self._owners[name]

    def _forget_what_has_moved(self) -> None:
        assert self._data is not None
        if not np.array_equal(self._seen_at, self._data.qpos):
            self._seen_at, self._seen, self._owners = self._data.qpos.copy(), {}, {}

    def _owners_of(self, geoms: np.ndarray) -> np.ndarray:
        return np.where(geoms >= 0, self._roots[geoms], -1)

    def _look(self, name: str, roots: Sequence[int]) -> dict[int, Seen]:
        if self.is_whole:
            owners = self.owners(name)
            return {root: _seen_in(owners == root) for root in roots}
        in_view, seen = self._in_view(self._camera(name)), dict.fromkeys(roots, NOTHING)
        found = {root: mask for root in roots if (mask := self._before(name, root, in_view)) is not None}
        if not found:
            return seen
        owners = self._owners_of(self._drawn(name, np.logical_or.reduce(list(found.values()))).geom_ids())
        return seen | {root: _seen_in(owners == root) for root in found}

    def _before(self, name: str, root: int, in_view: np.ndarray) -> np.ndarray | None:
        """(geoms,) bool: of those in view, all that may lie between a camera and a root body, which is among them.

        None where the picture shows nothing of it.
        """
        model, whole = self._model, self._views.get(name)
        assert model is not None
        geoms = np.flatnonzero(in_view & (self._roots == root) & (model.geom_group < COLLISION_GROUP))
        if not len(geoms):
            return None
        if whole is None:
            return in_view
        pyramid = _pyramid_to(_corners(model, self._data, geoms).reshape(-1, 3), *self._frame(name), whole)
        return None if pyramid is None else self._within(pyramid, in_view, self._frame(name))

    def _within(self, pyramid: Pyramid, shown: np.ndarray, frame: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """(geoms,) bool: those of some that reach into a pyramid."""
        model, data = self._model, self._data
        assert model is not None and data is not None
        near = np.flatnonzero(shown & (model.geom_group < COLLISION_GROUP) & ~self._planes)
        near = near[spheres_reach_into(data.geom_xpos[near], model.geom_rbound[near], *frame, pyramid)]
        near = near[boxes_reach_into(_corners(model, data, near), *frame, pyramid)]
        within = self._planes & shown  # a plane has neither sphere nor box around it
        within[near] = True
        return within

    def _frame(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Position and rotation of a camera, which looks along its -z."""
        assert self._data is not None
        camera = self._cameras[name]
        return self._data.cam_xpos[camera], self._data.cam_xmat[camera].reshape(3, 3)


class RecordingEnv(EpisodeEnv):
    """`EpisodeEnv` with a `SightRig`: the same observations and judgements.

    Args:
        categories: Of assets whose places in the pictures are recorded, at most 32.
        **arguments: Of `EpisodeEnv`.
    """

    def __init__(self, *, categories: Sequence[str] = (), **arguments: Any) -> None:
        super().__init__(**arguments)
        self.categories = tuple(categories)
        self.synsets: tuple[str, ...] = ()
        """Of the bits of `shows`, in the present house."""
        self._rig = SightRig(width=self._rig.width, height=self._rig.height, is_whole=bool(categories))

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """See `EpisodeEnv`."""
        begun = super().reset(seed=seed, options=options)
        if self.categories:
            scene = self.simulation.house.scene
            self.synsets = synsets_of(scene, self.categories)
            self._bits = bits_of_bodies(self.simulation.world, scene, self.synsets)
        return begun

    def shows(self) -> np.ndarray:
        """(cameras, 8, 14) uint32: bit k of a cell is set where the picture shows an object of synset k in it."""
        return np.stack([cells_of(self._bits[self._rig.owners(camera)]) for camera in self.cameras])

    def seen(self, camera: str, root: int) -> Seen:
        """What a camera of the episode shows of a root body now."""
        return self._rig.seen(camera, root)

    def seen_all(self, camera: str, roots: Sequence[int]) -> list[Seen]:
        """The same of several, for the price of one."""
        return self._rig.seen_all(camera, roots)


def _seen_in(mask: np.ndarray) -> Seen:
    """What a picture shows of an object, from the (height, width) bool of its pixels."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return NOTHING
    return Seen(int(np.count_nonzero(mask)), (int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])))


def _picture_of(model: mujoco.MjModel, camera: int, aspect: float) -> Pyramid | None:
    """All that a camera sees; None for one that is no plain pinhole."""
    is_plain = model.cam_projection[camera] == int(mujoco.mjtProjection.mjPROJ_PERSPECTIVE)
    if not is_plain or model.cam_sensorsize[camera].any():
        return None
    up = math.tan(math.radians(float(model.cam_fovy[camera])) / 2)
    return Pyramid(np.array([-up * aspect, up * aspect, -up, up]))


def spheres_reach_into(
    centres: np.ndarray, radii: np.ndarray, eye: np.ndarray, rotation: np.ndarray, pyramid: Pyramid
) -> np.ndarray:
    """(spheres,) bool: spheres that reach into a pyramid before a camera.

    Args:
        centres: (spheres, 3) in the world, metres.
        radii: (spheres,) metres.
        eye: (3,) of the camera.
        rotation: (3, 3) of the camera.
        pyramid: Before it.
    """
    beyond, lengths = _beyond((centres - eye) @ rotation, pyramid)
    return (beyond <= radii[:, None] * lengths).all(axis=1)


def boxes_reach_into(corners: np.ndarray, eye: np.ndarray, rotation: np.ndarray, pyramid: Pyramid) -> np.ndarray:
    """(boxes,) bool: False for boxes that lie as a whole beyond one side of a pyramid.

    Args:
        corners: (boxes, 8, 3) in the world, metres.
        eye: (3,) of the camera.
        rotation: (3, 3) of the camera.
        pyramid: Before it.
    """
    beyond, _ = _beyond((corners - eye) @ rotation, pyramid)
    return ~(beyond > 0).all(axis=1).any(axis=1)


def _beyond(points: np.ndarray, pyramid: Pyramid) -> tuple[np.ndarray, np.ndarray]:
    """(..., 6) how far points (..., 3) of a camera's frame lie outside of each side, and (6,) the unit of each."""
    x, y, depth = points[..., 0], points[..., 1], -points[..., 2]
    left, right, low, high = pyramid.slopes
    sides = [left * depth - x, x - right * depth, low * depth - y, y - high * depth, -depth, depth - pyramid.far_m]
    return np.stack(sides, axis=-1), np.hypot(1.0, [left, right, low, high, 0.0, 0.0])


def _corners(model: mujoco.MjModel, data: mujoco.MjData, geoms: np.ndarray) -> np.ndarray:
    """(geoms, 8, 3) of the boxes around geoms, world frame."""
    local = model.geom_aabb[geoms, None, :3] + SIGNS * model.geom_aabb[geoms, None, 3:]
    rotations = data.geom_xmat[geoms].reshape(-1, 3, 3)
    return data.geom_xpos[geoms, None] + local @ rotations.transpose(0, 2, 1)


def _pyramid_to(points: np.ndarray, eye: np.ndarray, rotation: np.ndarray, whole: Pyramid) -> Pyramid | None:
    """The part of a picture that may show what lies within points; None where no part does."""
    seen = (points - eye) @ rotation
    depth, slopes = -seen[:, 2], whole.slopes
    if not (depth > NEAR_M).any():
        return None
    if not (depth > NEAR_M).all():
        return Pyramid(slopes, float(depth.max()))  # it reaches past the camera: anywhere
    flat = seen[:, :2] / depth[:, None]
    (left, low), (right, high) = flat.min(0), flat.max(0)
    found = np.array([max(left, slopes[0]), min(right, slopes[1]), max(low, slopes[2]), min(high, slopes[3])])
    return Pyramid(found, float(depth.max())) if found[0] < found[1] and found[2] < found[3] else None
