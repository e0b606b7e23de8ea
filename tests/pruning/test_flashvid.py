import pytest
import torch
import torch.nn.functional as F

from tests.fakes.layouts import layout_of_clips
from zoo.errors import ConfigError
from zoo.pruner import Site, SiteView
from zoo.pruning.clustering import VideoGrid, unit_vectors
from zoo.pruning.flashvid import FlashVid, diverse_windows, link_back, relevance, roots, scene_starts


def layout_of(lengths, grid=(2, 3)):
    """One token a window of one patch."""
    return layout_of_clips(*lengths, grid=grid, window=(1, 1))


def into_of(tokens, layout, attention=None, **arguments):
    view = SiteView(
        site=Site("connector.output"),
        tokens=tokens,
        layout=layout,
        clip_seeds=(0,) * layout.frames.num_clips,
        training=False,
    )
    memory = {"attention": torch.ones(len(tokens)) if attention is None else attention}
    return FlashVid(**arguments).select(view, memory).merge_into.tolist()


# -- scenes -----------------------------------------------------------------------------------------------------------


def turned(*degrees):
    angle = torch.tensor(degrees).deg2rad()
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def test_scenes_end_where_frames_differ_and_at_clips():
    grid = VideoGrid.of(layout_of((5, 2)))
    means = turned(0.0, 1, 2, 60, 61, 61, 90)
    assert scene_starts(means, grid, 0.9, 8).tolist() == [0, 0, 0, 3, 3, 5, 6]


def test_long_clips_have_at_least_so_many_scenes():
    grid = VideoGrid.of(layout_of((5, 2)))
    means = turned(0.0, 1, 5, 6, 8, 8, 9)
    assert scene_starts(means, grid, 0.9, 3).tolist() == [0, 0, 2, 2, 4, 5, 5]
    assert scene_starts(means, grid, 0.9, 1).tolist() == [0, 0, 0, 0, 0, 5, 5]
    assert scene_starts(means, grid, 0.9, 2).tolist() == [0, 0, 2, 2, 2, 5, 6]


# -- diverse windows --------------------------------------------------------------------------------------------------


def slow_diverse(distance, weight, count):
    chosen = []
    while len(chosen) < count:
        scores = {
            i: w * min((distance[i][j] for j in chosen), default=1.0) for i, w in enumerate(weight) if i not in chosen
        }
        chosen.append(max(scores, key=lambda i: (scores[i], -i)))
    return sorted(chosen)


@pytest.mark.parametrize("seed", range(5))
def test_diverse_windows_match_a_literal_reference(seed):
    generator = torch.Generator().manual_seed(seed)
    unit = unit_vectors(torch.randn(4, 7, 3, generator=generator))
    weight, alive = torch.rand(4, 7, generator=generator), torch.rand(4, 7, generator=generator) < 0.8
    counts = torch.minimum(torch.tensor([0, 1, 3, 7]), alive.sum(1))
    distance = (1 - unit @ unit.mT).clamp(min=0)
    chosen = diverse_windows(distance, weight, alive, counts, 7)
    for frame in range(4):
        living = alive[frame].nonzero().flatten()
        expected = slow_diverse(
            distance[frame][living][:, living].tolist(), weight[frame, living].tolist(), int(counts[frame])
        )
        assert chosen[frame].nonzero().flatten().tolist() == living[expected].tolist()


def test_ties_fall_to_the_earlier_place():
    every = torch.ones(1, 4, dtype=torch.bool)
    chosen = diverse_windows(torch.zeros(1, 4, 4), torch.ones(1, 4), every, torch.tensor([2]), 2)
    assert chosen.tolist() == [[True, True, False, False]]


def test_relevance_is_the_mean_likeness_to_the_frames_of_the_segment():
    unit = unit_vectors(torch.randn(3, 2, 4))
    means, segment = torch.randn(3, 4), torch.tensor([0, 0, 2])
    found = relevance(unit, means, segment)
    for frame, of_segment in ((0, (0, 1)), (1, (0, 1)), (2, (2,))):
        for place in range(2):
            cosines = [float(F.cosine_similarity(unit[frame, place], means[t], dim=0)) for t in of_segment]
            assert found[frame, place] == pytest.approx((1 + sum(cosines) / len(cosines)) / 2, abs=1e-5)


# -- trees ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_links_match_a_literal_reference(seed):
    generator = torch.Generator().manual_seed(seed)
    grid = VideoGrid.of(layout_of((5, 3), (1, 4)))
    unit = unit_vectors(torch.randn(8, 4, 3, generator=generator))
    rest, segment = torch.rand(8, 4, generator=generator) < 0.7, torch.tensor([0, 0, 0, 3, 3, 5, 5, 5])
    parent, similarity = link_back(unit, rest, segment, grid)
    for frame in range(8):
        for place in range(4):
            slot = frame * 4 + place
            cosines = {}
            if frame and segment[frame] == segment[frame - 1] and rest[frame, place]:
                cosines = {p: float(unit[frame, place] @ unit[frame - 1, p]) for p in range(4) if rest[frame - 1, p]}
            best = max(cosines, key=cosines.get) if cosines else None
            assert parent[slot] == (slot if best is None else slot - place - 4 + best)
            assert similarity[slot] == (-torch.inf if best is None else pytest.approx(cosines[best], abs=1e-6))


def test_roots_are_where_links_end():
    parent = torch.tensor([0, 0, 1, 2, 3, 5, 5])
    assert roots(parent, 2).tolist() == [0, 0, 0, 0, 0, 5, 5]


def wandering(frames):
    """(frames * 6, 64): one content moves on by a place a frame, the others show something new in every frame."""
    tokens = torch.eye(64)[1 : 1 + 6 * frames]
    for frame in range(frames):
        tokens[6 * frame + frame] = torch.eye(64)[0]
    return tokens


def test_a_tree_follows_what_moves():
    into = into_of(
        wandering(4), layout_of((4,)), remove=3 / 24, diverse=0.0, min_segments=1, cut_below=-1.0, link_above=0.8
    )
    assert [into[slot] for slot in (0, 7, 14, 21)] == [0, 0, 0, 0]
    assert [to for slot, to in enumerate(into) if slot not in (7, 14, 21)] == [
        slot for slot in range(24) if slot not in (7, 14, 21)
    ]


def test_a_scene_cut_ends_the_trees():
    still = torch.eye(64)[:6].repeat(4, 1)
    tokens = torch.cat([still[:12], still[12:].roll(9, 1)])
    into = into_of(tokens, layout_of((4,)), remove=0.5, diverse=0.0)
    assert into == [0, 1, 2, 3, 4, 5] * 2 + [12, 13, 14, 15, 16, 17] * 2
    tokens[12:] = still[12:]
    assert into_of(tokens, layout_of((4,)), remove=0.75, diverse=0.0) == [0, 1, 2, 3, 4, 5] * 4


def test_the_least_similar_links_are_not_made_where_too_many_would_leave():
    tokens = torch.eye(64)[:6].repeat(4, 1)
    tokens[6 * 3 + 1, 20] = 0.5
    into = into_of(tokens, layout_of((4,)), remove=17 / 24, diverse=0.0)
    assert into == [19 if slot == 19 else place for slot, place in enumerate([0, 1, 2, 3, 4, 5] * 4)]


def test_attended_windows_that_differ_are_kept_as_they_are():
    """Of three windows a frame two are chosen: the most attended, then not its copy, but what differs."""
    frame = torch.stack([torch.eye(64)[0], torch.eye(64)[0], torch.eye(64)[1], torch.eye(64)[2]])
    attention = torch.tensor([0.9, 1.0, 0.5, 0.4] * 2)
    tokens = torch.cat([frame, frame.roll(9, 1)])
    into = into_of(tokens, layout_of((2,), (1, 4)), attention, remove=0.5, diverse=1.0)
    assert into == [-1, 1, 2, -1, -1, 5, 6, -1]


def test_trees_that_are_too_many_are_clustered():
    frame = torch.stack([torch.eye(64)[place // 3] + 0.01 * torch.eye(64)[place] for place in range(6)])
    into = into_of(frame, layout_of((1,)), remove=4 / 6, diverse=0.0)
    assert [to // 3 for to in into] == [0, 0, 0, 1, 1, 1]
    assert len(set(into)) == 2


# -- the second stage -------------------------------------------------------------------------------------------------


def test_the_answer_keeps_what_it_attends_most():
    view = SiteView(
        site=Site("llm.layer", 20),
        tokens=torch.zeros(10, 4),
        layout=layout_of((1,), (1, 10)),
        clip_seeds=(0,),
        training=False,
        received_attention=torch.arange(10.0),
    )
    selection = FlashVid(llm_layer=20).select(view, {})
    assert selection.keep.tolist() == [False] * 7 + [True] * 3
    assert not selection.prune_cache


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"remove": 1.0}, r"remove must be in \[0, 1\), got 1.0"),
        ({"diverse": 1.1}, r"flashvid: diverse must be 0 to 1, got 1.1; 0.7 is published"),
        ({"cut_below": 2}, r"flashvid: cut_below must be -1 to 1, got 2"),
        ({"min_segments": 0}, r"flashvid: min_segments must be 1 or more, got 0"),
        ({"link_above": -1.1}, r"flashvid: link_above must be -1 to 1, got -1.1"),
        ({"neighbours": 0}, r"flashvid: neighbours must be 1 or more, got 0"),
        ({"llm_remove": 1}, r"flashvid: llm_remove must be in \[0, 1\), got 1; 0.7 is published"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        FlashVid(**arguments)
