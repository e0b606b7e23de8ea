"""Inverse kinematics of one chain of joints, many targets at a time, in plain NumPy.

Source: sheet of MolmoSpaces section 9 (tolerance 1e-4, null-space posture term, batches); the damping of Sugihara,
"Solvability-unconcerned inverse kinematics by the Levenberg-Marquardt method" (2011): half the squared error plus a
bias, so that a step never has to be tried and taken back.
Differs: joint limits are kept at every step; a joint at its limit that would leave it takes no part in that step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from zoo.envs.kinematics.chain import Chain
from zoo.envs.kinematics.poses import Array, matrix_from_pose
from zoo.errors import ConfigError

TOLERANCE = 1e-4  # m and rad, each
MAX_ITERATIONS = 100
DAMPING_BIAS = 1e-7  # smaller ones make the steps near a singular posture long, larger ones slow the end down
LENGTH_M = 0.3  # an error of a radian weighs as much as one of this many metres
MAX_STEP = 0.6  # rad or m, of one joint in one iteration
POSTURE_GAIN = 0.1  # share of the way to the posture, per iteration, in what the target leaves free


@dataclass(frozen=True, kw_only=True, slots=True)
class Solution:
    """What inverse kinematics found; where it failed, the best it came to.

    Args:
        q: Joint positions (..., joints), within limits.
        success: (...) bool: both errors within the tolerance.
        position_error_m: (...).
        rotation_error: (...), radians.
        iterations: How many the slowest target took, restarts included.
    """

    q: Array
    success: np.ndarray
    position_error_m: Array
    rotation_error: Array
    iterations: int


def solve(
    chain: Chain,
    targets: ArrayLike,
    *,
    initial: ArrayLike,
    posture: ArrayLike | None = None,
    tolerance: float = TOLERANCE,
    max_iterations: int = MAX_ITERATIONS,
    restarts: int = 0,
    rng: np.random.Generator | None = None,
) -> Solution:
    """Find joint positions that bring the tool to targets, near to a posture.

    Args:
        chain: The arm.
        targets: root_from_tool poses (7,) or (n, 7).
        initial: Where the search begins, (joints,) or (n, joints).
        posture: What the free directions drift to, (joints,) or (n, joints); None is `initial`.
        tolerance: Largest error of position (m) and of rotation (rad) that counts as reached.
        max_iterations: Per target and start.
        restarts: How often targets that failed begin again, somewhere within the limits.
        rng: Draws those beginnings; needed with restarts.
    Raises:
        ConfigError: shapes do not fit, something is not finite, or restarts without rng or without limits.
    """
    targets = np.asarray(targets, np.float64)
    lead = targets.shape[:-1]
    goals = _rows(targets, 7, "targets", len(targets) if lead else 1)
    start = np.clip(_rows(initial, chain.size, "initial", len(goals)), chain.lower, chain.upper)
    wanted = start if posture is None else _rows(posture, chain.size, "posture", len(goals))
    if restarts and (rng is None or not np.isfinite(chain.upper - chain.lower).all()):
        raise ConfigError(f"restarts={restarts} needs rng and limits of every joint; pass rng, or restarts=0")
    goal = matrix_from_pose(goals)
    q, errors, iterations = _descend(chain, goal, start, wanted, tolerance, max_iterations)
    for _ in range(restarts):
        failed = np.flatnonzero(errors.max(axis=1) > tolerance)
        if not len(failed):
            break
        again = rng.uniform(chain.lower, chain.upper, (len(failed), chain.size))
        tried, tried_errors, more = _descend(chain, goal[failed], again, wanted[failed], tolerance, max_iterations)
        iterations += more
        is_better = tried_errors.max(axis=1) < errors[failed].max(axis=1)
        q[failed[is_better]], errors[failed[is_better]] = tried[is_better], tried_errors[is_better]
    return Solution(
        q=q.reshape(*lead, chain.size),
        success=(errors.max(axis=1) <= tolerance).reshape(lead),
        position_error_m=errors[:, 0].reshape(lead),
        rotation_error=errors[:, 1].reshape(lead),
        iterations=iterations,
    )


def _descend(
    chain: Chain, goal: Array, start: Array, posture: Array, tolerance: float, max_iterations: int
) -> tuple[Array, Array, int]:
    """Best joint positions (n, joints), their errors in metres and radians (n, 2), and the iterations taken."""
    best, best_errors = start.copy(), np.full((len(start), 2), np.inf)
    alive = np.arange(len(start))
    q = start.copy()
    for iteration in range(max_iterations + 1):  # the last one only measures
        rotation, position, jacobian = chain.tool_and_jacobian(q)
        error = np.concatenate(
            [goal[alive, :3, 3] - position, _log(goal[alive, :3, :3] @ rotation.swapaxes(-1, -2))], axis=-1
        )
        sizes = np.stack([np.linalg.norm(error[:, :3], axis=1), np.linalg.norm(error[:, 3:], axis=1)], axis=1)
        is_better = sizes.max(axis=1) < best_errors[alive].max(axis=1)
        best[alive[is_better]], best_errors[alive[is_better]] = q[is_better], sizes[is_better]
        open_ = sizes.max(axis=1) > tolerance
        if iteration == max_iterations or not open_.any():
            return best, best_errors, iteration
        alive, q, error = alive[open_], q[open_], error[open_]
        q = np.clip(q + _step(chain, jacobian[open_], error, q, posture[alive]), chain.lower, chain.upper)
    raise AssertionError("the loop returns")


def _step(chain: Chain, jacobian: Array, error: Array, q: Array, posture: Array) -> Array:
    """Change of the joints (n, joints): a damped step to the target, and one to the posture in what is left free."""
    weight = np.array([1.0, 1.0, 1.0, LENGTH_M, LENGTH_M, LENGTH_M])
    jacobian = jacobian * weight[:, None]
    error = error * weight
    gradient = np.einsum("nij,ni->nj", jacobian, error)
    leaves = ((q <= chain.lower) & (gradient < 0)) | ((q >= chain.upper) & (gradient > 0))
    jacobian = np.where(leaves[:, None], 0.0, jacobian)
    gradient = np.where(leaves, 0.0, gradient)
    square = jacobian.swapaxes(-1, -2) @ jacobian
    damping = 0.5 * np.einsum("ni,ni->n", error, error) + DAMPING_BIAS
    drift = POSTURE_GAIN * np.where(leaves, 0.0, posture - q)
    sides = np.stack([gradient, np.einsum("nij,nj->ni", square, drift)], axis=-1)
    solved = np.linalg.solve(square + damping[:, None, None] * np.eye(chain.size), sides)
    step = solved[..., 0] + drift - solved[..., 1]
    return step / np.maximum(1.0, np.abs(step).max(axis=1, keepdims=True) / MAX_STEP)


def _log(rotation: Array) -> Array:
    """Axis times angle (n, 3) of rotation matrices; at half a turn, where the axis is lost, some axis."""
    skew = np.stack(
        [
            rotation[:, 2, 1] - rotation[:, 1, 2],
            rotation[:, 0, 2] - rotation[:, 2, 0],
            rotation[:, 1, 0] - rotation[:, 0, 1],
        ],
        axis=-1,
    )
    double_sine = np.linalg.norm(skew, axis=-1)
    angle = np.arctan2(double_sine, np.trace(rotation, axis1=-2, axis2=-1) - 1)
    lost = (double_sine < 1e-6) & (angle > 1)
    skew[lost], double_sine[lost] = (1.0, 0.0, 0.0), 1.0
    return skew * np.where(double_sine < 1e-12, 0.5, angle / np.maximum(double_sine, 1e-12))[:, None]


def _rows(values: ArrayLike, width: int, name: str, number: int) -> Array:
    """(number, width) of one row or many."""
    values = np.asarray(values, np.float64)
    if values.shape not in ((width,), (number, width)):
        raise ConfigError(f"{name} has shape {values.shape}, expected ({width},) or ({number}, {width})")
    if not np.isfinite(values).all():
        raise ConfigError(f"{name} has a value that is not finite: {values[~np.isfinite(values)][0]}")
    return np.broadcast_to(values, (number, width))
