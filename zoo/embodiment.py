"""The numbers that describe a body of RING's: their order, the ranges that bodies are drawn from, what a mirror does.

Source: sheet spoc_ring_holodeck_graspmolmo 2.2. Records, policies and robots read them from here. Free of torch.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

CAMERAS_OF_BODY = ("navigation_camera", "manipulation_camera")
"""First and second of the cameras that the numbers describe."""


class EmbodimentNumber(NamedTuple):
    """One of them.

    Args:
        name: As a body or its camera has it, with the unit.
        lowest: Of drawn bodies.
        highest: Of drawn bodies.
        camera: Index in `CAMERAS_OF_BODY`; None of the body itself.
        mirrored: What becomes of it where left and right change places: nothing, the negative, or the same turn the
            other way round, 0 to 360 degrees.
    """

    name: str
    lowest: float
    highest: float
    camera: int | None = None
    mirrored: Literal["same", "negative", "turned"] = "same"


_PLACE = (("x_m", -0.2, 0.2, "negative"), ("y_m", 0.3, 1.5, "same"), ("z_m", -0.2, 0.2, "same"))

EMBODIMENT = (
    *(EmbodimentNumber("fovy_deg", 40, 100, camera) for camera in (0, 1)),
    EmbodimentNumber("pitch_deg", -20, 40, 0),
    EmbodimentNumber("yaw_deg", 0, 360, 0, "turned"),
    EmbodimentNumber("pitch_deg", -20, 60, 1),
    EmbodimentNumber("yaw_deg", 0, 360, 1, "turned"),
    *(EmbodimentNumber(name, low, high, camera, how) for camera in (0, 1) for name, low, high, how in _PLACE),
    EmbodimentNumber("width", 112, 448),
    EmbodimentNumber("height", 112, 448),
    EmbodimentNumber("pivot_x_m", -0.2, 0.2, None, "negative"),
    EmbodimentNumber("pivot_z_m", -0.2, 0.2),
    EmbodimentNumber("size_x_m", 0.2, 0.5),
    EmbodimentNumber("size_y_m", 0.3, 1.5),
    EmbodimentNumber("size_z_m", 0.2, 0.5),
)
"""All nineteen, in their order; a camera that is not there has zeros."""
NUM_EMBODIMENT = len(EMBODIMENT)
