"""What every policy trunk promises; published sizes are built without memory."""

import inspect
import typing
from dataclasses import replace
from functools import partial

import pytest
import torch
from policy_steps import cut, random_steps, random_text, tensors, text_rows

from zoo import registry
from zoo.backbones.policy.step_embedding import StepScales
from zoo.errors import ConfigError
from zoo.policy_trunk import PolicyTrunk

SMALL = {"patch_channels": 6, "text_channels": 5, "hidden_size": 16, "grid": (2, 2)}
CHOICES = {
    "goal_in_decoder": (True, False),
    "target_grid": ((2, 3),),
    "memory_steps": (2,),
    "knows_body": (True,),
    "scales": (StepScales(table=0.5, time=0.1),),
}


def tiny_trunks() -> dict[str, partial]:
    """Every registered tiny trunk, with every value of those arguments that choose its parts."""
    found = {}
    for name in registry.names("policy_trunk"):
        if name.endswith("-tiny"):
            builder = registry.load("policy_trunk", name)
            hints = typing.get_type_hints(builder)
            choices = {key: CHOICES[key] for key in CHOICES.keys() & hints.keys()}
            if "variant" in hints:
                choices["variant"] = typing.get_args(hints["variant"])
            values = [(key, value) for key in sorted(choices) for value in choices[key]] or [None]
            for value in values:
                arguments = SMALL | dict([value] if value else [])
                found[f"{name}-{'='.join(map(str, value)) if value else 'plain'}"] = partial(builder, **arguments)
    return found


TINY = tiny_trunks()
PUBLISHED = [
    name
    for name in registry.names("policy_trunk")
    if all(p.default is not p.empty for p in inspect.signature(registry.load("policy_trunk", name)).parameters.values())
]


@pytest.fixture(params=TINY)
def trunk(request):
    return TINY[request.param]().eval()


def test_trunks_of_all_parts_are_tested():
    assert len(TINY) >= 13


def test_where_the_target_is_seen_matters_and_must_be_told():
    trunk = registry.build("policy_trunk", "spoc-tiny", target_grid=(2, 3), **SMALL).eval()
    steps = random_steps(trunk.inputs, batch=1, time=2)
    moved = trunk(replace(steps, target_map=steps.target_map.flip(-1)))
    assert (moved - trunk(steps)).abs().max() > 1e-3
    with pytest.raises(ConfigError, match=r"None grid of the target, not \(2, 3\)"):
        trunk(replace(steps, target_map=None))
    with pytest.raises(ValueError, match=r"target_map \(1, 2, 3\) must be"):
        replace(steps, target_map=torch.zeros(1, 2, 3))


@pytest.mark.parametrize("name", ["spoc-tiny", "ring-tiny"])
def test_what_is_longer_ago_than_the_memory_of_all_layers_is_forgotten(name):
    trunk = registry.build("policy_trunk", name, memory_steps=2, num_layers=2, **SMALL).eval()
    steps = random_steps(trunk.inputs, batch=1, time=6)
    other = replace(steps, patches=torch.cat([steps.patches[:, :1] + 1, steps.patches[:, 1:]], dim=1))
    changed = (trunk(other) - trunk(steps)).abs().amax(-1)[0] > 1e-6
    assert changed.tolist() == [True] * 3 + [False] * 3  # each of the two layers looks back one step


def test_a_memory_of_no_step_is_refused():
    with pytest.raises(ConfigError, match="memory_steps is 0, expected 1 or more"):
        registry.build("policy_trunk", "spoc-tiny", memory_steps=0)
    with pytest.raises(ConfigError, match="memory_steps is 5 and variant 'gru', whose memory is one state"):
        registry.build("policy_trunk", "spoc-tiny", memory_steps=5, variant="gru")


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_is_a_policy_trunk(name):
    with torch.device("meta"):
        trunk = registry.build("policy_trunk", name)
    assert isinstance(trunk, PolicyTrunk)
    assert trunk.inputs.cameras == ("manipulation_camera", "navigation_camera")


def test_a_state_depends_on_no_later_step(trunk):
    steps, other = (random_steps(trunk.inputs, batch=2, time=5) for _ in range(2))
    mixed = {n: torch.cat([t[:, :3], tensors(other)[n][:, 3:]], dim=1) for n, t in tensors(steps).items()}
    mixed["time_ids"] = torch.tensor([0, 1, 2, 50, 51]).expand(2, 5)
    before, after = trunk(steps), trunk(replace(steps, **mixed))
    torch.testing.assert_close(after[:, :3], before[:, :3], rtol=0, atol=1e-6)  # kernels may sum in another order
    assert (after[:, 3:] - before[:, 3:]).abs().amax(-1).min() > 1e-4


def test_steps_are_left_as_they_were(trunk):
    steps = random_steps(trunk.inputs, batch=2, time=3)
    before = {name: t.clone() for name, t in tensors(steps).items()}
    trunk(steps)
    assert all(torch.equal(t, before[name]) for name, t in tensors(steps).items())


def test_rows_and_what_stands_on_padding_do_not_matter(trunk):
    steps = random_steps(trunk.inputs, batch=2, time=5)
    mask = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
    padded = trunk(replace(steps, valid_mask=mask))
    alone = trunk(cut(steps, [0], slice(3)))
    torch.testing.assert_close(padded[:1, :3], alone, rtol=1e-5, atol=1e-5)
    assert padded[0, 3:].abs().max() == 0


def test_acting_step_by_step_gives_the_states_of_whole_episodes(trunk):
    """Three slots; episodes of 5, 2, 4 and 3 steps that begin and end at different times, rows in any order."""
    lengths = {"a": 5, "b": 2, "c": 4, "d": 3}
    steps = {name: random_steps(trunk.inputs, batch=1, time=length) for name, length in lengths.items()}
    rounds = ["a", "ab", "ba", "cd", "dac", "adc", "c"]
    slot_of = {"a": 2, "b": 0, "c": 1, "d": 0}  # d follows b in its slot
    cache, taken, states = trunk.new_cache(num_slots=3, max_steps=5), dict.fromkeys(lengths, 0), {}
    for names in rounds:
        for name in names:
            if not taken[name]:
                cache.restart([slot_of[name]])
        now = [cut(steps[name], slice(None), slice(taken[name], taken[name] + 1)) for name in names]
        parts = {n: torch.cat([tensors(step)[n] for step in now]) for n in tensors(now[0])}
        if trunk.inputs.knows_body:
            parts["embodiment"] = torch.cat([step.embodiment for step in now])
        text = type(now[0].text)(
            **{key: torch.cat([getattr(s.text, key) for s in now]) for key in ("states", "attention_mask", "pooled")}
        )
        out = trunk.step(replace(now[0], text=text, **parts), cache, [slot_of[name] for name in names])
        assert not out.requires_grad
        for name, state in zip(names, out, strict=True):
            taken[name] += 1
            states.setdefault(name, []).append(state)
    assert taken == lengths
    for name in lengths:
        with torch.no_grad():
            whole = trunk(steps[name])[0]
        torch.testing.assert_close(torch.cat(states[name]), whole, rtol=0, atol=1e-5)  # float32, other kernels


def test_every_weight_learns(trunk):
    trunk.train()
    steps = random_steps(trunk.inputs, batch=2, time=4)
    trunk(steps).square().sum().backward()
    assert [name for name, p in trunk.named_parameters() if p.grad is None or not p.grad.abs().max()] == []


@pytest.mark.parametrize("name", TINY)
def test_weights_are_stored_and_loaded_whole(name):
    first, second = TINY[name]().eval(), TINY[name]().eval()
    steps = random_steps(first.inputs, batch=1, time=3)
    second.load_state_dict(first.state_dict(), strict=True)
    assert torch.equal(first(steps), second(steps))


def test_an_instruction_means_the_same_alone_and_in_a_padded_batch(trunk):
    text = random_text(trunk.inputs, batch=2, tokens=6)
    text.attention_mask[1, 4:] = False
    text.states[1, 4:] = 0
    steps = random_steps(trunk.inputs, batch=2, time=2, text=text)
    short = text_rows(text, [1])
    short = replace(short, states=short.states[:, :4], attention_mask=short.attention_mask[:, :4])
    alone = replace(cut(steps, [1], slice(None)), text=short)
    torch.testing.assert_close(trunk(steps)[1:], trunk(alone), rtol=1e-5, atol=1e-5)


def test_the_goal_the_cameras_and_the_previous_action_matter(trunk):
    steps = random_steps(trunk.inputs, batch=1, time=2)
    swapped = replace(steps, patches=steps.patches.flip(2))
    moved = replace(steps, previous_actions=(steps.previous_actions + 1) % 22)
    told = replace(steps, text=random_text(trunk.inputs, batch=1))
    for other in (swapped, moved, told):
        assert (trunk(other) - trunk(steps)).abs().max() > 1e-5
