import math
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import ConfigError
from zoo.frames import Frames
from zoo.layout import TokenLayout
from zoo.pruner import ClipSize, DecodeView, RemoveShare, Site, SiteView, clip_sizes, keep_best
from zoo.pruning.dycoke import DyCoke, RemoveRepeated, counterparts, least_attended, rank_in_frame


def frames_of(lengths, is_video=None):
    """Clips of so many frames of four windows."""
    clip = tuple(number for number, length in enumerate(lengths) for _ in range(length))
    return Frames(
        clip=clip,
        time_s=tuple(i / 2 for length in lengths for i in range(length)),
        size_px=((48, 48),) * len(clip),
        window=((3, 3),) * len(clip),
        is_video=() if is_video is None else tuple(is_video[c] for c in clip),
    )


def windows_of(lengths, is_video=None):
    return TokenLayout.of_frames(frames_of(lengths, is_video), (6, 6)).pool()[0]


def select(layout, tokens, remove):
    pruner = DyCoke(remove=remove)
    view = SiteView(site=Site("connector.output"), tokens=tokens, layout=layout, clip_seeds=(1,) * 9, training=False)
    return pruner.select(view, {})


def kept_by_hand(lengths, tokens, remove, is_video=None, width=4):
    """Windows that stay: of each compared frame as many as its equal share goes, and then the most similar of the
    clip."""
    kept, start = [], 0
    for number, length in enumerate(lengths):
        windows = range(start * width, (start + length) * width)
        compared = [frame for frame in range(length) if frame % 4]
        total = math.floor(len(windows) * remove + 1e-9) if is_video is None or is_video[number] else 0
        total = min(total, len(compared) * width)
        cosine = {}
        for frame in compared:
            reference = {1: frame - 1, 2: frame - 2, 3: frame - 1}[frame % 4]
            for place in range(width):
                one, two = (tokens[(start + f) * width + place] for f in (frame, reference))
                norm = float(one.norm() * two.norm())
                cosine[(start + frame) * width + place] = float(one @ two) / norm if norm else 0.0
        dropped = []
        for frame in compared:
            own = [w for w in cosine if w // width == start + frame]
            dropped += sorted(own, key=lambda w: (-round(cosine[w], 5), -w))[: total // len(compared)]
        left = sorted((w for w in cosine if w not in dropped), key=lambda w: (-round(cosine[w], 5), -w))
        dropped += left[: total - len(dropped)]
        kept += [w for w in windows if w not in dropped]
        start += length
    return kept


def test_frames_are_compared_within_groups_of_four():
    layout = windows_of([6, 1, 2], is_video=[True, True, True])
    frames = counterparts(layout).view(9, 4)
    assert frames[:, 0].tolist() == [-1, 0, 0, 8, -1, 16, -1, -1, 28]
    assert frames[3].tolist() == [8, 9, 10, 11]
    assert counterparts(windows_of([2, 2], is_video=[False, True]))[::4].tolist() == [-1, -1, -1, 8]


def test_the_most_similar_windows_of_each_compared_frame_leave():
    layout = windows_of([4])
    angles = torch.zeros(4, 4)
    angles[1] = torch.tensor([0.1, 0.4, 0.3, 0.2])  # to frame 0
    angles[2] = torch.tensor([0.9, 0.7, 0.8, 0.6])  # to frame 0
    angles[3] = angles[2] + torch.tensor([0.02, 0.01, 0.04, 0.03])  # to frame 2
    tokens = torch.stack([angles.cos(), angles.sin()], dim=-1).view(16, 2)
    assert select(layout, tokens, 0.0).keep.all()
    # 6 of 16: two of each compared frame, though all of frame 3 is more alike than any of frame 2.
    gone = (~select(layout, tokens, 0.375).keep).nonzero().flatten().tolist()
    assert gone == [4, 7, 9, 11, 12, 13]
    # 8: two of each, and the two most similar of what is left, both in frame 3.
    gone = (~select(layout, tokens, 0.5).keep).nonzero().flatten().tolist()
    assert gone == [4, 7, 9, 11, 12, 13, 14, 15]
    assert (~select(layout, tokens, 0.75).keep).nonzero().flatten().tolist() == [*range(4, 16)]


@pytest.mark.parametrize("lengths", [(4,), (8, 3), (1,), (1, 5, 2, 9), (2, 1, 1, 7)])
@pytest.mark.parametrize("remove", [0.0, 0.1, 0.35, 0.525, 0.75])
@pytest.mark.parametrize("values", ["random", "ties", "equal", "zero"])
def test_windows_stay_as_by_literal_loops(lengths, remove, values):
    layout = windows_of(lengths)
    tokens = torch.randn(layout.num_tokens, 6)
    if values == "ties":
        tokens = torch.eye(2)[torch.randint(0, 2, (layout.num_tokens,))]  # cosines of 0 and 1 without rounding
    elif values != "random":
        tokens = torch.full((layout.num_tokens, 6), float(values == "equal"))
    keep = select(layout, tokens, remove).keep
    assert keep.nonzero().flatten().tolist() == kept_by_hand(lengths, tokens, remove)
    budget = RemoveRepeated(remove)([ClipSize(4 * length, length) for length in lengths])
    assert layout.keep(keep).tokens_per_clip == budget


def test_images_stay_whole():
    lengths, is_video = (3, 4, 1), (False, True, False)
    layout, tokens = windows_of(lengths, is_video), torch.randn(32, 6)
    keep = select(layout, tokens, 0.5).keep
    assert keep.nonzero().flatten().tolist() == kept_by_hand(lengths, tokens, 0.5, is_video)
    assert layout.keep(keep).tokens_per_clip == (12, 8, 4)


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    remove=st.floats(0, 0.75),
    before=st.floats(0, 0.9),
    seed=st.integers(0, 999),
)
def test_the_budget_is_exact_behind_another_pruner(lengths, remove, before, seed):
    torch.manual_seed(seed)
    whole = windows_of(lengths)
    layout = whole.keep(keep_best(whole, torch.rand(whole.num_windows), RemoveShare(before)).keep)
    selection = select(layout, torch.randn(layout.num_tokens, 3), remove)
    budget = pickle.loads(pickle.dumps(DyCoke(remove=remove).budget()))
    assert selection.layout_after(layout).tokens_per_clip == budget(clip_sizes(layout))


def test_a_window_whose_counterpart_is_gone_counts_as_unlike_it():
    whole = windows_of([2])
    keep = torch.tensor([False, False, True, True, True, True, True, True])
    layout = whole.keep(keep)
    tokens = torch.tensor([[1.0, 0], [1, 0], [1, 0], [1, 0], [0, 1], [-1, 0]])
    # Half of six: the two that have a counterpart, however unlike, and of the two others the later.
    assert select(layout, tokens, 0.5).keep.tolist() == [True, True, True, False, False, False]


@pytest.mark.parametrize(
    ("clip", "kept"),
    [
        (ClipSize(16, 4), 6),  # 10.4 of them
        (ClipSize(20, 5), 8),  # no more than 3 of 5 frames are compared, 12
        (ClipSize(8, 2), 4),
        (ClipSize(12, 3), 5),
        (ClipSize(4, 1), 4),
        (ClipSize(0, 0), 0),
        (ClipSize(16, 4, is_video=False), 16),
    ],
)
def test_short_clips_drop_what_their_compared_frames_hold(clip, kept):
    assert RemoveRepeated(0.65)([clip]) == (kept,)


def test_ranks_count_within_a_frame_and_ties_fall_to_the_later_window():
    layout = windows_of([2])
    assert rank_in_frame(torch.tensor([1.0, 3, 3, 2, 5, 5, 5, 5]), layout).tolist() == [3, 1, 0, 2, 3, 2, 1, 0]


# -- while answers are generated --------------------------------------------------------------------------------------


def view(attention, is_vision, step=0):
    attention, is_vision = torch.tensor(attention), torch.tensor(is_vision, dtype=torch.bool)
    return DecodeView(site=Site("decode.layer", 3), attention=attention, is_vision=is_vision, step=step)


def test_the_least_attended_vision_slots_are_hidden():
    attention = torch.tensor([[0.3, 0.1, 0.05, 0.2, 0.05, 0.3], [0.0, 0.2, 0.2, 0.2, 0.2, 0.2]])
    is_vision = torch.tensor([[0, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1]], dtype=torch.bool)
    assert least_attended(attention, is_vision, 0.5).long().tolist() == [[0, 0, 1, 0, 1, 0], [1, 0, 0, 0, 1, 1]]
    assert not least_attended(attention, is_vision, 0.0).any()
    assert not least_attended(attention, torch.zeros_like(is_vision), 0.7).any()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("remove", [0.29, 0.7, 0.99])
def test_hidden_slots_are_those_of_literal_loops(seed, remove):
    generator = torch.Generator().manual_seed(seed)
    attention = torch.randint(0, 9, (4, 100), generator=generator) / 9
    is_vision = torch.rand(4, 100, generator=generator) < torch.tensor([[0.0], [0.3], [0.9], [1.0]])
    hidden = least_attended(attention, is_vision, remove)
    for row in range(4):
        own = [slot for slot in range(100) if is_vision[row, slot]]
        worst = sorted(own, key=lambda slot: (float(attention[row, slot]), -slot))
        assert hidden[row].nonzero().flatten().tolist() == sorted(worst[: math.floor(len(own) * remove + 1e-9)])


def test_it_chooses_anew_when_attention_to_vision_has_moved():
    pruner, memory = DyCoke(decode_remove=0.5, refresh_below=0.9), {}
    is_vision = [[0, 1, 1, 1, 1]]
    first = pruner.hide(view([[0.2, 0.4, 0.3, 0.1, 0.0]], is_vision), memory)
    assert first.long().tolist() == [[0, 0, 0, 1, 1]]
    # Text does not count, nor does how much vision gets in all: the cosine is 1.
    same = pruner.hide(view([[0.8, 0.08, 0.06, 0.02, 0.0, 0.04]], [[0, 1, 1, 1, 1, 0]]), memory)
    assert same.long().tolist() == [[0, 0, 0, 1, 1, 0]]
    # That of (4, 3, 1, 0) and (4, 2, 2.5, 0) is 0.94: others would be chosen now, but are not,
    near = pruner.hide(view([[0.15, 0.4, 0.2, 0.25, 0.0]], is_vision), memory)
    assert near.long().tolist() == [[0, 0, 0, 1, 1]]
    # That of (4, 3, 1, 0) and (4, 1, 3, 1) is 0.83,
    moved = pruner.hide(view([[0.1, 0.4, 0.1, 0.3, 0.1]], is_vision), memory)
    assert moved.long().tolist() == [[0, 0, 1, 0, 1]]
    # and the pattern of that token is what is compared from now on: 1 with itself.
    again = pruner.hide(view([[0.1, 0.4, 0.1, 0.3, 0.1]], is_vision), memory)
    assert torch.equal(again, moved)
    torch.testing.assert_close(memory["pattern"], torch.tensor([[0.0, 0.4, 0.1, 0.3, 0.1]]))


def test_a_slow_drift_is_compared_with_the_last_choice_not_with_the_last_token():
    pruner, memory, chosen = DyCoke(decode_remove=0.5), {}, []
    for step in range(8):
        angle = step * 0.2  # cos 0.2 is 0.98, cos 0.6 is 0.83: every third token
        chosen.append(pruner.hide(view([[math.cos(angle), math.sin(angle)]], [[1, 1]]), memory)[0].long().tolist())
    assert chosen == [[0, 1]] * 3 + [[0, 1]] * 3 + [[1, 0]] * 2


def test_each_row_has_its_own_choice():
    pruner, memory = DyCoke(decode_remove=0.5), {}
    pruner.hide(view([[0.9, 0.1], [0.9, 0.1]], [[1, 1], [1, 1]]), memory)
    hidden = pruner.hide(view([[0.1, 0.9], [0.8, 0.2]], [[1, 1], [1, 1]]), memory)
    assert hidden.long().tolist() == [[1, 0], [0, 1]]
    torch.testing.assert_close(memory["pattern"], torch.tensor([[0.1, 0.9], [0.9, 0.1]]))


def test_a_row_about_which_nothing_is_known_is_chosen_for_even_if_nothing_is_chosen_anew():
    pruner = DyCoke(decode_remove=0.5, refresh_below=0.0)
    memory = {
        "pattern": torch.tensor([[0.9, 0.1], [0.0, 0.0]]),
        "hidden": torch.tensor([[False, True], [False, False]]),
    }
    hidden = pruner.hide(view([[0.1, 0.9], [0.1, 0.9]], [[1, 1], [1, 1]]), memory)
    assert hidden.long().tolist() == [[0, 1], [1, 0]]


def test_rows_become_shorter_when_the_longest_have_ended():
    pruner, memory = DyCoke(decode_remove=0.5), {}
    pruner.hide(view([[0.6, 0.2, 0.2, 0.0]], [[1, 1, 0, 0]]), memory)
    assert pruner.hide(view([[0.6, 0.2, 0.2]], [[1, 1, 0]]), memory).long().tolist() == [[0, 1, 0]]


@torch.no_grad()
def test_an_answer_sees_as_many_vision_tokens_as_it_was_told(module_of, batch_of):
    module = module_of(DyCoke(remove=0.5, decode_layer=1, decode_remove=0.5))
    batch = batch_of(module)
    session = module.model.prefill(batch, batch.turns, module.processor.tokenizer)[1]
    text = [sum(not batch.is_patch[p] for r in (t.prefix, t.prompt) for p in range(*r)) for t in batch.turns]
    for step in range(1, 4):
        session.append(torch.full((5, 1), 7))
        hiding = session.cache.hidings[1]
        assert hiding.hidden.sum(1).tolist() == [3, 3, 3, 2, 2]
        assert sorted(hiding.visible) == [1, 2]
        left = [count + windows + step for count, windows in zip(text, [3, 3, 3, 2, 2], strict=True)]
        assert all(cache.lengths.tolist() == left for cache in hiding.visible.values())


@torch.no_grad()
def test_stage_one_alone_hides_nothing(module_of, batch_of):
    pruner = DyCoke(remove=0.5, decode_layer=None)
    assert [str(site) for site in pruner.sites()] == ["connector.output"]
    module = module_of(pruner)
    batch = batch_of(module)
    session = module.model.prefill(batch, batch.turns, module.processor.tokenizer)[1]
    session.append(torch.full((5, 1), 7))
    assert not session.cache.hidings


# -- arguments --------------------------------------------------------------------------------------------------------


def test_more_than_three_of_four_frames_cannot_be_dropped():
    with pytest.raises(ConfigError, match=r"remove is 0\.8, but the first of every 4 frames stays whole; 0\.75 drops"):
        DyCoke(remove=0.8)


@pytest.mark.parametrize("remove", [1.0, -0.1])
def test_a_share_outside_its_range_is_refused(remove):
    with pytest.raises(ConfigError, match=rf"remove must be in \[0, 1\), got {remove}"):
        DyCoke(remove=remove)


@pytest.mark.parametrize("wrong", [{"decode_remove": 1.0}, {"decode_remove": -0.1}, {"refresh_below": 1.1}])
def test_shares_of_decoding_outside_their_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=rf"{next(iter(wrong))} {next(iter(wrong.values()))}"):
        DyCoke(**wrong)


def test_a_layer_that_the_trunk_lacks_is_refused(module_of):
    with pytest.raises(ConfigError, match=r"DyCoke acts at decode\.layer\[9\], which this trunk lacks"):
        module_of(DyCoke(decode_layer=9))
