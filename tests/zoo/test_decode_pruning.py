"""What pruners hide while answers are generated is gone from there on, and only that."""

from contextlib import ExitStack
from dataclasses import replace
from typing import ClassVar

import pytest
import torch

from zoo.backbones.decoder import qwen3
from zoo.backbones.olmo import olmo3_tiny
from zoo.pruner import DecodeView, KeepAll, Pruner, Site
from zoo.pruning.dycoke import DyCoke
from zoo.pruning.random import RandomPruner

OTHER_KERNEL = {"rtol": 1e-4, "atol": 1e-4}  # float32, sums of masked and of shorter rows
FRAMES, QUESTIONS = (3, 2), (3, 2)


class HideAnything(Pruner):
    """Hides slots at random, text as well, in some rows more than in others, and remembers what it was shown.

    Args:
        layers: Where.
        share: About as much.
        every: Tokens after which a row is drawn anew; 0: row r after r + 1 tokens.
    """

    neutral_args: ClassVar = {}

    def __init__(self, layers: tuple[int, ...], share: float = 0.6, every: int = 1) -> None:
        super().__init__()
        self.layers, self.share, self.every = layers, share, every
        self.seen: list[tuple[DecodeView, torch.Tensor, dict[str, torch.Tensor]]] = []

    def sites(self):
        return tuple(Site("decode.layer", layer) for layer in self.layers)

    def select(self, view, memory):
        raise AssertionError

    def budget(self):
        return KeepAll()

    def hide(self, view, memory):
        before = {name: value.clone() for name, value in memory.items()}
        seeds = [view.step // (self.every or row + 1) for row in range(len(view.attention))]
        draw = torch.stack(
            [torch.rand(view.attention.shape[1] + 9, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        )[:, : view.attention.shape[1]]
        hidden = draw * torch.linspace(0.7, 1.3, len(draw))[:, None] < self.share
        memory["count"] = memory.get("count", torch.zeros(len(draw), dtype=torch.int64)) + 1
        memory["attention"] = view.attention
        self.seen.append((view, hidden, before))
        return hidden


def prefill(module, batch):
    with torch.no_grad():
        return module.model.prefill(batch, batch.turns, module.processor.tokenizer)[1]


def places_of(session, layer, row, slots):
    """Full-sequence places of the vision slots among `slots` (slots,) bool of a row in a layer."""
    origin = session.cache.origins[layer][row]
    columns = origin[slots[: len(origin)] & (origin >= 0)]
    places = session.cache.rows[row, columns]
    return places[session.cache.is_patch[places]]


def recomputed(module, batch, ids, hidden):
    """Logits after `ids` in the last branch, from one whole pass in which the keys that each of the ids was not to see
    are forbidden to it; `hidden` holds (layer, number of the id, places)."""
    end = batch.turns[-1].prompt[1]
    new = len(ids)
    cut = replace(
        batch,
        input_ids=torch.cat([batch.input_ids[:end], torch.tensor(ids, dtype=torch.int64)]),
        position_ids=torch.cat([batch.position_ids[:end], batch.position_ids[end - 1] + 1 + torch.arange(new)]),
        is_vision=torch.cat([batch.is_vision[:end], torch.zeros(new, dtype=torch.bool)]),
        is_patch=torch.cat([batch.is_patch[:end], torch.zeros(new, dtype=torch.bool)]),
        labels=torch.full((end + new,), -100),
        loss_weights=torch.zeros(end + new),
        runs=(*batch.runs[:-1], (*batch.runs[-1][:-1], end - batch.turns[-1].prompt[0] + new)),
        turns=(),
    )
    language = module.model.language
    with torch.no_grad(), ExitStack() as blocks:
        for layer, number, places in hidden:
            queries, keys = torch.zeros(end + new, dtype=torch.bool), torch.zeros(end + new, dtype=torch.bool)
            queries[end + number], keys[places] = True, True
            blocks.enter_context(language.block(layer, None, queries, keys))
        return language.logits(module.model.run(cut).stream.states[-1])


def grouped(num_layers=3):
    return qwen3(
        hidden_size=32,
        intermediate_size=64,
        num_layers=num_layers,
        num_heads=4,
        num_kv_heads=2,
        head_dim=8,
        vocab_size=512,
    )


@torch.no_grad()
@pytest.mark.parametrize("layers", [(0,), (1,), (2,), (0, 2)])
@pytest.mark.parametrize("cut", [None, "vit.output", "llm.layer[1]", "llm.layer[2]"])
@pytest.mark.parametrize("every", [0, 1, 3])
def test_what_is_hidden_is_gone_from_that_layer_on_and_only_for_that_token(module_of, batch_of, layers, cut, every):
    pruner = HideAnything(layers, every=every)
    others = [] if cut is None else [RandomPruner(remove=0.5, site=cut)]
    module = module_of([*others, pruner], language=grouped())
    batch = batch_of(module, FRAMES, QUESTIONS)
    session, hidden = prefill(module, batch), []
    fed = torch.randint(0, 400, (5, 6), generator=torch.Generator().manual_seed(1))
    for step in range(6):
        pruner.seen.clear()
        session.append(fed[:, step : step + 1])
        assert [view.site.index for view, _, _ in pruner.seen] == list(layers)
        for layer in range(layers[0], 3):
            view, slots, _ = [seen for seen in pruner.seen if seen[0].site.index <= layer][-1]
            hidden.append((layer, step, places_of(session, view.site.index, 4, slots[4])))
        expected = recomputed(module, batch, fed[4, : step + 1].tolist(), hidden)
        torch.testing.assert_close(session.logits[4], expected, **OTHER_KERNEL)
    assert sum(len(gone) for _, _, gone in hidden) > 0
    dense = recomputed(module, batch, fed[4].tolist(), [])
    assert not torch.allclose(session.logits[4], dense, **OTHER_KERNEL)  # it did matter


@torch.no_grad()
def test_layers_with_local_attention_do_not_see_it_either_and_count_it_on_the_way_back(module_of, batch_of):
    pruner = HideAnything((0,))
    language = olmo3_tiny(hidden_size=32, num_layers=4, num_heads=2, local_attention=20)
    module = module_of(pruner, language=language)
    batch = batch_of(module, FRAMES, QUESTIONS)
    session, hidden = prefill(module, batch), []
    fed = torch.randint(0, 400, (5, 3), generator=torch.Generator().manual_seed(1))
    for step in range(3):
        session.append(fed[:, step : step + 1])
        _, slots, _ = pruner.seen[-1]
        hidden += [(layer, step, places_of(session, 0, 4, slots[4])) for layer in range(4)]
        expected = recomputed(module, batch, fed[4, : step + 1].tolist(), hidden)
        torch.testing.assert_close(session.logits[4], expected, **OTHER_KERNEL)


@torch.no_grad()
def test_several_tokens_at_once_see_everything_and_hiding_goes_on_behind_them(module_of, batch_of):
    pruner = HideAnything((1,))
    module = module_of(pruner)
    batch = batch_of(module, FRAMES, QUESTIONS)
    session, hidden, ids = prefill(module, batch), [], []
    generator = torch.Generator().manual_seed(1)
    for counts in ([1] * 5, [2, 0, 1, 3, 3], [1] * 5, [0, 1, 1, 0, 1]):
        before = len(pruner.seen)
        fed = torch.randint(0, 400, (5, max(counts)), generator=generator)
        session.append(fed, None if len(set(counts)) == 1 else torch.tensor(counts))
        ids += fed[4, : counts[4]].tolist()
        assert len(pruner.seen) - before == (max(counts) == 1)
        if max(counts) == 1:
            _, slots, _ = pruner.seen[-1]
            hidden += [(layer, len(ids) - 1, places_of(session, 1, 4, slots[-1])) for layer in (1, 2)]
        expected = recomputed(module, batch, ids, hidden)
        torch.testing.assert_close(session.logits[4], expected, **OTHER_KERNEL)


@torch.no_grad()
def test_a_pruner_is_shown_what_the_new_token_gives_to_each_slot(module_of, batch_of):
    pruner = HideAnything((1,))
    module = module_of(pruner, language=grouped())
    batch = batch_of(module, FRAMES, QUESTIONS)
    session = prefill(module, batch)
    seen = []
    plain = session.cache.attend
    session.cache.attend = lambda layer, query, *rest, **more: seen.append(query) or plain(layer, query, *rest, **more)
    for step in range(3):
        seen.clear()
        session.append(torch.full((5, 1), 7))
        view, query, cache = pruner.seen[-1][0], seen[1], session.cache.layers[1]
        assert view.step == step
        assert view.attention.shape == view.is_vision.shape == (5, cache.longest)
        for row in range(5):
            length, expected = int(cache.lengths[row]), torch.zeros(cache.longest)
            for head in range(4):
                keys = cache.keys[row, :length, head // 2]
                expected[:length] += torch.softmax(keys @ query[row, head, 0] * 8**-0.5, dim=0) / 4
            torch.testing.assert_close(view.attention[row], expected, rtol=1e-5, atol=1e-6)
            turn = batch.turns[row]
            tokens = [*range(*turn.prefix), *range(*turn.prompt)]
            is_vision = [bool(batch.is_patch[place]) for place in tokens]
            assert view.is_vision[row].tolist() == is_vision + [False] * (cache.longest - len(tokens))


@torch.no_grad()
def test_rows_that_end_early_keep_what_was_remembered_about_them(module_of, batch_of):
    pruner = HideAnything((1,))
    module = module_of(pruner)
    eos = module.processor.tokenizer.eos_id
    ends = (1, 6, 2, 3, 9)

    def constraint(generated, rows):
        """Any token but the end, and from its length on the end alone, in each row."""
        allowed = torch.ones(len(rows), module.model.language.vocab_size, dtype=torch.bool)
        allowed[:, eos] = False
        for number, (ids, row) in enumerate(zip(generated, rows, strict=True)):
            if len(ids) == ends[row]:
                allowed[number] = torch.arange(allowed.shape[1]) == eos
        return allowed

    session = prefill(module, batch_of(module, FRAMES, QUESTIONS))
    answers = session.generate(max_new_tokens=8, constraint=constraint)
    assert [len(answer) for answer in answers] == [1, 6, 2, 3, 8]
    memory = session.cache.hidings[1].memory
    assert memory["count"].tolist() == [1, 6, 2, 3, 7]  # the end is not fed, nor is the last token
    assert session.cache.steps == 7
    lengths = session.cache.layers[1].lengths
    # What a row was shown at its own last token is what is remembered of it, whatever others did since.
    assert torch.equal((memory["attention"] > 0).sum(1), lengths)
    torch.testing.assert_close(memory["attention"].sum(1), torch.ones(5))
    session.append(torch.full((5, 1), 7))
    view, _, before = pruner.seen[-1]
    assert len(view.attention) == 5
    assert before["count"].tolist() == [1, 6, 2, 3, 7]


class HideFirst(HideAnything):
    """Hides the first vision slots of a row, of which one more after every so many tokens."""

    def hide(self, view, memory):
        memory["count"] = memory.get("count", torch.zeros(len(view.attention), dtype=torch.int64)) + 1
        return view.is_vision & (view.is_vision.cumsum(1) <= 1 + memory["count"][:, None] // self.every)


@torch.no_grad()
@pytest.mark.parametrize("ends", [(1, 6, 2, 3, 9), (9, 1, 1, 1, 4), (1, 9, 9, 9, 9), (0, 3, 3, 0, 2)])
@pytest.mark.parametrize("every", [1, 2, 99])
def test_rows_that_go_on_alone_answer_as_side_by_side(module_of, batch_of, ends, every):
    module = module_of(HideFirst((1,), every=every))
    eos = module.processor.tokenizer.eos_id

    def constraint(generated, rows):
        allowed = torch.ones(len(rows), module.model.language.vocab_size, dtype=torch.bool)
        allowed[:, eos] = False
        for number, (ids, row) in enumerate(zip(generated, rows, strict=True)):
            if len(ids) == ends[row]:
                allowed[number] = torch.arange(allowed.shape[1]) == eos
        return allowed

    session, whole = (prefill(module, batch_of(module, FRAMES, QUESTIONS)) for _ in range(2))
    answers = session.generate(max_new_tokens=8, constraint=constraint)
    for step in range(7):
        going = [row for row, answer in enumerate(answers) if step < len(answer)]
        fed, counts = torch.zeros(5, 1, dtype=torch.int64), torch.zeros(5, dtype=torch.int64)
        for row in going:
            fed[row], counts[row] = answers[row][step], 1
        if counts.any():
            whole.append(fed, counts)
    torch.testing.assert_close(session.logits, whole.logits, **OTHER_KERNEL)
    more = torch.randint(0, 400, (5, 1), generator=torch.Generator().manual_seed(2))
    for _ in range(2):
        torch.testing.assert_close(session.append(more), whole.append(more), **OTHER_KERNEL)
    assert torch.equal(session.cache.hidings[1].hidden, whole.cache.hidings[1].hidden)


@torch.no_grad()
@pytest.mark.parametrize("frames", [(3, 2), (3, 3)])
def test_hiding_nothing_generates_the_same_tokens_from_the_same_logits(module_of, batch_of, frames):
    sessions = []
    for pruner in (None, DyCoke(remove=0.0, decode_layer=1, decode_remove=0.0)):
        torch.manual_seed(3)
        module = module_of(pruner)
        sessions.append(prefill(module, batch_of(module, frames, (3, 3))))
    dense, pruned = sessions
    torch.testing.assert_close(pruned.logits, dense.logits, rtol=0, atol=0)
    for _ in range(4):
        ids = dense.logits.argmax(-1, keepdim=True)
        # The same keys in the same order, by the same kernel.
        torch.testing.assert_close(pruned.append(ids), dense.append(ids), rtol=0, atol=0)
    assert pruned.cache.hidings[1].visible
    assert pruned.generate(max_new_tokens=6) == dense.generate(max_new_tokens=6)
    torch.testing.assert_close(pruned.logits, dense.logits, rtol=0, atol=0)


@torch.no_grad()
def test_without_such_a_pruner_nothing_is_looked_at(module_of, batch_of):
    module = module_of(RandomPruner(remove=0.5, site="llm.layer[1]"))
    session = prefill(module, batch_of(module, FRAMES, QUESTIONS))
    session.generate(max_new_tokens=3)
    assert not session.cache.hidings


@torch.no_grad()
def test_a_cache_that_knows_no_vision_tokens_cannot_hide_any(module_of, batch_of):
    module = module_of(HideAnything((1,)))
    session = prefill(module, batch_of(module, FRAMES, QUESTIONS))
    session.cache.is_patch = None
    with pytest.raises(ValueError, match="does not know the vision tokens"):
        session.append(torch.full((5, 1), 7))
