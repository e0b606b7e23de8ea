"""Work spread over spawned processes: each piece is answered for by itself, and no process outlives the work.

Every process is a pool of its own, so that one which dies costs the piece that it was at and no other, and is replaced.
Ctrl-C is the main process's alone. Processes end, whatever they are at, when the main process is through with them or
is gone, however it went.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from typing import TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def spread(
    function: Callable[[Piece], Result], pieces: Iterable[Piece], *, num_workers: int
) -> Iterator[tuple[int, Future[Result]]]:
    """Call a function with every piece in spawned processes.

    Args:
        function: Picklable, as what it returns.
        pieces: Picklable; each is taken from here when a process is free for it.
        num_workers: Processes.
    Yields:
        Number of the piece, counted from 0, and its future, which is done, in the order in which they become so.
        `BrokenProcessPool` is the exception of one whose process died.
    """
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    pools = [_pool(context, reader) for _ in range(num_workers)]  # a process starts with its first piece

    def submit(place: int, piece: Piece) -> Future[Result]:
        with _interrupts_blocked():
            try:
                return pools[place].submit(function, piece)
            except BrokenProcessPool:  # its process died, at its last piece or idle
                pools[place].shutdown()
                pools[place] = _pool(context, reader)
                return pools[place].submit(function, piece)

    free = list(range(num_workers))
    running: dict[Future[Result], tuple[int, int]] = {}  # number of the piece, and of its pool
    waiting = enumerate(pieces)
    done: list[tuple[int, Future[Result]]] = []
    try:
        while True:
            while free and (following := next(waiting, None)) is not None:
                number, piece = following
                place = free.pop()
                running[submit(place, piece)] = number, place
            yield from done
            if not running:
                return
            done = []
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                number, place = running.pop(future)
                free.append(place)
                done.append((number, future))
    finally:
        writer.close()
        for pool in pools:
            pool.shutdown(wait=True, cancel_futures=True)
        reader.close()


def _pool(context: SpawnContext, reader: Connection) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=context, initializer=_end_with, initargs=(reader,))


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
