import json

import pytest
from PIL import Image

from zoo.report.files import SIMULATOR_FOLDER, TRAJECTORY_FOLDER
from zoo.report.rollouts import latest_rollouts, write_rollout_report
from zoo.report.trajectories import PAGE

SUMMARY = {
    "policy": "<random>",
    "benchmark": "mini",
    "digest": "abcdef0123456789",
    "num_episodes": 5,
    "num_scored": 4,
    "settings": {},
    "tasks": [
        {
            "task": "pick",
            "episodes": 4,
            "success_at_end": 0.25,
            "ci95": [0.05, 0.72],
            "success_oracle": 0.5,
            "ci95_oracle": [0.15, 0.85],
            "failures": {"horizon": 2, "nan_action": 1},
        }
    ],
}


def result(index, **more):
    return {"index": index, "task": "pick", "category": "mug", "success_at_end": False, "steps": 7, **more}


def test_what_the_page_tells(tmp_path):
    (tmp_path / "1.mp4").write_bytes(b"not much of a video")
    results = [result(0, success_at_end=True), result(1, failure="nan_action", detail="an action is <nan>")]
    page = write_rollout_report(tmp_path, SUMMARY, results, {1: tmp_path / "1.mp4"}).read_text()
    for text in ("25.0 %", "5.0 to 72.0", "50.0 %", "horizon 2, nan_action 1", "1 without a result yet"):
        assert text in page
    assert "fails: nan_action after 7 steps" in page
    assert "&lt;random&gt; on mini" in page
    assert "<random>" not in page
    assert "<nan>" not in page
    assert "data:video/mp4;base64" in page


def test_without_videos(tmp_path):
    page = write_rollout_report(tmp_path, SUMMARY, [result(0, failure="horizon")], {}).read_text()
    assert "Rollouts" not in page


def group(name, **more):
    return {**SUMMARY["tasks"][0], **name, **more}


MOVES = {"steps": 81.5, "collisions": 2.25, "rooms_visited": 0.5}


@pytest.fixture
def folder(tmp_path):
    """Of an evaluation with pictures of two of its three episodes."""
    (tmp_path / TRAJECTORY_FOLDER).mkdir()
    for index in (0, 2):
        Image.new("RGB", (4, 4)).save(tmp_path / TRAJECTORY_FOLDER / f"{index}.png")
    (tmp_path / "0.mp4").write_bytes(b"not much of a video")
    return tmp_path


def test_the_way_stands_beside_the_video_and_all_ways_are_linked(folder):
    results = [result(0, success_at_end=True), result(1, failure="horizon"), result(2, failure="wrong_stop")]
    page = write_rollout_report(folder, SUMMARY, results, {0: folder / "0.mp4"}).read_text()
    card = page[page.index('<div class="pair">') :]
    assert card.index("data:video/mp4") < card.index('class="plan"')
    assert page.count('class="plan"') == 1
    assert f'href="{PAGE}"' in page
    assert "orange what was sought" in page


def test_ways_without_videos_are_linked_alone(folder):
    page = write_rollout_report(folder, SUMMARY, [result(0, failure="horizon")], {}).read_text()
    assert f'href="{PAGE}"' in page
    assert "orange what was sought" not in page  # which tells of nothing that is on this page


def test_no_page_of_ways_without_pictures(tmp_path):
    write_rollout_report(tmp_path, SUMMARY, [result(0, failure="horizon")], {})
    assert not (tmp_path / PAGE).exists()


def test_categories_and_bodies_have_tables_where_there_are_several(tmp_path):
    told = {
        **SUMMARY,
        "tasks": [group({}, **MOVES)],
        "categories": [group({"category": "pick: <bed>"}, **MOVES), group({"category": "pick: mug"}, **MOVES)],
        "embodiments": [group({"embodiment": "stretch"}, **MOVES)],
    }
    page = write_rollout_report(tmp_path, told, [], {}).read_text()
    assert "Success by category" in page
    assert "pick: &lt;bed&gt;" in page
    assert "Success by embodiment" not in page
    assert page.count("<td>50.0 %</td><td>2.2</td><td>81.5</td>") == 3
    assert "rooms visited" not in write_rollout_report(tmp_path, SUMMARY, [], {}).read_text()


def test_the_page_of_a_training_links_the_ways_of_its_latest_evaluation(folder, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    step = run / SIMULATOR_FOLDER / "step_0000010"
    step.parent.mkdir()
    folder.rename(step)
    results = [result(0, success_at_end=True)]
    write_rollout_report(step, SUMMARY, results, {})
    told = {**SUMMARY, "settings": {}}
    (step / "summary.json").write_text(json.dumps(told))
    (step / "results.jsonl").write_text("header\n" + json.dumps(results[0]) + "\n")
    section = latest_rollouts(run)
    assert f'href="{SIMULATOR_FOLDER}/step_0000010/{PAGE}"' in section
    assert "after 10 steps" in section
