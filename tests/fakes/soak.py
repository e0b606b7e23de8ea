"""Many short episodes in one process, as a worker runs them: memory and open renderers.

    python tests/fakes/soak.py --episodes 1000 --first 100

prints JSON: `rss_mb` after the first episodes and after all, `growth` between them as a share, `open_renderers` at the
most while it ran and `left_renderers` at its end, `failures` by reason, `seconds`.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import time
from collections import Counter
from itertools import cycle, islice
from pathlib import Path

from corner_episode import corner_episode

from zoo.envs.episodes.schema import Episode
from zoo.envs.evaluation.drivers import RandomDriver
from zoo.envs.evaluation.rollout import RolloutSettings, run_episode
from zoo.envs.rendering import OffscreenRenderer
from zoo.envs.simulation.environment import EpisodeEnv
from zoo.envs.simulation.houses import house

HOUSES = (0, 4, 8, 11)  # of the validation split; one or two rooms each
STEPS = 3


def episode_in(index: int) -> Episode:
    """The corner episode in another house."""
    content = corner_episode().to_json()
    place = house(content["scene_dataset"], content["data_split"], index)
    poses = {
        item.name: [*item.position_m, *item.quat_wxyz]
        for item in place.scene.objects
        if not place.objects[item.name].is_static
    }
    name = next(iter(poses))
    content["house_index"], content["scene_modifications"] = index, {"object_poses": poses}
    content["task"] |= {"pickup_obj_name": name, "pickup_obj_start_pose": poses[name]}
    return Episode.from_json(content, f"house {index}")


def rss_mb() -> float:
    """Memory of this process that is in use now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def open_renderers() -> int:
    """Renderers that hold a GL context."""
    return sum(one._gl is not None for one in gc.get_objects() if isinstance(one, OffscreenRenderer))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--first", type=int, default=100)
    asked = parser.parse_args()
    began = time.monotonic()
    episodes = [episode_in(index) for index in HOUSES]
    env = EpisodeEnv(robot="franka_droid", cameras=("exo",), image_size=(64, 48))
    settings, driver = RolloutSettings(horizon_steps=STEPS), RandomDriver()
    memory, renderers, failures = [], 0, Counter()
    for number, episode in enumerate(islice(cycle(episodes), asked.episodes), 1):
        failures[run_episode(env, episode, number, driver, settings).failure] += 1
        if number in (asked.first, asked.episodes):
            memory.append(rss_mb())
            renderers = max(renderers, open_renderers())
    env.close()
    told = {
        "rss_mb": memory,
        "growth": memory[-1] / memory[0] - 1,
        "open_renderers": renderers,
        "left_renderers": open_renderers(),
        "failures": failures,
        "seconds": time.monotonic() - began,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
