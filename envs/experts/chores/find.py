"""Find one of several objects: drive to the nearest place from which it is seen well, turn towards it, say done.

Source: sheet spoc_ring_holodeck_graspmolmo sections 1.13 (strict success), 1.15 (final approach: turn towards the
object, done when strict success holds).
Differs: it goes on until it is well inside of the distance within which a target counts, where it can. Who learns from
it and says done a step too early has succeeded all the same.
"""

from __future__ import annotations

import math

import numpy as np

from zoo.envs.experts.chores.chore import ChoreExpert, cells_within
from zoo.envs.experts.chores.pilot import StuckError
from zoo.envs.experts.chores.viewpoints import Eye, Viewpoints
from zoo.envs.kinematics.poses import Array
from zoo.envs.navigation.paths import RouteGrid
from zoo.envs.navigation.walker import bearing_deg
from zoo.envs.tasks.chores import ObjectNav
from zoo.navigation_actions import SpocAction

ARRIVAL_M = 0.2  # by which the base may miss a goal
MARGIN_M = 0.35  # of the distance within which a target counts; done is said well inside of it where there is a place
SPACING_M = 0.2  # of places that are judged
SPREAD_M = 1.5  # of way beyond the nearest good place, within which others are goals too
MAX_LOOKS = 400  # places that are judged in one plan
TRIED_M = 0.35  # around a place that did not do
ALIGNED_DEG = 7.0  # that it turns to; the rule asks for 10
STRICT_DEG = 10.0


class FindExpert(ChoreExpert):
    """Finds the nearest target that it can reach and see."""

    task: ObjectNav

    def begin(self) -> None:
        assert isinstance(self.task, ObjectNav), self.task
        episode = self.env.simulation.episode
        self.views = Viewpoints(self.world, Eye.of_episode(episode, episode.img_resolution))
        self._tried: list[tuple[str, Array]] = []
        self._strict: tuple[Array, bool] | None = None
        self._within_m = self.task.succ_pos_threshold - MARGIN_M

    def choose(self, pose: Array) -> SpocAction:
        while True:
            if self._is_strict(pose):
                self.phase = "done"
                return SpocAction.DONE
            action = self.drive(pose)
            if action is not None:
                return action
            self.phase = "look"
            action = self._turn(pose)
            if action is not None:
                return action
            if not self.plan(pose):
                self.phase = "done"
                return SpocAction.DONE

    def plan(self, pose: Array) -> bool:
        """See `ChoreExpert`; where no place well inside is left, the whole distance will do from then on."""
        if super().plan(pose):
            return True
        if self._within_m == self.task.succ_pos_threshold:
            return False
        self._within_m, self._strict = self.task.succ_pos_threshold, None
        self.forget_course()
        return super().plan(pose)

    def goals(self, grid: RouteGrid, start: np.ndarray) -> np.ndarray:
        cells, names, ways = self._near(grid, start, self._within_m - ARRIVAL_M)
        poses = {name: self.views.facing(name, grid.plan.point_of(cells)) for name in dict.fromkeys(names)}
        good: list[int] = []
        for index in np.argsort(ways, kind="stable")[:MAX_LOOKS]:
            if good and ways[index] > ways[good[0]] + SPREAD_M:
                break
            if self.views.is_good(names[index], poses[names[index]][index]):
                good.append(int(index))
        return np.unique(cells[good], axis=0) if good else cells[:0]

    def _near(self, grid: RouteGrid, start: np.ndarray, within_m: float) -> tuple[np.ndarray, list[str], Array]:
        """Cells within a distance of a target, not tried yet: (cells, 2), the target of each, (cells,) metres to it."""
        part = int(grid.parts[tuple(start)])
        distances = grid.tree_of(start, is_plain=True).cost
        cells, names = [np.zeros((0, 2), np.int64)], []
        for name in self.task.targets:
            centre, half = self.views.box(name)
            reach = half[:2] + within_m
            found = cells_within(grid, part, centre[:2] - reach, centre[:2] + reach, SPACING_M)
            points = grid.plan.point_of(found)
            is_near = self.views.distances_m(name, points) <= within_m
            for tried, place in self._tried:
                if tried == name:
                    is_near &= np.linalg.norm(points - place, axis=1) > TRIED_M
            cells.append(found[is_near])
            names += [name] * int(is_near.sum())
        joined = np.concatenate(cells)
        return joined, names, distances[joined[:, 0], joined[:, 1]]

    def _turn(self, pose: Array) -> SpocAction | None:
        """Towards the target that is seen best from here; None where all that are near have been looked at in vain."""
        place = np.array(pose[:2])
        near = [name for name in self.task.targets if self._is_near(name, place) and not self._was_tried(name, place)]
        facing = {name: self.views.facing(name, place[None])[0] for name in near}
        good = [name for name in near if self.views.is_good(name, facing[name])]
        for name in sorted(good or near, key=lambda name: abs(bearing_deg(pose, self.views.box(name)[0]))):
            if abs(bearing_deg(pose, self.views.box(name)[0])) > ALIGNED_DEG:
                try:
                    return self.pilot.turn_to(pose, float(facing[name][2]), within_deg=ALIGNED_DEG)
                except StuckError:
                    pass  # something that is in no map is in the way: another target, or another place
            self._tried.append((name, place))
        if not near:
            self._tried += [(name, place) for name in self.task.targets]
        return None

    def _is_near(self, name: str, place: Array) -> bool:
        return float(self.views.distances_m(name, place[None])[0]) <= self._within_m

    def _was_tried(self, name: str, place: Array) -> bool:
        return any(tried == name and math.dist(place, where) <= TRIED_M for tried, where in self._tried)

    def _is_strict(self, pose: Array) -> bool:
        """The task's own strict rule, asked where it can hold and once for each pose."""
        if self._strict is None or not np.array_equal(self._strict[0], pose):
            place = np.array(pose[:2])
            is_ahead = any(
                abs(bearing_deg(pose, self.views.box(name)[0])) <= STRICT_DEG and self._is_near(name, place)
                for name in self.task.targets
            )
            self._strict = np.array(pose), is_ahead and self.task.strict_success()
        return self._strict[1]
