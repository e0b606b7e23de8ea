from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoo.errors import ConfigError
from zoo.packing import Packer, PackLimits, PackSize, best_set

# Drawing thirty sizes takes longer than hypothesis likes where a machine is busy.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def sizes(max_tokens=60, max_frames=6, most=30):
    size = st.builds(PackSize, st.integers(1, max_tokens), st.integers(0, max_frames))
    return st.lists(size, min_size=1, max_size=most)


limits_drawn = st.builds(
    PackLimits,
    max_tokens=st.integers(1, 80),
    max_frames=st.integers(1, 8),
    pool=st.integers(1, 10),
    frame_weight=st.integers(0, 40),
)


def packed(limits, stream, waiting=()):
    """All packs of a stream of sizes; an item is its place in the stream."""
    packer = Packer(limits, waiting)
    packs = [pack for number, size in stream if (pack := packer.add(number, size)) is not None]
    return packs + list(packer.flush())


def total(chosen):
    return sum(size.tokens for size in chosen), sum(size.frames for size in chosen)


@patient
@given(limits=limits_drawn, drawn=sizes())
def test_packs_keep_the_limits_and_hold_each_item_once(limits, drawn):
    packs = packed(limits, enumerate(drawn))
    assert sorted(chain.from_iterable(packs)) == list(range(len(drawn)))
    for pack in packs:
        tokens, frames = total([drawn[number] for number in pack])
        assert len(pack) == 1 or (tokens <= limits.max_tokens and frames <= limits.max_frames)
        assert limits.stands_alone(drawn[pack[0]]) or (tokens <= limits.max_tokens and frames <= limits.max_frames)


@patient
@given(limits=limits_drawn, drawn=sizes(), stop=st.integers(0, 30))
def test_a_restored_pool_goes_on_as_if_nothing_had_happened(limits, drawn, stop):
    stream = list(enumerate(drawn))
    packer = Packer(limits)
    before = [pack for number, size in stream[:stop] if (pack := packer.add(number, size)) is not None]
    assert before + packed(limits, stream[stop:], packer.waiting) == packed(limits, stream)


@settings(patient, max_examples=200)
@given(limits=limits_drawn, drawn=sizes(most=8))
def test_the_chosen_set_is_the_best_of_all(limits, drawn):
    drawn = [size for size in drawn if not limits.stands_alone(size)]
    if not drawn:
        return

    sets = [chosen for number in range(len(drawn) + 1) for chosen in combinations(drawn, number)]
    fit = [s for s in sets if total(s)[0] <= limits.max_tokens and total(s)[1] <= limits.max_frames]
    fit_rounded = [s for s in fit if sum(map(limits.steps, s)) <= limits.capacity]

    def value(chosen):
        return sum(map(limits.value, chosen))

    chosen = best_set(drawn, limits)
    found = value([drawn[place] for place in chosen])
    assert max(map(value, fit_rounded)) <= found <= max(map(value, fit))
    assert chosen == sorted(set(chosen))


def test_sizes_are_rounded_up_to_the_quantum():
    limits = PackLimits(max_tokens=16384, max_frames=128)
    assert (limits.quantum, limits.capacity) == (32, 512)
    assert PackLimits(max_tokens=36864, max_frames=384).quantum == 72
    assert [limits.steps(PackSize(tokens, 1)) for tokens in (1, 32, 33)] == [1, 1, 2]
    # 257 + 255 steps fill the capacity; with 257 + 257 the smaller partner would win.
    assert best_set([PackSize(8193, 1), PackSize(8193, 1), PackSize(8160, 1)], limits) == [0, 2]


def test_room_that_rounding_leaves_is_filled_by_true_sizes():
    limits = PackLimits(max_tokens=1024, max_frames=8)  # 1 token over 170 steps of 2 rounds up to 171
    three = [PackSize(341, 1)] * 3
    assert limits.capacity // limits.steps(three[0]) == 2
    assert best_set(three, limits) == [0, 1, 2]
    assert best_set([*three, PackSize(342, 1)], limits) == [0, 1, 3]


@pytest.mark.parametrize("size", [PackSize(97, 1), PackSize(100, 1), PackSize(900, 1), PackSize(5, 9)])
def test_what_nothing_can_join_is_emitted_alone_at_once(size):
    limits = PackLimits(max_tokens=97, max_frames=8)
    packer = Packer(limits, [("waits", PackSize(10, 2))])
    assert packer.add("alone", size) == ["alone"]
    assert packer.waiting == (("waits", PackSize(10, 2)),)


def test_a_sample_with_all_the_frames_still_takes_text_along():
    packer = Packer(PackLimits(max_tokens=100, max_frames=8))
    assert packer.add("clip", PackSize(50, 8)) is None
    assert packer.add("text", PackSize(40, 0)) is None
    assert list(packer.flush()) == [["clip", "text"]]


def test_the_pool_is_solved_when_it_is_full_and_then_takes_the_newcomer():
    packer = Packer(PackLimits(max_tokens=10, max_frames=10, pool=3))
    assert [packer.add(tokens, PackSize(tokens, 1)) for tokens in (6, 5, 4)] == [None] * 3
    assert packer.add(3, PackSize(3, 1)) == [6, 4]  # no age priority: 5 waits on
    assert [item for item, _ in packer.waiting] == [5, 3]


def test_equal_sets_leave_out_the_later_sample():
    packer = Packer(PackLimits(max_tokens=10, max_frames=10))
    for name in "abcd":
        packer.add(name, PackSize(4, 1))
    assert list(packer.flush()) == [["a", "b"], ["c", "d"]]


@pytest.mark.parametrize(("max_frames", "frame_weight", "expected"), [(4, 30, [0]), (4, 0, [1, 2]), (6, 30, [0, 1])])
def test_frames_count_in_the_objective_and_against_the_limit(max_frames, frame_weight, expected):
    limits = PackLimits(max_tokens=100, max_frames=max_frames, frame_weight=frame_weight)
    assert best_set([PackSize(10, 4), PackSize(40, 2), PackSize(40, 0)], limits)[: len(expected)] == expected


def test_packs_of_a_mixture_are_nearly_full():
    generator = np.random.default_rng(0)
    limits = PackLimits(max_tokens=4096, max_frames=128)
    drawn = [PackSize(int(tokens), 8) for tokens in generator.integers(150, 700, 2000)]
    packs = packed(limits, enumerate(drawn))
    assert sum(size.tokens for size in drawn) >= 0.98 * limits.max_tokens * len(packs)


@pytest.mark.parametrize("arguments", [{"max_tokens": 0}, {"max_frames": 0}, {"pool": 0}, {"frame_weight": -1}])
def test_limits_that_hold_nothing_are_refused(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ConfigError, match=f"packing: {name} is {value}, expected"):
        PackLimits(**({"max_tokens": 10, "max_frames": 10} | arguments))


@pytest.mark.parametrize(("tokens", "frames"), [(0, 1), (5, -1)])
def test_a_size_below_nothing_is_refused(tokens, frames):
    with pytest.raises(ValueError, match=f"a sample of {tokens} tokens and {frames} frames"):
        PackSize(tokens, frames)


def test_a_pool_of_other_limits_is_refused():
    limits = PackLimits(max_tokens=10, max_frames=10, pool=2)
    with pytest.raises(ValueError, match="a pool of 3 samples, 0 of which stand alone"):
        Packer(limits, [(name, PackSize(3, 1)) for name in "abc"])
    with pytest.raises(ValueError, match="a pool of 1 samples, 1 of which stand alone"):
        Packer(limits, [("a", PackSize(11, 1))])
