"""The policy contract's small parts."""

import numpy as np
import pytest

from zoo.policy import Policy, stack_observations


def test_observations_become_a_batch():
    batch = stack_observations([{"x": np.array([1.0, 2.0])}, {"x": np.array([3.0, 4.0])}])
    np.testing.assert_array_equal(batch["x"], [[1.0, 2.0], [3.0, 4.0]])


def test_observations_with_other_names_are_refused():
    with pytest.raises(ValueError, match=r"names differ.*'y'"):
        stack_observations([{"x": np.zeros(1)}, {"x": np.zeros(1), "y": np.zeros(1)}])
    with pytest.raises(ValueError, match="no observation"):
        stack_observations([])


def test_a_policy_must_reset_and_act():
    assert Policy.kind == "policy"
    with pytest.raises(TypeError, match="abstract"):
        Policy()  # type: ignore[abstract]
