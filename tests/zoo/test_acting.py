from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_policy import GOALS, tiny_batch, tiny_policy

from zoo.acting import SLOTS_OF_A_CACHE
from zoo.errors import ConfigError, DataError
from zoo.heads.navigation import NavigationHead
from zoo.navigation_actions import NAVIGATION_ACTIONS
from zoo.policy import ActingModule, Policy, boxes_name

SIZE = (48, 32)  # width and height


def task(row: int, seed: int = 0) -> dict:
    return {"instruction": GOALS[row], "task": "object_nav_type", "key": str(row), "seed": seed}


def observations(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    pictures = {
        name: generator.integers(256, size=(count, SIZE[1], SIZE[0], 3), dtype=np.uint8)
        for name in ("manipulation_camera", "navigation_camera")
    }
    return {**pictures, "in_hand": np.zeros((count, 1), np.int64), "base_pose": np.zeros((count, 7))}


def rows(observation, chosen) -> dict[str, np.ndarray]:
    return {name: array[list(chosen)] for name, array in observation.items()}


@pytest.fixture
def module():
    return tiny_policy(head=NavigationHead(choice="greedy")).eval()


def test_it_is_a_policy_that_says_what_it_wants_to_see(module):
    policy = module.policy()
    assert isinstance(module, ActingModule)
    assert isinstance(policy, Policy)
    assert policy.cameras == ("manipulation_camera", "navigation_camera")
    assert policy.image_size == SIZE


@pytest.mark.parametrize("given", [{}, {"trunk": "ring"}, {"trunk": "ring", "knows_body": True}], ids=str)
def test_acting_step_by_step_sees_what_training_sees(given):
    """Logits of a window equal those of its steps one by one, for two episodes that begin at different times."""
    module = tiny_policy(**given).eval()
    if module.model.trunk.inputs.knows_body:
        torch.nn.init.normal_(module.model.trunk.body.layers[2].weight)
    batch = tiny_batch(module, lengths=(6, 4))
    bodies = [{"embodiment": row.tolist()} for row in batch.embodiment]
    policy = module.policy()
    said: dict[int, list[torch.Tensor]] = {0: [], 1: []}

    def act(slots, steps):
        shown = [batch.frames[slot, step].permute(0, 2, 3, 1).numpy() for slot, step in zip(slots, steps, strict=True)]
        pictures = {name: np.stack([s[i] for s in shown]) for i, name in enumerate(policy.cameras)}
        logits = []
        choose = module.model.head.choose
        module.model.head.choose = lambda given, draws: logits.append(given) or choose(given, draws)
        policy.act({**pictures, "in_hand": np.zeros((len(slots), 1))}, slots)
        module.model.head.choose = choose
        for row, (slot, step) in enumerate(zip(slots, steps, strict=True)):
            said[slot].append(logits[0][row])
            if step + 1 < batch.frames.shape[1]:  # what the expert did, not what was drawn
                policy._episodes[slot].previous_action = int(batch.previous_actions[slot, step + 1])

    start = module.model.trunk.inputs.actions.start
    batch = replace(batch, previous_actions=batch.previous_actions.index_fill(1, torch.tensor([0]), start))
    policy.reset({0: task(0) | bodies[0]})
    act([0], [0])
    act([0], [1])
    policy.reset({1: task(1) | bodies[1]})
    for step in range(4):
        act([1, 0], [step, step + 2])
    with torch.no_grad():
        expected = module.model(batch).logits
    for slot, length in ((0, 6), (1, 4)):
        torch.testing.assert_close(torch.stack(said[slot]), expected[slot, :length], rtol=1e-5, atol=1e-5)


def test_actions_are_chunks_of_one_number(module):
    policy = module.policy()
    policy.reset({3: task(0), 7: task(1)})
    chunks = policy.act(observations(2), [7, 3])
    assert chunks.shape == (2, 1, 1)
    assert chunks.dtype == np.float32
    assert set(chunks.flatten()) <= set(range(20))


def run(module, slots: list[int], seeds: dict[int, int], steps: int = 8) -> dict[int, list[float]]:
    """What each slot does; slot s sees the same pictures whoever runs beside it."""
    policy = module.policy()
    policy.reset({slot: task(0, seeds[slot]) for slot in slots})
    done = {slot: [] for slot in slots}
    for step in range(steps):
        seen = rows(observations(SLOTS_OF_A_CACHE + 4, seed=step), slots)
        for slot, chunk in zip(slots, policy.act(seen, slots), strict=True):
            done[slot].append(float(chunk.item()))
    return done


def test_draws_are_the_episodes_own():
    module = tiny_policy(head=NavigationHead(choice="sample")).eval()
    seeds = {0: 5, 1: 6, SLOTS_OF_A_CACHE + 1: 7}
    together = run(module, [SLOTS_OF_A_CACHE + 1, 1, 0], seeds)
    alone = {slot: run(module, [slot], seeds)[slot] for slot in seeds}
    assert together == alone
    assert run(module, [0], {0: 8})[0] != alone[0]


def test_a_new_episode_in_a_slot_forgets_the_one_before(module):
    policy = module.policy()
    policy.reset({0: task(0)})
    first = [policy.act(observations(1, seed), [0]).item() for seed in range(4)]
    policy.reset({0: task(0)})
    assert [policy.act(observations(1, seed), [0]).item() for seed in range(4)] == first


def test_ring_says_nothing_that_its_bodies_cannot_do():
    head = NavigationHead(choice="sample", navigation_only=True)
    module = tiny_policy(trunk="ring", head=head).eval()
    policy = module.policy()
    policy.reset({0: task(0)})
    seen = observations(1)
    del seen["in_hand"], seen["manipulation_camera"]  # a body with one camera: the other one is black
    said = {int(policy.act(seen, [0]).item()) for _ in range(60)}
    assert said <= set(NAVIGATION_ACTIONS)
    assert len(said) > 3


def test_an_observation_is_left_as_it_was(module):
    policy = module.policy()
    policy.reset({0: task(0)})
    seen = observations(1)
    before = {name: array.copy() for name, array in seen.items()}
    policy.act(seen, [0])
    assert all(np.array_equal(seen[name], before[name]) for name in before)


def test_an_episode_beyond_its_steps_is_refused_and_others_go_on(module):
    policy = module.policy(max_steps=2)
    policy.reset({0: task(0)})
    for _ in range(2):
        policy.act(observations(1), [0])
    policy.reset({SLOTS_OF_A_CACHE: task(1)})
    with pytest.raises(ConfigError, match=r"slots \[0\] have had 2 steps"):
        policy.act(observations(2), [SLOTS_OF_A_CACHE, 0])
    policy.act(observations(1), [SLOTS_OF_A_CACHE])
    policy.act(observations(1), [SLOTS_OF_A_CACHE])  # the refused step was not taken


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"instruction": "", "seed": 1}, "instruction '' and seed 1; a policy needs words"),
        ({"seed": 1}, "instruction None"),
        ({"instruction": "find a bed"}, "seed None"),
    ],
)
def test_a_task_without_words_or_seed_is_refused(module, given, message):
    with pytest.raises(DataError, match=message):
        module.policy().reset({0: given})


@pytest.mark.parametrize(
    ("given", "message"),
    [({}, "slot 3: no embodiment; this policy was"), ({"embodiment": [1.0]}, "slot 3: an embodiment of 1 numbers")],
)
def test_a_body_that_is_not_described_is_refused(given, message):
    policy = tiny_policy(trunk="ring", knows_body=True).eval().policy()
    with pytest.raises(DataError, match=message):
        policy.reset({3: task(0) | given})


def test_slots_sensors_and_boxes_that_are_missing_are_named(module):
    policy = module.policy()
    with pytest.raises(ConfigError, match=r"slots \[2\] have no episode"):
        policy.act(observations(1), [2])
    policy.reset({0: task(0)})
    seen = observations(1)
    del seen["in_hand"]
    with pytest.raises(DataError, match="no in_hand"):
        policy.act(seen, [0])
    policy = tiny_policy(variant="double_det").eval().policy()
    policy.reset({0: task(0)})
    assert policy.takes_boxes and not module.policy().takes_boxes
    with pytest.raises(ConfigError, match="no manipulation_camera_boxes and no navigation_camera_boxes of a detector"):
        policy.act(observations(1), [0])
    boxes = {boxes_name(camera): np.zeros((1, 2, 5), np.float32) for camera in policy.cameras}
    assert policy.act({**observations(1), **boxes}, [0]).shape == (1, 1, 1)


@pytest.mark.parametrize("trunk", ["spoc", "ring"])
def test_a_move_without_effect_is_told_as_such(trunk):
    module = tiny_policy(trunk=trunk, tells_blocked=True).eval()
    blocked = module.model.trunk.inputs.actions.blocked
    policy = module.policy()
    policy.reset({0: task(0), 1: task(1)})
    with pytest.raises(DataError, match="no last_action_success"):
        policy.act(observations(2), [0, 1])
    shown = []
    step = module.model.trunk.step
    module.model.trunk.step = lambda steps, *others: shown.append(steps.previous_actions) or step(steps, *others)
    first = policy.act(observations(2) | {"last_action_success": np.array([[1], [0]])}, [0, 1]).flatten().tolist()
    policy.act(observations(2) | {"last_action_success": np.array([[0], [1]])}, [0, 1])
    start = module.model.trunk.inputs.actions.start
    assert [told.flatten().tolist() for told in shown] == [[start, start], [blocked, first[1]]]


def test_a_goal_outside_the_vocabulary_runs(module):
    policy = module.policy()
    policy.reset({0: {"instruction": "örtä 見つけて 🛏", "seed": 0}})
    assert policy.act(observations(1), [0]).shape == (1, 1, 1)


def test_what_was_done_instead_is_what_was_done(module):
    """Told of the action that was made, a policy goes on as one that chose it; at the start there is none."""
    told, other = module.policy(), module.policy()
    for policy in (told, other):
        policy.reset({0: task(0)})
    seen = observations(1)
    first = int(other.act(seen, [0])[0, 0, 0])
    told.act({**seen, "last_action": np.array([[-1]])}, [0])
    made = (first + 1) % 20
    other._episodes[0].previous_action = made
    shown = []
    choose = module.model.head.choose
    module.model.head.choose = lambda logits, draws: shown.append(logits) or choose(logits, draws)
    told.act({**seen, "last_action": np.array([[made]])}, [0])
    other.act(seen, [0])
    torch.testing.assert_close(shown[0], shown[1], rtol=0, atol=0)
    alone = module.policy()
    alone.reset({0: task(0)})
    for _ in range(2):
        alone.act(seen, [0])
    assert not torch.equal(shown[-1], shown[0])
