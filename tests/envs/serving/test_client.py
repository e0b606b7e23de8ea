"""The client against servers that hang, die, say nonsense or complain, over a real socket."""

import socket
import threading
import time
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from told_policy import Told
from websockets.exceptions import ConnectionClosed
from websockets.server import ServerProtocol
from websockets.sync.server import serve

from zoo.envs.serving import frames, openpi
from zoo.envs.serving.client import GREETING_S, RemoteError, RemotePolicy
from zoo.envs.serving.frames import Message, MessageType
from zoo.envs.serving.server import PolicyServer
from zoo.errors import ConfigError

STATE = np.array([[1, 2, 3]], np.float32)
TASK = {"instruction": "pick it up", "tags": ["a"], "nested": {"not": "sent"}}
PATIENCE_S = 30.0
"""Enough for everything that does come, on a machine that has other things to do."""
ACTIONS = openpi.pack({"actions": STATE})


@contextmanager
def served(handler):
    """The address of a server that treats each connection by a function."""

    def quietly(connection):
        with suppress(ConnectionClosed):  # the client has left, as it may
            handler(connection)

    with serve(quietly, "127.0.0.1", 0, compression=None, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


def asked(url, answer_s=PATIENCE_S, **more):
    """What the client makes of a server."""
    client = RemotePolicy(url, **{"timeout_s": PATIENCE_S, "retries": 0} | more)
    try:
        client.reset({0: TASK})
        client.timeout_s = answer_s
        return client.act({"state": STATE}, [0])
    finally:
        client.close()


def simple(answer):
    """A server of the simple form that greets, and answers every observation alike."""

    def handler(connection):
        connection.send(openpi.pack({"policy": "x"}))
        for _ in connection:
            answer(connection)

    return handler


def framed(answer, seen=None):
    """A server of frames, as vla-eval's: silent until hello; an observation is answered by a function of its number."""

    def handler(connection):
        for data in connection:
            message = frames.unpack(data)
            if seen is not None:
                seen.append(message)
            if message.type is MessageType.HELLO:
                connection.send(frames.pack(Message(MessageType.HELLO, {"protocol_version": 1}, message.seq)))
            elif message.type is MessageType.OBSERVATION:
                answer(connection, message.seq)

    return handler


def say(connection, kind, payload, seq):
    connection.send(frames.pack(Message(kind, payload, seq)))


def act(connection, seq):
    say(connection, MessageType.ACTION, {"actions": STATE[0]}, seq)


def test_a_server_of_the_simple_form():
    with served(simple(lambda connection: connection.send(ACTIONS))) as url:
        np.testing.assert_array_equal(asked(url), STATE[None])


def test_a_server_of_frames():
    seen = []
    with served(framed(act, seen)) as url:
        client = RemotePolicy(url, timeout_s=PATIENCE_S)
        client.reset({0: TASK})
        picture = np.random.default_rng(0).integers(0, 256, (1, 4, 6, 3), dtype=np.uint8)
        np.testing.assert_array_equal(client.act({"state": STATE, "exo": picture}, [0]), STATE[None])
        began = time.monotonic()
        client.reset({1: TASK})
        assert time.monotonic() - began < GREETING_S  # that it does not greet is known by now
        client.close()
    kinds = [message.type.value for message in seen]
    assert kinds == ["hello", "episode_start", "observation", "hello", "episode_start"]
    assert seen[1].payload == {"task": {"instruction": "pick it up", "tags": ["a"]}}
    assert seen[2].payload["task_description"] == "pick it up"
    np.testing.assert_array_equal(seen[2].payload["images"]["exo"], picture[0])
    assert [message.seq for message in seen[:3]] == [1, 2, 3]


def test_answers_of_other_lengths():
    lengths = iter([1, 3])

    def answer(connection, seq):
        say(connection, MessageType.ACTION, {"actions": np.zeros((next(lengths), 3), np.float32)}, seq)

    with served(framed(answer)) as url:
        client = RemotePolicy(url, form="frames", timeout_s=PATIENCE_S)
        client.reset({0: TASK, 1: TASK})
        chunks = client.act({"state": np.repeat(STATE, 2, axis=0)}, [0, 1])
        assert sorted(chunk.shape for chunk in chunks) == [(1, 3), (3, 3)]
        client.close()


def test_late_and_foreign_frames_are_passed_over():
    def answer(connection, seq):
        say(connection, MessageType.ERROR, {"error": "of the episode before"}, 1)
        say(connection, MessageType.ACTION, {"actions": STATE[0] + 1}, seq - 1)
        say(connection, MessageType.HELLO, {}, seq)
        act(connection, seq)

    with served(framed(answer)) as url:
        np.testing.assert_array_equal(asked(url, form="frames"), STATE[None])


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (lambda connection: connection.send("out of memory\n"), "reports: out of memory$"),
        (lambda connection: connection.send(b"\xc1"), "cannot be read: 1 bytes are no msgpack"),
        (lambda connection: connection.send(openpi.pack({"action": 1})), "cannot be read: an answer has action"),
        (lambda connection: connection.send(openpi.pack({"actions": STATE[None, None]})), r"shape \(1, 1, 1, 3\)"),
        (lambda connection: connection.close(), "broke off"),
        (lambda connection: connection.socket.shutdown(socket.SHUT_RDWR), "broke off"),
        (lambda connection: None, "did not answer within 1 s"),
    ],
)
def test_servers_of_the_simple_form_that_fail(answer, match):
    with served(simple(answer)) as url, pytest.raises(RemoteError, match=match):
        asked(url, form="simple", answer_s=1.0 if "within 1 s" in match else PATIENCE_S)


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (lambda c, seq: say(c, MessageType.ERROR, {"error": "observation_failed: bad"}, seq), "reports: observation_f"),
        (lambda c, seq: say(c, MessageType.ERROR, {"error": "episode_start_failed"}, seq - 1), "episode_start_failed"),
        (lambda c, seq: say(c, MessageType.ERROR, {"reason": "?"}, 0), "reports: {'reason'"),
        (lambda c, seq: say(c, MessageType.ACTION, {}, seq), "cannot be read: an answer has nothing"),
        (lambda c, seq: c.send(b"\x01"), "cannot be read: a frame holds 1"),
        (lambda c, seq: act(c, seq + 5), "did not answer within 1 s"),
    ],
)
def test_servers_of_frames_that_fail(answer, match):
    with served(framed(answer)) as url, pytest.raises(RemoteError, match=match):
        asked(url, form="frames", answer_s=1.0 if "within 1 s" in match else PATIENCE_S)


@pytest.mark.parametrize(
    ("greet", "match"),
    [
        (lambda connection: connection.send("welcome"), "a message is text"),
        (lambda connection: connection.send(b"\xc1"), "no msgpack message"),
        (lambda connection: connection.close(), "does not greet as policy servers do"),
        (lambda connection: connection.recv() and act(connection, 1), "answers hello with action"),
    ],
)
def test_servers_that_do_not_greet(greet, match):
    with served(greet) as url, pytest.raises(RemoteError, match=match):
        asked(url)


@pytest.mark.parametrize("form", ["auto", "frames", "simple"])
def test_a_server_that_says_nothing_at_all(form):
    silent = served(lambda connection: connection.recv() and connection.recv())
    with silent as url, pytest.raises(RemoteError, match="does not greet as policy servers do: timed out"):
        asked(url, form=form, timeout_s=3.0)


def test_a_server_that_reads_nothing():
    """A picture larger than the buffers of the network: sending it would wait for ever."""

    def freeze(listening, frozen):
        connection, _ = listening.accept()
        protocol = ServerProtocol()
        protocol.receive_data(connection.recv(1 << 16))
        protocol.send_response(protocol.accept(protocol.events_received()[0]))
        protocol.send_binary(openpi.pack({"policy": "x"}))
        connection.sendall(b"".join(protocol.data_to_send()))
        frozen.wait(30)
        connection.close()

    frozen = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=freeze, args=(listening, frozen))
        thread.start()
        client = RemotePolicy(f"ws://127.0.0.1:{listening.getsockname()[1]}", timeout_s=2, retries=0)
        client.reset({0: TASK})
        began = time.monotonic()
        with pytest.raises(RemoteError, match="broke off"):
            client.act({"state": STATE, "exo": np.zeros((1, 2400, 2400, 3), np.uint8)}, [0])
        assert time.monotonic() - began < 25  # and not the 30 s after which the server breaks off
        frozen.set()
        thread.join()
        client.close()


def test_nobody_there(caplog):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(
        RemoteError, match=rf"no policy server answers at ws://127.0.0.1:{port} after 3 attempts .*zoo s"
    ):
        asked(f"ws://127.0.0.1:{port}", retries=2, backoff_s=0.01)
    assert caplog.text.count("next attempt") == 2


def test_no_websocket_there():
    def talk(listening):
        connection, _ = listening.accept()
        connection.recv(1 << 16)
        connection.sendall(b"SSH-2.0-OpenSSH\r\n")
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=talk, args=(listening,))
        thread.start()
        with pytest.raises(RemoteError, match="after 1 attempts"):
            asked(f"ws://127.0.0.1:{listening.getsockname()[1]}")
        thread.join()


def test_a_server_that_comes_late():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    servers = []

    def start():
        time.sleep(0.3)
        servers.append(PolicyServer(Told(), name="told", port=port).__enter__())

    thread = threading.Thread(target=start)
    thread.start()
    assert asked(f"ws://127.0.0.1:{port}", retries=6, backoff_s=0.1).shape == (1, 1, 3)
    thread.join()
    servers[0].__exit__(None, None, None)


def test_a_fault_of_one_slot_leaves_the_others():
    def fail_second(call):
        if call == 2:
            raise ValueError("spoilt")

    policy = Told(before=fail_second)
    with PolicyServer(policy, name="told", port=0, max_batch_size=1) as server:
        client = RemotePolicy(server.address, form="simple", timeout_s=PATIENCE_S)
        client.reset({0: TASK, 1: TASK})
        both = {"state": np.concatenate([STATE, 2 * STATE])}
        with pytest.raises(RemoteError, match="spoilt"):
            client.act(both, [0, 1])
        np.testing.assert_array_equal(client.act(both, [0, 1])[:, 0], both["state"])  # no answer is out of its turn
        client.close()


def test_a_lost_connection_is_opened_by_the_next_episode():
    calls = []

    def answer(connection):
        calls.append(1)
        if len(calls) == 1:
            connection.close()
        else:
            connection.send(ACTIONS)

    with served(simple(answer)) as url:
        client = RemotePolicy(url, timeout_s=PATIENCE_S)
        client.reset({0: TASK})
        with pytest.raises(RemoteError, match="broke off"):
            client.act({"state": STATE}, [0])
        with pytest.raises(RemoteError, match="slot 0 has no connection to .*; the next episode opens one"):
            client.act({"state": STATE}, [0])
        client.reset({0: TASK})
        assert client.act({"state": STATE}, [0]).shape == (1, 1, 3)
        client.close()


def test_a_server_that_was_restarted_between_episodes():
    policy = Told()
    with PolicyServer(policy, name="told", port=0) as server:
        client = RemotePolicy(server.address, timeout_s=PATIENCE_S)
        client.reset({0: TASK})
        client.act({"state": STATE}, [0])
        port = server.port
    with PolicyServer(policy, name="told", port=port):
        client.reset({0: TASK})
        assert client.act({"state": STATE}, [0]).shape == (1, 1, 3)
        client.close()
    assert policy.begun == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"url": "http://127.0.0.1:8000"}, "no address of a policy server"),
        ({"url": "ws://127.0.0.1:8000", "timeout_s": 0}, "timeout_s is 0"),
        ({"url": "ws://127.0.0.1:8000", "retries": -1}, "retries -1"),
        ({"url": "ws://127.0.0.1:8000", "backoff_s": 0}, "backoff_s 0"),
    ],
)
def test_mistakes(arguments, match):
    with pytest.raises(ConfigError, match=match):
        RemotePolicy(**arguments)


def test_an_address_that_is_none():
    with pytest.raises(ConfigError, match="is no address"):
        asked("ws://")
