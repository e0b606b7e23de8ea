"""The command line. Only here is anything printed, and only here does a user's mistake become one sentence."""

from zoo.cli.main import main

__all__ = ["main"]
