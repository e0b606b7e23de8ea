"""Loading and saving weights, and converters from public checkpoints."""

COMPONENTS: dict[str, dict[str, str]] = {
    "converter": {
        "lightning": "zoo.checkpoints.converters:LightningRun",
        "smollm2": "zoo.checkpoints.converters:SmolLM2",
    },
}
