"""Our tasks under Gymnasium's names: `gymnasium.make("molmo_zoo/Pick-v0")`.

Gymnasium 1.0 gave up finding environments by entry points: a program imports what registers them. Either call
`register_envs`, or name this module in front: `make("zoo.envs.simulation.registration:molmo_zoo/Pick-v0")`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from zoo import registry
from zoo.envs.sampling.sampler import sample_episodes
from zoo.envs.simulation.environment import EpisodeEnv
from zoo.envs.tasks.chores import HORIZON_STEPS as CHORES_STEPS

NAMESPACE, VERSION = "molmo_zoo", 0
NUM_SEEDS = 2**32 // 100_000
"""House numbers have 32 bits, and a seed of `sample_episodes` owns 100,000 of them."""

HORIZON_STEPS = 500
"""Policy steps; as data generation has it for pick and navigation (sheet molmospaces section 8). Tasks of CHORES have
their own."""


class SampledEnv(EpisodeEnv):
    """An `EpisodeEnv` of one task, for which every `reset` draws an episode in a house of its own.

    There are `NUM_SEEDS` of them for a task and split. A reset costs the planning and compiling of a house, a second or
    more; `reset(options={"episode": ...})` takes a given episode instead.

    Args:
        task: Registry name of a task sampler.
        dataset: Registry name of the scene planner that makes the houses.
        split: train, val or test.
        cameras: Whose pictures are observed; none are rendered without.
        image_size: Width and height of pictures, pixels.
        **options: Of `EpisodeEnv`, but for its episodes.

    Raises:
        UnknownNameError: no such task.
        ConfigError: as of `EpisodeEnv`.
    """

    def __init__(
        self,
        *,
        task: str,
        dataset: str = "procedural",
        split: str = "train",
        cameras: Sequence[str] = (),
        image_size: tuple[int, int] = (224, 224),
        **options: Any,
    ) -> None:
        robot = registry.load("task_sampler", task).robot_name
        registry.find("scene_planner", dataset)
        super().__init__(robot=robot, cameras=cameras, image_size=image_size, **options)
        self.task_name, self.dataset, self.split = task, dataset, split

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Draw an episode and set it up.

        Args:
            seed: Of this draw and of all later ones.
            options: `episode` gives one instead.
        """
        gymnasium.Env.reset(self, seed=seed)
        episode = (options or {}).get("episode")
        if episode is None:
            drawn = int(self.np_random.integers(NUM_SEEDS))
            episode = next(sample_episodes(self.task_name, dataset=self.dataset, split=self.split, count=1, seed=drawn))
        return super().reset(options={"episode": episode})


def env_id(task: str) -> str:
    """Gymnasium's name of a task: `pick_and_place` is `molmo_zoo/PickAndPlace-v0`."""
    return f"{NAMESPACE}/{''.join(word.capitalize() for word in task.split('_'))}-v{VERSION}"


def register_envs() -> tuple[str, ...]:
    """Make every task that can be drawn known to Gymnasium; a second call changes nothing.

    Returns:
        Their ids.
    """
    ids = []
    for task in registry.names("task_sampler"):
        name = env_id(task)
        if name not in gymnasium.registry:
            gymnasium.register(
                id=name,
                entry_point=f"{__name__}:{SampledEnv.__name__}",
                kwargs={"task": task, "horizon_steps": CHORES_STEPS.get(task, HORIZON_STEPS)},
            )
        ids.append(name)
    return tuple(ids)


register_envs()  # what `gymnasium.make("module:id")` relies on
