"""Choice of the GL library, and the sentence when it is missing."""

import os
import subprocess
import sys

import pytest

from zoo.envs.simulator import gl_backend
from zoo.errors import ConfigError


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({}, "linux", "egl"),
        ({"DISPLAY": ":0"}, "linux", "glfw"),
        ({"MUJOCO_GL": "egl", "DISPLAY": ":0"}, "linux", "egl"),
        ({"MUJOCO_GL": "OSMesa"}, "linux", "osmesa"),
        ({"MUJOCO_GL": ""}, "linux", "egl"),
        ({}, "darwin", "cgl"),
        ({}, "win32", "glfw"),
    ],
)
def test_the_library_follows_the_environment(environment, platform, expected):
    assert gl_backend(environment, platform) == expected


def test_an_unknown_library_is_refused():
    with pytest.raises(ConfigError, match="MUJOCO_GL=vulkan: expected one of egl"):
        gl_backend({"MUJOCO_GL": "vulkan"}, "linux")


RENDER = "from zoo.envs.rendering import OffscreenRenderer; OffscreenRenderer(width=64, height=64).close()"


def run(code: str, **variables: str) -> str:
    """Run code in a fresh interpreter; the last line of its error output."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MUJOCO_GL")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr  # no crash
    return done.stderr.strip().splitlines()[-1] if done.stderr else ""


@pytest.mark.parametrize("backend", ["egl", "osmesa"])
def test_a_missing_library_says_what_to_install(backend):
    # An empty name table stands for a machine without any GL library: PyOpenGL finds nothing to load.
    hide = "import ctypes.util; ctypes.util.find_library = lambda name: None\n"
    hide += "import ctypes; real = ctypes.CDLL.__init__\n"
    hide += "def refuse(self, name, *a, **k):\n"
    hide += "    if name and ('EGL' in str(name) or 'OSMesa' in str(name)): raise OSError(f'{name}: not found')\n"
    hide += "    real(self, name, *a, **k)\n"
    hide += "ctypes.CDLL.__init__ = refuse\n"
    last = run(hide + RENDER, MUJOCO_GL=backend)
    assert last.startswith("zoo.errors.MissingLibraryError"), last
    assert "apt-get install libegl1 libgl1-mesa-dri" in last
    assert "MUJOCO_GL=egl" in last


def test_a_missing_library_is_no_matter_for_physics():
    last = run("from zoo.envs.simulator import mujoco; mujoco.MjSpec().compile()")
    assert last == ""


def test_a_window_library_without_a_display_says_so():
    last = run(RENDER, DISPLAY=":987")
    assert last.startswith("zoo.errors.MissingLibraryError"), last


def test_a_misspelt_library_is_refused_on_import():
    last = run("import zoo.envs.rendering", MUJOCO_GL="elg")
    assert last.startswith("zoo.errors.ConfigError: MUJOCO_GL=elg"), last
