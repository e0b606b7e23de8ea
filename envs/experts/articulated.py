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
from zoo.envs.experts.grasp_choice import BACK, handle_candidates, reachable
from zoo.envs.experts.paths import TURN_SPEED, straight
from zoo.envs.experts.phases import AttemptFailedError, Moves, PhaseExpert
from zoo.envs.experts.pushing import carried, fist_poses
from zoo.envs.kinematics.poses import Array, angle_between, compose, distance, interpolate_screw
from zoo.envs.robots.gripper import MAX_OPENING_M
from zoo.envs.simulation.environment import EpisodeEnv

FAR_SPEED, NEAR_SPEED = 0.08, 0.04  # m/s of the tool, where objects are handled at 0.20 and 0.08
SURPLUS = 0.15
"""Share of the range by which a part is moved farther than the task asks."""
WAYPOINTS = 12
"""Of a part's way, at which the arm is tested."""
OPTIONS = 8
"""Ways of moving the part to which the arm's own way is sought."""
BATCH = 64
RETREAT_M = 0.08
MAX_SHARE = 0.97
MAX_SWING = 0.25  # rad of any joint in one policy step

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

    def grasps(self, goal: float) -> Iterator[Option]:
        """With the hand around the handle."""
        arm = self.arm
        arm.sync()
        handle = self._handle()
        if handle is None:
            return
        poses, found = handle_candidates(arm, handle, self._rng)
        origin = arm.data.geom_xpos[handle].copy()
        for grasp in reachable(arm, poses, found, origin, self._rng, allowed=self.part, is_opening=True):
            moved = self._along(grasp.tcp, grasp.q, goal, MAX_OPENING_M / 2)
            if moved is not None:
                yield np.concatenate([grasp.pre[None], grasp.approach]), moved, True

    def fists(self, goal: float, *, is_hook: bool) -> Iterator[Option]:
        """With the fist, pushing or hooked behind the part."""
        arm = self.arm
        arm.sync()
        sign = float(np.sign(goal - arm.world.qpos(self.joint)))
        tools = fist_poses(arm, self.joint, sign, self._rng, is_hook=is_hook)
        batches = [tools[first : first + BATCH] for first in range(0, len(tools), BATCH)]
        for posture, batch in itertools.product(arm.postures, batches):
            pre = arm.inverse(compose(batch, BACK), posture, posture=posture)
            for row in np.flatnonzero(pre.success):
                q = pre.q[row]
                if not arm.is_free(q, 0.0):
                    continue
                approach = straight(arm, q, batch[row], speed=NEAR_SPEED)
                if approach is None or not arm.is_free(approach[-1], 0.0, allowed=self.part):
                    continue
                moved = self._along(batch[row], approach[-1], goal, 0.0)
                if moved is not None:
                    yield np.concatenate([q[None], approach]), moved, False

    def _along(self, tcp: Array, q: Array, goal: float, opening_m: float) -> Array | None:
        """(steps, joints) that keep the tool where it is on the part; None if the arm cannot, or touches something."""
        arm = self.arm
        positions = np.linspace(arm.world.qpos(self.joint), goal, WAYPOINTS + 1)
        poses = carried(arm, self.joint, tcp, positions)
        rows: list[Array] = []
        try:
            for position, before, after in zip(positions[1:], poses[:-1], poses[1:], strict=True):
                seconds = max(distance(before, after) / FAR_SPEED, angle_between(before[3:], after[3:]) / TURN_SPEED)
                steps = max(1, round(float(seconds) / arm.dt))
                for pose in interpolate_screw(before, after, np.arange(1, steps + 1) / steps):
                    found = arm.inverse(pose, q)
                    if not found.success or np.abs(found.q - q).max() > MAX_SWING:
                        return None
                    q = found.q
                    rows.append(q)
                arm.put_joint(self.joint, float(position))
                if not arm.is_free(q, opening_m, allowed=self.part):
                    return None
        finally:
            arm.put_joint(self.joint, float(positions[0]))
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
        share = min(MAX_SHARE, self.task.task_success_threshold + SURPLUS)
        goal = share * self.reach * self.opening_sign
        yield from self.grasps(goal)
        yield from self.fists(goal, is_hook=True)


class CloseExpert(PartExpert):
    """Pushes the part shut; where it cannot, takes the handle, or hooks the part."""

    def options(self) -> Iterator[Option]:
        yield from self.fists(0.0, is_hook=False)
        yield from self.grasps(0.0)
        yield from self.fists(0.0, is_hook=True)
