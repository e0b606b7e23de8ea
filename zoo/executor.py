"""Where the pieces of a long work run: in this process, in spawned processes, or on a Ray cluster; one interface.

A process that dies costs the piece that it was at, which is told, and is replaced; whoever gave the piece decides
whether to give it again. Ctrl-C is the main process's alone. Spawned processes end, whatever they are at, when the main
process is through with them or is gone, however it went.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, Literal, NamedTuple

from zoo.errors import ConfigError, MissingLibraryError

ExecutorName = Literal["processes", "ray"]


class WorkerLostError(Exception):
    """The process that was at a piece has died; never the piece's own fault as far as anybody can tell."""


class Finished(NamedTuple):
    """A piece that is done.

    Args:
        piece: As it was given.
        result: Gives what the function returned, or raises what it raised, or `WorkerLostError`.
    """

    piece: Hashable
    result: Callable[[], Any]


class Executor(ABC):
    """Runs functions with pieces of a work; a context manager, whose end stops all that still runs."""

    @property
    @abstractmethod
    def num_free(self) -> int:
        """Pieces that could be taken now."""

    @property
    @abstractmethod
    def num_running(self) -> int:
        """Pieces that were taken and are not told to be finished."""

    @abstractmethod
    def submit(self, piece: Hashable, function: Callable[..., Any], *arguments: Any) -> None:
        """Take a piece; only while `num_free`.

        Args:
            piece: Names it in what `wait` says.
            function: Called elsewhere; picklable, as its arguments and what it returns.
            *arguments: Of the function.
        """

    @abstractmethod
    def wait(self, timeout_s: float | None = None) -> list[Finished]:
        """Those that became finished, within a time, by default any; none when it is over or nothing runs."""

    @abstractmethod
    def close(self) -> None:
        """Stop what runs."""

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Here(Executor):
    """A piece is run in this process, as soon as it is taken."""

    def __init__(self) -> None:
        self._finished: list[Finished] = []

    @property
    def num_free(self) -> int:
        return 1 - len(self._finished)

    @property
    def num_running(self) -> int:
        return len(self._finished)

    def submit(self, piece: Hashable, function: Callable[..., Any], *arguments: Any) -> None:
        value = function(*arguments)
        self._finished.append(Finished(piece, lambda: value))

    def wait(self, timeout_s: float | None = None) -> list[Finished]:
        del timeout_s
        finished, self._finished = self._finished, []
        return finished

    def close(self) -> None:
        pass


class Processes(Executor):
    """Spawned processes of this machine; a forked child would hang in a GL library that its parent has used.

    Each is a pool of its own, so that one which dies takes no other's piece along.

    Args:
        num_workers: Processes; each starts with its first piece.
    """

    def __init__(self, num_workers: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._reader, self._writer = self._context.Pipe(duplex=False)
        self._pools = [self._pool() for _ in range(num_workers)]
        self._free = list(range(num_workers))
        self._running: dict[Future[Any], tuple[Hashable, int]] = {}  # piece, and place of its pool

    @property
    def num_free(self) -> int:
        return len(self._free)

    @property
    def num_running(self) -> int:
        return len(self._running)

    def submit(self, piece: Hashable, function: Callable[..., Any], *arguments: Any) -> None:
        place = self._free.pop()
        with _interrupts_blocked():
            try:
                future = self._pools[place].submit(function, *arguments)
            except BrokenProcessPool:  # its process died, at its last piece or idle
                self._pools[place].shutdown()
                self._pools[place] = self._pool()
                future = self._pools[place].submit(function, *arguments)
        self._running[future] = piece, place

    def wait(self, timeout_s: float | None = None) -> list[Finished]:
        finished = []
        for future in wait(self._running, timeout=timeout_s, return_when=FIRST_COMPLETED).done:
            piece, place = self._running.pop(future)
            self._free.append(place)
            finished.append(Finished(piece, _result_of(future)))
        return finished

    def close(self) -> None:
        self._writer.close()
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=True)
        self._reader.close()

    def _pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, mp_context=self._context, initializer=_end_with, initargs=(self._reader,))


class Ray(Executor):
    """Workers of a Ray cluster, or of a Ray that is started on this machine; they share a file system with this one.

    Args:
        num_workers: Pieces at a time, each on one CPU.
    Raises:
        MissingLibraryError: Ray is not installed.
    """

    def __init__(self, num_workers: int) -> None:
        try:
            import ray
        except ImportError as error:
            raise MissingLibraryError(
                "executor ray needs the package ray, which is not installed here. Install it: pip install "
                "'molmo-zoo[ray]', or use --executor processes"
            ) from error
        self._ray = ray
        self._is_ours = not ray.is_initialized()
        if self._is_ours:
            ray.init()
        self._num_workers = num_workers
        self._running: dict[Any, Hashable] = {}

    @property
    def num_free(self) -> int:
        return self._num_workers - len(self._running)

    @property
    def num_running(self) -> int:
        return len(self._running)

    def submit(self, piece: Hashable, function: Callable[..., Any], *arguments: Any) -> None:
        # Ray would quietly run a lost piece again; whoever gave it wants to say so, and not for ever.
        self._running[self._ray.remote(num_cpus=1, max_retries=0)(function).remote(*arguments)] = piece

    def wait(self, timeout_s: float | None = None) -> list[Finished]:
        if not self._running:
            return []
        done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=timeout_s)
        return [Finished(self._running.pop(reference), self._result_of(reference)) for reference in done]

    def close(self) -> None:
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        if self._is_ours:
            self._ray.shutdown()

    def _result_of(self, reference: Any) -> Callable[[], Any]:
        def result() -> Any:
            try:
                return self._ray.get(reference)
            except self._ray.exceptions.WorkerCrashedError as error:
                raise WorkerLostError(str(error)) from error

        return result


def executor(name: ExecutorName, num_workers: int) -> Executor:
    """By name; no worker is this process.

    Args:
        name: `processes` or `ray`.
        num_workers: At a time.
    Raises:
        ConfigError: fewer than 0 workers, 0 of Ray, or an unknown name.
        MissingLibraryError: Ray is not installed.
    """
    if num_workers < 0:
        raise ConfigError(f"workers is {num_workers}, expected 0 (this process) or more")
    if name == "ray":
        if not num_workers:
            raise ConfigError("workers is 0 (this process), executor ray wants 1 or more: --workers 8")
        return Ray(num_workers)
    if name != "processes":
        raise ConfigError(f"executor is {name!r}, expected processes or ray")
    return Processes(num_workers) if num_workers else Here()


def _result_of(future: Future[Any]) -> Callable[[], Any]:
    def result() -> Any:
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise WorkerLostError(str(error)) from error

    return result


def _end_with(reader: Connection) -> None:
    """Let this process end when the other end of a pipe, of which the main process has the only copy, is closed."""

    def watch() -> None:
        reader.poll(None)  # nobody ever writes
        os._exit(1)  # in the midst of a call, if need be

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Processes that start meanwhile never see Ctrl-C, not even while they import; here it comes a little later."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
