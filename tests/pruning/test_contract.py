"""What every registered pruner promises; a new one is tested by being registered."""

import pickle

import pytest
import torch

from zoo import registry
from zoo.layout import Frames, TokenLayout
from zoo.pruner import Pruner, PruningPass, SiteView

NAMES = registry.names("pruner")


@pytest.fixture
def layout(clips: Frames) -> TokenLayout:
    return TokenLayout.of_frames(clips, (6, 6))


def test_some_pruner_is_registered():
    assert {"none", "random"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_pruner_with_a_picklable_budget(name):
    pruner = registry.example("pruner", name)
    assert isinstance(pruner, Pruner)
    budget = pickle.loads(pickle.dumps(pruner.budget()))
    kept = budget((12, 8))
    assert len(kept) == 2
    assert all(0 <= k <= n for k, n in zip(kept, (12, 8), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_survivors_keep_their_place_and_the_budget_holds(name, layout):
    pruner = registry.example("pruner", name)
    for site in pruner.sites():
        tokens = layout.coordinates()  # a token's channels are its own place, so a slip shows as a number
        view = SiteView(site=site, tokens=tokens.clone(), layout=layout, clip_seeds=(1, 2), training=False)
        selection = pruner.select(view, {})
        after = selection.layout_after(layout)
        torch.testing.assert_close(after.coordinates(), selection.apply(tokens, layout))
        windows = after.pool()[0].tokens_per_clip
        budget = pruner.budget()(layout.windows_per_clip)
        if pruner.budget().is_exact:
            assert windows == budget
        assert all(a <= b for a, b in zip(windows, budget, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_inside_a_trunk_and_leaves_no_state(name, module_of, batch_of):
    pruner = registry.example("pruner", name)
    module = module_of(pruner)
    before = {key: value for key, value in vars(pruner).items() if not key.startswith("_")}
    batch = batch_of(module)
    with torch.no_grad():
        first, second = module(batch), module(batch)
    torch.testing.assert_close(first.logits, second.logits, rtol=0, atol=0)
    assert {key: value for key, value in vars(pruner).items() if not key.startswith("_")} == before
    budget = pruner.budget()((12, 8))
    assert all(a <= b for a, b in zip(first.layout.tokens_per_clip, budget, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_the_pass_calls_it_only_where_it_acts(name, layout):
    pruner = registry.example("pruner", name)
    run = PruningPass(pruners=[pruner], clip_seeds=(1, 2))
    assert all(run.has(site) for site in pruner.sites())
