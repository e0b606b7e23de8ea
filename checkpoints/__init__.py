"""Loading and saving weights, and converters from public checkpoints."""

COMPONENTS: dict[str, dict[str, str]] = {}
