"""What the experts of CHORES have in common: the robot's floor, its pilot, and how they drive to good places.

Source: sheet spoc_ring_holodeck_graspmolmo sections 1.15 and 2.5.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from zoo.envs.experts.chores.body import Body, Floor, floor_map
from zoo.envs.experts.chores.pilot import NEAR_M, Course, Pilot, StuckError
from zoo.envs.experts.expert import Expert, Move
from zoo.envs.kinematics.poses import Array
from zoo.envs.navigation.paths import RouteGrid
from zoo.envs.navigation.walker import arm_step
from zoo.envs.simulation.environment import EpisodeEnv
from zoo.envs.simulation.simulation import Simulation
from zoo.envs.simulator import mujoco
from zoo.envs.tasks.chores import Chore
from zoo.navigation_actions import SpocAction

MAX_PLANS = 12  # after which it gives up
ARM_OUT_M, WRIST_OFF_DEG = 0.06, 20.0  # from home, before which the arm is folded again


@dataclass(frozen=True, slots=True)
class _Known:
    """A floor, and the scene that it was made from.

    Args:
        model: Of the scene with its robot.
        others: Joint positions of all but the robot.
        floor: Of them.
    """

    model: mujoco.MjModel
    others: Array
    floor: Floor


class ChoreExpert(Expert):
    """Acts by what it proposes from the state as it is; says done when it has succeeded or given up."""

    robots: ClassVar[tuple[str, ...]] = ("stretch", "ring_body")
    _known: _Known | None = None

    def reset(self, env: EpisodeEnv, rng: np.random.Generator) -> None:
        """Make the map of the floor; nothing is drawn."""
        assert isinstance(env.task, Chore), env.task
        self.env, self.task, self.world = env, env.task, env.simulation.world
        simulation = env.simulation
        self.robot_name = simulation.model.body(self.world.robot_root).name
        self.pilot = Pilot(self._floor_of(simulation))
        self.body = self.pilot.floor.body
        self.phase = "start"
        self._plans, self._has_course = 0, False
        self._home = {group.name: np.array(group.home) for group in simulation.robot.groups if group.kind == "arm"}
        self._step, self._proposed = -1, SpocAction.DONE
        self.begin()
        self.plan(self.pose())

    def act(self) -> Move:
        action = self.propose()
        return Move(
            is_done=action == SpocAction.DONE,
            phase=self.phase,
            action=action,
            is_recovery=self.pilot.is_recovering and self.phase == "drive",
        )

    def propose(self) -> SpocAction:
        """See `Expert`; asked again before the next step, it says the same."""
        steps = self.env.steps
        if steps != self._step:
            pose = self.pose()
            self.observe(pose, self.world.said if steps == self._step + 1 else None)
            self._step, self._proposed = steps, self.choose(pose)
        return self._proposed

    def observe(self, pose: Array, said: SpocAction | None) -> None:
        """Learn from the last step.

        Args:
            pose: x, y, yaw now.
            said: The action of that step, whoever chose it; None where more than one was made since the last proposal.
        """
        self.pilot.observe(pose, said)

    def pose(self) -> Array:
        """x, y, yaw of the base."""
        return self.world.base_pose()

    @abstractmethod
    def begin(self) -> None:
        """Look at the episode."""

    @abstractmethod
    def choose(self, pose: Array) -> SpocAction:
        """The action for a state whose last step was observed."""

    @abstractmethod
    def goals(self, grid: RouteGrid, start: np.ndarray) -> np.ndarray:
        """(cells, 2) of a grid that one may go to, reached from the cell of the start; none where nothing is left."""

    def _floor_of(self, simulation: Simulation) -> Floor:
        """The map of the floor; the last one, if nothing but the robot is in another place."""
        own = np.concatenate([simulation.view.qpos_addresses(group.name) for group in simulation.robot.groups])
        others = np.delete(simulation.data.qpos, own)
        known = self._known
        if known is None or known.model is not simulation.model or not np.array_equal(known.others, others):
            body = Body.of(simulation.robot)
            occupancy = floor_map(
                simulation.model,
                simulation.data,
                simulation.house.scene,
                height_m=body.height_m,
                skip_bodies=(self.robot_name,),
            )
            known = self._known = _Known(simulation.model, others, Floor(occupancy, body))
        return known.floor

    def drive(self, pose: Array) -> SpocAction | None:
        """The next action on the way to the nearest goal; None on arrival, done where no goal can be reached."""
        self.phase = "drive"
        if (action := self.folding()) is not None:
            return action
        if not self._has_course and not self.plan(pose):
            return SpocAction.DONE
        while True:
            try:
                return self.pilot.propose(pose)
            except StuckError:
                self.pilot.avoid(pose)
                if not self.plan(pose):
                    return SpocAction.DONE

    def plan(self, pose: Array) -> bool:
        """Choose among the goals that are left, on the roomiest grid that reaches one; returns whether there is one."""
        self._plans += 1
        self._has_course = False
        if self._plans > MAX_PLANS:
            return False
        for grid in self.pilot.grids():
            start = grid.nearest(pose[:2], within_m=NEAR_M)
            if start is None:
                continue
            cells = self.goals(grid, start)
            if len(cells):
                self.pilot.steer_for(Course(grid, grid.tree_of(cells)))
                self._has_course = True
                return True
        return False

    def forget_course(self) -> None:
        """The goals have changed: plan before the next move."""
        self._plans, self._has_course = 0, False

    def folding(self) -> SpocAction | None:
        """The next action that brings the arm home: in, then the wrist; None without an arm, and where it is there."""
        if "arm" not in self._home:
            return None
        if (action := self.retracting()) is not None:
            return action
        wrist = math.degrees(self._home["arm"][-1] - self.env.simulation.view.qpos("arm")[-1])
        return arm_step(0.0, 0.0, wrist) if abs(wrist) > WRIST_OFF_DEG else None

    def retracting(self) -> SpocAction | None:
        """Drawing the arm in; None where it is in."""
        out = float((self.env.simulation.view.qpos("arm") - self._home["arm"])[1:-1].sum())
        return SpocAction.MOVE_ARM_IN if out > ARM_OUT_M else None


def cells_within(grid: RouteGrid, part: int | None, low_m: Array, high_m: Array, spacing_m: float) -> np.ndarray:
    """(cells, 2) of one part of a grid, or of all, in a rectangle of the world, some way apart."""
    corners = grid.plan.cell_of(np.array([low_m, high_m, [low_m[0], high_m[1]], [high_m[0], low_m[1]]]))
    low = np.clip(corners.min(axis=0), 0, grid.plan.blocked.shape)
    high = np.clip(corners.max(axis=0) + 1, 0, grid.plan.blocked.shape)
    window = grid.parts[low[0] : high[0], low[1] : high[1]]
    cells = np.argwhere(window > 0 if part is None else window == part) + low
    spacing = max(1, round(spacing_m / grid.plan.cell_m))
    return cells[(cells % spacing == 0).all(axis=1)]
