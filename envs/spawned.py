"""Work spread over spawned processes: each piece is answered for by itself, and no process outlives the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from zoo.executor import Finished, Processes

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def spread(
    function: Callable[[Piece], Result], pieces: Iterable[Piece], *, num_workers: int
) -> Iterator[tuple[int, Callable[[], Result]]]:
    """Call a function with every piece in spawned processes (`zoo.executor.Processes`).

    Args:
        function: Picklable, as what it returns.
        pieces: Picklable; each is taken from here when a process is free for it.
        num_workers: Processes.
    Yields:
        Number of the piece, counted from 0, and what gives its result or raises its exception, in the order in which
        they are done. `zoo.executor.WorkerLostError` is the exception of one whose process died.
    """
    waiting = enumerate(pieces)
    done: list[Finished] = []
    with Processes(num_workers) as processes:
        while True:
            while processes.num_free and (following := next(waiting, None)) is not None:
                number, piece = following
                processes.submit(number, function, piece)
            yield from done
            if not processes.num_running:
                return
            done = processes.wait()
