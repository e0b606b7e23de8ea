"""Observations as they travel, and as policies take them.

Source: sheet molmospaces section 23, "Payload convention": {`images`: {camera: picture}, `task_description`, `state` or
`states`}; actions come as {`actions`: one action or a chunk}. The simple form has the same flat, with `prompt` for the
instruction. What else is in a message travels along under its own name, as long as it is an array.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.envs.serving.frames import is_image
from zoo.errors import DataError
from zoo.policy import Observation

IMAGES, ACTIONS = "images", "actions"
INSTRUCTIONS = ("task_description", "prompt", "instruction")
"""Names of the instruction in messages; ours in frames, in the simple form, and in tasks."""
STATES = "states"
ACCEPTS_CHUNKS = "accepts_chunks"
"""In a hello: this client of frames executes several actions an answer. Ours; others pass over it."""


def to_frame(observation: Observation, instruction: str) -> dict[str, Any]:
    """Payload of an observation frame.

    Args:
        observation: Of one environment, without a batch axis.
        instruction: What the policy is told.
    """
    pictures = {name: value for name, value in observation.items() if is_image(value)}
    rest = {name: value for name, value in observation.items() if name not in pictures}
    return {IMAGES: pictures, INSTRUCTIONS[0]: instruction} | rest


def to_flat(observation: Observation, instruction: str) -> dict[str, Any]:
    """An observation in the simple form."""
    return dict(observation) | {INSTRUCTIONS[1]: instruction}


def from_payload(payload: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], str | None]:
    """What a policy sees out of either form, and the instruction, where one came along.

    Raises:
        DataError: something is neither array nor number nor text, or two things have one name.
    """
    observation: dict[str, np.ndarray] = {}
    instruction: str | None = None
    for name, value in _flat(payload):
        if isinstance(value, str):
            instruction = value if name in INSTRUCTIONS else instruction
            continue
        if not isinstance(value, np.ndarray | np.generic | bool | int | float | list):
            raise DataError(f"{name!r} of the observation is a {type(value).__name__}, expected an array or text")
        own = "state" if name == STATES else name
        if own in observation:
            raise DataError(f"the observation has {own!r} twice")
        observation[own] = _array(name, value)
    return observation, instruction


def actions_of(payload: Mapping[str, Any]) -> np.ndarray:
    """(chunk, action_dim) float32 out of an answer.

    Raises:
        DataError: there are no actions, or something else in their place.
    """
    if ACTIONS not in payload:
        raise DataError(f"an answer has {', '.join(map(str, payload)) or 'nothing'}, expected {ACTIONS!r}")
    actions = _array(ACTIONS, payload[ACTIONS])
    if actions.ndim not in (1, 2):
        raise DataError(f"{ACTIONS!r} of an answer have shape {actions.shape}, expected one action or a chunk of them")
    return np.atleast_2d(actions).astype(np.float32)


def _flat(payload: Mapping[str, Any]) -> list[tuple[str, Any]]:
    pictures = payload.get(IMAGES, {})
    if not isinstance(pictures, Mapping):
        raise DataError(f"{IMAGES!r} of the observation is a {type(pictures).__name__}, expected pictures by camera")
    return [*((name, value) for name, value in payload.items() if name != IMAGES), *pictures.items()]


def _array(name: str, value: Any) -> np.ndarray:
    """An array; Python's numbers and lists of them become float32."""
    if isinstance(value, np.ndarray):
        return value
    try:
        return np.asarray(value, None if isinstance(value, np.generic) else np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name!r} cannot be read as an array: {error}") from error
