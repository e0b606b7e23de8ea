"""Sites, selections, and how the vision encoder carries selections out."""

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensorMode

from zoo.backbones.dinov2 import dinov2_tiny
from zoo.backbones.vit import vit_tiny
from zoo.errors import ConfigError
from zoo.frames import Frames
from zoo.layout import TokenLayout
from zoo.pruner import (
    ClipSize,
    KeepAll,
    Pruner,
    RemoveShare,
    Selection,
    Site,
    SiteView,
    TokenBudget,
    TrunkShape,
)
from zoo.pruning.random import RandomPruner
from zoo.pruning.tome import ToMe
from zoo.pruning_pass import PruningPass, resolve_pruners

SHAPE = TrunkShape(
    vision_size=32, vision_heads=2, num_blocks=3, grid=(6, 6), video_window=(3, 3), hidden_size=16, num_layers=3
)
REORDERED = {"rtol": 1e-5, "atol": 1e-5}  # float32 sums in another order


class Scripted(Pruner):
    """Does at its sites what a test says."""

    needs: ClassVar = frozenset()

    def __init__(self, decide: dict[str, Callable[[SiteView], Selection | None]], cuts=(), needs=()) -> None:
        super().__init__()
        self.decide = {Site.parse(text): rule for text, rule in decide.items()}
        self._cuts, self._needs = tuple(map(Site.parse, cuts)), frozenset(needs)

    def sites(self) -> tuple[Site, ...]:
        return tuple(self.decide)

    def cuts(self) -> tuple[Site, ...]:
        return self._cuts

    def needs_at(self, site: Site) -> frozenset[str]:
        return self._needs

    def budget(self) -> TokenBudget:
        return KeepAll()

    def select(self, view: SiteView, memory: dict[str, Tensor]) -> Selection | None:
        return self.decide[view.site](view)


@pytest.fixture(params=[vit_tiny, dinov2_tiny], ids=["plain", "class and register tokens"])
def encoder(request):
    size = {"hidden_size": 32, "num_blocks": 3, "num_heads": 2}
    made = request.param(**size, feature_blocks=(0, 2), **({"image_size": 48} if request.param is vit_tiny else {}))
    return made.eval()


@pytest.fixture
def frames():
    return Frames(clip=(0, 0, 0, 1), time_s=(0.0, 0.5, 1.0, 0.0), size_px=((48, 48),) * 4, window=((2, 2),) * 4)


def never(view: SiteView) -> None:
    return None


def half(view: SiteView) -> Selection:
    return Selection(keep=torch.arange(len(view.tokens)) % 2 == 0)


def run(encoder, frames, *pruners):
    layout = TokenLayout.of_frames(frames, encoder.grid)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(len(frames), 3, *encoder.image_size, generator=generator)
    done = PruningPass(pruners=pruners, clip_seeds=(1, 2))
    return encoder(pixels, layout, done), done, pixels


def by_hand(encoder, pixels, keep, cut_after):
    """Frame by frame, each with its own survivors, features joined."""
    from zoo.segments import Segments

    out = []
    prefix = encoder.num_prefix_tokens
    for frame, kept in zip(pixels, keep.view(len(pixels), -1), strict=True):
        states, features = encoder.stem(frame[None])[0], []
        for index in range(encoder.last_block() + 1):
            if index == cut_after + 1:
                going = torch.cat([torch.ones(prefix, dtype=torch.bool), kept])
                states, features = states[going], [f[kept] for f in features]
            states = encoder.block(index, states, Segments.plain((len(states),), causal=False), None)
            if index in encoder.feature_blocks:
                features.append(states[prefix:])
        if encoder.norm_features:
            features = [encoder.final_norm(f) for f in features]
        out.append(torch.cat(features, dim=1))
    return torch.cat(out)


@torch.no_grad()
@pytest.mark.parametrize(
    ("site", "cut_after"), [("pixels", -1), ("vit.stem", -1), ("vit.block[0]", 0), ("vit.block[1]", 1)]
)
def test_survivors_are_what_they_are_in_a_frame_of_their_own(encoder, frames, site, cut_after):
    layout = TokenLayout.of_frames(frames, encoder.grid)
    keep = torch.rand(layout.num_tokens, generator=torch.Generator().manual_seed(1)) < 0.4
    keep[layout.frame_of_token == 1] = False  # a frame that loses everything
    pruner = Scripted({site: lambda view: Selection(keep=keep)})
    found, done, pixels = run(encoder, frames, pruner)
    torch.testing.assert_close(found.states, by_hand(encoder, pixels, keep, cut_after), **REORDERED)
    assert done.layouts[Site.parse(site)].tokens_per_frame == tuple(keep.view(4, -1).sum(1).tolist())


@torch.no_grad()
@pytest.mark.parametrize("knows", [False, True])
def test_a_cut_within_a_block_reaches_its_mlp(encoder, frames, knows):
    layout = TokenLayout.of_frames(frames, encoder.grid)
    keep = (torch.arange(layout.num_tokens) % 3 > 0) | (layout.frame_of_token == 2)
    counts = tuple(keep.view(4, -1).sum(1).tolist()) if knows else None
    pruner = Scripted({"vit.attention[1]": lambda view: Selection(keep=keep, tokens_per_frame=counts)})
    found, done, _ = run(encoder, frames, pruner)
    whole, _, _ = run(encoder, frames, Scripted({"vit.block[1]": lambda view: Selection(keep=keep)}))
    # Attention of block 1 saw everything and its MLP works on each token alone: so it is a cut after the block.
    torch.testing.assert_close(found.states, whole.states, **REORDERED)
    assert done.layouts[Site("vit.attention", 1)].tokens_per_frame == tuple(keep.view(4, -1).sum(1).tolist())


def test_merged_tokens_are_averages_weighted_by_patches(clips):
    whole = TokenLayout.of_frames(clips, (6, 6))
    layout = replace(whole, patch=torch.arange(6), token=torch.tensor([0, 1, 1, 2, 2, 2]), num_tokens=3, is_whole=False)
    tokens = torch.tensor([[1.0], [2.0], [4.0]])
    merged = Selection(keep=torch.tensor([False, True, False]), merge_into=torch.tensor([1, 1, 1]))
    assert merged.apply(tokens, layout).item() == pytest.approx((1 * 1 + 2 * 2 + 3 * 4) / 6)
    partly = Selection(keep=torch.tensor([True, False, False]), merge_into=torch.tensor([0, -1, 0]))
    assert partly.apply(tokens, layout).item() == pytest.approx((1 * 1 + 3 * 4) / 4)
    assert partly.layout_after(layout).patch.tolist() == [0, 3, 4, 5]


@torch.no_grad()
def test_the_next_block_sees_merged_tokens(encoder, frames):
    layout, seen = TokenLayout.of_frames(frames, encoder.grid), {}
    pairs = torch.arange(layout.num_tokens) // 2 * 2

    def halve(view):
        seen["before"] = view.tokens
        return Selection(keep=pairs == torch.arange(len(pairs)), merge_into=pairs)

    def look(view):
        seen["after"] = view.tokens

    run(
        encoder,
        frames,
        Scripted({"vit.block[0]": halve}),
        Scripted({"vit.block[1]": never}),
        Scripted({"vit.output": look}),
    )
    assert len(seen["after"]) == layout.num_tokens // 2
    found, _, _ = run(encoder, frames, Scripted({"vit.output": halve}))
    expected = seen["before"].unflatten(0, (-1, 2)).mean(1)
    last = expected if not encoder.norm_features else encoder.final_norm(expected)
    torch.testing.assert_close(found.states[:, -expected.shape[1] :], last, **REORDERED)


@torch.no_grad()
def test_context_takes_part_but_gives_no_feature(encoder, frames):
    layout = TokenLayout.of_frames(frames, encoder.grid)
    keep = torch.arange(layout.num_tokens) % 2 == 0
    of_first = layout.frame_of_token == 0
    decide = {"vit.block[0]": lambda view: Selection(keep=keep, context=of_first & ~keep)}
    found, _, _ = run(encoder, frames, Scripted(decide))
    whole, _, _ = run(encoder, frames)
    plain, _, _ = run(encoder, frames, Scripted({"vit.block[0]": lambda view: Selection(keep=keep)}))
    first = of_first[keep]
    torch.testing.assert_close(found.states[first], whole.states[of_first & keep], **REORDERED)
    torch.testing.assert_close(found.states[~first], plain.states[~first], **REORDERED)
    assert found.layout.num_tokens == int(keep.sum())


@pytest.mark.parametrize("bucket", [5, 36])
def test_filling_up_to_buckets_changes_nothing(encoder, frames, bucket):
    results = []
    for size in (None, bucket):
        encoder.token_bucket = size
        lengths = []
        hook = encoder.vit.blocks[-1].register_forward_pre_hook(
            lambda _, inputs, seen=lengths: seen.append(len(inputs[0]))
        )
        found, _, _ = run(encoder, frames, RandomPruner(remove=0.5, site="vit.stem"), RandomPruner(site="vit.block[0]"))
        hook.remove()
        found.states.square().sum().backward()
        results.append(
            (found.states.detach(), {n: p.grad for n, p in encoder.named_parameters() if p.grad is not None})
        )
        encoder.zero_grad()
    encoder.token_bucket = None
    assert lengths[0] % bucket == 0
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-4)  # gradients are sums over all tokens


@torch.no_grad()
def test_attention_that_tokens_received_adds_up_to_one_a_frame(encoder, frames):
    seen = {}

    def look(view):
        seen["received"], seen["keys"] = view.received_attention, view.keys

    run(encoder, frames, Scripted({"vit.attention[0]": look}, needs=("received_attention", "keys")))
    total = seen["received"].view(4, -1).sum(1)
    if not encoder.num_prefix_tokens:
        torch.testing.assert_close(total, torch.ones(4), **REORDERED)
    assert (total < 1 + 1e-5).all()
    assert seen["keys"].shape == (seen["received"].shape[0], 2, 16)


@pytest.mark.parametrize(
    "text",
    [
        "pixels",
        "vit.stem",
        "vit.attention[2]",
        "vit.block[-1]",
        "vit.output",
        "connector.output",
        "llm.layer[0]",
        "decode.layer[3]",
    ],
)
def test_a_site_is_written_as_it_is_read(text):
    assert str(Site.parse(text)) == text


@pytest.mark.parametrize("text", ["vit.block", "llm[3]", "pixels[0]", "nowhere", "vit.block[a]", "", "vit.block[1]x"])
def test_text_that_names_no_site_is_refused(text):
    with pytest.raises(ConfigError, match=f"no site {text!r}. Sites: pixels, vit.stem".replace("[", r"\[")):
        Site.parse(text)


SITES = (
    Site("pixels"), Site("vit.stem"),
    *(Site(stage, block) for block in range(3) for stage in ("vit.attention", "vit.block")),
    Site("vit.output"), Site("connector.output"),
    *(Site("llm.layer", layer) for layer in range(2)), *(Site("decode.layer", layer) for layer in range(2)),
)  # fmt: skip


def test_negative_places_count_from_the_end():
    pruner = Scripted({"vit.block[-1]": never, "llm.layer[-2]": never})
    assert resolve_pruners([pruner], SITES) == {Site("vit.block", 2): pruner, Site("llm.layer", 0): pruner}


@pytest.mark.parametrize(
    ("pruners", "match"),
    [
        (
            [Scripted({"vit.block[3]": never})],
            r"Scripted acts at vit.block\[3\], which this trunk lacks; it offers .*0\] to vit.block\[2\]",
        ),
        ([Scripted({"vit.block[-4]": never})], r"acts at vit.block\[-4\], which this trunk lacks"),
        (
            [Scripted({"vit.stem": never}), RandomPruner(site="vit.stem")],
            "Scripted and RandomPruner both act at vit.stem; move one of them",
        ),
        (
            [Scripted({"vit.block[0]": never}, cuts=["vit.block[1]"]), RandomPruner(site="vit.block[1]")],
            r"Scripted and RandomPruner both act at vit.block\[1\]",
        ),
        (
            [Scripted({"vit.block[0]": never}, cuts=["vit.block[2]"]), RandomPruner(site="vit.block[1]")],
            r"RandomPruner acts at vit.block\[1\], between vit.block\[0\], where Scripted decides, and vit",
        ),
        ([Scripted({"vit.block[0]": never}, cuts=["vit.block[3]"])], r"acts at vit.block\[3\], which this trunk lacks"),
        (
            [Scripted({"vit.block[0]": never}, needs=["keys"])],
            r"Scripted needs keys at vit.block\[0\], where there is no such thing",
        ),
        (
            [Scripted({"llm.layer[0]": never}, needs=["received_attention"])],
            r"needs received_attention at llm.layer\[0\]",
        ),
    ],
)
def test_what_a_trunk_cannot_serve_is_refused_before_anything_runs(pruners, match):
    with pytest.raises(ConfigError, match=match):
        resolve_pruners(pruners, SITES)


@pytest.mark.parametrize(
    ("budget", "clip", "kept"),
    [
        (RemoveShare(0.5), ClipSize(8, 2), 4),
        (RemoveShare(0.29), ClipSize(100, 1), 71),  # 0.29 * 100 is a little less than 29
        (RemoveShare(0.5), ClipSize(9, 1), 5),
        (RemoveShare(0.5, protect_first_frame=True), ClipSize(9, 1), 9),
        (RemoveShare(0.8, protect_first_frame=True), ClipSize(162, 2), 81),
        (RemoveShare(0.8, protect_first_frame=True), ClipSize(810, 10), 162),
        (
            RemoveShare(0.8, protect_first_frame=True),
            ClipSize(20, 10, first_frame=4),
            4,
        ),  # after every second frame left
        (RemoveShare(0.5), ClipSize(8, 2, is_video=False), 8),
        (RemoveShare(0.5, images=True), ClipSize(8, 2, is_video=False), 4),
        (KeepAll(), ClipSize(8, 2), 8),
    ],
)
def test_a_budget_is_a_matter_of_whole_windows(budget, clip, kept):
    assert budget([clip]) == (kept,)


@pytest.mark.parametrize(
    ("site", "fields"),
    [
        ("pixels", {"merge_into": torch.zeros(0)}),
        ("pixels", {"key_bias": torch.zeros(0)}),
        ("vit.attention[0]", {"cut_after": 1}),
        ("vit.output", {"context": torch.zeros(0)}),
        ("connector.output", {"key_bias": torch.zeros(0)}),
        ("llm.layer[1]", {"cut_after": 1}),
        ("vit.output", {"prune_cache": True}),
    ],
)
def test_what_nothing_could_carry_out_is_no_silent_wish(clips, site, fields):
    layout = TokenLayout.of_frames(clips, (6, 6))
    pruner = Scripted({site: lambda view: Selection(keep=torch.ones(len(view.tokens), dtype=torch.bool), **fields)})
    with pytest.raises(ValueError, match=f"has {next(iter(fields))}, which nothing can carry out there"):
        PruningPass(pruners=[pruner], clip_seeds=(1, 2)).select(Site.parse(site), torch.zeros(180, 4), layout)


def test_a_cut_after_a_block_that_does_not_run_is_no_silent_wish(encoder, frames):
    decide = {"vit.block[0]": lambda view: Selection(keep=torch.arange(len(view.tokens)) > 3, cut_after=7)}
    with pytest.raises(ValueError, match=r"to leave after blocks \[7\], which do not run"):
        run(encoder, frames, Scripted(decide))


def test_a_pruner_in_every_block_does_not_ask_the_device(clips):
    """With tensors that have no values, whatever reads one fails: `.item()`, `nonzero`, a boolean index."""
    encoder = vit_tiny(image_size=48, hidden_size=32, num_blocks=3, num_heads=2).eval()
    pruner = ToMe(remove=0.5, windows=False)
    pruner.build(replace(SHAPE, num_blocks=3, vision_size=32))
    layout = TokenLayout.of_frames(clips, encoder.grid)
    with FakeTensorMode(allow_non_fake_inputs=True):
        done = PruningPass(pruners=[pruner], clip_seeds=(1, 2))
        features = encoder(torch.empty(5, 3, 48, 48), layout, done)
    assert features.states.shape == (5 * 18, 32)
    assert done.tokens_per_clip[Site("vit.attention", 2)] == (54, 36)
    with pytest.raises(DynamicOutputShapeException), FakeTensorMode(allow_non_fake_inputs=True):
        encoder(torch.empty(5, 3, 48, 48), layout, PruningPass(pruners=[Scripted({"vit.block[0]": half})]))
