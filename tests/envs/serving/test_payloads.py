import numpy as np
import pytest

from zoo.envs.serving import payloads
from zoo.errors import DataError

PICTURE = np.zeros((4, 6, 3), np.uint8)
STATE = np.arange(8, dtype=np.float32)


@pytest.mark.parametrize("to_payload", [payloads.to_frame, payloads.to_flat])
def test_observations_come_back(to_payload):
    sent = {"exo": PICTURE, "state": STATE, "tcp_pose": np.zeros((1, 7), np.float32)}
    got, instruction = payloads.from_payload(to_payload(sent, "pick it up"))
    assert instruction == "pick it up"
    assert set(got) == set(sent)
    for name, value in sent.items():
        np.testing.assert_array_equal(got[name], value)


def test_the_convention():
    payload = payloads.to_frame({"exo": PICTURE, "state": STATE}, "go")
    assert set(payload) == {"images", "task_description", "state"}
    assert payload["images"]["exo"] is PICTURE


def test_what_others_send():
    got, instruction = payloads.from_payload({"states": [1, 2.5], "step": 3, "prompt": "go", "note": "any"})
    assert instruction == "go"
    assert got["state"].dtype == np.float32
    np.testing.assert_array_equal(got["state"], [1, 2.5])
    assert got["step"] == 3
    assert "note" not in got


@pytest.mark.parametrize(
    ("payload", "match"),
    [
        ({"state": STATE, "states": STATE}, "has 'state' twice"),
        ({"exo": STATE, "images": {"exo": PICTURE}}, "has 'exo' twice"),
        ({"images": [PICTURE]}, "'images' of the observation is a list"),
        ({"state": None}, "'state' of the observation is a NoneType"),
        ({"state": {"arm": STATE}}, "'state' of the observation is a dict"),
        ({"state": [[1], [1, 2]]}, "'state' cannot be read as an array"),
    ],
)
def test_broken_observations(payload, match):
    with pytest.raises(DataError, match=match):
        payloads.from_payload(payload)


def test_actions():
    assert payloads.actions_of({"actions": STATE}).shape == (1, 8)
    assert payloads.actions_of({"actions": np.zeros((5, 8))}).dtype == np.float32
    assert payloads.actions_of({"actions": np.zeros((0, 8))}).shape == (0, 8)
    assert payloads.actions_of({"actions": [0.5, 1]}).tolist() == [[0.5, 1]]


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        ({"action": STATE}, "an answer has action, expected 'actions'"),
        ({}, "an answer has nothing"),
        ({"actions": np.zeros((1, 2, 3))}, r"shape \(1, 2, 3\)"),
        ({"actions": np.float32(1)}, r"shape \(\)"),
        ({"actions": "stop"}, "cannot be read as an array"),
        ({"actions": None}, r"shape \(\)|cannot be read"),
    ],
)
def test_broken_answers(answer, match):
    with pytest.raises(DataError, match=match):
        payloads.actions_of(answer)
