"""Many short episodes in one process leave nothing behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "fakes" / "soak.py"
GROWTH = 0.05


def soaked(episodes, every):
    """In a process of its own, whose memory is of nothing else."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("memory in use is read from /proc")
    command = [sys.executable, SCRIPT, "--episodes", str(episodes), "--every", str(every)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.render
@pytest.mark.parametrize(
    ("episodes", "every"), [(60, 20), pytest.param(1000, 100, marks=pytest.mark.slow, id="thousand")]
)
def test_memory_stays_and_no_renderer_is_leaked(episodes, every):
    told = soaked(episodes, every)
    assert told["failures"] == {"horizon": episodes}
    assert told["growth"] < GROWTH, told
    assert (told["made_contexts"], told["open_renderers"], told["left_renderers"]) == (1, 1, 0)
