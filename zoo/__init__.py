"""PyTorch Lightning model zoo for embodied vision-language research.

Importing `zoo` imports nothing heavy; components are imported when they are built (`zoo.registry`).
"""

__version__ = "0.1.0"
