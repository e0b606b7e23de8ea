"""The pruning bench: what it counts is what runs, and what it says is against the dense model of the same rounds."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from tests.fakes.trees import packed
from zoo import attention, registry
from zoo.attention import attend, executing
from zoo.bench import pruning, trunks
from zoo.bench.meters import Meter
from zoo.bench.methods import Method, Part, parse_methods
from zoo.bench.pruning import bin_fill, measure_pruning
from zoo.bench.pruning_cost import ArmCost, Row
from zoo.bench.pruning_plot import pareto_front, read_accuracies, save_plot, with_accuracies
from zoo.errors import ConfigError
from zoo.layout import TokenLayout

RANDOM = parse_methods("random(site='vit.block[0]')")
ASKED = ("method", "remove", "frames", "forward_speedup", "train_speedup", "flops_speedup", "peak_memory_mb")


def example_methods():
    """Every registered pruner as its example is built, its share left open."""
    for name in registry.names("pruner"):
        arguments = dict(registry.load("pruner", name).example_args)
        arguments.pop("remove", None)
        yield Method((Part(name, arguments),))


def cost_of(**seconds):
    cost = ArmCost(
        method="a", remove=0.5, frames=2, flops={"forward": 10}, peak_bytes={"forward": 5_000_000}, windows=4
    )
    for name, taken in seconds.items():
        cost.seconds[name] = taken
    return cost


# -- meters -----------------------------------------------------------------------------------------------------------


def test_what_is_computed_again_counts_again():
    layer, x = nn.Linear(6, 5, bias=False), torch.randn(7, 6, requires_grad=True)
    product = 2 * 7 * 6 * 5
    with Meter() as once:
        layer(x).sum().backward()
    with Meter() as again:
        checkpoint(lambda x: layer(x).exp(), x, use_reentrant=False).sum().backward()
    assert (once.flops, again.flops) == (3 * product, 4 * product)


def test_a_convolution_counts_as_torch_counts_it():
    layer, x = nn.Conv2d(3, 8, 4, stride=4), torch.randn(2, 3, 16, 16)
    with FlopCounterMode(display=False) as theirs:
        layer(x).sum().backward()
    with Meter() as ours:
        layer(x).sum().backward()
    assert ours.flops == theirs.get_total_flops() > 0


@pytest.mark.parametrize("kv_heads", [4, 2])
def test_the_fused_attention_of_cpus_counts(kv_heads):
    q = torch.randn(2, 4, 9, 16, requires_grad=True)
    k, v = torch.randn(2, kv_heads, 11, 16), torch.randn(2, kv_heads, 11, 16)
    pairs = 2 * 4 * 9 * 11
    with torch.no_grad(), Meter() as forward:
        F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    with Meter() as both:
        F.scaled_dot_product_attention(q, k, v, enable_gqa=True).sum().backward()
    assert forward.flops == pairs * 2 * (16 + 16)
    assert both.flops == pairs * 2 * (16 + 16) + pairs * 2 * 5 * 16


def test_bytes_are_counted_while_they_are_held():
    held = torch.zeros(1000)
    with Meter([held, held.view(10, 100)]) as meter:
        assert meter.live_bytes == 4000
        doubled = held * 2
        view = doubled[5:]
        del doubled
        assert meter.live_bytes == 8000  # the view holds all of it
        del view
        kept = held.to(torch.float64)
        assert meter.live_bytes == 12_000
    assert meter.peak_bytes == 12_000
    del kept


def test_attention_is_executed_as_before_after_counting(monkeypatch):
    query, key, value, segments = packed(((7,), (9,)))
    bias = torch.zeros(16)
    executed = []
    monkeypatch.setattr(attention, "_attend_by_segment", lambda *given: executed.append("segments"))
    monkeypatch.setattr(attention, "_attend_flex", lambda *given: executed.append("flex"))

    def fail():
        attend(query, key, value, segments, key_bias=bias)
        raise ValueError("in the middle")

    with executing("flex"):
        with pytest.raises(ValueError, match="in the middle"), Meter():
            fail()
        attend(query, key, value, segments, key_bias=bias)
    assert executed == ["segments", "flex"]


# -- rows -------------------------------------------------------------------------------------------------------------


def test_a_speedup_is_the_median_over_pairs():
    row = Row(own=cost_of(forward=[1.0, 2.0, 4.0]), dense=cost_of(forward=[3.0, 2.0, 8.0]))
    assert row.speedup("forward") == 2.0  # of 3, 1, 2
    assert row.best("forward") == 2.0
    assert row.speedup("train") is None
    assert row.best("train") is None


def test_the_bound_is_counted():
    own = replace(cost_of(forward=[1.0]), flops={"forward": 5})
    row = Row(own=own, dense=cost_of(forward=[1.5]))
    assert row.bound("forward") == 2.0
    assert row.share_of_bound("forward") == 0.75
    assert row.bound("train") is None
    assert row.as_dict()["train_share_of_bound"] is None


def test_bin_fill_is_that_of_first_fit(clips):
    whole = TokenLayout.of_frames(clips, (6, 6))
    assert bin_fill(whole) == 1.0
    frame, place = whole.patch // 36, whole.patch % 36
    left = torch.tensor([20, 0, 15, 18, 17])  # 20 + 15, 18 + 17: two bins
    assert bin_fill(whole.keep(place < left[frame])) == pytest.approx(70 / 72)


# -- measuring --------------------------------------------------------------------------------------------------------


def test_every_registered_method_is_measured(module_of):
    methods = list(example_methods())
    cost = measure_pruning(module_of(), methods=methods, remove=(0.5,), frames=(3,), rounds=1)
    told = json.loads(json.dumps(cost.as_dict()))
    assert [row["method"] for row in told["rows"]] == [method.label for method in methods]
    dense = told["dense"][0]
    assert dense["windows"] == 12
    for row, method in zip(told["rows"], methods, strict=True):
        assert all(row[key] is not None for key in ASKED)
        assert row["frames"] == 3
        assert row["remove"] == (0.5 if method.removes else 0.0)
        assert 0 < row["windows"] <= 12
        assert row["sequence"] == dense["sequence"] - 12 + row["windows"]
        assert row["flops_speedup"] == dense["forward_flops"] / row["forward_flops"]
        assert row["train_flops_speedup"] > 0 < row["forward_share_of_bound"]
        assert row["memory_of"] == "train"
    assert len(cost.as_text().splitlines()) == 2 + len(methods) + 1


def test_the_dense_model_beside_itself_costs_the_same(module_of):
    cost = measure_pruning(module_of(), methods=parse_methods("none"), remove=(0.3, 0.5), frames=(2,), rounds=1)
    (row,) = cost.as_dict()["rows"]
    exact = ("flops_speedup", "train_flops_speedup", "peak_memory_ratio", "windows_kept")
    assert [row[key] for key in exact] == [1.0] * 4
    assert (row["remove"], row["bin_fill"], row["tokens"]) == (0.0, None, {})


def test_what_is_left_behind_a_cut_is_told(module_of):
    cost = measure_pruning(module_of(), methods=RANDOM, remove=(0.25, 0.5), frames=(2,), rounds=1)
    rows = cost.as_dict()["rows"]
    assert [row["windows"] for row in rows] == [6, 4]
    assert [row["tokens"] for row in rows] == [{"vit.block[0]": 54}, {"vit.block[0]": 36}]
    assert all(0 < row["bin_fill"] <= 1 for row in rows)
    assert rows[1]["flops_speedup"] > rows[0]["flops_speedup"] > 1


def test_long_clips_run_forward_only(module_of):
    cost = measure_pruning(module_of(), methods=RANDOM, frames=(2, 3), rounds=2, backward_frames=2)
    short, long = cost.as_dict()["rows"]
    assert short["train_speedup"] > 0
    assert long["train_speedup"] is long["train_flops_speedup"] is None
    assert (short["memory_of"], long["memory_of"]) == ("train", "forward")
    assert len(cost.rows[0].own.seconds["forward"]) == 2


def test_each_round_begins_with_another_side(module_of, monkeypatch):
    order = []

    def note(_module, _batch, cost, name):
        order.append((cost.method, cost.remove, name))
        cost.add(name, 1.0)

    monkeypatch.setattr(pruning, "_time", note)
    measure_pruning(module_of(), methods=RANDOM, remove=(0.25, 0.5), frames=(2,), rounds=3, backward_frames=0)
    rounds = [[remove for _, remove, _ in order[start : start + 3]] for start in (0, 3, 6)]
    assert rounds == [[0.0, 0.25, 0.5], [0.25, 0.5, 0.0], [0.5, 0.0, 0.25]]


def test_a_warm_up_is_not_counted(module_of):
    cost = measure_pruning(module_of(), methods=RANDOM, frames=(2,), rounds=1, backward_frames=0, warm_up=True)
    assert [len(taken) for taken in cost.rows[0].own.seconds.values()] == [1] * 4


def test_a_scorer_keeps_its_weights_from_turn_to_turn(module_of):
    module = module_of()
    arm = pruning.Arm.of(parse_methods("stts(block=0)")[0], 0.5)
    arm.enter(module)
    first = {name: value.clone() for name, value in module.model.pruners.state_dict().items()}
    assert first
    pruning.Arm.of(RANDOM[0], 0.5).enter(module)
    arm.enter(module)
    for name, value in module.model.pruners.state_dict().items():
        torch.testing.assert_close(value, first[name], rtol=0, atol=0)


def test_the_module_is_left_as_it_was(module_of):
    module = module_of()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    measure_pruning(module, methods=RANDOM, frames=(2,), rounds=1)
    assert not module.training
    assert len(module.model.pruners) == 0
    assert all(parameter.grad is None for parameter in module.parameters())
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"rounds": 0}, "0 rounds: nothing can be measured"),
        ({"frames": (0, 2)}, "0 frames: nothing can be measured"),
        ({"text_tokens": 1, "clips": 0}, "0 clips, 1 text_tokens: nothing can be measured"),
        ({"frames": ()}, r"frames are \[\]; give one or more"),
        ({"remove": (0.5, 0.5)}, r"remove are \[0.5, 0.5\]; give one or more that differ"),
        ({"methods": ()}, r"methods are \[\]"),
        ({"remove": (1.0,)}, r"remove must be in \[0, 1\), got 1.0"),
        ({"methods": parse_methods("random(site='vit.block[7]')")}, r"vit.block\[7\], which this trunk lacks"),
    ],
)
def test_what_cannot_be_measured_is_refused(module, arguments, text):
    with pytest.raises(ConfigError, match=text):
        measure_pruning(module, **{"methods": RANDOM, "frames": (2,), "rounds": 1} | arguments)


# -- trunks and clips -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("divisor", [1, 4])
def test_widths_are_divided_and_nothing_else(divisor):
    with torch.device("meta"):
        vision, language = trunks._molmo2_vision(divisor), trunks._molmo2_language(divisor)
    assert (vision.grid, vision.last_block() + 1, language.num_layers) == ((27, 27), 25, 36)
    assert vision.hidden_size * divisor == 1152
    assert language.hidden_size * divisor == 2560
    assert vision.vit.blocks[0].attn.head_dim == 72
    assert language.model.config.head_dim == 128
    assert vision.activation_checkpointing and language.activation_checkpointing


def test_a_pair_of_the_registry_is_built_and_measured():
    module = trunks.dense_module(vision="vit-tiny", language="qwen3-tiny", device="cpu", dtype="bfloat16")
    cost = measure_pruning(module, methods=parse_methods("random"), frames=(2,), rounds=1, backward_frames=0)
    told = cost.as_dict()
    assert (told["dtype"], told["device"], told["recomputes"]) == (
        "bfloat16",
        "cpu",
        {"vision": True, "language": True},
    )


def test_a_divisor_that_leaves_no_whole_heads_is_refused():
    with pytest.raises(ConfigError, match=r"width_divisor is 3; Molmo2-4B's heads divide by \(1, 2, 4, 8\)"):
        trunks.dense_module(width_divisor=3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="PyTorch sees no GPU here"):
        trunks.dense_module(device="cuda")


def test_a_clip_stands_still_moves_and_is_new():
    clip = trunks.moving_pictures(18, (56, 70), np.random.default_rng(0)).astype(int)
    step = np.abs(np.diff(clip, axis=0))
    within = [n for n in range(17) if n != 15]
    assert step[within, :, :35].max() <= 8  # noise of both frames
    assert np.median(step[15, :, :35]) > 8
    upper, lower = step[within, :28, 35:], step[within, 28:, 35:]
    assert (upper > 8).mean() > 0.8
    assert 0 < (lower > 8).mean() < 0.2


def test_text_has_the_asked_length(module):
    batch = trunks.clips_batch(module, frames=2, clips=2, text_tokens=30)
    assert batch.frames.num_clips == 2
    prompts = {turn.prompt[1] - turn.prompt[0] for turn in batch.turns}
    template = len(module.processor.tokenizer.prompt("red cube")) - 2
    assert prompts == {25 + template}
    assert [turn.answer[1] - turn.answer[0] for turn in batch.turns] == [6, 6]  # 5 and the end


# -- accuracies -------------------------------------------------------------------------------------------------------

POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12)


@given(POINTS)
def test_the_front_is_what_nothing_beats(points):
    def is_beaten(point):
        return any(x >= point[0] and y >= point[1] and (x, y) != point for x, y in points)

    front = pareto_front(points)
    assert sorted(front) == [place for place, point in enumerate(points) if not is_beaten(point)]
    along = [points[place] for place in front]
    assert along == sorted(along, key=lambda point: (point[0], -point[1]))


def test_accuracies_join_rows_by_method_and_share(tmp_path):
    path = tmp_path / "accuracies.json"
    rows = [
        {"method": "none", "accuracy": 0.7},
        {"method": "a", "remove": 0.5, "accuracy": 0.6},
        {"method": "b", "remove": 0.5, "accuracy": 0.5},
        {"method": "c", "remove": 0.5, "accuracy": 0.65},
    ]
    path.write_text(json.dumps({"rows": rows}))
    speeds = {"a": 2.0, "b": 1.5, "c": 0.9, "d": 3.0}
    measured = [
        {"method": name, "remove": 0.5, "frames": 2, "forward_speedup": speed, "flops_speedup": 2.0}
        | {"train_speedup": None, "train_flops_speedup": None}
        for name, speed in speeds.items()
    ]
    found = {row["method"]: row for row in with_accuracies(measured, read_accuracies(path))}
    assert [row["accuracy"] for row in found.values()] == [0.6, 0.5, 0.65, None]
    assert [name for name, row in found.items() if row["on_front"]] == ["a"]  # c is beaten by the dense model
    save_plot(measured, tmp_path / "new" / "plot.png", read_accuracies(path))
    assert (tmp_path / "new" / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("text", ["[]", "{", '{"rows": [{"method": "a", "accuracy": 1}]}', '{"rows": [1]}'])
def test_a_file_of_something_else_is_refused(tmp_path, text):
    path = tmp_path / "accuracies.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="accuracy: .*accuracies.json must be"):
        read_accuracies(path)
    with pytest.raises(ConfigError, match="accuracy: there is no file"):
        read_accuracies(tmp_path / "other.json")
