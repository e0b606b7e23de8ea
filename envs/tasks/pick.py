"""Pick an object up (sheet section 7, row 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from zoo.envs.simulation.world import World
from zoo.envs.tasks.task import Judgement, Task
from zoo.errors import ConfigError


class Pick(Task):
    """The robot and nothing else touches the object, which is above where it began. Reward: metres of lift, else 0.

    Args:
        pickup_obj_name: Its root body.
        pickup_obj_start_pose: pose7 at the start; its height counts.
        succ_pos_threshold: Lift that is enough, metres.
    """

    example_args: ClassVar[dict[str, Any]] = {
        "pickup_obj_name": "mug",
        "pickup_obj_start_pose": [0, 0, 0, 1, 0, 0, 0],
        "succ_pos_threshold": 0.01,
    }

    def __init__(
        self, *, pickup_obj_name: str, pickup_obj_start_pose: Sequence[float], succ_pos_threshold: float
    ) -> None:
        if succ_pos_threshold <= 0:
            raise ConfigError(f"pick: succ_pos_threshold is {succ_pos_threshold}, expected metres above 0")
        self.pickup_obj_name = pickup_obj_name
        self.start_height_m = float(pickup_obj_start_pose[2])
        self.succ_pos_threshold = succ_pos_threshold

    def bind(self, world: World) -> None:
        self._world = world
        world.root(self.pickup_obj_name)

    def judge(self) -> Judgement:
        world = self._world
        touching = {int(root) for root in world.contacts(self.pickup_obj_name).roots}
        lift = float(world.position(self.pickup_obj_name)[2]) - self.start_height_m
        is_held = touching == {world.robot_root}
        return Judgement(
            success=is_held and lift >= self.succ_pos_threshold,
            reward=max(lift, 0.0) if touching <= {world.robot_root} else 0.0,
            facts={"lift_m": lift, "others_touching": float(len(touching - {world.robot_root}))},
        )
