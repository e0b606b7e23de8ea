"""Reports: rates over scenes, what counts as passed, plain JSON."""

import json

import pytest

from zoo.envs.scenes.report import GATES, Finding, SceneReport, pass_rates


def finding(gate="lift", passed=True, name="mug") -> Finding:
    return Finding(gate=gate, object=name, passed=passed, measured=0.04, limit=0.05, unit="m", reason="moved")


def test_rates_are_over_all_that_was_looked_at():
    reports = [
        SceneReport(scene="a", findings=(finding(), finding(passed=False), finding("stability"))),
        SceneReport(scene="b", findings=(finding(),)),
    ]
    rates = pass_rates(reports)
    assert tuple(rates) == GATES
    assert (rates["lift"].checked, rates["lift"].passed) == (3, 2)
    assert rates["lift"].rate == pytest.approx(2 / 3)
    assert rates["articulation"].rate is None


def test_a_failure_or_a_warning_is_no_pass():
    assert SceneReport(scene="a", findings=(finding(),)).passed
    assert not SceneReport(scene="a", findings=(finding(passed=False),)).passed
    assert not SceneReport(scene="a", findings=(finding(),), warnings={"badqacc": 1}).passed


def test_json_has_every_fact_but_the_time():
    report = SceneReport(scene="a", findings=(finding(),), untested={"sofa": "60 kg"}, seconds={"lift": 1.0})
    content = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert content["findings"][0] == {
        "gate": "lift",
        "object": "mug",
        "passed": True,
        "measured": 0.04,
        "limit": 0.05,
        "unit": "m",
        "reason": "moved",
        "joint": None,
        "culprits": [],
    }
    assert content["untested"] == {"sofa": "60 kg"}
    assert "seconds" not in content
    assert content["pass_rates"]["lift"] == {"checked": 1, "passed": 1, "rate": 1.0}
    assert content["pass_rates"]["stability"]["rate"] is None
