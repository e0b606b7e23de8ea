"""The numbers that describe a body of RING's: their order, the ranges that bodies are drawn from, what a mirror does.

Source: sheet spoc_ring_holodeck_graspmolmo 2.2. Records, policies and robots read them from here. Free of torch.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

WIDTH_M, HEIGHT_M = (0.2, 0.5), (0.3, 1.5)  # of the box; its depth is drawn as its width
OFFSET_SHARE = 1 / 2.5  # of the box, for pivot and cameras: the release's, where paper and text have 1/2 and 1/3
MIN_CAMERA_HEIGHT_M = 0.3
FIRST_PITCH_DEG, SECOND_PITCH_DEG = (-20, 40), (-20, 60)  # upper bounds exclusive; positive looks down
FOV_DEG = (40, 100)  # vertically
OTHER_SIDE_PX = (112, 448)  # of pictures, upper bound exclusive
_OFFSET_M = (-WIDTH_M[1] * OFFSET_SHARE, WIDTH_M[1] * OFFSET_SHARE)

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


_PLACE = (
    ("x_m", *_OFFSET_M, "negative"),
    ("y_m", MIN_CAMERA_HEIGHT_M, HEIGHT_M[1], "same"),
    ("z_m", *_OFFSET_M, "same"),
)

EMBODIMENT = (
    *(EmbodimentNumber("fovy_deg", *FOV_DEG, camera) for camera in (0, 1)),
    EmbodimentNumber("pitch_deg", *FIRST_PITCH_DEG, 0),
    EmbodimentNumber("yaw_deg", 0, 360, 0, "turned"),
    EmbodimentNumber("pitch_deg", *SECOND_PITCH_DEG, 1),
    EmbodimentNumber("yaw_deg", 0, 360, 1, "turned"),
    *(EmbodimentNumber(name, low, high, camera, how) for camera in (0, 1) for name, low, high, how in _PLACE),
    EmbodimentNumber("width", *OTHER_SIDE_PX),
    EmbodimentNumber("height", *OTHER_SIDE_PX),
    EmbodimentNumber("pivot_x_m", *_OFFSET_M, None, "negative"),
    EmbodimentNumber("pivot_z_m", *_OFFSET_M),
    EmbodimentNumber("size_x_m", *WIDTH_M),
    EmbodimentNumber("size_y_m", *HEIGHT_M),
    EmbodimentNumber("size_z_m", *WIDTH_M),
)
"""All nineteen, in their order; a camera that is not there has zeros."""
NUM_EMBODIMENT = len(EMBODIMENT)
