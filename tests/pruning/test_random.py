import pytest
import torch

from zoo.errors import ConfigError
from zoo.layout import TokenLayout
from zoo.pruner import SiteView
from zoo.pruning.random import RandomPruner


def selected(clips, seeds=(1, 2), **arguments):
    pruner = RandomPruner(**arguments)
    layout = TokenLayout.of_frames(clips, (6, 6))
    view = SiteView(site=pruner.sites()[0], tokens=torch.zeros(180, 4), layout=layout, clip_seeds=seeds, training=False)
    return layout, pruner.select(view, {}).keep


def test_a_clip_is_always_cut_the_same_way_wherever_it_lies(clips):
    layout, first = selected(clips, seeds=(1, 2))
    _, other = selected(clips, seeds=(7, 2))
    second_clip = layout.clip_of_token == 1
    assert torch.equal(first[second_clip], other[second_clip])
    assert not torch.equal(first[~second_clip], other[~second_clip])


def test_another_seed_draws_otherwise(clips):
    assert not torch.equal(selected(clips)[1], selected(clips, seed=1)[1])


def test_another_site_draws_otherwise(clips):
    draws = [selected(clips, site=site)[1] for site in ("vit.stem", "vit.block[0]", "vit.block[1]", "llm.layer[0]")]
    assert len({tuple(keep.tolist()) for keep in draws}) == 4


def test_a_draw_is_the_same_in_every_process(clips):
    layout, keep = selected(clips, seeds=(1, 2), remove=0.5, site="vit.output")
    assert layout.window_of_token[keep].unique().tolist() == [1, 4, 5, 6, 7, 8, 12, 13, 15, 16]


def test_whole_windows_leave(clips):
    layout, keep = selected(clips, remove=0.5)
    kept = {int(w) for w in layout.window_of_token[keep]}
    assert not kept & {int(w) for w in layout.window_of_token[~keep]}
    assert layout.keep(keep).pool()[0].tokens_per_clip == (6, 4)


def test_a_protected_first_frame_stays_while_others_can_pay(clips):
    layout, keep = selected(clips, remove=0.5, protect_first_frame=True)
    first = (layout.frame_of_token == 0) | (layout.frame_of_token == 3)
    assert bool(keep[first].all())
    assert layout.keep(keep).pool()[0].tokens_per_clip == (6, 4)


def test_windows_are_drawn_about_equally_often(clips):
    total = sum(selected(clips, seed=s)[1].float() for s in range(200))
    assert total.min() / 200 > 0.3  # 0.5 expected; 4 sigma of 200 draws is 0.14
    assert total.max() / 200 < 0.7


@pytest.mark.parametrize("remove", [1.0, -0.1])
def test_a_share_outside_its_range_is_refused(remove):
    with pytest.raises(ConfigError, match=rf"remove must be in \[0, 1\), got {remove}"):
        RandomPruner(remove=remove)


@pytest.mark.parametrize("site", ["vit.block", "llm[3]", "vit.block[last]", "vit.output[0]", "nowhere"])
def test_text_that_names_no_site_is_refused(site):
    with pytest.raises(ConfigError, match="no site"):
        RandomPruner(site=site)
