"""Rows and media in the forms in which Molmo2's data sets are published, a few of each; for tests in any folder."""

import json
from hashlib import sha256
from pathlib import Path

import numpy as np

from zoo import registry
from zoo.shards.encode import encode_jpg, encode_mp4
from zoo.shards.reader import read_index, read_shard

WIDTH, HEIGHT, FPS, FRAMES = 64, 32, 4, 24  # a video: six seconds


def video(path: Path, *, frames=FRAMES, fps=FPS, width=WIDTH, height=HEIGHT) -> Path:
    """Frames of growing brightness."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.stack([np.full((height, width, 3), 8 * number % 256, np.uint8) for number in range(frames)])
    path.write_bytes(encode_mp4(pixels, fps=fps))
    return path


def image(path: Path, *, width=40, height=20) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_jpg(np.full((height, width, 3), 90, np.uint8)))
    return path


def lines(path: Path, rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def address(name: str) -> str:
    return f"https://pictures.example/{name}.jpg"


def hashed(name: str) -> str:
    return sha256(address(name).encode()).hexdigest()


def rle(*, x=slice(0, 10), y=slice(0, 10), width=WIDTH, height=HEIGHT):
    """A box in COCO's run lengths, down the columns, background first."""
    mask = np.zeros((height, width), bool)
    mask[y, x] = True
    flat = mask.T.reshape(-1)
    changes = np.flatnonzero(np.diff(flat, prepend=False))
    return {"size": [height, width], "counts": np.diff(changes, prepend=0, append=flat.size).tolist()}


def ask(**more):
    return {"video_id": "abc", "question": "Why does he run?", "answer": "He is late."} | more


def cap_qa(**more):
    return {
        "video_id": "abc",
        "Question": "Where is the cat?",
        "Answer": "on the roof",
        "NegativeAnswers": ["in the car", "under the bed", "on the roof"],
        "Category": "object location",
    } | more


def subtitle_qa(**more):
    said = [{"start": 0.0, "end": 1.5, "text": "hello"}, {"start": 1.5, "end": 4.0, "text": "goodbye"}]
    return cap_qa(AlignmentType="visual", subtitle=said) | more


def cap(**more):
    return {
        "video_id": "abc",
        "video_start": None,
        "video_end": None,
        "video_caption": "A cat.",
        "merged_caption": "A cat on a roof.",
        "video_frame_merged_caption": "A grey cat on a red roof in the rain.",
        "annotation_score": 4.0,
    } | more


def cap_eval(**more):
    return {
        "video_id": "abc",
        "source": "vimeo",
        "video_start": None,
        "video_end": None,
        "duration": 6.0,
        "atomic_statements": ["There is a cat.", "It rains."],
        "statement_categories": ["object", "weather"],
        "aggregated_caption": "A cat in the rain.",
    } | more


def point(**more):
    return {
        "video_id": "abc",
        "video_source": "youtube",
        "video_duration": 6.0,
        "clip_start": None,
        "clip_end": None,
        "category": "object",
        "label": "red cup",
        "question": "How many red cups are there?",
        "count": 3,
        "points": [[{"x": 50.0, "y": 25.0}], [{"x": 90.0, "y": 100.0}, {"x": 10.0, "y": 75.0}]],
        "two_fps_timestamps": [0.5, 2.0],
        "annotator_unsure": False,
    } | more


def point_eval(**more):
    return {
        "video_id": "abc",
        "video_source": "youtube",
        "video_duration": 6.0,
        "width": WIDTH,
        "height": HEIGHT,
        "label": "red cup",
        "count": 2,
        "points": [{"x": 20.0, "y": 15.0}, {"x": 5.0, "y": 5.0}],
        "two_fps_timestamps": [1.0, 1.0],
        "masks": [
            [{"frame_id": 2, "rle": rle(x=slice(15, 25))}, {"frame_id": 3, "rle": rle(x=slice(16, 26))}],
            [{"frame_id": 2, "rle": rle()}],
        ],
    } | more


def count_eval(**more):
    return {
        "video_id": "abc",
        "video_source": "youtube",
        "video_duration": 6.0,
        "clip_start": 1.0,
        "clip_end": 4.0,
        "category": "object",
        "label": "red cup",
        "question": "How many red cups are there?",
        "count": 7,
    } | more


def track(**more):
    """The raw view: two objects in six seconds of four frames a second, the second one seen from 2 s to 4 s."""
    first = [[10 + frame, 16] for frame in range(FRAMES)]
    second = [[5, 4 + frame] if 8 <= frame <= 16 else None for frame in range(FRAMES)]
    return {
        "id": "mose_0",
        "video": "street",
        "clip": "street_0",
        "video_dataset": "mose",
        "video_source": "mose/videos",
        "exp": "the people who run",
        "obj_id": [3, 7],
        "mask_id": ["m3", "m7"],
        "points": [{"object_id": "m3", "points": first}, {"object_id": "m7", "points": second}],
        "segments": [],
        "start_frame": 0,
        "end_frame": FRAMES - 1,
        "w": WIDTH,
        "h": HEIGHT,
        "n_frames": FRAMES,
        "fps": FPS,
    } | more


def instruction(**more):
    """The instruction view."""
    seen = [
        {"frame": 0, "time": 0.0, "points": [{"id": 0, "point": [10, 16], "occluded": False}]},
        {
            "frame": 4,
            "time": 1.0,
            "points": [{"id": 0, "point": [14, 16], "occluded": False}, {"id": 1, "point": [3, 4], "occluded": False}],
        },
        {
            "frame": 8,
            "time": 2.0,
            "points": [{"id": 0, "point": [18, 16], "occluded": True}, {"id": 1, "point": [5, 8], "occluded": False}],
        },
    ]
    return {
        "id": "mose_track_0",
        "video": "street",
        "clip": "street_0",
        "video_dataset": "mose",
        "expression": "the people who run",
        "fps": FPS,
        "sampling_fps": 1,
        "height": HEIGHT,
        "width": WIDTH,
        "n_frames": FRAMES,
        "task": "track",
        "frame_trajectories": seen,
        "mask_id": ["m3", "m7"],
        "obj_id": [3, 7],
    } | more


def track_eval(**more):
    masks = [
        {"object_id": "m3", "masks": [rle(x=slice(5, 20))] * FRAMES},
        {"object_id": "m7", "masks": [rle() if 8 <= frame <= 16 else None for frame in range(FRAMES)]},
    ]
    return track(masks=masks) | more


def image_qa(**more):
    return {
        "image_urls": [address("one"), address("two")],
        "qa_pairs": {"question": ["Which is red?", "Which is round?"], "answer": ["the first", "both"]},
    } | more


def image_point(**more):
    return {
        "image_urls": [address("one"), address("two")],
        "image_sha256s": [hashed("one"), hashed("two")],
        "points": [[{"x": 50.0, "y": 50.0}], [{"x": 90.0, "y": 25.0}, {"x": 10.0, "y": 100.4}]],
        "counts": [1, 2],
        "labels": ["Apples", "apples"],
        "collection_method": ["pointing", "counting"],
    } | more


def syn_image_qa(**more):
    return {
        "qa_pairs": {"question": ["Which bar is higher?"], "explanation": ["The left is 3."], "answer": ["the left"]},
        "code": ["draw()", "draw()"],
    } | more


def burst(**more):
    sequence = {
        "id": 1,
        "dataset": "YFCC100M",
        "seq_name": "v_1",
        "width": WIDTH,
        "height": HEIGHT,
        "track_category_ids": {"1": 3, "2": 3, "3": 9, "4": 12},
        "not_exhaustive_category_ids": [9],
    } | more
    names = [
        {"id": 3, "name": "bat_(animal)"},
        {"id": 9, "name": "person"},
        {"id": 12, "name": "sport_utility_vehicle"},
    ]
    return {"split": "test", "sequences": [sequence], "categories": names}


GOOD = {
    "molmo2_ask_model_anything": ask,
    "molmo2_cap": cap,
    "molmo2_cap_eval": cap_eval,
    "molmo2_multi_image_point": image_point,
    "molmo2_multi_image_qa": image_qa,
    "molmo2_syn_multi_image_qa": syn_image_qa,
    "molmo2_video_cap_qa": cap_qa,
    "molmo2_video_count_eval": count_eval,
    "molmo2_video_point": point,
    "molmo2_video_point_eval": point_eval,
    "molmo2_video_subtitle_qa": subtitle_qa,
    "molmo2_video_track": track,
    "molmo2_video_track_eval": track_eval,
}
"""A row of each data set; BURST's annotations are one file, and SynMultiImageQA's images lie inside Parquet."""


def media(root: Path) -> Path:
    """Whatever the good rows are about."""
    video(root / "youtube-cc" / "abc" / "whole.mp4")  # under its id, as the published layout has it
    video(root / "mose" / "street_0.mp4")
    for name in ("one", "two"):
        image(root / "images" / hashed(name))
    return root


def made(name: str, source: Path, out: Path, **arguments) -> list:
    """Samples that a reader writes, of all splits."""
    reader = registry.build("generator", name, source=str(source), **arguments)
    reader.generate(out, workers=0)
    shards = [shard for shards in read_index(out).values() for shard in shards]
    return [sample for shard in shards for sample in read_shard(shard.path)]
