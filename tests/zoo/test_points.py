"""Points as text: the published format by example, round trips, and reading of whatever a model may write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import DataError
from zoo.points import (
    KINDS,
    NOTHING,
    STYLES,
    Canvas,
    Point,
    answer_points,
    answer_text,
    count_of,
    first_and_last,
    ordered_points,
    ordered_tracks,
    parse,
    tag,
)

CLIP = Canvas(sizes_px=((200, 100),), times_s=(0.0, 0.5, 1.0, 1.5, 2.375))
PAIR = Canvas(sizes_px=((1000, 1000), (50, 40)))
ONE = Canvas(sizes_px=((640, 480),))


def test_the_sheets_example_is_written_and_read():
    canvas = Canvas(sizes_px=((1000, 1000),), times_s=(0.0, 2.5, 4.0))
    points = [Point(2.5, 1, 312, 644), Point(4.0, 2, 87, 401), Point(4.0, 3, 590, 388)]
    text = tag(points, "red cup", canvas, name="points")
    assert text == '<points coords="2.5 1 312 644;4.0 2 087 401 3 590 388">red cup</points>'
    answer = parse(text, canvas)
    assert answer.points == tuple(points)
    assert (answer.label, answer.count, answer.dropped) == ("red cup", 3, {})


def test_an_image_has_the_key_one_and_the_far_edge_four_digits():
    assert tag([Point(1, 1, 640, 240)], "x", ONE, name="points") == '<points coords="1 1 1000 500">x</points>'
    assert parse('<points coords="1 1 1000 500">x</points>', ONE).points == (Point(1, 1, 640, 240),)


def test_each_image_has_its_own_size():
    text = tag([Point(1, 1, 500, 500), Point(2, 2, 25, 10)], "cat", PAIR, name="points")
    assert text == '<points coords="1 1 500 500;2 2 500 250">cat</points>'
    assert parse(text, PAIR).points == (Point(1, 1, 500, 500), Point(2, 2, 25, 10))


def test_points_are_numbered_by_time_then_x_then_y():
    points = [Point(1.0, 7, 5, 5), Point(0.0, 9, 8, 2), Point(0.0, 3, 4, 9), Point(0.0, 2, 4, 1)]
    assert ordered_points(points) == [
        Point(0.0, 1, 4, 1),
        Point(0.0, 2, 4, 9),
        Point(0.0, 3, 8, 2),
        Point(1.0, 4, 5, 5),
    ]


def test_tracks_are_numbered_by_first_appearance_and_keep_their_id():
    points = [Point(0.0, 8, 50, 1), Point(0.0, 5, 10, 1), Point(0.5, 8, 5, 1), Point(0.5, 2, 1, 1), Point(0.5, 5, 9, 1)]
    assert [point[:3] for point in ordered_tracks(points)] == [
        (0.0, 1, 10),
        (0.0, 2, 50),
        (0.5, 1, 9),
        (0.5, 2, 5),
        (0.5, 3, 1),
    ]


def test_ground_keeps_the_ends_of_each_track():
    track = [Point(t, 1, 10 * t, 0) for t in (0.0, 0.5, 1.0)] + [Point(0.5, 2, 3, 3)]
    assert first_and_last(track) == [Point(0.0, 1, 0, 0), Point(0.5, 2, 3, 3), Point(1.0, 1, 10, 0)]


def test_a_track_from_a_seed_covers_later_frames():
    track = [Point(t, 4, 10, 10) for t in (0.0, 0.5, 1.0)]
    assert answer_points(track, "single_point", seed=track[0]) == [Point(0.5, 1, 10, 10), Point(1.0, 1, 10, 10)]
    with pytest.raises(ValueError, match="seed point is missing"):
        answer_points(track, "single_point")


def test_wrappers():
    points = [Point(1, 1, 320, 240), Point(1, 2, 0, 0)]
    inner = '<points coords="1 1 500 500 2 000 000">dog</points>'
    texts = {style: answer_text(points, "dog", ONE, kind="points", style=style) for style in STYLES}
    assert texts == {
        "point": inner,
        "point_count": f"Counting the {inner} shows a total of 2.",
        "count_point": f"There are 2 {inner}.",
        "count": "2",
    }
    assert answer_text([], "dog", ONE, kind="points", style="point_count") == NOTHING
    assert answer_text([], "dog", ONE, kind="points", style="count") == "0"
    assert answer_text(points, "dog", ONE, kind="tracks") == inner.replace("points", "tracks")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("4", 4),
        (" 12. ", 12),
        ("There are none.", 0),
        ("There are a total of 7 cups", 7),
        ("The total number of red cups is 9.", 9),
        ('Counting the <points coords="0.0 1 500 500">a total of 8</points> shows a total of 3.', 3),
        ('There are 5 <points coords="0.0 1 500 500">x</points>.', 5),
        ('<tracks coords="0.0 1 500 500;0.5 1 500 500 2 100 100">x</tracks>', 2),
        ("blue", None),
        ("", None),
    ],
)
def test_counts_of_clips(text, count):
    assert parse(text, CLIP).count == count


def test_counts_of_images_are_those_of_the_points():
    assert parse('There are 5 <points coords="1 1 500 500">x</points>.', ONE).count == 1
    assert parse("There are none.", ONE).count == 0
    assert parse("6", ONE).count == 6


@pytest.mark.parametrize(
    ("coords", "canvas", "left", "dropped"),
    [
        ("0.0 1 500 500 1 600 600", CLIP, 1, {"repeated_id": 1}),
        ("0.0 1 500 500;0.0 1 600 600", CLIP, 1, {"repeated_id": 1}),
        ("0.0 1 500 500;0.5 1 600 600", CLIP, 2, {}),
        ("0.0 1 500 1001 2 9999 000", CLIP, 0, {"out_of_range": 2}),
        ("2.5 1 500 500 2 500 600;2.4 3 500 500", CLIP, 1, {"past_the_end": 2}),
        ("3 1 500 500;0 1 500 500;1.5 1 500 500;2.0 1 500 500", PAIR, 1, {"unknown_image": 3}),
        ("0.0 1 50 500 2 500 500", CLIP, 1, {"malformed": 1}),
        ("0.0 312 644 1 500 500", CLIP, 1, {"malformed": 1}),
        ("a 1 500 500;1 500;;0.5", CLIP, 0, {"malformed": 3}),
        ("0.0 1 500 500,0.5 1 500 500:1.0 1 500 500\t1.5 1 500 500", CLIP, 4, {}),
    ],
)
def test_what_is_bad_is_left_out_and_counted(coords, canvas, left, dropped):
    answer = parse(f'<points coords="{coords}">x</points>', canvas)
    assert len(answer.points) == left
    assert answer.dropped == dropped


def test_a_text_without_tag_or_number_is_counted():
    assert parse("the red one", CLIP).dropped == {"no_tag": 1}
    assert parse("<points>red</points>", CLIP).dropped == {"no_tag": 1}
    assert parse("3", CLIP).dropped == {}


def test_a_tag_that_was_cut_off_is_read_up_to_there():
    answer = parse('<tracks coords="0.0 1 500 500;0.5 1 500 5', CLIP)
    assert answer.points == (Point(0.0, 1, 100, 50),)
    assert answer.dropped == {"malformed": 1}


def test_a_written_time_means_the_frame_that_has_it():
    assert parse('<points coords="2.4 1 500 500">x</points>', CLIP).points[0].key == 2.375
    assert parse('<points coords="0.7 1 500 500">x</points>', CLIP).points[0].key == 0.7


def test_a_point_outside_of_its_picture_is_refused():
    with pytest.raises(DataError, match=r"\(641, 0\) lies outside of its 640 x 480 pixels"):
        tag([Point(1, 1, 641, 0)], "x", ONE, name="points")
    with pytest.raises(DataError, match="point of image 3; images are numbered 1 to 2"):
        tag([Point(3, 1, 0, 0)], "x", PAIR, name="points")
    with pytest.raises(ValueError, match="without points"):
        tag([], "x", ONE, name="points")


@pytest.mark.parametrize(
    ("sizes", "times", "complaint"),
    [
        ((), None, "one or more"),
        (((0, 5),), None, "at least 1 x 1"),
        (((5, 5), (5, 5)), (0.0,), "one size"),
        (((5, 5),), (), "must be given"),
        (((5, 5),), (1.0, 1.0), "grow"),
    ],
)
def test_impossible_canvases_are_refused(sizes, times, complaint):
    with pytest.raises(ValueError, match=complaint):
        Canvas(sizes_px=sizes, times_s=times)


sizes = st.tuples(st.integers(1, 4000), st.integers(1, 4000))
canvases = st.one_of(
    st.builds(lambda listed: Canvas(sizes_px=tuple(listed)), st.lists(sizes, min_size=1, max_size=5)),
    st.builds(
        lambda size, tenths: Canvas(sizes_px=(size,), times_s=tuple(t / 10 for t in sorted(tenths))),
        sizes,
        st.sets(st.integers(0, 3000), min_size=1, max_size=9),
    ),
)


@st.composite
def questions(draw):
    canvas = draw(canvases)
    places = draw(
        st.lists(
            st.tuples(st.sampled_from(canvas.keys), st.integers(1, 9), st.integers(0, 1000), st.integers(0, 1000)),
            unique_by=lambda place: place[:2],
            max_size=12,
        )
    )
    points = []
    for key, object_id, x, y in places:
        width, height = canvas.size_px(key)
        points.append(Point(key, object_id, x * width / 1000, y * height / 1000))
    return canvas, points, draw(st.sampled_from(KINDS)), draw(st.sampled_from(STYLES)), draw(st.text())


@given(questions())
def test_what_is_written_is_read(question):
    canvas, points, kind, style, label = question
    asked = answer_points(points, kind, seed=Point(canvas.keys[0], 1, 0, 0))
    answer = parse(answer_text(asked, label, canvas, kind=kind, style=style), canvas)
    assert answer.dropped == {}
    if style != "count":
        assert answer.points == tuple(asked)
    images_of_tracks = not canvas.is_video and kind != "points"  # images count points; a track has several
    if style == "count" or not images_of_tracks:
        assert answer.count == count_of(asked)


pieces = st.sampled_from(
    [
        *("<points", "<tracks", ' coords="', '">', "</points>", "</tracks>", ";", ",", ":", "\t", " ", "1", "2", "0.5"),
        *("500", "1000", "1001", "99999999999", "-1", "1e5", "٣٤٥", "nan", "a total of ", "none", "There are ", "\n"),
    ]
)


@given(st.one_of(st.text(), st.lists(pieces, max_size=60).map("".join), st.lists(pieces).map(" ".join)), canvases)
def test_any_text_is_read_to_what_is_valid(text, canvas):
    answer = parse(text, canvas)
    for point in answer.points:
        width, height = canvas.size_px(point.key)
        assert 0 <= point.x_px <= width
        assert 0 <= point.y_px <= height
        assert point.key <= canvas.keys[-1]
    assert all(count > 0 for count in answer.dropped.values())
    assert answer.points or answer.count is not None or answer.dropped
