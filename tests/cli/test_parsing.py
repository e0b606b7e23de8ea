from pathlib import Path

import pytest
from fake_parts import Encoder

from zoo.cli.parsing import first_paragraph, run_function
from zoo.errors import ConfigError


def asked(question: str, files: list[Path], *, size: int = 3, encoder: Encoder | None = None) -> tuple:
    """Return what was given, over
    two lines.

    Not part of the help.

    Args:
        question: In words.
        files: One or more.
        size: Number of something.
        encoder: A part by name.
    """
    return question, files, size, encoder


def placed(first: str, second: str | None = None) -> tuple:
    """Return both."""
    return first, second


def switched(name: str, *, merge: bool = False, size: int = 1) -> tuple:
    """Return all."""
    return name, merge, size


def run(function, *arguments):
    return run_function(function, arguments, prog="zoo asked", summary="-")


def test_arguments_by_place_and_flags(zoo):
    question, files, size, encoder = run(asked, "how many?", "a.jpg", "b.jpg", "--size=4", "--encoder=wide")
    assert (question, files, size) == ("how many?", [Path("a.jpg"), Path("b.jpg")], 4)
    assert encoder.hidden_size == 16


@pytest.mark.parametrize(
    ("typed", "merge"),
    [
        ([], False),
        (["--merge"], True),
        (["--merge", "--size=1"], True),
        (["--merge=true"], True),
        (["--merge", "false"], False),
        (["--merge=false"], False),
    ],
)
def test_a_switch_alone_means_true(zoo, typed, merge):
    assert run(switched, "a", *typed) == ("a", merge, 1)


def test_optional_argument_by_place(zoo):
    assert run(placed, "a") == ("a", None)
    assert run(placed, "a", "b") == ("a", "b")


def test_help_is_the_docstring(zoo, capfd):
    with pytest.raises(SystemExit):
        run(asked, "--help")
    out = " ".join(capfd.readouterr().out.split())
    for text in ("Return what was given, over two lines.", "In words.", "One or more.", "Number of something."):
        assert text in out
    assert "Not part" not in out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["q"], "files: missing"),
        (["q", "a", "--size=big"], "size: expected int, got 'big'"),
        (["q", "a", "--sizes=2"], "no option 'sizes'. Near: size."),
        (["q", "a", "--encoder=wid"], "encoder: no test_encoder 'wid'. Near: wide."),
    ],
)
def test_mistakes(zoo, arguments, text):
    with pytest.raises(ConfigError) as caught:
        run(asked, *arguments)
    assert text in str(caught.value)


def test_first_paragraph():
    assert first_paragraph("  One\n  line.\n\n  Two.") == "One line."
    assert first_paragraph(None) == ""
