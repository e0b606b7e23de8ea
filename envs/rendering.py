"""Render MuJoCo models off screen: RGB and segmentation pictures of many models, closed explicitly.

Differs from `mujoco.Renderer`: one GL context and one upload of meshes serve every model with the same meshes and
textures (a new `mujoco.Renderer` per model costs 80 ms, as much as a whole clip of ours), and the GL library is chosen
when the renderer is made, not when `mujoco` is first imported.
"""

import hashlib
import importlib
from types import TracebackType

import numpy as np

from zoo.envs.simulator import GL_MODULES, gl_backend, missing_gl, mujoco

MIN_GEOMS = 1000  # room in one picture; a model with many geoms gets half as much again as it has


class OffscreenRenderer:
    """Pictures of any number of models, at one size; a context manager.

    Args:
        width: Picture width, pixels.
        height: Picture height, pixels.
        shadows: Draw shadows, which cost more than everything else together on a software GL.
    """

    def __init__(self, *, width: int, height: int, shadows: bool = False) -> None:
        self.width, self.height, self.shadows = width, height, shadows
        self._gl = _make_gl_context(width, height)
        self._context: mujoco.MjrContext | None = None
        self._assets = b""
        self._rect = mujoco.MjrRect(0, 0, width, height)
        self._option = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._scene: mujoco.MjvScene | None = None
        self._model: mujoco.MjModel | None = None

    def __enter__(self) -> "OffscreenRenderer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the GL context now; at interpreter exit the drivers would print about it."""
        if self._gl is not None:
            self._gl.make_current()
            if self._context is not None:
                self._context.free()
                self._context = None
            self._gl.free()
            self._gl = None

    def bind(self, model: mujoco.MjModel, *, camera: int = 0) -> None:
        """Choose the model that the next pictures show.

        Args:
            model: Compiled model; `vis.global_.offwidth` and `offheight` bound the picture size.
            camera: Index of a camera of the model.
        """
        assert self._gl is not None, "bind after close"
        assets = _asset_digest(model)
        if self._context is None or assets != self._assets:
            self._gl.make_current()
            if self._context is not None:
                self._context.free()
            self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50.value)
            mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
            self._assets = assets
        self._model = model
        self._scene = mujoco.MjvScene(model, maxgeom=max(MIN_GEOMS, 3 * model.ngeom // 2))
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = self.shadows
        self._camera.fixedcamid = camera

    def look(self, camera: int) -> None:
        """Choose another camera of the bound model, for the next `update`."""
        self._camera.fixedcamid = camera

    def update(self, data: mujoco.MjData) -> None:
        """Take poses and lights from a simulation state (`mj_forward` done) for the next pictures."""
        assert self._scene is not None, "update before bind"
        category = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self._model, data, self._option, None, self._camera, category, self._scene)

    def rgb(self) -> np.ndarray:
        """Draw the colours: (height, width, 3) uint8."""
        return self._draw()

    def geom_ids(self) -> np.ndarray:
        """Draw which geom each pixel shows: (height, width) int32 geom index of the model, -1 where there is none."""
        assert self._scene is not None, "geom_ids before bind"
        flags = self._scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 1
        codes = self._draw().astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], np.int32)
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 0
        lookup = np.full(self._scene.ngeom + 1, -1, np.int32)  # by segid + 1; code 0 is the background
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.segid >= 0 and geom.objtype == mujoco.mjtObj.mjOBJ_GEOM.value:
                lookup[geom.segid + 1] = geom.objid
        return lookup[codes]

    def _draw(self) -> np.ndarray:
        assert self._gl is not None and self._context is not None, "draw before bind or after close"
        self._gl.make_current()
        mujoco.mjr_render(self._rect, self._scene, self._context)
        pixels = np.empty((self.height, self.width, 3), np.uint8)
        mujoco.mjr_readPixels(pixels, None, self._rect, self._context)
        return pixels[::-1].copy()  # GL counts rows from below


def _make_gl_context(width: int, height: int):
    """Open a GL context, or say which system package is missing."""
    backend = gl_backend()
    try:
        # Drivers fail in many ways: PyOpenGL reports an absent library as AttributeError, a device as RuntimeError.
        context = importlib.import_module(GL_MODULES[backend]).GLContext(width, height)
    except (ImportError, AttributeError, OSError, RuntimeError) as error:
        raise missing_gl(backend, error) from error
    if backend == "glfw":  # reports failure as a warning and goes on with no window
        import glfw

        if not glfw.init():
            raise missing_gl(backend, "there is no display")
    return context


def _asset_digest(model: mujoco.MjModel) -> bytes:
    """What a GL context uploads from a model: meshes, basic shapes, textures, height fields, skins, buffer sizes."""
    quality, buffer = model.vis.quality, model.vis.global_
    shapes = (quality.numslices, quality.numstacks, quality.numquads)
    sizes = (buffer.offwidth, buffer.offheight, quality.offsamples, quality.shadowsize, *shapes)
    digest = hashlib.blake2b(repr(sizes).encode(), digest_size=16)
    arrays = (model.mesh_vert, model.mesh_face, model.mesh_normal, model.tex_data, model.hfield_data, model.skin_vert)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(str(array.shape).encode())
    return digest.digest()
