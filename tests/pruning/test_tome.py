"""ToMe against its published rule written as loops, its budgets, and its effect within a trunk."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.attention import attend
from zoo.errors import ConfigError
from zoo.frames import Frames
from zoo.layout import TokenLayout
from zoo.pruner import ClipSize, Selection, Site, SiteView, TrunkShape
from zoo.pruning.tome import ToMe, best_links, log_size, merge_rows, merge_windows, plan_steps, tokens_after_blocks
from zoo.segments import Segments

SEEDS = (1, 2, 3, 4)


def frames_of(*clips: int, is_video: tuple[bool, ...] = ()) -> Frames:
    clip = tuple(number for number, count in enumerate(clips) for _ in range(count))
    count = len(clip)
    videos = tuple(is_video[number] for number in clip) if is_video else ()
    return Frames(
        clip=clip, time_s=(0.0,) * count, size_px=((9, 9),) * count, window=((3, 3),) * count, is_video=videos
    )


def trunk(num_blocks: int, grid: tuple[int, int] = (6, 6)) -> TrunkShape:
    return TrunkShape(
        vision_size=8,
        vision_heads=2,
        num_blocks=num_blocks,
        grid=grid,
        video_window=(3, 3),
        hidden_size=8,
        num_layers=2,
    )


def built(num_blocks: int = 3, **arguments: object) -> ToMe:
    pruner = ToMe(**arguments)
    pruner.build(trunk(num_blocks))
    return pruner


def view_of(layout: TokenLayout, site: Site, tokens: torch.Tensor, keys: torch.Tensor | None = None) -> SiteView:
    return SiteView(site=site, tokens=tokens, layout=layout, clip_seeds=(), training=False, keys=keys)


def through_blocks(pruner: ToMe, layout: TokenLayout, seed: int = 0) -> tuple[TokenLayout, torch.Tensor]:
    """The layout behind the vision encoder, and its tokens, when nothing else happens there."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(layout.num_tokens, 5, generator=generator)
    for site in pruner.sites():
        if site.stage == "vit.attention":
            keys = torch.randn(layout.num_tokens, 2, 4, generator=generator)
            selection = pruner.select(view_of(layout, site, tokens, keys), {})
            tokens, layout = selection.apply(tokens, layout), selection.layout_after(layout)
    return layout, tokens


# -- the published rule as loops ---------------------------------------------------------------------------------------


def cosine(x: torch.Tensor, y: torch.Tensor) -> float:
    return float(x.double() @ y.double() / (x.double().norm() * y.double().norm()))


def ranked_links(tokens: list[int], metric: torch.Tensor) -> list[tuple[float, int, int]]:
    """(similarity, A token, its B token) of one frame, best first."""
    links = []
    for place in range(0, len(tokens), 2):
        partners = [(cosine(metric[tokens[place]], metric[tokens[p]]), -p) for p in range(1, len(tokens), 2)]
        if partners:
            similarity, partner = max(partners)
            links.append((similarity, tokens[place], tokens[-partner]))
    return sorted(links, key=lambda link: (-link[0], link[1]))


def loop_windows(vectors: torch.Tensor, sizes: list[int], frames: list[list[int]], drop: int) -> dict[int, list[int]]:
    """The windows that each surviving window of one clip stands for."""
    state = {t: vectors[t].double() for frame in frames for t in frame}
    mass = {t: sizes[t] for t in state}
    members = {t: [t] for t in state}
    while drop:
        if all(len(frame) < 2 for frame in frames):
            frames = [[t for frame in frames for t in frame]]
        offered = [link for frame in frames for link in ranked_links(frame, state)[: len(frame) // 2]]
        offered.sort(key=lambda link: (-link[0], link[1]))
        for _, source, target in offered[:drop]:
            state[target] = state[target] * mass[target] + state[source] * mass[source]
            mass[target] += mass[source]
            state[target] /= mass[target]
            members[target] += members.pop(source)
        gone = {source for _, source, _ in offered[:drop]}
        frames = [[t for t in frame if t not in gone] for frame in frames]
        drop -= len(gone)
    return members


# -- pure functions ----------------------------------------------------------------------------------------------------


def test_five_tokens_merge_as_by_hand():
    angle = torch.tensor([0.0, 10.0, 80.0, 90.0, 91.0]).deg2rad()  # A: 0, 2, 4; B: 1, 3
    metric = torch.stack([angle.cos(), angle.sin()], dim=1)
    links = best_links(metric, torch.arange(5).unsqueeze(0))
    assert links.source.tolist() == [[0, 2, 4]]
    assert links.target.tolist() == [[1, 3, 3]]
    assert links.rank.tolist() == [[1, 2, 0]]
    assert merge_rows(metric, torch.arange(5).unsqueeze(0), [1]).tolist() == [0, 1, 2, 3, 3]
    assert merge_rows(metric, torch.arange(5).unsqueeze(0), [2]).tolist() == [1, 1, 2, 3, 3]


def test_a_row_of_one_token_has_no_link():
    table = torch.tensor([[0], [1]])
    assert best_links(torch.ones(2, 3), table).similarity.tolist() == [[-torch.inf], [-torch.inf]]
    assert merge_rows(torch.ones(2, 3), table, [0, 0]).tolist() == [0, 1]


@pytest.mark.parametrize("seed", SEEDS)
def test_ragged_frames_merge_as_in_loops(seed):
    generator = torch.Generator().manual_seed(seed)
    metric = torch.randn(14, 3, generator=generator)
    rows, counts = [[0, 1, 2, 3, 4, 5, 6], [7], [8, 9, 10, 11], [], [12, 13]], [3, 0, 1, 0, 1]
    table = torch.tensor([row + [-1] * (7 - len(row)) for row in rows])
    expected = list(range(14))
    for row, count in zip(rows, counts, strict=True):
        for _, source, target in ranked_links(row, metric)[:count]:
            expected[source] = target
    assert merge_rows(metric, table, counts).tolist() == expected


def test_autocast_leaves_cosines_in_float32():
    metric = 1 + torch.randn(40, 64) / 100  # cosines within 0.001 of one another
    table = torch.arange(40).unsqueeze(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = merge_rows(metric, table, [9])
    assert torch.equal(inside, merge_rows(metric, table, [9]))


def test_ties_fall_to_the_earlier_tokens():
    assert merge_rows(torch.ones(6, 2), torch.arange(6).unsqueeze(0), [2]).tolist() == [1, 1, 1, 3, 4, 5]


@given(
    st.integers(2, 800),
    st.floats(0, 0.95),
    st.integers(1, 27),
    st.sampled_from(["constant", "decreasing"]),
)
def test_the_schedule_ends_at_the_asked_count_and_halves_at_most(tokens, remove, num_blocks, schedule):
    counts = tokens_after_blocks(tokens, remove, num_blocks, schedule)
    assert len(counts) == num_blocks
    present = tokens
    for after in counts:
        assert present - present // 2 <= after <= present
        present = after
    least = tokens
    for _ in range(num_blocks):
        least -= least // 2
    assert present == max(least, tokens - int(tokens * remove + 1e-9))


def test_schedules_by_hand():
    assert tokens_after_blocks(36, 0.5, 3, "constant") == (30, 24, 18)
    assert tokens_after_blocks(36, 0.5, 4, "decreasing") == (27, 21, 18, 18)  # 9, 6, 3 and 0 merge
    assert tokens_after_blocks(16, 0.75, 2, "constant") == (8, 4)  # 6 and 6 would ask more than half of the last block
    assert tokens_after_blocks(36, 0.0, 3, "constant") == (36, 36, 36)
    assert tokens_after_blocks(36, 0.5, 1, "decreasing") == (18,)


def test_steps_are_planned_without_the_device():
    steps, left = plan_steps([5, 4, 3], [0, 0, 1], [6, 1])
    assert [(step.most, step.taken) for step in steps] == [((2, 2, 1), (4, 1)), ((1, 1, 0), (2, 0))]
    assert left == [0, 0]
    assert plan_steps([2, 2], [0, 0], [3])[1] == [1]
    assert plan_steps([4], [0], [0]) == ([], [0])


# -- patches -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("num_blocks", [1, 3])
def test_patches_merge_and_average_as_in_loops(seed, num_blocks):
    """Two blocks in a row, so that the second averages by size."""
    generator = torch.Generator().manual_seed(seed)
    pruner = built(num_blocks, remove=0.4)
    layout = TokenLayout.of_frames(frames_of(2, 1), (6, 6))
    tokens = torch.randn(108, 5, generator=generator)
    states = [{t: tokens[f * 36 + t].double() for t in range(36)} for f in range(3)]
    sizes = [dict.fromkeys(range(36), 1) for _ in range(3)]
    for block, left in enumerate(tokens_after_blocks(36, 0.4, num_blocks, "constant")):
        keys = torch.randn(layout.num_tokens, 2, 4, generator=generator)
        selection = pruner.select(view_of(layout, Site("vit.attention", block), tokens, keys), {})
        metric, start = (keys[:, 0] + keys[:, 1]) / 2, 0
        for state, size in zip(states, sizes, strict=True):
            names = list(state)
            own = metric[start : start + len(names)]
            start += len(names)
            for _, source, target in ranked_links(list(range(len(names))), own)[: len(names) - left]:
                a, b = names[source], names[target]
                state[b] = (state[a] * size[a] + state[b] * size[b]) / (size[a] + size[b])
                size[b] += size[a]
                del state[a], size[a]
        tokens, layout = selection.apply(tokens, layout), selection.layout_after(layout)
        expected = torch.stack([value for state in states for value in state.values()]).float()
        torch.testing.assert_close(tokens, expected)
        assert layout.patches_per_token.tolist() == [n for size in sizes for n in size.values()]
        logs = [math.log(n) for size in sizes for n in size.values()]
        torch.testing.assert_close(selection.key_bias[selection.keep], torch.tensor(logs))
        assert not selection.key_bias[~selection.keep].any()
    assert layout.tokens_per_frame == (22, 22, 22)  # 36 - floor(14.4)


def test_what_was_merged_is_given_back_to_every_patch():
    layout, tokens = through_blocks(built(3, remove=0.5), TokenLayout.of_frames(frames_of(3, 2), (6, 6)))
    assert layout.tokens_per_frame == (18,) * 5
    canvas = layout.unmerge(tokens)
    assert bool(layout.alive.all())
    torch.testing.assert_close(layout.mean_per_token(canvas.flatten(0, 2)[layout.patch]), tokens)
    assert layout.pool()[0].tokens_per_frame == (4,) * 5


def test_merged_tokens_stay_within_their_frame():
    layout, _ = through_blocks(built(3, remove=0.8), TokenLayout.of_frames(frames_of(3), (6, 6)))
    assert torch.equal(layout.patch // 36, layout.frame_of_token[layout.token])


def test_images_and_removing_nothing_leave_patches_as_they_are():
    layout = TokenLayout.of_frames(frames_of(2, 1, is_video=(True, False)), (6, 6))
    after, _ = through_blocks(built(3, remove=0.5), layout)
    assert after.tokens_per_frame == (18, 18, 36)
    tokens, keys = torch.randn(108, 5), torch.randn(108, 2, 4)
    selection = built(3, remove=0.0).select(view_of(layout, Site("vit.attention", 0), tokens, keys), {})
    assert selection.key_bias is None
    assert torch.equal(selection.apply(tokens, layout), tokens)
    assert torch.equal(selection.layout_after(layout).patch, layout.patch)


def test_frames_that_were_cut_before_merge_the_same_share():
    layout = TokenLayout.of_frames(frames_of(3), (6, 6))
    keep = torch.ones(108, dtype=torch.bool)
    keep[36:54] = False  # half of the second frame
    keep[72:] = False  # the third
    layout = layout.keep(keep)
    keys = torch.randn(54, 2, 4)
    selection = built(3, remove=0.5).select(view_of(layout, Site("vit.attention", 0), torch.randn(54, 5), keys), {})
    assert selection.layout_after(layout).tokens_per_frame == (30, 15, 0)


def test_equal_keys_merge_the_first_tokens():
    layout = TokenLayout.of_frames(frames_of(1), (6, 6))
    selection = built(1, remove=0.1).select(
        view_of(layout, Site("vit.attention", 0), torch.zeros(36, 2), torch.ones(36, 2, 4)), {}
    )
    assert selection.merge_into.tolist() == [1, 1, 1, 3, 1, *range(5, 36)]


def test_the_bias_makes_a_merged_key_count_as_often_as_its_patches():
    """Attention over merged keys with the bias is attention over the keys repeated by size."""
    sizes, into = torch.tensor([1, 2, 1, 3]), torch.tensor([1, 1, 2, 3])
    bias = log_size(sizes, into)
    assert bias.exp().round().tolist() == [1, 3, 1, 3]
    survivors = torch.tensor([1, 2, 3])
    query, key, value = torch.randn(3, 3, 2, 4).unbind(0)
    out = attend(query, key, value, Segments.plain((3,), causal=False), key_bias=bias[survivors])
    times = torch.tensor([3, 1, 3])
    repeated = [x.repeat_interleave(times, dim=0) for x in (key, value)]
    logits = torch.einsum("qhd,khd->hqk", query, repeated[0]) / 2
    dense = torch.einsum("hqk,khd->qhd", logits.softmax(-1), repeated[1])
    torch.testing.assert_close(out, dense)


def test_without_proportional_attention_there_is_no_bias():
    layout = TokenLayout.of_frames(frames_of(1), (6, 6))
    view = view_of(layout, Site("vit.attention", 0), torch.zeros(36, 2), torch.randn(36, 2, 4))
    assert built(1, proportional=False).select(view, {}).key_bias is None
    assert built(1).select(view, {}).key_bias is not None


# -- windows -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("remove", [0.0, 0.3, 0.5, 0.8, 0.95])
def test_windows_of_ragged_clips_merge_as_in_loops(seed, remove):
    """Frames of 4 windows, of which some were cut; at 0.8 and more, clips keep fewer windows than frames."""
    layout = TokenLayout.of_frames(frames_of(7, 2, 1), (5, 6)).pool()[0]  # padded: windows of 6 and of 9 patches
    generator = torch.Generator().manual_seed(seed)
    living = torch.rand(layout.num_tokens, generator=generator) < 0.8
    living[torch.tensor([0, 28, 36])] = True
    layout = layout.keep(living)
    vectors = torch.randn(layout.num_tokens, 3, generator=generator)
    drop = [int(count * remove) for count in layout.tokens_per_clip]
    into = merge_windows(vectors, layout, drop)
    frame = layout.frame_of_token.tolist()
    expected = list(range(layout.num_tokens))
    for frames, lost in zip((range(7), range(7, 9), (9,)), drop, strict=True):
        rows = [[t for t, f in enumerate(frame) if f == number] for number in frames]
        for survivor, members in loop_windows(vectors, layout.patches_per_token.tolist(), rows, lost).items():
            for member in members:
                expected[member] = survivor
    assert into.tolist() == expected


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.sampled_from([0.0, 0.29, 0.5, 0.8, 0.97]),
    st.booleans(),
)
def test_every_clip_keeps_what_the_budget_says(clips, remove, are_equal):
    layout = TokenLayout.of_frames(frames_of(*clips), (6, 6)).pool()[0]
    vectors = torch.ones(layout.num_tokens, 3) if are_equal else torch.randn(layout.num_tokens, 3)
    pruner = ToMe(remove=remove)
    selection = pruner.select(view_of(layout, Site("connector.output"), vectors), {})
    after = selection.layout_after(layout)
    assert after.tokens_per_clip == pruner.budget()([ClipSize(4 * count, count) for count in clips])
    assert len(after.patch) == len(layout.patch)
    into = selection.merge_into
    if remove == 0:
        assert into is None
    elif into is not None:  # None too where a share of few windows is none
        assert torch.equal(layout.clip_of_token, after.clip_of_token[(selection.keep.cumsum(0) - 1)[into]])


def test_merged_windows_are_averages_weighted_by_patches():
    frames = replace(frames_of(1), window=((4, 3),))
    layout = TokenLayout.of_frames(frames, (6, 3)).pool()[0]  # padded by one row at both ends: 9 and 9 patches
    layout = layout.keep(torch.tensor([True, True]))
    layout = replace(layout, patch=layout.patch[:12], token=layout.token[:12])  # now 9 and 3
    vectors = torch.tensor([[4.0], [8.0]])
    selection = Selection(keep=torch.tensor([False, True]), merge_into=merge_windows(vectors, layout, [1]))
    assert selection.apply(vectors, layout).tolist() == [[5.0]]


def test_images_keep_their_windows():
    layout = TokenLayout.of_frames(frames_of(2, 1, is_video=(True, False)), (6, 6)).pool()[0]
    selection = ToMe(remove=0.5).select(view_of(layout, Site("connector.output"), torch.randn(12, 3)), {})
    assert selection.layout_after(layout).tokens_per_clip == (4, 4)


# -- the component -----------------------------------------------------------------------------------------------------


def test_it_acts_in_every_block_that_runs_once_it_knows_them():
    assert [str(site) for site in ToMe(first_block=1).sites()] == ["vit.attention[1]", "connector.output"]
    sites = built(3, first_block=1).sites()
    assert [str(site) for site in sites] == ["vit.attention[1]", "vit.attention[2]", "connector.output"]
    assert built(1).needs_at(Site("vit.attention", 0)) == {"keys"}
    assert not built(1).needs_at(Site("connector.output"))


def test_without_windows_every_window_enters_the_language_model():
    pruner = built(2, windows=False)
    assert [str(site) for site in pruner.sites()] == ["vit.attention[0]", "vit.attention[1]"]
    assert pruner.budget()([ClipSize(12, 3)]) == (12,)


def test_what_cannot_be_reached_is_refused():
    with pytest.raises(ConfigError, match=r"remove 0\.8 leaves 8 of a frame's 36 patches, but 2 blocks.* leave 9"):
        built(2, remove=0.8)
    with pytest.raises(ConfigError, match=r"use remove of at most 0\.75"):
        built(2, remove=0.8)
    assert built(2, remove=0.75).sites()
    with pytest.raises(ConfigError, match="first_block 3, but 3 blocks run; use 0 to 2"):
        built(3, first_block=3)


def test_arguments_outside_their_range_are_refused():
    with pytest.raises(ConfigError, match="first_block is counted from 0, got -1"):
        ToMe(first_block=-1)
    with pytest.raises(ConfigError, match="schedule 'linear'; use constant or decreasing"):
        ToMe(schedule="linear")
    with pytest.raises(ConfigError, match=r"remove must be in \[0, 1\), got 1"):
        ToMe(remove=1.0, windows=False)


# -- within a trunk ----------------------------------------------------------------------------------------------------


def test_removing_nothing_gives_the_dense_outputs(module_of, batch_of):
    module = module_of(ToMe(remove=0.0))
    dense = module_of()
    dense.load_state_dict(module.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(module(batch_of(module)).logits, dense(batch_of(dense)).logits, rtol=0, atol=0)


@pytest.mark.parametrize("schedule", ["constant", "decreasing"])
def test_frames_leave_the_encoder_with_the_asked_share_of_patches(schedule, module_of, batch_of):
    module = module_of(ToMe(remove=0.5, schedule=schedule))
    with torch.no_grad():
        done = module.model.run(batch_of(module))
    assert done.pruning.layouts[Site("vit.attention", 2)].tokens_per_frame == (18,) * 5
    assert done.window_layout.tokens_per_clip == (6, 4)


def loop_encoder(vit: torch.nn.Module, states: torch.Tensor, left: tuple[int, ...]) -> tuple[torch.Tensor, list[int]]:
    """A frame's features and sizes: attention with the logarithm of the sizes, matching, averages, MLP."""
    sizes = [1] * len(states)
    for block, remaining in zip(vit.blocks, left, strict=True):
        count, attn = len(states), block.attn
        q, k, v = attn.qkv(block.norm1(states)).view(count, 3, attn.num_heads, attn.head_dim).unbind(1)
        logits = torch.einsum("qhd,khd->hqk", q, k) * attn.scale + torch.tensor(sizes).log()
        out = torch.einsum("hqk,khd->qhd", logits.softmax(-1), v).flatten(1)
        states = states + attn.proj(out)
        rows, links = list(states), ranked_links(list(range(count)), k.mean(dim=1))[: count - remaining]
        for _, source, target in links:
            rows[target] = (rows[target] * sizes[target] + rows[source] * sizes[source]) / (
                sizes[target] + sizes[source]
            )
            sizes[target] += sizes[source]
        gone = {source for _, source, _ in links}
        states = torch.stack([row for place, row in enumerate(rows) if place not in gone])
        sizes = [size for place, size in enumerate(sizes) if place not in gone]
        states = states + block.mlp(block.norm2(states))
    return vit.norm(states), sizes


@pytest.mark.parametrize("remove", [0.3, 0.8])
def test_an_encoder_merges_as_one_written_in_loops(remove, module_of, batch_of):
    module = module_of(ToMe(remove=remove))
    batch = batch_of(module)
    vision = module.model.vision
    with torch.no_grad():
        done = module.model.run(batch)
        stem = vision.stem(vision.normalise(batch.pixels))
        expected = [loop_encoder(vision.vit, frame, tokens_after_blocks(36, remove, 3, "constant")) for frame in stem]
    torch.testing.assert_close(done.features.states, torch.cat([part for part, _ in expected]), rtol=1e-4, atol=1e-5)
    assert done.features.layout.patches_per_token.tolist() == [size for _, sizes in expected for size in sizes]
