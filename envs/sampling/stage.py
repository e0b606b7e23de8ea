"""A house with a robot, built once and settled once, in which all episodes of that house are drawn.

Source: sheet molmospaces sections 2 (500 steps of physics after loading) and 15 (receptacles are loaded beforehand).
Differs: the robot and the spare objects wait beside the house instead of 35 m above it, so nothing falls while they do.
An episode lists the pose of every free object, so its replay needs none of this.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from zoo.envs.assets.library import AssetFacts, AssetLibrary
from zoo.envs.kinematics.poses import planar_pose7
from zoo.envs.navigation.occupancy import OccupancyMap, build_map
from zoo.envs.robots.robot import Robot
from zoo.envs.sampling.sampler import RejectedError
from zoo.envs.simulation.houses import House
from zoo.envs.simulation.simulation import PREFIX, SETTLE_STEPS, SLEEP_TOLERANCE, UNSTABLE
from zoo.envs.simulation.world import ObjectFacts, World
from zoo.envs.simulator import mujoco

BESIDE_M = 3.0  # of the waiting row from the rooms
SPACING_M = 1.0  # within the row
DEPTH_M = 1e-3
"""Deepest contact of a robot that stands free."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spare:
    """An object that episodes of a house may add to it.

    Args:
        name: Of its root body.
        library: Registry name of its asset library.
        facts: Of its asset.
    """

    name: str
    library: str
    facts: AssetFacts

    @property
    def asset(self) -> str:
        """As episodes name it."""
        return f"{self.library}:{self.facts.uid}"


class Stage:
    """The state that a sampler tries things out in.

    Args:
        place: The house.
        robot: That its episodes are for.
        libraries: By the names that the house uses.
        spares: Objects that may be added.

    Raises:
        RejectedError: the house does not come to rest.
    """

    def __init__(
        self, place: House, robot: Robot, libraries: Mapping[str, AssetLibrary], spares: Sequence[Spare] = ()
    ) -> None:
        self.place, self.robot, self.spares = place, robot, {spare.name: spare for spare in spares}
        self.facts = {item.name: libraries[item.library].facts()[item.asset] for item in place.scene.objects}
        self.facts |= {spare.name: spare.facts for spare in spares}
        self._scales = {item.name: item.scale for item in place.scene.objects}
        self.model = self._compiled(libraries)
        self.data = mujoco.MjData(self.model)
        self.view = robot.bind(self.model, self.data, prefix=PREFIX)
        self.robot_root = int(self.model.body_rootid[self.view.base_id])
        added = {spare.name: ObjectFacts(name=spare.name, category=spare.facts.category) for spare in spares}
        self.world = World(
            self.model,
            self.data,
            objects={**place.objects, **added},
            robot_root=self.model.body(self.robot_root).name,
            robot_base=f"{PREFIX}base",
            rooms=place.scene.rooms,
        )
        self._free = self._free_addresses()
        self._roots = self.model.body_rootid[self.model.geom_bodyid]
        self._start = self.model.qpos0.copy()
        for name, value in place.start_positions(self.model).items():
            self._start[self.model.joint(name).qposadr[0]] = value
        self.reset()
        self.settle(SETTLE_STEPS)
        for name in self._free:
            self._start[self._free[name]] = self.data.qpos[self._free[name]]
        self.reset()

    def reset(self) -> None:
        """The settled house; robot and spares beside it."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = self._start
        self.view.hold()  # servos at rest would pull a base to the world's origin, through the house
        mujoco.mj_forward(self.model, self.data)

    def forward(self) -> None:
        """Bring poses and contacts up to date."""
        mujoco.mj_forward(self.model, self.data)

    def settle(self, steps: int) -> None:
        """Let free objects come to rest; everything else is put back to where it begins, the robot too.

        Raises:
            RejectedError: the physics blew up.
        """
        option = self.model.opt
        before = option.enableflags, option.sleep_tolerance
        option.enableflags |= int(mujoco.mjtEnableBit.mjENBL_SLEEP)
        option.sleep_tolerance = SLEEP_TOLERANCE
        mujoco.mj_step(self.model, self.data, nstep=steps)
        option.enableflags, option.sleep_tolerance = before
        if any(self.data.warning[kind].number for kind in UNSTABLE):
            raise RejectedError("the house is unstable", is_hopeless=True)
        poses = {name: self.data.qpos[address].copy() for name, address in self._free.items()}
        self.reset()
        for name, pose in poses.items():
            self.data.qpos[self._free[name]] = pose
        self.forward()

    def put(self, name: str, pose: ArrayLike) -> None:
        """Put a free object somewhere, pose7; `forward` follows."""
        self.data.qpos[self._free[name]] = np.asarray(pose, np.float64)

    def set_joint(self, name: str, value: float) -> None:
        """Set a hinge or slide by its name in the model, radians or metres; `forward` follows."""
        self.data.qpos[self.model.joint(name).qposadr[0]] = value

    def stand(self, base_pose7: ArrayLike, positions: Mapping[str, ArrayLike]) -> None:
        """Put the robot somewhere, with its groups at these positions."""
        self.view.set_base_pose(base_pose7)
        self.view.set_qpos(positions)
        self.forward()

    def is_robot_free(self, *, but: Collection[str] = ()) -> bool:
        """Whether the robot touches nothing deeper than `DEPTH_M`, of the last `forward`.

        Args:
            but: Objects that it may touch.
        """
        allowed = [self.robot_root, *(self.world.root(name) for name in but)]
        return not self._touches(self.robot_root, allowed, -DEPTH_M)

    def robot_touches_itself(self) -> bool:
        """Whether parts of the robot are stuck in one another, of the last `forward`."""
        count = self.data.ncon
        is_own = (self._roots[self.data.contact.geom[:count]] == self.robot_root).all(axis=1)
        return bool((is_own & (self.data.contact.dist[:count] < -DEPTH_M)).any())

    def touches(self, name: str, *, but: Collection[str] = ()) -> bool:
        """Whether an object touches anything but some others, of the last `forward`."""
        return self._touches(self.world.root(name), [self.world.root(other) for other in (name, *but)], 0.0)

    def is_free(self, name: str) -> bool:
        """Whether an object has a free joint."""
        return name in self._free

    def built_as(self, name: str) -> str:
        """Equal for objects of one shape."""
        return f"{self.facts[name].uid} x {self._scales.get(name, 1.0):g}"

    def poses(self, added: Collection[str] = ()) -> dict[str, list[float]]:
        """pose7 of every free object of an episode that adds these spares."""
        names = [name for name in self._free if name not in self.spares or name in added]
        return {name: self.world.pose7(name).tolist() for name in names}

    def occupancy(self, *, px_per_m: int, skip: Collection[str] = ()) -> OccupancyMap:
        """Map of the house as it is now, without robot and spares.

        Args:
            px_per_m: Cells a metre.
            skip: More bodies that are no obstacles.
        """
        bodies = [self.model.body(self.robot_root).name, *self.spares, *skip]
        return build_map(self.model, self.data, scene=self.place.scene, skip_bodies=bodies, px_per_m=px_per_m)

    def _compiled(self, libraries: Mapping[str, AssetLibrary]) -> mujoco.MjModel:
        spec = self.place.build()
        corners = np.concatenate([np.array(room.polygon_m) for room in self.place.scene.rooms])
        (left, bottom), right = corners.min(0), corners.max(0)[0]
        for number, spare in enumerate(self.spares.values()):
            libraries[spare.library].asset(spare.facts.uid).add_to(
                spec.worldbody,
                spare.name,
                position_m=(left + SPACING_M * number, bottom - BESIDE_M, 0.0),
                quat_wxyz=(1.0, 0.0, 0.0, 0.0),
                is_free=True,
            )
        self.robot.add_to(spec, prefix=PREFIX, base_pose7=planar_pose7(right + BESIDE_M, bottom - BESIDE_M, 0.0))
        return spec.compile()

    def _free_addresses(self) -> dict[str, slice]:
        """Where the pose of each free object lies in `qpos`."""
        model = self.model
        joints = np.flatnonzero(model.jnt_type == int(mujoco.mjtJoint.mjJNT_FREE))
        named = {model.body(int(model.jnt_bodyid[joint])).name: int(model.jnt_qposadr[joint]) for joint in joints}
        return {name: slice(start, start + 7) for name, start in named.items() if name in self.world.objects}

    def _touches(self, root: int, allowed: Sequence[int], below_m: float) -> bool:
        count = self.data.ncon
        roots = self._roots[self.data.contact.geom[:count]]  # (contacts, 2)
        is_own = (roots == root).any(axis=1) & ~np.isin(roots, allowed).all(axis=1)
        return bool((is_own & (self.data.contact.dist[:count] < below_m)).any())


def spawn_rng(place: House, purpose: int) -> np.random.Generator:
    """Randomness that belongs to a house, whatever was drawn in it before.

    Args:
        place: The house.
        purpose: Another number gives other draws.
    """
    scene = place.scene
    return np.random.default_rng([purpose, scene.index, *scene.dataset.encode(), *scene.split.encode()])
