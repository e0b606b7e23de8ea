"""What prunevid, holitom and flashvid promise alike: exact budgets, valid merge maps, and nothing from nothing."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.frames import Frames
from zoo.layout import TokenLayout
from zoo.pruner import Site, SiteView, clip_sizes
from zoo.pruning.flashvid import FlashVid
from zoo.pruning.holitom import HoliTom
from zoo.pruning.prunevid import PruneVid

METHODS = [
    PruneVid,
    HoliTom,
    lambda **arguments: HoliTom(dynamic="clusters", **arguments),
    FlashVid,
]
every_method = pytest.mark.parametrize("method", METHODS, ids=["prunevid", "holitom", "holitom-clusters", "flashvid"])


def layout_of(lengths, grid=(2, 3), images=(), keep=None):
    """One token a window of one patch, as behind the connector; clips in `images` are no videos."""
    clip = tuple(number for number, length in enumerate(lengths) for _ in range(length))
    frames = Frames(
        clip=clip,
        time_s=tuple(float(t) for t in range(len(clip))),
        size_px=((8, 8),) * len(clip),
        window=((1, 1),) * len(clip),
        is_video=tuple(number not in images for number in clip),
    )
    layout, _ = TokenLayout.of_frames(frames, grid).pool()
    return layout if keep is None else layout.keep(keep)


def seen(site, tokens, layout, received=None):
    seeds = tuple(range(layout.frames.num_clips))
    return SiteView(
        site=site, tokens=tokens, layout=layout, clip_seeds=seeds, training=False, received_attention=received
    )


def selection_of(pruner, tokens, layout, attention=None):
    memory = {"attention": torch.rand(layout.num_windows) if attention is None else attention}
    return pruner.select(seen(Site("connector.output"), tokens, layout), memory)


def check(pruner, selection, layout):
    """The map points at survivors within the clip, and every clip has its budget."""
    into = selection.merge_into
    survivors = selection.keep.nonzero().flatten()
    assert (into[survivors] == survivors).all()
    assert selection.keep[into[into >= 0]].all()
    assert (layout.clip_of_token[into[into >= 0]] == layout.clip_of_token[into >= 0]).all()
    after = selection.layout_after(layout)
    assert after.tokens_per_clip == pruner.budget()(clip_sizes(layout))


def scene(layout, noise, seed=0):
    """Every clip shows one picture, with noise."""
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.randn(layout.frames.num_clips, layout.patches_per_frame, 8, generator=generator)
    place = layout.window_of_token % layout.patches_per_frame
    shown = pictures[layout.clip_of_token, place]
    return shown + noise * torch.randn(shown.shape, generator=generator)


@every_method
@pytest.mark.parametrize("remove", [0.3, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("noise", [0.0, 0.3, 0.6, 10.0])
def test_ragged_clips_keep_exactly_their_budget(method, remove, noise):
    layout = layout_of((12, 1, 5, 2))
    pruner = method(remove=remove)
    check(pruner, selection_of(pruner, scene(layout, noise), layout), layout)


@every_method
@pytest.mark.parametrize("noise", [0.0, 0.3, 10.0])
def test_removing_nothing_joins_nothing(method, noise):
    layout = layout_of((5, 1, 3))
    tokens = scene(layout, noise)
    selection = selection_of(method(remove=0.0), tokens, layout)
    assert torch.equal(selection.apply(tokens, layout), tokens)
    assert selection.keep.all()
    assert selection.merge_into.tolist() == list(range(layout.num_tokens))


@every_method
@pytest.mark.parametrize("tokens", [torch.zeros(54, 8), torch.ones(54, 8) / 3], ids=["zeros", "equal"])
def test_equal_vectors_and_equal_attention_keep_the_budget_and_the_vector(method, tokens):
    layout = layout_of((6, 1, 2))
    pruner = method(remove=0.5)
    selection = selection_of(pruner, tokens, layout, torch.ones(54))
    check(pruner, selection, layout)
    torch.testing.assert_close(selection.apply(tokens, layout), tokens[:27], rtol=1e-6, atol=0)


@every_method
def test_one_frame_is_thinned_out_in_space(method):
    layout = layout_of((1,))
    pruner = method(remove=0.5)
    check(pruner, selection_of(pruner, torch.randn(6, 4), layout), layout)


@every_method
def test_images_pass_whole(method):
    layout = layout_of((1, 4, 1), images=(0, 2))
    pruner = method(remove=0.5)
    selection = selection_of(pruner, torch.randn(36, 4), layout)
    check(pruner, selection, layout)
    images = (layout.clip_of_token == 0) | (layout.clip_of_token == 2)
    assert torch.equal(selection.merge_into[images], torch.arange(36)[images])
    alone = layout_of((1,), images=(0,))
    assert selection_of(pruner, torch.randn(6, 4), alone).keep.all()


@every_method
def test_a_clip_is_merged_as_it_is_alone(method):
    both, alone = layout_of((3, 7)), layout_of((7,))
    tokens, attention = scene(both, 0.5), torch.rand(60)
    pruner = method(remove=0.6)
    together = selection_of(pruner, tokens, both, attention).merge_into[18:]
    single = selection_of(pruner, tokens[18:], alone, attention[18:]).merge_into
    assert torch.equal(together, torch.where(single < 0, -1, single + 18))


@every_method
def test_bfloat16_states_under_autocast_decide_as_their_float32_copies(method):
    layout = layout_of((6, 3))
    tokens, attention = scene(layout, 0.3).bfloat16(), torch.rand(54)
    pruner = method(remove=0.5)
    plain = selection_of(pruner, tokens.float(), layout, attention)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = selection_of(pruner, tokens, layout, attention)
    assert torch.equal(mixed.merge_into, plain.merge_into)


@every_method
@settings(max_examples=30)
@given(data=st.data())
def test_maps_are_valid_whatever_is_alive(method, data):
    lengths = data.draw(st.lists(st.integers(1, 10), min_size=1, max_size=3))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 10_000)))
    keep = torch.rand(6 * sum(lengths), generator=generator) < data.draw(st.sampled_from([0.2, 0.7, 1.1]))
    keep[0] = True
    layout = layout_of(lengths, keep=keep)
    vectors = torch.randint(-1, 2, (6 * sum(lengths), 3), generator=generator).float()[keep]  # copies and zeros
    pruner = method(remove=data.draw(st.floats(0, 0.99)))
    check(pruner, selection_of(pruner, vectors, layout), layout)


@pytest.mark.parametrize("method", [HoliTom, FlashVid])
def test_attention_is_kept_by_original_window_and_nothing_is_decided_there(method):
    frames = Frames(clip=(0,), time_s=(0.0,), size_px=((8, 8),), window=((2, 2),))
    layout = TokenLayout.of_frames(frames, (2, 4)).keep(torch.tensor([True] * 6 + [False, True]))
    memory = {}
    view = seen(Site("vit.attention", 1), torch.zeros(7, 4), layout, torch.tensor([1.0, 2, 3, 4, 5, 6, 8]))
    assert method().select(view, memory) is None
    assert memory["attention"].tolist() == [3.5, 5.0]


@pytest.mark.parametrize("method", [HoliTom, FlashVid])
def test_a_token_merged_across_windows_gives_its_attention_to_all_of_them(method):
    frames = Frames(clip=(0,), time_s=(0.0,), size_px=((8, 8),), window=((2, 2),))
    layout = TokenLayout.of_frames(frames, (2, 4)).merge(torch.tensor([0, 1, 0, 3, 4, -1, 6, -1]))
    memory, received = {}, torch.tensor([1.0, 2.0, 3.0, 4.0, 9.0])
    method().select(seen(Site("vit.attention", 1), torch.zeros(5, 4), layout, received.requires_grad_()), memory)
    assert memory["attention"].tolist() == pytest.approx([7 / 3, 13 / 3])
    assert not memory["attention"].requires_grad


@pytest.mark.parametrize("method", METHODS, ids=["prunevid", "holitom", "holitom-clusters", "flashvid"])
def test_it_asks_for_attention_only_where_it_uses_it(method):
    pruner = method(llm_layer=2)
    needs = {str(site): set(pruner.needs_at(site)) for site in pruner.sites()}
    looks = {"vit.attention[-1]": {"received_attention"}}
    uses_attention = isinstance(pruner, FlashVid) or getattr(pruner, "dynamic", None) == "attention"
    assert needs == (looks if uses_attention else {}) | {
        "connector.output": set(),
        "llm.layer[2]": {"received_attention"},
    }
    assert len(method().sites()) == len(pruner.sites()) - 1


@every_method
@pytest.mark.parametrize("llm_remove", [0.0, 0.5, 0.8])
def test_the_language_model_loses_its_share_of_what_entered(method, llm_remove):
    layout = layout_of((4, 1, 3), images=(1,))
    pruner = method(remove=0.5, llm_layer=1, llm_remove=llm_remove)
    layout = selection_of(pruner, torch.randn(48, 4), layout).layout_after(layout)
    before = layout.tokens_per_clip
    assert before == (12, 6, 9)
    received = torch.rand(layout.num_tokens)
    selection = pruner.select(seen(Site("llm.layer", 1), torch.randn(27, 8), layout, received), {})
    after = selection.layout_after(layout)
    assert after.tokens_per_clip == (12 - int(12 * llm_remove), 6, 9 - int(9 * llm_remove))
    lost = received[~selection.keep & (layout.clip_of_token == 0)]
    kept = received[selection.keep & (layout.clip_of_token == 0)]
    assert not len(lost) or lost.max() <= kept.min()


@every_method
def test_both_stages_run_in_a_trunk(method, module_of, batch_of):
    pruner = method(remove=0.5, llm_layer=1, llm_remove=0.5)
    module = module_of(pruner, image_size=72)
    with torch.no_grad():
        done = module.model.run(batch_of(module, frames=(3, 2)))
    # 9 windows a frame: 27 - 13 and 18 - 9 enter, half of them go on.
    assert done.window_layout.tokens_per_clip == (14, 9)
    assert done.pruning.tokens_per_clip[Site("llm.layer", 1)] == (7, 5)
    assert done.stream.states.isfinite().all()
