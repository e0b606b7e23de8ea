import pytest
from corner_episode import corner_episode


@pytest.fixture(scope="session")
def episode():
    return corner_episode()
