"""Whether an arm can take hold of something from where it stands: some grasp that geometry and kinematics allow.

Source: sheet molmospaces section 15, episode sampling order, item 5 ("at least one non-colliding grasp"), and section
14 (pre-grasp 4 cm back; then lift or articulate).
Differs: upstream reads verified grasps. Here candidates of geometry alone are drawn, so that drawing episodes needs no
grasp files, and whether an object can be held firmly does not decide which episodes there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from zoo.envs.grasps.files import HALF_TURN
from zoo.envs.grasps.sampling import sample_candidates
from zoo.envs.grasps.selection import PRE_GRASP_M, best_grasps, free_grasps
from zoo.envs.grasps.surface import ConvexPiece, collision_geoms, pieces_near, pieces_of
from zoo.envs.kinematics.inverse import solve
from zoo.envs.kinematics.poses import Array, compose, invert, matrix_from_pose, pose7, pose_from_matrix
from zoo.envs.sampling.stage import Stage

CANDIDATES = 192
"""Of one object, before their twins."""
FREE = 48  # that inverse kinematics is tried for, the cheapest ones
ARMS = 6  # whose whole arm is tested for contacts
NEAR_M = 0.35  # what can be in the way of a hand
TOLERANCE = 1e-3  # of inverse kinematics here, m and rad
ITERATIONS = 60
GROUP = "arm"


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """What is to be taken hold of.

    Args:
        name: Root body of the object.
        body: Index of the body whose frame grasps move with: the root, or a part that opens.
        geoms: That the fingers close on.
        held: Geoms that move with them.
        rest: The object's other geoms, in the way.
        key: Equal for what has the same candidates.
    """

    name: str
    body: int
    geoms: tuple[int, ...]
    held: tuple[int, ...]
    rest: tuple[int, ...]
    key: str

    @property
    def is_part(self) -> bool:
        return bool(self.held or self.rest)


class GraspSearch:
    """Remembers candidates of what it has seen."""

    def __init__(self) -> None:
        self._known: dict[str, Array] = {}

    def can_hold(self, stage: Stage, hold: Hold, *, move: Callable[[], None] | None = None) -> bool:
        """Whether the arm reaches a grasp, and the place 4 cm before it, without touching anything else.

        The state is left as it was.

        Args:
            stage: With the robot where it would stand.
            hold: What to take hold of.
            move: Puts what is held where it should go; the arm must reach it there too.
        """
        data, view = stage.data, stage.view
        before = data.qpos.copy()
        body = matrix_from_pose(pose7(data.xpos[hold.body], data.xquat[hold.body]))
        tool = matrix_from_pose(view.tcp_pose(GROUP, in_world=True))
        grasps = self._candidates(stage, hold)
        poses = best_grasps(grasps, body, tool, is_opening=hold.is_part, limit=len(grasps)).poses
        poses = poses[free_grasps(poses, _around(stage, hold), wanted=FREE)]
        if not len(poses):
            return False
        arms, poses = _solved(stage, poses, [0.0, PRE_GRASP_M])
        if move is not None and len(arms):
            move()
            stage.forward()
            after = matrix_from_pose(pose7(data.xpos[hold.body], data.xquat[hold.body]))
            _, reached = _reach(stage, after @ np.linalg.inv(body) @ poses)
            arms = arms[reached]
            data.qpos[:] = before
        found = any(_is_clear(stage, hold, arm) for arm in arms[:ARMS])
        data.qpos[:] = before
        stage.forward()
        return found

    def _candidates(self, stage: Stage, hold: Hold) -> Array:
        """(grasps, 4, 4) in the frame of the hold's body, twins included."""
        if hold.key not in self._known:
            model, data = stage.model, stage.data
            grasped, held, rest = (
                pieces_of(model, data, geoms, hold.body) for geoms in (hold.geoms, hold.held, hold.rest)
            )
            rng = np.random.default_rng(crc32(hold.key.encode()))
            poses = sample_candidates(grasped, rng, limit=CANDIDATES, held=held, obstacles=rest).poses
            self._known[hold.key] = np.concatenate([poses, poses @ HALF_TURN])
        return self._known[hold.key]


def whole(stage: Stage, name: str) -> Hold:
    """A thing that is lifted."""
    root = stage.world.root(name)
    bodies = np.flatnonzero(stage.model.body_rootid == root)
    return Hold(
        name=name,
        body=root,
        geoms=tuple(collision_geoms(stage.model, bodies.tolist())),
        held=(),
        rest=(),
        key=stage.built_as(name),
    )


def part(stage: Stage, name: str, *, joint: int, handle: int) -> Hold:
    """A part that opens, at its handle.

    Args:
        stage: With the joint where it begins.
        name: Of the object.
        joint: Index of the part's joint.
        handle: Index of the geom that one pulls at.
    """
    model = stage.model
    body = int(model.jnt_bodyid[joint])
    on_part = collision_geoms(model, [body])
    bodies = np.flatnonzero(model.body_rootid == stage.world.root(name)).tolist()
    rest = [geom for geom in collision_geoms(model, bodies) if geom not in on_part]
    held = tuple(geom for geom in on_part if geom != handle)
    own_name = model.joint(joint).name.removeprefix(name)
    key = f"{stage.built_as(name)}{own_name} at {stage.world.qpos(joint):.6g}"
    return Hold(name=name, body=body, geoms=(handle,), held=held, rest=tuple(rest), key=key)


def _around(stage: Stage, hold: Hold) -> list[ConvexPiece]:
    own = np.flatnonzero(np.isin(stage.model.body_rootid, [stage.world.root(hold.name), stage.robot_root]))
    middle = stage.data.geom_xpos[list(hold.geoms)].mean(axis=0)
    return pieces_near(stage.model, stage.data, middle, NEAR_M, skip_bodies=own.tolist())


def _solved(stage: Stage, poses: Array, backs_m: Sequence[float]) -> tuple[Array, Array]:
    """Arms at the grasps that are reached at every distance back along the approach, and those grasps."""
    arms = np.empty((0, 0))
    for back in sorted(backs_m, reverse=True):
        shifted = poses.copy()
        shifted[:, :3, 3] -= back * poses[:, :3, 2]
        arms, reached = _reach(stage, shifted)
        arms, poses = arms[reached], poses[reached]
        if not len(poses):
            break
    return arms, poses


def _reach(stage: Stage, poses: Array) -> tuple[Array, np.ndarray]:
    """Arms for tool frames in the world, and which of them are reached."""
    view = stage.view
    targets = compose(invert(view.base_pose()), pose_from_matrix(poses))
    solution = solve(
        view.chain(GROUP), targets, initial=view.qpos(GROUP), tolerance=TOLERANCE, max_iterations=ITERATIONS
    )
    return solution.q, solution.success


def _is_clear(stage: Stage, hold: Hold, arm: Array) -> bool:
    stage.view.set_qpos({GROUP: arm})
    stage.forward()
    return stage.is_robot_free(but=(hold.name,)) and not stage.robot_touches_itself()
