"""Tasks: success tests and rewards over a running simulation, every threshold from the episode."""
