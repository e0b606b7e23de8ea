from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.packing import first_fit_decreasing


def by_hand(sizes, capacity):
    """Try every bin for every item, from the largest size to 1."""
    bins = []
    for size in range(capacity, 0, -1):
        for place, own in enumerate(sizes):
            if own != size:
                continue
            for members in bins:
                if sum(sizes[member] for member in members) + size <= capacity:
                    members.append(place)
                    break
            else:
                bins.append([place])
    return bins


def test_the_largest_comes_first_and_takes_the_first_bin_with_room():
    assert first_fit_decreasing([2, 5, 3, 7, 3], 10) == [[3, 2], [1, 4, 0]]


def test_nothing_lies_in_no_bin():
    assert first_fit_decreasing([], 5) == []
    assert first_fit_decreasing([0, 0], 5) == []
    assert first_fit_decreasing([0, 5, 0, 1], 5) == [[1], [3]]


def test_equal_items_keep_their_order():
    assert first_fit_decreasing([4, 4, 4], 8) == [[0, 1], [2]]


@given(data=st.data(), capacity=st.integers(1, 20))
def test_every_item_lies_in_one_bin_and_none_overflows(data, capacity):
    sizes = data.draw(st.lists(st.integers(0, capacity), max_size=30))
    bins = first_fit_decreasing(sizes, capacity)
    assert sorted(chain.from_iterable(bins)) == [place for place, size in enumerate(sizes) if size]
    assert all(sum(sizes[place] for place in members) <= capacity for members in bins)
    assert bins == by_hand(sizes, capacity)
    assert len(bins) <= max(1, 2 * sum(sizes) / capacity)  # two bins never fit into one


@pytest.mark.parametrize("sizes", [[3, 11], [-1, 4]])
def test_an_item_that_fits_no_bin_is_refused(sizes):
    with pytest.raises(ValueError, match=f"items of {min(sizes)} to {max(sizes)} do not fit into bins of 10"):
        first_fit_decreasing(sizes, 10)
