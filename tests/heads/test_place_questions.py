"""Questions for places: what is true at the shown frames, in the published format, in several wordings."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from zoo import run_lengths
from zoo.backbones.nearest_instance import NearestInstance
from zoo.errors import DataError
from zoo.heads.counting import Counting
from zoo.heads.place_questions import STYLE_NAMES
from zoo.heads.pointing import Pointing
from zoo.heads.tracking import Tracking
from zoo.metrics import Tallies
from zoo.points import parse
from zoo.preprocessing.prompts import DEMO_STYLES
from zoo.segmenter import Segmenter
from zoo.shards.decode import ShownFrames
from zoo.shards.reader import Sample

SIZE = (100, 50)
NUM_FRAMES = 20
FPS = 8.0


def shown(*indices):
    return ShownFrames(times_s=np.array(indices) / FPS, indices=np.array(indices), is_video=True)


IMAGE = ShownFrames(times_s=np.zeros(1), indices=np.zeros(1, np.int64), is_video=False)
HALVES = shown(0, 4, 8, 12, 16, 19)


def sample(*entries, media="mp4", images=None, **changed):
    """Two objects: the first moves right by 4 px a frame, the second stands still and is seen from frame 8 on."""
    frames = np.arange(NUM_FRAMES)
    points = np.stack(
        [np.stack([10 + 4 * frames, np.full(NUM_FRAMES, 20)], -1), np.full((NUM_FRAMES, 2), (50, 40))], axis=1
    ).astype(np.float32)
    visible = np.stack([np.ones(NUM_FRAMES, bool), frames >= 8], axis=1)
    masks = np.zeros((NUM_FRAMES, SIZE[1], SIZE[0]), np.uint8)
    for frame in range(NUM_FRAMES):
        masks[frame, 15:25, 8 + 4 * frame : 13 + 4 * frame] = 1
        masks[frame, 35:45, 45:55] = 2 * visible[frame, 1]
    arrays = {"points_px": points, "visible": visible, "masks": masks} | changed
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    record = {"media": media, "width": SIZE[0], "height": SIZE[1], "points": list(entries)}
    return Sample("clip", "shard", record | ({"images": images} if images else {}), {"npz": file.getvalue()})


def ask(head, made, frames=HALVES, *, training=False, seed=0):
    return head.renderer()(made, frames, np.random.default_rng(seed), training=training)


def entry(kind, objects, label="things", **more):
    return {"label": label, "kind": kind, "objects": objects, "masks": "npz"} | more


def test_things_are_pointed_to_in_the_first_shown_frame_that_shows_them():
    (message,) = ask(Pointing(), sample(entry("points", [0, 1], "cups")))
    assert message.prompt == "Point to the cups."
    assert message.answer == '<points coords="0.0 1 100 400;1.0 2 500 800">cups</points>'
    assert (message.weight, message.is_flat, message.is_scored, message.temporal) == (0.2, True, True, False)
    assert [point.object_id for point in message.places.points] == [1, 2]  # as in the masks


def test_nothing_there_is_said():
    (message,) = ask(Pointing(), sample(entry("points", [], "dogs")))
    assert message.answer == "There are none."
    (message,) = ask(Counting(), sample(entry("points", [], "dogs", count=0)))
    assert message.answer == "There are none."
    (message,) = ask(Counting(style="count"), sample(entry("points", [], "dogs", count=0)))
    assert message.answer == "0"


def test_tracks_cover_the_shown_frames_of_their_rate():
    made = sample(entry("tracks", [0, 1]))
    (message,) = ask(Tracking(), made)
    assert message.prompt == "Track the things at 2 FPS."
    assert message.answer == (
        '<tracks coords="0.0 1 100 400;0.5 1 260 400;1.0 1 420 400 2 500 800;1.5 1 580 400 2 500 800;'
        '2.0 1 740 400 2 500 800">things</tracks>'
    )
    (message,) = ask(Tracking(fps=1.0), made)
    assert message.answer.count(";") == 2
    (message,) = ask(Tracking(fps=None), made)
    assert message.prompt == "Track the things."
    assert message.answer.count(";") == 5
    assert ";2.4 1 860 400 2 500 800" in message.answer
    (message,) = ask(Tracking(), sample(entry("tracks", [0], fps=1.0)))
    assert message.prompt.endswith("at 1 FPS.")
    assert message.places.keys == (0.0, 1.0, 2.0)


def test_frames_that_are_not_shown_are_not_named():
    (message,) = ask(Tracking(), sample(entry("tracks", [0])), shown(0, 3, 8, 16))
    assert message.answer == '<tracks coords="0.0 1 100 400;1.0 1 420 400;2.0 1 740 400">things</tracks>'


def test_ground_names_the_first_and_last_frame_of_each():
    (message,) = ask(Tracking(), sample(entry("ground", [1])))
    assert message.prompt == "Show the first and last place of the things at 2 FPS."
    assert message.answer == '<tracks coords="1.0 1 500 800;2.0 1 500 800">things</tracks>'
    assert message.family == "ground"


def test_a_track_goes_on_from_its_seed():
    made = sample(entry("single_point", [0], "thing"))
    (message,) = ask(Tracking(), made)
    assert message.prompt == 'Track on from <points coords="0.0 1 100 400">thing</points> at 2 FPS.'
    assert message.answer.startswith('<tracks coords="0.5 1 260 400;1.0 ')
    seeds = {
        ask(Tracking(), made, training=True, seed=seed)[0].prompt.partition('coords="')[2][:3] for seed in range(40)
    }
    assert seeds == {"0.0", "0.5", "1.0", "1.5"}
    explicit = {
        "label": "x",
        "kind": "single_point",
        "seed": [0.6, 4, 9, 9],
        "points": [[1.0, 4, 50, 25], [1, 5, 9, 9]],
    }
    (message,) = ask(Tracking(), sample(explicit))
    assert message.prompt.startswith('Track on from <points coords="0.5 1 090 180">x</points>')
    assert message.answer == '<tracks coords="1.0 1 500 500">x</tracks>'


def test_a_thing_that_is_seen_once_cannot_be_followed():
    assert ask(Tracking(), sample(entry("single_point", [1])), shown(0, 8)) == []


def test_stored_points_are_in_the_nearest_shown_frame_or_the_question_is_left_out():
    stored = {"label": "x", "kind": "points", "points": [[1.2, 3, 50, 25]], "count": None}
    (message,) = ask(Pointing(), sample(stored), training=True)
    assert message.answer == '<points coords="1.0 1 500 500">x</points>'
    assert ask(Pointing(), sample(stored), shown(0, 4, 19), training=True) == []
    tracks = {"label": "x", "kind": "tracks", "points": [[0.5, 3, 50, 25], [0.75, 3, 60, 25], [1.0, 3, 70, 25]]}
    (message,) = ask(Tracking(), sample(tracks), training=True)
    assert message.answer == '<tracks coords="0.5 1 500 500;1.0 1 700 500">x</tracks>'


def test_kinds_of_questions_have_their_published_names():
    assert set(STYLE_NAMES.values()) <= DEMO_STYLES
    (message,) = ask(Pointing(), sample(entry("points", [0]), media="jpg"), IMAGE)
    assert message.style == "pointing"  # by which images are cut into more crops
    (message,) = ask(Tracking(), sample(entry("ground", [0])))
    assert message.style == "video_point_ground_start_end"


def test_images_of_a_set_have_their_own_sizes():
    sizes = [{"width": 100, "height": 50}, {"width": 10, "height": 20}]
    stored = {"label": "x", "kind": "points", "points": [[2, 1, 5, 5], [1, 2, 50, 25]]}
    both = ShownFrames(times_s=np.zeros(2), indices=np.arange(2), is_video=False)
    (message,) = ask(Pointing(), sample(stored, media="jpg", images=sizes), both, training=True)
    assert message.answer == '<points coords="1 1 500 500;2 2 500 250">x</points>'


def test_which_head_asks_what():
    made = sample(
        entry("points", [0], "a"),
        entry("points", [0], "b", style="point"),
        entry("points", [0], "c", style="count_point"),
        entry("points", [0], "d", count=1),
        {"label": "e", "kind": "points", "count": 7},
        entry("tracks", [0], "f"),
    )
    of = {head.name: [(m.prompt, m.answer) for m in ask(head, made)] for head in (Pointing(), Counting(), Tracking())}
    inner = '<points coords="0.0 1 100 400">{}</points>'.format
    assert of == {
        "pointing": [
            ("Point to the a.", inner("a")),
            ("Point to the b.", inner("b")),
            ("Point to the c.", f"There are 1 {inner('c')}."),
            ("Point to the d.", inner("d")),
        ],
        "counting": [
            ("Give the number of c and point to them.", f"There are 1 {inner('c')}."),
            ("Count the d.", f"Counting the {inner('d')} shows a total of 1."),
            ("Write the number of e.", "7"),
        ],
        "tracking": [("Track the f at 2 FPS.", ask(Tracking(), made)[0].answer)],
    }


def test_points_of_counted_entries_are_scored_too():
    question = 'How many "things" are there in the video?'
    made = sample(entry("points", [0, 1], style="point_count", count=2, question=question))
    assert ask(Pointing(), made, training=True) == []
    (message,) = ask(Pointing(), made)
    assert message.prompt == question
    assert (message.is_scored, message.places.style) == (True, "point_count")
    assert Pointing().scored(parse(message.answer, message.places.canvas), message.places).scores["f1"] == 1.0
    (counted,) = ask(Counting(), made, training=True)
    assert counted.answer == message.answer


def test_a_question_that_asks_for_a_number_is_not_asked_by_who_points():
    made = sample(entry("points", [0], "dogs", question="How many dogs?", count=1))
    assert [message.prompt for message in ask(Pointing(), made)] == ["Point to the dogs."]
    assert [message.prompt for message in ask(Counting(), made)] == ["How many dogs?"]


def test_training_draws_wordings_and_styles_and_evaluation_does_not():
    made = sample(*(entry("points", [0], label, count=1) for label in "abcdefgh"))
    asked = [
        message for seed in range(20) for message in ask(Counting(max_questions=3), made, training=True, seed=seed)
    ]
    assert len(asked) == 60
    assert {m.answer[:3] for m in asked} == {"Cou", "The", "1"}
    assert len({m.prompt[:-2] for m in asked}) >= 6
    assert all(m.places is None for m in asked)
    weights = {m.answer == "1": (m.weight, m.is_flat) for m in asked}
    assert weights == {True: (1.0, False), False: (0.2, True)}
    tested = ask(Counting(max_questions=3), made)
    assert [m.prompt for m in tested] == [f"Count the {label}." for label in "abcdefgh"]


def test_a_stored_question_is_asked_as_it_stands():
    (message,) = ask(Pointing(), sample(entry("points", [0], question="Where is it?")), training=True, seed=3)
    assert message.prompt == "Where is it?"


def test_without_masks_points_are_learnt_and_not_scored():
    made = sample({"label": "x", "kind": "points", "points": [[0, 1, 5, 5]]})
    assert not ask(Pointing(), made)[0].is_scored
    made.record["points"][0]["rle"] = [{"key": 0.0, "id": 1} | run_lengths.encode(np.ones(SIZE[::-1], bool))]
    (message,) = ask(Pointing(), made)
    assert message.is_scored
    assert message.places.masks.inside([0], [1], [[5, 5]]).all()


@pytest.mark.parametrize(
    ("made", "complaint"),
    [
        (sample(entry("points", [5])), "sample 'clip' speaks of object 5, its labels have 2"),
        (sample(entry("points", [0]), visible=np.ones((20, 3), bool)), r"points_px \(20, 2, 2\) and visible \(20, 3\)"),
        (sample(entry("points", [0]), masks=np.zeros((3, 5, 5), np.uint8)), r"masks \(3, 5, 5\), frame 19 is shown"),
        (Sample("clip", "shard", sample(entry("points", [0])).record, {}), "no readable npz"),
        (
            sample(
                {
                    "label": "x",
                    "kind": "points",
                    "points": [],
                    "rle": [{"key": 0, "id": 1, "size": [1, 1], "counts": "0"}],
                }
            ),
            r"sample 'clip': masks: object 1 has a mask of \[1, 1\]",
        ),
    ],
)
def test_labels_that_do_not_fit_name_the_sample(made, complaint):
    with pytest.raises(DataError, match=complaint):
        ask(Pointing(), made)


@pytest.mark.parametrize(
    ("head", "kind", "objects", "right", "worse"),
    [
        (
            Pointing(),
            "points",
            [0],
            '<points coords="0.0 1 110 400">x</points>',
            '<points coords="0.0 1 500 900">x</points>',
        ),
        (Tracking(), "tracks", [1], '<tracks coords="1.0 1 500 800;2.0 1 500 800">x</tracks>', "There are none."),
        (Tracking(), "ground", [1], '<tracks coords="1.0 1 500 800;2.0 1 500 800">x</tracks>', "nothing"),
        (Tracking(), "single_point", [1], '<tracks coords="2.0 1 500 800">x</tracks>', '<tracks coords="2.0 1 5'),
    ],
)
def test_answers_are_scored_by_masks(head, kind, objects, right, worse):
    (message,) = ask(head, sample(entry(kind, objects)))
    question = message.places
    assert set(head.scored(parse(message.answer, question.canvas), question).scores.values()) == {1.0}
    assert set(head.scored(parse(right, question.canvas), question).scores.values()) == {1.0}
    assert head.scored(parse(worse, question.canvas), question).scores["f1"] == 0.0
    assert set(head.scored(parse(right, question.canvas), question).scores) == set(head.scores)


@pytest.mark.parametrize(
    ("answer", "j"),
    [(None, 1.0), ('<tracks coords="1.0 1 500 800">x</tracks>', 1.0), ("There are none.", 2 / 6)],
    ids=["the truth", "one point is followed", "nothing"],
)
def test_tracks_are_scored_by_the_masks_that_a_segmenter_makes_of_them(answer, j):
    head = Tracking(segmenter=NearestInstance(), fps=None, score_fps=None)
    (message,) = ask(head, sample(entry("tracks", [1])))
    said = parse(message.answer if answer is None else answer, message.places.canvas)
    pixels = torch.zeros(len(HALVES.indices), 3, 28, 56, dtype=torch.uint8)  # of the size that the model looks at
    scores = head.scored(said, message.places, lambda: pixels).scores
    assert set(scores) == set(head.scores)
    assert scores["j"] == scores["f"] == scores["j_and_f"] == pytest.approx(j)  # seen in 4 of 6 frames


def test_masks_of_some_frames_are_scored_there():
    rle = [{"key": 1.0, "id": 1, **run_lengths.encode(np.ones((SIZE[1], SIZE[0]), bool))}]
    stored = {"label": "x", "kind": "tracks", "points": [[1.0, 1, 50, 25], [2.0, 1, 50, 25]], "rle": rle}
    head = Tracking(segmenter=WholeFrame(), fps=None, score_fps=None)
    (message,) = ask(head, sample(stored))
    said = parse(message.answer, message.places.canvas)
    pixels = torch.zeros(len(HALVES.indices), 3, 28, 56, dtype=torch.uint8)
    assert head.scored(said, message.places, lambda: pixels).scores["j_and_f"] == 1.0


class WholeFrame(Segmenter):
    """Whatever is pointed at fills the picture."""

    def segment(self, clip, prompts):
        return {point.object_id: np.ones(clip.frames.shape[:3], bool) for point in prompts}


@pytest.mark.parametrize(
    ("head", "kind", "objects"), [(Pointing(), "points", [0]), (Tracking(), "tracks", [1]), (Tracking(), "ground", [1])]
)
def test_pointers_that_read_no_question_are_scored_beside(head, kind, objects):
    messages = ask(head, sample(entry(kind, objects)))
    turns = [SimpleNamespace(message=message, example=0) for message in messages]
    answers = head.blind_answers(SimpleNamespace(turns=turns, keys=["clip"], pixels_of=print))
    (nearest,), (every,) = answers["nearest_object"], answers["every_object"]
    assert every.scores["recall"] > every.scores["precision"]  # it names what nobody asked for
    assert every.scores["recall"] > nearest.scores["recall"] or nearest.scores["f1"] == 1.0
    assert nearest.family == messages[0].family


def test_counts_have_no_blind_pointer():
    turns = [SimpleNamespace(message=m, example=0) for m in ask(Counting(), sample(entry("points", [0], count=1)))]
    assert not any(Counting().blind_answers(SimpleNamespace(turns=turns, keys=["clip"], pixels_of=print)).values())


def test_points_of_a_picture_are_scored():
    (message,) = ask(Pointing(), sample(entry("points", [0]), media="jpg"), IMAGE)
    assert message.answer == '<points coords="1 1 100 400">things</points>'
    assert Pointing().scored(parse(message.answer, message.places.canvas), message.places).scores["f1"] == 1.0


@pytest.mark.parametrize(("text", "scores"), [("There are 4", (1.0, 1.0)), ("5", (0.0, 1.0)), ("blue", (0.0, 0.0))])
def test_counts_are_scored(text, scores):
    (message,) = ask(Counting(), sample({"label": "x", "kind": "points", "count": 4}))
    scored = Counting().scored(parse(text, message.places.canvas), message.places)
    assert (scored.scores["accuracy"], scored.scores["close"]) == scores


def test_tests_count_answers_that_lost_something():
    (message,) = ask(Pointing(), sample(entry("points", [0]), media="jpg"), IMAGE)
    texts = ["There are none.", "blue", '<points coords="1 1 100 1400 2 100 400 3 1 1;7 1 100 100">x</points>']
    session = SimpleNamespace(
        turns=[SimpleNamespace(message=message, example=0)] * len(texts),
        generate=lambda **_: range(len(texts)),
        decode=lambda ids: texts[ids],
    )
    tallies = Tallies()
    tallies.update(Pointing().predict(session, SimpleNamespace(keys=["a"], pixels_of=print)))
    shares = {name: value.item() for name, value in tallies.compute().items() if name.startswith("dropped/")}
    third = pytest.approx(1 / 3)
    assert shares == {
        **{f"dropped/{reason}": third for reason in ("no_tag", "out_of_range", "malformed", "unknown_image")},
        **{f"dropped/{reason}": 0.0 for reason in ("repeated_id", "past_the_end")},
    }


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("point to the red cup", "pointing"),
        ("Count the dogs.", "counting"),
        ("Track the dog", "tracking"),
        ("What?", None),
    ],
)
def test_heads_know_what_is_meant_for_them(prompt, name):
    claimed = [head.name for head in (Pointing(), Counting(), Tracking()) if head.claims(prompt)]
    assert claimed == ([name] if name else [])


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="style is 'point', expected point_count"):
        Counting(style="point")
    with pytest.raises(ValueError, match="score_fps is 0"):
        Tracking(score_fps=0)
