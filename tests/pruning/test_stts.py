"""STTS against a slow and literal reading of molmo2_stts sheet B2-B7: loops over frames, windows, patches and heads."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from zoo.backbones.vit import siglip
from zoo.errors import ConfigError
from zoo.frames import Frames
from zoo.layout import TokenLayout
from zoo.pruner import (
    ClipSize,
    Site,
    SiteView,
    TrunkShape,
)
from zoo.pruning.stts import STTS, VideoWindows, WindowScorer, refilled, rescaled, split_windows, spread_windows
from zoo.pruning_pass import PruningPass

GRID, WINDOW, SIZE, HEADS = (6, 6), (3, 3), 16, 2
PATCHES, WINDOWS, ROW = 36, 4, 2  # of a frame; windows of a row
FLOOR = math.exp(-2)
REORDERED = {"rtol": 1e-5, "atol": 1e-5}  # float32 sums in another order
EXACT = {"rtol": 1e-9, "atol": 1e-9}  # float64: the stretch of near scores magnifies every rounding of float32
TRUNK = TrunkShape(
    vision_size=SIZE, vision_heads=HEADS, num_blocks=4, grid=GRID, video_window=WINDOW, hidden_size=8, num_layers=2
)


@pytest.fixture
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def frames_of(*lengths, images=()):
    """Clips of so many frames; those whose number is in `images` are images, in windows of 2 x 2."""
    clip = [number for number, length in enumerate(lengths) for _ in range(length)]
    return Frames(
        clip=tuple(clip),
        time_s=tuple(i / 2 for length in lengths for i in range(length)),
        size_px=((24, 24),) * len(clip),
        window=tuple((2, 2) if number in images else WINDOW for number in clip),
        is_video=tuple(number not in images for number in clip),
    )


def built(**arguments):
    pruner = STTS(**{"block": 1, "intermediate_size": 20} | arguments)
    pruner.build(TRUNK)
    for weight in pruner.parameters():  # biases too, so that none is forgotten unnoticed
        torch.nn.init.normal_(weight, std=0.3)
    return pruner


def selected(pruner, tokens, layout, *, training=True):
    view = SiteView(
        site=pruner.sites()[0], tokens=tokens, layout=layout, clip_seeds=(0,) * layout.frames.num_clips,
        training=training,
    )  # fmt: skip
    return pruner.select(view, {})


# -- the sheet, read literally: a state is a dict {(frame, row, column): vector} of living patches --------------------


def windows_of(state, frames):
    """{(frame, window): {place within the window: vector}} of videos; windows of which nothing lives are absent."""
    found = {}
    for (frame, row, column), vector in state.items():
        if frames.is_video[frame]:
            window = (row // WINDOW[0]) * ROW + column // WINDOW[1]
            found.setdefault((frame, window), {})[row % WINDOW[0] * WINDOW[1] + column % WINDOW[1]] = vector
    return found


def literal_pool(pool, patches):
    """B3.2, head by head."""
    mean = sum(patches.values()) / len(patches)
    query, size = pool.query(mean), SIZE // HEADS
    parts = []
    for head in range(HEADS):
        own = slice(head * size, (head + 1) * size)
        logits = [torch.dot(query[own], pool.key(patch)[own]) / math.sqrt(size) for patch in patches.values()]
        weights = torch.stack(logits).softmax(0)
        parts.append(sum(w * pool.value(patch)[own] for w, patch in zip(weights, patches.values(), strict=True)))
    return pool.output(torch.cat(parts))


def literal_scores(scorer, state, frames):
    """B3: {(frame, window): score}."""
    windows = windows_of(state, frames)
    pooled = {key: literal_pool(scorer.pool, patches) for key, patches in windows.items()}
    scores = {}
    for frame, window in windows:
        before = torch.zeros(SIZE)
        if frame and frames.clip[frame - 1] == frames.clip[frame]:
            before = pooled.get((frame - 1, window), before)
        hidden = F.silu(scorer.mlp_in(torch.cat([before, pooled[frame, window]])))
        hidden = F.silu(scorer.mlp_hidden(hidden))
        scores[frame, window] = torch.sigmoid(scorer.mlp_out(hidden)).squeeze(0)
    return scores


def is_first(frames, frame):
    return frame == 0 or frames.clip[frame - 1] != frames.clip[frame]


def literal_bias(scores, state, frames, across):
    """B4, patch by patch: {(frame, row, column): bias}."""
    painted = {}
    for frame, row, column in state:
        window = (row // WINDOW[0]) * ROW + column // WINDOW[1]
        painted[frame, row, column] = scores.get((frame, window))
    bias = {}
    for frame, row, column in state:
        if not frames.is_video[frame] or is_first(frames, frame):
            bias[frame, row, column] = torch.tensor(0.0)
            continue
        peers = {}  # one entry a window, so that ties of a window with itself do not share a gradient
        for (other, y, x), score in painted.items():
            if other == frame and (across == "frame" or y // WINDOW[0] == row // WINDOW[0]):
                peers[y // WINDOW[0], x // WINDOW[1]] = score
        peers = torch.stack(list(peers.values()))
        low, high = peers.min(), peers.max()
        r = FLOOR + (painted[frame, row, column] - low) * (1 - FLOOR) / (high - low + 1e-6)
        bias[frame, row, column] = torch.log(r)
    return bias


def literal_keep(scores, state, frames, remove):
    """B5: living patches that survive, as a set."""
    dropped = set()
    for clip in range(frames.num_clips):
        mine = [key for key in scores if frames.clip[key[0]] == clip]
        if not mine:
            continue
        first = [key for key in mine if is_first(frames, key[0])]
        count = min(math.floor(len(mine) * remove + 1e-9), len(mine) - len(first))
        ranked = sorted(
            mine, key=lambda key: (100.0 if key in first else float(scores[key].detach()), [-part for part in key])
        )
        dropped |= set(ranked[:count])
    return {
        (frame, row, column)
        for frame, row, column in state
        if (frame, row // WINDOW[0] * ROW + column // WINDOW[1]) not in dropped or not frames.is_video[frame]
    }


def literal_loss(scores, state, frames):
    """B6, with the whole matrix of similarities, of which all but neighbours are thrown away."""
    windows = windows_of(state, frames)
    keys = list(windows)
    similarity = torch.zeros(len(keys), len(keys))
    both = torch.zeros(len(keys), len(keys), dtype=torch.bool)
    for i, one in enumerate(keys):
        for j, other in enumerate(keys):
            common = sorted(windows[one].keys() & windows[other].keys())
            if common:
                u, v = (torch.cat([windows[key][place] for place in common]) for key in (one, other))
                similarity = similarity.clone()
                similarity[i, j] = F.normalize(u, dim=0) @ F.normalize(v, dim=0)
                both[i, j] = True
    terms = []
    for i, (frame, window) in enumerate(keys):
        before = (frame - 1, window)
        if is_first(frames, frame) or before not in windows or not both[i, keys.index(before)]:
            continue
        terms.append((scores[frame, window] - (1 - similarity[i, keys.index(before)])) ** 2)
    return torch.stack(terms).mean() if terms else torch.tensor(0.0)


def literal_bins(keep, num_frames):
    """B7.1-B7.3: frames of each bin, and the patches that run in it."""
    counts = [sum(place[0] == frame for place in keep) for frame in range(num_frames)]
    bins = []
    for frame in sorted(range(num_frames), key=lambda frame: -counts[frame]):
        if counts[frame] == 0:
            continue
        for members in bins:
            if sum(counts[other] for other in members) + counts[frame] <= PATCHES:
                members.append(frame)
                break
        else:
            bins.append([frame])
    runs = []
    for members in bins:
        every = [(f, r, c) for f in members for r in range(GRID[0]) for c in range(GRID[1])]
        runs.append(every if len(members) == 1 else [place for place in every if place in keep])
    return runs


def state_of(tokens, layout):
    """{(frame, row, column): vector} of a layout of unmerged patches."""
    places = [(int(p) // PATCHES, int(p) % PATCHES // GRID[1], int(p) % GRID[1]) for p in layout.patch]
    return dict(zip(places, tokens, strict=True))


def as_tokens(values, layout):
    """A dict of patches as the layout's (tokens,)."""
    return torch.stack([torch.as_tensor(values[place]) for place in state_of(layout.patch, layout)])


def thinned(layout, share, seed):
    """The layout behind a pruner that took patches at random, and whole windows with them."""
    generator = torch.Generator().manual_seed(seed)
    keep = torch.rand(layout.num_tokens, generator=generator) >= share
    dead = torch.rand(layout.num_windows, generator=generator) < 0.2
    return layout.keep(keep & ~dead[layout.window_of_token])


# -- parts ------------------------------------------------------------------------------------------------------------


def test_windows_are_cut_row_by_row_and_spread_back():
    numbers = torch.arange(24).view(1, 4, 6)
    windows = split_windows(numbers, (2, 3))
    assert windows.tolist() == [
        [[0, 1, 2, 6, 7, 8], [3, 4, 5, 9, 10, 11], [12, 13, 14, 18, 19, 20], [15, 16, 17, 21, 22, 23]]
    ]
    spread = spread_windows(torch.tensor([[[1, 2], [3, 4]]]), (2, 3))
    assert spread.tolist() == [[[1, 1, 1, 2, 2, 2]] * 2 + [[3, 3, 3, 4, 4, 4]] * 2]


def test_scores_are_stretched_by_row_as_published_or_by_frame():
    scores = torch.tensor([[[0.1, 0.3], [0.5, 0.9]]])
    by_row = rescaled(scores, floor=0.2, across="row")
    torch.testing.assert_close(by_row, torch.tensor([[[0.2, 1.0], [0.2, 1.0]]]), rtol=0, atol=1e-5)
    by_frame = rescaled(scores, floor=0.2, across="frame")
    torch.testing.assert_close(by_frame, torch.tensor([[[0.2, 0.4], [0.6, 1.0]]]), rtol=0, atol=1e-5)


def test_dead_windows_do_not_stretch_the_others_and_bend_no_gradient():
    scores = torch.tensor([[[0.0, 0.4, 0.6], [0.1, 0.2, 0.3]]], requires_grad=True)
    living = torch.tensor([[[False, True, True], [False, False, False]]])
    weights = rescaled(scores, floor=0.2, across="row", living=living)
    torch.testing.assert_close(weights, torch.tensor([[[1.0, 0.2, 1.0], [1.0, 1.0, 1.0]]]), rtol=0, atol=1e-5)
    weights.log().sum().backward()
    assert bool(scores.grad.isfinite().all())
    assert scores.grad[0, 1].tolist() == [0, 0, 0]


def test_the_published_size_has_the_published_number_of_weights():
    pruner = STTS()
    with torch.device("meta"):
        pruner.build(replace(TRUNK, vision_size=1152, vision_heads=16, num_blocks=25, grid=(27, 27)))
    assert sum(weight.numel() for weight in pruner.parameters()) == 33_766_769  # 33.8 M, sheet B3
    assert pruner.scorer.mlp_in.weight.shape == (4304, 2304)


def test_weights_begin_in_a_cut_normal_and_biases_at_zero():
    scorer = WindowScorer(hidden_size=64, num_heads=4, intermediate_size=200)
    for layer in (scorer.pool.query, scorer.pool.output, scorer.mlp_in, scorer.mlp_hidden):
        weight, std = layer.weight, layer.in_features**-0.5
        assert float(weight.detach().abs().max()) <= 2 * std
        assert float(weight.detach().std()) == pytest.approx(
            0.88 * std, rel=0.05
        )  # a normal cut at two deviations has 0.88 of one
        assert not layer.bias.any()


def test_scores_keep_float32_under_autocast():
    pruner, layout = built(), TokenLayout.of_frames(frames_of(40), GRID)
    torch.nn.init.normal_(pruner.scorer.mlp_out.weight, std=0.05)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = pruner.scorer(VideoWindows.of_view(torch.randn(layout.num_tokens, SIZE), layout, WINDOW))
    assert scores.dtype == torch.float32
    assert len(scores.unique()) > 0.95 * scores.numel()  # bfloat16 has 128 numbers between 0.5 and 1


# -- one decision against the sheet -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("share", [0.0, 0.3], ids=["whole", "behind another pruner"])
@pytest.mark.parametrize("across", ["row", "frame"])
@pytest.mark.parametrize(("lengths", "images"), [((3, 2), ()), ((1, 4), ()), ((1,), ()), ((1, 2, 1, 3), (0, 2))])
def test_a_decision_is_that_of_the_sheet(lengths, images, across, share):
    frames = frames_of(*lengths, images=images)
    layout = TokenLayout.of_frames(frames, GRID)
    layout = thinned(layout, share, seed=4) if share else layout
    pruner = built(rescale=across)
    tokens = torch.randn(layout.num_tokens, SIZE, requires_grad=True)
    selection = selected(pruner, tokens, layout)
    state = state_of(tokens, layout)
    scores = literal_scores(pruner.scorer, state, frames)
    bias = as_tokens(literal_bias(scores, state, frames, across), layout)
    loss = 0.5 * literal_loss(scores, state, frames)

    expected = literal_keep(scores, state, frames, 0.5)
    assert [place for place, kept in zip(state, selection.keep, strict=True) if kept] == [
        p for p in state if p in expected
    ]
    torch.testing.assert_close(selection.key_bias, bias, **EXACT)
    torch.testing.assert_close(selection.auxiliary_loss, loss, **EXACT)
    assert selection.cut_after == 2
    assert selection.context is None
    for place, shown in zip(state, selection.scores, strict=True):
        if frames.is_video[place[0]]:
            number = place[1] // WINDOW[0] * ROW + place[2] // WINDOW[1]
            assert float(shown) == pytest.approx(float(scores[place[0], number].detach()), abs=1e-6)  # shown in float32

    weights = torch.randn(layout.num_tokens)
    asked = [tokens, *pruner.parameters()]
    ours = gradients((selection.key_bias * weights).sum() + selection.auxiliary_loss, asked)
    theirs = gradients((bias * weights).sum() + loss, asked)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-6, atol=1e-8)


@given(length=st.integers(1, 6), remove=st.floats(0, 0.99), seed=st.integers(0, 99))
def test_as_much_leaves_as_the_sheet_says_and_nothing_of_a_first_frame(length, remove, seed):
    torch.manual_seed(seed)
    frames = frames_of(length, 2)
    layout = TokenLayout.of_frames(frames, GRID)
    pruner = built(remove=remove)
    keep = selected(pruner, torch.randn(layout.num_tokens, SIZE), layout).keep
    kept = layout.keep(keep).pool()[0].tokens_per_clip
    dropped = [min(math.floor(WINDOWS * remove * t + 1e-9), WINDOWS * (t - 1)) for t in (length, 2)]
    assert kept == tuple(WINDOWS * t - d for t, d in zip((length, 2), dropped, strict=True))
    assert kept == pruner.budget()([ClipSize(WINDOWS * length, length), ClipSize(WINDOWS * 2, 2)])
    assert bool(keep.view(-1, PATCHES)[[0, length]].all())


def test_equal_scores_drop_the_later_windows():
    pruner, layout = built(), TokenLayout.of_frames(frames_of(3), GRID)
    torch.nn.init.zeros_(pruner.scorer.mlp_out.weight)
    selection = selected(pruner, torch.randn(layout.num_tokens, SIZE), layout)
    kept = layout.window_of_token[selection.keep].unique().tolist()
    assert kept == [0, 1, 2, 3, 4, 5]
    by_frame = selection.key_bias.view(3, PATCHES)
    assert not by_frame[0].any()
    torch.testing.assert_close(by_frame[1:], torch.full((2, PATCHES), -2.0), rtol=0, atol=1e-5)


def test_a_clip_is_judged_alike_alone_and_among_others():
    pruner = built(packing="varlen")
    lengths, images = (2, 1, 3), (1,)
    layout = TokenLayout.of_frames(frames_of(*lengths, images=images), GRID)
    tokens = torch.randn(layout.num_tokens, SIZE)
    together = selected(pruner, tokens, layout)
    for clip in (0, 2):
        own = layout.clip_of_token == clip
        alone = selected(pruner, tokens[own], TokenLayout.of_frames(frames_of(lengths[clip]), GRID))
        assert torch.equal(together.keep[own], alone.keep)
        torch.testing.assert_close(together.key_bias[own], alone.key_bias, **REORDERED)
    image = layout.clip_of_token == 1
    assert bool(together.keep[image].all())
    assert not together.key_bias[image].any()
    assert together.scores[image].unique().tolist() == [1.0]


def test_a_clip_of_one_frame_keeps_all_and_has_no_second_loss():
    pruner, layout = built(remove=0.9), TokenLayout.of_frames(frames_of(1), GRID)
    selection = selected(pruner, torch.randn(PATCHES, SIZE), layout)
    assert bool(selection.keep.all())
    assert not selection.key_bias.any()
    assert selection.auxiliary_loss.item() == 0


# -- what the scorer learns from --------------------------------------------------------------------------------------


@pytest.mark.parametrize("from_what", ["bias", "second loss"])
def test_every_weight_of_the_scorer_learns_from_either_source_alone(from_what):
    pruner = built(auxiliary_weight=0.5 if from_what == "second loss" else 0.0, bias=from_what == "bias")
    layout = TokenLayout.of_frames(frames_of(3, 2), GRID)
    selection = selected(pruner, torch.randn(layout.num_tokens, SIZE), layout)
    assert (selection.key_bias is None) == (from_what != "bias")
    loss = selection.auxiliary_loss
    if from_what == "bias":
        assert loss.item() == 0
        loss = loss + (selection.key_bias * torch.randn(layout.num_tokens)).sum()
    loss.backward()
    for name, weight in pruner.scorer.named_parameters():
        # A bias of keys moves all logits of a window alike, so no softmax feels it.
        assert weight.grad is not None
        assert bool(weight.grad.any()) or name == "pool.key.bias", name


def test_states_that_never_change_meet_their_target_at_zero():
    pruner, layout = built(), TokenLayout.of_frames(frames_of(3), GRID)
    torch.nn.init.zeros_(pruner.scorer.mlp_out.weight)
    torch.nn.init.constant_(pruner.scorer.mlp_out.bias, 100.0)  # a score of 1, where nothing changed
    still = torch.randn(PATCHES, SIZE).repeat(3, 1)
    assert selected(pruner, still, layout).auxiliary_loss.item() == pytest.approx(0.5)
    torch.nn.init.constant_(pruner.scorer.mlp_out.bias, -100.0)
    assert selected(pruner, still, layout).auxiliary_loss.item() == pytest.approx(0, abs=1e-9)


def test_black_states_bend_no_gradient():
    pruner, layout = built(), TokenLayout.of_frames(frames_of(3), GRID)
    tokens = torch.zeros(layout.num_tokens, SIZE, requires_grad=True)
    selection = selected(pruner, tokens, layout)
    (selection.auxiliary_loss + selection.key_bias.sum()).backward()
    assert bool(tokens.grad.isfinite().all())


def test_there_is_no_second_loss_outside_of_training():
    layout = TokenLayout.of_frames(frames_of(3), GRID)
    assert selected(built(), torch.randn(layout.num_tokens, SIZE), layout, training=False).auxiliary_loss is None


def test_images_alone_pass_whole_and_keep_the_scorer_in_the_graph():
    pruner, layout = built(), TokenLayout.of_frames(frames_of(1, 1, images=(0, 1)), GRID)
    selection = selected(pruner, torch.randn(layout.num_tokens, SIZE), layout)
    assert bool(selection.keep.all())
    assert selection.key_bias is None
    selection.auxiliary_loss.backward()
    assert all(weight.grad is not None and not weight.grad.any() for weight in pruner.parameters())
    assert selected(pruner, torch.randn(layout.num_tokens, SIZE), layout, training=False).auxiliary_loss is None


# -- bins -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_frames_alone_in_their_bin_are_refilled(seed):
    generator = torch.Generator().manual_seed(seed)
    layout = TokenLayout.of_frames(frames_of(3, 2, 1), GRID)
    dropped = torch.rand(layout.num_windows, generator=generator) < seed / 6
    dropped[:4] = seed == 5
    keep = ~dropped[layout.window_of_token]
    places = list(state_of(layout.patch, layout))
    survivors = {place for place, kept in zip(places, keep, strict=True) if kept}
    running = {place for run in literal_bins(survivors, 6) for place in run}
    context = refilled(layout, keep)
    expected = [place in running and place not in survivors for place in places]
    assert (context is None and not any(expected)) or context.tolist() == expected


# -- inside a vision encoder ------------------------------------------------------------------------------------------


def encoder_and_pruner(**arguments):
    encoder = siglip(
        image_size=(24, 24), patch_size=4, hidden_size=SIZE, intermediate_size=32, num_blocks=4, num_heads=HEADS,
        feature_blocks=(3, 1),
    )  # fmt: skip
    for block in encoder.vit.blocks:  # the default of 0.02 leaves attention even, and every mask without effect
        torch.nn.init.normal_(block.attn.qkv.weight, std=0.5)
    return encoder, built(**arguments)


def literal_block(block, states, allowed, key_bias):
    """One ViT block over (bins, slots, channels), with a bias per key and a mask (bins, slots, slots)."""
    attn, size = block.attn, SIZE // HEADS
    q, k, v = attn.qkv(block.norm1(states)).chunk(3, dim=-1)
    parts = []
    for head in range(HEADS):
        own = slice(head * size, (head + 1) * size)
        logits = q[..., own] @ k[..., own].transpose(1, 2) * size**-0.5 + key_bias[:, None, :]
        weights = logits.masked_fill(~allowed, -1e30).softmax(-1) * allowed  # an unused slot attends to nothing
        parts.append(weights @ v[..., own])
    states = states + attn.proj(torch.cat(parts, dim=-1))
    return states + block.mlp(block.norm2(states))


def literal_encoder(encoder, pruner, pixels, frames):
    """B2 and B7: {block: (frames, patches, channels)}, zero where pruned, the survivors, and the second loss."""
    places = [(f, r, c) for f in range(len(frames)) for r in range(GRID[0]) for c in range(GRID[1])]
    states = encoder.stem(pixels)
    everyone = torch.ones(len(frames), PATCHES, PATCHES, dtype=torch.bool)
    unbiased = torch.zeros(len(frames), PATCHES)
    features = {}
    for index in range(2):  # dense; block 1 is the last, and is scored
        states = literal_block(encoder.vit.blocks[index], states, everyone, unbiased)
        features[index] = states
    state = dict(zip(places, states.flatten(0, 1), strict=True))
    scores = literal_scores(pruner.scorer, state, frames)
    bias = literal_bias(scores, state, frames, pruner.rescale)
    bias = torch.stack([bias[place] for place in places]).view(len(frames), PATCHES)
    states = literal_block(encoder.vit.blocks[2], states, everyone, bias)
    keep = literal_keep(scores, state, frames, pruner.budget().remove)
    kept_of = {f: [p for p in places if p[0] == f and p in keep] for f in range(len(frames))}
    runs = literal_bins(keep, len(frames)) if pruner.packing == "bins" else [run for run in kept_of.values() if run]
    state = dict(zip(places, states.flatten(0, 1), strict=True))
    slots = torch.stack(
        [torch.stack([state[p] for p in run] + [torch.zeros(SIZE)] * (PATCHES - len(run))) for run in runs]
    )
    source = torch.tensor([[p[0] for p in run] + [-1] * (PATCHES - len(run)) for run in runs])
    allowed = (source[:, :, None] == source[:, None, :]) & (source >= 0)[:, None, :]
    slots = literal_block(encoder.vit.blocks[3], slots, allowed, torch.zeros(len(runs), PATCHES))
    out = {place: torch.zeros(SIZE) for place in places}
    for number, run in enumerate(runs):
        for slot, place in enumerate(run):
            if place in keep:  # what was refilled is not put out
                out[place] = slots[number, slot]
    features[3] = torch.stack([out[place] for place in places]).view(len(frames), PATCHES, SIZE)
    return features, keep, pruner.auxiliary_weight * literal_loss(scores, state_before_bias(features, places), frames)


def state_before_bias(features, places):
    return dict(zip(places, features[1].flatten(0, 1), strict=True))


def gradients(loss, asked):
    loss = loss + 0 * asked[0].sum()  # a clip of one frame leaves nothing that a gradient could follow
    found = torch.autograd.grad(loss, asked, allow_unused=True, retain_graph=True)
    return [torch.zeros_like(one) if gradient is None else gradient for one, gradient in zip(asked, found, strict=True)]


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("packing", ["varlen", "bins"])
@pytest.mark.parametrize(
    ("lengths", "images", "remove", "equal"),
    [
        ((3, 2), (), 0.5, False),
        ((1,), (), 0.5, False),
        ((1, 4, 1), (2,), 0.4, False),
        ((3,), (), 0.5, True),
        ((4, 2), (), 0.75, False),  # of the first clip, only the first frame is left
    ],
    ids=["ragged", "one frame", "an image among clips", "equal scores", "frames that lose everything"],
)
def test_features_and_gradients_are_those_of_a_dense_reading(lengths, images, remove, equal, packing):
    encoder, pruner = encoder_and_pruner(remove=remove, packing=packing)
    if equal:
        torch.nn.init.zeros_(pruner.scorer.mlp_out.weight)
    frames = frames_of(*lengths, images=images)
    pixels = torch.randn(len(frames), 3, 24, 24, requires_grad=True)
    run = PruningPass(pruners=[pruner], clip_seeds=(0,) * len(lengths), training=True)
    seen = encoder(pixels, TokenLayout.of_frames(frames, GRID), run)
    features, keep, loss = literal_encoder(encoder, pruner, pixels, frames)

    ours = seen.layout.unmerge(seen.states).flatten(1, 2)  # zero where pruned, (frames, patches, 2 * channels)
    alive = seen.layout.alive.flatten(1)
    assert {tuple(place) for place in seen.layout.alive.nonzero().tolist()} == keep
    torch.testing.assert_close(ours[..., :SIZE], features[3], **EXACT)
    torch.testing.assert_close(ours[..., SIZE:][alive], features[1][alive], **EXACT)
    (own_loss,) = run.losses
    torch.testing.assert_close(own_loss, loss, **EXACT)

    weights = torch.randn(len(frames), PATCHES, 2 * SIZE)
    theirs = torch.cat([features[3], features[1] * alive.unsqueeze(-1)], dim=-1)
    asked = [pixels, *encoder.parameters(), *pruner.parameters()]
    pairs = zip(
        gradients((ours * weights).sum() + own_loss, asked),
        gradients((theirs * weights).sum() + loss, asked),
        strict=True,
    )
    for own, other in pairs:
        torch.testing.assert_close(own, other, rtol=1e-6, atol=1e-8)


def test_bins_change_nothing_where_no_frame_lies_alone():
    frames = frames_of(3, 3)  # two windows of each clip survive behind its first frame: one bin holds them all
    pixels = torch.randn(6, 3, 24, 24)
    encoder, pruner = encoder_and_pruner(packing="bins")
    layout = TokenLayout.of_frames(frames, GRID)
    binned = encoder(pixels, layout, PruningPass(pruners=[pruner], clip_seeds=(0, 0)))
    pruner.packing = "varlen"
    plain = encoder(pixels, layout, PruningPass(pruners=[pruner], clip_seeds=(0, 0)))
    torch.testing.assert_close(binned.states, plain.states, rtol=0, atol=0)


def test_recomputed_blocks_give_the_same_gradients():
    frames = frames_of(3, 2)
    pixels = torch.randn(5, 3, 24, 24)
    encoder, pruner = encoder_and_pruner(packing="bins")
    asked = [*encoder.parameters(), *pruner.parameters()]
    found = []
    for encoder.activation_checkpointing in (False, True):
        run = PruningPass(pruners=[pruner], clip_seeds=(0, 0), training=True)
        seen = encoder(pixels, TokenLayout.of_frames(frames, GRID), run)
        found.append(gradients(seen.states.square().sum() + sum(run.losses), asked))
    for plain, again in zip(*found, strict=True):
        torch.testing.assert_close(plain, again, rtol=0, atol=0)


# -- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"remove": 1.0}, r"remove must be in \[0, 1\), got 1.0"),
        ({"block": -1}, "block is -1, expected 0 or more"),
        ({"bias_floor": 0.0}, "bias_floor is 0.0, expected above 0 and up to 1"),
        ({"auxiliary_weight": -0.5}, "auxiliary_weight is -0.5, expected 0 or more"),
        ({"intermediate_size": 0}, "intermediate_size is 0, expected 1 or more, or auto"),
        ({"block": -2, "bias_floor": 2.0}, "block is -2.*; bias_floor is 2.0"),
    ],
)
def test_a_number_outside_its_range_is_refused(arguments, fault):
    with pytest.raises(ConfigError, match=fault):
        STTS(**arguments)


def test_a_block_without_one_behind_it_is_refused():
    with pytest.raises(ConfigError, match="after block 3 weigh the keys of block 4, .* 4 blocks .* at most 2"):
        STTS(block=3).build(TRUNK)
    with pytest.raises(ConfigError, match="it needs two"):
        STTS(block=0).build(replace(TRUNK, num_blocks=1))
    pruner = STTS(block=2)
    pruner.build(TRUNK)
    assert (pruner.sites(), pruner.cuts()) == ((Site("vit.block", 2),), (Site("vit.block", 3),))


def test_windows_that_do_not_divide_the_grid_are_refused():
    with pytest.raises(ConfigError, match=r"2 x 2 patches do not divide a grid of 27 x 27.*1\|3\|9\|27"):
        STTS(block=1).build(replace(TRUNK, grid=(27, 27), video_window=(2, 2)))


def test_a_video_in_other_windows_is_a_bug():
    layout = TokenLayout.of_frames(replace(frames_of(2), window=((2, 2), (2, 2))), GRID)
    with pytest.raises(ValueError, match=r"windows other than \(3, 3\)"):
        selected(built(), torch.randn(layout.num_tokens, SIZE), layout)
