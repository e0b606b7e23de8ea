"""Facts from hand-made recordings: each threshold from both sides, and what lies between them."""

import dataclasses
import math

import numpy as np
import pytest

from zoo.envs.tabletop_facts import (
    APART_M,
    GONE_PX,
    MOVED_M,
    ORDER_GAP_S,
    STILL_M,
    TOUCH_NUDGE_M,
    VISIBLE_PX,
    motion_is_clear,
    read_facts,
)
from zoo.envs.tabletop_scene import CameraSpec, Event, ObjectSpec, SceneSpec, Trajectory

# Looks along +y: right is +x, forward is +y.
CAMERA = CameraSpec(look_at_m=(0, 0, 0), azimuth=math.pi / 2, elevation=1.0, distance_m=1.6, fov_y_deg=40)
TIMES = np.arange(120) * 0.02
FRAME_TIMES = np.arange(20) * 0.125
COLOURS = ("red", "green", "blue", "yellow")


def scene_of(starts: list[tuple[float, float]], events: tuple[Event, ...] = ()) -> SceneSpec:
    objects = tuple(
        ObjectSpec(colour=colour, shape="cube", size="small", position_m=(x, y, 0.05), yaw=0.0)
        for colour, (x, y) in zip(COLOURS, starts, strict=False)
    )
    return SceneSpec(
        objects=objects,
        events=events,
        camera=CAMERA,
        table_rgb=(0.5, 0.5, 0.5),
        light_direction=(0, 0, -1),
        light_level=1.0,
    )


def recording(
    scene: SceneSpec,
    moves: dict[int, tuple[float, float, float]],
    contacts: dict[tuple[int, int], float] | None = None,
    drift_m: float = 0.0,
) -> Trajectory:
    """Objects that wait until a time and then slide by (x, y) within 0.5 s: moves[i] = (time, x, y)."""
    positions = np.tile([item.position_m for item in scene.objects], (len(TIMES), 1, 1))
    for index, (start, x, y) in moves.items():
        share = np.clip((TIMES - start) / 0.5, 0, 1)
        positions[:, index, :2] += share[:, None] * [x, y]
    return Trajectory(
        times_s=TIMES,
        positions_m=positions,
        frame_qpos=np.zeros((len(FRAME_TIMES), 7 * len(scene.objects))),
        frame_times_s=FRAME_TIMES,
        contacts=contacts or {},
        drift_m=drift_m,
    )


def seen(num_objects: int, **frames: dict[tuple[int, int | None], int]) -> np.ndarray:
    """(frames, objects) 200 visible pixels; `seen(2, o1={(0, 5): 0})` hides object 1 in the first five frames."""
    visible = np.full((len(FRAME_TIMES), num_objects), 200)
    for name, changes in frames.items():
        for where, pixels in changes.items():
            visible[slice(*where), int(name[1:])] = pixels
    return visible


ROW = [(-0.3, 0.0), (0.0, 0.0), (0.3, 0.0)]


@pytest.mark.parametrize(
    ("distance", "is_clear"),
    [(0.0, True), (STILL_M - 0.001, True), (STILL_M + 0.005, False), (MOVED_M - 0.005, False), (MOVED_M + 0.001, True)],
)
def test_motion_is_clear_or_the_clip_is_dropped(distance, is_clear):
    scene = scene_of(ROW)
    assert motion_is_clear(scene, recording(scene, {1: (0.5, distance, 0.0)})) is is_clear


def test_a_scene_that_slides_while_settling_is_dropped():
    scene = scene_of(ROW)
    assert not motion_is_clear(scene, recording(scene, {}, drift_m=0.02))


def test_a_simulation_that_blew_up_is_dropped():
    scene = scene_of(ROW)
    assert not motion_is_clear(scene, dataclasses.replace(recording(scene, {}), is_stable=False))


def test_an_entering_object_that_moves_early_is_dropped():
    enter = Event(action="enter", actor=0, time_s=1.0, velocity=(1, 0, 0.5))
    scene = scene_of(ROW, (enter,))
    assert motion_is_clear(scene, recording(scene, {0: (1.0, 0.5, 0.0)}))
    assert not motion_is_clear(scene, recording(scene, {0: (0.6, 0.5, 0.0)}))


def test_moved_and_still_objects():
    scene = scene_of(ROW)
    facts = read_facts(scene, recording(scene, {2: (0.5, 0.2, 0.0)}), seen(3))
    assert [item.moved for item in facts.objects] == [False, False, True]
    assert facts.movers == [2]
    assert facts.objects[2].onset_s == pytest.approx(0.5, abs=0.1)
    assert facts.objects[0].onset_s is None
    assert [item.view for item in facts.objects] == ["stayed"] * 3


def test_a_motion_at_the_very_end_drops_the_clip():
    scene = scene_of(ROW)
    assert read_facts(scene, recording(scene, {2: (2.2, 0.6, 0.0)}), seen(3)) is None


@pytest.mark.parametrize(
    ("step", "direction"),
    [
        ((0.2, 0.0), "right"),
        ((-0.2, 0.05), "left"),
        ((0.0, 0.2), "away"),
        ((0.05, -0.2), "toward"),
        ((0.2, 0.15), None),
        ((-0.15, -0.2), None),
    ],
)
def test_direction_needs_a_dominant_component(step, direction):
    scene = scene_of(ROW)
    facts = read_facts(scene, recording(scene, {1: (0.5, *step)}), seen(3))
    assert facts.objects[1].direction == direction


def test_direction_is_that_of_the_visible_part():
    scene = scene_of(ROW)
    left_early = seen(3, o1={(7, None): 0})  # gone at 0.875 s, when three quarters of the way are done
    facts = read_facts(scene, recording(scene, {1: (0.5, 0.4, 0.0)}), left_early)
    assert facts.objects[1].direction == "right"
    assert facts.objects[1].view == "left"
    unseen = seen(3, o1={(5, None): 0})  # gone before it moved
    assert read_facts(scene, recording(scene, {1: (0.5, 0.4, 0.0)}), unseen).objects[1].direction is None


@pytest.mark.parametrize(
    ("changes", "view"),
    [
        ({}, "stayed"),
        ({(8, 12): 0}, "stayed"),  # hidden for a while
        ({(2, 12): 0}, None),  # hidden for long
        ({(-2, None): GONE_PX}, "left"),
        ({(-1, None): GONE_PX}, None),  # only just
        ({(-2, None): VISIBLE_PX - 1}, None),  # cut by the border
        ({(3, 4): 800, (-2, None): 200}, None),  # a large object, cut by the border
        ({(3, 4): 800, (-2, None): 300}, "stayed"),
        ({(0, 1): GONE_PX}, "entered"),
        ({(0, 1): VISIBLE_PX - 1}, None),
        ({(0, None): GONE_PX}, None),
    ],
)
def test_views(changes, view):
    scene = scene_of(ROW)
    facts = read_facts(scene, recording(scene, {}), seen(3, o1=changes))
    assert (facts and facts.objects[1].view) == view


def test_a_motion_is_first_seen_when_its_object_is():
    scene = scene_of(ROW)
    late = seen(3, o1={(0, 8): 0})
    facts = read_facts(scene, recording(scene, {1: (0.2, 1.0, 0.0)}), late)
    assert facts.objects[1].onset_s == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("times", "ranks"),
    [
        ([0.3], {}),
        ([0.3, 0.3 + ORDER_GAP_S + 0.03], {"first": 0, "second": 1}),
        ([0.3, 0.3 + ORDER_GAP_S - 0.05], {}),
        ([0.3, 0.9, 1.5], {"first": 0, "second": 1}),
        ([0.3, 0.9, 1.0], {"first": 0}),
        ([0.3, 0.4, 1.5], {}),
    ],
)
def test_order_is_told_where_it_is_clear(times, ranks):
    scene = scene_of(ROW)
    moves = {index: (time, 0.0, 0.2) for index, time in enumerate(times)}
    facts = read_facts(scene, recording(scene, moves), seen(3))
    assert facts.ranks == ranks
    assert facts.movers == list(range(len(times)))


def test_touches_need_a_contact_and_a_nudge():
    scene = scene_of(ROW)
    moves = {0: (0.4, 0.2, 0.0), 1: (0.7, 0.15, 0.0)}
    facts = read_facts(scene, recording(scene, moves, {(0, 1): 0.7}), seen(3))
    assert facts.touched == {(0, 1)}
    barely = {0: (0.4, 0.2, 0.0), 1: (0.7, TOUCH_NUDGE_M * 0.6, 0.0)}
    facts = read_facts(scene, recording(scene, barely, {(0, 1): 0.7}), seen(3))
    assert facts.touched == frozenset()
    assert (0, 1) not in facts.apart, "a graze is neither a touch nor none"


def test_a_touch_out_of_sight_is_no_fact():
    scene = scene_of(ROW)
    moves = {0: (0.4, 0.2, 0.0), 1: (0.7, 0.15, 0.0)}
    hidden = seen(3, o1={(4, 8): 0})
    facts = read_facts(scene, recording(scene, moves, {(0, 1): 0.7}), hidden)
    assert facts.touched == frozenset()
    assert (0, 1) not in facts.apart


@pytest.mark.parametrize(("gap", "is_apart"), [(APART_M + 0.01, True), (APART_M - 0.01, False)])
def test_apart_needs_room_all_the_time(gap, is_apart):
    scene = scene_of([(0.0, 0.0), (0.5, 0.0)])
    reach = 0.5 - 0.12 - gap  # two small objects have radii of 0.06
    facts = read_facts(scene, recording(scene, {0: (0.4, reach, 0.0)}), seen(2))
    assert ((0, 1) in facts.apart) is is_apart


def test_relations_hold_from_first_to_last():
    scene = scene_of([(-0.3, 0.0), (0.3, 0.05), (0.0, 0.35)])
    still = read_facts(scene, recording(scene, {}), seen(3))
    assert still.sides[0, 1] == "left"
    assert still.sides[1, 0] == "right"
    assert (0, 2) not in still.sides, "neither axis dominates"
    assert still.right_of[1, 0] is True
    assert still.right_of[0, 2] is False
    assert still.behind[2, 0] is True
    assert (0, 1) not in still.behind, "nearly tied"
    crossed = read_facts(scene, recording(scene, {0: (0.5, 0.55, 0.0)}), seen(3))
    assert (0, 1) not in crossed.right_of
    away = read_facts(scene, recording(scene, {}), seen(3, o1={(-3, None): 0}))
    assert all(1 not in pair for pair in away.right_of), "what leaves is nowhere"


def test_front_and_behind():
    scene = scene_of([(0.0, -0.2), (0.05, 0.2)])
    facts = read_facts(scene, recording(scene, {}), seen(2))
    assert facts.sides == {(0, 1): "front", (1, 0): "behind"}
