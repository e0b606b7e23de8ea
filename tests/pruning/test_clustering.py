import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import ConfigError
from zoo.frames import Frames
from zoo.layout import TokenLayout
from zoo.pruning.clustering import (
    VideoGrid,
    apportion,
    best_of_group,
    check_range,
    check_share,
    cluster_rows,
    cosine_to_previous,
    count_joined,
    doublings,
    dpc_knn,
    frame_means,
    join_in_time,
    mean_of_joined,
    merge_in_space,
    squared_distances,
    static_rows,
    then,
    unit_vectors,
)


def layout_of(lengths, grid=(2, 2), images=()):
    """One token a window of one patch; clips in `images` are no videos."""
    clip = tuple(number for number, length in enumerate(lengths) for _ in range(length))
    frames = Frames(
        clip=clip,
        time_s=tuple(float(t) for t in range(len(clip))),
        size_px=((8, 8),) * len(clip),
        window=((1, 1),) * len(clip),
        is_video=tuple(number not in images for number in clip),
    )
    return TokenLayout.of_frames(frames, grid)


def grid_of(lengths, grid=(2, 2), dead=()):
    layout = layout_of(lengths, grid)
    keep = torch.ones(layout.num_tokens, dtype=torch.bool)
    keep[list(dead)] = False
    return VideoGrid.of(layout.keep(keep))


def slow_dpc_knn(vectors, clusters, neighbours):
    """Cluster a list of vectors literally; the numbers are plain Python's."""
    n = len(vectors)
    distance = [
        [math.sqrt(sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) / len(x)) for y in vectors] for x in vectors
    ]
    density = []
    for row in distance:
        nearest = sorted(row)[:neighbours]
        density.append(math.exp(-sum(d * d for d in nearest) / len(nearest)))
    scores = []
    for i in range(n):
        denser = [j for j in range(n) if density[j] > density[i] or (density[j] == density[i] and j < i)]
        gap = min(distance[i][j] for j in denser) if denser else max(map(max, distance))
        scores.append(density[i] * gap)
    centres = sorted(range(n), key=lambda i: (-scores[i], i))[:clusters]
    joined = []
    for i in range(n):
        if not centres:
            joined.append(-1)
        else:
            joined.append(i if i in centres else min(sorted(centres), key=lambda c: (distance[i][c], c)))
    return joined


# -- density peaks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_density_peaks_match_a_literal_reference(seed):
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(6, 9, 5, generator=generator) + 3
    alive = torch.rand(6, 9, generator=generator) < 0.8
    clusters = torch.randint(0, 10, (6,), generator=generator)
    found = dpc_knn(vectors * alive.unsqueeze(2), alive, clusters, 4)
    for group in range(6):
        living = alive[group].nonzero().flatten().tolist()
        expected = slow_dpc_knn(vectors[group][living].double().tolist(), int(clusters[group]), 4)
        full = [-1] * 9
        for place, centre in zip(living, expected, strict=True):
            full[place] = living[centre] if centre >= 0 else -1
        assert found[group].tolist() == full


def test_two_heaps_give_two_clusters():
    vectors = torch.tensor([[[0.0], [0.1], [0.2], [5.0], [5.1], [5.2], [5.3]]])
    joined = dpc_knn(vectors, torch.ones(1, 7, dtype=torch.bool), torch.tensor([2]), 3)
    assert len(set(joined[0, :3].tolist())) == 1
    assert len(set(joined[0, 3:].tolist())) == 1
    assert joined[0, 0] != joined[0, 3]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_a_large_scale_does_not_turn_densities_into_ties(scale):
    vectors = torch.tensor([[[9.0], [0.0], [0.1], [0.3], [8.0]]]) * scale
    joined = dpc_knn(vectors, torch.ones(1, 5, dtype=torch.bool), torch.tensor([1]), 2)
    assert joined.tolist() == [[1] * 5]  # exp(-5e5) would be 0, and the first vector the first of equals


@pytest.mark.parametrize("value", [0.0, 0.1, 1234.567])
def test_equal_vectors_are_at_distance_zero_and_ties_fall_to_the_earlier(value):
    vectors = torch.full((1, 5, 64), value)
    alive = torch.tensor([[False, True, True, True, True]])
    assert not squared_distances(vectors, alive)[:, 1:, 1:].any()
    assert dpc_knn(vectors, alive, torch.tensor([2]), 3).tolist() == [[-1, 1, 2, 1, 1]]


@given(st.integers(0, 10_000), st.integers(1, 7), st.integers(0, 9), st.integers(1, 9))
def test_there_are_exactly_as_many_clusters_and_all_join_a_centre(seed, size, clusters, neighbours):
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randint(-1, 2, (1, 7, 2), generator=generator).float()  # many ties and copies
    alive = torch.arange(7)[None] < size
    joined = dpc_knn(vectors, alive, torch.tensor([clusters]), neighbours)[0]
    centres = {place for place in range(7) if joined[place] == place}
    assert len(centres) == min(clusters, size)
    assert set(joined[:size].tolist()) == (centres or {-1})
    assert (joined[size:] == -1).all()


# -- shares and ranks -------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=1, max_size=12), st.data())
def test_shares_add_up_and_no_group_gets_more_than_it_has(groups, data):
    sizes, owner = (torch.tensor(column) for column in zip(*groups, strict=True))
    most = [int(sizes[owner == number].sum()) for number in range(3)]
    totals = torch.tensor([data.draw(st.integers(0, limit)) for limit in most])
    shares = apportion(sizes, owner, totals)
    assert ((shares >= 0) & (shares <= sizes)).all()
    for number in range(3):
        mine = shares[owner == number]
        filled = sizes[owner == number] > 0
        assert mine.sum() == totals[number]
        if totals[number] >= filled.sum():
            assert (mine[filled] >= 1).all()


def test_shares_are_proportional_and_remainders_go_to_the_largest():
    assert apportion(torch.tensor([9, 5, 1]), torch.zeros(3, dtype=torch.int64), torch.tensor([8])).tolist() == [
        4,
        3,
        1,
    ]
    assert apportion(torch.tensor([2, 2, 2]), torch.zeros(3, dtype=torch.int64), torch.tensor([2])).tolist() == [
        1,
        1,
        0,
    ]


def test_the_best_of_each_group_with_ties_to_the_earlier():
    scores, group = torch.tensor([1.0, 3.0, 2.0, 5.0, 5.0, 5.0]), torch.tensor([1, 1, 1, 0, 0, 0])
    assert best_of_group(scores, group, torch.tensor([2, 1])).tolist() == [False, True, False, True, True, False]
    eligible = torch.tensor([True, False, True, False, True, False])
    chosen = best_of_group(scores, group, torch.tensor([2, 1]), eligible)
    assert chosen.tolist() == [False, False, True, False, True, False]


# -- the grid ---------------------------------------------------------------------------------------------------------


def test_images_and_dead_windows_are_not_on_the_grid():
    layout = layout_of((2, 1, 1), images=(1,))
    keep = torch.ones(16, dtype=torch.bool)
    keep[[1, 6]] = False
    layout = layout.keep(keep)
    grid = VideoGrid.of(layout)
    assert grid.token.tolist() == [[0, -1, 1, 2], [3, 4, -1, 5], [10, 11, 12, 13]]
    assert grid.clip.tolist() == [0, 0, 2]
    assert grid.lengths == (2, 1)
    assert grid.is_first.tolist() == [True, False, True]
    assert grid.frames_of_video.tolist() == [[0, 1], [2, -1]]
    assert grid.by_frame(torch.tensor([[5, 6], [7, 0]])).tolist() == [5, 6, 7]
    spread = grid.spread(torch.arange(1.0, 15.0))
    assert spread.tolist() == [[1, 0, 2, 3], [4, 5, 0, 6], [11, 12, 13, 14]]
    assert VideoGrid.of(layout_of((2,), images=(0,))) is None


def test_a_merge_map_of_slots_becomes_one_of_tokens():
    layout = layout_of((1, 2), images=(0,))
    into = torch.tensor([0, 0, -1, 3, 4, 0, 6, 3])
    selection = VideoGrid.of(layout).selection(into)
    assert selection.merge_into.tolist() == [0, 1, 2, 3, 4, 4, -1, 7, 8, 4, 10, 7]
    assert selection.keep.tolist() == [True, True, True, True, True, False, False, True, True, False, True, False]


def test_frame_means_are_of_the_living():
    grid = grid_of((2,), dead=(0, 4, 5, 6, 7))
    vectors = grid.spread(torch.tensor([[2.0], [4.0], [9.0]]))
    assert frame_means(vectors, grid.alive).tolist() == [[5.0], [0.0]]


def test_cosines_to_the_frame_before_stop_at_clips_and_at_the_dead():
    grid = grid_of((2, 1), dead=(1,))
    unit = unit_vectors(grid.spread(torch.tensor([1.0, -1, 1, 1, 1, 1, -2, 3, 3, 3, 3]).unsqueeze(1)))
    inf = torch.inf
    assert cosine_to_previous(unit, grid).tolist() == [[-inf] * 4, [1, -inf, -1, -1], [-inf] * 4]


# -- merges -----------------------------------------------------------------------------------------------------------


def test_static_windows_join_the_first_of_their_segment():
    grid = grid_of((3, 1), (1, 2))
    static = torch.tensor([[True, False], [True, True], [True, True], [True, True]])
    segment = torch.tensor([0, 0, 0, 3])
    into = join_in_time(static, torch.zeros(4, 2), segment, grid, torch.tensor([9, 9]))
    assert into.tolist() == [0, 1, 0, 3, 0, 3, 6, 7]


def test_the_least_similar_stay_alone_where_too_many_would_join():
    grid = grid_of((3,), (1, 2))
    similarity = torch.tensor([[0.0, 0.0], [0.9, 0.95], [0.85, 0.99]])
    static, segment = torch.ones(3, 2, dtype=torch.bool), torch.zeros(3, dtype=torch.int64)
    joined = [join_in_time(static, similarity, segment, grid, torch.tensor([most])).tolist() for most in (0, 1, 3)]
    assert joined == [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 1], [0, 1, 0, 1, 4, 1]]


def test_means_and_counts_of_what_joined():
    grid = grid_of((2,), (1, 2), dead=(3,))
    into = torch.tensor([0, 1, 0, 3])
    vectors = grid.spread(torch.tensor([[1.0], [7.0], [3.0]]))
    assert mean_of_joined(vectors, grid, into).flatten().tolist() == [2, 7, 0, 0]
    assert count_joined(grid, into).tolist() == [2, 1, 0, 0]


def test_averaged_windows_are_gathered_by_segment():
    grid = grid_of((3,), (1, 2))
    averaged = torch.tensor([[True, False], [False, True], [False, False]])
    assert static_rows(averaged, torch.zeros(3, dtype=torch.int64), grid).tolist() == [[0, 3], [-1, -1], [-1, -1]]


def test_rows_are_clustered_to_their_counts_and_others_stay():
    vectors = torch.tensor([0.0, 5.0, 0.1, 7.0, 0.2, 9.0]).view(3, 2, 1)
    members = torch.tensor([[0, 2], [4, -1], [5, 3]])
    assert cluster_rows(vectors, members, torch.tensor([1, 0, 2]), 2).tolist() == [0, 1, 0, 3, -1, 5]


def test_maps_compose_and_what_is_dropped_stays_dropped():
    assert then(torch.tensor([0, 0, 2, -1]), torch.tensor([2, 1, 2, 3])).tolist() == [2, 2, 2, -1]
    assert then(torch.tensor([0, 0, 2]), torch.tensor([-1, 1, 2])).tolist() == [-1, -1, 2]


def test_space_pays_what_time_has_left():
    """Places 0 and 1 were averaged over both frames; 2 and 3 move; three of six survivors stay."""
    grid = grid_of((2,))
    vectors = torch.tensor([[0.0, 0.1, 5.0, 9.0], [0.0, 0.1, 5.5, 5.6]]).unsqueeze(2)
    in_time = torch.tensor([0, 1, 2, 3, 0, 1, 6, 7])
    segment, kept = torch.zeros(2, dtype=torch.int64), torch.tensor([3])
    into = merge_in_space(vectors, in_time, segment, grid, kept, neighbours=2)
    assert into.tolist() == [0, 0, 2, 2, 0, 0, 6, 6]
    scores = torch.tensor([[0.0, 0.0, 0.3, 0.9], [0.0, 0.0, 0.8, 0.7]])
    into = merge_in_space(vectors, in_time, segment, grid, kept, neighbours=2, scores=scores)
    assert into.tolist() == [0, 0, -1, 3, 0, 0, 6, -1]


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8, 9])
def test_pointers_reach_the_end_of_a_chain(length):
    parent = torch.arange(-1, length - 1).clamp(min=0)
    for _ in range(doublings((1, length))):
        parent = parent[parent]
    assert not parent.any()


# -- arguments --------------------------------------------------------------------------------------------------------


def test_numbers_outside_their_range_are_refused():
    check_range("a", "b", 1, 1, float("inf"), "c")
    with pytest.raises(ConfigError, match=r"prunevid: above must be -1 to 1, got 2; 0.8 is published"):
        check_range("prunevid", "above", 2, -1, 1, "0.8 is published")
    with pytest.raises(ConfigError, match=r"a: neighbours must be 1 or more, got 0; 7 is usual"):
        check_range("a", "neighbours", 0, 1, float("inf"), "7 is usual")
    with pytest.raises(ConfigError, match=r"a: llm_remove must be in \[0, 1\), got 1"):
        check_share("a", "llm_remove", 1, "0.5 is published")
