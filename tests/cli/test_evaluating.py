import json

import pytest
from corner_episode import corner_benchmark

from zoo.cli.main import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return corner_benchmark(tmp_path_factory.mktemp("benchmark"))


@pytest.mark.render
def test_random_on_a_benchmark(folder, tmp_path, capsys):
    arguments = ["evaluate", "--policy", "random", "--benchmark", str(folder), "--horizon_steps", "2", "--videos", "1"]
    out, file = tmp_path / "run", tmp_path / "deep" / "numbers.json"
    assert main([*arguments, "--out", str(out), "--json", str(file)]) == 0
    told = capsys.readouterr().out
    assert "random on corner" in told
    assert "horizon 2" in told
    task = json.loads(file.read_text())["tasks"][0]
    assert (task["task"], task["episodes"], task["failures"]) == ("pick", 2, {"horizon": 2})
    assert (out / "videos" / "0.mp4").is_file()
    assert "data:video/mp4" in (out / "report.html").read_text()


def test_a_changed_benchmark_is_another_one(folder, tmp_path, capsys):
    arguments = ["evaluate", "--policy", "random", "--benchmark", str(folder), "--horizon_steps", "1", "--videos", "0"]
    arguments += ["--episodes", "1"]
    assert main([*arguments, "--perturb", "joints", "--level", "0.2", "--out", str(tmp_path)]) == 0
    assert "random on corner_joints_0.2" in capsys.readouterr().out
    assert main([*arguments, "--out", str(tmp_path)]) == 2
    assert "belongs to another run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "match"),
    [
        (["--benchmark", "mni"], "mni"),
        (["--benchmark", "sampled", "--task", "pikc"], "pikc"),
        (["--benchmark", "{folder}", "--task", "open"], "has no task open; it has pick"),
        (["--benchmark", "{folder}", "--workers", "0"], "workers 0"),
        (["--benchmark", "{folder}", "--level", "0.3"], "add --perturb prompt, joints or camera"),
        (["--benchmark", "{folder}", "--perturb", "joints", "--level", "9"], "level 9 of joints: expected 0 to 3.14"),
        (["--benchmark", "{folder}", "--perturb", "prompt"], "'pick it up' of task 'pick' does not read like"),
        (["--benchmark", "{folder}", "--policy", "nobody"], "no policy 'nobody'"),
    ],
)
def test_mistakes(folder, typed, match, capsys):
    typed = [text.format(folder=folder) for text in typed]
    policy = [] if "--policy" in typed else ["--policy", "random"]
    assert main(["evaluate", *policy, *typed]) == 2
    assert match in capsys.readouterr().err
