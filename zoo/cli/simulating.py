"""`zoo bench sim`: what the simulator costs."""

import json as json_format
from pathlib import Path


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
    if json is not None:
        json.parent.mkdir(parents=True, exist_ok=True)
        json.write_text(json_format.dumps(cost.as_dict(), indent=2) + "\n", encoding="utf-8")
    return cost.as_text()
