"""One call of a policy for all clients that wait for it."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.errors import ConfigError, DataError
from zoo.policy import Observation, Policy, stack_observations

CLOSED = "the server is being stopped"
POLL_S = 1e-3
"""For a request that lies there already: a wait of 0 s takes nothing at all."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the policy said to one client.

    Args:
        actions: (chunk, action_dim) float32.
        waited_s: Until the policy was free and others had joined.
        infer_s: In the policy.
    """

    actions: np.ndarray
    waited_s: float
    infer_s: float


@dataclass(slots=True)
class _Request:
    slot: int
    observation: Observation
    task: Mapping[str, Any] | None
    answer: asyncio.Future[Answer]
    asked: float = field(default_factory=time.perf_counter)

    @property
    def form(self) -> tuple[tuple[str, tuple[int, ...], str], ...]:
        """Names, shapes and dtypes; only requests of one form can be stacked."""
        return tuple((name, value.shape, value.dtype.str) for name, value in sorted(self.observation.items()))


class Batcher:
    """Gathers requests, and answers them by one call in a thread of the policy's own.

    Args:
        policy: Never called twice at the same time.
        max_batch_size: Requests of one call.
        max_wait_s: How long a request waits for others.

    Raises:
        ConfigError: a number out of its range.
    """

    def __init__(self, policy: Policy, *, max_batch_size: int = 16, max_wait_s: float = 0.01) -> None:
        if max_batch_size < 1 or not 0 <= max_wait_s < 60:
            raise ConfigError(
                f"max_batch_size is {max_batch_size} and max_wait_s {max_wait_s:g}, expected 1 or more and 0 to 60 s"
            )
        self.policy, self.max_batch_size, self.max_wait_s = policy, max_batch_size, max_wait_s
        self._slots: set[int] = set()
        self._open: set[asyncio.Future[Answer]] = set()
        self._waiting: asyncio.Queue[_Request] = asyncio.Queue()
        self._is_closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="policy")

    def join(self) -> int:
        """A slot for a client."""
        slot = next(slot for slot in itertools.count() if slot not in self._slots)
        self._slots.add(slot)
        return slot

    def leave(self, slot: int) -> None:
        """The slot is free for another client."""
        self._slots.discard(slot)

    async def ask(self, slot: int, observation: Observation, task: Mapping[str, Any] | None) -> Answer:
        """Actions for an observation.

        Args:
            slot: Of a client that joined, and has no other request under way.
            observation: Without a batch axis.
            task: Begins an episode with it; None: the slot's goes on.
        Raises:
            ConfigError: the server is being stopped.
            Exception: whatever the policy raised.
        """
        if self._is_closed:
            raise ConfigError(CLOSED)
        request = _Request(slot, observation, task, asyncio.get_running_loop().create_future())
        self._open.add(request.answer)
        request.answer.add_done_callback(self._open.discard)
        await self._waiting.put(request)
        return await request.answer

    async def run(self) -> None:
        """Answer until cancelled; who waits then is told so, even where the policy never comes back."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                for batch in _of_one_form(await self._gathered()):
                    await loop.run_in_executor(self._thread, self._answer, batch, loop)
        finally:
            self._is_closed = True
            self._thread.shutdown(wait=False)
            for answer in tuple(self._open):
                _settle(answer, ConfigError(CLOSED))

    async def _gathered(self) -> list[_Request]:
        """The next request, and those that come soon after it; a client that is alone waits for nobody."""
        requests = [await self._waiting.get()]
        end = time.perf_counter() + self.max_wait_s
        while len(requests) < min(self.max_batch_size, len(self._slots)):
            left = end - time.perf_counter()
            if self._waiting.empty() and left <= 0:
                break
            try:
                requests.append(await asyncio.wait_for(self._waiting.get(), max(left, POLL_S)))
            except TimeoutError:
                break
        return requests

    def _answer(self, requests: Sequence[_Request], loop: asyncio.AbstractEventLoop) -> None:
        """In the policy's thread: one call, and everybody's answer or the same error."""
        began = time.perf_counter()
        try:
            chunks = self._acted(requests)
        except Exception as error:  # noqa: BLE001 - a policy is anybody's code: its clients hear of it, the server lives on
            for request in requests:
                loop.call_soon_threadsafe(_settle, request.answer, error)
            return
        infer_s = time.perf_counter() - began
        for request, chunk in zip(requests, chunks, strict=True):
            answer = Answer(chunk, began - request.asked, infer_s)
            loop.call_soon_threadsafe(_settle, request.answer, answer)

    def _acted(self, requests: Sequence[_Request]) -> list[np.ndarray]:
        tasks = {request.slot: request.task for request in requests if request.task is not None}
        if tasks:
            self.policy.reset(tasks)
        slots = [request.slot for request in requests]
        rows = self.policy.act(stack_observations([request.observation for request in requests]), slots)
        chunks = [np.asarray(row, np.float32) for row in rows]
        if len(chunks) != len(requests) or any(chunk.ndim != 2 for chunk in chunks):
            shapes = ", ".join(str(chunk.shape) for chunk in chunks)
            raise DataError(f"the policy answered {len(requests)} requests with {shapes or 'nothing'}, expected chunks")
        return chunks


def _of_one_form(requests: Sequence[_Request]) -> list[list[_Request]]:
    """Groups that can be stacked; a slot is once in each of them."""
    groups: dict[Any, list[_Request]] = {}
    for request in requests:
        groups.setdefault(request.form, []).append(request)
    return list(groups.values())


def _settle(future: asyncio.Future[Answer], outcome: Answer | Exception) -> None:
    if future.done():  # its client has left
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
