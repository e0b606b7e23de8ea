"""What every reader of Molmo2's data sets does with whole rows, missing media, other columns and cut files."""

import json

import numpy as np
import pytest
from molmo2_rows import FPS, FRAMES, GOOD, ask, burst, image, lines, made, media, syn_image_qa, video

from zoo import registry
from zoo.datamodules.readers.molmo2.library import MediaLibrary
from zoo.errors import ConfigError, DataError, UnknownNameError
from zoo.shards.decode import decode_video
from zoo.shards.encode import encode_jpg
from zoo.shards.reader import read_index
from zoo.shards.sampling import FrameSampling

OF_VIDEOS = sorted(name for name in GOOD if "image" not in name)
OF_JSON = sorted(name for name in GOOD if name != "molmo2_syn_multi_image_qa")


@pytest.fixture
def root(tmp_path):
    return media(tmp_path / "media")


def written(tmp_path, name, rows=None):
    return lines(tmp_path / "rows.jsonl", [GOOD[name]()] if rows is None else rows)


def test_no_reader_is_forgotten():
    names = {name for name in registry.names("generator") if name.startswith(("molmo2_", "burst_"))}
    assert names == {*GOOD, "burst_video_count"}


@pytest.mark.parametrize("name", OF_JSON)
def test_a_row_becomes_a_valid_sample_with_its_media(tmp_path, root, name):
    (sample,) = made(name, written(tmp_path, name), tmp_path / "out", media_root=str(root))
    record = sample.record
    assert any(record.get(part) for part in ("annotations", "descriptions", "points"))
    assert record["meta"]["source"] == "rows.jsonl, line 1"
    json.dumps(record, allow_nan=False)
    if name in OF_VIDEOS and "clip" not in record and record["media"] == "mp4":
        assert (record["num_frames"], record["fps"]) == (FRAMES, pytest.approx(FPS))


@pytest.mark.parametrize("name", OF_JSON)
def test_rows_said_twice_are_one_sample_with_one_question(tmp_path, root, name, caplog):
    once = made(name, written(tmp_path, name), tmp_path / "a", media_root=str(root))
    rows = [GOOD[name](), GOOD[name]()]
    twice = made(name, written(tmp_path, name, rows), tmp_path / "b", media_root=str(root))
    assert [sample.record for sample in twice] == [sample.record for sample in once]
    assert f"{name}: 1 rows were left out: said before" in caplog.text


@pytest.mark.parametrize("name", OF_JSON)
def test_media_that_are_missing_are_counted_and_named(tmp_path, root, name, caplog):
    other = {"video_id": "gone", "video": "gone", "clip": "gone_0", "image_urls": ["https://a.example/gone.jpg"]}
    row = GOOD[name]()
    missing = row | {column: value for column, value in other.items() if column in row}
    if name == "molmo2_multi_image_point":
        missing |= {"points": [[]], "counts": [0]}
    rows = [missing, missing | {"question": "And who?"}, row]
    (sample,) = made(name, written(tmp_path, name, rows), tmp_path / "out", media_root=str(root))
    assert sample.record["meta"]["source"] == "rows.jsonl, line 3"
    assert "rows.jsonl, line 1: no " in caplog.text
    assert "gone" in caplog.text
    assert "1 bad rows were left out" in caplog.text
    with pytest.raises(DataError, match=r"line 1: no (video|image) '.*gone"):
        made(name, written(tmp_path, name, rows), tmp_path / "b", media_root=str(root), on_bad_sample="raise")


@pytest.mark.parametrize("name", OF_JSON)
def test_a_renamed_column_is_one_sentence(tmp_path, root, name):
    row = GOOD[name]()
    column = registry.load("generator", name).columns[0]
    row["other"] = row.pop(column)
    words = rf"{name}: rows.jsonl, line 1 has no column {column}; expected {column}.*; found .*other"
    with pytest.raises(DataError, match=words):
        made(name, written(tmp_path, name, [row]), tmp_path / "out", media_root=str(root))


@pytest.mark.parametrize("name", OF_JSON)
def test_parquet_says_the_same_and_may_not_be_cut(tmp_path, root, name):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (tmp_path / "snapshot" / "data").mkdir(parents=True)
    table = tmp_path / "snapshot" / "data" / "train-00000-of-00001.parquet"
    pq.write_table(pa.Table.from_pylist([GOOD[name]()]), table)
    (tmp_path / "snapshot" / "youtube_id_to_urls_mapping.json").write_text('{"abc": "https://a.example"}')
    (sample,) = made(name, tmp_path / "snapshot", tmp_path / "a", media_root=str(root))
    (plain,) = made(name, written(tmp_path, name), tmp_path / "b", media_root=str(root))
    ours, theirs = dict(sample.record), dict(plain.record)
    ours["meta"], theirs["meta"] = ours["meta"] | {"source": ""}, theirs["meta"] | {"source": ""}
    assert ours == theirs
    table.write_bytes(table.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"train-00000-of-00001\.parquet is no Parquet file that can be read"):
        made(name, tmp_path / "snapshot", tmp_path / "c", media_root=str(root))


def test_evaluation_sets_are_the_split_test(tmp_path, root):
    for name in OF_JSON:
        own = {} if name.endswith("_eval") else {"val_share": 0.0}
        made(name, written(tmp_path, name), tmp_path / name, media_root=str(root), **own)
        splits = {split for split, shards in read_index(tmp_path / name).items() if shards}
        assert splits == ({"test"} if name.endswith("_eval") else {"train"}), name


def test_a_media_root_that_is_no_folder(tmp_path):
    with pytest.raises(DataError, match="media_root is .*nowhere, expected a folder with videos or images"):
        made("molmo2_cap", written(tmp_path, "molmo2_cap"), tmp_path / "out", media_root=str(tmp_path / "nowhere"))


def test_all_parts_of_one_video_are_in_one_split(tmp_path, root):
    rows = [ask(video_id=f"v{number}") for number in range(12)]
    clips = []
    for number in range(12):
        video(root / f"v{number}.mp4", frames=8)
        clips += [
            {"video_id": f"v{number}", "label": "x", "question": "How many?", "count": 1, "clip_start": float(start),
             "clip_end": start + 0.5, "video_duration": 99.0, "points": [[{"x": 1, "y": 1}]],
             "two_fps_timestamps": [start + 0.5]}
            for start in range(2)
        ]  # fmt: skip
    source = lines(tmp_path / "rows.jsonl", clips)
    reader = registry.build("generator", "molmo2_video_point", source=str(source), media_root=str(root), val_share=0.4)
    reader.plan()
    splits = {}
    for (split, _), entries in reader._planned.items():
        for entry in entries:
            splits.setdefault(entry.origin, set()).add(split)
    assert len(splits) == len(rows)
    assert all(len(found) == 1 for found in splits.values())
    assert set.union(*splits.values()) == {"train", "val"}


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("molmo2_video_point", {"min_points": 6, "max_points": 5}, "min_points is 6, max_points 5"),
        ("molmo2_cap", {"captions": ["short"]}, r"captions is \['short'\], expected some of video_caption"),
        ("molmo2_video_track", {"sampling_fps": 0}, "sampling_fps is 0"),
        ("molmo2_multi_image_qa", {"max_images": 0}, "max_images is 0"),
        ("burst_video_count", {"fps": -1}, "fps is -1"),
        ("molmo2_video_points", {}, "Near: molmo2_video_point"),
    ],
)
def test_mistaken_arguments(name, arguments, words):
    with pytest.raises((ConfigError, UnknownNameError), match=words):
        registry.build("generator", name, source="x", **arguments)


# -- BURST --------------------------------------------------------------------------------------------------------


def test_burst_counts_tracks_of_kinds_that_are_annotated_in_full(tmp_path):
    source = tmp_path / "all_classes.json"
    source.write_text(json.dumps(burst()))
    for number in range(6):
        image(tmp_path / "frames" / "YFCC100M" / "v_1" / f"{number:04d}.jpg", width=33, height=17)
    (sample,) = made("burst_video_count", source, tmp_path / "out", fps=4.0)
    told = {one["label"]: one["count"] for one in sample.record["points"]}
    assert told == {"bat": 2, "sport utility vehicle": 1}
    assert {one["style"] for one in sample.record["points"]} == {"count"}
    assert (sample.record["width"], sample.record["height"]) == (34, 18)  # H.264 needs even sizes
    assert (sample.record["num_frames"], sample.record["fps"]) == (6, pytest.approx(4.0))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "holds list; expected BURST's sequences and categories"),
        ('{"sequences": []}', "holds sequences; expected"),
        (json.dumps(burst(track_category_ids={"1": 77})), "tracks of category 77, which has no name"),
        (json.dumps(burst(not_exhaustive_category_ids=[3, 9, 12])), "all rows were left out"),
    ],
)
def test_burst_that_is_none(tmp_path, text, words):
    source = tmp_path / "all.json"
    source.write_text(text)
    with pytest.raises(DataError, match=words):
        made("burst_video_count", source, tmp_path / "out", on_bad_sample="raise")


# -- media by name ------------------------------------------------------------------------------------------------


def test_files_are_found_by_name_by_folder_and_by_path(tmp_path):
    for place in ("a/x.mp4", "b/x.mp4", "c/id1/some title.webm", "sora2-2fps/film_2fps.mp4", "d/notes.txt"):
        (tmp_path / place).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / place).write_bytes(b"x")
    library = MediaLibrary(tmp_path)
    assert library.num_files == 4
    assert library.find("x") == tmp_path / "a" / "x.mp4"
    assert library.find("b/x") == library.find("b/x.mp4") == tmp_path / "b" / "x.mp4"
    assert library.find("id1") == tmp_path / "c" / "id1" / "some title.webm"
    assert library.find("sora2/film", "sora2-2fps/film_2fps") == tmp_path / "sora2-2fps" / "film_2fps.mp4"
    assert library.find("notes") is None
    assert library.find("d") is None
    assert library.find("e/x") is None


def test_a_folder_of_frames_is_a_video_of_its_frames(tmp_path):
    folder = tmp_path / "media" / "street_0"
    folder.mkdir(parents=True)
    for number in range(FRAMES):
        (folder / f"{number:05d}.jpg").write_bytes(encode_jpg(np.full((32, 64, 3), 8 * number, np.uint8)))
    rows = [GOOD["molmo2_video_track"]()]
    (sample,) = made(
        "molmo2_video_track", lines(tmp_path / "r.jsonl", rows), tmp_path / "out", media_root=str(tmp_path / "media")
    )
    clip = decode_video(sample.files["mp4"], FrameSampling(max_frames=99, frame_rate=FPS))
    assert len(clip.frames) == FRAMES
    np.testing.assert_allclose(clip.frames.mean((1, 2, 3)), 8 * np.arange(FRAMES), atol=3)  # 4:2:0 and CRF 18
    (folder / "00003.jpg").write_bytes(b"broken")
    with pytest.raises(DataError, match="corrupt image"):
        made("molmo2_video_track", tmp_path / "r.jsonl", tmp_path / "b", media_root=str(tmp_path / "media"),
             on_bad_sample="raise")  # fmt: skip


def test_images_inside_parquet(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    cells = [{"bytes": encode_jpg(np.full((20, 40, 3), 9 * number, np.uint8)), "path": None} for number in range(3)]
    rows = [
        syn_image_qa(images=cells[:2]),
        syn_image_qa(images=cells, code=["d"] * 3),
        syn_image_qa(images=cells * 2, code=["d"] * 6),
        syn_image_qa(images=[{"bytes": b"x", "path": None}], code=["d"]),
        syn_image_qa(images=cells[:1], code=["d"], qa_pairs={"question": ["Q"], "explanation": [], "answer": []}),
    ]
    source = tmp_path / "snapshot" / "chart" / "train.parquet"
    source.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), source)
    samples = made("molmo2_syn_multi_image_qa", tmp_path / "snapshot", tmp_path / "out", val_share=0.0)
    assert [sorted(sample.files) for sample in samples] == [["0.jpg", "1.jpg"], ["0.jpg", "1.jpg", "2.jpg"]]
    assert samples[1].files["2.jpg"] == cells[2]["bytes"]
    assert samples[0].record["annotations"][0]["style"] == "cosyn_chart"
    assert samples[0].record["images"] == [{"width": 40, "height": 20}] * 2
