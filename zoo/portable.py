"""What a checkpoint must carry of a part beside its weights and its recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Portable:
    """A part of a module that may stand on files, such as a vocabulary or another library's configuration.

    Attributes:
        origin: Recipe that builds the part without its weights, where the name it was asked by stands for trained ones.
    """

    origin: dict[str, Any] | None = None

    def save_files(self, folder: Path) -> dict[str, Any] | None:
        """Write what the part's registry name and arguments do not say, so that a checkpoint stands alone.

        Args:
            folder: Made when something is written.
        Returns:
            The recipe that rebuilds the part without its weights: `{"class_path": "hf:<folder>", "init_args": {...}}`;
            None where the part's own recipe says all.
        """
        return self.origin
