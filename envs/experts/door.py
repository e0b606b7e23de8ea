"""Open a room door: drive to it, hold a hand out, then let the base carry the hand along the arc of the leaf.

Pulled doors are grasped at the bar, pushed ones are pushed with a closed hand; the arm keeps its posture meanwhile.
Source: sheet molmospaces sections 7 (row 7) and 15 (phases: before the handle, grasp, articulate; retries).
Differs: stands back 14 cm instead of 18 before the grasp; the base moves and not the arm, so no whole-body planner is
needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from zoo.envs.experts.approach import approach
from zoo.envs.experts.door_geometry import door_geometry, side_of
from zoo.envs.experts.door_path import DoorPath, door_paths
from zoo.envs.experts.driving import REST_SPEED, Drive, glide, surroundings
from zoo.envs.experts.expert import Expert, Move
from zoo.envs.experts.navigation import TUCK
from zoo.envs.experts.reaches import reaches
from zoo.envs.kinematics.poses import Array
from zoo.envs.robots.gripper import CLOSE_S, CTRL_CLOSED, CTRL_OPEN, OPEN_S
from zoo.envs.simulation.environment import EpisodeEnv
from zoo.envs.tasks.articulated import OpenDoor

GOAL_SHARE = 0.75  # of the hinge's range; the spring of a leaf may take a little of it back
AIM_SHARES = (0.82, 0.72, 0.52, 0.36)
"""Where a motion is planned to, as hand and base give way; the smaller ones where there is no room to pull farther.
A leaf that stands open by some of it can be pushed from behind."""
BEHIND_ANGLE = math.radians(25)  # by which it must be open for that
APPROACH_SPEED, APPROACH_TURN = 0.6, math.radians(40)  # m/s, rad/s
NEAR_SPEED = 0.15  # m/s of the last bit towards the leaf
LEAF_SPEED, LEAF_TURN = 0.25, math.radians(25)  # of the base while the leaf turns
REACH_SPEED = 1.5  # rad/s of the joint that moves most
HELD_CLOSED = 0.92  # a hand that closes more than this holds nothing; around a bar it is at 0.77
LOST_M = 0.04  # by which the bar may slip in the hand
EXTRA_ANGLE = math.radians(10)  # a leaf that moved by less is where it was
APART_M = 0.12  # between places that count as different
LET_GO_M = 0.12
SETTLE_S = 1.0
RETRIES = 4  # one of them for the second half of a way that is done in two


class DoorExpert(Expert):
    """Pulls or pushes a door open with one arm."""

    robots: ClassVar[tuple[str, ...]] = ("rby1",)

    def reset(self, env: EpisodeEnv, rng: np.random.Generator) -> None:
        """Look at the door; what follows is planned at each attempt.

        Args:
            env: Freshly reset.
            rng: Of the beginnings of inverse kinematics.
        """
        assert isinstance(env.task, OpenDoor), env.task
        self._env = env
        simulation = env.simulation
        self._dt = simulation.clocks.policy_dt
        name, model = env.task.door_body_name, simulation.model
        side = side_of(model, name, self._base()[:2])
        self._door, self._behind = door_geometry(model, name, side), door_geometry(model, name, -side)
        self._ways = reaches(simulation, self._door.bar_z_m, rng)
        self._walls = surroundings(simulation, skip_bodies=[name])
        self._tried: list[DoorPath] = []
        self._moves = self._all_moves()

    def act(self) -> Move:
        return next(self._moves)

    def _all_moves(self) -> Iterator[Move]:
        """Moves of all attempts, the last with `is_done`."""
        for _ in range(RETRIES + 1):
            path = self._plan()
            if path is None:
                break
            self._tried.append(path)
            yield from self._attempt(path)
            yield from self._stand()
            if self._env.judgement.success:
                break
        while True:
            yield Move(is_done=True, phase="done")

    def _plan(self) -> DoorPath | None:
        """The best path that is free and was not tried; else the best that was not tried."""
        best: DoorPath | None = None
        angle, self._around = self._angle(), surroundings(self._env.simulation)
        doors = [self._door]
        if self._door.is_pulled and angle > BEHIND_ANGLE:
            doors.append(self._behind)
        for share in AIM_SHARES:
            end = share * self._door.max_angle
            if best is not None and end < angle + EXTRA_ANGLE:
                break
            paths = [
                path
                for door in doors
                for path in door_paths(
                    door,
                    self._ways,
                    walls=self._walls,
                    base=self._base(),
                    start_angle=angle,
                    end_angle=max(end, angle + EXTRA_ANGLE),
                )
            ]
            paths.sort(key=lambda path: (not path.is_free, path.cost))
            new = next((path for path in paths if not self._was_tried(path) and self._is_open(path)), None)
            if new is not None and (best is None or new.is_free):
                best = new
            if best is not None and best.is_free:
                break
        return best

    def _is_open(self, path: DoorPath) -> bool:
        """Whether the way to a path is; to the front of the leaf any is, but on one to its back it may be closed."""
        return path.door is self._door or approach(self._around, self._base(), path.before)[1]

    def _was_tried(self, path: DoorPath) -> bool:
        return any(
            path.reach.side == other.reach.side
            and path.door is other.door
            and abs(path.angles[0] - other.angles[0]) < EXTRA_ANGLE
            and math.dist(path.before[:2], other.before[:2]) < APART_M
            for other in self._tried
        )

    def _attempt(self, path: DoorPath) -> Iterator[Move]:
        side, is_pulled = path.reach.side, path.door.is_pulled
        hand, arm = f"{side}_gripper", f"{side}_arm"
        fingers = {hand: np.array([CTRL_OPEN if is_pulled else CTRL_CLOSED])}
        corners, _ = approach(self._around, self._base(), path.before)
        if not (yield from self._drive(corners, "approach", APPROACH_SPEED, APPROACH_TURN, {**TUCK, **fingers})):
            return
        yield from self._hold_out(arm, path.reach.q)
        yield from self._drive(path.poses[:1], "near", NEAR_SPEED, LEAF_TURN)
        if is_pulled:
            for _ in range(math.ceil(CLOSE_S / self._dt) + 1):
                yield Move({hand: np.array([CTRL_CLOSED])}, phase="grasp")
        yield from self._follow(path, hand)
        yield from self._let_go(path, hand)

    def _follow(self, path: DoorPath, hand: str) -> Iterator[Move]:
        """Carry the hand along until the leaf is open far enough, or the hand has lost it."""
        poses = glide(self._base(), path.poses[1:], dt=self._dt, speed=LEAF_SPEED, turn_speed=LEAF_TURN)
        drive = Drive(poses, self._dt)
        apart = self._from_bar(hand)
        while (pose := drive.next(self._base())) is not None and not drive.is_stuck:
            is_lost = path.door.is_pulled and (
                self._env.simulation.view.gripper_closed(hand) > HELD_CLOSED or self._from_bar(hand) > apart + LOST_M
            )
            if is_lost or self._angle() >= GOAL_SHARE * self._door.max_angle:
                return
            yield Move({"base": pose}, phase="pull" if path.door.is_pulled else "push")

    def _from_bar(self, hand: str) -> float:
        """Metres in the plane between tool and bar."""
        tool = self._env.simulation.view.tcp_pose(hand, in_world=True)[:2]
        return math.dist(tool, self._door.point_at(self._angle(), self._door.bar_m))

    def _let_go(self, path: DoorPath, hand: str) -> Iterator[Move]:
        """Open the hand and take it off the leaf."""
        if path.door.is_pulled:
            for _ in range(math.ceil(OPEN_S / self._dt)):
                yield Move({hand: np.array([CTRL_OPEN])}, phase="release")
        base = self._base()
        yaw = base[2] + path.reach.yaw
        back = base - LET_GO_M * np.array([math.cos(yaw), math.sin(yaw), 0.0])
        yield from self._drive(back[None], "release", NEAR_SPEED, LEAF_TURN)

    def _drive(
        self, corners: Array, phase: str, speed: float, turn_speed: float, others: dict[str, Array] | None = None
    ) -> Iterator[Move]:
        """Glide along corners; returns whether it arrived."""
        drive = Drive(glide(self._base(), corners, dt=self._dt, speed=speed, turn_speed=turn_speed), self._dt)
        while (pose := drive.next(self._base())) is not None:
            if drive.is_stuck:
                return False
            yield Move({"base": pose, **(others or {})}, phase=phase)
        return True

    def _hold_out(self, arm: str, q: Array) -> Iterator[Move]:
        start = self._env.simulation.view.qpos(arm)
        steps = math.ceil(float(np.abs(q - start).max()) / (REACH_SPEED * self._dt))
        for step in range(1, steps + 2):  # once more, so that it gets there
            yield Move({arm: start + min(step / max(steps, 1), 1.0) * (q - start)}, phase="reach")

    def _stand(self) -> Iterator[Move]:
        """Wait until base and leaf are at rest."""
        simulation = self._env.simulation
        dof = simulation.model.jnt_dofadr[self._door.joint]
        for _ in range(math.ceil(SETTLE_S / self._dt)):
            yield Move(phase="stand")
            if max(np.abs(simulation.view.qvel("base")).max(), abs(simulation.data.qvel[dof])) < REST_SPEED:
                return

    def _base(self) -> Array:
        return self._env.simulation.view.qpos("base")

    def _angle(self) -> float:
        return self._env.simulation.world.qpos(self._door.joint)
