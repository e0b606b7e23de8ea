"""The packing bench: its arithmetic, and what it counts."""

import contextlib
import json

import pytest

from tests.fakes.conversations import examples_of
from zoo.bench.packing import PACKED, PADDED, PackingCost, PackingRow, fill_of, measure_packing, padded_fill
from zoo.errors import ConfigError
from zoo.packing import PackLimits
from zoo.processor import MessageTree

LIMITS = PackLimits(max_tokens=100, max_frames=10, pool=4)


def trees(*lengths):
    return [
        MessageTree(key=str(n), times_s=(0.0,), is_video=False, prefix=(1,) * length, branches=())
        for n, length in enumerate(lengths)
    ]


def test_fill_is_real_tokens_over_the_limit_of_every_pack(module):
    assert fill_of(trees(50, 50), module.processor, LIMITS) == 1.0
    assert fill_of(trees(60, 60, 40), module.processor, LIMITS) == pytest.approx(160 / 200)
    assert fill_of(trees(100), module.processor, LIMITS) == 1.0


def test_padded_fill_counts_padding(module):
    (example,) = examples_of(module.processor, [(2, 3)])
    lengths = sorted(len(example.prefix) + len(p) + len(a) for _, p, a in example.branches)
    wide = PackLimits(max_tokens=1000, max_frames=100)
    assert padded_fill([example], wide) == pytest.approx(sum(lengths) / (3 * lengths[-1]))
    assert padded_fill([example], PackLimits(max_tokens=1, max_frames=1)) == 1.0  # one row a batch


def test_the_quickest_round_of_each_batch_counts():
    row = PackingRow(
        annotations=4,
        clips=6,
        fill=0.97,
        padded_fill=0.9,
        seconds={PACKED: [[2.0, 1.0], [3.0, 5.0]], PADDED: [[4.0, 9.0], [8.0, 6.0], [2.0, 2.0]]},
    )
    assert row.per_second(PACKED) == 24 / (1 + 3)
    assert row.per_second(PADDED) == 24 / (4 + 6 + 2)
    assert row.speedup == 3.0
    cost = PackingCost(limits=LIMITS, rounds=2, planned=9, fill=0.98, rows=(row,))
    found = json.loads(json.dumps(cost.as_dict()))
    assert {name: found["rows"][0][name] for name in ("annotations", "speedup", "fill")} == {
        "annotations": 4,
        "speedup": 3.0,
        "fill": 0.97,
    }
    assert "      6.0         2.0      3.00   0.970   0.900" in cost.as_text()


@pytest.mark.parametrize("arguments", [{}, {"rounds": 0}, {"clips": 0}])
def test_nothing_to_time_is_refused(module, arguments):
    with pytest.raises(ConfigError, match="0 of 0 samples hold 16 annotations"):
        measure_packing(module, [], LIMITS, drawn=[], precision=contextlib.nullcontext, **arguments)
