"""Run folders: where the next run writes, and which checkpoint `last` and `best` mean for a run that is started anew.

Lightning looks for `last` and `best` in the folder of the run that is about to begin, which has a new number and so
is empty. Here they mean the newest run of the same name that has a checkpoint.
"""

from pathlib import Path

from zoo import bundled
from zoo.checkpoints.saved import whole_checkpoints
from zoo.errors import ConfigError

ROOT = "runs"
NEWEST = ("last", "best")
CHECKPOINTS = "checkpoints"
"""Of a run folder: where Lightning's ModelCheckpoint writes."""


def next_version(folder: Path) -> int:
    """The first number that no `version_N` under a folder reaches."""
    return max((_version(path) for path in folder.glob("version_*")), default=-1) + 1


def find_checkpoint(which: str, folder: Path) -> Path | None:
    """The newest checkpoint of the newest run in a folder that has one, or the best that this run knew of.

    Args:
        which: `last` or `best`.
        folder: Holds `version_N` folders, with `checkpoints/*.ckpt` in them.
    """
    for version in sorted(folder.glob("version_*"), key=_version, reverse=True):
        files = whole_checkpoints(version / CHECKPOINTS)
        if files:
            return files[-1] if which == "last" else _best(files[-1])
    return None


def newest_of(folder: Path) -> Path:
    """The newest checkpoint of a run folder.

    Raises:
        ConfigError: it has none.
    """
    files = whole_checkpoints(folder / CHECKPOINTS)
    if not files:
        raise ConfigError(
            f"ckpt_path: {folder} is no checkpoint folder, it has no config.json, and no run folder, it has no "
            f"{CHECKPOINTS}/*.ckpt"
        )
    return files[-1]


def check_exists(path: str) -> None:
    """Refuse a checkpoint that is not there, before anything is built.

    Raises:
        ConfigError: no such file or folder.
    """
    if "://" not in path and not path.startswith("registry") and not Path(path).exists():
        beside = sorted(other.name for other in Path(path).parent.glob("*.ckpt"))
        *some, final = (*NEWEST, *bundled.names())
        hint = (
            f"Beside it: {', '.join(beside)}"
            if beside
            else f"Checkpoints lie in runs/NAME/version_N/checkpoints; or type {', '.join(some)} or {final}"
        )
        raise ConfigError(f"ckpt_path: no file {path}. {hint}")


def _version(folder: Path) -> int:
    number = folder.name.removeprefix("version_")
    return int(number) if number.isdecimal() else -1


def _best(newest: Path) -> Path:
    """What the callbacks saved in a checkpoint say was best; the newest itself where they measured nothing."""
    import torch

    from zoo.checkpoints.sharded import is_sharded, read_extra

    if is_sharded(newest):
        callbacks = read_extra(newest).get("callbacks", {})
    else:
        callbacks = torch.load(newest, map_location="cpu", weights_only=True, mmap=True).get("callbacks", {})
    for state in callbacks.values():
        best = state.get("best_model_path") if isinstance(state, dict) else None
        if best:
            return next((path for path in (Path(best), newest.with_name(Path(best).name)) if path.exists()), newest)
    return newest
