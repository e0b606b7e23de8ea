"""Ways of the arm: straight screw motions of the tool, and ways around obstacles in joint space.

A way is (steps, joints), one row for each policy step. Source: sheet of MolmoSpaces section 15, "Franka expert phases"
(screw motions, speeds).
Differs: upstream's expert sees no obstacles; here a straight way that touches something is replaced by one that
RRT-Connect (Kuffner and LaValle, 2000) finds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np

from zoo.envs.experts.workspace import Workspace
from zoo.envs.kinematics.poses import Array, angle_between, screw_path

FAR_SPEED, NEAR_SPEED = 0.20, 0.08  # m/s of the tool
TURN_SPEED = 1.0  # rad/s of the tool
JOINT_SPEED = 1.2  # rad/s of any joint
STEP_RAD = 0.06  # between two collision tests
GROW_RAD = 0.4  # longest branch of a tree
MAX_TESTS = 3000
SHORTCUTS = 30

IsFree = Callable[[Array], bool]


def straight(arm: Workspace, start: Array, goal: Array, *, speed: float) -> Array | None:
    """A screw motion of the tool.

    Args:
        arm: Moves.
        start: Joint positions (joints,).
        goal: world_from_tcp (7,).
        speed: Of the tool, m/s.
    Returns:
        (steps, joints), or None where the arm cannot follow.
    """
    poses = screw_path(arm.tcp(start), goal, speed=speed, turn_speed=TURN_SPEED, dt=arm.dt)
    q, rows = start, []
    for pose in poses:
        found = arm.inverse(pose, q)
        if not found.success or np.abs(found.q - q).max() > 1.5 * JOINT_SPEED * arm.dt:
            return None
        q = found.q
        rows.append(q)
    return np.array(rows)


def is_clear(way: Array, is_free: IsFree, *, start: Array) -> bool:
    """Whether all of a way is free, tested every `STEP_RAD`."""
    last = start
    for index, q in enumerate(way):
        if np.abs(q - last).max() >= STEP_RAD or index == len(way) - 1:
            if not is_free(q):
                return False
            last = q
    return True


def around(
    arm: Workspace, start: Array, goal: Array, is_free: IsFree, rng: np.random.Generator, *, speed: float
) -> Array | None:
    """A way in joint space that touches nothing.

    Args:
        arm: Moves.
        start: Joint positions (joints,).
        goal: Joint positions (joints,), themselves free.
        is_free: The collision test.
        rng: Of the search.
        speed: Of the tool, m/s.
    Returns:
        (steps, joints), or None if none was found.
    """
    nodes = _Search(arm.chain.lower, arm.chain.upper, is_free, rng).connect(start, goal)
    return None if nodes is None else timed(arm, nodes, speed=speed)


def timed(arm: Workspace, nodes: Array, *, speed: float) -> Array:
    """(steps, joints) along straight lines in joint space between nodes (n, joints), the first of which is left out."""
    fine = _subdivided(nodes, 0.02)
    poses = arm.tcp(fine)
    moved = np.linalg.norm(np.diff(poses[:, :3], axis=0), axis=1) / speed
    turned = angle_between(poses[:-1, 3:], poses[1:, 3:]) / TURN_SPEED
    swung = np.abs(np.diff(fine, axis=0)).max(axis=1) / JOINT_SPEED
    seconds = np.concatenate([[0.0], np.cumsum(np.maximum(np.maximum(moved, turned), swung))])
    number = max(1, math.ceil(seconds[-1] / arm.dt - 1e-9))
    times = np.linspace(0, seconds[-1], number + 1)[1:]
    return np.stack([np.interp(times, seconds, column) for column in fine.T], axis=1)


def _subdivided(nodes: Array, step: float) -> Array:
    parts = [nodes[:1]]
    for first, second in itertools.pairwise(nodes):
        number = max(1, math.ceil(np.abs(second - first).max() / step))
        parts.append(first + np.arange(1, number + 1)[:, None] / number * (second - first))
    return np.concatenate(parts)


class _Search:
    """Two trees that grow towards each other."""

    def __init__(self, lower: Array, upper: Array, is_free: IsFree, rng: np.random.Generator) -> None:
        self.lower, self.upper, self.rng = lower, upper, rng
        self._is_free, self._tests = is_free, 0

    def connect(self, start: Array, goal: Array) -> Array | None:
        """Nodes (n, joints) from start to goal."""
        if self._line(start, goal) is True:
            return np.stack([start, goal])
        trees = ([start], [goal])
        parents: tuple[list[int], list[int]] = ([-1], [-1])
        side = 0
        while self._tests < MAX_TESTS:
            target = self._draw(start, goal)
            new = self._extend(trees[side], parents[side], target)
            if new is not None:
                met = self._reach(trees[1 - side], parents[1 - side], trees[side][new])
                if met is not None:
                    ends = (new, met) if side == 0 else (met, new)
                    way = _branch(trees[0], parents[0], ends[0])[::-1] + _branch(trees[1], parents[1], ends[1])[1:]
                    return self._shortened(np.array(way))
            side = 1 - side
        return None

    def _draw(self, start: Array, goal: Array) -> Array:
        """Half of the draws lie near the ends: an arm that works before itself needs no wide swings."""
        if self.rng.random() < 0.5:
            middle = start + self.rng.random() * (goal - start)
            return np.clip(middle + self.rng.normal(0, 0.5, len(start)), self.lower, self.upper)
        return self.rng.uniform(self.lower, self.upper)

    def _extend(self, tree: list[Array], parents: list[int], target: Array) -> int | None:
        nearest = int(np.argmin(np.abs(np.array(tree) - target).max(axis=1)))
        gap = target - tree[nearest]
        share = min(1.0, GROW_RAD / max(np.abs(gap).max(), 1e-9))
        node = tree[nearest] + share * gap
        if not self._line(tree[nearest], node):
            return None
        tree.append(node)
        parents.append(nearest)
        return len(tree) - 1

    def _reach(self, tree: list[Array], parents: list[int], target: Array) -> int | None:
        while self._tests < MAX_TESTS:
            new = self._extend(tree, parents, target)
            if new is None:
                return None
            if np.abs(tree[new] - target).max() < 1e-9:
                return new
        return None

    def _line(self, first: Array, second: Array) -> bool:
        number = max(1, math.ceil(np.abs(second - first).max() / STEP_RAD))
        for share in np.arange(1, number + 1) / number:
            self._tests += 1
            if not self._is_free(first + share * (second - first)):
                return False
        return True

    def _shortened(self, nodes: Array) -> Array:
        for _ in range(SHORTCUTS):
            if len(nodes) < 3:
                break
            first, second = sorted(self.rng.choice(len(nodes), 2, replace=False))
            if second - first > 1 and self._line(nodes[first], nodes[second]):
                nodes = np.concatenate([nodes[: first + 1], nodes[second:]])
        return nodes


def _branch(tree: list[Array], parents: list[int], node: int) -> list[Array]:
    """From a node to the root."""
    found = []
    while node >= 0:
        found.append(tree[node])
        node = parents[node]
    return found
