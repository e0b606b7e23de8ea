"""When a navigation or fetch episode counts: tests on plain facts, whatever simulator they come from.

Source: sheet spoc_ring_holodeck_graspmolmo sections 1.12-1.13 and 1.18. The distance within which a target counts is an
argument, because an episode states its own.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

VISIBLE_M = 2.0
ALIGNED_DEG = 10.0
MIN_PIXELS = 200
MAX_PIXELS = 1000  # that are asked for, however large the object is
PIXELS_PER_M2 = 15_000
VISIBLE_SHARE = 0.8
FREE_TOP_SHARE = 0.1
ARM_BEARING_DEG = -90.0  # the arm points to the right of the robot's front


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """What one camera and the simulator know of one candidate object.

    Args:
        pixels: Of the object in the camera's segmentation.
        distance_m: From the agent to the object's box.
        bearing_deg: Of the object's centre from the agent's front, positive to the left.
        visible_share: Pixels over those of a picture in which nothing hides the object.
        largest_face_m2: Of the object's box.
        top_row: First row of the picture with a pixel of the object, as a share of its height; 1 where there is none.
    """

    pixels: int
    distance_m: float
    bearing_deg: float = 0.0
    visible_share: float = 0.0
    largest_face_m2: float = 0.0
    top_row: float = 1.0


def mask_facts(mask: np.ndarray) -> tuple[int, float]:
    """Pixels of an object, and the share of the picture's height above its first row.

    Args:
        mask: (rows, columns) bool.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    return int(mask.sum()), float(rows[0] / len(mask)) if len(rows) else 1.0


def box_distance_m(point_m: Sequence[float], low_m: Sequence[float], high_m: Sequence[float]) -> float:
    """Distance from a point to an axis-aligned box, 0 inside; any number of coordinates."""
    gaps = [max(low - x, 0.0, x - high) for x, low, high in zip(point_m, low_m, high_m, strict=True)]
    return math.hypot(*gaps)


def largest_face_m2(size_m: Sequence[float]) -> float:
    """Area of the largest face of a box, from its three edges."""
    x, y, z = size_m
    return max(x * y, y * z, x * z)


def is_visible(sighting: Sighting, *, within_m: float = VISIBLE_M) -> bool:
    """Any pixel of the object in the picture, and the object is near."""
    return sighting.pixels > 0 and sighting.distance_m <= within_m


def asked_pixels(face_m2: float) -> float:
    """Pixels that an object must fill to count as well seen, by the size of its box."""
    return max(MIN_PIXELS, min(PIXELS_PER_M2 * face_m2, MAX_PIXELS))


def is_well_seen(sighting: Sighting, *, within_m: float = VISIBLE_M) -> bool:
    """The expert's stricter rule for the navigation camera: near, ahead, and large or hardly hidden."""
    is_large = sighting.pixels >= asked_pixels(sighting.largest_face_m2)
    return (
        is_visible(sighting, within_m=within_m)
        and abs(sighting.bearing_deg) <= ALIGNED_DEG
        and (is_large or sighting.visible_share >= VISIBLE_SHARE)
    )


def is_well_seen_by_arm(sighting: Sighting, *, within_m: float = VISIBLE_M) -> bool:
    """The stricter rule for the manipulation camera: along the arm, 200 pixels, none in the top tenth."""
    off_arm = (sighting.bearing_deg - ARM_BEARING_DEG + 180.0) % 360.0 - 180.0
    return (
        is_visible(sighting, within_m=within_m)
        and abs(off_arm) <= ALIGNED_DEG
        and sighting.pixels >= MIN_PIXELS
        and sighting.top_row >= FREE_TOP_SHARE
    )


def has_found(is_done: bool, sightings: Iterable[Sighting], *, within_m: float = VISIBLE_M) -> bool:
    """ObjectNav and its variants: done was said while any target was visible; the variants differ in the targets."""
    return is_done and any(is_visible(sighting, within_m=within_m) for sighting in sightings)


def has_fetched(is_done: bool, held: Collection[str], targets: Collection[str]) -> bool:
    """Pickup and Fetch: done was said while a target is in the gripper."""
    return is_done and any(name in targets for name in held)


def is_in_room(point_m: Sequence[float], polygon_m: Sequence[Sequence[float]]) -> bool:
    """Whether a point of the floor lies in a polygon, which may be concave."""
    x, y = point_m[0], point_m[1]
    is_inside = False
    for (ax, ay), (bx, by) in zip(polygon_m, [*polygon_m[1:], polygon_m[0]], strict=True):
        if (ay > y) != (by > y) and x < ax + (y - ay) / (by - ay) * (bx - ax):
            is_inside = not is_inside
    return is_inside


def has_reached_room(is_done: bool, point_m: Sequence[float], polygons_m: Iterable[Sequence[Sequence[float]]]) -> bool:
    """RoomNav: done was said in one of the rooms of the type that was asked for."""
    return is_done and any(is_in_room(point_m, polygon) for polygon in polygons_m)


@dataclass(kw_only=True)
class RoomVisits:
    """RoomVisit: which rooms have been claimed with the sub-goal action.

    Args:
        rooms: Names of all rooms of the house.
    """

    rooms: frozenset[str]
    claimed: list[str] = field(default_factory=list, init=False)
    """In the order of their claims."""
    attempts: int = field(default=0, init=False)

    def claim(self, room: str | None) -> bool:
        """Say sub-goal done in a room; counts the first time for each room of the house."""
        self.attempts += 1
        if room not in self.rooms or room in self.claimed:
            return False
        self.claimed.append(room)
        return True

    def has_succeeded(self, is_done: bool) -> bool:
        """Done was said and every room claimed."""
        return is_done and self.rooms == set(self.claimed)

    @property
    def accuracy(self) -> float:
        """Claims that counted over all; 1 before the first."""
        return len(self.claimed) / self.attempts if self.attempts else 1.0
