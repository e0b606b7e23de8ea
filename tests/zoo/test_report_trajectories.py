import re

import pytest
from PIL import Image

from zoo.envs.evaluation.trajectories import TRAJECTORIES, WAY
from zoo.report.files import TRAJECTORY_FOLDER
from zoo.report.style import STYLE
from zoo.report.trajectories import trajectory_files, write_trajectory_page


def result(index, category, failure=None):
    return {
        "index": index,
        "task": "object_nav_type",
        "category": category,
        "success_at_end": failure is None,
        "steps": 40 + index,
        "failure": failure,
    }


RESULTS = [result(0, "bed"), result(1, "<mug>", "horizon"), result(2, "bed", "wrong_stop"), result(10, "bed")]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / TRAJECTORY_FOLDER).mkdir()
    for index in (0, 1, 2, 10):
        Image.new("RGB", (4, 4)).save(tmp_path / TRAJECTORY_FOLDER / f"{index}.png")
    return tmp_path


def page_of(folder, results):
    return write_trajectory_page(folder, "<ways>", results).read_text()


def test_every_episode_with_a_picture_is_shown_with_its_outcome(folder):
    page = page_of(folder, [*RESULTS, result(3, "sofa")])
    assert page.count("<figure") == page.count("data:image/png;base64") == 4
    assert re.findall(r'<figure class="(\w+)"', page) == ["good", "bad", "bad", "good"]
    assert "1: object_nav_type, &lt;mug&gt;<br>fails: horizon after 41 steps" in page
    assert "10: object_nav_type, bed<br>succeeds after 50 steps" in page
    assert "sofa" not in page
    assert "<mug>" not in page
    assert "<title>&lt;ways&gt;</title>" in page


def test_what_can_be_chosen_is_what_occurs(folder):
    page = page_of(folder, RESULTS)
    assert re.findall(r'<select name="(\w+)"', page) == ["category", "outcome"]  # one task leaves no choice
    assert '<option value="&lt;mug&gt;">&lt;mug&gt; (1)</option><option value="bed">bed (3)</option>' in page
    outcomes = re.findall(r'data-outcome="(\w+)"', page)
    assert outcomes == ["success", "horizon", "wrong_stop", "success"]
    for value in set(outcomes):
        assert f'<option value="{value}">' in page


def test_no_picture_no_page(tmp_path):
    assert write_trajectory_page(tmp_path, "ways", RESULTS) is None
    assert list(tmp_path.iterdir()) == []


def test_files_are_in_the_order_of_their_episodes(folder):
    assert list(trajectory_files(folder)) == [0, 1, 2, 10]


def test_folder_and_colours_are_those_of_whoever_draws():
    assert TRAJECTORY_FOLDER == TRAJECTORIES
    gradient = ", ".join(f"rgb({red} {green} {blue})" for red, green, blue in WAY)
    assert f"linear-gradient(90deg, {gradient})" in STYLE
