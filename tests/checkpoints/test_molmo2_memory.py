"""Weights are held once while they are read and written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes import released

ROOM = 1.2
"""Times the weights."""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="asks Linux for the memory of a process")
def test_loading_and_saving_take_little_more_than_the_weights(tmp_path):
    script = Path(released.__file__).with_name("released_memory.py")
    large = {**released.TEXT, "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 4}
    released.save(released.model_of(released.TEXT), tmp_path / "small")
    released.save(released.model_of(large | {"num_attention_heads": 16, "head_dim": 64}), tmp_path / "large")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(script), *(str(tmp_path / name) for name in ("small", "large", "out"))],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    print(told)
    assert told["weights"] > 200e6
    assert 0.9 * told["weights"] < told["loading"] < ROOM * told["weights"]
    assert told["saving"] < ROOM * told["weights"]
