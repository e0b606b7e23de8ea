import json

import pytest
import torch

from zoo.bench import policy
from zoo.bench.policy import ENCODERS, built_trunk, encoder_cost, measure_policy, random_steps
from zoo.bench.policy_cost import LIMIT, EncoderCost, PolicyCost, StepCost, TrunkCost
from zoo.errors import ConfigError, UnknownNameError

ON_CPU = {"device": "cpu", "rounds": 2}


def cost(*seconds):
    return StepCost(wall=list(seconds), cpu=[2 * taken for taken in seconds])


def trunk_cost(encoders, **cached):
    steps = {int(name[1:]): taken for name, taken in cached.items()}
    return TrunkCost(
        trunk="t", rows=3, pictures=6, encoders=encoders, cached=steps, recomputed={step: StepCost() for step in steps}
    )


def test_steps_are_timed_in_turns_and_recomputed_up_to_a_limit():
    measured = measure_policy(["spoc-tiny"], steps=(2, 5), rows=(1, 2), max_recomputed=5, **ON_CPU)
    rows = json.loads(json.dumps(measured.as_dict()))["rows"]
    assert [(row["rows"], row["step"]) for row in rows] == [(1, 2), (1, 5), (2, 2), (2, 5)]
    assert all(row["cached_ms"] > 0 for row in rows)
    assert [row["recomputed_ms"] is None for row in rows] == [False, False, False, True]  # 2 episodes of 5 steps: 10
    assert [row["ratio"] for row in rows if row["step"] == 2] == [1, 1]
    assert all(0 < row["vision_share"] < 1 for row in rows)
    for taken in measured.trunks:
        assert [len(one.wall) for one in taken.cached.values()] == [2, 2]
    assert [len(one.wall) for one in measured.trunks[0].recomputed.values()] == [1, 1]
    (encoders,) = measured.as_dict()["encoders"]
    assert (encoders["vision"], encoders["text"]) == ("vit-tiny", "siglip-text-tiny")


def test_a_timed_step_is_the_one_of_that_number():
    """The cache is made to hold what lies before, so that what is timed is attention to all of it."""
    trunk = built_trunk("ring-tiny").eval()
    like = next(trunk.parameters())
    one = random_steps(trunk.inputs, rows=2, time_ids=[0], like=like)
    cache = trunk.new_cache(num_slots=2, max_steps=7)
    policy._step(trunk, one, cache, 7)
    assert cache.lengths == [7, 7]
    assert cache.keys[:, :, :, 6].abs().amax(-1).min() > 0
    assert cache.keys[:, :, :, :6].abs().max() == 0


@pytest.mark.parametrize("name", ["spoc-tiny", "ring-tiny", "emb-siglip-gru-tiny"])
def test_every_tiny_trunk_reads_the_random_steps(name):
    trunk = built_trunk(name).eval()
    steps = random_steps(trunk.inputs, rows=2, time_ids=range(3), like=next(trunk.parameters()))
    assert trunk(steps).shape == (2, 3, trunk.hidden_size)
    assert steps.time_ids.tolist() == [[0, 1, 2]] * 2


def test_boxes_are_drawn_where_a_trunk_takes_them():
    from zoo.backbones.policy.spoc import spoc_tiny

    trunk = spoc_tiny(variant="double_det").eval()
    steps = random_steps(trunk.inputs, rows=1, time_ids=[0], like=next(trunk.parameters()))
    assert steps.boxes.shape == (1, 1, 2, 2, 5)
    assert trunk(steps).shape == (1, 1, trunk.hidden_size)


def test_ratios_are_of_the_quickest_turns_and_with_pictures():
    encoders = EncoderCost(vision="v", text="t", pictures=cost(0.004, 0.002), instruction=cost(0.005))
    measured = trunk_cost(encoders, s10=cost(0.005, 0.004), s1000=cost(0.005, 0.009))
    early, late = measured.as_rows()
    assert (early["ratio"], late["ratio"]) == (1, pytest.approx(1.25))
    assert late["ratio_cpu"] == pytest.approx((5 / 5 + 9 / 4) / 2)  # median of two
    assert late["vision_ms"] == pytest.approx(6.0)  # 6 pictures of 1 ms
    assert late["policy_ratio"] == pytest.approx(11 / 10)
    assert late["vision_share"] == pytest.approx(6 / 11)
    assert (early["holds"], late["holds"]) == (None, True)


@pytest.mark.parametrize(("late_s", "holds"), [(0.0043, True), (0.0045, False)])
def test_without_listed_encoders_the_limit_is_the_trunks(late_s, holds):
    measured = trunk_cost(None, s10=cost(0.004), s1000=cost(late_s))
    assert measured.holds is holds
    assert (measured.as_rows()[1]["policy_ratio"], measured.as_rows()[1]["vision_share"]) == (None, None)
    setting = {"device": "cpu", "dtype": "float32", "threads": 1, "rounds": 1}
    text = PolicyCost(trunks=(measured,), encoders=(), setting=setting).as_text()
    assert f"{'within' if holds else 'ABOVE'} {LIMIT}" in text


def test_the_limit_is_about_two_steps():
    assert trunk_cost(None, s10=cost(1.0), s100=cost(9.0)).holds is None
    assert trunk_cost(None, s5=cost(1.0), s10=cost(1.0), s1000=cost(9.0)).holds is None


def test_listed_encoders_have_the_channels_that_trunks_read():
    from zoo import registry

    for (patch_channels, text_channels), (vision, text) in ENCODERS.items():
        with torch.device("meta"):
            encoder = registry.build("vision_encoder", vision)
        assert encoder.hidden_size * len(encoder.feature_blocks) == patch_channels, vision
        with torch.device("meta"):
            assert registry.build("text_encoder", text).hidden_size == text_channels, text


def test_encoders_are_timed_on_the_pictures_of_two_cameras():
    timed = encoder_cost("vit-tiny", "siglip-text-tiny", rounds=3, device=torch.device("cpu"), dtype=torch.float32)
    assert (len(timed.pictures.wall), len(timed.instruction.wall)) == (3, 3)
    assert timed.picture_ms == pytest.approx(timed.pictures.ms / 2)


@pytest.mark.parametrize("wrong", [{"steps": ()}, {"steps": (0, 3)}, {"rows": (0,)}, {"rounds": 0}])
def test_numbers_out_of_range(wrong):
    with pytest.raises(ConfigError, match="expected one trunk or more, and 1 or more of each"):
        measure_policy(["spoc-tiny"], **{**ON_CPU, **wrong})


def test_a_trunk_whose_sizes_must_be_told():
    with pytest.raises(ConfigError, match="'spoc' must be told sizes; name one that has a size: .*ring-tiny"):
        built_trunk("spoc")


def test_unknown_trunks_are_told():
    with pytest.raises(UnknownNameError, match="ring-tiny"):
        measure_policy(["ring-tyni"], **ON_CPU)
