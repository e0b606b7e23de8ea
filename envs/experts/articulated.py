"""Opens and closes drawers, doors, flaps and lids of furniture.

Opening takes hold of the handle and follows the joint; where no grasp can, the fist hooks the part from behind. Closing
pushes with the tips of the fist, and takes the handle where no push is possible.
Source: sheet of MolmoSpaces section 15, "Franka expert phases" (0.08 and 0.04 m/s).
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from zoo import registry
from zoo.envs.experts.grasp_choice import BACK, handle_candidates, ranked
from zoo.envs.experts.paths import TURN_SPEED, straight
from zoo.envs.experts.phases import AttemptFailedError, Moves, PhaseExpert
from zoo.envs.experts.pushing import carried, fist_poses
from zoo.envs.kinematics.poses import Array, angle_between, compose, distance, interpolate_screw
from zoo.envs.robots.gripper import MAX_OPENING_M
from zoo.envs.simulation.environment import EpisodeEnv

FAR_SPEED, NEAR_SPEED = 0.08, 0.04  # m/s of the tool, where objects are handled at 0.20 and 0.08
SURPLUS = 0.15
"""Share of the range by which a part is moved farther than the task asks."""
SLACK = 0.02
"""Where that is out of reach, this much is enough."""
WAYPOINTS = 16
"""Of a part's way, at which the arm is tested."""
OPTIONS = 4
"""Ways of moving the part to which the arm's own way is sought."""
BATCH = 64
RETREAT_M = 0.08
MAX_SHARE = 0.97
MAX_SWING = 0.25  # rad of any joint in one policy step
MAX_TURN = 0.8  # rad of any joint between two waypoints
MAX_BATCHES = 12  # of tools and postures of the arm, each some 50 ms

Option = tuple[Array, Array, bool]
"""(steps, joints) from before the part to it, (steps, joints) along with it, and whether the hand closes in between."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PartPlan:
    """How a part is moved.

    Args:
        way: (steps, joints) to before it.
        approach: (steps, joints) to it.
        moved: (steps, joints) along with it.
        is_grasp: The hand closes around the handle in between; else it is a fist from the start.
    """

    way: Array
    approach: Array
    moved: Array
    is_grasp: bool


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a joint should go.

    Args:
        best: Its position, radians or metres; 0 to close.
        least: Distance from closed that is enough, at least to open and at most to close.
    """

    best: float
    least: float

    def positions(self, now: float) -> Array:
        """Waypoints from where the joint is."""
        return np.linspace(now, self.best, WAYPOINTS + 1)

    def is_enough(self, position: float) -> bool:
        return abs(position) <= self.least if self.best == 0 else abs(position) >= self.least


class PartExpert(PhaseExpert):
    """What opening and closing share: the part, its joint, and the arm following them."""

    def reset(self, env: EpisodeEnv, rng: np.random.Generator) -> None:
        super().reset(env, rng)
        self.joint = self.arm.world.joint(self.task.joint_name)
        self.part = frozenset({int(self.arm.model.jnt_bodyid[self.joint])})
        low, high = map(float, self.arm.model.jnt_range[self.joint])
        self.reach, self.opening_sign = high - low, 1.0 if abs(high) >= abs(low) else -1.0

    def attempt(self) -> Moves:
        plan = self.plan()
        if plan.is_grasp == (self.arm.opening_m < MAX_OPENING_M / 2):
            yield from self.grip(is_closed=not plan.is_grasp, is_holding=False)
        yield from self.follow(plan.way, "approach")
        yield from self.follow(plan.approach, "grasp" if plan.is_grasp else "touch", is_watched=plan.is_grasp)
        if plan.is_grasp:
            yield from self.grip(is_closed=True)
        yield from self.follow(plan.moved, "articulate")
        if plan.is_grasp:
            yield from self.grip(is_closed=False)
        yield from self.draw_back()

    def recover(self) -> Moves:
        if self._is_holding:
            yield from self.grip(is_closed=False)
        yield from self.draw_back()

    def draw_back(self) -> Moves:
        """Leave the part, as far as there is room."""
        self.arm.sync()
        back = self.retreat_way(RETREAT_M, allowed=self.part)
        if back is not None:
            yield from self.follow(back, "retreat", is_watched=False)

    def plan(self) -> PartPlan:
        """The first of the ways to move the part that the arm can do.

        Raises:
            AttemptFailedError: there is none.
        """
        tried = 0
        for approach, moved, is_grasp in self.options():
            tried += 1
            opening = MAX_OPENING_M if is_grasp else 0.0
            try:
                way = self.way_to(approach[0], opening_m=opening, speed=2 * FAR_SPEED)
            except AttemptFailedError:
                if tried == OPTIONS:
                    break
                continue
            return PartPlan(way=way, approach=approach, moved=moved, is_grasp=is_grasp)
        raise AttemptFailedError("no way to the part" if tried else "no hold can follow the joint")

    @abstractmethod
    def options(self) -> Iterator[Option]:
        """Ways of moving the part, best first."""

    def grasps(self, aim: Aim) -> Iterator[Option]:
        """With the hand around the handle."""
        arm = self.arm
        arm.sync()
        handle = self._handle()
        if handle is None:
            return
        poses, found = handle_candidates(arm, handle, self._rng)
        tools = ranked(arm, poses, found, arm.data.geom_xpos[handle].copy(), is_opening=True)
        yield from self._holds(tools, aim, is_grasp=True, is_turned=True)

    def fists(self, aim: Aim, *, is_hook: bool) -> Iterator[Option]:
        """With the fist, pushing or hooked behind the part."""
        arm = self.arm
        arm.sync()
        sign = float(np.sign(aim.best - arm.world.qpos(self.joint)))
        tools = fist_poses(arm, self.joint, sign, self._rng, is_hook=is_hook)
        for is_turned in (True, False):
            yield from self._holds(tools, aim, is_grasp=False, is_turned=is_turned)

    def _holds(self, tools: Array, aim: Aim, *, is_grasp: bool, is_turned: bool) -> Iterator[Option]:
        """Those tools (n, 7) at the part that the arm reaches, and with which it can move it far enough."""
        arm = self.arm
        before, along = (MAX_OPENING_M, MAX_OPENING_M / 2) if is_grasp else (0.0, 0.0)
        positions = aim.positions(arm.world.qpos(self.joint))
        batches = [tools[first : first + BATCH] for first in range(0, len(tools), BATCH)]
        for posture, batch in itertools.islice(itertools.product(arm.postures, batches), MAX_BATCHES):
            pre = arm.inverse(compose(batch, BACK), posture, posture=posture)
            there = arm.inverse(batch, pre.q)
            poses = np.array([carried(arm, self.joint, tcp, positions, is_turned=is_turned) for tcp in batch])
            for row, way in self._followed(poses, there.q, pre.success & there.success):
                q = pre.q[row]
                if not aim.is_enough(positions[len(way) - 1]) or not arm.is_free(q, before):
                    continue
                free = positions[: self._num_free(way, positions, along)]
                if not len(free) or not aim.is_enough(free[-1]):
                    continue
                approach = straight(arm, q, batch[row], speed=NEAR_SPEED)
                if approach is None or not arm.is_free(approach[-1], before, allowed=self.part):
                    continue
                moved = self._along(poses[row, : len(free)], approach[-1])
                if moved is not None:
                    yield np.concatenate([q[None], approach]), moved, is_grasp

    def _followed(self, poses: Array, start: Array, is_start: Array) -> list[tuple[int, Array]]:
        """Rows of tool poses (n, waypoints, 7), and arm positions (waypoints, joints) as far as the arm can follow.

        The farthest come first.
        """
        q = start.copy()
        alive = np.flatnonzero(is_start)
        ways = {int(row): [start[row]] for row in alive}
        for step in range(1, poses.shape[1]):
            if not len(alive):
                break
            found = self.arm.inverse(poses[alive, step], q[alive])
            good = found.success & (np.abs(found.q - q[alive]).max(axis=1) < MAX_TURN)
            q[alive] = found.q
            alive = alive[good]
            for row in alive:
                ways[int(row)].append(q[row].copy())
        return sorted(((row, np.array(way)) for row, way in ways.items()), key=lambda entry: -len(entry[1]))

    def _num_free(self, way: Array, positions: Array, opening_m: float) -> int:
        """At how many waypoints, from the first, the arm touches nothing but the part, which goes along."""
        arm = self.arm
        try:
            for number, (q, position) in enumerate(zip(way, positions, strict=False)):
                arm.put_joint(self.joint, float(position))
                if not arm.is_free(q, opening_m, allowed=self.part):
                    return number
        finally:
            arm.put_joint(self.joint, float(positions[0]))
        return len(way)

    def _along(self, poses: Array, q: Array) -> Array | None:
        """(steps, joints) through poses of the tool (n, 7), the first of which is where it is; None if it cannot."""
        arm = self.arm
        rows: list[Array] = []
        for before, after in itertools.pairwise(poses):
            seconds = max(distance(before, after) / FAR_SPEED, angle_between(before[3:], after[3:]) / TURN_SPEED)
            steps = max(1, round(float(seconds) / arm.dt))
            for pose in interpolate_screw(before, after, np.arange(1, steps + 1) / steps):
                found = arm.inverse(pose, q)
                if not found.success or np.abs(found.q - q).max() > MAX_SWING:
                    return None
                q = found.q
                rows.append(q)
        return np.array(rows)

    def _handle(self) -> int | None:
        """The geom that one pulls at; None where nothing is known of one."""
        house, name = self._env.simulation.house, self.task.pickup_obj_name
        for item in house.scene.objects:
            if item.name == name:
                facts = registry.build("asset_library", item.library).facts()[item.asset]
                for part in facts.articulations:
                    if f"{name}/{part.joint}" == self.task.joint_name:
                        return int(self.arm.model.geom(f"{name}/{part.handle}").id)
        return None


class OpenExpert(PartExpert):
    """Pulls at the handle; where it cannot, hooks the part."""

    def options(self) -> Iterator[Option]:
        threshold = self.task.task_success_threshold
        best, least = (min(share, MAX_SHARE) for share in (threshold + SURPLUS, threshold + SLACK))
        aim = Aim(best=best * self.reach * self.opening_sign, least=least * self.reach)
        yield from self.grasps(aim)
        yield from self.fists(aim, is_hook=True)


class CloseExpert(PartExpert):
    """Pushes the part shut; where it cannot, takes the handle, or hooks the part."""

    def options(self) -> Iterator[Option]:
        aim = Aim(best=0.0, least=(1 - self.task.task_success_threshold - SLACK) * self.reach)
        yield from self.fists(aim, is_hook=False)
        yield from self.grasps(aim)
        yield from self.fists(aim, is_hook=True)
