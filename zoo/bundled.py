"""Trained checkpoints that come with the package, named like recipes' models: `molmo2-tiny`."""

from pathlib import Path

FOLDER = Path(__file__).with_name("checkpoints") / "bundled"


def names() -> tuple[str, ...]:
    """Every bundled checkpoint."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob("*/config.json")))


def folder_of(name: str) -> Path | None:
    """The checkpoint folder of a name; None where it is no bundled one, or a path here goes by that name."""
    return FOLDER / name if name in names() and not Path(name).exists() else None


def summary(name: str) -> str:
    """The title of a checkpoint's model card: what it is."""
    card = (FOLDER / name / "README.md").read_text(encoding="utf-8")
    return next((line.removeprefix("# ") for line in card.splitlines() if line.startswith("# ")), "")
