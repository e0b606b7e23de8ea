"""One chain of joints out of a compiled model: forward kinematics and Jacobian of many positions at a time.

Equal to MuJoCo's own (`mj_kinematics`, `mj_jacSite`), without touching a simulation state.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from zoo.envs.kinematics.poses import Array, matrix_from_quat, pose_from_matrix
from zoo.envs.simulator import mujoco
from zoo.errors import ConfigError


class Chain:
    """The joints between a root frame and a tool, taken from a compiled model.

    Args:
        model: Holds the robot.
        joints: Hinges and slides that move; every other joint on the way stays where `qpos` has it.
        site: The tool frame.
        root: Body in whose frame poses are given; None is the world.
        qpos: (nq,) positions for the joints that stay; the model's reference where None.
    Raises:
        ConfigError: a joint is not between root and site, or is free or a ball.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        *,
        joints: Sequence[str],
        site: str,
        root: str | None = None,
        qpos: ArrayLike | None = None,
    ) -> None:
        ids = [int(model.joint(name).id) for name in joints]
        self.joints = tuple(joints)
        self.qpos_index = model.jnt_qposadr[ids]
        limits = model.jnt_range[ids].T
        is_limited = model.jnt_limited[ids].astype(bool)
        self.lower = np.where(is_limited, limits[0], -np.inf)
        self.upper = np.where(is_limited, limits[1], np.inf)
        still = model.qpos0 if qpos is None else np.asarray(qpos, np.float64)
        root_id = 0 if root is None else int(model.body(root).id)
        rows, fixed = _links(model, ids, int(model.site(site).id), root_id, still)
        missing = [name for name, number in zip(joints, ids, strict=True) if number not in rows]
        if missing:
            raise ConfigError(
                f"{', '.join(missing)} do not move site {site!r} in the frame of {root or 'the world'}; of the joints "
                f"named these do: {', '.join(model.joint(number).name for number in rows) or 'none'}"
            )
        order = np.array([ids.index(number) for number in rows])
        self._order = order
        self._is_slide = [model.jnt_type[number] == int(mujoco.mjtJoint.mjJNT_SLIDE) for number in rows]
        self._zero = model.qpos0[model.jnt_qposadr[rows]]
        self._axes = model.jnt_axis[rows]
        self._fixed = fixed  # before each joint, and after the last
        self._turns = [_turn_parts(fixed[i][:3, :3], axis) for i, axis in enumerate(self._axes)]

    @property
    def size(self) -> int:
        """How many joints."""
        return len(self.joints)

    def forward(self, q: ArrayLike) -> Array:
        """root_from_tool.

        Args:
            q: Joint positions (..., joints), in the order of `joints`.
        Returns:
            Poses (..., 7).
        """
        q = np.asarray(q, np.float64)
        rotation, position, _ = self.tool_and_jacobian(q.reshape(-1, self.size))
        matrix = np.zeros((len(rotation), 4, 4))
        matrix[:, :3, :3], matrix[:, :3, 3], matrix[:, 3, 3] = rotation, position, 1
        return pose_from_matrix(matrix).reshape(*q.shape[:-1], 7)

    def jacobian(self, q: ArrayLike) -> Array:
        """How the tool moves in the root frame, per joint speed.

        Args:
            q: Joint positions (..., joints).
        Returns:
            (..., 6, joints): linear (m/s), then angular (rad/s).
        """
        q = np.asarray(q, np.float64)
        _, _, jacobian = self.tool_and_jacobian(q.reshape(-1, self.size))
        return jacobian.reshape(*q.shape[:-1], 6, self.size)

    def tool_and_jacobian(self, q: Array) -> tuple[Array, Array, Array]:
        """What the solver asks for at once.

        Args:
            q: Joint positions (n, joints).
        Returns:
            Rotation (n, 3, 3) and position (n, 3) of the tool in the root frame, Jacobian (n, 6, joints).
        """
        rotation, position, axes, anchors = self._frames(q)
        return rotation, position, self._columns(position, axes, anchors)

    def _frames(self, q: Array) -> tuple[Array, Array, Array, Array]:
        """Rotation (n, 3, 3) and position (n, 3) of the tool; axes and anchors (joints, n, 3) along the chain."""
        number = len(q)
        rotation = np.broadcast_to(np.eye(3), (number, 3, 3))
        position = np.zeros((number, 3))
        axes, anchors = np.empty((2, self.size, number, 3))
        moved = q[:, self._order] - self._zero
        for k in range(self.size):
            position = position + rotation @ self._fixed[k][:3, 3]
            constant, sine, cosine = self._turns[k]
            if self._is_slide[k]:
                rotation = rotation @ self._fixed[k][:3, :3]
                axes[k] = rotation @ self._axes[k]
                position = position + moved[:, k, None] * axes[k]
            else:
                angle = moved[:, k, None, None]
                rotation = rotation @ (constant + np.sin(angle) * sine + np.cos(angle) * cosine)
                axes[k] = rotation @ self._axes[k]
            anchors[k] = position
        last = self._fixed[-1]
        return rotation @ last[:3, :3], position + rotation @ last[:3, 3], axes, anchors

    def _columns(self, position: Array, axes: Array, anchors: Array) -> Array:
        """Jacobians (n, 6, joints), columns in the order of `joints`."""
        jacobian = np.zeros((len(position), 6, self.size))
        linear = np.cross(axes, position - anchors)
        for k, column in enumerate(self._order):
            if self._is_slide[k]:
                jacobian[:, :3, column] = axes[k]
            else:
                jacobian[:, :3, column] = linear[k]
                jacobian[:, 3:, column] = axes[k]
        return jacobian


def _turn_parts(before: Array, axis: Array) -> tuple[Array, Array, Array]:
    """A, B, C of before @ rotation(axis, angle) = A + sin(angle) B + cos(angle) C."""
    x, y, z = axis
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    square = skew @ skew
    return before @ (np.eye(3) + square), before @ skew, -before @ square


def _links(
    model: mujoco.MjModel, joints: Sequence[int], site: int, root: int, still: Array
) -> tuple[list[int], list[Array]]:
    """Moving joints from root to site, and the fixed transforms (4, 4) before each and after the last."""
    bodies = []
    body = int(model.site_bodyid[site])
    while body not in (root, 0):
        bodies.append(body)
        body = int(model.body_parentid[body])
    if body != root:
        raise ConfigError(f"site {model.site(site).name!r} is not carried by body {model.body(root).name!r}")
    rows: list[int] = []
    fixed = [np.eye(4)]
    for body in reversed(bodies):
        fixed[-1] = fixed[-1] @ _transform(model.body_pos[body], matrix_from_quat(model.body_quat[body]))
        first = int(model.body_jntadr[body])
        for joint in range(first, first + int(model.body_jntnum[body])):
            anchor = model.jnt_pos[joint]
            if joint in joints:
                if int(model.jnt_type[joint]) < int(mujoco.mjtJoint.mjJNT_SLIDE):
                    raise ConfigError(f"joint {model.joint(joint).name!r} is free or a ball, expected hinge or slide")
                fixed[-1] = fixed[-1] @ _transform(anchor)
                rows.append(joint)
                fixed.append(_transform(-anchor))
            else:
                fixed[-1] = fixed[-1] @ _stays(model, joint, still)
    fixed[-1] = fixed[-1] @ _transform(model.site_pos[site], matrix_from_quat(model.site_quat[site]))
    return rows, fixed


def _stays(model: mujoco.MjModel, joint: int, still: Array) -> Array:
    """Transform (4, 4) of a joint that keeps its position."""
    address = int(model.jnt_qposadr[joint])
    kind = int(model.jnt_type[joint])
    moved = still[address] - model.qpos0[address]
    axis, anchor = model.jnt_axis[joint], model.jnt_pos[joint]
    if kind == int(mujoco.mjtJoint.mjJNT_SLIDE):
        return _transform(moved * axis)
    if kind == int(mujoco.mjtJoint.mjJNT_HINGE):
        constant, sine, cosine = _turn_parts(np.eye(3), axis)
        turn = constant + np.sin(moved) * sine + np.cos(moved) * cosine
        return _transform(anchor) @ _transform(np.zeros(3), turn) @ _transform(-anchor)
    raise ConfigError(f"joint {model.joint(joint).name!r} is free or a ball: give its body as the root of the chain")


def _transform(position: Array, rotation: Array | None = None) -> Array:
    matrix = np.eye(4)
    matrix[:3, 3] = position
    if rotation is not None:
        matrix[:3, :3] = rotation
    return matrix
