"""Import MuJoCo for everything in this family, and turn a missing GL library into a sentence with the fix.

`import mujoco` reads MUJOCO_GL and dies of an AttributeError when the library named there is missing; without the
variable it imports anywhere, and only rendering needs a GL library. So: `from zoo.envs.simulator import mujoco`.
"""

import os
import sys
from collections.abc import Mapping

from zoo.errors import ConfigError, MissingLibraryError

__all__ = ["GL_MODULES", "GL_VARIABLE", "gl_backend", "missing_gl", "mujoco"]

GL_MODULES = {"egl": "mujoco.egl", "osmesa": "mujoco.osmesa", "glfw": "mujoco.glfw", "cgl": "mujoco.cgl"}
GL_VARIABLE = "MUJOCO_GL"
FIX = "On Debian or Ubuntu: apt-get install libegl1 libgl1-mesa-dri, then export MUJOCO_GL=egl"


def gl_backend(environment: Mapping[str, str] | None = None, platform: str = sys.platform) -> str:
    """Name of the GL library to render with.

    Args:
        environment: Process environment; MUJOCO_GL wins, then on Linux DISPLAY decides between glfw and egl.
        platform: As `sys.platform`.
    Returns:
        A key of `GL_MODULES`.
    Raises:
        ConfigError: MUJOCO_GL holds something else.
    """
    variables = os.environ if environment is None else environment
    asked = variables.get(GL_VARIABLE, "").lower().strip()
    if asked:
        if asked not in GL_MODULES:
            raise ConfigError(f"{GL_VARIABLE}={asked}: expected one of {', '.join(GL_MODULES)}; export MUJOCO_GL=egl")
        return asked
    if platform == "darwin":
        return "cgl"
    return "egl" if platform.startswith("linux") and not variables.get("DISPLAY") else "glfw"


def missing_gl(backend: str, error: BaseException | str) -> MissingLibraryError:
    """The error to raise when a GL library cannot be opened."""
    return MissingLibraryError(f"cannot open an off-screen GL context with {GL_VARIABLE}={backend}: {error}. {FIX}")


if os.environ.get(GL_VARIABLE):
    gl_backend()  # a misspelt name is reported before mujoco does it worse
try:
    import mujoco
except (ImportError, AttributeError, OSError) as error:
    if not os.environ.get(GL_VARIABLE):
        raise  # not the GL library: mujoco itself is absent or broken
    raise missing_gl(gl_backend(), error) from error
