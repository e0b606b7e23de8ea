"""Result files: they survive a cut at any byte, go on where they stopped, and are merged without contradictions."""

import dataclasses
import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.envs.episodes.results import EpisodeResult, ResultFile, Run, RunHeader, merge_runs, read_run, write_run
from zoo.errors import ConfigError, DataError

NUM_EPISODES = 6
HEADER = RunHeader(
    policy="expert", benchmark="mini", digest="abc", num_episodes=NUM_EPISODES, settings={"cameras": ("a", "b")}
)


def result(index, **changes):
    fields = {
        "index": index,
        "key": f"key{index}",
        "task": "pick",
        "category": "mug",
        "success_at_end": index % 2 == 0,
        "success_oracle": index % 3 != 1,
        "steps": 10 * index,
        "failure": None if index % 2 == 0 else "nan_action",
        "detail": "é\n",
        "seconds": 0.1 * index,
    }
    if fields["success_at_end"]:
        fields["success_oracle"] = True
    return EpisodeResult(**(fields | changes))


def written(path, indices, header=HEADER):
    with ResultFile(path, header) as file:
        for index in indices:
            file.append(result(index))
    return path


def test_results_are_written_at_once_and_read_back(tmp_path):
    path = tmp_path / "run" / "results.jsonl"
    with ResultFile(path, HEADER) as file:
        file.append(result(3))
        assert read_run(path).results == {3: result(3)}  # while the file is open
        file.append(result(0))
        assert file.run.pending == (1, 2, 4, 5)
    run = read_run(path)
    assert run.header.to_json() == HEADER.to_json() and list(run.results) == [0, 3] and run.pending == (1, 2, 4, 5)
    first, *lines = path.read_text().splitlines()
    assert json.loads(first)["format"] == "zoo-evaluation" and len(lines) == 2


@settings(max_examples=80, deadline=None)
@given(cut=st.integers(0), order=st.permutations(range(NUM_EPISODES)))
def test_a_file_cut_anywhere_goes_on(cut, order, tmp_path_factory):
    path = written(tmp_path_factory.mktemp("cut") / "r.jsonl", order)
    data = path.read_bytes()
    size = cut % (len(data) + 1)
    path.write_bytes(data[:size])
    whole_lines = data[:size].count(b"\n")
    with ResultFile(path, HEADER) as file:
        kept = NUM_EPISODES - len(file.run.pending)
        # A line without its end is whole, or lost.
        assert max(whole_lines - 1, 0) <= kept <= whole_lines
        for index in file.run.pending:
            file.append(result(index))
    run = read_run(path)
    assert run.results == {index: result(index) for index in range(NUM_EPISODES)}
    assert path.read_bytes().endswith(b"\n") and len(path.read_bytes().splitlines()) == NUM_EPISODES + 1


def test_a_torn_line_is_left_out_with_a_warning(tmp_path, caplog):
    path = written(tmp_path / "r.jsonl", [0, 1])
    path.write_bytes(path.read_bytes()[:-5])
    with caplog.at_level(logging.WARNING):
        assert list(read_run(path).results) == [0]
    assert "r.jsonl: the last line is torn and is left out; its episode will run again" in caplog.text


def test_a_whole_line_without_its_end_counts(tmp_path, caplog):
    path = written(tmp_path / "r.jsonl", [0, 1])
    path.write_bytes(path.read_bytes()[:-1])
    with caplog.at_level(logging.WARNING):
        assert list(read_run(path).results) == [0, 1]
    written(path, [2])
    assert list(read_run(path).results) == [0, 1, 2] and not caplog.text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{torn}", "line 3 is no JSON, expected one result a line"),
        (b"", "line 3 is no JSON, expected one result a line"),
        (b"[]", r"line 3: it is \[\], expected an object"),
        (b'{"index": 1}', "line 3: key is missing, expected text; task is missing"),
    ],
)
def test_lines_broken_elsewhere_are_refused(line, message, tmp_path):
    path = written(tmp_path / "r.jsonl", [0, 1])
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:2], line, *lines[2:]]) + b"\n")
    before = path.read_bytes()
    with pytest.raises(DataError, match=f"r.jsonl, {message}"):
        read_run(path)
    with pytest.raises(DataError, match=message):
        ResultFile(path, HEADER)
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["my notes", "my notes\nmore\n", '{"policy": "expert"}\n', "[1]"])
def test_other_files_are_not_touched(text, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(DataError, match="notes.txt"):
        ResultFile(path, HEADER)
    assert path.read_text() == text


def test_files_that_are_absent_or_empty(tmp_path):
    with pytest.raises(DataError, match=r"absent.jsonl cannot be read: No such file"):
        read_run(tmp_path / "absent.jsonl")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(DataError, match=r"empty.jsonl has no whole first line"):
        read_run(tmp_path / "empty.jsonl")


def test_a_file_of_another_run_is_refused(tmp_path):
    path = written(tmp_path / "r.jsonl", [0])
    other = dataclasses.replace(HEADER, policy="random", settings={"horizon": 3})
    message = (
        r"belongs to another run: policy is 'expert' there and 'random' here; settings.cameras is .* there and None "
        r"here; settings.horizon is None there and 3 here. Choose another file"
    )
    with pytest.raises(ConfigError, match=message):
        ResultFile(path, other)
    assert list(read_run(path).results) == [0]


def test_one_process_writes_a_file(tmp_path):
    path = tmp_path / "r.jsonl"
    with ResultFile(path, HEADER), pytest.raises(ConfigError, match=r"another process is writing .*r.jsonl"):
        ResultFile(path, HEADER)
    ResultFile(path, HEADER).close()


def test_an_episode_is_scored_once(tmp_path):
    with ResultFile(tmp_path / "r.jsonl", HEADER) as file:
        file.append(result(1))
        with pytest.raises(DataError, match=r"r.jsonl has a result for episode 1 already"):
            file.append(result(1))
        with pytest.raises(DataError, match="episode 6 is none of the 6 of the benchmark"):
            file.append(result(6))


def test_workers_are_merged_in_any_order(tmp_path):
    paths = [written(tmp_path / f"{worker}.jsonl", range(worker, NUM_EPISODES, 3)) for worker in range(3)]
    merged = merge_runs(paths)
    assert merged.pending == () and list(merged.results) == list(range(NUM_EPISODES))
    assert merge_runs(paths[::-1]).results == merged.results
    assert merge_runs([*paths, paths[0]]).results == merged.results  # twice the same is no contradiction
    write_run(tmp_path / "all" / "r.jsonl", merged)
    assert read_run(tmp_path / "all" / "r.jsonl") == Run(read_run(paths[0]).header, merged.results)


def test_contradictions_and_strangers_are_not_merged(tmp_path):
    first, second = written(tmp_path / "a.jsonl", [0, 1]), tmp_path / "b.jsonl"
    with ResultFile(second, HEADER) as file:
        file.append(result(1, steps=99))
    with pytest.raises(DataError, match=r"episode 1 has different results in .*a.jsonl and .*b.jsonl; keep one"):
        merge_runs([first, second])
    written(tmp_path / "c.jsonl", [2], dataclasses.replace(HEADER, digest="other"))
    with pytest.raises(ConfigError, match=r"c.jsonl belongs to another run: digest is 'other' there and 'abc' here"):
        merge_runs([first, tmp_path / "c.jsonl"])
    with pytest.raises(ConfigError, match="no result files to merge"):
        merge_runs([])
    data = first.read_bytes() + json.dumps(result(1, steps=5).to_json()).encode() + b"\n"
    first.write_bytes(data)
    with pytest.raises(DataError, match="line 4: episode 1 has another result above"):
        read_run(first)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"success_oracle": False}, "episode 0 succeeds at its end, but success_oracle says at no step"),
        ({"failure": "horizon"}, "episode 0 succeeds with failure 'horizon', expected a reason if it fails"),
        ({"success_at_end": False}, "episode 0 fails with failure None, expected a reason if it fails"),
        ({"success_at_end": False, "failure": "bored"}, "failure is 'bored', expected 'horizon' or 'wrong_stop'"),
        ({"steps": -1}, "steps is -1, expected at least 0"),
        ({"jerk_mean": float("nan")}, "jerk_mean is nan, expected a finite number"),
        ({"success_at_end": 1}, "success_at_end is 1, expected true or false"),
    ],
)
def test_results_that_cannot_be(changes, message):
    with pytest.raises(DataError, match=message):
        result(0, **changes)
