"""The camera sweep: nothing at level 0, within the sheet's ranges at the others, repeatable."""

import numpy as np
import pytest

from zoo.envs.robots.camera_levels import perturb
from zoo.envs.robots.cameras import axes_of, looking_at
from zoo.errors import ConfigError

CENTRE = np.array([0.5, 0.0, 0.1])
EXO = looking_at("exo", (0.1, 0.57, 0.66), CENTRE, fovy_deg=71)
WRIST = looking_at("wrist", (0.065, 0, 0.04), (0, 0, 0.2), fovy_deg=52, body="gripper/base")


def sweep(level, seed):
    return perturb([EXO, WRIST], level, np.random.default_rng(seed), centre_m=CENTRE, moving=["wrist"])


def test_level_zero_leaves_all_as_it_is():
    assert sweep(0, 3) == (EXO, WRIST)


@pytest.mark.parametrize(
    ("level", "azimuth", "nearer", "farther", "field"),
    [(10, 0, 0.05, 0.05, 1), (40, 45, 0.2, 0.5, 3), (57.5, 67.5, 0.275, 0.75, 4), (100, 180, 0.5, 1.5, 7)],
)
def test_ranges_grow_with_the_level(level, azimuth, nearer, farther, field):
    start = np.array(EXO.position_m) - CENTRE
    turns, changes, fields = [], [], []
    for seed in range(200):
        exo, wrist = sweep(level, seed)
        offset = np.array(exo.position_m) - CENTRE
        turns.append((np.degrees(np.arctan2(offset[1], offset[0]) - np.arctan2(start[1], start[0])) + 180) % 360 - 180)
        changes.append(np.hypot(*offset[:2]) - np.hypot(*start[:2]))
        fields.append(exo.fovy_deg - 71)
        forward, _ = axes_of(exo.quat_wxyz)
        np.testing.assert_allclose(np.cross(forward, -offset), 0, atol=1e-9)  # still looks at the centre
        assert offset[2] == pytest.approx(start[2])
        assert (np.abs(np.array(wrist.position_m) - WRIST.position_m) <= [0.015, 0.005, 0.01]).all()
    turns = np.abs(turns)
    assert turns.max() <= azimuth + 1e-9
    assert turns.max() >= 0.9 * azimuth
    assert -nearer <= min(changes) <= -0.7 * nearer
    assert 0.7 * farther <= max(changes) <= farther
    assert 0.9 * field <= np.abs(fields).max() <= field


def test_the_same_seed_gives_the_same_cameras():
    assert sweep(75, 1) == sweep(75, 1)
    assert sweep(75, 1) != sweep(75, 2)


def test_bad_levels_and_names_are_refused():
    with pytest.raises(ConfigError, match="camera level is 101, expected 0 to 100"):
        sweep(101, 0)
    with pytest.raises(ConfigError, match="no camera hand; the episode has exo"):
        perturb([EXO], 10, np.random.default_rng(0), centre_m=CENTRE, moving=["hand"])
