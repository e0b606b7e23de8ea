import json

import pytest

SIMULATED = {"a": (0.1, 0.2), "b": (0.4, 0.5), "c": (0.8, 0.6)}
REAL = {"a": (0.2, 0.3), "b": (0.5, 0.2), "c": (0.7, 0.9)}


@pytest.fixture
def files(tmp_path):
    def write(name, rates):
        content = [
            {
                "policy": policy,
                "tasks": [
                    {"task": task, "episodes": 100, "success_at_end": rate, "success_oracle": 1 - rate}
                    for task, rate in zip(("pick", "open"), values, strict=True)
                ],
            }
            for policy, values in rates.items()
        ]
        file = tmp_path / name
        file.write_text(json.dumps(content))
        return str(file)

    return write("sim.json", SIMULATED), write("real.json", REAL | {"d": (0.1, 0.1)})


def test_it_prints_and_writes_numbers_and_a_picture(zoo, files, tmp_path):
    answer = zoo("report", "correlate", *files, "--json", "deep/r.json", "--out", "deep/r.png")
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["pick", "open", "OVERALL"]
    assert "1.000" in lines[1]  # ranks of pick agree
    assert "only in the second file: d/pick, d/open" in answer.out
    with open("deep/r.json") as file:
        told = json.load(file)
    assert [one["task"] for one in told["correlations"]] == ["pick", "open", "OVERALL"]
    assert told["correlations"][0]["spearman"] == pytest.approx(1)
    with open("deep/r.png", "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"


def test_oracle_success_is_read_where_it_is_asked_for(zoo, files, tmp_path):
    file = tmp_path / "flat.json"
    flat = [{"policy": p, "tasks": [{"task": "pick", "episodes": 9, "success_at_end": 0.5, "success_oracle": v}]}
            for p, v in (("a", 0.1), ("b", 0.2), ("c", 0.9))]  # fmt: skip
    file.write_text(json.dumps(flat))
    assert zoo("report", "correlate", str(file), str(file)).code == 2  # all the same at the end
    assert zoo("report", "correlate", str(file), str(file), "--success", "oracle").code == 0


def test_mistakes(mistake, files, tmp_path):
    assert "nowhere.json cannot be read" in mistake("report", "correlate", files[0], "nowhere.json")
    other = tmp_path / "other.json"
    other.write_text('{"policy": "x", "tasks": [{"task": "pick", "episodes": 3, "success_at_end": 1}]}')
    assert "share 0 pairs of policy and task" in mistake("report", "correlate", files[0], str(other))
    assert "has no success_oracle" in mistake("report", "correlate", files[0], str(other), "--success", "oracle")
