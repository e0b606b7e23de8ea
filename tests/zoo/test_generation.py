import pytest
import torch

from zoo.decoding import Decoding
from zoo.pruning.random import RandomPruner


def prefill(module, batch):
    with torch.no_grad():
        return module.model.prefill(batch, batch.turns, module.processor.tokenizer)[1]


def recomputed(module, batch_of, frames, questions, ids):
    """Greedy logits after `ids`, by running the whole sequence again with them as the last branch's answer."""
    batch = batch_of(module, frames, questions)
    turn = batch.turns[-1]
    from dataclasses import replace

    end = turn.prompt[1]
    cut = replace(
        batch,
        input_ids=torch.cat([batch.input_ids[:end], torch.tensor(ids, dtype=torch.int64)]),
        position_ids=torch.cat([batch.position_ids[:end], batch.position_ids[end - 1] + 1 + torch.arange(len(ids))]),
        is_vision=torch.cat([batch.is_vision[:end], torch.zeros(len(ids), dtype=torch.bool)]),
        is_patch=torch.cat([batch.is_patch[:end], torch.zeros(len(ids), dtype=torch.bool)]),
        labels=torch.full((end + len(ids),), -100),
        loss_weights=torch.zeros(end + len(ids)),
        runs=(*batch.runs[:-1], (*batch.runs[-1][:-1], turn.prompt[1] - turn.prompt[0] + len(ids))),
        turns=(),
    )
    with torch.no_grad():
        done = module.model.run(cut)
        return module.model.language.logits(done.stream.states[-1])


@pytest.mark.parametrize("pruner", [None, "vit.block[1]", "vit.output", "llm.layer[0]", "llm.layer[1]"])
def test_cached_generation_equals_recomputation(module_of, batch_of, pruner):
    module = module_of(None if pruner is None else RandomPruner(remove=0.5, site=pruner))
    batch = batch_of(module, (3, 2), (3, 2))
    session = prefill(module, batch)
    fed = torch.randint(0, 400, (5, 3), generator=torch.Generator().manual_seed(1))
    for step in range(3):
        expected = recomputed(module, batch_of, (3, 2), (3, 2), fed[4, :step].tolist())
        torch.testing.assert_close(session.logits[4], expected, rtol=1e-4, atol=1e-4)
        with torch.no_grad():
            session.append(fed[:, step : step + 1])


def test_rows_of_one_clip_share_its_prefill(module, batch_of):
    session = prefill(module, batch_of(module, (3, 2), (3, 2)))
    assert session.cache.num_rows == 5
    alone = prefill(module, batch_of(module, (3,), (2,)))
    torch.testing.assert_close(session.logits[:2], alone.logits, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_greedy_answers_stop_at_the_end_token_and_a_session_goes_on(module, batch_of):
    batch = batch_of(module)
    session = prefill(module, batch)
    answers = session.generate(max_new_tokens=4)
    assert len(answers) == 5
    assert all(len(a) <= 4 and module.processor.tokenizer.eos_id not in a for a in answers)
    again = torch.randint(0, 400, (5, 2))
    after = session.append(again, torch.tensor([2, 0, 1, 2, 2]))
    assert after.shape == (5, module.model.language.vocab_size)
    first = session.position_ids.clone()
    session.append(again[:, :1])
    assert (session.position_ids - first).tolist() == [1] * 5


@torch.no_grad()
def test_a_constraint_decides_what_may_come(module, batch_of):
    allowed = torch.zeros(5, module.model.language.vocab_size, dtype=torch.bool)
    allowed[:, [17, 18]] = True
    answers = prefill(module, batch_of(module)).generate(max_new_tokens=3, constraint=lambda _, rows: allowed[rows])
    assert {token for answer in answers for token in answer} <= {17, 18}
    assert all(len(answer) == 3 for answer in answers)


@torch.no_grad()
@pytest.mark.parametrize("ends", [(1, 6, 2, 3, 9), (9, 1, 1, 1, 4), (2, 2, 2, 2, 2), (1, 9, 9, 9, 9)])
def test_rows_that_are_finished_cost_nothing_and_are_kept(module, batch_of, ends):
    eos = module.processor.tokenizer.eos_id

    def constraint(generated, rows):
        """Any token but the end, and from its length on the end alone, in each row."""
        allowed = torch.ones(len(rows), module.model.language.vocab_size, dtype=torch.bool)
        allowed[:, eos] = False
        for number, (ids, row) in enumerate(zip(generated, rows, strict=True)):
            if len(ids) == ends[row]:
                allowed[number] = torch.arange(allowed.shape[1]) == eos
        return allowed

    session, whole = (prefill(module, batch_of(module, (3, 2), (3, 2))) for _ in range(2))
    answers = session.generate(max_new_tokens=8, constraint=constraint)
    assert [len(answer) for answer in answers] == [min(end, 8) for end in ends]
    for step in range(8):  # the same by hand, all rows side by side
        going = [row for row, answer in enumerate(answers) if step < len(answer)]
        best = whole.logits.clone()
        best[:, eos] = -torch.inf
        assert best.argmax(-1)[going].tolist() == [answers[row][step] for row in going]
        fed, counts = torch.zeros(5, 1, dtype=torch.int64), torch.zeros(5, dtype=torch.int64)
        for row in going:
            fed[row], counts[row] = answers[row][step], int(step < 7)  # the last token is not fed
        if counts.any():
            whole.append(fed, counts)
    assert torch.equal(session.position_ids, whole.position_ids)
    torch.testing.assert_close(session.logits, whole.logits, rtol=1e-4, atol=1e-4)
    more = torch.randint(0, 400, (5, 2), generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(session.append(more), whole.append(more), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_sampling_repeats_with_its_generator(module, batch_of):
    draws = [
        prefill(module, batch_of(module)).generate(
            max_new_tokens=4,
            decoding=Decoding(temperature=1.0, top_p=0.9),
            generator=torch.Generator().manual_seed(seed),
        )
        for seed in (1, 1, 2)
    ]
    assert draws[0] == draws[1] != draws[2]


@torch.no_grad()
def test_a_penalty_is_taken_off_what_a_row_has_said(module, batch_of):
    def answers(penalty):
        session = prefill(module, batch_of(module))
        goes_on = torch.ones_like(session.logits, dtype=torch.bool)
        goes_on[:, module.processor.tokenizer.eos_id] = False
        return session.generate(
            max_new_tokens=6,
            decoding=Decoding(frequency_penalty=penalty),
            constraint=lambda _, rows: goes_on[rows],
        )

    plain, varied, stuck = map(answers, (0.0, 1e4, -1e4))
    assert all(len(set(answer)) == len(answer) == 6 for answer in varied)
    assert stuck == [answer[:1] * 6 for answer in plain]
