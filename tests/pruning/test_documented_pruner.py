"""The pruner that docs/pruning.md writes out, as a reader would paste it."""

from pathlib import Path

import pytest
import torch

from zoo.layout import TokenLayout
from zoo.pruning_pass import PruningPass

DOCS = Path(__file__).parents[2] / "docs" / "pruning.md"


@pytest.fixture
def stillness():
    code = DOCS.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    assert len(code.splitlines()) <= 42  # "in 40 lines"
    written: dict[str, object] = {}
    exec(compile(code, str(DOCS), "exec"), written)
    return written["Stillness"]


def test_it_keeps_the_window_that_changed(stillness, clips):
    layout = TokenLayout.of_frames(clips, (6, 6))
    tokens = torch.ones(layout.num_tokens, 4)
    tokens[layout.window_of_token == 6, 0] = -3.0  # third window of the second frame
    pruner = stillness(remove=0.5)
    selection = PruningPass(pruners=[pruner], clip_seeds=(1, 2)).select(pruner.sites()[0], tokens, layout)
    kept = layout.keep(selection.keep).living_windows
    assert kept[:4].all() and kept[12:16].all()  # first frames
    assert kept[6]
    assert layout.keep(selection.keep).pool()[0].tokens_per_clip == (6, 4)


def test_it_runs_in_a_trunk(stillness, module_of, batch_of):
    module = module_of(stillness(remove=0.5, block=1))
    with torch.no_grad():
        outputs = module(batch_of(module))
    assert outputs.layout.tokens_per_clip == (6, 4)
