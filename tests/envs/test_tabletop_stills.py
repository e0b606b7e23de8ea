"""Pictures of a resting tabletop: true labels, questions that a picture answers, splits apart, refusals."""

import io
from itertools import chain

import numpy as np
import pytest
from PIL import Image

from zoo.envs.tabletop import Tabletop
from zoo.envs.tabletop_scene import COLOURS
from zoo.envs.tabletop_stills import TabletopStills
from zoo.errors import ConfigError
from zoo.shards.blind import blind_accuracy
from zoo.shards.schema import validate_record

pytestmark = pytest.mark.render


@pytest.fixture(scope="module")
def stills():
    return list(TabletopStills(seed=3).samples("train", 0, 60))


def picture(still):
    return np.asarray(Image.open(io.BytesIO(still.media)))


def test_samples_are_valid_and_complete(stills):
    for still in stills:
        validate_record(still.record)
        assert picture(still).shape == (144, 144, 3)
        count = len(still.record["meta"]["objects"])
        assert still.arrays["masks"].shape == (1, 144, 144)
        assert still.arrays["visible"].all() and still.arrays["visible"].shape == (1, count)
    assert {len(still.record["meta"]["objects"]) for still in stills} == {1, 2, 3, 4, 5, 6}
    assert len({still.record["key"] for still in stills}) == len(stills)


def test_masks_lie_on_the_objects_colour(stills):
    names, right = list(COLOURS), []
    directions = np.array([np.array(rgb) / np.linalg.norm(rgb) for rgb in COLOURS.values()])
    for still in stills:
        pixels = picture(still).astype(float)
        for index, item in enumerate(still.record["meta"]["objects"]):
            mean = pixels[still.arrays["masks"][0] == index + 1].mean(axis=0)
            right.append(names[int(np.argmax(directions @ mean))] == item["colour"])
    assert np.mean(right) > 0.97  # JPEG smears a few of the smallest


def test_nothing_is_asked_or_said_about_motion(stills):
    families = {annotation["family"] for still in stills for annotation in still.record["annotations"]}
    assert families == {"count", "attribute", "relation"}
    assert not any(annotation["temporal"] for still in stills for annotation in still.record["annotations"])
    lines = [line for still in stills for line in still.record["statements"]]
    assert lines and not any("move" in line or "view" in line or "touched" in line for line in lines)
    assert {d["request"] for still in stills for d in still.record["descriptions"]} == {"Describe the objects."}


def test_sides_agree_with_the_labels(stills):
    checked = 0
    for still in stills:
        points = still.arrays["points_px"][0]
        place = {item["colour"]: points[index] for index, item in enumerate(still.record["meta"]["objects"])}
        for line in still.record["statements"]:
            words = line.split()
            if " left of " in line or " right of " in line:
                offset = place[words[1]][0] - place[words[-2]][0]
                assert (offset < 0) == ("left" in words), line
                checked += 1
    assert checked > 20


def test_text_alone_gives_no_answer_away(stills):
    asked = [still.record["annotations"] for still in stills]
    assert blind_accuracy(chain.from_iterable(asked[:40]), chain.from_iterable(asked[40:])).overall < 0.5


def test_splits_and_clips_of_one_seed_show_other_scenes():
    def camera(generator, split):
        return next(iter(generator.samples(split, 0, 1))).record["meta"]["camera"]

    stills = TabletopStills(seed=5)
    shown = [camera(stills, "train"), camera(stills, "val"), camera(stills, "test"), camera(Tabletop(seed=5), "train")]
    assert len({tuple(each.values()) for each in shown}) == 4


def test_the_same_seed_gives_the_same_bytes():
    once, again = (list(TabletopStills(seed=1).samples("val", 2, 2)) for _ in range(2))
    assert [still.media for still in once] == [still.media for still in again]
    assert [still.record for still in once] == [still.record for still in again]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 63}, "image_size 63"),
        ({"train_images": -1, "samples_per_shard": 0}, "train_images -1.*samples_per_shard 0"),
        ({"questions_per_image": 0}, "questions_per_image 0"),
    ],
)
def test_impossible_settings_are_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        TabletopStills(**arguments)
