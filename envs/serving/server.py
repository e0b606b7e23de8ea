"""A policy behind a WebSocket: frames of vla-eval and the simple form of openpi on one port, many clients at once.

Source: sheet molmospaces sections 5 ("Built-in policy server") and 23.

A client of the simple form is silent until it has got the server's metadata; a client of frames says hello, and waits
for a hello. So the server greets at once with a map that is both: metadata, and a frame of type hello. What the client
says first tells its form. A connection is a client with a slot of its own in the policy.

Episodes begin at `episode_start`; in the simple form with the connection, and where the instruction changes. In frames
a client gets one action an observation, out of the policy's chunk; a client whose hello has `accepts_chunks` gets
chunks, as all do in the simple form. An empty chunk says that the policy is done.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from zoo.envs.serving import frames, openpi
from zoo.envs.serving.batching import Answer, Batcher
from zoo.envs.serving.frames import Message, MessageType
from zoo.envs.serving.payloads import ACCEPTS_CHUNKS, ACTIONS, from_payload
from zoo.errors import ConfigError, DataError, ZooError
from zoo.policy import Policy

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
MAX_MESSAGE_BYTES = 1 << 28
"""Of one message; an observation of four 1080p pictures without compression has 25 MB."""
CONFIG = {"max_batch_size": int, "max_wait_time": float}
"""What `/config` reads and sets; `max_wait_time` in seconds."""


@dataclass(slots=True)
class _Client:
    """One connection.

    Args:
        slot: In the policy.
        task: Begins the next observation's episode; None while one goes on.
        instruction: Of the running episode.
        accepts_chunks: Gets whole chunks.
        buffer: Actions that were not sent yet.
        last_total_s: What the previous request took, its answer's way out included.
    """

    slot: int
    task: dict[str, Any] | None = field(default_factory=dict)
    instruction: str | None = None
    accepts_chunks: bool = False
    buffer: deque[np.ndarray] = field(default_factory=deque)
    last_total_s: float | None = None


class PolicyServer:
    """Serves a policy; as a context manager in a thread of its own, with `address` to connect to.

    Args:
        policy: Acts for all clients.
        name: What clients are told of it.
        host: Address to listen at; anything but the loopback lets others use the policy.
        port: 0 takes a free one.
        max_batch_size: Clients that share one call of the policy.
        max_wait_s: How long a request waits for others.
        execute_steps: Actions of a chunk that are used before the next query; None: all.

    Raises:
        ConfigError: a number out of its range.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        name: str,
        host: str = LOOPBACK,
        port: int = 8000,
        max_batch_size: int = 16,
        max_wait_s: float = 0.01,
        execute_steps: int | None = None,
    ) -> None:
        if not 0 <= port < 1 << 16:
            raise ConfigError(f"port is {port}, expected 0 to 65535")
        if execute_steps is not None and execute_steps < 1:
            raise ConfigError(f"execute_steps is {execute_steps}, expected 1 or more")
        self.name, self.host, self.port, self.execute_steps = name, host, port, execute_steps
        self._batcher = Batcher(policy, max_batch_size=max_batch_size, max_wait_s=max_wait_s)
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], None] | None = None

    @property
    def address(self) -> str:
        """Where clients connect to."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ws://{host}:{self.port}"

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until interrupted.

        Args:
            ready: Called once clients can connect.
        Raises:
            ConfigError: the address cannot be listened at.
        """
        asyncio.run(self._run(ready))

    def __enter__(self) -> PolicyServer:
        started: threading.Event = threading.Event()
        failures: list[ConfigError] = []

        def serve_here() -> None:
            try:
                self.run(started.set)
            except ConfigError as error:
                failures.append(error)
            finally:
                started.set()

        self._thread = threading.Thread(target=serve_here, name="policy server", daemon=True)
        self._thread.start()
        started.wait()
        if failures:
            raise failures[0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._stop is not None and self._thread is not None:
            self._stop()
            self._thread.join()

    async def _run(self, ready: Callable[[], None]) -> None:
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        self._stop = lambda: loop.call_soon_threadsafe(stopped.set)
        answering = asyncio.create_task(self._batcher.run())
        stopping = asyncio.create_task(stopped.wait())
        try:
            async with await self._listen() as server:
                self.port = server.sockets[0].getsockname()[1]
                ready()
                try:
                    await asyncio.wait([answering, stopping], return_when=asyncio.FIRST_COMPLETED)
                    if answering.done():  # never by itself: a bug, which must be seen
                        answering.result()
                finally:  # before the server closes, which waits for its clients' answers
                    answering.cancel()
        finally:
            answering.cancel()
            stopping.cancel()

    async def _listen(self) -> Server:
        try:
            # Pings are off because a policy may hold the interpreter for many seconds at its first call.
            return await serve(
                self._serve_client,
                self.host,
                self.port,
                process_request=self._http,
                compression=None,
                max_size=MAX_MESSAGE_BYTES,
                ping_interval=None,
            )
        except OSError as error:
            raise ConfigError(
                f"cannot listen at {self.host} port {self.port}: {error.strerror or error}; choose another --port"
            ) from error

    async def _serve_client(self, connection: ServerConnection) -> None:
        client = _Client(self._batcher.join())
        logger.info("client %d connected from %s", client.slot, connection.remote_address)
        try:
            await connection.send(self._greeting())
            is_frames: bool | None = None
            async for data in connection:
                if is_frames is None and isinstance(data, bytes):
                    is_frames = _is_frames(data)
                await (self._on_frame if is_frames else self._on_simple)(connection, client, data)
        except ConnectionClosed:
            pass  # within an answer; the end of a connection is no fault
        finally:
            self._batcher.leave(client.slot)
            logger.info("client %d left", client.slot)

    async def _on_simple(self, connection: ServerConnection, client: _Client, data: bytes | str) -> None:
        """An observation of the simple form: actions as an answer, or a text that says what is wrong."""
        began = time.perf_counter()
        try:
            observation, instruction = from_payload(openpi.unpack(data))
            received = time.perf_counter()
            answer = await self._ask(client, observation, instruction)
            actions = answer.actions[: self.execute_steps]
        except Exception as error:  # noqa: BLE001 - what a policy raises is its client's to know
            await connection.send(_told(error))
            return
        now = time.perf_counter()
        timing = {
            "infer_ms": answer.infer_s,
            "preprocess_ms": received - began,
            "postprocess_ms": now - received - answer.waited_s - answer.infer_s,
            "total_ms": now - began,
            "policy_acquire_ms": answer.waited_s,
        }
        if client.last_total_s is not None:
            timing["prev_total_ms"] = client.last_total_s
        in_ms = {name: 1000 * seconds for name, seconds in timing.items()}
        await connection.send(openpi.pack({ACTIONS: actions, "server_timing": in_ms}))
        client.last_total_s = time.perf_counter() - began

    async def _on_frame(self, connection: ServerConnection, client: _Client, data: bytes | str) -> None:
        """A frame of vla-eval; what is wrong with it is the content of an error frame."""
        seq = 0
        try:
            message = frames.unpack(data)
            seq = message.seq
            answer = await self._answer(client, message)
        except Exception as error:  # noqa: BLE001 - what a policy raises is its client's to know
            answer = Message(MessageType.ERROR, {"error": f"observation_failed: {_told(error)}"}, seq)
        if answer is not None:
            await connection.send(frames.pack(answer))

    async def _answer(self, client: _Client, message: Message) -> Message | None:
        if message.type is MessageType.HELLO:  # the greeting has answered it
            client.accepts_chunks = bool(message.payload.get(ACCEPTS_CHUNKS))
        elif message.type is MessageType.EPISODE_START:
            task = message.payload.get("task")
            client.task, client.instruction = dict(task) if isinstance(task, Mapping) else {}, None
            client.buffer.clear()
        elif message.type is MessageType.OBSERVATION:
            return Message(MessageType.ACTION, {ACTIONS: await self._next(client, message)}, message.seq)
        elif message.type is MessageType.ERROR:
            logger.warning("client %d reports: %s", client.slot, message.payload)
        return None

    async def _next(self, client: _Client, message: Message) -> np.ndarray:
        """(action_dim,) for a client that takes one action at a time, else (chunk, action_dim)."""
        if client.buffer:
            return client.buffer.popleft()
        observation, instruction = from_payload(message.payload)
        is_running, told = client.task is None, client.instruction
        # Frames say themselves when an episode begins: a prompt that a benchmark rewords on the way does not begin one.
        answer = await self._ask(client, observation, told if is_running else instruction)
        chunk = answer.actions[: self.execute_steps]
        if client.accepts_chunks or not len(chunk):
            return chunk
        client.buffer.extend(chunk)
        return client.buffer.popleft()

    async def _ask(self, client: _Client, observation: Mapping[str, np.ndarray], instruction: str | None) -> Answer:
        task = client.task
        if task is None and instruction is not None and instruction != client.instruction:
            task = {}
        if task is not None:
            told = instruction if instruction is not None else str(task.get("instruction", ""))
            task, instruction = {**task, "instruction": told}, told
        answer = await self._batcher.ask(client.slot, observation, task)
        if task is not None:
            client.task, client.instruction = None, instruction
        return answer

    def _greeting(self) -> bytes:
        """Metadata and hello in one."""
        told = {"harness_version": frames.SPEAKER, "protocol_version": frames.PROTOCOL_VERSION}
        hello = Message(MessageType.HELLO, told | {"model_server": self.name, "capabilities": {ACCEPTS_CHUNKS: True}})
        return frames.pack(hello, also={"policy": self.name, "server": "molmo-zoo"})

    def _http(self, connection: ServerConnection, request: Request) -> Response | None:
        """Plain HTTP on the same port; None goes on to the WebSocket."""
        parts = urlsplit(request.path)
        if parts.path == "/healthz":
            return connection.respond(HTTPStatus.OK, "OK\n")
        if parts.path == "/health":
            return _json(connection, HTTPStatus.OK, {"status": "ok"})
        if parts.path == "/config":
            return self._config(connection, dict(parse_qsl(parts.query, keep_blank_values=True)))
        return None

    def _config(self, connection: ServerConnection, asked: Mapping[str, str]) -> Response:
        """Show how requests are gathered, or change it."""
        applied, errors = {}, []
        for name, text in asked.items():
            try:
                applied[name] = CONFIG[name](text)
            except KeyError:
                errors.append(f"unknown key: {name}")
            except ValueError as error:
                errors.append(f"bad value for {name}: {error}")
        now = {"max_batch_size": self._batcher.max_batch_size, "max_wait_time": self._batcher.max_wait_s} | applied
        if now["max_batch_size"] < 1 or not 0 <= now["max_wait_time"] < 60:
            errors.append("max_batch_size is at least 1, max_wait_time 0 to 60 s")
        if errors:
            return _json(connection, HTTPStatus.UNPROCESSABLE_ENTITY, {"errors": errors})
        self._batcher.max_batch_size, self._batcher.max_wait_s = now["max_batch_size"], now["max_wait_time"]
        return _json(connection, HTTPStatus.OK, {"applied": applied, "config": now})


def _is_frames(data: bytes) -> bool:
    """Whether a client's first message is a frame; broken ones are told so in the simple form."""
    try:
        return frames.is_frame(frames.unpacked(data))
    except DataError:
        return False


def _told(error: Exception) -> str:
    """An error in words; a bug of the policy's is logged with its traceback."""
    if isinstance(error, ZooError):
        return str(error)
    logger.error("the policy failed", exc_info=error)
    return f"{type(error).__name__}: {error}"


def _json(connection: ServerConnection, status: HTTPStatus, content: Mapping[str, Any]) -> Response:
    response = connection.respond(status, json.dumps(content) + "\n")
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json"
    return response
