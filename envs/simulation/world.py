"""What tasks, experts and sensors ask of a running simulation: poses, contacts, supports, joints and visible pixels.

Objects are named by their root body. A *root* is a body right under the world body, with all that hangs on it; root 0
is the world itself (floor, walls).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.envs.navigation.success import is_in_room
from zoo.envs.scenes.specification import Room
from zoo.envs.simulator import mujoco
from zoo.errors import DataError
from zoo.navigation_actions import SpocAction
from zoo.registry import near

BELOW_CENTRE_NORMAL_DEG = 80.0
"""A contact below an object's centre supports it where its normal is within this of straight up (sheet section 7)."""

VisiblePixels = Callable[[str, int], int]
"""Pixels of a camera, by name, that show a root body."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectFacts:
    """What is known of an object of the scene beside its pose.

    Args:
        name: Its root body.
        category: What people call it.
        room: Name of its room.
        is_static: Without a free joint.
    """

    name: str
    category: str
    room: str | None = None
    is_static: bool = False


@dataclass(frozen=True, slots=True)
class Contacts:
    """What touches one root: one row a contact.

    Args:
        roots: (contacts,) other roots.
        geoms: (contacts,) other geoms.
        points: (contacts, 3) where, world frame, metres.
        normals: (contacts, 3) unit vectors out of the other body into this one.
        forces: (contacts, 3) what the other body does to this one, world frame, N.
    """

    roots: np.ndarray
    geoms: np.ndarray
    points: np.ndarray
    normals: np.ndarray
    forces: np.ndarray


class World:
    """A model, its state, and names of what is in it.

    `said` and `held` are of a robot that moves in discrete steps: the action of its last step, None at the start, and
    the objects in its gripper.

    Args:
        model: Compiled.
        data: Its state, `mj_forward` done.
        objects: By root body name.
        robot_root: Name of the robot's root body; None in a scene without one.
        robot_base: Name of the body that moves with the base; None: the root.
        visible_pixels: Counts pixels by rendering; without it, what needs sight is refused.
        unoccluded_pixels: Those of a picture in which nothing hides the object; likewise.
        picture_px: Pixels of a whole picture.
        rooms: Of the house; tasks about rooms need them.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        *,
        objects: Mapping[str, ObjectFacts],
        robot_root: str | None = None,
        robot_base: str | None = None,
        visible_pixels: VisiblePixels | None = None,
        unoccluded_pixels: VisiblePixels | None = None,
        picture_px: int = 384 * 224,
        rooms: Sequence[Room] = (),
    ) -> None:
        self.model, self.data, self.objects = model, data, dict(objects)
        self._roots = {name: self.body(name) for name in self.objects}
        self.robot_root = None if robot_root is None else self.body(robot_root)
        self.robot_base = self.robot_root if robot_base is None else self.body(robot_base)
        self._visible_pixels, self._unoccluded_pixels = visible_pixels, unoccluded_pixels
        self.picture_px = picture_px
        self.rooms = tuple(rooms)
        self.said: SpocAction | None = None
        self.held: tuple[str, ...] = ()
        self._shapes: dict[int, np.ndarray] = {}

    def body(self, name: str) -> int:
        """Index of a body.

        Raises:
            DataError: there is none of this name; names near it.
        """
        return self._index("body", mujoco.mjtObj.mjOBJ_BODY, self.model.nbody, name)

    def joint(self, name: str) -> int:
        """Index of a joint.

        Raises:
            DataError: there is none of this name; names near it.
        """
        return self._index("joint", mujoco.mjtObj.mjOBJ_JOINT, self.model.njnt, name)

    def root(self, name: str) -> int:
        """Index of an object's root body."""
        found = self._roots.get(name)
        return int(self.model.body_rootid[self.body(name)]) if found is None else found

    def joints_of(self, name: str) -> tuple[int, ...]:
        """Hinges and slides of an object that have a range."""
        roots = self.model.body_rootid[self.model.jnt_bodyid]
        types = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))
        is_own = (roots == self.root(name)) & np.isin(self.model.jnt_type, types) & (self.model.jnt_limited != 0)
        return tuple(int(joint) for joint in np.flatnonzero(is_own))

    def position(self, name: str) -> np.ndarray:
        """(3,) of an object's origin, metres."""
        return self.data.xpos[self.root(name)].copy()

    def pose7(self, name: str) -> np.ndarray:
        """(7,) position and quaternion wxyz of an object's root body."""
        root = self.root(name)
        return np.concatenate([self.data.xpos[root], self.data.xquat[root]])

    def qpos(self, joint: int) -> float:
        """Position of a hinge or slide, radians or metres."""
        return float(self.data.qpos[self.model.jnt_qposadr[joint]])

    def openness(self, joint: int) -> float:
        """How far a joint is from closed: |q| over the length of its range (sheet section 7, tasks 5 and 6)."""
        low, high = self.model.jnt_range[joint]
        return abs(self.qpos(joint)) / max(float(high - low), 1e-9)

    def mass(self, name: str) -> float:
        """Of an object with its parts, kg."""
        return float(self.model.body_subtreemass[self.root(name)])

    def box(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Centre and half extents, (3,) each, of the axis-aligned box around an object's colliding geoms."""
        model, data = self.model, self.data
        geoms = self._shape(self.root(name))
        rotations = data.geom_xmat[geoms].reshape(-1, 3, 3)
        local = model.geom_aabb[geoms]  # centre and half extents in the geom's own frame
        centres = data.geom_xpos[geoms] + np.einsum("gij,gj->gi", rotations, local[:, :3])
        halves = np.einsum("gij,gj->gi", np.abs(rotations), local[:, 3:])
        low, high = (centres - halves).min(0), (centres + halves).max(0)
        return (low + high) / 2, (high - low) / 2

    def contacts(self, name: str) -> Contacts:
        """All contacts of an object with other roots."""
        model, data = self.model, self.data
        count = data.ncon
        geoms = data.contact.geom[:count]
        roots = model.body_rootid[model.geom_bodyid[geoms]]  # (contacts, 2)
        own = self.root(name)
        touches = (roots == own).any(1) & (roots[:, 0] != roots[:, 1]) & (data.contact.dist[:count] <= 0)
        index = np.flatnonzero(touches)
        is_first = roots[index, 0] == own
        # MuJoCo's normal points from the first geom to the second, and so does the force on the second.
        frames = data.contact.frame[index].reshape(-1, 3, 3)
        sign = np.where(is_first, -1.0, 1.0)[:, None]
        forces = np.zeros((len(index), 3))
        wrench = np.zeros(6)
        for row, contact in enumerate(index):
            mujoco.mj_contactForce(model, data, int(contact), wrench)
            forces[row] = frames[row].T @ wrench[:3]
        others = np.where(is_first, 1, 0)
        rows = np.arange(len(index))
        return Contacts(
            roots=roots[index][rows, others],
            geoms=geoms[index][rows, others],
            points=data.contact.pos[index].copy(),
            normals=sign * frames[:, 0],
            forces=sign * forces,
        )

    def supporting_geoms(self, name: str) -> np.ndarray:
        """Geoms of others that carry an object: they touch it below its centre and push upwards (sheet section 7)."""
        contacts = self.contacts(name)
        centre, _ = self.box(name)
        is_below = contacts.points[:, 2] < centre[2]
        is_up = contacts.normals[:, 2] >= np.cos(np.radians(BELOW_CENTRE_NORMAL_DEG))
        return np.unique(contacts.geoms[is_below & is_up])

    def roots_of_geoms(self, geoms: Iterable[int]) -> frozenset[int]:
        """Roots that geoms belong to."""
        index = np.fromiter(geoms, np.int64)
        return frozenset(int(root) for root in self.model.body_rootid[self.model.geom_bodyid[index]])

    def visible_pixels(self, camera: str, name: str) -> int:
        """Pixels of a camera's picture that show an object.

        Raises:
            DataError: this world has no renderer.
        """
        return self._count(self._visible_pixels, camera, name)

    def unoccluded_pixels(self, camera: str, name: str) -> int:
        """Pixels that an object would fill in a camera's picture if nothing hid it; costs a picture.

        Raises:
            DataError: this world has no renderer.
        """
        return self._count(self._unoccluded_pixels, camera, name)

    def base_pose(self) -> np.ndarray:
        """(3,) x, y and yaw of the robot's base, metres and radians.

        Raises:
            DataError: this world has no robot.
        """
        if self.robot_base is None:
            raise DataError("the scene has no robot")
        x, y, _ = self.data.xpos[self.robot_base]
        ahead = self.data.xmat[self.robot_base].reshape(3, 3)[:, 0]
        return np.array([x, y, np.arctan2(ahead[1], ahead[0])])

    def room_at(self, point_m: Sequence[float]) -> str | None:
        """Name of the room that a point of the floor is in; None on a threshold and outside."""
        return next((room.name for room in self.rooms if is_in_room(point_m, room.polygon_m)), None)

    def _shape(self, root: int) -> np.ndarray:
        """Colliding geoms of a root, or all where none collides."""
        if root not in self._shapes:
            model = self.model
            is_own = model.body_rootid[model.geom_bodyid] == root
            collides = (model.geom_contype != 0) | (model.geom_conaffinity != 0)
            geoms = np.flatnonzero(is_own & collides)
            self._shapes[root] = geoms if len(geoms) else np.flatnonzero(is_own)
        return self._shapes[root]

    def _count(self, pixels: VisiblePixels | None, camera: str, name: str) -> int:
        if pixels is None:
            raise DataError("this simulation renders nothing, so nothing can be seen; make it with a camera")
        return pixels(camera, self.root(name))

    def _index(self, what: str, kind: mujoco.mjtObj, count: int, name: str) -> int:
        index = mujoco.mj_name2id(self.model, kind, name)
        if index < 0:
            names = [mujoco.mj_id2name(self.model, kind, number) for number in range(count)]
            close = near(name, tuple(filter(None, names)))
            hint = f"near: {', '.join(close)}" if close else f"it has {count}"
            raise DataError(f"the scene has no {what} {name!r}; {hint}")
        return index
