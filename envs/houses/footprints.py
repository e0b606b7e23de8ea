"""Areas on the floor: upright rectangles of rooms and clearances, and turned rectangles of objects. Metres, radians."""

from __future__ import annotations

import math
from typing import NamedTuple

Corner = tuple[float, float]


class Rect(NamedTuple):
    """A rectangle along the axes: lower left corner, upper right corner."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """Extent along x."""
        return self.x1 - self.x0

    @property
    def depth(self) -> float:
        """Extent along y."""
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        return self.width * self.depth

    @property
    def centre(self) -> Corner:
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def grown(self, margin: float) -> Rect:
        """With a margin on every side; a negative one shrinks."""
        return Rect(self.x0 - margin, self.y0 - margin, self.x1 + margin, self.y1 + margin)

    def overlaps(self, other: Rect, gap: float = 0.0) -> bool:
        """Whether less than the gap lies between the two along both axes; touching is no overlap."""
        return (
            self.x0 < other.x1 + gap
            and other.x0 < self.x1 + gap
            and self.y0 < other.y1 + gap
            and other.y0 < self.y1 + gap
        )

    def contains(self, other: Rect) -> bool:
        """Whether the other lies within, edges included."""
        slack = 1e-9
        return (
            self.x0 <= other.x0 + slack
            and self.y0 <= other.y0 + slack
            and self.x1 >= other.x1 - slack
            and self.y1 >= other.y1 - slack
        )


def around(x: float, y: float, width: float, depth: float) -> Rect:
    """The rectangle of a size around a point."""
    return Rect(x - width / 2, y - depth / 2, x + width / 2, y + depth / 2)


class Footprint(NamedTuple):
    """A rectangle turned by a yaw around its middle: what an object covers."""

    x: float
    y: float
    length: float
    width: float
    yaw: float

    @property
    def corners(self) -> tuple[Corner, Corner, Corner, Corner]:
        """Counter-clockwise."""
        return self._corner(-0.5, -0.5), self._corner(0.5, -0.5), self._corner(0.5, 0.5), self._corner(-0.5, 0.5)

    def _corner(self, along: float, across: float) -> Corner:
        """A point by its shares of length and width from the middle."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        a, b = along * self.length, across * self.width
        return self.x + c * a - s * b, self.y + s * a + c * b

    @property
    def box(self) -> Rect:
        """The upright rectangle around it."""
        c, s = abs(math.cos(self.yaw)), abs(math.sin(self.yaw))
        return around(self.x, self.y, c * self.length + s * self.width, s * self.length + c * self.width)

    def overlaps(self, other: Footprint, gap: float = 0.0) -> bool:
        """Whether the two come closer than the gap along every edge direction of either (separating axes)."""
        dx, dy = other.x - self.x, other.y - self.y
        reach = math.hypot(self.length, self.width) + math.hypot(other.length, other.width)
        if math.hypot(dx, dy) >= reach / 2 + gap:
            return False
        turn = other.yaw - self.yaw
        c, s = abs(math.cos(turn)), abs(math.sin(turn))
        for mine, theirs, yaw in ((self, other, self.yaw), (other, self, other.yaw)):
            along, across = math.cos(yaw), math.sin(yaw)
            lengthwise = abs(dx * along + dy * across)
            sidewise = abs(dy * along - dx * across)
            if lengthwise >= (mine.length + c * theirs.length + s * theirs.width) / 2 + gap:
                return False
            if sidewise >= (mine.width + s * theirs.length + c * theirs.width) / 2 + gap:
                return False
        return True
