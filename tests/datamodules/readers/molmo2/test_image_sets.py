"""Sets of images: which files, which points in which image, which questions."""

import io

import numpy as np
import pytest
from molmo2_rows import address, hashed, image, image_point, image_qa, lines, made
from PIL import Image

from zoo.errors import DataError
from zoo.shards.decode import decode_image


@pytest.fixture
def read(tmp_path):
    image(tmp_path / "media" / hashed("one"), width=40, height=20)
    image(tmp_path / "media" / "deeper" / "two.jpg", width=100, height=50)

    def read(name, rows, **arguments):
        source = lines(tmp_path / "rows.jsonl", rows)
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        return made(name, source, out, media_root=str(tmp_path / "media"), val_share=0.0, **arguments)

    return read


def test_images_lie_in_order_beside_their_questions(read):
    (sample,) = read("molmo2_multi_image_qa", [image_qa()])
    record = sample.record
    assert record["images"] == [{"width": 40, "height": 20}, {"width": 100, "height": 50}]
    assert [decode_image(sample.files[f"{n}.jpg"]).frames.shape[1:3] for n in range(2)] == [(20, 40), (50, 100)]
    assert [(note["answer"], note["style"]) for note in record["annotations"]] == [
        ("the first", "correction_qa"),
        ("both", "correction_qa"),
    ]


def test_points_are_pixels_of_their_own_image(read):
    (sample,) = read("molmo2_multi_image_point", [image_point()])
    (told,) = sample.record["points"]
    assert (told["label"], told["count"]) == ("apples", 3)
    assert told["points"] == [[1, 1, 20.0, 10.0], [2, 2, 10.0, 50.0], [2, 3, 90.0, 12.5]]


def test_one_image_is_no_set(read):
    (sample,) = read("molmo2_multi_image_point", [image_point(image_urls=[address("one")], points=[[]], counts=[0])])
    assert list(sample.files) == ["jpg"]
    assert "images" not in sample.record


def test_png_and_jpg_of_a_set_become_one_kind(read, tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), 77, np.uint8)).save(buffer, "PNG")
    for name in ("three.png", "four.png"):
        (tmp_path / "media" / name).write_bytes(buffer.getvalue())
    urls = [f"https://a.example/{name}?size=3" for name in ("three.png", "four.png")]
    (pure,) = read("molmo2_multi_image_qa", [image_qa(image_urls=urls)])
    assert {pure.files["0.png"], pure.files["1.png"]} == {buffer.getvalue()}
    (mixed,) = read("molmo2_multi_image_qa", [image_qa(image_urls=[urls[0], address("one")])])
    assert sorted(mixed.files) == ["0.jpg", "1.jpg"]
    np.testing.assert_allclose(decode_image(mixed.files["0.jpg"]).frames, 77, atol=2)  # JPEG at quality 95


def test_large_sets_are_left_out_and_told(read, caplog):
    many = image_qa(image_urls=[address("one")] * 6)
    assert len(read("molmo2_multi_image_qa", [many, image_qa()])) == 1
    assert "1 rows were left out: more than 5 images" in caplog.text
    assert len(read("molmo2_multi_image_qa", [many, image_qa()], max_images=6)) == 2


def test_counts_that_are_not_those_of_the_points(read, caplog):
    assert len(read("molmo2_multi_image_point", [image_point(counts=[1, 5]), image_point()])) == 1
    assert "1 rows were left out: counts are not the numbers of points" in caplog.text


def test_pairs_of_questions_may_be_a_list(read):
    pairs = [{"question": "Q?", "answer": "A"}]
    (sample,) = read("molmo2_multi_image_qa", [image_qa(qa_pairs=pairs)])
    assert [note["answer"] for note in sample.record["annotations"]] == ["A"]


@pytest.mark.parametrize(
    ("name", "row", "words"),
    [
        ("molmo2_multi_image_qa", image_qa(image_urls=[]), "image_urls is empty"),
        ("molmo2_multi_image_qa", image_qa(image_urls=[address("one"), address("x")]), r"'x\.jpg' \(2 of 2\) among"),
        ("molmo2_multi_image_qa", image_qa(qa_pairs={"question": ["Q"], "answer": []}), "1 questions and 0 answers"),
        ("molmo2_multi_image_qa", image_qa(qa_pairs=None), "qa_pairs holds None, expected an object"),
        ("molmo2_multi_image_qa", image_qa(qa_pairs={"question": [""], "answer": ["A"]}), "an empty question"),
        ("molmo2_multi_image_point", image_point(points=[[]]), "1 lists of points and 2 counts for 2 images"),
        ("molmo2_multi_image_point", image_point(labels=[]), "labels is empty"),
        ("molmo2_multi_image_point", image_point(points=[[{"x": 102, "y": 1}], []], counts=[1, 0]), r"\(102, 1\) lies"),
    ],
)  # fmt: skip
def test_rows_that_are_broken(read, name, row, words):
    with pytest.raises(DataError, match=words):
        read(name, [row], on_bad_sample="raise")


def test_an_image_that_is_none(read, tmp_path):
    (tmp_path / "media" / hashed("three")).write_bytes(b"<html>gone</html>")
    with pytest.raises(DataError, match="corrupt image"):
        read("molmo2_multi_image_qa", [image_qa(image_urls=[address("three"), address("one")])], on_bad_sample="raise")
