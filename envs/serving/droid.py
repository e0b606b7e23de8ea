"""Policies of the pi family behind a server of openpi, for the arm and gripper of DROID.

Source: sheet molmospaces section 5, "pi-family adapter (DROID convention)". Pictures agree with `resize_with_pad` of
openpi-client 0.1.2. Actions are absolute joint positions, as of the checkpoints that MolmoSpaces evaluates; those with
joint velocities do not fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from zoo.envs.serving.client import RemotePolicy
from zoo.errors import ConfigError
from zoo.policy import Observation, Policy

SIDE_PX = 224
ARM_JOINTS = 7
EXECUTE_STEPS = 8
"""Of a chunk, before the next query."""
CLOSING = 0.5
"""Gripper command above which the gripper closes."""
GRIPPER_CLOSED = 255.0

EXTERIOR, WRIST = "observation/exterior_image_1_left", "observation/wrist_image_left"
JOINTS, GRIPPER = "observation/joint_position", "observation/gripper_position"


class DroidPolicy(Policy):
    """Asks a server of openpi in its own words.

    Args:
        url: Of the server, as ws://127.0.0.1:8000.
        exterior: Camera that looks at the scene.
        wrist: Camera at the gripper.
        timeout_s: For one answer.
    """

    example_args: ClassVar[dict[str, Any]] = {"url": "ws://127.0.0.1:8000"}

    def __init__(
        self, url: str, *, exterior: str = "exo_camera_1", wrist: str = "wrist_camera", timeout_s: float = 30.0
    ) -> None:
        self.exterior, self.wrist = exterior, wrist
        self._remote = RemotePolicy(url, form="simple", timeout_s=timeout_s)

    def reset(self, tasks: Mapping[int, Mapping[str, Any]]) -> None:
        """Begin episodes; the instruction travels in lower case.

        Raises:
            RemoteError: as of `RemotePolicy`.
        """
        self._remote.reset({slot: {"instruction": str(task["instruction"]).lower()} for slot, task in tasks.items()})

    def act(self, observation: Observation, slots: Sequence[int]) -> np.ndarray:
        """(batch, 8 or fewer, 8) float32: absolute joint positions in radians, gripper 0 open or 255 closed.

        Raises:
            ConfigError: a camera is missing, or the robot is not an arm of 7 joints with a gripper.
            RemoteError: as of `RemotePolicy`.
        """
        missing = sorted({self.exterior, self.wrist} - set(observation))
        if missing:
            raise ConfigError(
                f"a policy of DROID needs pictures of {', '.join(missing)}; observed are {', '.join(observation)}. "
                f"Ask for them: --cameras {self.exterior},{self.wrist}"
            )
        state = observation["state"]
        if state.shape[1:] != (ARM_JOINTS + 1,):
            raise ConfigError(f"a policy of DROID moves 7 joints and a gripper; the state has {state.shape[1]} numbers")
        chunks = self._remote.act(
            {
                EXTERIOR: np.stack([letterboxed(picture) for picture in observation[self.exterior]]),
                WRIST: np.stack([letterboxed(picture) for picture in observation[self.wrist]]),
                JOINTS: state[:, :ARM_JOINTS],
                GRIPPER: np.clip(state[:, ARM_JOINTS:], 0, 1),
            },
            slots,
        )
        length = min(EXECUTE_STEPS, *(len(chunk) for chunk in chunks))
        return np.stack([_commands(chunk[:length]) for chunk in chunks])


def letterboxed(picture: np.ndarray, side_px: int = SIDE_PX) -> np.ndarray:
    """(side, side, 3) uint8: the picture as large as it fits, in the middle of black.

    Args:
        picture: (height, width, 3) uint8.
        side_px: Of the square.
    """
    height, width = picture.shape[:2]
    ratio = max(width, height) / side_px
    size = max(1, int(width / ratio)), max(1, int(height / ratio))
    if size == (width, height) == (side_px, side_px):
        return picture
    small = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
    square = np.zeros((side_px, side_px, 3), np.uint8)
    top, left = (side_px - size[1]) // 2, (side_px - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = small
    return square


def _commands(chunk: np.ndarray) -> np.ndarray:
    """Of a chunk of at least 8 numbers each: joints as they are, the gripper fully open or closed.

    Raises:
        ConfigError: there are fewer.
    """
    if chunk.shape[1] < ARM_JOINTS + 1:
        raise ConfigError(f"the server gives actions of {chunk.shape[1]} numbers, expected 7 joints and a gripper")
    gripper = np.where(chunk[:, ARM_JOINTS : ARM_JOINTS + 1] > CLOSING, GRIPPER_CLOSED, 0.0)
    return np.concatenate([chunk[:, :ARM_JOINTS], gripper], axis=1).astype(np.float32)
