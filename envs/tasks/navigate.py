"""Go to an object (sheet section 7, row 8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from zoo.envs.simulation.world import World
from zoo.envs.tasks.task import Judgement, Task
from zoo.errors import ConfigError, DataError


class NavigateTo(Task):
    """The base is near one of the candidates, and the head camera sees that one.

    Reward: max(0, 1 - d / threshold), d the distance in the plane to the nearest candidate; 0 while it is out of sight.

    Args:
        pickup_obj_name: Root body of the object that the prompt means.
        pickup_obj_candidates: Root bodies that count; empty: that one.
        succ_pos_threshold: Metres in the plane between base and object.
        camera: Name of the camera that must see it.
    """

    example_args: ClassVar[dict[str, Any]] = {"pickup_obj_name": "mug", "succ_pos_threshold": 1.5}

    def __init__(
        self,
        *,
        pickup_obj_name: str,
        succ_pos_threshold: float,
        pickup_obj_candidates: Sequence[str] = (),
        camera: str = "head_camera",
    ) -> None:
        if succ_pos_threshold <= 0:
            raise ConfigError(f"navigate_to: succ_pos_threshold is {succ_pos_threshold}, expected metres above 0")
        self.candidates = tuple(pickup_obj_candidates) or (pickup_obj_name,)
        self.pickup_obj_name, self.succ_pos_threshold, self.camera = pickup_obj_name, succ_pos_threshold, camera

    def bind(self, world: World) -> None:
        self._world = world
        if world.robot_root is None:
            raise DataError("navigate_to needs a robot in the scene")
        for name in self.candidates:
            world.root(name)

    def judge(self) -> Judgement:
        world = self._world
        base = world.data.xpos[world.robot_base][:2]
        distances = [float(np.linalg.norm(world.position(name)[:2] - base)) for name in self.candidates]
        nearest = int(np.argmin(distances))
        distance = distances[nearest]
        is_near = distance < self.succ_pos_threshold
        # Looking costs a render, which only near the goal can change the answer.
        pixels = world.visible_pixels(self.camera, self.candidates[nearest]) if is_near else 0
        reward = max(0.0, 1 - distance / self.succ_pos_threshold) if pixels else 0.0
        return Judgement(is_near and pixels > 0, reward, {"distance_m": distance, "visible_pixels": float(pixels)})
