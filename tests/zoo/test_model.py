from dataclasses import replace

import numpy as np
import pytest
import torch

from zoo.errors import ConfigError
from zoo.head import Message
from zoo.model import VideoLanguageModel
from zoo.pruning.random import RandomPruner

SITES = ["pixels", "vit.block[0]", "vit.output", "llm.layer[0]", "llm.layer[1]"]


def logits_of(module, batch):
    with torch.no_grad():
        return module(batch)


def test_every_target_has_logits_in_the_order_of_the_sequence(module, batch_of):
    batch = batch_of(module)
    outputs = logits_of(module, batch)
    assert torch.equal(outputs.targets, batch.labels[batch.labels >= 0])
    assert outputs.logits.shape == (len(outputs.targets), module.model.language.vocab_size)
    torch.testing.assert_close(outputs.total_weight, batch.loss_weights.sum())


def test_examples_and_branches_answer_as_if_alone(module, batch_of):
    together = logits_of(module, batch_of(module, (3, 2), (3, 2)))
    rows = iter(together.logits.split([2] * 5))  # each answer is one token and its end
    for number, (frames, asked) in enumerate(((3, 3), (2, 2))):
        alone_frames = (
            (frames,) if number == 0 else (3, frames)
        )  # clips are drawn in a row, so the second needs the first
        for branch in range(asked):
            questions = (branch + 1,) if number == 0 else (1, branch + 1)
            alone = logits_of(module, batch_of(module, alone_frames, questions)).logits[-2:]
            torch.testing.assert_close(next(rows), alone, rtol=1e-4, atol=1e-5)


def test_turns_as_branches_answer_as_in_one_long_conversation(module):
    processor = module.processor
    said = (("What is it?", "red cube"), ("Did it move?", "no"))
    messages = [
        Message(head="qa", prompt=prompt, answer=answer, family="f", history=said[:number])
        for number, (prompt, answer) in enumerate(said)
    ]
    frames = np.random.default_rng(0).integers(0, 256, (2, 40, 56, 3), dtype=np.uint8)
    tree = processor.example(key="a", frames=frames, times_s=np.arange(2.0), messages=messages)
    (_, prompt, first), (_, later_prompt, last) = tree.branches
    middle = later_prompt[len(prompt) + len(first) :]
    long = replace(tree, branches=((messages[0], prompt, (*first, *middle, *last)),))
    branches = logits_of(module, processor.collate([tree])).logits
    conversation = logits_of(module, processor.collate([long])).logits
    torch.testing.assert_close(branches[: len(first)], conversation[: len(first)], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(branches[len(first) :], conversation[-len(last) :], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("site", SITES)
def test_random_pruning_shortens_what_follows_its_site(module_of, batch_of, site):
    module = module_of(RandomPruner(remove=0.5, site=site))
    batch = batch_of(module)
    outputs = logits_of(module, batch)
    # 48 pixels are 6 x 6 patches: 4 windows a frame, 12 and 8 of a clip, half of which stay.
    assert outputs.layout.tokens_per_clip == (6, 4)
    living = batch.is_patch[outputs.index]
    assert int(living.sum()) == 10
    assert outputs.targets.tolist() == batch.labels[batch.labels >= 0].tolist()


@pytest.mark.parametrize("site", SITES)
def test_removing_nothing_is_the_dense_model(module_of, batch_of, site):
    module = module_of(RandomPruner(remove=0.0, site=site))
    pruned = logits_of(module, batch_of(module))
    module.model.set_pruners([])
    dense = logits_of(module, batch_of(module))
    torch.testing.assert_close(pruned.logits, dense.logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("position_rule", ["dense", "gapped"])
def test_a_pruned_sequence_equals_one_built_by_hand_without_the_dead_tokens(module_of, batch_of, position_rule):
    module = module_of(RandomPruner(remove=0.5, site="vit.output"), position_rule=position_rule)
    batch = batch_of(module)
    model = module.model
    with torch.no_grad():
        done = model.run(batch)
        living = done.stream.index
        # By hand: the survivors' embeddings with their vectors, in the order of the text, one example after the other.
        _, vectors, layout = model.see(batch, done.pruning)
        states = model.embed(batch.input_ids)
        places = batch.is_patch.nonzero().squeeze(1)[layout.window_of_token]
        states[places] += vectors
        stream = batch.stream(states).keep(torch.isin(torch.arange(len(states)), living))
        first = int(sum(batch.runs[0]))
        expected = batch.position_ids[living]
        if position_rule == "dense":
            expected = torch.cat(
                [
                    restarted(batch.position_ids[living[living < first]], removed=6, prefix=batch.runs[0][0]),
                    restarted(batch.position_ids[living[living >= first]], removed=4, prefix=batch.runs[1][0]),
                ]
            )
        by_hand = type(stream)(
            states=stream.states,
            position_ids=expected,
            segments=stream.segments,
            is_patch=stream.is_patch,
            index=stream.index,
        )
        result, _ = model.language(by_hand)
    torch.testing.assert_close(done.stream.states, result.states, rtol=1e-5, atol=1e-5)


def restarted(positions, *, removed, prefix):
    """Positions of survivors: the prefix counts up without gaps, branches restart where it now ends."""
    in_prefix = positions < prefix
    out = positions - removed
    out[in_prefix] = torch.arange(int(in_prefix.sum()))
    return out


def test_text_logits_take_padding_on_either_side(module):
    ids = torch.randint(0, 400, (5,))
    pad = torch.zeros(2, dtype=torch.int64)
    left, right = torch.cat([pad, ids]), torch.cat([ids, pad])
    with torch.no_grad():
        alone = module.logits(ids[None])[0]
        both = module.logits(
            torch.stack([left, right]),
            torch.stack([left, right]) * 0 + torch.tensor([[0] * 2 + [1] * 5, [1] * 5 + [0] * 2]),
        )
    torch.testing.assert_close(both[0, 2:], alone, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(both[1, :5], alone, rtol=1e-5, atol=1e-5)
    assert not both[0, :2].any()


def test_text_logits_equal_those_of_the_wrapped_network(module):
    ids = torch.randint(0, 400, (2, 9))
    theirs = type(module.model.language.model)(
        module.model.language.model.config.__class__(
            **{
                **module.model.language.model.config.to_dict(),
                "attn_implementation": "sdpa",
            }
        )
    ).eval()
    theirs.load_state_dict(module.model.language.model.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(module.logits(ids), theirs(input_ids=ids).logits, rtol=1e-4, atol=1e-4)


def test_a_batch_without_frames_is_plain_text(module):
    from zoo.head import Message

    message = Message(head="qa", prompt="Who are you?", answer="a model", family="text")
    example = module.processor.example(key="text", frames=(), times_s=(), messages=[message], is_video=False)
    batch = module.processor.collate([example])
    outputs = logits_of(module, batch)
    expected = module.logits(batch.input_ids[None])[0][batch.labels >= 0]
    torch.testing.assert_close(outputs.logits, expected, rtol=1e-5, atol=1e-5)


def test_patch_tokens_that_do_not_match_the_frames_are_refused(module, batch_of):
    from dataclasses import replace

    batch = batch_of(module)
    broken = replace(batch, is_patch=batch.is_patch & (torch.arange(len(batch.is_patch)) > 8))
    with pytest.raises(ConfigError, match=r"patch tokens in the text for 20 windows"):
        module(broken)


def test_a_site_that_the_trunk_lacks_is_refused(module_of):
    with pytest.raises(
        ConfigError, match=r"vit.block\[7\], which this trunk lacks; it offers vit.block\[0\] to vit.block\[2\]"
    ):
        module_of(RandomPruner(site="vit.block[7]"))


def test_two_pruners_at_one_site_are_refused(module):
    pruners = [RandomPruner(site="vit.output"), RandomPruner(site="vit.output", seed=1)]
    model = module.model
    with pytest.raises(ConfigError, match="both act at vit.output"):
        VideoLanguageModel(vision=model.vision, connector=model.connector, language=model.language, pruners=pruners)


def test_two_pruners_compose(module_of, batch_of):
    module = module_of([RandomPruner(remove=0.5, site="vit.block[1]"), RandomPruner(remove=0.5, site="llm.layer[1]")])
    outputs = logits_of(module, batch_of(module))
    assert outputs.layout.tokens_per_clip == (3, 2)


def test_every_parameter_gets_a_gradient(module_of, batch_of):
    module = module_of(RandomPruner(remove=0.5, site="vit.block[1]")).train()
    outputs = module(batch_of(module))
    loss, _ = module._losses(outputs, batch_of(module))
    loss.backward()
    unused = {"model.vision.vit.norm.weight", "model.vision.vit.norm.bias"}  # features are taken before the final norm
    silent = {n for n, p in module.named_parameters() if p.grad is None} - unused
    assert not silent
