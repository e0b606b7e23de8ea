"""Work in spawned processes: answers, a process that dies, and none that is left, however the main one ends."""

import fcntl
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest
from deadly import die_of_even
from interruptible import start_interruptible

from zoo.envs.spawned import spread
from zoo.executor import WorkerLostError


def answers(function, pieces, num_workers=2):
    return dict(spread(function, pieces, num_workers=num_workers))


def test_every_piece_is_answered_by_its_number():
    found = answers(math.factorial, [3, 5, 4, 2, 6])
    assert {number: result() for number, result in found.items()} == {0: 6, 1: 120, 2: 24, 3: 2, 4: 720}
    assert not multiprocessing.active_children()
    assert answers(math.factorial, []) == {}


def test_an_exception_is_that_of_its_piece():
    found = answers(math.factorial, [3, -1, 4])
    with pytest.raises(ValueError, match="not defined for negative values"):
        found[1]()
    assert (found[0](), found[2]()) == (6, 24)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_process_that_dies_costs_its_piece_and_is_replaced(num_workers):
    found = answers(die_of_even, [1, 2, 3, 4, 5], num_workers)
    for number in (1, 3):
        with pytest.raises(WorkerLostError):
            found[number]()
    pids = {found[number]() for number in (0, 2, 4)}
    assert os.getpid() not in pids
    assert num_workers == 2 or len(pids) == 3


def test_pieces_are_taken_as_processes_become_free():
    taken = []

    def pieces():
        for piece in range(10):
            taken.append(piece)
            yield piece

    running = spread(math.factorial, pieces(), num_workers=1)
    next(running)
    assert len(taken) <= 3
    running.close()
    assert not multiprocessing.active_children()


SLEEPER = """
import fcntl, pathlib, sys, time

def sleep(path):
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # let go of by the system when this process ends
        file.write("held")
        file.flush()
        time.sleep(600)

if __name__ == "__main__":
    from zoo.envs.spawned import spread
    for _ in spread(sleep, sys.argv[1:], num_workers=2):
        pass
"""


def wait_until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


def is_held(path):
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@pytest.mark.parametrize(
    ("kill", "number"),
    [(os.kill, signal.SIGINT), (os.killpg, signal.SIGINT), (os.kill, signal.SIGTERM), (os.kill, signal.SIGKILL)],
    ids=["interrupted", "ctrl-c", "terminated", "killed"],
)
def test_no_process_is_left_behind(tmp_path, kill, number):
    script, locks = tmp_path / "sleeper.py", [tmp_path / "a", tmp_path / "b"]
    script.write_text(SLEEPER)
    main = start_interruptible(
        [sys.executable, str(script), *map(str, locks)], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_until(lambda: all(lock.exists() and lock.read_text() == "held" for lock in locks))
    assert all(map(is_held, locks))
    kill(main.pid, number)
    _, told = main.communicate(timeout=60)
    assert main.returncode == -number
    wait_until(lambda: not any(map(is_held, locks)))
    assert told.count("Traceback") == (number == signal.SIGINT)  # the main process's own: workers say nothing


def test_ctrl_c_while_processes_start(tmp_path):
    script, lock = tmp_path / "sleeper.py", tmp_path / "a"
    script.write_text("import time\nprint('begun', flush=True)\ntime.sleep(2)\n" + SLEEPER)
    main = start_interruptible(
        [sys.executable, str(script), str(lock)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert [main.stdout.readline() for _ in range(2)] == ["begun\n"] * 2  # the second word is the worker's
    os.killpg(main.pid, signal.SIGINT)
    _, told = main.communicate(timeout=60)
    assert main.returncode == -signal.SIGINT
    assert told.count("Traceback") == 1
    wait_until(lambda: not is_held(lock))  # whether or not its worker had got as far as the piece
