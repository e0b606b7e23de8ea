"""Executors: results, faults, processes that die and are replaced; Ray by a module with its documented interface."""

import sys

import pytest
from costly_letters import dawdle, die, fail, square
from fake_ray import FakeRay

from zoo.errors import ConfigError, MissingLibraryError
from zoo.executor import WorkerLostError, executor


@pytest.fixture
def ray(monkeypatch):
    module = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", module)
    return module


def run_all(running, pieces):
    """Results by piece."""
    waiting, found = list(pieces), {}
    while waiting or running.num_running:
        while waiting and running.num_free:
            piece = waiting.pop()
            running.submit(piece, square, piece)
        for piece, result in running.wait(0.1):
            found[piece] = result()
    return found


@pytest.mark.parametrize(("name", "workers"), [("processes", 0), ("processes", 2), ("ray", 3)])
def test_all_pieces_are_answered(name, workers, ray):
    with executor(name, workers) as running:
        assert run_all(running, range(7)) == {number: number**2 for number in range(7)}
        assert (running.num_free, running.num_running) == (max(workers, 1), 0)


def test_a_process_that_dies_costs_its_piece_alone_and_is_replaced():
    with executor("processes", 1) as running:
        running.submit("a", die)
        (lost,) = wait_for(running)
        with pytest.raises(WorkerLostError):
            lost.result()
        running.submit("b", square, 3)
        assert [one.result() for one in wait_for(running)] == [9]


def wait_for(running):
    while not (finished := running.wait(1.0)):
        pass
    return finished


@pytest.mark.parametrize(("name", "workers"), [("processes", 1), ("ray", 1)])
def test_a_fault_of_the_work_is_raised_as_it_is(name, workers, ray):
    with executor(name, workers) as running:
        running.submit(0, fail, "ink")
        (finished,) = wait_for(running)
        with pytest.raises(ValueError, match="ink"):
            finished.result()


def test_a_crashed_worker_of_ray_is_told(ray):
    ray.crashes = 1
    with executor("ray", 1) as running:
        running.submit(0, square, 2)
        (finished,) = wait_for(running)
        with pytest.raises(WorkerLostError, match="died unexpectedly"):
            finished.result()
    assert ray.options == [{"num_cpus": 1, "max_retries": 0}]


def test_ray_is_left_as_it_was_found(ray):
    ray.init()
    with executor("ray", 2):
        pass
    assert ray.is_initialized()
    ray.shutdown()
    with executor("ray", 2) as running:
        running.submit(0, dawdle, 0.3)
    assert not ray.is_initialized()
    assert len(ray.cancelled) == 1


def test_ray_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingLibraryError, match=r"pip install 'molmo-zoo\[ray\]'"):
        executor("ray", 2)


@pytest.mark.parametrize(
    ("name", "workers", "words"),
    [("processes", -1, "workers is -1"), ("ray", 0, "executor ray wants 1 or more"), ("threads", 2, "executor is")],
)
def test_mistakes(name, workers, words):
    with pytest.raises(ConfigError, match=words):
        executor(name, workers)
