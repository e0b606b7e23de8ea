"""The hub is not asked: what it would answer is put in its place."""

from types import SimpleNamespace

import pytest
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from zoo import hub
from zoo.errors import ConfigError

RESPONSE = SimpleNamespace(headers={}, request=None)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("allenai/Molmo2-4B", True),
        ("molmo2-tiny", False),
        ("/data/model", False),
        ("./owner/model", False),
        ("a/b/c", False),
        ("owner/", False),
        ("owner/na..me", False),
    ],
)
def test_a_hub_id_is_an_owner_and_a_repository(name, meant):
    assert hub.is_hub_id(name) is meant


def test_beside_a_folder_of_the_owners_name_a_path_is_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hub.is_hub_id("runs/tiny")
    (tmp_path / "runs").mkdir()
    assert not hub.is_hub_id("runs/tiny")


def test_a_folder_stands_for_itself(tmp_path):
    assert hub.local_folder(tmp_path) == tmp_path


@pytest.mark.parametrize(("weights", "fetched"), [(True, True), (False, False)])
def test_of_a_hub_id_no_pickle_is_fetched_and_weights_only_where_wanted(tmp_path, monkeypatch, weights, fetched):
    asked = {}
    monkeypatch.setattr(hub, "snapshot_download", lambda name, **rest: asked.update(rest, name=name) or str(tmp_path))
    assert hub.local_folder("owner/model", revision="v1", weights=weights) == tmp_path
    assert (asked["name"], asked["revision"]) == ("owner/model", "v1")
    assert ("*.safetensors" in asked["allow_patterns"]) is fetched
    assert not any("bin" in pattern or "pt" in pattern for pattern in asked["allow_patterns"])


def test_a_revision_of_a_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is a folder here and has no revision 'v1'; leave revision out"):
        hub.local_folder(tmp_path, revision="v1")


def test_a_file_is_refused(tmp_path):
    file = tmp_path / "model.safetensors"
    file.touch()
    with pytest.raises(ConfigError, match="is a file; give the folder that it lies in"):
        hub.local_folder(file)


def test_a_mistyped_path_is_not_looked_for_on_the_hub(monkeypatch):
    monkeypatch.setattr(hub, "snapshot_download", None)
    with pytest.raises(ConfigError, match="no folder modle, and no hub id, which would read owner/repository"):
        hub.local_folder("modle")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (GatedRepoError("", response=RESPONSE), "is gated: ask for access on its page, then type hf auth login"),
        (RepositoryNotFoundError("", response=RESPONSE), "no repository owner/model on the hub that you may read"),
        (RevisionNotFoundError("", response=RESPONSE), "has no revision 'v1'"),
        (LocalEntryNotFoundError("offline"), "the hub cannot be asked from this machine; fetch it where there is a"),
        (HfHubHTTPError("", response=RESPONSE), "the hub cannot be asked from this machine"),
    ],
)
def test_whatever_the_hub_answers_ends_in_one_sentence(monkeypatch, error, told):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(hub, "snapshot_download", refuse)
    with pytest.raises(ConfigError, match=told):
        hub.local_folder("owner/model", revision="v1")


class FakeApi:
    """Notes what it is asked to do; `refusal` is raised by every call."""

    refusal: Exception | None = None
    calls: list[tuple[str, dict]] = []

    def create_repo(self, **asked):
        if self.refusal is not None:
            raise self.refusal
        self.calls.append(("create_repo", asked))
        return type("Made", (), {"repo_id": f"me/{asked['repo_id']}"})

    def create_branch(self, **asked):
        self.calls.append(("create_branch", asked))

    def upload_folder(self, **asked):
        self.calls.append(("upload_folder", asked))
        return "https://hub/commit/1"


@pytest.fixture
def api(monkeypatch):
    monkeypatch.setattr(hub, "HfApi", FakeApi)
    monkeypatch.setattr(FakeApi, "calls", [])
    return FakeApi


@pytest.mark.parametrize(("revision", "branches"), [(None, []), ("draft", ["create_branch"])])
def test_a_folder_goes_up_in_one_commit(tmp_path, api, revision, branches):
    address = hub.upload_folder(tmp_path, "model", revision=revision, private=True, message="Weights")
    assert address == "https://hub/commit/1"
    assert [name for name, _ in api.calls] == ["create_repo", *branches, "upload_folder"]
    assert api.calls[0][1]["private"] is True
    uploaded = api.calls[-1][1]
    assert uploaded == {
        "repo_id": "me/model",
        "folder_path": str(tmp_path),
        "revision": revision,
        "commit_message": "Weights",
    }


def test_a_hub_that_refuses_says_what_to_type(tmp_path, api, monkeypatch):
    monkeypatch.setattr(FakeApi, "refusal", HfHubHTTPError("401 Unauthorized\nmore", response=RESPONSE))
    with pytest.raises(ConfigError, match="the hub did not take me/model: 401 Unauthorized Log in with hf auth login"):
        hub.upload_folder(tmp_path, "me/model", message="Weights")


def test_a_name_that_is_no_hub_id_is_refused_before_anything_is_asked(tmp_path):
    with pytest.raises(ConfigError, match="'a/b/c' is no hub id; one reads owner/repository"):
        hub.upload_folder(tmp_path, "a/b/c", message="Weights")
