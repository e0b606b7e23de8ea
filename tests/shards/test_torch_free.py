"""Data engine and shards must stay light: no module of theirs may import torch, directly or not."""

import pkgutil
import subprocess
import sys

import zoo.datamodules.readers
import zoo.doctor
import zoo.envs
import zoo.shards

MODULES = sorted(
    module.name
    for package in (zoo.envs, zoo.shards, zoo.datamodules.readers, zoo.doctor)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
)


def test_there_are_modules():
    assert {"zoo.envs.tabletop", "zoo.shards.writer"} <= set(MODULES)


def test_importing_all_of_them_imports_no_torch():
    lines = ["import importlib, sys"]
    for name in (*MODULES, "zoo.generator", "zoo.packing", "zoo.policy"):
        lines += [f"importlib.import_module({name!r})", f"assert 'torch' not in sys.modules, {name!r}"]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
