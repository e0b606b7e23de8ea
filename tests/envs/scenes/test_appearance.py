"""Materials and textures: equal bytes in any process, shared, seamless; lights and the camera's limits."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
from box_house import BLUE, LIBRARIES, TILES, house, thing

from zoo.envs.rendering import OffscreenRenderer
from zoo.envs.scenes.appearance import NEAREST_M, Palette, pattern_pixels
from zoo.envs.scenes.compile import build_spec, compile_scene, start_state
from zoo.envs.scenes.specification import Light, Material
from zoo.envs.simulator import mujoco

FIRST, SECOND = (0.8, 0.6, 0.4, 1.0), (0.2, 0.1, 0.0, 1.0)
PATTERNS = ["plain", "checker", "planks", "tiles", "noise"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_are_small_and_have_both_colours(pattern):
    pixels = pattern_pixels(pattern, FIRST, SECOND)
    assert pixels.dtype == np.uint8
    assert max(pixels.shape[:2]) <= 128
    distance = np.abs(pixels.astype(int) - np.round(np.array(SECOND[:3]) * 255).astype(int)).sum(axis=-1)
    assert (distance.min() <= 1) == (pattern != "plain")
    assert distance.max() > 200


def test_noise_goes_on_over_the_edge():
    pixels = pattern_pixels("noise", (0.0, 0.0, 0.0, 1.0), (1.0, 1.0, 1.0, 1.0))[..., 0].astype(float)
    inside = np.abs(np.diff(pixels, axis=0)).max()
    assert np.abs(pixels[0] - pixels[-1]).max() <= inside
    assert np.abs(pixels[:, 0] - pixels[:, -1]).max() <= np.abs(np.diff(pixels, axis=1)).max()


def test_equal_materials_are_made_once():
    spec = mujoco.MjSpec()
    palette = Palette(spec)
    wide = Material(rgba=TILES.rgba, pattern="tiles", second_rgba=TILES.second_rgba, tile_m=2.0)
    names = [palette.name_of(material) for material in (TILES, BLUE, TILES, wide)]
    assert names[0] == names[2]
    assert len(set(names)) == len(spec.materials) == 3
    assert len(spec.textures) == 1  # size is the material's, not the texture's


def test_the_same_scene_has_the_same_bytes_in_another_process():
    code = (
        "import hashlib; from box_house import *; from zoo.envs.scenes.compile import build_spec, compile_scene;"
        "s = crowded_house(); m = compile_scene(s, LIBRARIES);"
        "print(hashlib.sha256(m.tex_data.tobytes() + build_spec(s, LIBRARIES).to_xml().encode()).hexdigest())"
    )
    fakes = next(path for path in sys.path if path.endswith("fakes"))
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": f"{fakes}{os.pathsep}.", "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_lights_keep_what_they_are():
    lamp = Light(name="lamp", position_m=(1.0, 2.0, 2.4), rgb=(0.5, 0.4, 0.3), is_on=False, casts_shadows=True)
    sun = Light(name="sun", position_m=(0.0, 0.0, 9.0), direction=(0.6, 0.0, -0.8), is_sun=True)
    model = compile_scene(house(lights=(lamp, sun)), LIBRARIES)
    assert [model.light(i).name for i in range(model.nlight)] == ["lamp", "sun"]
    assert model.light_active.tolist() == [0, 1]
    assert model.light_castshadow.tolist() == [1, 0]
    assert model.light_type.tolist() == [
        mujoco.mjtLightType.mjLIGHT_SPOT.value,
        mujoco.mjtLightType.mjLIGHT_DIRECTIONAL.value,
    ]
    np.testing.assert_allclose(model.light_dir[1], sun.direction)
    np.testing.assert_allclose(model.light_diffuse[0], lamp.rgb)


def test_pictures_have_room_and_near_things_are_seen():
    model = compile_scene(house(), LIBRARIES, offscreen_px=(320, 200))
    assert (model.vis.global_.offwidth, model.vis.global_.offheight) == (320, 200)
    assert model.vis.quality.shadowsize == 512
    assert model.vis.map.znear * model.stat.extent == pytest.approx(NEAREST_M, rel=1e-5)  # float32
    assert model.vis.map.zfar * model.stat.extent > 20


def seen(scene) -> tuple[np.ndarray, np.ndarray, mujoco.MjModel]:
    """Colours and geoms from 3 m above the place where the rooms meet."""
    spec = build_spec(scene, LIBRARIES, with_ceiling=True)
    spec.worldbody.add_camera(name="above", pos=[4, 2, 3], fovy=90)
    model = spec.compile()
    with OffscreenRenderer(width=160, height=120) as renderer:
        renderer.bind(model)
        renderer.update(start_state(model, scene))
        return renderer.rgb().astype(float), renderer.geom_ids(), model


@pytest.mark.render
def test_colours_and_patterns_are_seen():
    table = thing("table", "table", 2.0, 2.0, colours={"top": (0.9, 0.1, 0.1, 1.0)}, is_static=True)
    scene = house([table])
    picture, geoms, model = seen(scene)
    top = picture[geoms == model.geom("table/top").id].mean(axis=0)
    assert top[0] > 3 * top[1:].max()
    assert model.geom("kitchen/ceiling").id not in geoms  # its back is not drawn
    boards = picture[geoms == model.geom("bedroom/floor").id].mean(axis=-1)
    assert boards.min() < 0.75 * np.median(boards)  # lines between them
    rooms = tuple(dataclasses.replace(room, floor=Material(rgba=room.floor.rgba)) for room in scene.rooms)
    picture, geoms, model = seen(dataclasses.replace(scene, rooms=rooms))
    plain = picture[geoms == model.geom("bedroom/floor").id].mean(axis=-1)
    assert plain.min() > 0.75 * np.median(plain)
