"""The wheel's pictures and questions, over a package of the same functions with few of them and over the wheel."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from zoo import registry
from zoo.datamodules.readers.easy_vqa import EasyVqa, family, figure
from zoo.errors import MissingLibraryError
from zoo.shards.decode import decode_sample
from zoo.shards.reader import read_records, read_samples
from zoo.shards.sampling import FrameSampling

PACKAGE = """
import json
from pathlib import Path

HERE = Path({here!r})


def questions(split):
    rows = json.loads((HERE / f"{{split}}.json").read_text())
    return tuple(list(column) for column in zip(*rows))


def paths(split):
    return {{int(path.stem): str(path) for path in (HERE / split).glob("*.png")}}


def get_train_questions():
    return questions("train")


def get_test_questions():
    return questions("test")


def get_train_image_paths():
    return paths("train")


def get_test_image_paths():
    return paths("test")
"""


@pytest.fixture
def wheel(install_package, tmp_path, monkeypatch):
    """A package `easy_vqa` as the wheel has it, of 12 and 4 pictures with two questions each."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 4)):
        (tmp_path / split).mkdir()
        rows = []
        for number in range(count):
            pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / split / f"{number}.png")
            rows += [["is there a circle?", "yes", number], ["what color is the shape?", "red", number]]
        (tmp_path / f"{split}.json").write_text(json.dumps(rows))
    monkeypatch.delitem(sys.modules, "easy_vqa", raising=False)
    install_package("easy-vqa", {"easy_vqa": PACKAGE.format(here=str(tmp_path))}, {})
    yield tmp_path
    sys.modules.pop("easy_vqa", None)


def test_pictures_questions_and_splits_of_the_wheel(wheel, tmp_path):
    reader = registry.build("generator", "easy_vqa", val_share=0.25, samples_per_shard=4)
    reader.generate(tmp_path / "made", workers=0)
    records = {split: list(read_records(tmp_path / "made", split)) for split in ("train", "val", "test")}
    assert len(records["test"]) == 4
    assert len(records["train"]) + len(records["val"]) == 12
    assert records["val"]
    assert {record["key"].partition("-")[0] for record in records["val"]} == {"train"}
    assert records["test"][0]["annotations"] == [
        {"family": "presence", "question": "is there a circle?", "answer": "yes", "temporal": False},
        {"family": "colour", "question": "what color is the shape?", "answer": "red", "temporal": False},
    ]
    sample = read_samples(tmp_path / "made", "test", ["test-00003"])["test-00003"]
    stored = np.asarray(Image.open(wheel / "test" / "3.png"))
    np.testing.assert_array_equal(decode_sample(sample, FrameSampling(max_frames=1)).frames[0], stored)


@pytest.mark.parametrize(("answer", "name"), [("no", "presence"), ("triangle", "shape"), ("teal", "colour")])
def test_families(answer, name):
    assert family(answer) == name


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"what color is the circle?": "teal"}, "teal circle"),
        ({"what is the green shape?": "triangle"}, "green triangle"),
        ({"is there a red shape?": "yes", "is there a circle?": "no"}, "red"),
        ({"does the image not contain a rectangle?": "no", "is no blue shape present?": "yes"}, "rectangle"),
        ({"is there not a brown shape in the image?": "no"}, "brown"),
        ({"is there a red shape?": "no"}, ""),
        ({}, ""),
    ],
)
def test_what_questions_tell_about_the_figure(said, text):
    assert figure([{"question": question, "answer": answer} for question, answer in said.items()]) == text


def test_training_pictures_have_the_mask_of_their_figure(wheel, tmp_path):
    pixels = np.full((64, 64, 3), (240, 230, 250), np.uint8)
    pixels[8:24, 40:60] = (255, 255, 0)
    for number in range(12):
        Image.fromarray(pixels).save(wheel / "train" / f"{number}.png")
    EasyVqa().generate(tmp_path / "made", workers=0)
    keys = [record["key"] for record in read_records(tmp_path / "made", "train")]
    for sample in read_samples(tmp_path / "made", "train", keys).values():
        assert sample.record["instances"] == [{"id": 1, "text": "red circle"}]
        masks = sample.arrays()["masks"]
        assert masks.shape == (1, 64, 64)
        assert masks[0, 8:24, 40:60].all()
        assert masks.sum() == 16 * 20
    for record in read_records(tmp_path / "made", "test"):
        assert "instances" not in record
        assert "figure" not in record["meta"]


def test_without_the_wheel(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "easy_vqa", None)
    with pytest.raises(MissingLibraryError, match=r"pip install 'molmo-zoo\[easy-vqa\]'"):
        EasyVqa().generate(tmp_path, workers=0)


def test_the_wheel_itself():
    pytest.importorskip("easy_vqa")
    reader = EasyVqa(val_share=0.1)
    reader.plan()
    assert sum(reader.splits.values()) == 5000
    assert reader.splits["test"] == 1000
    assert reader.splits["val"] == pytest.approx(400, abs=76)  # four standard deviations
    questions = [
        note
        for (split, _), found in reader._planned.items()
        if split != "test"
        for e in found
        for note in e.annotations
    ]
    assert len(questions) == 38_575
    assert len({note["answer"] for note in questions}) == 13
    figures = [e.meta["figure"] for (split, _), found in reader._planned.items() if split != "test" for e in found]
    assert sum(len(text.split()) == 2 for text in figures) == 3542
    made = list(reader.for_shard("val", 0).samples("val", 0, 1))
    assert {(sample.record["media"], sample.record["width"], sample.record["height"]) for sample in made} == {
        ("png", 64, 64)
    }
