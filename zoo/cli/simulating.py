"""`zoo bench sim` and `zoo bench generation`: what the simulator costs, and recording experts in it."""

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.bench.simulation import SimulationCost


def sim(
    *,
    task: str = "pick",
    episodes: int = 20,
    size: int = 224,
    steps: int = 50,
    horizon_steps: int = 40,
    rounds: int = 1,
    seed: int = 0,
    json: Path | None = None,
) -> str:
    """Time the simulator against a bare MuJoCo loop, navigation steps, and two workers against one, in one run.

    Args:
        task: Whose episodes are drawn; its robot needs two cameras.
        episodes: How many; the first is timed alone, all by workers.
        size: Width and height of pictures, pixels.
        steps: Policy steps and navigation steps of a round.
        horizon_steps: Policy steps of an episode that workers run.
        rounds: Turns of all sides, of which the quickest counts.
        seed: Of the draw.
        json: File for the numbers; `rows` hold `what`, `value`, `unit`, `ratio` and `floor`.

    Raises:
        UnknownNameError: no such task.
        ConfigError: a number out of range, or a robot with one camera.
    """
    from zoo.bench.simulation import measure_simulation  # heavy; `zoo bench sim --help` must stay quick

    cost = measure_simulation(
        task, episodes=episodes, size=size, steps=steps, horizon_steps=horizon_steps, rounds=rounds, seed=seed
    )
    return _reported(cost, json)


def generation(
    *,
    task: str = "object_nav_type",
    dataset: str = "homes",
    robot: str = "stretch",
    width: int = 112,
    height: int = 64,
    episodes: int = 20,
    episodes_per_house: int = 10,
    workers: int = 1,
    rounds: int = 1,
    seed: int = 0,
    json: Path | None = None,
) -> str:
    """Time `zoo generate policy_episodes` against the bare simulator, which replays what was recorded, in turns.

    The bare simulator makes the same moves and draws the same pictures in the same houses, and does nothing else.
    Ratios are the generation's rate to its own.

    Args:
        task: Whose episodes are recorded; it needs a sampler and an expert.
        dataset: Registry name of the scene planner.
        robot: That acts, one that moves in discrete steps.
        width: Of pictures, pixels; even.
        height: Of pictures, pixels; even.
        episodes: Of each worker.
        episodes_per_house: Of one house, before the next is taken.
        workers: Processes that do all of this side by side, each in houses of its own.
        rounds: Turns of all sides, of which the quickest counts.
        seed: Of the draws, of the first worker.
        json: File for the numbers; `rows` hold `what`, `value`, `unit`, `ratio` and `floor`, and `value_cpu` and
            `ratio_cpu` by seconds of the processes, which a busy machine stretches less.

    Raises:
        UnknownNameError: no such task, data set or robot.
        ConfigError: a number out of range, or houses that give no episode.
    """
    from zoo.bench.generation import Load, measure_generation  # heavy; `zoo bench generation --help` must stay quick

    load = Load(
        task=task,
        dataset=dataset,
        robot=robot,
        width=width,
        height=height,
        episodes=episodes,
        episodes_per_house=episodes_per_house,
        seed=seed,
    )
    return _reported(measure_generation(load, workers=workers, rounds=rounds), json)


def _reported(cost: "SimulationCost", json: Path | None) -> str:
    if json is not None:
        json.parent.mkdir(parents=True, exist_ok=True)
        json.write_text(json_format.dumps(cost.as_dict(), indent=2) + "\n", encoding="utf-8")
    return cost.as_text()
