import threading
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from zoo.envs.serving import openpi
from zoo.envs.serving.droid import DroidPolicy, letterboxed
from zoo.errors import ConfigError

STATE = np.array([[0.1, -0.7, 0, -2.3, 0, 1.5, 0.2, 1.04]], np.float32)


@contextmanager
def served(actions, seen):
    """A server of openpi that always answers the same."""

    def handler(connection):
        with suppress(ConnectionClosed):
            connection.send(openpi.pack({}))
            for data in connection:
                seen.append(openpi.unpack(data))
                connection.send(openpi.pack({"actions": actions}))

    with serve(handler, "127.0.0.1", 0, compression=None, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


def observed(**changes):
    picture = np.full((1, 36, 64, 3), 200, np.uint8)
    return {"state": STATE, "exo_camera_1": picture, "wrist_camera": picture // 2} | changes


def test_the_words_of_droid():
    seen = []
    actions = np.arange(80, dtype=np.float64).reshape(10, 8) / 80  # a gripper closes above one half
    with served(actions, seen) as url:
        policy = DroidPolicy(url, timeout_s=30)
        policy.reset({0: {"instruction": "Pick it UP"}})
        chunk = policy.act(observed(), [0])
        policy._remote.close()
    (asked,) = seen
    assert set(asked) == {
        "observation/exterior_image_1_left",
        "observation/wrist_image_left",
        "observation/joint_position",
        "observation/gripper_position",
        "prompt",
    }
    assert asked["prompt"] == "pick it up"
    np.testing.assert_array_equal(asked["observation/joint_position"], STATE[0, :7])
    assert asked["observation/gripper_position"] == [1.0]
    assert asked["observation/wrist_image_left"].shape == (224, 224, 3)
    assert asked["observation/wrist_image_left"][112, 112].tolist() == [100] * 3
    assert chunk.shape == (1, 8, 8)
    np.testing.assert_allclose(chunk[0, :, :7], actions[:8, :7], atol=1e-6)
    assert chunk[0, :, 7].tolist() == [0] * 5 + [255] * 3  # 0.0875 ... 0.4875, 0.5875 ...


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"state": np.zeros((1, 9), np.float32)}, "the state has 9 numbers"),
        ({"actions": np.zeros((4, 7))}, "actions of 7 numbers"),
    ],
)
def test_another_robot(changes, match):
    actions = changes.pop("actions", np.zeros((4, 8)))
    with served(actions, []) as url:
        policy = DroidPolicy(url, timeout_s=30)
        policy.reset({0: {"instruction": "go"}})
        with pytest.raises(ConfigError, match=match):
            policy.act(observed(**changes), [0])
        policy._remote.close()


def test_a_camera_is_missing():
    policy = DroidPolicy("ws://127.0.0.1:1", wrist="hand")
    with pytest.raises(ConfigError, match="needs pictures of hand; .* --cameras exo_camera_1,hand"):
        policy.act(observed(), [0])


@given(st.integers(1, 300), st.integers(1, 300))
@example(1, 300)
def test_letterboxes(height, width):
    square = letterboxed(np.full((height, width, 3), 255, np.uint8), 224)
    rows, columns = (np.flatnonzero(square.any(axis=(2, axis))) for axis in (1, 0))
    assert max(len(rows), len(columns)) >= 223  # it fills one side, but for rounding
    assert len(rows) / len(columns) == pytest.approx(height / width, rel=2 / min(len(rows), len(columns)))
    for filled in (rows, columns):
        assert abs(filled[0] - (223 - filled[-1])) <= 1  # in the middle


@given(st.integers(8, 80), st.integers(8, 80))
def test_letterboxes_of_the_package_where_it_is_installed(height, width):
    theirs = pytest.importorskip("openpi_client.image_tools", reason="openpi-client 0.1.2 wants numpy below 2")
    picture = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    np.testing.assert_array_equal(letterboxed(picture), theirs.resize_with_pad(picture, 224, 224))
