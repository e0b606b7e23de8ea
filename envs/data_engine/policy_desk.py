"""A policy that worker processes ask for actions: it acts in the main process, in one call for all that wait.

Generators know nothing of their workers but what they have written, so the two meet at a socket: the desk in the main
process, a `PolicyAtDesk` in whichever process makes an episode.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Client, Connection, Listener
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from zoo.envs.evaluation.pool import GATHER_S, alike
from zoo.errors import ZooError
from zoo.policy import Observation, Policy, stack_observations


class PolicyFaultError(ZooError):
    """The policy failed; its own exception is the main process's."""


class _Asked(NamedTuple):
    """What a worker wants: an episode begun (`reset`, a task), an action (`act`, an observation), or nothing more."""

    slot: int
    connection: Connection
    kind: str
    content: Any


class PolicyDesk:
    """Answers workers as long as it is open; a context manager, whose end raises what the policy raised.

    Args:
        policy: Acts in a thread of this process.

    Attributes:
        address: For `PolicyAtDesk`, while it is open.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.address = ""
        self._asked: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._slots: set[int] = set()  # of workers that are there
        self._heard: list[tuple[threading.Thread, Connection]] = []
        self._lock = threading.Lock()
        self._fault: Exception | None = None
        self._is_open = True

    def __enter__(self) -> PolicyDesk:
        self._listener = Listener(family="AF_UNIX", authkey=_key())
        self.address = str(self._listener.address)
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._welcome, self._answer)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_open = False
        Client(self.address, authkey=_key()).close()  # wakes whoever waits for the next worker
        self._asked.put(None)
        for thread in self._threads:
            thread.join()
        for thread, connection in self._heard:
            with self._lock:  # or it could be closed meanwhile
                if not connection.closed:
                    _hang_up(connection)
            thread.join()
        self._listener.close()
        if self._fault is not None:
            raise self._fault

    def _welcome(self) -> None:
        """Let workers come, each to a thread that hears what it asks."""
        while True:
            try:
                connection = self._listener.accept()
            except (EOFError, ConnectionError, multiprocessing.AuthenticationError):  # it died in the door
                continue
            if not self._is_open:
                connection.close()
                return
            thread = threading.Thread(target=self._hear, args=(connection,), daemon=True)
            self._heard = [one for one in self._heard if one[0].is_alive()] + [(thread, connection)]
            thread.start()

    def _hear(self, connection: Connection) -> None:
        with self._lock:
            slot = next(number for number in range(len(self._slots) + 1) if number not in self._slots)
            self._slots.add(slot)
        try:
            while True:
                self._asked.put(_Asked(slot, connection, *connection.recv()))
        except (EOFError, OSError):  # it has ended, one way or the other
            with self._lock:
                self._slots.remove(slot)
                connection.close()

    def _answer(self) -> None:
        """Act for all who wait; those who come within a moment share a call."""
        while (first := self._asked.get()) is not None:
            asked = [first]
            deadline = time.monotonic() + GATHER_S
            while len(asked) < len(self._slots):
                try:
                    more = self._asked.get(timeout=max(0.0, deadline - time.monotonic()))
                except queue.Empty:
                    break
                if more is None:
                    return
                asked.append(more)
            self._serve(asked)

    def _serve(self, asked: Sequence[_Asked]) -> None:
        try:
            for one in asked:
                if one.kind == "reset":
                    self.policy.reset({one.slot: one.content})
                    _tell(one, None)
            for group in alike([(one, one.content) for one in asked if one.kind == "act"]):
                batch = stack_observations([observation for _, observation in group])
                chunks = self.policy.act(batch, [one.slot for one, _ in group])
                for (one, _), chunk in zip(group, chunks, strict=True):
                    _tell(one, np.asarray(chunk))
        except Exception as error:  # noqa: BLE001 - it is raised where the desk ends, in the main thread
            self._fault = self._fault or error
            for one in asked:
                _tell(one, PolicyFaultError(f"{type(error).__name__}: {error}"))


def _hang_up(connection: Connection) -> None:
    """End what waits at a connection; to close it would not wake who reads."""
    with socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)


class PolicyAtDesk:
    """One worker's side: a policy for an episode at a time.

    Args:
        address: Of the desk.
    """

    def __init__(self, address: str) -> None:
        self._connection = Client(address, authkey=_key())

    def reset(self, task: Mapping[str, Any]) -> None:
        """Begin an episode.

        Raises:
            PolicyFaultError: the policy failed.
        """
        self._ask("reset", dict(task))

    def act(self, observation: Observation) -> np.ndarray:
        """(chunk, action_dim) actions for an observation without a batch.

        Raises:
            PolicyFaultError: the policy failed.
        """
        return self._ask("act", dict(observation))

    def close(self) -> None:
        self._connection.close()

    def _ask(self, kind: str, content: Any) -> Any:
        self._connection.send((kind, content))
        answer = self._connection.recv()
        if isinstance(answer, PolicyFaultError):
            raise answer
        return answer


def _tell(one: _Asked, answer: Any) -> None:
    try:
        one.connection.send(answer)
    except OSError:  # it died while it waited
        return


def _key() -> bytes:
    """Known to this process and to those that it starts."""
    return bytes(multiprocessing.current_process().authkey)
