"""Workers in threads and in processes ask one policy: batches, slots, faults, and workers that die."""

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from deadly import die

from zoo.envs.data_engine.policy_desk import PolicyAtDesk, PolicyDesk, PolicyFaultError
from zoo.policy import Policy


class Adds(Policy):
    """The number of the episode plus what is seen; calls are kept."""

    def __init__(self, *, fault=None):
        self.tasks, self.calls, self.fault = {}, [], fault

    def reset(self, tasks):
        self.tasks |= tasks

    def act(self, observation, slots):
        if self.fault is not None:
            raise self.fault
        self.calls.append(tuple(slots))
        numbers = np.array([self.tasks[slot]["number"] for slot in slots], np.float32)
        return (observation["x"][:, 0] + numbers).reshape(-1, 1, 1)


def work(address, number, steps=20, begun=lambda: None):
    """An episode; what was answered."""
    actor = PolicyAtDesk(address)
    try:
        actor.reset({"number": number})
        begun()
        return [float(actor.act({"x": np.array([step])})[0, 0]) for step in range(steps)]
    finally:
        actor.close()


def work_and_die(address):
    actor = PolicyAtDesk(address)
    actor.reset({"number": 1})
    actor.act({"x": np.array([0])})
    die()


def test_everyone_gets_the_answers_of_its_own_episode_and_calls_are_shared(monkeypatch):
    def wait_long():
        monkeypatch.setattr("zoo.envs.data_engine.policy_desk.GATHER_S", 60.0)  # nobody is late, however slow they are

    policy, all_have = Adds(), threading.Barrier(3, wait_long)
    with PolicyDesk(policy) as desk, ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda number: work(desk.address, number, 50, all_have.wait), (100, 200, 300)))
    assert answers == [[number + step for step in range(50)] for number in (100, 200, 300)]
    assert [sorted(call) for call in policy.calls] == [[0, 1, 2]] * 50


def test_slots_are_used_again():
    policy = Adds()
    with PolicyDesk(policy) as desk:
        for number in range(3):
            work(desk.address, number, steps=1)
            for thread in threading.enumerate():  # it has noticed that the worker is gone
                if thread.name.endswith("(_hear)"):
                    thread.join()
    assert policy.calls == [(0,)] * 3


def test_observations_of_other_shapes_are_calls_of_their_own():
    policy = Adds()
    with PolicyDesk(policy) as desk, ThreadPoolExecutor(2) as pool:
        barrier = threading.Barrier(2)

        def ask(size):
            actor = PolicyAtDesk(desk.address)
            actor.reset({"number": 0})
            barrier.wait()
            return actor.act({"x": np.arange(size) + size})[0, 0]

        assert list(pool.map(ask, (1, 2))) == [1, 2]
    assert sorted(map(len, policy.calls)) == [1, 1]


def test_what_the_policy_raises_is_raised_where_the_desk_ends():
    desk = PolicyDesk(Adds(fault=ZeroDivisionError("of the policy"))).__enter__()
    with pytest.raises(PolicyFaultError, match="ZeroDivisionError: of the policy"):
        work(desk.address, 1)
    with pytest.raises(ZeroDivisionError, match="of the policy"):
        desk.__exit__(None, None, None)


def test_a_worker_that_dies_leaves_its_slot_to_others():
    policy = Adds()
    with PolicyDesk(policy) as desk:
        process = multiprocessing.get_context("spawn").Process(target=work_and_die, args=(desk.address,))
        process.start()
        process.join()
        assert process.exitcode == -9
        assert work(desk.address, 5, steps=2) == [5, 6]


def test_nothing_of_it_stays():
    """Nor of who has never said goodbye."""
    before = set(threading.enumerate())
    with PolicyDesk(Adds()) as desk:
        work(desk.address, 1)
        silent = PolicyAtDesk(desk.address)
        silent.reset({"number": 2})
    silent.close()
    assert not set(threading.enumerate()) - before
    with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
        PolicyAtDesk(desk.address)
