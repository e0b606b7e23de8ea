from pathlib import Path

import pytest


def test_generator_runs_with_its_own_flags(zoo):
    answer = zoo("generate", "lines", "--out=made", "--lines=2", "--workers=5")
    assert (answer.code, answer.out) == (0, "made\n")
    assert Path("made/lines.txt").read_text() == "5\n5\n"


def test_settings_from_a_file(zoo):
    Path("lines.yaml").write_text("lines: 4\n")
    assert zoo("generate", "lines", "--config=lines.yaml", "--out=made", "--workers=0").code == 0
    assert Path("made/lines.txt").read_text() == "0\n" * 4


def test_help_of_a_generator(zoo):
    out = zoo("generate", "lines", "--help").out
    assert "Number of lines, 1 or more." in out
    assert "--out" in out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "wants the name of a generator first. Generators: "),
        (["--out=x"], "wants the name of a generator first."),
        (["linse", "--out=x"], "no generator 'linse'. Near: lines."),
        (["lines"], "out: missing"),
        (["lines", "--out=x", "--lnes=3"], "no option 'lnes'. Near: lines."),
        (["lines", "--out=x", "--executor=threads"], "executor: expected"),
        (["lines", "--out=x", "--lines=many"], "lines: expected int, got 'many'"),
        (["lines", "--out=x", "--lines=0"], "lines must be 1 or more, got 0"),
    ],
)
def test_mistakes(mistake, arguments, text):
    assert text in mistake("generate", *arguments)
    assert not Path("x").exists()
