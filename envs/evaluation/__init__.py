"""Policies scored on episodes, in worker processes."""
