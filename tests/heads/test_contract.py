"""What every registered head promises; a new one is tested by being registered."""

import pickle

import pytest

from zoo import registry
from zoo.head import Head

NAMES = registry.names("head")


def test_some_head_is_registered():
    assert "qa" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_head_whose_data_half_travels(name):
    head = registry.example("head", name)
    assert isinstance(head, Head)
    pickle.loads(pickle.dumps(head.renderer()))
    assert head.needs
    assert head.metrics() is not head.metrics()
