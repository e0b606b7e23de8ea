from itertools import combinations, pairwise

import pytest
import torch
import torch.nn.functional as F

from tests.fakes.layouts import layout_of_clips
from zoo.errors import ConfigError
from zoo.pruner import Site, SiteView
from zoo.pruning.clustering import VideoGrid
from zoo.pruning.holitom import (
    HoliTom,
    best_segments,
    merged_windows,
    most_similar_kept,
    still_segments,
    still_throughout,
)


def layout_of(lengths, grid=(2, 3)):
    """One token a window of one patch."""
    return layout_of_clips(*lengths, grid=grid, window=(1, 1))


def selection_of(tokens, layout, attention=None, **arguments):
    view = SiteView(
        site=Site("connector.output"),
        tokens=tokens,
        layout=layout,
        clip_seeds=(0,) * layout.frames.num_clips,
        training=False,
    )
    return HoliTom(**arguments).select(
        view, {"attention": torch.zeros(len(tokens)) if attention is None else attention}
    )


def orthogonal(frames, moves=()):
    """(frames * 6, 64): six windows that share nothing; those in `moves` show something else in every frame."""
    basis, spare, rows = torch.eye(64), 6, []
    for _ in range(frames):
        for place in range(6):
            rows.append(basis[spare if place in moves else place])
            spare += place in moves
    return torch.stack(rows)


# -- segments ---------------------------------------------------------------------------------------------------------


def saved_in(still, first, last):
    """Windows that averaging saves in one segment, as the paper counts."""
    places = [p for p in range(still.shape[1]) if all(still[t, p] for t in range(first + 1, last + 1))]
    return len(places) * (last - first) if last > first else 0


def most_saved(still, first, last):
    """By trying every way to cut."""
    between = range(first + 1, last + 1)
    best = 0
    for count in range(len(between) + 1):
        for cuts in combinations(between, count):
            edges = [first, *cuts, last + 1]
            best = max(best, sum(saved_in(still, a, b - 1) for a, b in pairwise(edges)))
    return best


@pytest.mark.parametrize("seed", range(5))
def test_segments_save_as_much_as_the_best_of_all_ways_to_cut(seed):
    lengths = (8, 1, 5)
    grid = VideoGrid.of(layout_of(lengths, (1, 4)))
    still = torch.rand(14, 4, generator=torch.Generator().manual_seed(seed)) < (0.5, 0.7, 0.9, 0.0, 1.1)[seed]
    still &= ~grid.is_first.unsqueeze(1)
    saved = merged_windows(still, grid)
    segment = still_segments(still, grid)
    throughout = still_throughout(still, segment, grid)
    start = 0
    for video, length in enumerate(lengths):
        for last in range(length):
            for before in range(last + 1):
                assert saved[video, last, before] == saved_in(still, start + last - before, start + last)
        own = segment[start : start + length].tolist()
        edges = [*sorted(set(own)), start + length]
        assert edges[0] == start
        assert own == [max(e for e in edges if e <= t) for t in range(start, start + length)]
        gained = sum(saved_in(still, a, b - 1) for a, b in pairwise(edges))
        assert gained == most_saved(still, start, start + length - 1)
        for a, b in pairwise(edges):
            for place in range(4):
                whole = all(still[t, place] for t in range(a + 1, b))
                assert throughout[a:b, place].tolist() == [whole] * (b - a)
        start += length


def test_ties_fall_to_shorter_segments():
    assert best_segments(torch.zeros(1, 3, 3, dtype=torch.int64), torch.tensor([3])).tolist() == [[0, 1, 2]]


# -- the first stage --------------------------------------------------------------------------------------------------


def test_a_still_scene_becomes_its_first_frame():
    selection = selection_of(orthogonal(5), layout_of((5,)), remove=0.8)
    assert selection.merge_into.tolist() == [0, 1, 2, 3, 4, 5] * 5


def test_a_cut_in_the_middle_makes_two_segments():
    tokens = torch.cat([orthogonal(3), orthogonal(2).roll(7, 1)])
    selection = selection_of(tokens, layout_of((5,)), remove=0.6)
    assert selection.merge_into.tolist() == [0, 1, 2, 3, 4, 5] * 3 + [18, 19, 20, 21, 22, 23] * 2


def test_one_moving_window_stays_alone_in_every_frame():
    selection = selection_of(orthogonal(4, moves=(2,)), layout_of((4,)), remove=15 / 24)
    expected = [place if place != 2 else 6 * frame + 2 for frame in range(4) for place in range(6)]
    assert selection.merge_into.tolist() == expected


def test_of_moving_windows_the_most_attended_of_each_frame_are_kept():
    attention = torch.tensor([1.0, 3, 2, 6, 5, 4, 9, 8, 7, 1, 2, 3])
    selection = selection_of(orthogonal(2, moves=range(6)), layout_of((2,)), attention, remove=0.5)
    assert selection.merge_into.tolist() == [-1, -1, -1, 3, 4, 5, 6, 7, 8, -1, -1, -1]
    assert torch.equal(selection.scores, attention)


def test_or_they_are_clustered():
    frame = torch.stack([torch.eye(64)[place // 3] + 0.01 * torch.eye(64)[place] for place in range(6)])
    tokens = torch.cat([frame, frame.roll(9, 1)])
    into = selection_of(tokens, layout_of((2,)), remove=8 / 12, dynamic="clusters").merge_into.tolist()
    assert [into[i] // 3 for i in range(12)] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert len(set(into)) == 4


def test_the_least_similar_merges_in_time_are_undone():
    tokens = orthogonal(4)
    tokens[6 * 3 + 1, 20] = 0.5
    still = [0, 1, 2, 3, 4, 5] * 4
    into = selection_of(tokens, layout_of((4,)), remove=17 / 24).merge_into.tolist()
    assert into == [19 if slot == 19 else to for slot, to in enumerate(still)]


# -- the second stage -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_what_leaves_joins_the_most_similar_kept_of_its_clip(seed):
    generator = torch.Generator().manual_seed(seed)
    layout = layout_of((3, 1, 2))
    tokens = torch.randn(36, 8, generator=generator)
    keep = torch.rand(36, generator=generator) < 0.5
    keep[18:24] = False  # a clip that keeps none
    expected = []
    for i in range(36):
        kept = [j for j in range(36) if keep[j] and layout.clip_of_token[j] == layout.clip_of_token[i]]
        cosines = [float(F.cosine_similarity(tokens[i], tokens[j], dim=0)) for j in kept]
        expected.append(i if keep[i] else kept[cosines.index(max(cosines))] if kept else -1)
    assert most_similar_kept(tokens, keep, layout).tolist() == expected


def test_the_less_attended_half_is_averaged_into_the_rest():
    layout = layout_of((1,), (1, 4))
    tokens = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 5.0]])
    view = SiteView(
        site=Site("llm.layer", 18),
        tokens=tokens,
        layout=layout,
        clip_seeds=(0,),
        training=False,
        received_attention=torch.tensor([4.0, 3.0, 2.0, 1.0]),
    )
    selection = HoliTom(llm_layer=18).select(view, {})
    assert selection.merge_into.tolist() == [0, 1, 0, 1]
    assert selection.apply(tokens, layout).tolist() == [[2, 0], [0, 3]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"remove": -0.1}, r"remove must be in \[0, 1\), got -0.1"),
        ({"static_above": -2}, r"holitom: static_above must be -1 to 1, got -2"),
        ({"dynamic": "all"}, r"holitom: no way 'all' to thin out moving windows; type attention or clusters"),
        ({"neighbours": 0}, r"holitom: neighbours must be 1 or more, got 0"),
        ({"llm_remove": 1.0}, r"holitom: llm_remove must be in \[0, 1\), got 1.0; 0.5 is published"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        HoliTom(**arguments)
