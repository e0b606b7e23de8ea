"""Acting with a policy module: one step at a time for several episodes, each in a slot with a memory of its own.

Source: sheet spoc_ring_holodeck_graspmolmo 1.11 (one text encoding an episode; greedy or drawn actions) and 2.4 (keys
and values are kept).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.embodiment import NUM_EMBODIMENT
from zoo.errors import ConfigError, DataError
from zoo.policy import Observation, Policy, boxes_name
from zoo.policy_model import PolicyModel
from zoo.policy_processor import PolicyProcessor, missing_boxes
from zoo.policy_trunk import PolicyCache, PolicySteps
from zoo.text_encoder import TextFeatures

SLOTS_OF_A_CACHE = 16
"""Slots are numbered without an end; every so many of them share a cache, made when the first of them begins."""


DRAWS_STREAM = 0x6472
"""Tells the policy's draws from others that an episode's seed begins."""


@dataclass(slots=True)
class _Episode:
    """What a slot remembers beside the trunk's cache.

    Args:
        text: The instruction, encoded, one row.
        generator: Of the episode's own draws.
        previous_action: As the trunk numbers it.
        embodiment: Nineteen numbers of its body; None where the policy is not told.
        time: Steps since the episode began.
    """

    text: TextFeatures
    generator: np.random.Generator
    previous_action: int
    embodiment: Tensor | None = None
    time: int = 0


class ModulePolicy(Policy):
    """Acts by the weights of a module, which are not copied; the module must be in evaluation mode.

    Args:
        model: Encoders, trunk and head.
        processor: Makes pictures as in training.
        picture_size: (width, height) that pictures were recorded at, pixels; None where episodes differed.
        max_steps: Steps that an episode can have.
    """

    def __init__(
        self,
        model: PolicyModel,
        processor: PolicyProcessor,
        *,
        picture_size: tuple[int, int] | None,
        max_steps: int = 1000,
    ) -> None:
        self.model = model
        self.processor = processor
        self.max_steps = max_steps
        self.cameras = processor.cameras
        self.image_size = picture_size
        self.takes_boxes = model.trunk.inputs.boxes_per_camera > 0
        self._episodes: dict[int, _Episode] = {}
        self._caches: dict[int, PolicyCache] = {}

    @torch.no_grad()
    def reset(self, tasks: Mapping[int, Mapping[str, Any]]) -> None:
        """Begin episodes.

        Args:
            tasks: By slot, with the `instruction` to follow, the episode's `seed`, and its `embodiment` where it
                is told of its body.
        Raises:
            DataError: a task lacks one of these, or its instruction is empty.
        """
        trunk = self.model.trunk
        for slot, task in tasks.items():
            goal, seed = task.get("instruction"), task.get("seed")
            if not isinstance(goal, str) or not goal.strip() or seed is None:
                raise DataError(
                    f"slot {slot}: instruction {goal!r} and seed {seed!r}; a policy needs words to follow, and the "
                    "seed of the episode for its draws"
                )
            number, place = divmod(slot, SLOTS_OF_A_CACHE)
            if number not in self._caches:
                self._caches[number] = trunk.new_cache(num_slots=SLOTS_OF_A_CACHE, max_steps=self.max_steps)
            self._caches[number].restart([place])
            self._episodes[slot] = _Episode(
                text=self.model.read([goal]),
                generator=np.random.default_rng([DRAWS_STREAM, seed]),
                previous_action=trunk.inputs.actions.start,
                embodiment=_embodiment(task, slot) if trunk.inputs.knows_body else None,
            )

    @torch.no_grad()
    def act(self, observation: Observation, slots: Sequence[int]) -> np.ndarray:
        """Choose the next action of each row: (rows, 1, 1) float32.

        What it chose last counts as done, unless the observation says otherwise: `last_action` (rows, 1), index of the
        action that was made since, negative at the start.

        Raises:
            ConfigError: a slot that was not begun, or whose episode has had `max_steps`; boxes that the trunk wants and
                the observation lacks.
            DataError: no picture of the policy's cameras, or not what else the trunk was trained with.
        """
        unknown = [slot for slot in slots if slot not in self._episodes]
        if unknown:
            raise ConfigError(f"slots {unknown} have no episode; reset begins one")
        episodes = [self._episodes[slot] for slot in slots]
        if "last_action" in observation:
            for episode, action in zip(episodes, observation["last_action"][:, 0].tolist(), strict=True):
                if action >= 0:
                    episode.previous_action = action
        self._tell_blocked(observation, episodes)
        steps = self._steps(observation, episodes)
        logits = self.model.head(self._states(steps, slots).squeeze(1))
        draws = torch.tensor([episode.generator.random() for episode in episodes], dtype=torch.float64)
        actions = self.model.head.choose(logits, draws.to(logits.device)).tolist()
        for episode, action in zip(episodes, actions, strict=True):
            episode.previous_action = action
            episode.time += 1
        return np.array(actions, np.float32).reshape(-1, 1, 1)

    def _states(self, steps: PolicySteps, slots: Sequence[int]) -> Tensor:
        """(rows, 1, channels); every cache gets the rows of its own slots."""
        numbers = [slot // SLOTS_OF_A_CACHE for slot in slots]
        for number in set(numbers):  # all are asked before any is written
            self._caches[number].check_room([s % SLOTS_OF_A_CACHE for s in slots if s // SLOTS_OF_A_CACHE == number])
        states: dict[int, Tensor] = {}
        for number in sorted(set(numbers)):
            rows = [row for row, its in enumerate(numbers) if its == number]
            places = [slots[row] % SLOTS_OF_A_CACHE for row in rows]
            part = steps if len(rows) == len(slots) else rows_of(steps, rows)
            states |= dict(zip(rows, self.model.trunk.step(part, self._caches[number], places), strict=True))
        return torch.stack([states[row] for row in range(len(slots))])

    def _steps(self, observation: Observation, episodes: Sequence[_Episode]) -> PolicySteps:
        """One step of every row."""
        wanted = self.model.trunk.inputs
        device = next(self.model.parameters()).device

        def column(numbers: Sequence[int]) -> Tensor:
            return torch.tensor(list(numbers), device=device).unsqueeze(1)

        frames = self.processor.frames({name: observation[name] for name in self.cameras if name in observation})
        patches, text = self.model.see(frames.to(device)).unsqueeze(1), stacked([one.text for one in episodes])
        return PolicySteps(
            patches=patches,
            text=text,
            previous_actions=column([episode.previous_action for episode in episodes]),
            time_ids=column([episode.time for episode in episodes]),
            in_hand=column(self._in_hand(observation)) if wanted.has_in_hand else None,
            boxes=self._boxes(observation, len(episodes)).to(device) if wanted.boxes_per_camera else None,
            target_map=self.model.target_map(patches, text.pooled),
            embodiment=torch.stack([one.embodiment for one in episodes]).to(device) if wanted.knows_body else None,
        )

    def _tell_blocked(self, observation: Observation, episodes: Sequence[_Episode]) -> None:
        blocked = self.model.trunk.inputs.actions.blocked
        if blocked is None:
            return
        if "last_action_success" not in observation:
            raise DataError("the observation has no last_action_success, which this policy was trained with")
        for episode, had_effect in zip(episodes, np.ravel(observation["last_action_success"]).tolist(), strict=True):
            if not had_effect and episode.time:
                episode.previous_action = blocked

    @staticmethod
    def _in_hand(observation: Observation) -> list[int]:
        if "in_hand" not in observation:
            raise DataError("the observation has no in_hand, which this policy was trained with")
        return np.asarray(observation["in_hand"]).reshape(-1).astype(int).tolist()

    def _boxes(self, observation: Observation, rows: int) -> Tensor:
        """(rows, 1, cameras, boxes, 5); of a camera that is not there, none in view."""
        count = self.model.trunk.inputs.boxes_per_camera
        boxes = missing_boxes(rows, len(self.cameras), count)
        seen = {place: boxes_name(name) for place, name in enumerate(self.cameras) if name in observation}
        if absent := [name for name in seen.values() if name not in observation]:
            raise ConfigError(
                f"this policy takes boxes of its target, and the observation has no {' and no '.join(absent)} of a "
                "detector: (boxes, 5) a row; act with a policy that takes none"
            )
        for place, name in seen.items():
            boxes[:, place] = torch.from_numpy(np.asarray(observation[name], np.float32)[:, :count])
        return boxes.unsqueeze(1)


def _embodiment(task: Mapping[str, Any], slot: int) -> Tensor:
    """The numbers of a body that a task is told with."""
    numbers = task.get("embodiment")
    if numbers is None or len(numbers) != NUM_EMBODIMENT:
        given = "no embodiment" if numbers is None else f"an embodiment of {len(numbers)} numbers"
        raise DataError(
            f"slot {slot}: {given}; this policy was trained with the {NUM_EMBODIMENT} numbers of its body, which "
            "episodes of stretch and ring_body have"
        )
    return torch.tensor(numbers, dtype=torch.float32)


def stacked(texts: Sequence[TextFeatures]) -> TextFeatures:
    """Instructions that were encoded one by one as a batch, padded to the longest."""
    longest = max(text.states.shape[1] for text in texts)
    missing = [longest - text.states.shape[1] for text in texts]
    return TextFeatures(
        states=torch.cat([F.pad(text.states, (0, 0, 0, more)) for text, more in zip(texts, missing, strict=True)]),
        attention_mask=torch.cat(
            [F.pad(text.attention_mask, (0, more)) for text, more in zip(texts, missing, strict=True)]
        ),
        pooled=torch.cat([text.pooled for text in texts]),
    )


def rows_of(steps: PolicySteps, rows: Sequence[int]) -> PolicySteps:
    """Some rows of steps without padding."""
    chosen = list(rows)

    def cut(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor[chosen]

    text = steps.text
    return PolicySteps(
        patches=steps.patches[chosen],
        text=TextFeatures(
            states=text.states[chosen], attention_mask=text.attention_mask[chosen], pooled=text.pooled[chosen]
        ),
        previous_actions=steps.previous_actions[chosen],
        time_ids=steps.time_ids[chosen],
        in_hand=cut(steps.in_hand),
        boxes=cut(steps.boxes),
        target_map=cut(steps.target_map),
        embodiment=cut(steps.embodiment),
    )
