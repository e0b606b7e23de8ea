"""Many short episodes in one process, as a worker runs them: memory and open renderers.

    python tests/fakes/soak.py --episodes 1000 --every 100

prints JSON: `rss_mb` after every so many episodes, each the median of those after every one of them, because it goes up
and down with the house; `growth` from the first to the last as a share;
`made_contexts` of GL in all; `open_renderers` before the environment is closed and `left_renderers` after that;
`failures` by reason; `seconds`.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from collections import Counter
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from corner_episode import corner_episode

from zoo.envs import rendering
from zoo.envs.episodes.schema import Episode
from zoo.envs.evaluation.drivers import RandomDriver
from zoo.envs.evaluation.memory import give_freed_memory_back
from zoo.envs.evaluation.rollout import RolloutSettings, run_episode
from zoo.envs.simulation.environment import EpisodeEnv
from zoo.envs.simulation.houses import house

HOUSES = (0, 4, 8, 11, 1)  # of the validation split; one to three rooms each
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
    return sum(one._gl is not None for one in gc.get_objects() if isinstance(one, rendering.OffscreenRenderer))


def counted_contexts() -> list[tuple[int, int]]:
    """Sizes of the GL contexts that are made from now on, whoever forgets them."""
    made, make = [], rendering._make_gl_context

    def counting(width: int, height: int) -> object:
        made.append((width, height))
        return make(width, height)

    rendering._make_gl_context = counting
    return made


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--every", type=int, default=100)
    asked = parser.parse_args()
    began = time.monotonic()
    give_freed_memory_back()
    # Each house twice in a row: its model is built, and taken over.
    episodes = [episode for index in HOUSES for episode in [episode_in(index)] * 2]
    env = EpisodeEnv(robot="franka_droid", cameras=("exo",), image_size=(64, 48))
    settings, driver = RolloutSettings(horizon_steps=STEPS), RandomDriver()
    recent, memory = [], {}
    failures, made = Counter(), counted_contexts()
    for number, episode in enumerate(islice(cycle(episodes), asked.episodes), 1):
        failures[run_episode(env, episode, number, driver, settings).failure] += 1
        recent.append(rss_mb())
        if number % asked.every == 0:
            memory[number] = median(recent)
            recent.clear()
            print(f"{number} episodes: {memory[number]:.1f} MB", file=sys.stderr, flush=True)
    opened = open_renderers()
    env.close()
    told = {
        "rss_mb": memory,
        "growth": memory[max(memory)] / memory[min(memory)] - 1,
        "made_contexts": len(made),
        "open_renderers": opened,
        "left_renderers": open_renderers(),
        "failures": failures,
        "seconds": time.monotonic() - began,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
