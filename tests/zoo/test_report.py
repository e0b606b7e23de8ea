"""The report: self-contained, escaped, and made of whatever a run folder holds."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoo.report import write_report
from zoo.report.curves import draw, panels, running_mean, short_names
from zoo.report.files import read_metrics
from zoo.report.page import title_of
from zoo.shards.encode import encode_jpg, encode_mp4

VOID = {"meta", "img", "br", "hr", "input", "link"}


class Checker(HTMLParser):
    """Collects tags and addresses, and fails on tags that do not nest."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.addresses = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href", "poster")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href", "poster")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def check(path):
    """Parse a page; everything it shows must be inside it."""
    text = path.read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert all(address.startswith(("data:", "#")) for address in checker.addresses)
    assert not re.search(r"@import|url\(\s*['\"]?http", text)
    return text, checker.tags


def prediction(**changes):
    return {
        "key": "k",
        "head": "qa",
        "family": "count",
        "prompt": "How many?",
        "truth": "3",
        "answer": "2",
        "correct": False,
        "temporal": False,
    } | changes


def caption():
    return prediction(
        family="caption",
        correct=None,
        scores={"precision": 0.5, "f1": 0.25},
        parts=[["the red object moved", True], ["the <b>blue</b> object moved", False]],
    )


@pytest.fixture
def run(tmp_path):
    """A run folder with everything in it."""
    folder = tmp_path / "runs/molmo2/tiny/version_3"
    (folder / "media").mkdir(parents=True)
    (folder / "config.yaml").write_text("model: vlm # <b>bold</b>\n")
    rows = [f"{step},{'' if step % 2 else 0},{2.0 / (1 + step)},{0.1 * step if step % 2 else ''}" for step in range(80)]
    (folder / "metrics.csv").write_text("\n".join(["step,epoch,train/loss,val/accuracy", *rows, "81,0,nan,"]))
    family = {"questions": 900, "accuracy": 0.6, "blind": 0.4, "temporal": True, "controls": {"shuffled_frames": 0.45}}
    results = {
        "split": "held-out",
        "checkpoint": "a.ckpt",
        "questions": 900,
        "accuracy": 0.6,
        "blind": 0.4,
        "families": {"order": family, "<script>": family},
        "controls": {"shuffled_frames": {"accuracy": 0.45, "temporal": 0.41}},
        "scored": {
            "caption": {
                "answers": 1200,
                "scores": {"precision": 0.731, "f1": 0.542},
                "controls": {"blank_video": {"precision": 0.123, "f1": 0.052}},
                "tables": {"recall/mask_size": {"8-16 px": {"share": 0.456, "cases": 1234}}},
            }
        },
    }
    (folder / "results.json").write_text(json.dumps(results))
    speed = {"steps": 80, "seconds": 3725.0, "samples_per_s": 24.31, "tokens_per_s": 31000.2, "device": "2 CPU threads"}
    (folder / "throughput.json").write_text(json.dumps(speed))
    frames = np.random.default_rng(0).integers(0, 255, (6, 32, 32, 3), dtype=np.uint8)
    (folder / "media/00.mp4").write_bytes(encode_mp4(frames, fps=8))
    (folder / "media/01.jpg").write_bytes(encode_jpg(frames[0]))
    (folder / "media/02.mp4").write_bytes(b"no video")
    samples = [
        {"key": "a", "media": "media/00.mp4", "predictions": [prediction(), prediction(answer="3", correct=True)] * 5},
        {"key": "b", "media": "media/01.jpg", "predictions": [prediction(prompt="<img src=http://x>", answer="")]},
        {"key": "c", "media": "media/02.mp4", "predictions": [caption(), prediction()]},
        {"key": "d", "media": "media/03.mp4", "predictions": []},
    ]
    sampling = {"max_frames": 4, "frame_rate": 4.0, "mode": "last_frame"}
    (folder / "samples.json").write_text(json.dumps({"split": "held-out", "sampling": sampling, "samples": samples}))
    return folder


def test_scored_texts_are_shown_piece_by_piece(run):
    text, _ = check(write_report(run))
    assert "caption, 1,200 answers" in text
    assert "<th>recall by mask size</th><th>8-16 px</th>" in text
    for share in ("73.1 %", "54.2 %", "12.3 %", "5.2 %", "45.6 %", "1,234"):
        assert f"<td>{share}</td>" in text
    assert "precision 50.0 %, f1 25.0 %" in text
    assert '<li class="right">the red object moved</li>' in text
    assert '<li class="wrong">the &lt;b&gt;blue&lt;/b&gt; object moved</li>' in text
    assert "0 of 1 right" in text  # a caption is neither right nor wrong


def test_a_whole_run(run):
    text, tags = check(write_report(run))
    assert "<title>molmo2/tiny, version_3</title>" in text
    for fact in (
        "60.0 %",
        "40.0 %",
        "41.0 %",
        "900 questions",
        "24.3",
        "31,000",
        "80 steps in 1 h 2 min",
        "order (temporal)",
    ):
        assert fact in text, fact
    assert tags.count("svg") == 2
    assert tags.count("video") == 2
    assert text.count('class="strip"') == 1
    assert text.count("<figcaption>") == 4  # the frames of the recorded sampling
    assert "4 more" in text
    assert "corrupt or truncated video" in text
    assert "03.mp4 is not in this folder" in text
    assert "Not in this folder" not in text


def test_text_of_a_run_is_escaped(run):
    text, tags = check(write_report(run))
    assert "&lt;b&gt;bold&lt;/b&gt;" in text
    assert "&lt;img src=http://x&gt;" in text
    assert "script" not in tags


@pytest.mark.parametrize("name", ["config.yaml", "metrics.csv", "results.json", "throughput.json", "samples.json"])
def test_what_is_missing_is_said(run, name):
    (run / name).unlink()
    text, _ = check(write_report(run))
    assert f"<li>{name}: " in text
    if name.endswith(".json"):
        (run / name).write_text("[1")
        assert f"{name} does not parse" in check(write_report(run))[0]
        (run / name).write_text("[1]")
        assert "expected an object, found list" in check(write_report(run))[0]


def test_an_empty_folder_and_none(tmp_path):
    text, _ = check(write_report(tmp_path))
    assert text.count("<li>") == 5
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_report(tmp_path / "nowhere")


def test_training_curves_of_another_run_are_shown(run):
    (run / "metrics.csv").replace(run / "training_metrics.csv")
    (run / "metrics.csv").write_text("step,epoch,test/accuracy\n80,0,0.6\n")
    assert check(write_report(run))[1].count("svg") == 2


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prompts=st.lists(st.text(max_size=30), max_size=4), free=json_values)
def test_any_text_gives_a_page_that_parses(tmp_path, prompts, free):
    predictions = [prediction(prompt=text, truth=text, answer=text, family=text) for text in prompts]
    samples = [{"key": str(prompts), "media": "media/x.mp4", "predictions": predictions, "free": free}, free]
    (tmp_path / "samples.json").write_text(json.dumps({"samples": samples, "sampling": free}))
    check(write_report(tmp_path))


def test_metrics_leave_out_gaps_and_numbers_that_are_none(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,epoch,a,b\n0,0,1.5,\n1,0,nan,2\n,0,9,9\n2,0,inf,x\n")
    assert read_metrics(path) == {"a": [(0, 1.5)], "b": [(1, 2.0)]}


def test_panels_show_each_curve_once():
    curve = [(0, 0.1), (1, 0.2)]
    metrics = {"val/accuracy": curve, "val/qa/accuracy": list(curve), "val/qa/accuracy/count": [(0, 0.3), (1, 0.2)]}
    ((title, svg),) = panels(metrics | {"train/loss": [(0, 1.0)]})
    assert title == "Validation accuracy"
    assert ">accuracy<" in svg
    assert ">qa/count<" in svg
    assert ">qa/accuracy<" not in svg


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["train/loss"], ["train/loss"]),
        (["train/loss", "val/loss"], ["train", "val"]),
        (["val/accuracy", "val/qa/accuracy/count"], ["accuracy", "qa/count"]),
        (["a", "a"], ["a", "a"]),
    ],
)
def test_short_names(names, short):
    assert short_names(names) == short


def test_curves_are_the_same_twice_and_follow_the_text_colour():
    curve = {"train/loss": [(step, 1.0 / (1 + step)) for step in range(100)]}
    assert draw("Loss", curve) == draw("Loss", curve)
    assert "currentColor" in draw("Loss", curve)


def test_running_mean():
    assert running_mean([1.0, 3.0, 5.0, 7.0], 2) == [1.0, 2.0, 4.0, 6.0]


def test_titles(tmp_path):
    assert title_of(tmp_path / "runs/a/b/version_1") == "a/b, version_1"
    assert title_of(tmp_path / "elsewhere/x") == "elsewhere, x"


def test_the_report_needs_no_torch():
    code = "import sys, zoo.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_sample_of_several_images_shows_them_all(run):
    answered = prediction(answer='<points coords="2 1 500 500">x</points>')
    sample = {"key": "e", "media": "media/01.jpg", "images": ["media/01.jpg"] * 2, "predictions": [answered]}
    (run / "samples.json").write_text(json.dumps({"samples": [sample]}))
    page = write_report(run).read_text()
    assert page.count('class="still"') == 2
    assert "Image 2" in page
