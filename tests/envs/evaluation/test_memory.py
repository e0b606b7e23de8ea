import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
from pathlib import Path
import numpy as np
from zoo.envs.evaluation.memory import give_freed_memory_back
{call}
def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20
before = held()
np.ones(2 << 20).sum()  # 16 MB, after which the allocator takes smaller blocks from the heap
blocks = [np.ones(1 << 17) for _ in range(100)]  # 1 MB each
last = np.ones(1 << 15)  # keeps the heap from being cut off above the blocks
del blocks
print(held() - before)
"""


def left_mb(call):
    told = subprocess.run([sys.executable, "-c", CODE.format(call=call)], check=True, capture_output=True, text=True)
    return int(told.stdout)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory in use is read from /proc")
def test_large_blocks_go_back():
    assert left_mb("give_freed_memory_back()") < 20
