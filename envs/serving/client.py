"""A policy at the other end of a socket, in frames of vla-eval or in the simple form of openpi.

Source: sheet molmospaces sections 5 and 23. A server of the simple form speaks first; one of frames waits for a hello;
ours does both, and is spoken to in frames.

Every slot has a connection of its own: servers keep what they remember of an episode by connection. Whatever goes wrong
with a connection ends it, since a late answer would be taken for the next; the slot's next episode opens another.
"""

from __future__ import annotations

import itertools
import logging
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.sync.client import ClientConnection, connect

from zoo.envs.serving import frames, openpi
from zoo.envs.serving.frames import ImageFormat, Message, MessageType
from zoo.envs.serving.payloads import ACCEPTS_CHUNKS, INSTRUCTIONS, actions_of, to_flat, to_frame
from zoo.errors import ConfigError, DataError, ZooError
from zoo.policy import Observation, Policy

logger = logging.getLogger(__name__)

GREETING_S = 2.0
"""How long a server may take to speak first; one that stays silent is taken for one of frames."""
CLOSE_S = 1.0
"""How long the other side may take to say goodbye."""

Form = Literal["auto", "frames", "simple"]


class RemoteError(ZooError):
    """A policy server that is not there, breaks off, stays silent, complains, or says what nobody understands."""


@dataclass(slots=True)
class _Session:
    """A connection, and the episode on it."""

    connection: ClientConnection
    is_frames: bool
    instruction: str = ""
    seq: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    first_seq: int = 0
    """Of the running episode; what carries a lower one belongs to the one before. 0 is what could not be read."""


class RemotePolicy(Policy):
    """Asks a policy server for actions.

    Args:
        url: As ws://127.0.0.1:8000, or wss:// behind a proxy.
        form: How the server speaks; auto listens whether it speaks first.
        timeout_s: For one answer.
        retries: Further attempts to connect, with twice the pause each time.
        backoff_s: The first pause.
        image_format: How pictures travel in frames; two of 224 pixels cost both sides 1 ms together as raw, 4 ms as
            jpeg, which loses a little, and 13 ms as png.

    Raises:
        ConfigError: no address of a WebSocket, or a number out of its range.
    """

    example_args: ClassVar[dict[str, Any]] = {"url": "ws://127.0.0.1:8000"}

    def __init__(
        self,
        url: str,
        *,
        form: Form = "auto",
        timeout_s: float = 30.0,
        retries: int = 5,
        backoff_s: float = 0.5,
        image_format: ImageFormat = "raw",
    ) -> None:
        if not url.startswith(("ws://", "wss://")):
            raise ConfigError(f"{url!r} is no address of a policy server, expected such as ws://127.0.0.1:8000")
        if timeout_s <= 0 or retries < 0 or backoff_s <= 0:
            raise ConfigError(
                f"timeout_s is {timeout_s:g}, retries {retries} and backoff_s {backoff_s:g}; expected seconds above 0 "
                "and no negative number of retries"
            )
        self.url, self.timeout_s, self.image_format, self._form = url, timeout_s, image_format, form
        self.retries, self.backoff_s = retries, backoff_s
        self._sessions: dict[int, _Session] = {}

    def greet(self) -> None:
        """See whether the server is there, before anything depends on it.

        Raises:
            RemoteError: it is not, or does not speak as expected.
        """
        self._connected().connection.close()

    def reset(self, tasks: Mapping[int, Mapping[str, Any]]) -> None:
        """Begin episodes in these slots.

        Raises:
            RemoteError: the server is not there, or does not speak as expected.
        """
        for slot, task in tasks.items():
            if slot in self._sessions and not self._sessions[slot].is_frames:
                self._end(slot)  # in the simple form a connection is an episode
            try:
                self._begin(slot, task)
            except ConnectionClosed:  # it went away between two episodes, as a restarted server does
                self._end(slot)
                self._begin(slot, task)

    def act(self, observation: Observation, slots: Sequence[int]) -> np.ndarray | list[np.ndarray]:
        """Ask for all slots at once, so that the server can answer them by one call.

        Returns:
            (batch, chunk, action_dim) float32; a list of (chunk, action_dim) where answers differ in their length.
        Raises:
            RemoteError: the server breaks off, stays silent, complains, or answers nonsense.
        """
        faults: dict[int, RemoteError] = {}
        asked: dict[int, int] = {}
        for row, slot in enumerate(slots):
            try:
                asked[slot] = self._ask(slot, {name: value[row] for name, value in observation.items()})
            except ConnectionClosed as error:
                faults[slot] = self._broken_off(slot, error)
        deadline = time.monotonic() + self.timeout_s
        chunks: list[np.ndarray] = []
        for slot, seq in asked.items():  # all answers are read before any fault is told: the others stay usable
            try:
                chunks.append(self._answer(self._sessions[slot], seq, deadline))
            except TimeoutError:
                self._end(slot)
                faults[slot] = RemoteError(f"{self.url} did not answer within {self.timeout_s:g} s")
            except ConnectionClosed as error:
                faults[slot] = self._broken_off(slot, error)
            except DataError as error:
                self._end(slot)
                faults[slot] = RemoteError(f"{self.url} answered what cannot be read: {error}")
            except RemoteError as error:
                faults[slot] = error
        if faults:
            raise next(iter(faults.values()))
        return np.stack(chunks) if len({chunk.shape for chunk in chunks}) == 1 else chunks

    def close(self) -> None:
        """End all connections."""
        for slot in tuple(self._sessions):
            self._end(slot)

    def _begin(self, slot: int, task: Mapping[str, Any]) -> None:
        """An episode on the slot's connection, which is opened where there is none."""
        if slot not in self._sessions:
            self._sessions[slot] = self._connected()
        session = self._sessions[slot]
        session.instruction = str(task.get(INSTRUCTIONS[2], ""))
        if session.is_frames:
            told = {name: value for name, value in task.items() if isinstance(value, str | int | float | bool | list)}
            session.first_seq = self._send(session, MessageType.EPISODE_START, {"task": told})

    def _ask(self, slot: int, observation: Observation) -> int:
        """Send an observation; its number."""
        session = self._sessions.get(slot)
        if session is None:
            raise RemoteError(f"slot {slot} has no connection to {self.url}; the next episode opens one")
        if session.is_frames:
            return self._send(session, MessageType.OBSERVATION, to_frame(observation, session.instruction))
        session.connection.send(openpi.pack(to_flat(observation, session.instruction)))
        return 0

    def _answer(self, session: _Session, seq: int, deadline: float) -> np.ndarray:
        """Actions that answer an observation."""
        while True:
            data = session.connection.recv(timeout=max(deadline - time.monotonic(), 0))
            if not session.is_frames:
                if isinstance(data, str):
                    raise RemoteError(f"{self.url} reports: {data.strip()}")
                return actions_of(openpi.unpack(data))
            message = frames.unpack(data)
            if message.type is MessageType.ERROR and (message.seq == 0 or message.seq >= session.first_seq):
                raise RemoteError(f"{self.url} reports: {message.payload.get('error', message.payload)}")
            if message.type is MessageType.ACTION and message.seq == seq:
                return actions_of(message.payload)

    def _send(self, session: _Session, kind: MessageType, payload: Mapping[str, Any]) -> int:
        seq = next(session.seq)
        session.connection.send(frames.pack(Message(kind, payload, seq), image_format=self.image_format))
        return seq

    def _connected(self) -> _Session:
        """A new connection, past its greetings."""
        connection = self._opened()
        try:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(self.timeout_s))
            return self._greeted(connection)
        except (OSError, ConnectionClosed, DataError) as error:  # a timeout, or a socket that is closed already
            connection.close()
            raise RemoteError(f"{self.url} does not greet as policy servers do: {error}") from error

    def _opened(self) -> ClientConnection:
        """A connection, after as many attempts as were told."""
        attempt = 0
        while True:
            try:
                # Pings are off because a policy may hold the interpreter for many seconds at its first call. Outside
                # of a context websockets no longer lets connections be opened; `close` ends this one.
                opening = connect(
                    self.url,
                    compression=None,
                    max_size=None,
                    ping_interval=None,
                    open_timeout=self.timeout_s,
                    close_timeout=CLOSE_S,
                )
                return ExitStack().enter_context(opening)
            except InvalidURI as error:
                raise ConfigError(
                    f"{self.url!r} is no address: {error}; expected such as ws://127.0.0.1:8000"
                ) from error
            except (OSError, InvalidHandshake, EOFError) as error:  # a timeout is an OSError
                if attempt >= self.retries:
                    raise RemoteError(
                        f"no policy server answers at {self.url} after {attempt + 1} attempts ({error or 'timeout'}). "
                        "Start one: zoo serve --policy NAME"
                    ) from error
                pause = self.backoff_s * 2**attempt
                logger.warning("%s: %s; next attempt in %.1f s", self.url, error, pause)
                time.sleep(pause)
                attempt += 1

    def _greeted(self, connection: ClientConnection) -> _Session:
        """What kind of server it is."""
        if self._form != "frames":
            try:
                data = connection.recv(timeout=GREETING_S if self._form == "auto" else self.timeout_s)
            except TimeoutError:
                if self._form == "simple":
                    raise
                self._form = "frames"  # the next connections need not wait for a word
            else:
                is_both = frames.is_frame(openpi.unpack(data))
                session = _Session(connection, is_frames=is_both and self._form == "auto")
                if session.is_frames:  # its greeting was the answer
                    self._send(session, MessageType.HELLO, _HELLO)
                return session
        session = _Session(connection, is_frames=True)
        self._send(session, MessageType.HELLO, _HELLO)
        answer = frames.unpack(connection.recv(timeout=self.timeout_s))
        if answer.type is not MessageType.HELLO:
            raise DataError(f"it answers hello with {answer.type.value}")
        return session

    def _broken_off(self, slot: int, error: ConnectionClosed) -> RemoteError:
        self._end(slot)
        return RemoteError(f"{self.url} broke off ({error})")

    def _end(self, slot: int) -> None:
        session = self._sessions.pop(slot, None)
        if session is not None:
            session.connection.close()


def _timeval(seconds: float) -> bytes:
    """For the socket's own clock: a server that reads nothing would block a send for ever."""
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))


_HELLO = {
    "harness_version": frames.SPEAKER,
    "protocol_version": frames.PROTOCOL_VERSION,
    ACCEPTS_CHUNKS: True,
}
