import math

import pytest
import torch

from zoo.errors import ConfigError
from zoo.frames import Frames
from zoo.layout import TokenLayout
from zoo.pruner import ClipSize, RemoveShare, Selection, Site, SiteView
from zoo.pruning.reference_frame import (
    ReferenceFrame,
    compare_previous,
    first_sufficient,
    frame_mean,
    patches_of_windows,
    unit_windows,
    walk_references,
)
from zoo.pruning.stride import TemporalStride

FORMS = ["reference", "previous"]
WALKS = {"reference": walk_references, "previous": compare_previous}


def layout_of(*lengths: int, images: tuple[int, ...] = (), grid: tuple[int, int] = (6, 6)) -> TokenLayout:
    clip = tuple(number for number, length in enumerate(lengths) for _ in range(length))
    count = len(clip)
    frames = Frames(
        clip=clip,
        time_s=(0.0,) * count,
        size_px=((48, 48),) * count,
        window=((3, 3),) * count,
        is_video=tuple(c not in images for c in clip),
    )
    return TokenLayout.of_frames(frames, grid)


def select(layout: TokenLayout, tokens: torch.Tensor, **arguments: object) -> Selection:
    pruner = ReferenceFrame(**arguments)
    view = SiteView(
        site=pruner.sites()[0],
        tokens=tokens,
        layout=layout,
        clip_seeds=(0,) * layout.frames.num_clips,
        training=False,
    )
    return pruner.select(view, {})


def kept_windows(layout: TokenLayout, selection: Selection) -> list[int]:
    return selection.layout_after(layout).pool()[0].window_of_token.tolist()


def clip_states(layout: TokenLayout, seed: int, channels: int = 5) -> torch.Tensor:
    """(tokens, channels) of clips that drift, every third of them wildly, and are cut now and then."""
    generator = torch.Generator().manual_seed(seed)
    calm, wild = [(0.5, 1.2), (0.8, 2.0), (1.2, 1.4)][seed % 3]
    patches, states = layout.patches_per_frame, []
    for is_first in layout.frames.is_first:
        fresh = torch.randn(patches, channels, generator=generator)
        chance = float(torch.rand((), generator=generator))
        if is_first or chance < 0.15:
            states.append(fresh)
        else:
            much = torch.rand(patches, 1, generator=generator).pow(2) * (wild if chance < 0.5 else calm)
            states.append(states[-1] + much * fresh)
    return torch.cat(states)


def cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def literal_walk(clip: list[list[list[float]]], threshold: float, form: str) -> tuple[list[list[float]], list[bool]]:
    """The sheet's words: (frames, windows) similarities and protected frames of one clip."""
    reference, similar, protected = list(clip[0]), [[-1.0] * len(clip[0])], [True]
    for frame in clip[1:]:
        own = [cosine(window, other) for window, other in zip(frame, reference, strict=True)]
        similar.append(own)
        protected.append(sum(own) / len(own) < threshold)
        if form == "previous" or protected[-1]:
            reference = list(frame)
        else:
            for place, value in enumerate(own):
                if value < threshold:
                    reference[place] = frame[place]
    return similar, protected


def literal_gone(clip: list[list[list[float]]], number: int, form: str) -> tuple[set[tuple[int, int]], int]:
    """(frame, place) of the windows that leave, and how often the threshold was lowered."""
    for retry in range(6):
        similar, protected = literal_walk(clip, 0.85 - 0.05 * retry, form)
        places = [(f, w) for f in range(len(clip)) for w in range(len(clip[0]))]
        free = [place for place in places if not protected[place[0]]]
        if len(free) >= number:
            break
    rest = [place for place in places if protected[place[0]] and place[0] > 0]
    best = [
        sorted(group, key=lambda place: (-similar[place[0]][place[1]], [-x for x in place])) for group in (free, rest)
    ]
    return set((best[0] + best[1])[:number]), retry


def windows_as_lists(layout: TokenLayout, states: torch.Tensor) -> list[list[float]]:
    """Every window's patch vectors end to end, as numbers."""
    joined: list[list[float]] = [[] for _ in range(layout.num_windows)]
    for own, vector in zip(layout.windows.tolist(), states.double().tolist(), strict=True):
        joined[own] += vector
    return joined


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(9))
@pytest.mark.parametrize("remove", [0.0, 0.3, 0.66, 0.9])
@pytest.mark.parametrize(
    ("lengths", "images", "grid"),
    [((6, 1, 9), (), (6, 6)), ((3, 2, 5), (1,), (6, 6)), ((1,), (), (6, 6)), ((7, 4), (), (7, 5))],
)
def test_the_windows_of_the_literal_walk_leave(form, seed, remove, lengths, images, grid):
    layout = layout_of(*lengths, images=images, grid=grid)
    states = clip_states(layout, seed)
    vectors, per_frame = windows_as_lists(layout, states), layout.windows_per_frame[0]
    gone, start = set(), 0
    for number, length in enumerate(lengths):
        if number not in images:
            clip = [vectors[(start + f) * per_frame : (start + f + 1) * per_frame] for f in range(length)]
            drop = min(int(remove * per_frame * length), per_frame * (length - 1))
            gone |= {(start + f) * per_frame + w for f, w in literal_gone(clip, drop, form)[0]}
        start += length
    selection = select(layout, states, remove=remove, form=form, block=1)
    assert set(kept_windows(layout, selection)) == set(range(layout.num_windows)) - gone


@pytest.mark.parametrize("form", FORMS)
def test_random_clips_need_no_retry_one_and_all(form):
    """Otherwise the comparison above would leave the rule of retries untested."""
    found, layout = set(), layout_of(9)
    for seed in range(30):
        vectors = windows_as_lists(layout, clip_states(layout, seed))
        found.add(literal_gone([vectors[4 * f : 4 * f + 4] for f in range(9)], 24, form)[1])
    assert {0, 1, 5} <= found


def rays(*degrees: list[float]) -> torch.Tensor:
    """(1, frames, windows, 2) unit vectors at these angles."""
    angle = torch.tensor(degrees).deg2rad()
    return torch.stack([angle.cos(), angle.sin()], dim=-1).unsqueeze(0)


def cos(degrees: float) -> float:
    return math.cos(math.radians(degrees))


def test_a_place_renews_its_reference_and_a_new_picture_all_of_them():
    unit = rays(
        [0, 0, 0],
        [10, 0, 60],  # the third place falls below .85, the mean of .83 does not fall below .8
        [20, 0, 70],
        [100, 90, 70],  # mean below: a new reference as a whole
        [100, 95, 80],
    )
    similar, protected = walk_references(unit, torch.ones(1, 5, 3, dtype=torch.bool), torch.tensor([0.8]))
    expected = [
        [-1, -1, -1],
        [cos(10), 1, cos(60)],
        [cos(20), 1, cos(10)],
        [cos(100), 0, cos(10)],
        [1, cos(5), cos(10)],
    ]
    torch.testing.assert_close(similar[0, 0], torch.tensor(expected), rtol=0, atol=1e-6)
    assert protected[0, 0].tolist() == [True, False, False, True, False]


def test_the_easy_form_compares_with_the_previous_frame():
    unit = rays([0, 0], [30, 0], [60, 0], [150, 0])
    similar, protected = compare_previous(unit, torch.ones(1, 4, 2, dtype=torch.bool), torch.tensor([0.85]))
    expected = [[-1, -1], [cos(30), 1], [cos(30), 1], [0, 1]]
    torch.testing.assert_close(similar[0, 0], torch.tensor(expected), rtol=0, atol=1e-6)
    assert protected[0, 0].tolist() == [True, False, False, True]


@pytest.mark.parametrize("form", FORMS)
def test_frames_that_are_gone_are_stepped_over_and_padding_protects_nothing(form):
    unit = torch.nn.functional.normalize(torch.randn(1, 5, 3, 4), dim=-1)
    living = torch.tensor([True, False, True, True, False]).view(1, 5, 1).expand(1, 5, 3)
    limits = torch.tensor([0.3, 0.0])
    similar, protected = WALKS[form](unit, living, limits)
    short, short_protected = WALKS[form](unit[:, [0, 2, 3]], living[:, [0, 2, 3]], limits)
    torch.testing.assert_close(similar[:, :, [0, 2, 3]], short)
    assert torch.equal(protected[:, :, [0, 2, 3]], short_protected)
    assert not protected[:, :, [1, 4]].any()
    assert (similar[:, :, [1, 4]] == -1).all()


@pytest.mark.parametrize("form", FORMS)
def test_a_place_without_a_reference_counts_as_new_and_does_not_weigh_on_its_frame(form):
    unit = rays([0, 0], [10, 50], [10, 50])
    living = torch.tensor([[True, False], [True, True], [True, True]]).unsqueeze(0)
    similar, protected = WALKS[form](unit, living, torch.tensor([0.85]))
    assert similar[0, 0, 1].tolist() == [pytest.approx(cos(10)), -1]
    assert similar[0, 0, 2, 1] == pytest.approx(1)
    assert protected[0, 0].tolist() == [True, False, False]


def test_the_mean_of_nothing_passes_no_threshold():
    compared = torch.tensor([[True, False], [False, False]])
    assert frame_mean(torch.tensor([[0.5, 9.0], [1.0, 1.0]]), compared).tolist() == [0.5, -math.inf]


def test_the_first_threshold_that_frees_enough_is_taken_or_the_last():
    protected = torch.tensor([[[1, 1, 1], [1, 1, 1], [1, 0, 0]], [[1, 1, 0], [1, 1, 1], [1, 0, 0]]]).bool()
    living = torch.ones(3, 3, 4, dtype=torch.bool)
    assert first_sufficient(protected, living, torch.tensor([4, 4, 8])).tolist() == [1, 1, 0]
    living[0, 2, 0] = False
    assert first_sufficient(protected, living, torch.tensor([4, 0, 9])).tolist() == [1, 0, 1]


def test_a_lower_threshold_frees_frames():
    """Every frame turns on by 34 degrees, cosine 0.829: all protected at 0.85, at 0.80 every other one is not."""
    layout = layout_of(5)
    angle = (torch.arange(5) * 34.0).deg2rad().repeat_interleave(36)
    states = torch.stack([angle.cos(), angle.sin()], dim=1)
    selection = select(layout, states, remove=0.4)
    assert layout.keep(selection.keep).pool()[0].tokens_per_frame == (4, 0, 4, 0, 4)
    without_retry = select(layout, states, remove=0.4, retries=0)
    assert layout.keep(without_retry.keep).pool()[0].tokens_per_clip == (12,)


@pytest.mark.parametrize("form", FORMS)
def test_when_everything_stays_protected_the_budget_is_met_all_the_same(form):
    layout = layout_of(4, 2)
    states = torch.eye(6).repeat_interleave(36, dim=0)  # no frame resembles any other
    kept = kept_windows(layout, select(layout, states, remove=0.5, form=form))
    assert kept == [*range(8), *range(16, 20)]  # ties: the later windows leave


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("remove", [0.3, 0.5, 0.9])
def test_a_still_clip_keeps_its_first_frame_and_as_many_as_the_budget_says(form, remove):
    layout = layout_of(4, 1, 3)
    states = torch.randn(36, 5).repeat(8, 1)
    after = layout.keep(select(layout, states, remove=remove, form=form).keep)
    budget = RemoveShare(remove, protect_first_frame=True)
    assert after.pool()[0].tokens_per_clip == budget([ClipSize(16, 4), ClipSize(4, 1), ClipSize(12, 3)])
    assert [after.tokens_per_frame[frame] for frame in (0, 4, 5)] == [36] * 3


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("much", [0.3, 9.0])
def test_the_one_window_that_changes_stays(form, much):
    """Lower left, in the third frame, and not back again; a large change protects the whole frame."""
    layout = layout_of(4)
    states = torch.randn(36, 5).repeat(4, 1)
    states[(layout.windows == 10) | (layout.windows == 14)] += much * torch.randn(9, 5).repeat(2, 1)
    kept = kept_windows(layout, select(layout, states, remove=0.625, form=form))
    assert len(kept) == 6
    assert {0, 1, 2, 3, 10} <= set(kept)


def test_states_of_a_window_are_put_end_to_end_in_the_same_order():
    layout = layout_of(2, grid=(4, 3))  # padded to 6 x 3: windows of six patches, and no patch for the other three
    table = torch.tensor([[[0, 1], [2, 3]]])
    assert patches_of_windows(layout).tolist() == [
        [*range(12 * f + 6 * w, 12 * f + 6 * w + 6), -1, -1, -1] for f in range(2) for w in range(2)
    ]
    tokens = torch.randn(24, 2)
    unit = unit_windows(tokens, layout, table)
    assert unit.shape == (1, 2, 2, 18)
    torch.testing.assert_close(unit[0, 1, 0, :12], torch.nn.functional.normalize(tokens[12:18].flatten(), dim=0))
    assert (unit[..., 12:] == 0).all()


def test_two_pictures_with_the_same_mean_are_not_the_same():
    layout = layout_of(2)
    states = torch.randn(36, 4)
    turned = states.view(6, 6, 4).flip(1)
    swapped = torch.cat([turned[:, 3:], turned[:, :3]], dim=1).reshape(36, 4)  # mirrored within each window
    change = select(layout, torch.cat([states, swapped]), remove=0.5).scores
    torch.testing.assert_close(
        layout.per_window(torch.cat([states, swapped]))[:4], layout.per_window(states.repeat(2, 1))[:4]
    )
    assert (change[36:] > 0.1).all()


def test_behind_a_stride_the_walk_is_that_of_the_short_clip():
    layout, short = layout_of(6, 3), layout_of(3, 2)
    frames = [0, 2, 5, 6, 8]
    states = clip_states(layout, 4)
    chosen = torch.isin(layout.frame_of_token, torch.tensor(frames))
    thinned = layout.keep(chosen)
    kept = kept_windows(thinned, select(thinned, states[chosen], remove=0.5))
    alone = kept_windows(short, select(short, states[chosen], remove=0.5))
    assert kept == [4 * frames[window // 4] + window % 4 for window in alone]


def test_only_images_pass_whole():
    layout = layout_of(1, 2, images=(0, 1))
    assert select(layout, torch.randn(108, 4), remove=0.9).keep.all()


def test_half_precision_is_compared_in_float32():
    layout = layout_of(3)
    states = torch.ones(108, 4, dtype=torch.bfloat16)
    states[layout.windows == 5, 0] = 1.015625  # a cosine that bfloat16 rounds to 1
    assert 5 in kept_windows(layout, select(layout, states, remove=0.5))


def test_tokens_leave_after_the_block(module_of, batch_of):
    pruner = ReferenceFrame(remove=0.5, block=1)
    assert pruner.cuts() == (Site("vit.block", 1),)
    module = module_of([TemporalStride(remove=0.2), pruner])
    with torch.no_grad():
        done = module.model.run(batch_of(module, frames=(4, 3)))
    assert done.pruning.tokens_per_clip[Site("vit.block", 1)] == (72, 54)
    assert done.window_layout.tokens_per_clip == (8, 6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"remove": 1.0}, r"remove must be in \[0, 1\), got 1.0"),
        ({"form": "easy"}, "reference-frame: form is 'easy'; use reference or previous"),
        ({"block": -1}, "reference-frame: block is -1; use 0 or more"),
        ({"threshold": 1.5}, r"reference-frame: threshold is 1.5; use a cosine in \[-1, 1\]"),
        ({"step": 0.0}, "reference-frame: step is 0.0; use one above 0"),
        ({"retries": -1}, "reference-frame: retries is -1; use 0 or more"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        ReferenceFrame(**arguments)
