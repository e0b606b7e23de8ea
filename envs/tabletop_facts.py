"""What a simulated clip shows, decided from states and visible pixels, with a clear margin or not at all.

Every fact has two thresholds: above the one it holds, below the other it does not, and in between the clip is ambiguous
and is thrown away (motion, view) or the fact is not spoken of (relations, touches, order).
"""

import itertools
from dataclasses import dataclass

import numpy as np

from zoo.envs.tabletop_scene import SceneSpec, Trajectory

MOVED_M = 0.08  # displacement that everybody sees; the definition of "moved" is 0.04 m
STILL_M = 0.01  # displacement that nobody sees
ONSET_M = 0.015  # displacement at which a motion counts as begun
ORDER_GAP_S = 0.4  # between two onsets whose order is asked for: three frames at 8 fps
ONSET_LATEST_S = 0.25  # a motion must begin this long before the last frame
DIRECTION_RATIO = 2.0  # of the larger to the smaller ground component of a displacement
TOUCH_NUDGE_M = 0.015  # how far a touched object must have gone for the touch to be clear
APART_M = 0.05  # least gap between two bounding circles that surely did not touch
VISIBLE_PX = 45  # least visible pixels of an object one can speak of, at `AREA_SIZE`
VISIBLE_SHARE = 0.3  # of an object's largest visible area, below which an end in view is a cut-off rest
GONE_PX = 0
AREA_SIZE = 144  # picture edge to which pixel thresholds refer; areas scale with its square
RELATION_M = 0.1  # least difference of two positions for an order in the picture
RELATION_RATIO = 1.6  # of the larger to the smaller component of an offset, for "left", "front", ...
SETTLED_M = 0.006  # largest drift while settling

View = str  # "stayed", "entered", "left"


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectFacts:
    """One object: how it looks and what it did."""

    colour: str
    shape: str
    size: str
    moved: bool
    onset_s: float | None  # when its motion could first be seen; None if it did not move
    direction: str | None  # "left", "right", "toward", "away"; None if still or unclear
    view: View


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipFacts:
    """All objects and pairs. Pairs are (first, second) object indices."""

    objects: tuple[ObjectFacts, ...]
    touched: frozenset[tuple[int, int]]  # lower index first
    apart: frozenset[tuple[int, int]]  # lower index first; surely never touched
    sides: dict[tuple[int, int], str]  # where the first is from the second: "left", "right", "front", "behind"
    right_of: dict[tuple[int, int], bool]  # ordered pairs with a clear order across the picture, all the time
    behind: dict[tuple[int, int], bool]  # ordered pairs with a clear order along the view, all the time

    @property
    def movers(self) -> list[int]:
        """Indices of the objects that moved, by onset."""
        moved = [index for index, item in enumerate(self.objects) if item.moved]
        return sorted(moved, key=lambda index: self.objects[index].onset_s or 0.0)

    @property
    def ranks(self) -> dict[str, int]:
        """Places among the movers, "first" and "second", that lie at least ORDER_GAP_S from their neighbours."""
        onsets = [self.objects[index].onset_s or 0.0 for index in self.movers]
        clear = [late - early >= ORDER_GAP_S for early, late in itertools.pairwise(onsets)]
        ranks = {"first": 0} if clear and clear[0] else {}
        if clear and all(clear[:2]):
            ranks["second"] = 1
        return ranks


def motion_is_clear(scene: SceneSpec, trajectory: Trajectory) -> bool:
    """Whether every object clearly moved or clearly did not; checked before anything is drawn."""
    entering = {event.actor: event.time_s for event in scene.events if event.action == "enter"}
    travel = _travel(trajectory)  # (T, N)
    if trajectory.drift_m > SETTLED_M or not trajectory.is_stable:
        return False
    for index in range(travel.shape[1]):
        largest = travel[:, index].max()
        if STILL_M < largest < MOVED_M:
            return False
        if index in entering and travel[trajectory.times_s < entering[index], index].max(initial=0.0) > STILL_M:
            return False  # hit while it floated out of view
    return True


def read_facts(scene: SceneSpec, trajectory: Trajectory, visible_px: np.ndarray) -> ClipFacts | None:
    """Decide everything that can be asked.

    Args:
        scene: What was simulated, `motion_is_clear` on it.
        trajectory: The recording.
        visible_px: (frames, objects) visible pixels, scaled to a picture of `AREA_SIZE`.
    Returns:
        The facts, or None if the clip is ambiguous.
    """
    views = [_view(visible_px[:, index]) for index in range(len(scene.objects))]
    if None in views:
        return None
    travel = _travel(trajectory)
    objects = []
    for index, item in enumerate(scene.objects):
        moved = bool(travel[:, index].max() >= MOVED_M)
        onset = _onset(trajectory, travel[:, index], visible_px[:, index]) if moved else None
        if onset is not None and onset > trajectory.frame_times_s[-1] - ONSET_LATEST_S:
            return None
        direction = _direction(scene, trajectory, visible_px[:, index], index) if moved else None
        objects.append(
            ObjectFacts(
                colour=item.colour,
                shape=item.shape,
                size=item.size,
                moved=moved,
                onset_s=onset,
                direction=direction,
                view=views[index] or "",
            )
        )
    touched, apart = _touches(scene, trajectory, visible_px)
    sides, right_of, behind = _relations(scene, trajectory, [view == "stayed" for view in views])
    return ClipFacts(
        objects=tuple(objects),
        touched=touched,
        apart=apart,
        sides=sides,
        right_of=right_of,
        behind=behind,
    )


def _travel(trajectory: Trajectory) -> np.ndarray:
    """(T, N) horizontal distance from the start, metres."""
    return np.linalg.norm(trajectory.positions_m[:, :, :2] - trajectory.positions_m[:1, :, :2], axis=-1)


def _view(visible_px: np.ndarray) -> View | None:
    """How one object's visible pixels, (frames,), go: None if neither clearly in nor clearly out at both ends."""
    starts = visible_px[0] >= VISIBLE_PX
    ends = visible_px[-1] >= max(VISIBLE_PX, VISIBLE_SHARE * visible_px.max())
    if starts and ends:
        hidden = (visible_px < VISIBLE_PX).sum()
        return "stayed" if hidden <= len(visible_px) // 4 else None
    if starts and (visible_px[-2:] <= GONE_PX).all():
        return "left"
    if ends and (visible_px[:1] <= GONE_PX).all():
        return "entered"
    return None


def _onset(trajectory: Trajectory, travel: np.ndarray, visible_px: np.ndarray) -> float:
    began = float(trajectory.times_s[np.argmax(travel > ONSET_M)])
    seen = float(trajectory.frame_times_s[np.argmax(visible_px >= VISIBLE_PX)])
    return max(began, seen)


def _direction(scene: SceneSpec, trajectory: Trajectory, visible_px: np.ndarray, index: int) -> str | None:
    """Direction between the first and the last frame that shows the object, if one component dominates."""
    shown = np.flatnonzero(visible_px > 0)
    first, last = trajectory.frame_times_s[shown[0]], trajectory.frame_times_s[shown[-1]]
    places = trajectory.positions_m[np.searchsorted(trajectory.times_s, [first, last], side="right") - 1, index]
    step = places[1] - places[0]
    right, forward = float(step @ scene.camera.right), float(step @ scene.camera.forward)
    if abs(right) >= MOVED_M and abs(right) >= DIRECTION_RATIO * abs(forward):
        return "right" if right > 0 else "left"
    if abs(forward) >= MOVED_M and abs(forward) >= DIRECTION_RATIO * abs(right):
        return "away" if forward > 0 else "toward"
    return None


def _touches(
    scene: SceneSpec, trajectory: Trajectory, visible_px: np.ndarray
) -> tuple[frozenset[tuple[int, int]], frozenset[tuple[int, int]]]:
    travel = _travel(trajectory)
    touched, apart = set(), set()
    for first in range(len(scene.objects)):
        for second in range(first + 1, len(scene.objects)):
            time_s = trajectory.contacts.get((first, second))
            if time_s is not None:
                state = min(int(np.searchsorted(trajectory.times_s, time_s)), len(travel) - 1)
                nudges = [np.ptp(travel[max(state - 1, 0) :, index]) for index in (first, second)]
                frame = int(np.searchsorted(trajectory.frame_times_s, time_s))
                shown = frame < len(visible_px) and (visible_px[frame, [first, second]] >= VISIBLE_PX / 2).all()
                if min(nudges) >= TOUCH_NUDGE_M and shown:
                    touched.add((first, second))
                continue
            positions = trajectory.positions_m
            gaps = np.linalg.norm(positions[:, first] - positions[:, second], axis=-1)
            if gaps.min() >= scene.objects[first].radius_m + scene.objects[second].radius_m + APART_M:
                apart.add((first, second))
    return frozenset(touched), frozenset(apart)


def _relations(
    scene: SceneSpec, trajectory: Trajectory, usable: list[bool]
) -> tuple[dict[tuple[int, int], str], dict[tuple[int, int], bool], dict[tuple[int, int], bool]]:
    """Relations that hold from the first state to the last, for objects that stay in view."""
    camera = scene.camera
    plane, _ = camera.project(trajectory.positions_m)  # (T, N, 2)
    ground = np.stack([trajectory.positions_m @ camera.right, trajectory.positions_m @ camera.forward], axis=-1)
    sides: dict[tuple[int, int], str] = {}
    right_of: dict[tuple[int, int], bool] = {}
    behind: dict[tuple[int, int], bool] = {}
    indices = [index for index, is_usable in enumerate(usable) if is_usable]
    for first in indices:
        for second in indices:
            if first == second:
                continue
            offset = ground[:, first] - ground[:, second]  # (T, 2): right, forward
            across = plane[:, first, 0] - plane[:, second, 0]
            is_right = np.minimum(offset[:, 0], across) >= RELATION_M
            is_left = np.maximum(offset[:, 0], across) <= -RELATION_M
            is_behind, is_front = offset[:, 1] >= RELATION_M, offset[:, 1] <= -RELATION_M
            if is_right.all() or is_left.all():
                right_of[first, second] = bool(is_right.all())
            if is_behind.all() or is_front.all():
                behind[first, second] = bool(is_behind.all())
            size = np.abs(offset)
            if (size[:, 0] >= RELATION_RATIO * size[:, 1]).all() and (first, second) in right_of:
                sides[first, second] = "right" if right_of[first, second] else "left"
            elif (size[:, 1] >= RELATION_RATIO * size[:, 0]).all() and (first, second) in behind:
                sides[first, second] = "behind" if behind[first, second] else "front"
    return sides, right_of, behind
