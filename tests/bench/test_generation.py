"""Recording against replays of what was recorded, on the smallest work there is."""

import pytest

from zoo.bench.generation import GENERATION_FLOOR, Load, Taken, _rows, measure_generation
from zoo.bench.simulation import Seconds
from zoo.errors import ConfigError

SMALL = Load(width=64, height=48, episodes=1)


@pytest.mark.render
def test_every_side_makes_the_same_steps():
    cost = measure_generation(SMALL)
    made, everything, everything_run, seen, seen_run = cost.rows
    assert made.ratio is None
    for row in (everything, everything_run, seen, seen_run):
        assert row.ratio == pytest.approx(made.value / row.value)
        assert row.ratio_cpu == pytest.approx(made.value_cpu / row.value_cpu)
    assert (everything.floor, seen.floor) == (GENERATION_FLOOR, None)
    assert everything_run.value > everything.value  # houses take time
    assert seen_run.value > seen.value
    assert "pictures of 64x48" in cost.as_text()


def test_workers_add_their_rates_up():
    fast, slow = (
        Taken(
            100,
            {"everything": Seconds(1.0 * share, 1.0), "seen": Seconds(1.0 * share, 1.0)},
            {
                "generation": Seconds(10.0 * share, 8.0),
                "everything": Seconds(11.0 * share, 9.0),
                "seen": Seconds(6.0 * share, 5.0),
            },
        )
        for share in (1, 2)
    )
    made, everything, everything_run, seen, _ = _rows(SMALL, [fast, slow])
    assert made.value == pytest.approx(100 / 10 + 100 / 20)
    assert made.value_cpu == pytest.approx(2 * 100 / 8)
    assert everything.ratio == pytest.approx(1.1)
    assert everything.holds
    assert everything_run.ratio == pytest.approx(1.0)
    assert seen.ratio == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"episodes": 0}, "0 episodes, 1 workers, 1 rounds; expected 1 or more of each"),
        ({"workers": 0}, "20 episodes, 0 workers"),
        ({"rounds": 0}, "0 rounds"),
        ({"width": 111}, r"image_size is \(111, 64\), expected even"),
    ],
)
def test_numbers_out_of_range(change, words):
    turns = {name: change.pop(name) for name in ("workers", "rounds") if name in change}
    with pytest.raises(ConfigError, match=words):
        measure_generation(Load(**change), **turns)
