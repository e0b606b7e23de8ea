"""Drawn points lie where they are said to lie."""

import numpy as np

from zoo.points import Point
from zoo.report.places import COLOURS, canvas_of, colour_of, draw_places, has_places, strip_of_places
from zoo.shards.decode import Clip, still_clip


def grey(num_frames, size=(120, 80)):
    return Clip(
        frames=np.full((num_frames, size[1], size[0], 3), 90, np.uint8),
        times_s=np.arange(num_frames) / 2,
        indices=np.arange(num_frames),
    )


def where(picture, colour):
    """(x, y) of the middle of the pixels of a colour, 0 at the outer edge of the first pixel."""
    rows, columns = np.nonzero((np.asarray(picture) == colour).all(-1))
    return (columns.mean() + 0.5, rows.mean() + 0.5) if len(rows) else None


def test_a_dot_lies_at_its_point_in_its_frame():
    pictures = draw_places(grey(3), [Point(0.5, 1, 30.0, 50.0), Point(1.0, 2, 90.0, 20.0)])
    assert where(pictures[0], colour_of(1)) is None
    assert np.allclose(where(pictures[1], colour_of(1)), (30, 50), atol=3)  # the number beside it pulls a little
    assert np.asarray(pictures[1])[49, 29].tolist() == list(colour_of(1))
    assert np.asarray(pictures[2])[19, 89].tolist() == list(colour_of(2))
    assert (np.asarray(pictures[0]) == 90).all()


def test_pictures_may_be_enlarged():
    (picture,) = draw_places(grey(1), [Point(1, 1, 30.0, 50.0)], scale=2.0)
    assert picture.size == (240, 160)
    assert np.asarray(picture)[99, 59].tolist() == list(colour_of(1))


def test_a_track_has_a_line_from_where_it_was():
    track = [Point(0.0, 1, 20.0, 40.0), Point(0.5, 1, 100.0, 40.0)]
    first, second, third = draw_places(grey(3), track)
    assert np.asarray(first)[39, 60].tolist() == [90, 90, 90]
    assert np.asarray(second)[39, 60].tolist() == list(colour_of(1))
    assert np.asarray(third)[39, 60].tolist() == list(colour_of(1))


def test_the_truth_is_a_ring():
    (picture,) = draw_places(grey(1), [], truth=[Point(1, 1, 60.0, 40.0)])
    pixels = np.asarray(picture)
    assert pixels[39, 59].tolist() == [90, 90, 90]
    assert (pixels == 255).all(-1).sum() > 8


def test_colours_begin_again():
    assert colour_of(1) == colour_of(1 + len(COLOURS)) != colour_of(2)


def test_only_frames_that_are_pointed_at_are_in_a_strip():
    clip = grey(4)
    html = strip_of_places(
        clip, '<points coords="0.5 1 500 500">x</points>', '<points coords="1.0 1 500 500">x</points>'
    )
    assert html.count("<figure>") == 2
    assert "0.5 s" in html
    assert "1.0 s" in html
    assert strip_of_places(clip, "There are none.", "There are none.") == ""
    assert strip_of_places(clip, "<points", "x") == ""


def test_what_has_places():
    assert has_places("There are 2 <points ")
    assert not has_places("There are none.")
    assert canvas_of(grey(1)).keys == (1.0,)
    assert canvas_of(grey(2)).keys == (0.0, 0.5)


def test_several_images_are_drawn_each_in_its_size():
    clip = still_clip([np.full((80, 120, 3), 90, np.uint8), np.full((200, 40, 3), 90, np.uint8)])
    assert canvas_of(clip).sizes_px == ((120, 80), (40, 200))
    first, second = draw_places(clip, [Point(1, 1, 30.0, 50.0), Point(2, 1, 10.0, 150.0)], scale=(1.0, 0.5))
    assert (first.size, second.size) == ((120, 80), (20, 100))
    assert np.asarray(first)[49, 29].tolist() == list(colour_of(1))
    assert np.asarray(second)[74, 4].tolist() == list(colour_of(1))
    assert np.asarray(second)[25, 10].tolist() == [90, 90, 90]  # one id in two images is no track
    html = strip_of_places(clip, '<points coords="2 1 500 500">x</points>', "There are none.")
    assert html.count("<figure>") == 1
    assert "Image 2" in html
