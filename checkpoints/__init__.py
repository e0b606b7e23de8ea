"""Loading and saving weights, and converters from public checkpoints."""

COMPONENTS = {
    "vision_encoder": {"zoo:*": "zoo.checkpoints.parts:vision_encoder"},
    "language_model": {"zoo:*": "zoo.checkpoints.parts:language_model"},
    "tokenizer": {"zoo:*": "zoo.checkpoints.parts:tokenizer"},
}
