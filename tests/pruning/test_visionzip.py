"""VisionZip against its rule written as loops, its budgets, and its place within a trunk."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import ConfigError
from zoo.frames import Frames
from zoo.layout import TokenLayout
from zoo.preprocessing.crops import Tiling
from zoo.pruner import ClipSize, Selection, Site, SiteView
from zoo.pruning.tome import ToMe
from zoo.pruning.visionzip import VisionZip, dominant_and_contextual, equal_shares

SEEDS = (1, 2, 3, 4)
BLOCK, OUTPUT = Site("vit.attention", 1), Site("connector.output")


def frames_of(*clips: int, is_video: tuple[bool, ...] = ()) -> Frames:
    clip = tuple(number for number, count in enumerate(clips) for _ in range(count))
    count = len(clip)
    videos = tuple(is_video[number] for number in clip) if is_video else ()
    return Frames(
        clip=clip, time_s=(0.0,) * count, size_px=((9, 9),) * count, window=((3, 3),) * count, is_video=videos
    )


def decide(
    pruner: VisionZip, layout: TokenLayout, received: torch.Tensor, keys: torch.Tensor
) -> tuple[TokenLayout, Selection]:
    """Look at a layout of patches, and select among its windows."""
    memory: dict[str, torch.Tensor] = {}
    common = {"clip_seeds": (), "training": False}
    look = SiteView(site=BLOCK, tokens=keys.flatten(1), layout=layout, keys=keys, received_attention=received, **common)
    assert pruner.select(look, memory) is None
    windows = layout.pool()[0]
    view = SiteView(site=OUTPUT, tokens=torch.zeros(windows.num_tokens, 2), layout=windows, **common)
    return windows, pruner.select(view, memory)


def loop_frame(scores: list[float], keys: torch.Tensor, dominant: int, contextual: int) -> list[int | None]:
    """What each window of one frame joins: itself, another, or nothing."""
    places = list(range(len(scores)))
    best = sorted(places, key=lambda place: (-scores[place], place))[:dominant]
    rest = [place for place in places if place not in best]
    targets = []
    if contextual:
        step = max(1, len(rest) // contextual)
        targets = rest[::step][:contextual]
    joins: list[int | None] = []
    for place in places:
        if place in best or place in targets:
            joins.append(place)
        elif not targets:
            joins.append(None)
        else:
            cosines = [float(keys[place] @ keys[t] / (keys[place].norm() * keys[t].norm())) for t in targets]
            joins.append(targets[cosines.index(max(cosines))])
    return joins


def test_six_windows_by_hand():
    scores = torch.tensor([0.1, 0.9, 0.2, 0.3, 0.8, 0.0])
    angle = torch.tensor([0.0, 0.0, 10.0, 90.0, 0.0, 80.0]).deg2rad()
    keys = torch.stack([angle.cos(), angle.sin()], dim=1)
    # 1 and 4 are dominant; of 0, 2, 3, 5 every second gathers: 0 and 3
    into = dominant_and_contextual(scores, keys, torch.arange(6).unsqueeze(0), [2], [2])
    assert into.tolist() == [0, 1, 0, 3, 4, 3]
    assert dominant_and_contextual(scores, keys, torch.arange(6).unsqueeze(0), [2], [0]).tolist() == [
        -1,
        1,
        -1,
        -1,
        4,
        -1,
    ]


def test_equal_scores_and_keys_fall_to_the_earlier_windows():
    into = dominant_and_contextual(torch.ones(6), torch.ones(6, 2), torch.arange(6).unsqueeze(0), [1], [2])
    assert into.tolist() == [0, 1, 1, 3, 1, 1]


def test_autocast_leaves_cosines_in_float32():
    arguments = torch.rand(40), 1 + torch.randn(40, 64) / 100, torch.arange(40).unsqueeze(0), [5], [9]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = dominant_and_contextual(*arguments)
    assert torch.equal(inside, dominant_and_contextual(*arguments))


def test_shares_are_equal_as_far_as_rows_have_room():
    assert equal_shares(7, [4, 4, 4]) == [3, 2, 2]
    assert equal_shares(2, [4, 4, 4]) == [1, 1, 0]
    assert equal_shares(8, [1, 9, 0, 9]) == [1, 4, 0, 3]
    assert equal_shares(0, [3]) == [0]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.floats(0, 1))
def test_shares_add_up(sizes, share):
    total = int(sum(sizes) * share)
    shares = equal_shares(total, sizes)
    assert sum(shares) == total
    assert all(0 <= a <= b for a, b in zip(shares, sizes, strict=True))
    roomy = [a for a, b in zip(shares, sizes, strict=True) if a < b]
    assert not roomy or max(shares) - min(roomy) <= 1


@pytest.mark.parametrize("contextual", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("remove", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("seed", SEEDS)
def test_windows_are_kept_and_joined_as_in_loops(seed, remove, contextual):
    generator = torch.Generator().manual_seed(seed)
    layout = TokenLayout.of_frames(frames_of(3, 1, 2), (7, 8))  # 9 windows a frame, those at the rim smaller
    received = torch.rand(layout.num_tokens, generator=generator)
    keys = torch.randn(layout.num_tokens, 2, 4, generator=generator)
    _, selection = decide(VisionZip(remove=remove, contextual=contextual), layout, received, keys)
    own = layout.windows.tolist()
    expected, start = [], 0
    for frames in (3, 1, 2):
        kept = 9 * frames - int(9 * frames * remove)
        for number in range(frames):
            count = kept // frames + (number < kept % frames)
            gathers = int(count * contextual)
            scores, means = [], []
            for window in range(start, start + 9):
                patches = [p for p, w in enumerate(own) if w == window]
                scores.append(sum(float(received[p]) for p in patches) / len(patches))
                means.append(sum(keys[p, head] for p in patches for head in range(2)) / (2 * len(patches)))
            joins = loop_frame(scores, torch.stack(means), count - gathers, gathers)
            expected += [-1 if join is None else start + join for join in joins]
            start += 9
    assert selection.merge_into.tolist() == expected


def test_what_joins_is_averaged_by_patches():
    layout = TokenLayout.of_frames(frames_of(1), (3, 12)).keep(torch.arange(36) % 12 != 3)  # windows of 9, 6, 9, 9
    received = torch.tensor([9.0, 1.0, 2.0, 1.0])[layout.window_of_token]
    keys = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.1, 1.0], [1.0, 0.1]])[layout.window_of_token].unsqueeze(1)
    windows, selection = decide(VisionZip(remove=0.25, contextual=0.4), layout, received, keys)
    assert selection.merge_into.tolist() == [0, 1, 2, 1]
    vectors = torch.tensor([[1.0], [10.0], [2.0], [20.0]])
    assert selection.apply(vectors, windows).tolist() == [[1.0], [16.0], [2.0]]  # (6 * 10 + 9 * 20) / 15
    torch.testing.assert_close(selection.scores, torch.tensor([9.0, 1.0, 2.0, 1.0]))


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=4),
    st.sampled_from([0.0, 0.29, 0.5, 0.8, 0.97]),
    st.sampled_from([0.0, 0.16, 0.6, 1.0]),
    st.booleans(),
)
def test_every_clip_keeps_what_the_budget_says(clips, remove, contextual, are_equal):
    layout = TokenLayout.of_frames(frames_of(*clips), (6, 6))
    make = torch.ones if are_equal else torch.randn
    pruner = VisionZip(remove=remove, contextual=contextual)
    windows, selection = decide(pruner, layout, make(layout.num_tokens), make(layout.num_tokens, 2, 4))
    after = selection.layout_after(windows)
    assert after.tokens_per_clip == pruner.budget()([ClipSize(4 * count, count) for count in clips])
    into = selection.merge_into
    if remove == 0:
        assert into is None
    else:
        assert torch.equal(windows.frame_of_token[into >= 0], windows.frame_of_token[into[into >= 0]])


def test_windows_cut_between_looking_and_acting_do_not_count():
    layout = TokenLayout.of_frames(frames_of(2), (6, 6))
    received = torch.tensor([9.0, 1, 2, 3, 9, 1, 2, 3])[layout.window_of_token]
    memory: dict[str, torch.Tensor] = {}
    common = {"clip_seeds": (), "training": False}
    pruner = VisionZip(remove=0.5, contextual=0.0)
    keys = torch.ones(72, 2, 4)
    view = SiteView(site=BLOCK, tokens=received, layout=layout, keys=keys, received_attention=received, **common)
    pruner.select(view, memory)
    left = layout.keep(layout.window_of_token >= 2).pool()[0]  # the first frame lost windows 0 and 1
    selection = pruner.select(SiteView(site=OUTPUT, tokens=torch.zeros(6, 2), layout=left, **common), memory)
    assert left.window_of_token[selection.keep].tolist() == [
        2,
        3,
        4,
    ]  # 3 of 6: two of the first frame, one of the other


def test_images_pass_whole():
    tiling = Tiling(1, 2, (1, 2))  # margins belong to no window
    frames = Frames(
        clip=(0, 0, 1, 1, 1),
        time_s=(0.0,) * 5,
        size_px=((9, 9),) * 5,
        window=((3, 3),) * 2 + ((2, 2),) * 3,
        tile=(None, None, None, *tiling.tiles()),
        is_video=(True, True, False, False, False),
    )
    layout = TokenLayout.of_frames(frames, (6, 6))
    images = layout.windows_per_clip[1]
    windows, selection = decide(VisionZip(remove=0.5), layout, torch.rand(180), torch.randn(180, 2, 4))
    assert selection.layout_after(windows).tokens_per_clip == (4, images)


def test_a_block_that_the_trunk_lacks_is_refused(module_of):
    with pytest.raises(ConfigError, match=r"VisionZip acts at vit\.attention\[-4\], which this trunk lacks"):
        module_of(VisionZip(block=-4))


def test_a_share_outside_its_range_is_refused():
    with pytest.raises(ConfigError, match=r"contextual must be in \[0, 1\], got 1\.5"):
        VisionZip(contextual=1.5)
    with pytest.raises(ConfigError, match=r"remove must be in \[0, 1\), got 1"):
        VisionZip(remove=1.0)


def test_removing_nothing_gives_the_dense_outputs(module_of, batch_of):
    module = module_of(VisionZip(remove=0.0))
    dense = module_of()
    dense.load_state_dict(module.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(module(batch_of(module)).logits, dense(batch_of(dense)).logits, rtol=0, atol=0)


def test_patches_may_merge_after_it_has_looked(module_of, batch_of):
    module = module_of([VisionZip(remove=0.5, block=0), ToMe(remove=0.4, first_block=1, windows=False)])
    with torch.no_grad():
        done = module.model.run(batch_of(module))
    assert done.window_layout.tokens_per_clip == (6, 4)
