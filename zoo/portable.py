"""What a checkpoint must carry of a part beside its weights and its recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Portable:
    """A part of a module that may stand on files, such as a vocabulary or another library's configuration."""

    def save_files(self, folder: Path) -> dict[str, Any] | None:
        """Write what the part's registry name and arguments do not say, so that a checkpoint stands alone.

        Args:
            folder: Made when something is written.
        Returns:
            The recipe that rebuilds the part without its weights: `{"class_path": "hf:<folder>", "init_args": {...}}`;
            None where nothing was written, because the part's own recipe says all.
        """
        return None
