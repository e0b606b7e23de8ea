"""Numbers of a grasp library: sums by category, and what the table says."""

import json
from collections import Counter
from dataclasses import asdict

import grasp_assets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.envs.grasps.library import NO_CANDIDATE, GraspReport, GraspSettings
from zoo.envs.grasps.summary import as_table, summary

SETTINGS = GraspSettings(wanted=4)
LIBRARY = grasp_assets.Library(grasp_assets.box("a"), grasp_assets.box("b"), grasp_assets.Drawer())


def report(uid="a", joint=None, grasps=4, failures=None, **fields):
    return GraspReport(
        uid=uid, joint=joint, num_grasps=grasps, num_candidates=9, failures=failures or {}, seconds=1.5, **fields
    )


REPORTS = (
    report("a", failures={"lost while turned": 1, "not both fingers touch": 2}),
    report("b", grasps=0, failures={NO_CANDIDATE: 1}),
    report("drawer", "slide", grasps=3, failures={"lost while turned": 4}),
    report("drawer", "lid", grasps=0, error="it lacks the joint"),
)


def test_numbers_by_category_and_in_all():
    told = summary(REPORTS, LIBRARY.facts(), SETTINGS)
    assert told["categories"]["thing"] == {
        "assets": 2,
        "objects": 2,
        "parts": 0,
        "full": 1,
        "grasps": 4,
        "failures": {"not both fingers touch": 2, "lost while turned": 1},
        "no_place": 1,
        "errors": 0,
        "seconds": 3.0,
    }
    total = told["total"]
    assert (total["assets"], total["objects"], total["parts"], total["full"], total["errors"]) == (3, 2, 2, 1, 1)
    assert list(total["failures"].items()) == [("lost while turned", 5), ("not both fingers touch", 2)]
    assert told["settings"]["wanted"] == 4
    assert told["reports"][2] == asdict(REPORTS[2])
    assert json.loads(json.dumps(told)) == told


def test_table():
    lines = as_table(summary(REPORTS, LIBRARY.facts(), SETTINGS)).splitlines()
    assert [line.split() for line in lines[:4]] == [
        ["category", "assets", "objects", "parts", "with", "4", "grasps", "core", "s"],
        ["thing", "2", "2", "0", "1", "of", "2", "4", "3.0"],
        ["drawer", "1", "0", "2", "0", "of", "2", "3", "3.0"],
        ["all", "3", "2", "2", "1", "of", "4", "7", "6.0"],
    ]
    assert len({len(line) for line in lines[:4]}) == 1
    assert lines[4:] == [
        "of 14 candidates that were tried 7 hold",
        "       5 lost while turned",
        "       2 not both fingers touch",
        "objects and parts with no place for the hand: b",
        "not tried: drawer lid: it lacks the joint",
    ]


def test_nothing_to_complain_of():
    assert as_table(summary(REPORTS[:0], LIBRARY.facts(), SETTINGS)).endswith("of 0 candidates that were tried 0 hold")


@given(st.lists(st.builds(report, st.sampled_from(["a", "b"]), grasps=st.integers(0, 4)), max_size=6))
def test_categories_add_up(reports):
    told = summary(reports, LIBRARY.facts(), SETTINGS)
    sums = Counter()
    for numbers in told["categories"].values():
        sums.update({key: numbers[key] for key in ("objects", "parts", "full", "grasps", "seconds")})
    assert {key: told["total"][key] for key in sums} == pytest.approx(dict(sums))
    assert len(told["reports"]) == len(reports)
