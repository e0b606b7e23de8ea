"""The pictures of docs/simulation.md that no command makes: assets, robots, and frames of a rollout.

Run, with a video of `zoo evaluate`:
    MUJOCO_GL=egl python docs/images/make_simulation.py runs/evaluate/first/videos/0.mp4
"""

import math
import sys
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from zoo import registry
from zoo.envs.assets.library import AssetFacts, AssetLibrary
from zoo.envs.rendering import OffscreenRenderer
from zoo.envs.robots.cameras import PlacedCamera, add_cameras, looking_at
from zoo.envs.scenes.physics import set_options
from zoo.envs.simulator import mujoco

HERE = Path(__file__).parent
TILE_PX, CAPTION_PX, COLUMNS, ROWS = 128, 18, 8, 3
OPEN_SHARE = 0.6  # of their range: drawers, doors and lids
SEEN_FROM = np.array([1.0, 0.7, 0.7]) / math.sqrt(1.98)
ROBOTS_PX = (960, 360)
SPACING_M = 1.15
GROUND = (0.85, 0.86, 0.88, 1.0)
SKY = (0.93, 0.95, 0.98)
SHOWN_GROUP = 2  # geoms of higher groups are not drawn
PAPER, TEXT = (255, 255, 255), (40, 40, 40)
FRAMES, FRAME_WIDTH_PX = 4, 480  # of a rollout, two in a row
NUM_COLOURS = 200  # of the files


def contact_sheet(library: AssetLibrary) -> Image.Image:
    """One asset of every so many categories, opened, with its name."""
    categories = list(dict.fromkeys(facts.category for facts in library.facts().values()))
    chosen = [categories[i] for i in np.linspace(0, len(categories) - 1, COLUMNS * ROWS).astype(int)]
    sheet = Image.new("RGB", (COLUMNS * TILE_PX, ROWS * (TILE_PX + CAPTION_PX)), PAPER)
    with OffscreenRenderer(width=TILE_PX, height=TILE_PX) as renderer:
        for index, category in enumerate(chosen):
            row, column = divmod(index, COLUMNS)
            tile = Image.fromarray(_asset(renderer, library, library.of(category=category)[0]))
            sheet.paste(tile, (column * TILE_PX, row * (TILE_PX + CAPTION_PX)))
            _caption(sheet, category, column, row)
    return sheet


def robots() -> Image.Image:
    """All robots in a row, in their start poses."""
    names = registry.names("robot")
    spec = _studio(*ROBOTS_PX, size_m=2.0)
    turn = math.radians(-65)  # towards the camera, a little aside
    made = {}
    for index, name in enumerate(names):
        made[name] = registry.example("robot", name)
        x = (index - (len(names) - 1) / 2) * SPACING_M
        made[name].add_to(spec, prefix=f"{name}/", base_pose7=(x, 0, 0, math.cos(turn / 2), 0, 0, math.sin(turn / 2)))
    add_cameras(spec, [looking_at("front", (0.0, -4.6, 1.3), (0.0, 0.0, 0.72), fovy_deg=24)])
    model = spec.compile()
    data = mujoco.MjData(model)
    for name, robot in made.items():
        view = robot.bind(model, data, prefix=f"{name}/")
        view.set_qpos(view.start_qpos())
        _uncover(model, f"{name}/base")
    with OffscreenRenderer(width=ROBOTS_PX[0], height=ROBOTS_PX[1]) as renderer:
        return Image.fromarray(_shot(renderer, model, data))


def frames(video: Path) -> Image.Image:
    """Evenly spread frames of a video, the first and the last among them."""
    with av.open(str(video)) as container:
        decoded = [frame.to_image() for frame in container.decode(video=0)]
    chosen = [decoded[i] for i in np.linspace(0, len(decoded) - 1, FRAMES).astype(int)]
    height = FRAME_WIDTH_PX * chosen[0].height // chosen[0].width
    sheet = Image.new("RGB", (2 * FRAME_WIDTH_PX, FRAMES // 2 * height), PAPER)
    for index, frame in enumerate(chosen):
        row, column = divmod(index, 2)
        sheet.paste(frame.resize((FRAME_WIDTH_PX, height)), (column * FRAME_WIDTH_PX, row * height))
    return sheet


def _uncover(model: mujoco.MjModel, root: str) -> None:
    """Show a body that pictures leave out, because its cameras look out of it."""
    geoms = np.flatnonzero(model.body_rootid[model.geom_bodyid] == model.body_rootid[model.body(root).id])
    if (model.geom_group[geoms] > SHOWN_GROUP).all():
        model.geom_group[geoms] = SHOWN_GROUP


def _asset(renderer: OffscreenRenderer, library: AssetLibrary, facts: AssetFacts) -> np.ndarray:
    size = max(facts.size_m)
    spec = _studio(TILE_PX, TILE_PX, size_m=size)
    library.asset(facts.uid).add_to(
        spec.worldbody, "asset", position_m=(0, 0, 0), quat_wxyz=(1, 0, 0, 0), is_free=False
    )
    middle = np.array([0, 0, facts.size_m[2] / 2])
    add_cameras(spec, [_looking(middle + 2.3 * size * SEEN_FROM, middle)])
    model = spec.compile()
    data = mujoco.MjData(model)
    data.qpos[:] = model.jnt_range[:, 1] * OPEN_SHARE
    return _shot(renderer, model, data)


def _looking(position: np.ndarray, target: np.ndarray) -> PlacedCamera:
    return looking_at("front", position, target, fovy_deg=38)


def _studio(width: int, height: int, *, size_m: float) -> mujoco.MjSpec:
    """A floor under even light."""
    spec = mujoco.MjSpec()
    set_options(spec)
    spec.compiler.degree = False
    spec.visual.global_.offwidth, spec.visual.global_.offheight = width, height
    spec.visual.headlight.ambient, spec.visual.headlight.diffuse = (0.5,) * 3, (0.4,) * 3
    spec.worldbody.add_light(type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, dir=(-0.3, 0.4, -1), diffuse=(0.35,) * 3)
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        rgb1=SKY,
        rgb2=SKY,
        width=16,
        height=96,
    )
    spec.stat.extent, spec.visual.map.znear = size_m, 0.01
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=(20 * size_m, 20 * size_m, 1), rgba=GROUND)
    return spec


def _shot(renderer: OffscreenRenderer, model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
    mujoco.mj_forward(model, data)
    renderer.bind(model, camera=model.camera("front").id)
    renderer.update(data)
    return renderer.rgb()


def _caption(sheet: Image.Image, text: str, column: int, row: int) -> None:
    place = ((column + 0.5) * TILE_PX, (row + 1) * (TILE_PX + CAPTION_PX) - CAPTION_PX / 2)
    ImageDraw.Draw(sheet).text(place, text, TEXT, ImageFont.load_default(12), anchor="mm")


if __name__ == "__main__":
    pictures = {
        "assets": contact_sheet(registry.build("asset_library", "primitives")),
        "robots": robots(),
        "rollout": frames(Path(sys.argv[1])),
    }
    for name, picture in pictures.items():
        picture.quantize(NUM_COLOURS).save(HERE / f"{name}.png", optimize=True)
