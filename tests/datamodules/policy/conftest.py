"""Small data sets of recorded episodes, and a processor that keeps their pictures as they are."""

import pytest
from recorded_episodes import CAMERAS, SIZE, write_episodes

from zoo.policy_processor import PolicyProcessor
from zoo.policy_trunk import ActionIds


@pytest.fixture(scope="session")
def window_processor():
    return PolicyProcessor(
        cameras=CAMERAS,
        image_size=SIZE,
        action_ids=ActionIds(num_actions=20, start=20, padding=21),
        boxes_per_camera=1,
    )


@pytest.fixture(scope="session")
def walks(tmp_path_factory):
    """Train: 6 shards of 4 episodes of 6 to 20 steps; val: 1 shard of 5; test: 2 shards of 2."""
    return write_episodes(
        tmp_path_factory.mktemp("walks"),
        train=[[(f"w{shard}{place}", 6 + 2 * shard + place) for place in range(4)] for shard in range(6)],
        val=[[(f"wv{place}", 9 + place) for place in range(5)]],
        test=[[(f"we{shard}{place}", 7) for place in range(2)] for shard in range(2)],
    )


@pytest.fixture(scope="session")
def visits(tmp_path_factory):
    """A second, smaller task: 3 shards of 2 episodes, no other split."""
    return write_episodes(
        tmp_path_factory.mktemp("visits"),
        train=[[(f"v{shard}{place}", 8) for place in range(2)] for shard in range(3)],
    )
