from itertools import pairwise, product

import pytest
import torch
import torch.nn.functional as F

from tests.fakes.layouts import layout_of_clips
from zoo.errors import ConfigError
from zoo.pruner import Site, SiteView
from zoo.pruning.clustering import VideoGrid, unit_vectors
from zoo.pruning.prunevid import PruneVid, frame_segments, runs_around, static_windows


def layout_of(lengths, grid=(2, 3)):
    """One token a window of one patch."""
    return layout_of_clips(*lengths, grid=grid, window=(1, 1))


def into_of(tokens, layout, **arguments):
    view = SiteView(
        site=Site("connector.output"),
        tokens=tokens,
        layout=layout,
        clip_seeds=(0,) * layout.frames.num_clips,
        training=False,
    )
    return PruneVid(**arguments).select(view, {}).merge_into.tolist()


def orthogonal(frames, moves=()):
    """(frames * 6, 64): six windows that share nothing; those in `moves` show something else in every frame."""
    basis, spare, rows = torch.eye(64), 6, []
    for _ in range(frames):
        for place in range(6):
            rows.append(basis[spare if place in moves else place])
            spare += place in moves
    return torch.stack(rows)


# -- segments ---------------------------------------------------------------------------------------------------------


def slow_runs(distance, centres):
    """Try every way to cut between neighbouring centres."""
    ends = []
    for before, after in pairwise(centres):
        costs = [
            sum(distance[t][before] for t in range(before, cut))
            + sum(distance[t][after] for t in range(cut, after + 1))
            for cut in range(before + 1, after + 1)
        ]
        ends.append(before + 1 + costs.index(min(costs)))
    starts = [0, *ends]
    return [max(s for s in starts if s <= t) for t in range(len(distance))]


@pytest.mark.parametrize("seed", range(6))
def test_runs_lie_where_frames_are_nearest_to_their_centre(seed):
    generator = torch.Generator().manual_seed(seed)
    distance = torch.rand(3, 9, 9, generator=generator)
    centres = torch.rand(3, 9, generator=generator) < 0.4
    centres[:, int(torch.randint(9, (1,), generator=generator))] = True
    found = runs_around(distance, centres).tolist()
    for video in range(3):
        assert found[video] == slow_runs(distance[video].double().tolist(), centres[video].nonzero().flatten().tolist())


def test_equal_frames_are_cut_at_once():
    centres = torch.tensor([[False, True, False, False, True]])
    assert runs_around(torch.zeros(1, 5, 5), centres).tolist() == [[0, 0, 2, 2, 2]]


def test_a_cut_in_the_middle_is_found_and_every_video_has_its_share():
    grid = VideoGrid.of(layout_of((8, 1, 4), (1, 1)))
    means = torch.tensor([0.0, 0.1, 0.2, 0.1, 9.0, 9.1, 9.2, 9.1, 5, 1, 1, 3, 3]).unsqueeze(1)
    assert frame_segments(means, grid, 0.25, 3).tolist() == [0, 0, 0, 0, 4, 4, 4, 4, 8, 9, 9, 9, 9]
    assert frame_segments(means, grid, 0.5, 1).tolist()[9:] == [9, 9, 11, 11]
    assert frame_segments(means, grid, 1.0, 7).tolist() == list(range(13))


# -- static windows ---------------------------------------------------------------------------------------------------


def slow_static(unit, alive, segment, above):
    frames, places = alive.shape
    static, similarity = torch.zeros(frames, places, dtype=torch.bool), torch.zeros(frames, places)
    for t, p in product(range(frames), range(places)):
        if not alive[t, p]:
            continue
        members = [s for s in range(frames) if segment[s] == segment[t] and alive[s, p]]
        pairs = [float(unit[a, p] @ unit[b, p]) for a in members for b in members if a != b]
        static[t, p] = bool(pairs) and sum(pairs) / len(pairs) > above
        similarity[t, p] = F.cosine_similarity(unit[t, p], sum(unit[s, p] for s in members), dim=0)
    return static, similarity


@pytest.mark.parametrize("seed", range(4))
def test_static_places_match_a_literal_reference(seed):
    generator = torch.Generator().manual_seed(seed)
    layout = layout_of((6, 3))
    keep = torch.rand(54, generator=generator) < 0.8
    grid = VideoGrid.of(layout.keep(keep))
    unit = unit_vectors(grid.spread(torch.randn(int(keep.sum()), 4, generator=generator) + 1))
    segment = torch.tensor([0, 0, 0, 3, 3, 5, 6, 6, 6])
    static, similarity = static_windows(unit, segment, grid, 0.3)
    slow, slow_similarity = slow_static(unit, grid.alive, segment, 0.3)
    assert torch.equal(static, slow)
    assert 0 < static.sum() < grid.alive.sum()
    torch.testing.assert_close(similarity, slow_similarity, rtol=1e-5, atol=1e-6)


# -- the first stage --------------------------------------------------------------------------------------------------


def test_a_still_scene_becomes_its_first_frame():
    assert into_of(orthogonal(4), layout_of((4,)), remove=0.75) == [0, 1, 2, 3, 4, 5] * 4


def test_one_moving_window_stays_alone_in_every_frame():
    into = into_of(orthogonal(4, moves=(5,)), layout_of((4,)), remove=15 / 24)
    assert into == [place if place < 5 else 6 * frame + 5 for frame in range(4) for place in range(6)]


def test_scenes_are_merged_apart():
    tokens = torch.cat([orthogonal(4), orthogonal(4).roll(7, 1)])
    into = into_of(tokens, layout_of((8,)), remove=0.75)
    assert into == [0, 1, 2, 3, 4, 5] * 4 + [24, 25, 26, 27, 28, 29] * 4


def test_the_windows_least_like_the_mean_of_their_place_stay_alone():
    tokens = orthogonal(4)
    tokens[6 * 2 + 3, 20], tokens[6 * 3 + 1, 21] = 0.5, 0.2  # the third frame's fourth window, the fourth's second
    still = [0, 1, 2, 3, 4, 5] * 4
    assert into_of(tokens, layout_of((4,)), remove=17 / 24) == [
        15 if slot == 15 else to for slot, to in enumerate(still)
    ]
    two_alone = [slot if slot in (15, 19) else to for slot, to in enumerate(still)]
    assert into_of(tokens, layout_of((4,)), remove=16 / 24) == two_alone


def test_what_time_leaves_is_clustered_in_space():
    """Windows 0 to 2 and 3 to 5 of a still scene are near copies: two clusters of three, each for four frames."""
    frame = torch.stack([torch.eye(64)[place // 3] + 0.01 * torch.eye(64)[place] for place in range(6)])
    into = into_of(frame.repeat(4, 1), layout_of((4,)), remove=22 / 24)
    assert len(set(into)) == 2
    assert into == into[:6] * 4
    assert into[0] == into[1] == into[2] != into[3] == into[4] == into[5]


def test_a_mean_weighs_every_frame_of_a_still_window():
    layout, tokens = layout_of((2,), (1, 2)), torch.tensor([[1.0, 0.0], [0.9, 0.3], [1.0, 0.0], [0.9, 0.3]])
    view = SiteView(site=Site("connector.output"), tokens=tokens, layout=layout, clip_seeds=(0,), training=False)
    selection = PruneVid(remove=0.75).select(view, {})
    torch.testing.assert_close(selection.apply(tokens, layout), torch.tensor([[0.95, 0.15]]))
    assert selection.layout_after(layout).patches_per_token.tolist() == [4]


# -- the second stage -------------------------------------------------------------------------------------------------


def test_the_question_chooses_by_its_largest_attention_and_the_cache_is_cut_too():
    pruner = PruneVid(llm_layer=10)
    assert (pruner.attention_rows, pruner.attention_reduction) == ("text", "max")
    layout, received = layout_of((1, 1), (1, 5)), torch.tensor([5.0, 1, 4, 2, 3, 1, 2, 3, 4, 5])
    view = SiteView(
        site=Site("llm.layer", 10),
        tokens=torch.zeros(10, 4),
        layout=layout,
        clip_seeds=(0, 1),
        training=False,
        received_attention=received,
    )
    selection = pruner.select(view, {})
    assert selection.keep.nonzero().flatten().tolist() == [0, 2, 8, 9]
    assert selection.prune_cache
    assert selection.merge_into is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"remove": 1.0}, r"remove must be in \[0, 1\), got 1.0"),
        ({"segment_share": 0}, r"prunevid: segment_share must be in \(0, 1\], got 0; 0.25 makes one"),
        ({"static_above": 1.5}, r"prunevid: static_above must be -1 to 1, got 1.5; 0.8 is published"),
        ({"neighbours": 0}, r"prunevid: neighbours must be 1 or more, got 0"),
        ({"llm_remove": 1}, r"prunevid: llm_remove must be in \[0, 1\), got 1; 0.6 is published"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        PruneVid(**arguments)
