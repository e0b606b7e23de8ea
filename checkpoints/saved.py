"""Which checkpoints of a run can be opened: a process that was killed while it saved leaves one that cannot."""

import logging
import zipfile
from pathlib import Path

logger = logging.getLogger(__name__)


def whole_checkpoints(folder: Path) -> list[Path]:
    """Lightning's checkpoints in a folder, the newest last; a file that was not written to its end is left out.

    Args:
        folder: Holds `*.ckpt` files, or folders where the strategy saves in parts.
    """
    found = sorted(folder.glob("*.ckpt"), key=lambda path: path.stat().st_mtime)
    cut = [path for path in found if path.is_file() and not zipfile.is_zipfile(path)]  # its table is at the end
    for path in cut:
        logger.warning("passing over %s, which was not written to its end", path)
    return [path for path in found if path not in cut]
