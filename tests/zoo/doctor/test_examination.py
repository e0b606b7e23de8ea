"""The doctor's checks: on this machine, and on installations that are broken on purpose."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import zoo
from zoo.doctor import CHECKS, examine, findings, machine, packages, probes
from zoo.doctor.findings import Probed, run_probe
from zoo.errors import UnknownNameError


@pytest.fixture
def answers(monkeypatch):
    """Let probes answer what a test says: a mapping is an answer, a text a fault; what was asked is noted."""
    asked = []

    def set_answers(**given):
        def run(name, *, variables=None, timeout_s=0.0):
            asked.append((name, variables))
            answer = given[name](variables or {}) if callable(given[name]) else given[name]
            return Probed(None, answer) if isinstance(answer, str) else Probed(answer, "")

        for module in (machine, packages):
            monkeypatch.setattr(module, "run_probe", run)
        return asked

    return set_answers


def only(found):
    (finding,) = found
    return finding


@pytest.mark.parametrize("name", ["packages", "memory", "run-folder", "video"])
def test_this_machine_passes(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = list(examine([name]))
    assert found
    assert {finding.check for finding in found} == {name}
    assert "fail" not in {finding.status for finding in found}


@pytest.mark.render
def test_this_machine_draws():
    assert only(examine(["graphics"])).status == "ok"


def test_every_finding_that_is_not_ok_has_a_fix(answers):
    dead = "it died of SIGSEGV"
    answers(stack=dead, accelerator=dead, flex=dead, graphics=dead, video=dead, plugins=dead)
    found = list(examine())
    assert {finding.check for finding in found} == set(CHECKS)
    for finding in found:
        assert bool(finding.fix) == (finding.status != "ok")
    assert {finding.check for finding in found if finding.status == "fail"} == {
        "imports", "accelerators", "graphics", "video", "plugins"
    }  # fmt: skip


def test_an_unknown_check():
    with pytest.raises(UnknownNameError, match="no check 'grafics'. Near: graphics. Checks: packages"):
        list(examine(["grafics"]))


# -- probes in processes ----------------------------------------------------------------------------------------------

CRASHING = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"
FOREIGN = "raise RuntimeError('operator torchvision::nms does not exist')\n"


def with_module(folder, monkeypatch, name, text):
    """Put a module of that name in front of the installed one, for processes that are started."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))


def test_a_crash_is_reported_by_its_signal(tmp_path, monkeypatch):
    with_module(tmp_path / "site", monkeypatch, "torch", CRASHING)
    assert run_probe("accelerator") == Probed(None, "it died of SIGSEGV")
    finding = only(examine(["accelerators"]))
    assert (finding.status, finding.fix) == ("fail", findings.TORCH)
    assert "SIGSEGV" in finding.text


def test_a_broken_library_is_named(tmp_path, monkeypatch):
    with_module(tmp_path / "site", monkeypatch, "torch", "")
    with_module(tmp_path / "site", monkeypatch, "torchvision", FOREIGN)
    finding = only(examine(["imports"]))
    assert finding.status == "fail"
    assert finding.text == "import torchvision: RuntimeError: operator torchvision::nms does not exist"
    assert finding.fix == findings.TORCH


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    for name in ("torch", "torchvision"):
        with_module(tmp_path / "site", monkeypatch, name, "")
    with_module(tmp_path / "site", monkeypatch, "lightning", "raise ModuleNotFoundError('No module named lightning')\n")
    assert only(examine(["imports"])).fix == "pip install --force-reinstall lightning"


def test_a_probe_that_hangs_is_ended(tmp_path, monkeypatch):
    with_module(tmp_path / "site", monkeypatch, "torch", "import time\ntime.sleep(60)\n")
    fault = "took longer than 1 s; is the machine busy?"
    assert run_probe("accelerator", timeout_s=1.0) == Probed(None, fault, is_late=True)


@pytest.mark.parametrize("check", ["imports", "accelerators", "graphics", "video", "plugins"])
def test_a_slow_machine_is_no_broken_one(monkeypatch, check):
    asked = []

    def run(name, *, variables=None, timeout_s=0.0):
        asked.append(name)
        return Probed(None, "took longer than 180 s; is the machine busy?", is_late=True)

    for module in (machine, packages):
        monkeypatch.setattr(module, "run_probe", run)
    finding = only(examine([check]))
    assert (finding.status, finding.text) == ("warn", "took longer than 180 s; is the machine busy?")
    assert finding.fix == f"once nothing else runs here: zoo doctor {check}"
    assert len(asked) == 1  # another GL library would be as slow


def test_a_slow_compilation_is_no_broken_gpu(monkeypatch):
    answers = {"accelerator": Probed(GPU, ""), "flex": Probed(None, "took longer than 180 s", is_late=True)}
    monkeypatch.setattr(machine, "run_probe", lambda name: answers[name])
    last = list(examine(["accelerators"]))[-1]
    assert (last.status, last.text) == ("warn", "took longer than 180 s")


def test_an_exception_is_reported_by_its_last_line(tmp_path, monkeypatch):
    with_module(tmp_path / "site", monkeypatch, "torch", "raise OSError('libcudart.so.13: cannot open')\n")
    assert run_probe("accelerator").fault == "OSError: libcudart.so.13: cannot open"


def test_the_doctor_itself_needs_no_torch(tmp_path):
    (tmp_path / "torch.py").write_text(CRASHING)
    root = Path(zoo.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "zoo", "doctor", "memory", "accelerators"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(root)])},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "ok    memory" in done.stdout
    assert "fail  accelerators" in done.stdout
    assert f"fix: {findings.TORCH}" in done.stdout


# -- what answers mean ------------------------------------------------------------------------------------------------


def test_graphics_under_another_library(answers, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "glfw")
    asked = answers(
        graphics=lambda variables: (
            {"backend": "osmesa", "error": ""} if variables.get("MUJOCO_GL") == "osmesa" else "no GL"
        )
    )
    finding = only(examine(["graphics"]))
    assert (finding.status, finding.fix) == ("fail", "export MUJOCO_GL=osmesa")
    assert [variables for _, variables in asked] == [None, {"MUJOCO_GL": "egl"}, {"MUJOCO_GL": "osmesa"}]


def test_graphics_under_none(answers):
    answers(graphics={"backend": "", "error": "cannot open"})
    finding = only(examine(["graphics"]))
    assert finding.status == "fail"
    assert "apt-get install libegl1 libgl1-mesa-dri" in finding.fix


GPU = {
    "version": "2.15",
    "cuda_build": "13.0",
    "devices": ["H200"],
    "bf16": True,
    "cpu_bf16": True,
    "mps": False,
    "threads": 4,
}


@pytest.mark.parametrize(
    ("seen", "flex", "status", "words"),
    [
        (GPU, {"error": 0.01}, "ok", "bfloat16 and flex attention run"),
        (GPU, {"error": 3.0}, "warn", "off by 3.00"),
        (GPU, "CppCompileError: no gcc", "warn", "does not compile: CppCompileError: no gcc"),
        (GPU | {"bf16": False}, {}, "warn", "no bfloat16"),
        (GPU | {"devices": [], "mps": True}, {}, "ok", "MPS"),
        (GPU | {"devices": [], "cuda_build": None, "cpu_bf16": False}, {}, "warn", "a CPU without bfloat16"),
    ],
)
def test_accelerators(answers, monkeypatch, seen, flex, status, words):
    monkeypatch.setattr(machine, "has_nvidia_driver", lambda: False)
    answers(accelerator=seen, flex=flex)
    last = list(examine(["accelerators"]))[-1]
    assert last.status == status
    assert words in last.text


@pytest.mark.parametrize(("has_driver", "status"), [(True, "warn"), (False, "ok")])
def test_a_driver_that_torch_does_not_see(answers, monkeypatch, has_driver, status):
    answers(accelerator=GPU | {"devices": [], "cuda_build": None})
    monkeypatch.setattr(machine, "has_nvidia_driver", lambda: has_driver)
    assert only(examine(["accelerators"])).status == status


def test_plugins(answers):
    answers(plugins={"loaded": {"lab-prune": ["pruner centre"]}, "failed": {"lab-extra": ["head x: no module cuvis"]}})
    good, bad = examine(["plugins"])
    assert (good.status, good.text) == ("ok", "lab-prune: pruner centre")
    assert (bad.status, bad.fix) == ("warn", "mend it, or pip uninstall lab-extra")
    assert "no module cuvis" in bad.text


def test_plugins_that_fail_are_found_in_a_process(install_package, monkeypatch):
    site = install_package(
        "lab-spoons", {"lab_spoons": "import no_such_library\n"}, {"zoo.cutlery": "lab = lab_spoons:Spoon"}
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    found = [finding for finding in examine(["plugins"]) if "lab-spoons" in finding.text]
    assert only(found).status == "warn"
    assert "No module named 'no_such_library'" in only(found).text


def declared(monkeypatch, python, *requirements):
    monkeypatch.setattr(packages, "_declared", lambda: (python, list(requirements)))


@pytest.mark.parametrize(
    ("requirement", "status", "words"),
    [
        ("pytest>=1", "ok", "pytest "),
        ("pytest>=999", "fail", "does not fit pytest>=999"),
        ("no-such-thing>=2", "fail", "no-such-thing is not installed"),
        ("no-such-thing>=2; sys_platform == 'amiga'", "ok", "no package that fits"),
        ('no-such-thing; extra == "spoons"', "ok", "no-such-thing (pip install 'molmo-zoo[spoons]')"),
        ('no-such-thing; extra == "dev"', "ok", "no package that fits"),
    ],
)
def test_packages(monkeypatch, requirement, status, words):
    declared(monkeypatch, ">=3.11", requirement)
    found = list(examine(["packages"]))
    assert ("fail" in {finding.status for finding in found}) == (status == "fail")
    assert any(words in finding.text for finding in found)
    if status == "fail":
        assert any(finding.fix.startswith("pip install '") for finding in found)


def test_a_python_that_does_not_fit(monkeypatch):
    declared(monkeypatch, ">=9")
    assert next(examine(["packages"])).status == "fail"


def test_declared_packages_are_those_of_the_project():
    python, requirements = packages._declared()
    assert python.startswith(">=3.")
    assert any(text.startswith("torch>=") for text in requirements)
    assert any('extra == "dev"' in text for text in requirements)


def test_a_run_folder_that_cannot_be_written(tmp_path, monkeypatch):
    def refuse(**arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(machine.tempfile, "TemporaryFile", refuse)
    finding = only(machine.check_run_folder(tmp_path / "runs"))
    assert finding.status == "fail"
    assert "Permission denied" in finding.text
    assert "--trainer.default_root_dir" in finding.fix


@pytest.mark.parametrize(("check", "limit"), [("memory", "LEAST_SHARED"), ("run-folder", "LEAST_DISK")])
def test_little_room(monkeypatch, tmp_path, check, limit):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, limit, float("inf"))
    assert only(examine([check])).status == "warn"
    assert not (tmp_path / "runs").exists()


def test_every_probe_is_asked_by_a_check():
    text = "".join(Path(module.__file__).read_text() for module in (machine, packages))
    assert probes.PROBES
    for name in probes.PROBES:
        assert f'run_probe("{name}"' in text
