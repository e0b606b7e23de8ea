"""Open and close things with joints, and room doors (sheet section 7, rows 5 to 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from zoo.envs.simulation.world import World
from zoo.envs.tasks.task import Judgement, Task
from zoo.errors import ConfigError, DataError

_JOINT: dict[str, Any] = {"pickup_obj_name": "dresser", "joint_name": "dresser/drawer_0"}


class Open(Task):
    """Some joint of the object is open far enough: |q| over its range. Reward: that share.

    Args:
        pickup_obj_name: Root body of the object.
        joint_name: Joint that is asked for; the test takes any joint of the object (sheet section 7).
        task_success_threshold: Share of the range that is open enough.
        any_inst_of_category: Objects of the same category count as well.
    """

    example_args: ClassVar[dict[str, Any]] = _JOINT | {"task_success_threshold": 0.15}

    def __init__(
        self,
        *,
        pickup_obj_name: str,
        joint_name: str,
        task_success_threshold: float,
        any_inst_of_category: bool = False,
    ) -> None:
        _check_share(task_success_threshold, "open")
        self.pickup_obj_name, self.joint_name = pickup_obj_name, joint_name
        self.task_success_threshold, self.any_inst_of_category = task_success_threshold, any_inst_of_category

    def bind(self, world: World) -> None:
        self._world = world
        world.joint(self.joint_name)
        names = [self.pickup_obj_name]
        if self.any_inst_of_category and self.pickup_obj_name in world.objects:
            category = world.objects[self.pickup_obj_name].category
            names += [name for name, facts in world.objects.items() if facts.category == category]
        self._joints = sorted({joint for name in names for joint in world.joints_of(name)})
        if not self._joints:
            raise DataError(f"{self.pickup_obj_name!r} has no joint with a range, so it cannot be opened")

    def judge(self) -> Judgement:
        share = max(self._world.openness(joint) for joint in self._joints)
        return Judgement(share >= self.task_success_threshold, share, {"openness": share})


class Close(Task):
    """The joint is closed far enough: 1 - |q| over its range. Reward: that share.

    Args:
        pickup_obj_name: Root body of the object.
        joint_name: Its joint.
        task_success_threshold: Share of the range that is closed enough.
    """

    example_args: ClassVar[dict[str, Any]] = _JOINT | {"task_success_threshold": 0.85}

    def __init__(self, *, pickup_obj_name: str, joint_name: str, task_success_threshold: float) -> None:
        _check_share(task_success_threshold, "close")
        self.pickup_obj_name, self.joint_name = pickup_obj_name, joint_name
        self.task_success_threshold = task_success_threshold

    def bind(self, world: World) -> None:
        self._world = world
        world.root(self.pickup_obj_name)
        self._joint = world.joint(self.joint_name)

    def judge(self) -> Judgement:
        share = 1 - self._world.openness(self._joint)
        return Judgement(share >= self.task_success_threshold, share, {"closedness": share})


class OpenDoor(Task):
    """A room door stands open now: (q - low) / (high - low), cut to 0..1. Reward: that share.

    Args:
        door_body_name: Body of the leaf; its one hinge is the door's.
        articulated_joint_range: Its lower and upper end, radians; None takes the model's.
        door_openness_threshold: Share that is open enough; the largest so far does not count.
    """

    example_args: ClassVar[dict[str, Any]] = {"door_body_name": "door_0", "door_openness_threshold": 0.67}

    def __init__(
        self,
        *,
        door_body_name: str,
        door_openness_threshold: float,
        articulated_joint_range: Sequence[float] | None = None,
    ) -> None:
        _check_share(door_openness_threshold, "open_door")
        self.door_body_name, self.door_openness_threshold = door_body_name, door_openness_threshold
        self.articulated_joint_range = articulated_joint_range

    def bind(self, world: World) -> None:
        self._world = world
        body = world.body(self.door_body_name)
        first, count = int(world.model.body_jntadr[body]), int(world.model.body_jntnum[body])
        if count < 1:
            raise DataError(f"body {self.door_body_name!r} has no hinge, so it is no door")
        self._joint = first
        given = self.articulated_joint_range
        self._low, self._high = map(float, world.model.jnt_range[first] if given is None else given)
        if self._high <= self._low:
            raise DataError(f"door {self.door_body_name!r} has the joint range {self._low:g} to {self._high:g}")

    def judge(self) -> Judgement:
        share = float(np.clip((self._world.qpos(self._joint) - self._low) / (self._high - self._low), 0, 1))
        return Judgement(share >= self.door_openness_threshold, share, {"openness": share})


def _check_share(value: float, task: str) -> None:
    if not 0 < value <= 1:
        raise ConfigError(f"{task}: the threshold is {value}, expected a share of the range in (0, 1]")
