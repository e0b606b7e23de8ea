"""What a machine without the package vla-eval, or without torch, can do."""

import subprocess
import sys

PROGRAM = """
import sys
for name in ("vla_eval", "vla_eval.benchmarks", "vla_eval.benchmarks.base"):
    sys.modules[name] = None  # an import of it fails
import zoo.envs.serving.client, zoo.envs.serving.droid, zoo.envs.serving.server
from zoo.envs.serving.vla_eval_benchmark import ZooBenchmark
from zoo.errors import MissingLibraryError
assert "torch" not in sys.modules
try:
    ZooBenchmark(benchmark="mini")
except MissingLibraryError as error:
    print(error)
"""


def test_the_module_can_be_imported_and_says_what_is_missing():
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "needed to run our tasks in its harness: pip install 'molmo-zoo[vla-eval]'" in ran.stdout
