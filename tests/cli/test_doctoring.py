import json

import pytest

from zoo.cli import doctoring
from zoo.doctor import CHECKS, Finding


@pytest.fixture
def found(monkeypatch):
    """Let the doctor find what a test says."""

    def set_findings(*findings):
        monkeypatch.setattr(doctoring, "examine", lambda names: iter(findings))

    return set_findings


GOOD = Finding(check="video", status="ok", text="works")
WARNING = Finding(check="memory", status="warn", text="little", fix="buy some")
BAD = Finding(check="graphics", status="fail", text="no GL", fix="apt-get install libegl1")


def test_lines_with_fixes(zoo, found):
    found(GOOD, WARNING)
    answer = zoo("doctor")
    assert answer.code == 0
    assert [line.split() for line in answer.out.splitlines()] == [
        ["ok", "video", "works"],
        ["warn", "memory", "little"],
        ["fix:", "buy", "some"],
    ]


def test_a_failure_is_exit_code_1(zoo, found):
    found(GOOD, BAD)
    answer = zoo("doctor")
    assert answer.code == 1
    assert "fix: apt-get install libegl1" in answer.out
    assert "Traceback" not in answer.err


def test_json(zoo, found):
    found(GOOD, BAD)
    answer = zoo("doctor", "--json")
    assert answer.code == 1
    read = json.loads(answer.out)
    assert read["failed"] == 1
    assert read["findings"][1] == {
        "check": "graphics",
        "status": "fail",
        "text": "no GL",
        "fix": "apt-get install libegl1",
    }


def test_chosen_checks_only(zoo, tmp_path):
    answer = zoo("doctor", "memory", "run-folder")
    assert answer.code == 0
    assert {line.split()[1] for line in answer.out.splitlines()} == {"memory", "run-folder"}


def test_help_names_the_checks(zoo):
    out = " ".join(zoo("doctor", "--help").out.split())
    assert all(name in out for name in CHECKS)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["grafics"], "no check 'grafics'. Near: graphics."),
        (["--jsn"], "unrecognized arguments: --jsn. List: zoo doctor --help"),
    ],
)
def test_mistakes(mistake, arguments, text):
    assert text in mistake("doctor", *arguments)
