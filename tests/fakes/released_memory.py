"""Load a released checkpoint in a process of its own and write it again; prints the memory that each takes.

Usage: python released_memory.py SMALL LARGE OUT; prints {"weights", "loading", "saving"} in bytes as JSON.
"""

import json
import sys
from pathlib import Path

import zoo
from zoo.checkpoints.molmo2_export import save_released


def told(what: str) -> int:
    """Bytes: VmRSS now, VmHWM at most. `getrusage` would count the process that started this one as well."""
    fields = Path("/proc/self/status").read_text().split()
    return int(fields[fields.index(f"{what}:") + 1]) * 1024


if __name__ == "__main__":
    small, large, out = sys.argv[1:]
    save_released(zoo.from_pretrained(small), f"{out}/small")  # imports everything that is imported late
    before = told("VmRSS")
    module = zoo.from_pretrained(large)
    loading = told("VmHWM") - before
    save_released(module, f"{out}/large")
    weights = sum(parameter.nbytes for parameter in module.parameters())
    print(json.dumps({"weights": weights, "loading": loading, "saving": told("VmHWM") - before}))
