"""Folders by name: one on this machine, or a repository of the Hugging Face hub, fetched once and then cached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    StrictDataclassError,
)
from huggingface_hub.utils import validate_repo_id

from zoo.errors import ConfigError, ZooError

FETCHED = ("*.json", "*.txt", "*.jinja", "*.model", "*.md")
"""Files of a repository that are fetched, beside weights in safetensors; never a pickle."""

UNREADABLE = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError),
    *(AssertionError, StrictDataclassError),  # timm asserts what it is given
)
"""What transformers and timm raise over files that are absent, of another model, or say something else than they
should."""


def is_hub_id(name: str) -> bool:
    """Whether a name that is no folder here reads as `owner/repository` and not as a mistyped path.

    Where a folder of the owner's name lies in the working directory, a path is meant: `runs/tiny` beside `runs`.
    """
    owner, slash, repository = name.partition("/")
    if not (slash and owner and repository) or Path(owner).exists():
        return False
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def local_folder(name: str | Path, *, revision: str | None = None, weights: bool = True) -> Path:
    """The folder that a path or a hub id means; of a hub id, a cached copy.

    Args:
        name: Path of a folder, or a hub id such as `Qwen/Qwen3-0.6B`.
        revision: Branch, tag or commit of the hub's repository; its main branch where left out.
        weights: Fetch weights too; without them a copy holds configuration and vocabulary.
    Raises:
        ConfigError: no such folder, no such repository, or the hub cannot be asked and holds no copy here.
    """
    path = Path(name)
    if path.is_dir():
        if revision is not None:
            raise ConfigError(f"{name} is a folder here and has no revision {revision!r}; leave revision out")
        return path
    if path.exists():
        raise ConfigError(f"{name} is a file; give the folder that it lies in")
    if not is_hub_id(str(name)):
        raise ConfigError(f"no folder {name}, and no hub id, which would read owner/repository")
    patterns = [*FETCHED, *(["*.safetensors"] if weights else [])]
    at = "" if revision is None else f" at revision {revision!r}"
    try:
        return Path(snapshot_download(str(name), revision=revision, allow_patterns=patterns))
    except GatedRepoError as error:
        raise ConfigError(f"hub id {name} is gated: ask for access on its page, then type hf auth login") from error
    except RepositoryNotFoundError as error:
        raise ConfigError(f"no folder {name} here and no repository {name} on the hub that you may read") from error
    except RevisionNotFoundError as error:
        raise ConfigError(f"the hub's repository {name} has no revision {revision!r}") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, ConnectionError) as error:
        raise ConfigError(
            f"no folder {name} here, no copy of the hub's {name}{at} in the cache, and the hub cannot be asked from "
            "this machine; fetch it where there is a network (hf download) and give the folder"
        ) from error


def upload_folder(
    folder: Path, repository: str, *, revision: str | None = None, private: bool | None = None, message: str
) -> str:
    """Put a folder's files into a repository of the hub, which is made where there is none, in one commit.

    Args:
        folder: What is uploaded.
        repository: Hub id, `owner/repository`.
        revision: Branch to commit to; the main one where left out.
        private: Whether a repository that is made is private; the owner's default where left out.
        message: Of the commit.
    Returns:
        Address of the commit.
    Raises:
        ConfigError: the hub refused, or cannot be asked.
    """
    api = HfApi()
    try:
        made = api.create_repo(repo_id=repository, private=private, exist_ok=True).repo_id
        if revision is not None:
            api.create_branch(repo_id=made, branch=revision, exist_ok=True)
        return str(api.upload_folder(repo_id=made, folder_path=str(folder), revision=revision, commit_message=message))
    except HFValidationError as error:
        raise ConfigError(f"{repository!r} is no hub id; one reads owner/repository") from error
    except (HfHubHTTPError, ConnectionError) as error:
        raise ConfigError(
            f"the hub did not take {repository}: {str(error).splitlines()[0]} Log in with hf auth login, or check the "
            "network"
        ) from error


@contextmanager
def reading(name: str, kind: str) -> Iterator[None]:
    """Inside, what transformers and timm raise over the files of a folder becomes one sentence.

    Args:
        name: Of the folder, as it was given behind `hf:`.
        kind: What it is read as, with its article.
    Raises:
        ConfigError: the files are not of such a model.
    """
    try:
        yield
    except ZooError:
        raise
    except UNREADABLE as error:
        reason = shorten(str(error), width=200, placeholder=" ...") or type(error).__name__
        raise ConfigError(f"hf:{name} cannot be read as {kind}: {reason}") from error
