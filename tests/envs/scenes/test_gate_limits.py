"""Thresholds of the gates: the sheet's force, and no nonsense."""

import dataclasses

import pytest

from zoo.envs.scenes.gate_limits import GateLimits
from zoo.errors import ConfigError


@pytest.mark.parametrize(
    ("mass", "force"), [(0.001, 0.5101), (0.35, 0.35 * 10.1 + 0.5), (2.9, 2.9 * 10.1 + 0.5), (3.0, 30.0), (60.0, 30.0)]
)
def test_the_lifting_force_is_the_sheets(mass, force):
    assert GateLimits().lift_force(mass, 9.8) == pytest.approx(force)


def test_limits_are_positive():
    with pytest.raises(ConfigError, match=r"more than 0, got drift_m 0.0, lift_force_n \(0.0, 30.0\)"):
        GateLimits(drift_m=0.0, lift_force_n=(0.0, 30.0))
    assert dataclasses.replace(GateLimits(), drift_m=0.1).drift_m == 0.1
