from dataclasses import replace

import pytest
import torch
from policy_steps import cut, random_steps, tensors

from zoo.errors import ConfigError
from zoo.policy_trunk import ActionIds, PolicyCache, PolicyTrunk, TrunkInputs

ACTIONS = ActionIds(num_actions=4, start=4, padding=5)
INPUTS = TrunkInputs(patch_channels=3, text_channels=2, cameras=("left", "right"), actions=ACTIONS, boxes_per_camera=1)


class RunningSum(PolicyTrunk):
    """Sums the time ids of an episode: what a slot remembers shows as a number."""

    def __init__(self) -> None:
        super().__init__(inputs=INPUTS, hidden_size=1)

    def encode(self, steps):
        return steps.time_ids.cumsum(1).float().unsqueeze(-1)

    def new_cache(self, *, num_slots, max_steps=1000):
        cache = PolicyCache(num_slots=num_slots, max_steps=max_steps)
        cache.sums = torch.zeros(num_slots)
        return cache

    def encode_step(self, steps, cache, slots):
        rows = list(slots)
        cache.sums[rows] += steps.time_ids[:, 0]
        return cache.sums[rows][:, None, None]


@pytest.fixture
def steps():
    return random_steps(INPUTS, batch=2, time=3)


def test_padding_has_states_of_zero_and_mask_free_steps_are_all_real(steps):
    mask = torch.tensor([[True, True, False], [True, True, True]])
    padded = replace(steps, valid_mask=mask)
    assert RunningSum()(padded)[..., 0].tolist() == [[0, 1, 0], [0, 1, 3]]
    assert RunningSum()(steps)[..., 0].tolist() == [[0, 1, 3], [0, 1, 3]]


def test_a_step_goes_to_its_slot_and_counts(steps):
    trunk = RunningSum()
    cache = trunk.new_cache(num_slots=3)
    assert trunk.step(cut(steps, slice(None), slice(2, 3)), cache, [2, 0]).flatten().tolist() == [2, 2]
    assert trunk.step(cut(steps, [0], slice(1, 2)), cache, [2]).flatten().tolist() == [3]
    assert cache.lengths == [1, 0, 2]
    cache.restart([2])
    assert cache.lengths == [1, 0, 0]


def test_a_full_slot_refuses_before_anything_is_written(steps):
    trunk = RunningSum()
    cache = trunk.new_cache(num_slots=2, max_steps=1)
    trunk.step(cut(steps, [0], slice(1, 2)), cache, [1])
    with pytest.raises(ConfigError, match=r"slots \[1\] have had 1 steps.*restart.*max_steps"):
        trunk.step(cut(steps, slice(None), slice(1, 2)), cache, [0, 1])
    assert cache.lengths == [0, 1]
    assert cache.sums.tolist() == [0, 1]


@pytest.mark.parametrize("slots", [[0, 0], [0, 2], [-1, 0]])
def test_slots_that_do_not_exist_or_come_twice_are_refused(steps, slots):
    trunk = RunningSum()
    cache = trunk.new_cache(num_slots=2)
    with pytest.raises(ConfigError, match="expected different ones below 2"):
        trunk.step(cut(steps, slice(None), slice(1)), cache, slots)
    with pytest.raises(ConfigError, match="expected different ones below 2"):
        cache.restart(slots)


@pytest.mark.parametrize(
    ("rows", "times", "slots"),
    [([0, 1], slice(2), [0, 1]), ([0, 1], slice(1), [0]), ([], slice(1), [])],
)
def test_acting_takes_one_step_a_slot(steps, rows, times, slots):
    trunk = RunningSum()
    with pytest.raises(ValueError, match="each takes one step"):
        trunk.step(cut(steps, rows, times), trunk.new_cache(num_slots=2), slots)


@pytest.mark.parametrize("sizes", [{"num_slots": 0, "max_steps": 1}, {"num_slots": 1, "max_steps": 0}])
def test_an_empty_cache_is_refused(sizes):
    with pytest.raises(ConfigError, match="both must be 1 or more"):
        PolicyCache(**sizes)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({"patch_channels": 4}, "3 channels of patches, not 4"),
        ({"text_channels": 5}, "2 channels of text states, not 5"),
        ({"cameras": ("one",)}, "2 cameras, not 1"),
        ({"boxes_per_camera": 0}, "1 boxes per camera, not 0"),
        ({"boxes_per_camera": 2}, "1 boxes per camera, not 2"),
        ({"has_in_hand": False}, "1 in-hand flags, not 0"),
    ],
)
def test_steps_of_other_sizes_are_refused(steps, wanted, text):
    trunk = RunningSum()
    trunk.inputs = replace(INPUTS, **wanted)
    with pytest.raises(ConfigError, match=text):
        trunk(steps)
    with pytest.raises(ConfigError, match=text):
        trunk.step(cut(steps, slice(None), slice(1)), trunk.new_cache(num_slots=2), [0, 1])


def test_what_is_missing_is_refused(steps):
    with pytest.raises(ConfigError, match="0 boxes per camera, not 1; 0 in-hand flags, not 1"):
        RunningSum()(replace(steps, boxes=None, in_hand=None))


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("patches", torch.zeros(2, 3, 2, 3, 4), "must be .batch, time, cameras, channels, rows, columns"),
        ("patches", torch.zeros(2, 4, 2, 3, 1, 1), "must be .batch, time, cameras"),
        ("previous_actions", torch.zeros(2, 4), "previous_actions .2, 4. must be .batch, time."),
        ("in_hand", torch.zeros(3, 3), "in_hand .3, 3. must be"),
        ("valid_mask", torch.ones(2, dtype=torch.bool), "valid_mask .2,. must be"),
        ("boxes", torch.zeros(2, 3, 1, 1, 5), "boxes .2, 3, 1, 1, 5. must be .batch, time, cameras, boxes, 5."),
        ("valid_mask", torch.tensor([[True, False, True]] * 2), "a real step behind padding"),
    ],
)
def test_shapes_that_disagree_are_refused(steps, name, value, text):
    with pytest.raises(ValueError, match=text):
        replace(steps, **{name: value})


def test_every_row_has_its_instruction(steps):
    with pytest.raises(ValueError, match="1 instructions for 2 rows"):
        replace(steps, text=cut(steps, [0], slice(None)).text)


def test_moving_keeps_everything(steps):
    moved = steps.to("meta")
    assert {name: (t.shape, t.dtype) for name, t in tensors(moved).items()} == {
        name: (t.shape, t.dtype) for name, t in tensors(steps).items()
    }
    assert all(t.is_meta for t in (*tensors(moved).values(), moved.text.states, moved.text.pooled))


@pytest.mark.parametrize(("start", "padding"), [(4, 4), (3, 4), (5, 6)])
def test_start_and_padding_follow_the_actions(start, padding):
    with pytest.raises(ConfigError, match="behind the 4 actions come exactly these two, 4 and 5"):
        ActionIds(num_actions=4, start=start, padding=padding)


def test_blocked_is_the_number_behind_all_others():
    told = ACTIONS.telling(blocked=True)
    assert (told.blocked, told.count, ACTIONS.count) == (6, 7, 6)
    with pytest.raises(ConfigError, match="blocked 5, expected 6"):
        replace(ACTIONS, blocked=5)


@pytest.mark.parametrize("cameras", [(), ("b", "a"), ("a", "a")])
def test_cameras_are_in_alphabetical_order(cameras):
    with pytest.raises(ConfigError, match="in alphabetical order, each once"):
        replace(INPUTS, cameras=cameras)
