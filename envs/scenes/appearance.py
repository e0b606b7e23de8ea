"""How scenes look: materials and small procedural textures, shared where they are equal; lights; the camera's limits.

Everything is drawn from the typed material alone, so equal scenes have equal bytes in any process.
"""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image

from zoo.envs.scenes.specification import Colour, Light, Material, Pattern, Scene
from zoo.envs.simulator import mujoco

TEXTURE_PX = 64  # edge of a texture, which shows one repetition of the pattern
PLANK_ROWS = 4
TILE_ROWS = 2
JOINT_PX = 2  # width of the lines between planks or tiles
PLANK_SHADES = (1.0, 0.92, 1.06, 0.96, 1.03, 0.9, 1.0, 0.95)
NOISE_CELLS = (4, 8, 16)  # lattices whose sum is the noise, per repetition
NOISE_SEED = 20240229  # one noise for every material: what differs is the colours
SHADOW_MAP_PX = 512  # 4096, the default, costs five times as much on a software GL (sheet stack, section 4)
SLICES, STACKS, QUADS = 16, 8, 2
"""Into how many faces round shapes and boxes are cut. A software GL spends its time on corners: with MuJoCo's 28, 16
and 4 a picture of 112x64 pixels in a house of five rooms takes 8.4 ms, with these 3.2, and hardly looks different."""
NEAREST_M = 0.01  # in front of a camera; wrist cameras look at fingers
HEADLIGHT_AMBIENT = 0.3  # lamps alone leave walls dark: GL lights the corners of a box and blends between them
HEADLIGHT_DIFFUSE = 0.3
LAMP_ATTENUATION = (1.0, 0.0, 0.02)
LAMP_CUTOFF_DEG = 85.0
LAMP_EXPONENT = 1.0  # of the cosine; the default of 10 is a torch


def pattern_pixels(pattern: Pattern, first: Colour, second: Colour) -> np.ndarray:
    """One repetition of a pattern; opposite edges fit together.

    Args:
        pattern: What to draw.
        first: RGBA, 0 to 1 each; alpha is not drawn.
        second: RGBA of lines, of every other square, or at the peaks of the noise.
    Returns:
        (TEXTURE_PX, TEXTURE_PX, 3) uint8.
    """
    share, shade = _PATTERNS[pattern]()  # of the second colour, and brightness of the first; (rows, columns)
    colours = np.array([first[:3], second[:3]], float)
    pixels = (1 - share)[..., None] * shade[..., None] * colours[0] + share[..., None] * colours[1]
    return np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def _plain() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((TEXTURE_PX, TEXTURE_PX)), np.ones((TEXTURE_PX, TEXTURE_PX))


def _checker() -> tuple[np.ndarray, np.ndarray]:
    half = np.arange(TEXTURE_PX) >= TEXTURE_PX // 2
    return (half[:, None] ^ half[None, :]).astype(float), np.ones((TEXTURE_PX, TEXTURE_PX))


def _tiles() -> tuple[np.ndarray, np.ndarray]:
    line = np.arange(TEXTURE_PX) % (TEXTURE_PX // TILE_ROWS) < JOINT_PX
    return (line[:, None] | line[None, :]).astype(float), np.ones((TEXTURE_PX, TEXTURE_PX))


def _planks() -> tuple[np.ndarray, np.ndarray]:
    height = TEXTURE_PX // PLANK_ROWS
    rows, columns = np.mgrid[:TEXTURE_PX, :TEXTURE_PX]
    row = rows // height
    shifted = columns + (row * 3 % PLANK_ROWS) * height  # neighbours' ends are not in one line
    joint = (rows % height < JOINT_PX) | (shifted % TEXTURE_PX < JOINT_PX)
    half = (shifted % TEXTURE_PX) // (TEXTURE_PX // 2)
    shade = np.array(PLANK_SHADES)[(2 * row + half) % len(PLANK_SHADES)]
    return joint.astype(float), shade


def _noise() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(NOISE_SEED)
    total = np.zeros((TEXTURE_PX, TEXTURE_PX))
    for octave, cells in enumerate(NOISE_CELLS):
        lattice = generator.random((cells, cells))
        place = np.arange(TEXTURE_PX) * cells / TEXTURE_PX
        low = place.astype(int)
        mix = place - low
        high = (low + 1) % cells
        rows = lattice[low] * (1 - mix)[:, None] + lattice[high] * mix[:, None]
        total += (rows[:, low] * (1 - mix) + rows[:, high] * mix) / 2**octave
    low, high = total.min(), total.max()
    return (total - low) / (high - low), np.ones((TEXTURE_PX, TEXTURE_PX))


_PATTERNS = {"plain": _plain, "checker": _checker, "planks": _planks, "tiles": _tiles, "noise": _noise}


class Palette:
    """Materials of one model; equal ones are made once, and so are equal textures.

    Args:
        spec: The model that is being built.
    """

    def __init__(self, spec: mujoco.MjSpec) -> None:
        self._spec = spec
        self._materials: dict[tuple[Material, bool], str] = {}
        self._textures: dict[tuple[Pattern, Colour, Colour], str] = {}

    def name_of(self, material: Material, *, is_mapped: bool = False) -> str:
        """Name of a material of the model, called `surface/<number>`.

        Args:
            material: How it looks.
            is_mapped: For meshes with texture coordinates, which are in repetitions; other geoms repeat every
                `tile_m` metres.
        """
        key = (material, is_mapped and material.pattern != "plain")
        if key not in self._materials:
            self._materials[key] = self._add(material, is_mapped=key[1])
        return self._materials[key]

    def _add(self, material: Material, *, is_mapped: bool) -> str:
        name = f"surface/{len(self._materials)}"
        made = self._spec.add_material(
            name=name, rgba=material.rgba, specular=material.specular, shininess=material.shininess
        )
        if material.pattern != "plain":
            textures = list(made.textures)
            textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = self._texture(material)
            made.textures = textures
            made.rgba = (1.0, 1.0, 1.0, material.rgba[3])  # the texture has the colours
            if not is_mapped:
                made.texuniform = True
                made.texrepeat = (1 / material.tile_m, 1 / material.tile_m)
        return name

    def _texture(self, material: Material) -> str:
        key = (material.pattern, material.rgba, material.second_rgba)
        if key not in self._textures:
            name = f"pattern/{len(self._textures)}"
            file = f"{name.replace('/', '_')}.png"
            # A file, not a buffer: a specification with buffers cannot be written as MJCF.
            self._spec.assets = {**self._spec.assets, file: _png(pattern_pixels(*key))}
            self._spec.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, file=file)
            self._textures[key] = name
        return self._textures[key]


def _png(pixels: np.ndarray) -> bytes:
    """(height, width, 3) uint8 as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def add_light(world: mujoco.MjsBody, light: Light) -> None:
    """Hang a lamp, or a sun; both keep their name."""
    made = world.add_light(
        name=light.name,
        pos=light.position_m,
        dir=light.direction,
        diffuse=light.rgb,
        specular=tuple(0.3 * value for value in light.rgb),
        active=light.is_on,
        castshadow=light.casts_shadows,
    )
    if light.is_sun:
        made.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    else:
        made.type = mujoco.mjtLightType.mjLIGHT_SPOT
        made.attenuation = LAMP_ATTENUATION
        made.cutoff, made.exponent = LAMP_CUTOFF_DEG, LAMP_EXPONENT


def set_picture(spec: mujoco.MjSpec, scene: Scene, offscreen_px: tuple[int, int]) -> None:
    """Set what the renderer needs to know: buffer, shadow map, clipping planes, ambient light.

    Args:
        spec: Its visual settings are changed.
        scene: Its size sets the far plane.
        offscreen_px: Width and height of the largest picture.
    """
    corners = np.array([corner for room in scene.rooms for corner in room.polygon_m])
    low, high = corners.min(axis=0), corners.max(axis=0)
    height = max((wall.height_m for wall in scene.walls), default=3.0)
    extent = float(math.hypot(*(high - low), height))
    spec.stat.center = (*((low + high) / 2), height / 2)
    spec.stat.extent = extent
    spec.visual.map.znear = NEAREST_M / extent  # both in units of the extent
    spec.visual.map.zfar = 4.0  # a top-down camera stands some extents away
    quality = spec.visual.quality
    quality.shadowsize = SHADOW_MAP_PX
    quality.numslices, quality.numstacks, quality.numquads = SLICES, STACKS, QUADS
    spec.visual.global_.offwidth, spec.visual.global_.offheight = offscreen_px
    spec.visual.headlight.ambient = (HEADLIGHT_AMBIENT,) * 3
    spec.visual.headlight.diffuse = (HEADLIGHT_DIFFUSE,) * 3
    spec.visual.headlight.specular = (0.0, 0.0, 0.0)
