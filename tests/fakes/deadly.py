"""What ends the process that it is asked in; module level, because spawned workers import it."""

import os
import signal

import box_house
import grasp_assets


def die():
    """As the system ends a process that is out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_of_even(piece):
    """Of an odd number: of which process it was asked."""
    if piece % 2 == 0:
        die()
    return os.getpid()


class Asset(grasp_assets.Rigid):
    """Cannot be built."""

    def __init__(self, uid):
        super().__init__(uid, (0.03, 0.1, 0.1), [])

    def add_to(self, *args, **options):
        die()


class Planner:
    """Plans one house; asking for the second one is deadly."""

    def plan(self, split, index):
        if index == 1:
            die()
        return box_house.house(())
