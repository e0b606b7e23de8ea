"""Where a body of 0.3 m radius fits: shapely measures the same floor exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Point, box
from shapely.ops import unary_union

from zoo.envs.houses.footprints import Rect, around
from zoo.envs.houses.free_space import CELL_M, POCKET_M2, RADIUS_M, FreeSpace

ROOM = Rect(1.05, 2.05, 5.0, 5.5)
WAYS = [(1.42, 3.0), (4.6, 5.1)]
obstacles = st.lists(
    st.builds(around, st.floats(1, 5), st.floats(2, 5.5), st.floats(0.1, 2.0), st.floats(0.1, 2.0)), max_size=5
)


@settings(max_examples=40)
@given(obstacles)
def test_reachable_cells_are_free_and_connected_for_a_disc(rects):
    cells = FreeSpace(ROOM, WAYS).reachable(rects)
    grown = [box(*rect).buffer(RADIUS_M - 0.01, quad_segs=32) for rect in rects]
    free = box(*ROOM.grown(-RADIUS_M - 0.001 + CELL_M)).difference(unary_union(grown))
    pieces = [piece for piece in getattr(free, "geoms", [free]) if not piece.is_empty]
    if cells is None:
        return
    middles = [(ROOM.x0 + (i + 0.5) * CELL_M, ROOM.y0 + (j + 0.5) * CELL_M) for i, j in np.argwhere(cells)]
    homes = [
        next((n for n, p in enumerate(pieces) if p.covers(Point(m))), None) for m in middles[:: len(middles) // 40 + 1]
    ]
    assert None not in homes
    assert len(set(homes)) == 1


def test_an_empty_room_is_free_up_to_the_radius():
    cells = FreeSpace(ROOM, WAYS).reachable()
    assert cells.sum() * CELL_M**2 == pytest.approx((ROOM.width - 2 * RADIUS_M) * (ROOM.depth - 2 * RADIUS_M), rel=0.05)


def test_doors_that_are_cut_off_are_noticed():
    space = FreeSpace(ROOM, WAYS)
    wall = Rect(3.0, ROOM.y0, 3.1, ROOM.y1)
    assert space.reachable([wall]) is None
    assert space.reachable([Rect(3.0, ROOM.y0, 3.1, ROOM.y1 - 0.8)]) is not None  # 0.8 m to pass
    assert space.reachable([Rect(3.0, ROOM.y0, 3.1, ROOM.y1 - 0.55)]) is None  # 0.55 m: too narrow


def test_a_door_that_is_blocked_is_noticed():
    assert FreeSpace(ROOM, WAYS).reachable([around(*WAYS[0], 0.3, 0.3)]) is None


def test_small_pockets_may_be_cut_off_and_large_ones_may_not():
    space = FreeSpace(ROOM, WAYS[:1])
    x, y = ROOM.x1, ROOM.y0
    for side, is_allowed in ((0.9, True), (1.3, False)):  # of a walled-off corner: 0.09 and 0.49 m2 to stand in
        fence = [Rect(x - side - 0.1, y, x - side, y + side), Rect(x - side - 0.1, y + side, x, y + side + 0.1)]
        assert (space.reachable(fence) is not None) == is_allowed
    assert 0.09 < POCKET_M2 < 0.49


def test_what_is_blocked_stays_blocked():
    space = FreeSpace(ROOM, WAYS)
    piece = around(3.0, 4.0, 0.5, 0.5)
    tried = space.reachable([piece])
    space.block(piece)
    np.testing.assert_array_equal(space.reachable(), tried)
    assert not space.any_within(space.reachable(), piece)
    assert space.any_within(space.reachable(), piece.grown(0.5))
