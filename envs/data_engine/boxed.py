"""An environment that also says where the targets are, for policies that take boxes: SPOC's with detections.

Source: sheet spoc_ring_holodeck_graspmolmo 1.6. The boxes are those that are recorded, the simulator's in the place of
a detector's.
"""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from zoo.envs.data_engine.sight import RecordingEnv
from zoo.envs.data_engine.targets import look
from zoo.envs.robots.robot import Robot
from zoo.policy import boxes_name
from zoo.shards.policy_episode import BOXES_PER_CAMERA, MISSING_BOX


class BoxedEnv(RecordingEnv):
    """`RecordingEnv` whose observations have, beside each camera's picture, the boxes of the targets in it.

    `boxes_name(camera)`: (2, 5) float32, x1, y1, x2, y2 in pixels and area; `MISSING_BOX` where nothing is in view.
    """

    def _observation_space(self, robot: Robot, width: int, height: int) -> spaces.Dict:
        most = np.maximum([width, height, width, height, width * height], MISSING_BOX).astype(np.float32)
        box = spaces.Box(np.zeros((BOXES_PER_CAMERA, len(most)), np.float32), np.tile(most, (BOXES_PER_CAMERA, 1)))
        boxes = {boxes_name(camera): box for camera in self.cameras}
        return spaces.Dict({**super()._observation_space(robot, width, height).spaces, **boxes})

    def _observation(self) -> dict[str, np.ndarray]:
        boxes, _ = look(self, self.cameras, self.task.targets)
        return super()._observation() | {boxes_name(name): own for name, own in zip(self.cameras, boxes, strict=True)}
