import math
from contextlib import ExitStack

import pytest
import torch

from zoo.errors import ConfigError
from zoo.frames import Frames
from zoo.layout import TokenLayout
from zoo.pruner import ClipSize, SiteView
from zoo.pruning.fastv import FastV
from zoo.pruning.random import RandomPruner

OTHER_KERNEL = {"rtol": 1e-4, "atol": 1e-4}  # float32, masked and shorter sequences
ROWS = ("last", "text", "all")


def select(layout, received, **arguments):
    pruner = FastV(**arguments)
    view = SiteView(
        site=pruner.sites()[0],
        tokens=torch.zeros(layout.num_tokens, 4),
        layout=layout,
        clip_seeds=(1, 2),
        training=False,
        received_attention=received,
    )
    return pruner.select(view, {})


@pytest.fixture
def windows(clips):
    return TokenLayout.of_frames(clips, (6, 6)).pool()[0]


def test_the_least_attended_windows_of_each_clip_leave(windows):
    received = torch.tensor([12.0, 1, 2, 3, 11, 4, 5, 10, 6, 7, 8, 9, 0.1, 0.2, 0.3, 0.4, 0.8, 0.7, 0.6, 0.5])
    selection = select(windows, received, remove=0.5)
    assert selection.keep.nonzero().flatten().tolist() == [0, 4, 7, 9, 10, 11, 16, 17, 18, 19]
    torch.testing.assert_close(selection.scores, received)
    assert selection.layout_after(windows).tokens_per_clip == (6, 4)


def test_equal_windows_leave_from_the_back_and_nothing_leaves_at_no_share(windows):
    kept = select(windows, torch.ones(20), remove=0.3).keep.nonzero().flatten().tolist()
    assert kept == [*range(9), *range(12, 18)]
    assert select(windows, torch.ones(20), remove=0.0).keep.all()


@pytest.mark.parametrize(("images", "left"), [(True, (2, 5)), (False, (4, 5))])
def test_images_are_cut_unless_told_otherwise(images, left):
    frames = Frames(
        clip=(0, 1, 1),
        time_s=(0.0, 0.0, 0.5),
        size_px=((48, 48),) * 3,
        window=((3, 3),) * 3,
        is_video=(False, True, True),
    )
    layout = TokenLayout.of_frames(frames, (6, 6)).pool()[0]
    after = select(layout, torch.rand(12), remove=0.4, images=images).layout_after(layout)
    assert after.tokens_per_clip == (3 if images else 4, left[1])


def attention_by_hand(module, batch, layer, rows):
    """(tokens,) attention of each token of the full sequence, pair by pair, out of the queries and keys of a layer."""
    language, seen = module.model.language, {}
    plain = language.observe
    language.observe = lambda index, q, k, v, stream, scale: (
        seen.update({index: (q, k, stream, scale)}) or plain(index, q, k, v, stream, scale)
    )
    module.model.run(batch)
    del language.observe
    query, key, stream, scale = seen[layer]
    allowed = stream.segments.dense_mask()
    total = torch.zeros(len(batch.input_ids), dtype=torch.float64)
    segment = stream.segments.segment_ids.tolist()
    asking = {
        "last": [turn.prompt[1] - 1 for turn in batch.turns],
        "text": [place for turn in batch.turns for place in range(*turn.prompt)],
        "all": stream.index.tolist(),
    }[rows]
    for row in [number for number, place in enumerate(stream.index.tolist()) if place in asking]:
        of_clip = sum(segment[stream.index.tolist().index(place)] == segment[row] for place in asking)
        for head in range(query.shape[1]):
            shared = head // (query.shape[1] // key.shape[1])
            weights = {
                column: math.exp(scale * sum(query[row, head].double() * key[column, shared].double()))
                for column in range(len(key))
                if allowed[row, column]
            }
            for column, weight in weights.items():
                total[stream.index[column]] += weight / sum(weights.values()) / query.shape[1] / of_clip
    return total


@torch.no_grad()
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("before", [None, "vit.output"])
def test_windows_are_ranked_as_by_literal_loops(module_of, batch_of, rows, before):
    pruner = FastV(remove=0.5, layer=1, rows=rows)
    others = [] if before is None else [RandomPruner(remove=0.25, site=before)]
    module = module_of([*others, pruner])
    batch = batch_of(module, (2, 1), (2, 1))
    done = module.model.run(batch)
    entered = done.window_layout
    received = attention_by_hand(module, batch, 0, rows)[batch.is_patch][entered.window_of_token]
    layout, scores = done.pruning.scores[pruner.sites()[0]]
    torch.testing.assert_close(scores.double(), received, rtol=1e-4, atol=1e-6)
    expected = []
    for clip in range(2):
        own = [token for token in range(len(received)) if entered.clip_of_token[token] == clip]
        best = sorted(own, key=lambda token: -float(received[token]))[: len(own) - len(own) // 2]
        expected += sorted(int(entered.window_of_token[token]) for token in best)
    assert done.layout.window_of_token.tolist() == expected
    assert layout.num_tokens == entered.num_tokens


@torch.no_grad()
@pytest.mark.parametrize("layer", [1, 2, -1])
@pytest.mark.parametrize("rows", ROWS)
def test_what_leaves_is_as_if_nobody_saw_it_from_that_layer_on(module_of, batch_of, layer, rows):
    module = module_of(FastV(remove=0.5, layer=layer, rows=rows))
    batch = batch_of(module)
    pruned = module.model.run(batch)
    dead = batch.is_patch.clone()
    dead[pruned.stream.index] = False
    assert int(dead.sum()) == 6 + 4
    module.model.set_pruners([])
    language = module.model.language
    everybody = torch.ones_like(dead)
    with ExitStack() as blocks:
        for later in range(layer % 3, 3):
            blocks.enter_context(language.block(later, None, everybody, dead))
        masked = module.model.run(batch)
    living = ~dead
    torch.testing.assert_close(pruned.stream.states, masked.stream.states[living], **OTHER_KERNEL)
    assert not torch.allclose(pruned.stream.states, module.model.run(batch).stream.states[living], **OTHER_KERNEL)


@torch.no_grad()
def test_later_layers_answer_from_shorter_rows(module_of, batch_of):
    module = module_of(FastV(remove=0.5, layer=1))
    batch = batch_of(module)
    session = module.model.prefill(batch, batch.turns, module.processor.tokenizer)[1]
    before, *after = (session.cache.layers[layer].lengths for layer in range(3))
    assert (before - after[0]).tolist() == [6, 6, 6, 4, 4]
    assert torch.equal(after[0], after[1])


def test_layer_0_has_no_attention_to_go_by(module_of):
    with pytest.raises(ConfigError, match=r"FastV needs received_attention at llm\.layer\[0\]"):
        module_of(FastV(layer=0))


@pytest.mark.parametrize("remove", [1.0, -0.1])
def test_a_share_outside_its_range_is_refused(remove):
    with pytest.raises(ConfigError, match=rf"remove must be in \[0, 1\), got {remove}"):
        FastV(remove=remove)


def test_all_windows_enter_the_language_model():
    assert FastV(remove=0.5).budget()([ClipSize(12, 3), ClipSize(9, 1, is_video=False)]) == (12, 9)
