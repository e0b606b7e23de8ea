"""The cameras of a running simulation: pictures, and how much of an object each shows; drawn is what may be seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.envs.rendering import OffscreenRenderer
from zoo.envs.scenes.physics import COLLISION_GROUP
from zoo.envs.simulation.wall_sight import WallSight
from zoo.envs.simulator import mujoco
from zoo.errors import DataError


@dataclass(frozen=True, slots=True)
class _InView:
    """What is in view of a camera, and what decided about it.

    Args:
        state: Copies of positions as set and as computed, and the camera's own.
        geoms: (geoms,) bool.
    """

    state: tuple[np.ndarray, ...]
    geoms: np.ndarray


class CameraRig:
    """Renders named cameras at one size; the GL context opens with the first picture.

    Args:
        width: Of every picture, pixels.
        height: Pixels.
        shadows: Draw shadows, at several times the cost on a software GL.
    """

    def __init__(self, *, width: int, height: int, shadows: bool = False) -> None:
        self.width, self.height, self.shadows = width, height, shadows
        self._renderer: OffscreenRenderer | None = None
        self._model: mujoco.MjModel | None = None
        self._data: mujoco.MjData | None = None
        self._cameras: dict[str, int] = {}
        self._is_bound = False
        self._walls: WallSight | None = None
        self._in_views: dict[int, _InView] = {}

    def show(self, model: mujoco.MjModel, data: mujoco.MjData, cameras: Mapping[str, str]) -> None:
        """Choose what the next pictures show.

        Args:
            model: Compiled.
            data: Its state, read at every picture.
            cameras: Names in the model, by the names that pictures get.
        """
        if model is not self._model:
            self._walls, self._in_views = WallSight(model, data), {}
        self._model, self._data, self._is_bound = model, data, False
        self._cameras = {name: model.camera(own).id for name, own in cameras.items()}

    def pictures(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """(height, width, 3) uint8 of each.

        Raises:
            DataError: there is no such camera.
        """
        return {name: self._drawn(name).rgb() for name in names}

    def visible_pixels(self, name: str, root: int) -> int:
        """Pixels of a camera's picture that show a root body."""
        assert self._model is not None
        geoms = self._drawn(name).geom_ids()
        roots = self._model.body_rootid[self._model.geom_bodyid]
        return int(np.count_nonzero(roots[geoms[geoms >= 0]] == root))

    def unoccluded_pixels(self, name: str, root: int) -> int:
        """Pixels that a root body would fill in a camera's picture if it were alone in the world."""
        shown = self._in_picture(self._camera(name)) & (self._model.body_rootid[self._model.geom_bodyid] == root)
        return int(np.count_nonzero(self._drawn(name, shown).geom_ids() >= 0))

    def open(self) -> None:
        """Get ready to draw what is shown; pictures do so by themselves."""
        if self._renderer is None:
            self._renderer = OffscreenRenderer(width=self.width, height=self.height, shadows=self.shadows)
        if not self._is_bound:
            self._renderer.bind(self._model)
            self._is_bound = True

    def close(self) -> None:
        """Free the GL context."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _drawn(self, name: str, shown: np.ndarray | None = None) -> OffscreenRenderer:
        """The renderer, about to draw what a camera shows.

        Args:
            name: Of the camera.
            shown: (geoms,) bool, to leave out others; None: all that are in view.
        """
        camera, model = self._camera(name), self._model
        self.open()
        self._renderer.look(camera)
        groups = model.geom_group.copy()
        model.geom_group[~(self._in_view(camera) if shown is None else shown)] = (
            COLLISION_GROUP  # pictures leave it out
        )
        try:
            self._renderer.update(self._data)
        finally:
            model.geom_group[:] = groups
        return self._renderer

    def _camera(self, name: str) -> int:
        if self._model is None or name not in self._cameras:
            raise DataError(f"there is no camera {name!r}; this episode has {', '.join(self._cameras) or 'none'}")
        return self._cameras[name]

    def _in_view(self, camera: int) -> np.ndarray:
        """(geoms,) bool: those in the picture that no wall hides.

        Of a house that is one or two in ten, and a software GL takes its time for each geom, however small the picture
        is. What is out of view may still cast a shadow or be mirrored; where that is drawn, everything is.
        """
        model, data = self._model, self._data
        if self._draws_unseen:
            return np.ones(model.ngeom, bool)
        state = data.qpos, data.geom_xpos, data.cam_xpos[camera], data.cam_xmat[camera]
        known = self._in_views.get(camera)
        if known is None or not all(map(np.array_equal, known.state, state)):
            shown = self._in_picture(camera)
            near = np.flatnonzero(shown & (model.geom_group < COLLISION_GROUP) & (model.geom_rbound > 0))
            shown[near[self._walls.hides(data, data.cam_xpos[camera], near)]] = False
            known = self._in_views[camera] = _InView(tuple(part.copy() for part in state), shown)
        return known.geoms

    @property
    def _draws_unseen(self) -> bool:
        """What is out of view has to be drawn all the same."""
        return self.shadows or bool(self._model.mat_reflectance.any())

    def _in_picture(self, camera: int) -> np.ndarray:
        """(geoms,) bool: those whose bounding sphere reaches into what a camera can see."""
        model, data = self._model, self._data
        if self._draws_unseen:
            return np.ones(model.ngeom, bool)
        offsets = (data.geom_xpos - data.cam_xpos[camera]) @ data.cam_xmat[camera].reshape(3, 3)
        right, up, ahead = offsets[:, 0], offsets[:, 1], -offsets[:, 2]  # a camera looks along its -z
        vertical = math.radians(model.cam_fovy[camera]) / 2
        horizontal = math.atan(math.tan(vertical) * self.width / self.height)
        beyond = np.maximum(
            np.abs(right) * math.cos(horizontal) - ahead * math.sin(horizontal),
            np.abs(up) * math.cos(vertical) - ahead * math.sin(vertical),
        )
        is_endless = model.geom_rbound == 0  # planes
        return is_endless | (beyond <= model.geom_rbound)
