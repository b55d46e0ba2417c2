"""A space goes to a hub as the folder it would be here, and comes back from a snapshot of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest

from pairspace.errors import SpaceError
from pairspace.space import Space
from pairspace.space.hub import local_folder

pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub in a folder: what was asked of it, and the last folder that was sent."""
    calls = []

    class Api:
        endpoint = "https://hub.example"

        def __init__(self, token=None):
            calls.append(("login", token))

        def create_repo(self, repo_id, *, private, exist_ok):
            calls.append(("create", repo_id, private, exist_ok))
            return SimpleNamespace(repo_id=repo_id if "/" in repo_id else f"me/{repo_id}")

        def upload_folder(self, *, repo_id, folder_path, commit_message, delete_patterns):
            calls.append(("upload", repo_id, commit_message, delete_patterns))
            shutil.copytree(folder_path, tmp_path / "hub" / repo_id)

    def snapshot_download(repo_id, *, revision, token):
        calls.append(("fetch", repo_id, revision, token))
        if not (tmp_path / "hub" / repo_id).is_dir():
            raise OSError("404: repository not found")
        return str(tmp_path / "hub" / repo_id)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return calls


@pytest.fixture
def space(mean) -> Space:
    return Space.create(("title", "body"), encoder=mean, layers="last", device="cpu", cache=False, name="packages")


def test_sent_and_fetched_it_is_the_same_space(hub, space):
    assert space.push_to_hub("people/packages", private=True, token="secret") == "https://hub.example/people/packages"
    again = Space.from_pretrained("people/packages", revision="v1", token="other", device="cpu", cache=False)
    assert again.fingerprint == space.fingerprint
    np.testing.assert_allclose(again.encode_query(["a red fox"]), space.encode_query(["a red fox"]), atol=1e-6)
    assert hub == [
        ("login", "secret"),
        ("create", "people/packages", True, True),
        ("upload", "people/packages", "Add the space packages", ["encoders/*", "modules/*"]),
        ("fetch", "people/packages", "v1", "other"),
    ]
    assert space.path is None and again.path is None  # no folder here is the space's own


def test_a_name_without_organisation_is_put_under_the_users_own(hub, space, tmp_path):
    assert space.push_to_hub("packages", commit_message="First") == "https://hub.example/me/packages"
    assert ("upload", "me/packages", "First", ["encoders/*", "modules/*"]) in hub
    names = {path.name for path in (tmp_path / "hub/me/packages").iterdir()}
    assert {"config.json", "projectors.safetensors", "README.md", "modules.json", "encoders", "modules"} <= names


def test_what_the_hub_says_is_passed_on_with_what_to_do(hub, space, monkeypatch):
    def refuse(self, *arguments, **options):
        raise OSError("401 Unauthorized:\n  invalid username or password")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refuse)
    with pytest.raises(SpaceError, match=r"people/packages: .*401 Unauthorized: invalid username.*hf auth login"):
        space.push_to_hub("people/packages")


def test_a_name_that_is_nowhere(hub):
    with pytest.raises(SpaceError, match=r"people/nothing: no such folder here.*404"):
        Space.from_pretrained("people/nothing")
    assert hub == [("fetch", "people/nothing", None, None)]


def test_a_folder_here_is_never_asked_of_the_hub_and_has_no_revisions(hub, space, tmp_path, monkeypatch):
    space.save_pretrained(tmp_path / "people/packages")
    monkeypatch.chdir(tmp_path)
    assert local_folder("people/packages") == Path("people/packages")
    assert Space.from_pretrained("people/packages", device="cpu").fingerprint == space.fingerprint
    with pytest.raises(SpaceError, match="a folder here has no revisions"):
        Space.from_pretrained("people/packages", revision="v1")
    assert hub == []


def test_the_stub_has_the_arguments_of_the_real_hub():
    import inspect

    for name, wanted in (
        ("create_repo", {"private", "exist_ok"}),
        ("upload_folder", {"repo_id", "folder_path", "commit_message", "delete_patterns"}),
    ):
        assert wanted <= set(inspect.signature(getattr(huggingface_hub.HfApi, name)).parameters)
    assert {"revision", "token"} <= set(inspect.signature(huggingface_hub.snapshot_download).parameters)
