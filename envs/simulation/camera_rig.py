"""The cameras of a running simulation: pictures, and how much of an object each shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from zoo.envs.rendering import OffscreenRenderer
from zoo.envs.simulator import mujoco
from zoo.errors import DataError


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

    def show(self, model: mujoco.MjModel, data: mujoco.MjData, cameras: Mapping[str, str]) -> None:
        """Choose what the next pictures show.

        Args:
            model: Compiled.
            data: Its state, read at every picture.
            cameras: Names in the model, by the names that pictures get.
        """
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

    def close(self) -> None:
        """Free the GL context."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _drawn(self, name: str) -> OffscreenRenderer:
        if self._model is None or name not in self._cameras:
            raise DataError(f"there is no camera {name!r}; this episode has {', '.join(self._cameras) or 'none'}")
        if self._renderer is None:
            self._renderer = OffscreenRenderer(width=self.width, height=self.height, shadows=self.shadows)
        if not self._is_bound:
            self._renderer.bind(self._model)
            self._is_bound = True
        self._renderer.look(self._cameras[name])
        self._renderer.update(self._data)
        return self._renderer
