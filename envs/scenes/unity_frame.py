"""Positions and rotations of Unity (AI2-THOR, ProcTHOR, Holodeck) in our frame, and back.

Source: sheet molmospaces section 12: Unity's (x, y, z) is MuJoCo's (x, z, y), which is what the public MolmoSpaces
scenes and episodes use. Differs from the sheet spoc_ring_holodeck_graspmolmo, whose (z, -x, y) is the same house turned
by -90 degrees about the vertical; both turn the left-handed y-up frame into a right-handed z-up one.

Unity: x right, y up, z forward, rotations in degrees, about y clockwise seen from above; Euler angles apply about z,
then x, then y. The front of a Unity object is +z; the front of our assets is +x.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_SWAP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
"""Exchanges y and z; its own inverse."""

_FRONT = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
"""Turns our front (+x) to where a Unity object that is not rotated looks (+z of Unity, +y here)."""


def point_from_unity(point: Sequence[float]) -> tuple[float, float, float]:
    """(x, y, z) of Unity to ours; the same function goes back."""
    x, y, z = point
    return (float(x), float(z), float(y))


def rotation_from_unity(euler_deg: Sequence[float]) -> np.ndarray:
    """Rotation of a vector in our frame that a Unity rotation stands for.

    Args:
        euler_deg: Unity's x, y, z angles.
    Returns:
        (3, 3) float64.
    """
    x, y, z = (math.radians(angle) for angle in euler_deg)
    about_x = np.array([[1, 0, 0], [0, math.cos(x), -math.sin(x)], [0, math.sin(x), math.cos(x)]])
    about_y = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    about_z = np.array([[math.cos(z), -math.sin(z), 0], [math.sin(z), math.cos(z), 0], [0, 0, 1]])
    return _SWAP @ (about_y @ about_x @ about_z) @ _SWAP


def asset_rotation_from_unity(euler_deg: Sequence[float]) -> np.ndarray:
    """Rotation of one of our assets, front +x, that stands in for a Unity object, front +z: (3, 3)."""
    return rotation_from_unity(euler_deg) @ _FRONT


def unity_euler_of_asset(rotation: np.ndarray) -> tuple[float, float, float]:
    """Unity's x, y, z angles, degrees in (-180, 180], of an asset's rotation (3, 3) in our frame."""
    unity = _SWAP @ rotation @ _FRONT.T @ _SWAP
    sine = float(np.clip(-unity[1, 2], -1.0, 1.0))
    if abs(sine) > 1 - 1e-12:  # looks straight up or down: only one of the other two angles is defined
        angles = (math.asin(sine), math.atan2(-unity[2, 0], unity[0, 0]), 0.0)
    else:
        angles = (
            math.asin(sine),
            math.atan2(unity[0, 2], unity[2, 2]),
            math.atan2(unity[1, 0], unity[1, 1]),
        )
    x, y, z = (math.degrees(angle) for angle in angles)
    return (x, y, z)


def yaw_from_unity(yaw_deg: float) -> float:
    """Direction of +x of an agent or asset, radians counter-clockwise from +x, in (-pi, pi]."""
    return math.remainder(math.pi / 2 - math.radians(yaw_deg), 2 * math.pi)
