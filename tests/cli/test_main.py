import json
import subprocess
import sys

import pytest

import zoo as package
from zoo.cli import commands

HEAVY = ("torch", "lightning", "transformers", "timm", "torchvision", "torchmetrics", "mujoco", "av", "matplotlib")


def modules_after(*arguments):
    """Modules that a command has imported when it ends, in a process of its own."""
    code = (
        f"import sys, json; from zoo.cli import main; main({list(arguments)!r})\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(answer.stderr.strip().rpartition("\n")[2])


@pytest.mark.parametrize(
    ("arguments", "most"),
    [(["--help"], 250), (["list"], 400), (["generate", "--help"], 400), (["bench", "--help"], 250)],
)
def test_light_commands_import_nothing_heavy(arguments, most):
    modules = modules_after(*arguments)  # 159 and 285 at the time of writing; torch alone brings more than a thousand
    assert not set(HEAVY) & set(modules)
    assert len(modules) < most


def test_training_help_imports_no_component():
    modules = modules_after("fit", "--help")
    assert not {"timm", "mujoco", "av", "peft", "transformers.modeling_utils", "zoo.module", "zoo.model"} & set(modules)
    families = {"zoo.backbones", "zoo.pruning", "zoo.heads", "zoo.datamodules", "zoo.envs"}
    assert not {m for m in modules if m.rpartition(".")[0] in families}


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_every_command_with_its_summary(zoo, arguments):
    answer = zoo(*arguments)
    assert answer.code == 0
    for command in commands.COMMANDS:
        assert f"{command.name} " in answer.out
        assert command.summary in answer.out


def test_version(zoo):
    assert zoo("--version").out == f"molmo-zoo {package.__version__}\n"


@pytest.mark.parametrize("command", commands.COMMANDS, ids=lambda c: c.name)
def test_every_command_answers_help(zoo, command):
    answer = zoo(*command.name.split(), "--help")
    assert answer.code == 0
    assert "usage: zoo" in answer.out


def test_group_lists_its_commands(zoo, mistake):
    assert "bench data" in zoo("bench", "--help").out
    assert mistake("bench") == "zoo bench wants one of: data, inputs, packing, molmo2, policy, pruning, sim, generation"


@pytest.mark.parametrize(
    ("typed", "text"), [("lst", "Near: list."), ("fti", "Near: fit."), ("qqq", "no command 'qqq'. List")]
)
def test_unknown_command(mistake, typed, text):
    assert text in mistake(typed)


def test_debug_shows_the_traceback_wherever_it_stands(zoo):
    for arguments in (["--debug", "list", "prunr"], ["list", "prunr", "--debug"]):
        answer = zoo(*arguments)
        assert answer.code == 2
        assert "Traceback" in answer.err
        assert answer.last.startswith("zoo: no kind 'prunr'")


def test_python_m_zoo_is_the_same(tmp_path):
    answer = subprocess.run(
        [sys.executable, "-m", "zoo", "nope"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("zoo: no command 'nope'")


def test_reader_that_leaves_is_no_error(tmp_path):
    code = "import sys; from zoo.cli import main; sys.exit(main(['list']))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0
