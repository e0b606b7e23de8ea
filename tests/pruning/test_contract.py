"""What every registered pruner promises; a new one is tested by being registered."""

import pickle
import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from zoo import registry
from zoo.errors import ConfigError
from zoo.frames import Frames
from zoo.head import Message
from zoo.layout import TokenLayout
from zoo.pruner import (
    BEFORE_LANGUAGE,
    ClipSize,
    Pruner,
    Selection,
    Site,
    TrunkShape,
)
from zoo.pruning.random import RandomPruner
from zoo.pruning_pass import PruningPass

NAMES = registry.names("pruner")
QUESTION = [Message(head="qa", prompt="What is red?", answer="nothing", family="text")]
REORDERED = {"rtol": 1e-5, "atol": 1e-5}  # float32 sums in another order
CLIPS = (ClipSize(windows=12, frames=3), ClipSize(windows=8, frames=2))
TRUNK = TrunkShape(
    vision_size=8, vision_heads=2, num_blocks=3, grid=(6, 6), video_window=(3, 3), hidden_size=16, num_layers=3
)


@pytest.fixture
def layout(clips: Frames) -> TokenLayout:
    return TokenLayout.of_frames(clips, (6, 6))


def neutral(name: str) -> Pruner:
    """The pruner, told to change nothing."""
    target = registry.load("pruner", name)
    return target(**target.example_args | target.neutral_args)


def built(pruner: Pruner) -> Pruner:
    pruner.build(TRUNK)
    return pruner


def selections(pruner: Pruner, layout: TokenLayout, **options: object) -> Iterator[tuple[Site, TokenLayout, Selection]]:
    """Its decisions along a trunk in which nothing else happens, on random states."""
    run = PruningPass(pruners=[pruner], clip_seeds=(1, 2), **options)
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randn(len(layout.frames), 3, 48, 48, generator=generator)
    for site in pruner.sites():
        if site.stage == "decode.layer":
            continue
        if site.stage not in BEFORE_LANGUAGE[:-1] and layout.num_tokens > layout.num_windows:
            layout = layout.pool()[0]
        size, count = (16 if site.stage in ("connector.output", "llm.layer") else 8), layout.num_tokens
        tokens = torch.randn(count, size, generator=generator)
        keys, received = torch.randn(count, 2, size // 2, generator=generator), torch.rand(count, generator=generator)
        selection = run.select(
            site,
            tokens,
            layout,
            pixels=lambda: pixels,
            keys=lambda keys=keys: keys,
            received_attention=lambda received=received: received,
        )
        if selection is not None:
            yield site, layout, selection
            layout = selection.layout_after(layout)


def test_the_published_methods_are_registered():
    methods = "none random stride reference-frame rlt evs tome stts visionzip fastv dycoke prunevid holitom flashvid"
    assert set(methods.split()) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_pruner_with_a_picklable_budget(name):
    pruner = registry.example("pruner", name)
    assert isinstance(pruner, Pruner)
    budget = pickle.loads(pickle.dumps(pruner.budget()))
    kept = budget(CLIPS)
    assert len(kept) == 2
    assert all(0 < k <= clip.windows for k, clip in zip(kept, CLIPS, strict=True))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "none"])
@pytest.mark.parametrize("remove", [1.0, -0.1])
def test_a_share_outside_its_range_is_refused(name, remove):
    target = registry.load("pruner", name)
    with pytest.raises(ConfigError, match=rf"remove must be in \[0, 1\), got {remove}"):
        target(**target.example_args | {"remove": remove})


@pytest.mark.parametrize("name", NAMES)
def test_survivors_keep_their_place_and_merged_tokens_all_their_patches(name, layout):
    for _, before, selection in selections(built(registry.example("pruner", name)), layout):
        after = selection.layout_after(before)
        # A token's channels are its own place, so a slip shows as a number.
        torch.testing.assert_close(after.coordinates(), selection.apply(before.coordinates(), before))
        assert after.num_tokens == int(selection.keep.sum())
        if selection.merge_into is None:
            assert torch.equal(after.patch, before.patch[selection.keep[before.token]])
        else:
            gone = selection.merge_into < 0
            assert torch.equal(after.patch.sort().values, before.patch[~gone[before.token]].sort().values)
            assert torch.equal(after.window_of_token, before.window_of_token[selection.keep])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("window", ["pixel box", "unmerged"])
def test_a_place_in_the_picture_is_found_again_after_every_cut(name, window, layout):
    for _, before, selection in selections(built(registry.example("pruner", name)), layout):
        after = selection.layout_after(before)
        if window == "pixel box":
            for token, (x0, y0, x1, y1) in enumerate(after.box_xyxy_px.tolist()):
                if after.patches_per_token[token] == 1:
                    assert after.token_at(int(after.frame_of_token[token]), (x0 + x1) / 2, (y0 + y1) / 2) == token
        else:
            owners = after.unmerge(torch.arange(1.0, after.num_tokens + 1).unsqueeze(1)).flatten()
            assert torch.equal(owners[after.patch].long() - 1, after.token)
            assert torch.equal(owners.view(after.alive.shape) > 0, after.alive)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("frames", [(3, 2), (4, 1), (1, 1)])
def test_as_many_windows_enter_the_language_model_as_it_said(name, frames, module_of, batch_of):
    pruner = registry.example("pruner", name)
    module = module_of(pruner)
    batch = batch_of(module, frames=frames)
    sizes = [ClipSize(4 * count, count) if count > 1 else ClipSize(9, 1, is_video=False) for count in frames]
    budget = pruner.budget()(sizes)
    with torch.no_grad():
        done = module.model.run(batch)
    entered = done.window_layout.tokens_per_clip
    assert all(a <= b for a, b in zip(entered, budget, strict=True))
    if pruner.budget().is_exact:
        assert entered == budget
    assert len(done.vectors) == sum(entered)


@pytest.mark.parametrize("name", NAMES)
def test_it_leaves_no_state_and_decides_alike_again(name, module_of, batch_of):
    pruner = registry.example("pruner", name)
    module = module_of(pruner)
    internal = vars(nn.Module()).keys()

    def state() -> dict[str, object]:
        own = {key: value for key, value in vars(pruner).items() if key not in internal}
        return own | {key: value.clone() for key, value in pruner.state_dict().items()}

    before = state()
    batch = batch_of(module)
    with torch.no_grad():
        first, second = module(batch), module(batch)
    torch.testing.assert_close(first.logits, second.logits, rtol=0, atol=0)
    after = state()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[k], v) if isinstance(v, torch.Tensor) else after[k] == v for k, v in before.items())


@pytest.mark.parametrize("name", NAMES)
def test_removing_nothing_gives_the_dense_outputs_through_the_same_path(name, module_of, batch_of):
    pruner = neutral(name)
    module = module_of(pruner)
    batch = batch_of(module)
    with torch.no_grad():
        pruned = module.model.run(batch)
        logits = module.model.outputs(batch, pruned).logits
        module.model.set_pruners([])
        dense = module.model.run(batch)
    torch.testing.assert_close(logits, module.model.outputs(batch, dense).logits, **REORDERED)
    torch.testing.assert_close(pruned.stream.states, dense.stream.states, **REORDERED)
    decided = {site for site in pruned.pruning.layouts if site.stage in BEFORE_LANGUAGE}
    assert decided or all(site.stage not in BEFORE_LANGUAGE for site in pruner.sites())  # nothing was passed by


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("position_rule", ["dense", "gapped"])
def test_the_language_model_sees_a_sequence_without_the_dead_tokens(name, position_rule, module_of, batch_of):
    """Whatever entered is spliced by hand into a sequence that never had the others' places."""
    module = module_of(registry.example("pruner", name), position_rule=position_rule)
    batch = batch_of(module)
    language = module.model.language
    with torch.no_grad():
        done = module.model.run(batch)
        places = batch.is_patch.nonzero().squeeze(1)[done.window_layout.window_of_token]
        living = ~batch.is_patch
        living[places] = True
        runs, start = [], 0
        for run in batch.runs:
            prefix = int(living[start : start + run[0]].sum())
            runs.append((prefix, *run[1:]))
            start += sum(run)
        positions = batch.position_ids[living]
        if position_rule == "dense":
            positions = torch.cat(
                [
                    torch.cat([torch.arange(run[0]), *(run[0] + torch.arange(branch) for branch in run[1:])])
                    for run in runs
                ]
            )
        short = replace(
            batch,
            runs=tuple(runs),
            position_ids=positions,
            **{
                name: getattr(batch, name)[living]
                for name in ("input_ids", "is_vision", "is_patch", "labels", "loss_weights")
            },
        )
        states = module.model.embed(short.input_ids)
        states[short.is_patch] += done.vectors[places.argsort()]
        stream = short.stream(states)
        pruning = module.model.pruning_pass(batch.clip_seeds)
        if any(site.stage == "llm.layer" for site in module.model.pruners[0].sites()):
            pytest.skip("goes on cutting within the language model: compared there in the method's own tests")
        stream, _ = language(stream, layout=done.window_layout, pruning=pruning)
    torch.testing.assert_close(done.stream.states, stream.states, **REORDERED)


@pytest.mark.parametrize("name", NAMES)
def test_a_clip_in_a_pack_is_cut_as_it_is_alone(name, module_of, batch_of):
    module = module_of(registry.example("pruner", name))
    both, alone = batch_of(module, frames=(3, 2)), batch_of(module, frames=(3,), questions=(3,))
    with torch.no_grad():
        together, single = module(both), module(alone)
    count = len(single.logits)
    torch.testing.assert_close(together.logits[:count], single.logits, **REORDERED)


@pytest.mark.parametrize("name", NAMES)
def test_it_trains_with_recomputed_blocks_as_without(name, module_of, batch_of):
    gradients = []
    for recompute in (False, True):
        torch.manual_seed(0)
        module = module_of(registry.example("pruner", name)).train()
        module.model.vision.activation_checkpointing = module.model.language.activation_checkpointing = recompute
        batch = batch_of(module)
        loss, _ = module._losses(module(batch), batch)
        loss.backward()
        silent = [n for n, p in module.model.pruners.named_parameters() if p.grad is None]
        assert not silent, f"no gradient reached {silent}"
        gradients.append({n: p.grad for n, p in module.model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for key, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][key], **REORDERED)


@pytest.mark.parametrize("name", NAMES)
def test_answers_go_on_from_what_is_left(name, module_of, batch_of):
    """The first token of the true answers is fed to the cache; the packed pass has seen it behind its question."""
    module = module_of(registry.example("pruner", name))
    batch = batch_of(module)
    with torch.no_grad():
        outputs, session = module.model.prefill(batch, batch.turns, module.processor.tokenizer)
        firsts = torch.tensor([turn.answer[0] for turn in batch.turns])
        ids = torch.stack([batch.input_ids[firsts], torch.zeros_like(firsts)], dim=1)
        # Two columns, one of them padding: a row's only new token might be hidden from what it does not look at.
        logits = session.append(ids, torch.ones_like(firsts))
        generated = session.generate(max_new_tokens=3)
    counts = [turn.answer[1] - turn.answer[0] for turn in batch.turns]
    assert min(counts) >= 2
    expected = torch.stack([part[1] for part in outputs.logits.split(counts)])
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)  # another kernel
    assert len(generated) == len(batch.turns)


@pytest.mark.parametrize(("first", "second"), [(a, b) for a in NAMES for b in NAMES if a < b])
def test_two_that_do_not_collide_leave_what_both_said(first, second, module_of, batch_of):
    pruners = [registry.example("pruner", name) for name in (second, first)]
    refused = None
    try:
        module = module_of(pruners)
    except ConfigError as error:
        refused = str(error)
    if refused is not None:
        assert re.search("both act at|acts at .* between", refused), refused
        return
    batch = batch_of(module, frames=(4, 3))
    planned = [ClipSize(16, 4, first_frame=4), ClipSize(12, 3, first_frame=4)]
    for budget in module.model.budgets:
        planned = [c._replace(windows=n) for c, n in zip(planned, budget(planned), strict=True)]
    with torch.no_grad():
        entered = module.model.run(batch).window_layout.tokens_per_clip
    assert all(a <= b.windows for a, b in zip(entered, planned, strict=True))
    if all(pruner.budget().is_exact for pruner in pruners):
        assert entered == tuple(clip.windows for clip in planned)


@pytest.mark.parametrize("name", NAMES)
def test_a_text_is_answered_without_frames(name, module_of):
    module = module_of(registry.example("pruner", name))
    example = module.processor.example(key="text", frames=[], times_s=np.zeros(0), messages=QUESTION, is_video=False)
    with torch.no_grad():
        module(module.processor.collate([example]))


@pytest.mark.parametrize("name", NAMES)
def test_a_second_stage_in_the_language_model_composes(name, module_of, batch_of):
    pruner = registry.example("pruner", name)
    module = module_of([pruner, RandomPruner(remove=0.5, site="llm.layer[1]")])
    with torch.no_grad():
        done = module.model.run(batch_of(module))
    windows = done.window_layout.tokens_per_clip
    left = done.pruning.tokens_per_clip[Site("llm.layer", 1)]
    assert all(after <= before - before // 2 for after, before in zip(left, windows, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_saved_and_loaded_with_its_weights(name, module_of, batch_of, tmp_path):
    module = module_of(registry.example("pruner", name))
    other = module_of(registry.example("pruner", name))
    other.load_state_dict(module.state_dict(), strict=True)
    batch = batch_of(module)
    with torch.no_grad():
        torch.testing.assert_close(module(batch).logits, other(batch).logits, rtol=0, atol=0)
