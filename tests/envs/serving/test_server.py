"""The server over a real socket: both forms, many clients, and whatever clients and policies do wrong."""

import json
import threading
import time
from contextlib import ExitStack
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest
from told_policy import Told
from websockets.sync.client import connect as websocket

from zoo.envs.serving import frames, openpi
from zoo.envs.serving.client import RemoteError, RemotePolicy
from zoo.envs.serving.frames import Message, MessageType
from zoo.envs.serving.server import PolicyServer
from zoo.errors import ConfigError

STATE = np.array([1, 2, 3], np.float32)
TASK = {"instruction": "pick it up", "task": "pick", "key": "0f"}


def serving(policy, **more):
    return PolicyServer(policy, name="told", port=0, **more)


def fail_first(call):
    if call == 1:
        raise ValueError("no such camera")


def speak(connection, kind, payload, seq):
    connection.send(frames.pack(Message(kind, payload, seq)))


def connect(server):
    return ExitStack().enter_context(websocket(server.address, compression=None, max_size=None))


class SimpleClient:
    """As openpi-client does: what the server says first, then a question and its answer."""

    def __init__(self, server):
        self.connection = connect(server)
        self.metadata = openpi.unpack(self.connection.recv(timeout=30))

    def infer(self, observation):
        self.connection.send(openpi.pack(observation))
        return self.connection.recv(timeout=30)


@pytest.fixture
def frame_client():
    """As vla-eval does: hello, and a hello back."""
    opened = []

    def make(server):
        connection = connect(server)
        opened.append(connection)
        speak(connection, MessageType.HELLO, {"protocol_version": 1}, 1)
        hello = frames.unpack(connection.recv(timeout=30))
        assert hello.type is MessageType.HELLO
        assert hello.payload["protocol_version"] == 1
        assert hello.payload["model_server"] == "told"
        return connection

    yield make
    for connection in opened:
        connection.close()


@pytest.mark.parametrize("form", ["auto", "frames", "simple"])
def test_both_forms(form):
    policy = Told(chunk=3)
    with serving(policy) as server:
        client = RemotePolicy(server.address, form=form)
        client.reset({7: TASK})
        for step in range(2):
            actions = client.act({"state": STATE[None] + step}, [7])
            assert actions.dtype == np.float32
            np.testing.assert_array_equal(actions, (STATE + step + np.arange(3)[:, None])[None])
        client.reset({7: TASK | {"instruction": "put it down"}})
        client.act({"state": STATE[None]}, [7])
        client.close()
    assert policy.begun in ([0, 0], [0, 1])  # in the simple form a new connection, which may come before the old ends
    assert policy.tasks[policy.begun[-1]]["instruction"] == "put it down"
    if form != "simple":
        assert policy.tasks[0]["key"] == "0f"


def test_clients_share_a_call():
    policy = Told()
    with serving(policy, max_wait_s=20.0) as server:
        client = RemotePolicy(server.address)
        client.reset({0: TASK, 1: TASK, 5: TASK})
        began = time.monotonic()
        states = np.stack([STATE, 10 * STATE, 100 * STATE])
        np.testing.assert_array_equal(client.act({"state": states}, [0, 1, 5])[:, 0], states)
        assert time.monotonic() - began < 19  # nobody waits for more clients than there are
        assert [len(batch) for batch in policy.batches] == [3]
        client.close()


def test_a_batch_is_no_larger_than_told():
    policy = Told()
    with serving(policy, max_batch_size=2, max_wait_s=1.0) as server:
        client = RemotePolicy(server.address)
        client.reset(dict.fromkeys(range(3), TASK))
        client.act({"state": np.stack([STATE] * 3)}, [0, 1, 2])
        client.close()
    assert sorted(len(batch) for batch in policy.batches) == [1, 2]


def test_observations_of_other_shapes_are_no_batch():
    policy = Told()
    with serving(policy, max_wait_s=0.3) as server:
        clients = [RemotePolicy(server.address) for _ in range(2)]
        for client in clients:
            client.reset({0: TASK})
        asked = [
            threading.Thread(target=client.act, args=({"state": np.zeros((1, size), np.float32)}, [0]))
            for client, size in zip(clients, (2, 3), strict=True)
        ]
        for thread in asked:
            thread.start()
        for thread in asked:
            thread.join()
        for client in clients:
            client.close()
    assert [len(batch) for batch in policy.batches] == [1, 1]


def test_a_slot_is_used_again():
    policy = Told()
    with serving(policy) as server:
        for _ in range(3):
            client = RemotePolicy(server.address)
            client.reset({0: TASK})
            client.act({"state": STATE[None]}, [0])
            client.close()
            while server._batcher._slots:  # the server notices a moment later
                time.sleep(0.01)
    assert policy.begun == [0, 0, 0]


def test_other_peoples_frames_get_one_action_each(frame_client):
    policy = Told(chunk=3)
    with serving(policy, execute_steps=2) as server:
        connection = frame_client(server)
        speak(connection, MessageType.EPISODE_START, {"task": {"name": "stack", "episode_idx": 0}}, 2)
        got = []
        for step in range(4):
            observation = {"images": {}, "task_description": f"stack them, step {step}", "states": STATE + 10 * step}
            speak(connection, MessageType.OBSERVATION, observation, 3 + step)
            answer = frames.unpack(connection.recv(timeout=30))
            assert (answer.type, answer.seq) == (MessageType.ACTION, 3 + step)
            got.append(answer.payload["actions"])
        speak(connection, MessageType.EPISODE_END, {"metrics": {}, "steps": 4}, 9)
        speak(connection, MessageType.EPISODE_START, {"task": {}}, 10)
        speak(connection, MessageType.OBSERVATION, {"state": STATE}, 11)
        np.testing.assert_array_equal(frames.unpack(connection.recv(timeout=30)).payload["actions"], STATE)
    np.testing.assert_array_equal(got, [STATE, STATE + 1, STATE + 20, STATE + 21])
    assert policy.begun == [0, 0]
    assert policy.tasks == {0: {"instruction": ""}}  # the second episode states nothing


def test_a_policy_that_is_done(frame_client):
    with serving(Told(chunk=0)) as server:
        connection = frame_client(server)
        speak(connection, MessageType.OBSERVATION, {"state": STATE}, 2)
        assert frames.unpack(connection.recv(timeout=30)).payload["actions"].shape == (0, 3)
        client = RemotePolicy(server.address)
        client.reset({0: TASK})
        assert client.act({"state": STATE[None]}, [0]).shape == (1, 0, 3)
        client.close()


def test_the_simple_form():
    policy = Told(chunk=2)
    with serving(policy) as server:
        client = SimpleClient(server)
        assert client.metadata["policy"] == "told"
        first = openpi.unpack(client.infer({"prompt": "go", "state": STATE}))
        second = openpi.unpack(client.infer({"prompt": "go", "state": STATE}))
        openpi.unpack(client.infer({"prompt": "stop", "state": STATE}))
        client.connection.close()
    assert first["actions"].shape == (2, 3)
    wanted = {"infer_ms", "preprocess_ms", "postprocess_ms", "total_ms", "policy_acquire_ms"}
    assert set(first["server_timing"]) == wanted
    assert set(second["server_timing"]) == wanted | {"prev_total_ms"}
    parts = second["server_timing"]
    assert parts["total_ms"] == pytest.approx(
        parts["preprocess_ms"] + parts["policy_acquire_ms"] + parts["infer_ms"] + parts["postprocess_ms"], abs=1e-6
    )
    assert policy.begun == [0, 0]  # with the connection, and with another instruction
    assert policy.tasks[0] == {"instruction": "stop"}


def test_errors_are_told_and_not_fatal(frame_client, caplog):
    with serving(Told(before=fail_first)) as server:
        client = RemotePolicy(server.address)
        client.reset({0: TASK})
        with pytest.raises(RemoteError, match="reports: observation_failed: ValueError: no such camera"):
            client.act({"state": STATE[None]}, [0])
        assert client.act({"state": STATE[None]}, [0]).shape == (1, 1, 3)  # the same connection
        client.close()
        simple = SimpleClient(server)
        assert simple.infer({"state": STATE, "states": STATE}) == "the observation has 'state' twice"
        assert isinstance(simple.infer({"prompt": "go", "state": STATE}), bytes)
        simple.connection.close()
    assert "the policy failed" in caplog.text


def test_an_episode_that_failed_to_begin_begins_with_the_next_observation():
    policy = Told(before=fail_first)
    with serving(policy) as server:
        client = RemotePolicy(server.address)
        client.reset({0: TASK})
        with pytest.raises(RemoteError):
            client.act({"state": STATE[None]}, [0])
        client.act({"state": STATE[None]}, [0])
        client.close()
    assert policy.begun == [0, 0]


def test_a_policy_with_answers_of_no_shape():
    class Flat(Told):
        def act(self, observation, slots):
            return observation["state"]

    with serving(Flat()) as server:
        client = RemotePolicy(server.address)
        client.reset({0: TASK})
        with pytest.raises(RemoteError, match=r"answered 1 requests with \(3,\), expected chunks"):
            client.act({"state": STATE[None]}, [0])
        client.close()


def test_garbage_from_clients(frame_client):
    with serving(Told()) as server:
        connection = connect(server)
        connection.recv(timeout=30)
        connection.send("hello")
        assert "text" in connection.recv(timeout=30)
        connection.send(b"\xc1\xc1")
        assert "no msgpack" in connection.recv(timeout=30)
        connection.send(openpi.pack({"state": STATE}))
        assert openpi.unpack(connection.recv(timeout=30))["actions"].shape == (1, 3)
        connection.close()
        connection = frame_client(server)
        for broken in (b"\xc1\xc1", frames.pack(Message(MessageType.HELLO, {}))[:-2], "text"):
            connection.send(broken)
            answer = frames.unpack(connection.recv(timeout=30))
            assert (answer.type, answer.seq) == (MessageType.ERROR, 0)
        speak(connection, MessageType.OBSERVATION, {"state": "no array"}, 8)
        answer = frames.unpack(connection.recv(timeout=30))
        assert (answer.type, answer.seq) == (MessageType.ERROR, 8)  # the policy misses its state
        speak(connection, MessageType.OBSERVATION, {"state": STATE}, 9)
        assert frames.unpack(connection.recv(timeout=30)).type is MessageType.ACTION


def get(server, path):
    with urlopen(server.address.replace("ws", "http", 1) + path, timeout=10) as answer:
        return answer.read().decode()


def test_plain_http():
    with serving(Told(), max_batch_size=4, max_wait_s=0.02) as server:
        assert get(server, "/healthz") == "OK\n"
        assert json.loads(get(server, "/health")) == {"status": "ok"}
        now = {"max_batch_size": 4, "max_wait_time": 0.02}
        assert json.loads(get(server, "/config")) == {"applied": {}, "config": now}
        told = json.loads(get(server, "/config?max_batch_size=2"))
        assert told == {"applied": {"max_batch_size": 2}, "config": now | {"max_batch_size": 2}}
        for path in ("?max_batch_size=0", "?max_batch_size=two", "?max_wait_time=nan", "?colour=red"):
            with pytest.raises(HTTPError) as caught:
                get(server, f"/config{path}")
            assert caught.value.code == 422
            assert json.loads(caught.value.read())["errors"]
        assert json.loads(get(server, "/config"))["config"]["max_batch_size"] == 2


def test_it_stops_while_its_policy_hangs():
    released = threading.Event()
    with serving(Told(before=lambda call: released.wait(60))) as server:
        client = RemotePolicy(server.address)
        client.reset({0: TASK})
        failed = []

        def ask():
            try:
                client.act({"state": STATE[None]}, [0])
            except RemoteError as error:
                failed.append(str(error))

        thread = threading.Thread(target=ask)
        thread.start()
        while not server._batcher._open:
            time.sleep(0.01)
        began = time.monotonic()
    assert time.monotonic() - began < 50  # and not the 60 s after which the policy answers
    released.set()
    thread.join(10)
    assert len(failed) == 1
    assert "being stopped" in failed[0] or "broke off" in failed[0]


def test_mistakes():
    with serving(Told()) as server, pytest.raises(ConfigError, match=f"port {server.port}: .*choose another --port"):
        PolicyServer(Told(), name="told", port=server.port).run()
    for wrong, match in (
        ({"port": 70000}, "port is 70000"),
        ({"max_batch_size": 0}, "max_batch_size is 0"),
        ({"max_wait_s": -1}, "max_wait_s -1"),
        ({"execute_steps": 0}, "execute_steps is 0"),
    ):
        with pytest.raises(ConfigError, match=match):
            PolicyServer(Told(), name="told", **wrong)
