"""Which grasp of an object or of a handle the arm uses: the cheapest that it can reach and that is free.

Source: sheet of MolmoSpaces sections 14 and 15, "grasp choice" (cost, collision check, batched IK, best survivor).
Differs: candidates are drawn on the geometry of the scene at hand, so that every asset has some, at any scale; the
whole hand is tested against the scene rather than thin proxies of the fingers; badly aligned fingers cost something,
because nobody has shaken these grasps.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.envs.experts.paths import NEAR_SPEED, straight
from zoo.envs.experts.workspace import Workspace
from zoo.envs.grasps.files import HALF_TURN
from zoo.envs.grasps.sampling import Candidates, sample_candidates
from zoo.envs.grasps.selection import PRE_GRASP_M, grasp_costs
from zoo.envs.grasps.surface import ConvexPiece, collision_geoms, pieces_near, pieces_of
from zoo.envs.kinematics.poses import Array, compose, matrix_from_pose, pose_from_matrix
from zoo.envs.robots.gripper import MAX_OPENING_M

CANDIDATES = 240
RANKED = 128  # the cheapest, twins included, for which inverse kinematics is tried
ALIKE_M, ALIKE_COSINE = 0.012, np.cos(np.radians(20))
"""What is nearer to a cheaper grasp, in place, approach and opening, would fail like it."""
IK_BATCH = 64
QUALITY_COST = 2.0  # times how far the worse finger is from square
DEPTH_COST = 1.0  # times how far from the middle of the pads it holds
GOOD_DEPTH = 0.75
NEAR_M = 0.3  # of the object's box, in which the scene is in the way of the hand
BACK = np.array([0.0, 0.0, -PRE_GRASP_M, 1.0, 0.0, 0.0, 0.0])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Grasp:
    """How to take hold of something.

    Args:
        tcp: world_from_tcp (7,).
        q: Arm positions there (joints,).
        pre: Arm positions 4 cm back (joints,).
        approach: (steps, joints) from there to the grasp.
    """

    tcp: Array
    q: Array
    pre: Array
    approach: Array


def object_candidates(arm: Workspace, name: str, rng: np.random.Generator) -> tuple[Array, Candidates]:
    """Grasps of a free object as it lies in the scene: world poses (n, 4, 4), with twins, and what they are like."""
    model, data = arm.model, arm.data
    root = arm.world.root(name)
    bodies = np.flatnonzero(model.body_rootid == root)
    pieces = pieces_of(model, data, collision_geoms(model, bodies), 0)
    return _with_twins(sample_candidates(pieces, rng, limit=CANDIDATES, obstacles=_around(arm, pieces, bodies)))


def handle_candidates(arm: Workspace, handle: int, rng: np.random.Generator) -> tuple[Array, Candidates]:
    """Grasps of a handle of a fixture in the world, as `object_candidates`; the rest of the fixture is in the way."""
    model, data = arm.model, arm.data
    part = [int(model.geom_bodyid[handle])]
    pieces = pieces_of(model, data, [handle], 0)
    held = pieces_of(model, data, [geom for geom in collision_geoms(model, part) if geom != handle], 0)
    around = _around(arm, pieces, part)
    return _with_twins(sample_candidates(pieces, rng, limit=CANDIDATES, held=held, obstacles=around))


def ranked(arm: Workspace, poses: Array, found: Candidates, origin_m: Array, *, is_opening: bool = False) -> Array:
    """Tools (n, 7) in the world, cheapest first, without those that hardly differ from a cheaper one.

    Args:
        arm: Whose hand is where it is now.
        poses: (candidates, 4, 4) in the world.
        found: What they are like, in the same order.
        origin_m: (3,) of the object.
        is_opening: The object is to be opened or closed.
    """
    costs = grasp_costs(poses, matrix_from_pose(arm.tcp(arm.told)), origin_m, is_opening=is_opening)
    costs = costs + QUALITY_COST * (1 - found.quality) + DEPTH_COST * np.abs(found.depth - GOOD_DEPTH)
    rest = poses[np.argsort(costs, kind="stable")]
    chosen = []
    while len(rest) and len(chosen) < RANKED:
        chosen.append(rest[0])
        is_near = np.linalg.norm(rest[:, :3, 3] - rest[0, :3, 3], axis=1) < ALIKE_M
        is_near &= (np.einsum("nik,ik->nk", rest[:, :3, 1:3], rest[0, :3, 1:3]) > ALIKE_COSINE).all(axis=1)
        rest = rest[~is_near]
    return pose_from_matrix(np.array(chosen).reshape(-1, 4, 4))


def reachable(arm: Workspace, tools: Array, rng: np.random.Generator, *, allowed: Collection[int]) -> Iterator[Grasp]:
    """Grasps that the arm reaches without touching anything, in the order of the tools.

    Args:
        arm: In a copy of the scene as it is.
        tools: world_from_tcp (n, 7).
        rng: Of restarts of the inverse kinematics.
        allowed: Bodies that the hand may touch.
    """
    batches = [tools[first : first + IK_BATCH] for first in range(0, len(tools), IK_BATCH)]
    for posture, batch in itertools.product(arm.postures, batches):
        back = arm.inverse(compose(batch, BACK), posture, posture=posture, rng=rng)
        there = arm.inverse(batch, back.q)
        for row in np.flatnonzero(back.success & there.success):
            q = back.q[row]
            if not arm.is_free(q, MAX_OPENING_M):
                continue
            approach = straight(arm, q, batch[row], speed=NEAR_SPEED)
            if approach is not None and arm.is_free(approach[-1], MAX_OPENING_M, allowed=allowed):
                yield Grasp(tcp=batch[row], q=approach[-1], pre=q, approach=approach)


def _around(arm: Workspace, pieces: Sequence[ConvexPiece], bodies: Sequence[int]) -> list[ConvexPiece]:
    """The scene around pieces, without the robot and some bodies."""
    points = np.concatenate([piece.vertices for piece in pieces])
    low, high = points.min(axis=0), points.max(axis=0)
    radius = float(np.linalg.norm(high - low) / 2) + NEAR_M
    skipped = [int(body) for body in (*arm.view.body_ids, *bodies)]
    return pieces_near(arm.model, arm.data, (low + high) / 2, radius, skip_bodies=skipped)


def _with_twins(found: Candidates) -> tuple[Array, Candidates]:
    twice = np.tile(np.arange(len(found)), 2)
    return np.concatenate([found.poses, found.poses @ HALF_TURN]), found.at(twice)
