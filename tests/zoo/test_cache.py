"""Rows of keys and values: cut, taken apart and put together again."""

import pytest
import torch

from zoo.cache import KeyValueCache, LayerCache, front, put_rows, rows_table
from zoo.pruning.random import RandomPruner


def test_rows_are_put_in_their_places_whichever_is_wider():
    whole = torch.arange(6).view(3, 2)
    assert put_rows(whole, torch.tensor([[7, 8, 9]]), torch.tensor([1])).tolist() == [[0, 1, 0], [7, 8, 9], [4, 5, 0]]
    assert put_rows(whole, torch.tensor([[7], [8]]), torch.tensor([2, 0])).tolist() == [[8, 0], [2, 3], [7, 0]]
    assert put_rows(torch.zeros(2), torch.ones(1), torch.tensor([1])).tolist() == [0, 1]
    flags = put_rows(torch.zeros(2, 1, 2, dtype=torch.bool), torch.ones(1, 2, 1, dtype=torch.bool), torch.tensor([0]))
    assert flags.tolist() == [[[True, False], [True, False]], [[False, False], [False, False]]]


def test_chosen_slots_come_first_and_in_order():
    order, counts, longest, is_even = front(torch.tensor([[False, True, True], [True, False, False]]))
    assert order.tolist() == [[1, 2, 0], [0, 1, 2]]
    assert (counts.tolist(), longest, is_even) == ([2, 1], 2, False)
    assert front(torch.tensor([[False, True], [True, False]]))[1:][1:] == (1, True)


def layer_cache(lengths, slots=6):
    keys = torch.randn(len(lengths), slots, 2, 4)
    return LayerCache(
        keys=keys,
        values=-keys,
        lengths=torch.tensor(lengths),
        longest=max(lengths),
        is_even=len(set(lengths)) == 1,
    )


@pytest.mark.parametrize(("lengths", "more"), [((3, 3, 3), 0), ((3, 3, 3), 2), ((5, 2, 3), 1), ((2, 5, 5), 40)])
def test_rows_that_went_on_alone_come_back(lengths, more):
    cache, rows = layer_cache(lengths), torch.tensor([2, 0])
    before, part = cache.keys.clone(), cache.part(rows)
    new = torch.randn(2, 1, 2, 4)
    for _ in range(more):
        part.write(new, -new, None)
    cache.put(part, rows)
    expected = [lengths[0] + more, lengths[1], lengths[2] + more]
    assert cache.lengths.tolist() == expected
    assert cache.longest >= max(expected)
    assert cache.is_even == (len(set(expected)) == 1)
    for row, length in enumerate(lengths):
        assert torch.equal(cache.keys[row, :length], before[row, :length])
    for number, row in enumerate(rows.tolist()):
        assert torch.equal(cache.keys[row, lengths[row] : expected[row]], new[number].expand(more, 2, 4))
    cache.write(torch.ones(3, 1, 2, 4), torch.ones(3, 1, 2, 4), None)
    assert all(bool((cache.keys[row, length] == 1).all()) for row, length in enumerate(expected))


def test_each_slot_knows_the_column_that_it_was_filled_from():
    cache = KeyValueCache(rows_table([[0, 1, 2, 4], [0, 1, 5]], "cpu"))
    tokens = torch.randn(4, 2, 3)
    cache.fill(0, tokens, tokens, torch.tensor([0, 2, 4, 5]))
    assert cache.origins[0].tolist() == [[0, 2, 3], [0, 2, -1]]
    assert torch.equal(cache.layers[0].keys[0], tokens[[0, 1, 2]])
    assert torch.equal(cache.layers[0].keys[1, :2], tokens[[0, 3]])


def test_only_slots_that_hold_vision_tokens_can_be_hidden():
    class HidesAll:
        @staticmethod
        def hide(view, memory):
            assert view.is_vision.tolist() == [[True, False, True, False], [True, False, False, False]]
            return torch.ones_like(view.is_vision)

    cache = KeyValueCache(rows_table([[0, 1, 2], [0, 3]], "cpu"), torch.tensor([True, False, True, False]))
    tokens, new = torch.randn(4, 1, 2), torch.randn(2, 1, 1, 2)
    cache.fill(0, tokens, tokens, torch.arange(4))
    cache.append(0, new, new, None)
    cache.hide(HidesAll, 0, new, None, 1.0)
    assert cache.hidings[0].hidden.tolist() == [[True, False, True], [True, False, False]]
    for row, seen in enumerate((tokens[[1]], tokens[[3]])):
        keys = torch.cat([seen[:, 0], new[row, 0]])
        expected = torch.softmax(keys @ new[row, 0, 0], dim=0) @ keys
        torch.testing.assert_close(cache.attend(0, new, None, scale=1.0, hidden_at=0)[row, 0, 0], expected)


def test_restricted_layers_hold_what_stays_and_the_others_everything():
    cache = KeyValueCache(rows_table([[0, 1, 2, 4], [0, 1, 5]], "cpu"))
    tokens, index = torch.arange(6.0).view(6, 1, 1), torch.arange(6)
    for layer in range(3):
        cache.fill(layer, tokens, -tokens, index)
    cache.restrict(torch.tensor([0, 4, 5, 2]), before_layer=2)
    for layer in (0, 1):
        rows = cache.layers[layer]
        assert (rows.lengths.tolist(), rows.longest, rows.is_even) == ([3, 2], 3, False)
        assert rows.keys[0, :3].flatten().tolist() == [0, 2, 4]
        assert rows.values[1, :2].flatten().tolist() == [0, -5]
        assert cache.origins[layer].tolist() == [[0, 2, 3], [0, 2, -1]]
    assert cache.origins[0] is cache.origins[1]
    assert cache.layers[2].lengths.tolist() == [4, 3]
    cache.restrict(torch.tensor([0, 5]), before_layer=3)
    assert [cache.layers[layer].lengths.tolist() for layer in range(3)] == [[1, 2]] * 3
    assert cache.layers[2].keys[1, :2].flatten().tolist() == [0, 5]


class CutsTheCache(RandomPruner):
    """Random, and what it drops leaves the layers before as well."""

    def select(self, view, memory):
        from dataclasses import replace

        return replace(super().select(view, memory), prune_cache=True)


@torch.no_grad()
@pytest.mark.parametrize("fed", ["one by one", "at once"])
def test_answers_without_the_first_layers_keys_are_those_of_keys_that_are_not_seen(module_of, batch_of, fed):
    module = module_of(CutsTheCache(remove=0.5, site="llm.layer[2]"))
    batch = batch_of(module)
    cut = module.model.prefill(batch, batch.turns, module.processor.tokenizer)[1]
    module.model.set_pruners([RandomPruner(remove=0.5, site="llm.layer[2]")])
    full = module.model.prefill(batch, batch.turns, module.processor.tokenizer)[1]
    torch.testing.assert_close(cut.logits, full.logits, rtol=0, atol=0)  # the prefill itself is as it was
    assert full.cache.layers[1].longest > full.cache.layers[2].longest == cut.cache.layers[1].longest

    dead = []
    for row in range(5):
        left = full.cache.rows[row, full.cache.origins[2][row][full.cache.origins[2][row] >= 0]]
        own = full.cache.origins[1][row]
        dead.append((own < 0) | ~torch.isin(full.cache.rows[row, own.clamp(min=0)], left))
    dead = torch.stack(dead)
    for layer in (0, 1):  # the same keys, masked
        rows = full.cache.layers[layer]

        def attend(query, counts, *, scale, local_attention=None, rows=rows):
            hidden = torch.zeros(5, rows.longest, dtype=torch.bool)
            hidden[:, : dead.shape[1]] = dead
            hidden &= torch.arange(rows.longest) < full.cache.origins[1].ge(0).sum(1, keepdim=True)
            return LayerCache.attend(rows, query, counts, scale=scale, hidden=hidden)

        rows.attend = attend
    ids = torch.randint(0, 400, (5, 4), generator=torch.Generator().manual_seed(1))
    for part in ids.split(1, dim=1) if fed == "one by one" else [ids]:
        torch.testing.assert_close(cut.append(part), full.append(part), rtol=1e-4, atol=1e-4)
