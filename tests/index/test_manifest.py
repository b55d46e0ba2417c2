from __future__ import annotations

import json

import pytest

from pairspace.errors import IndexingError
from pairspace.index import Manifest


def write(folder, **change):
    folder.mkdir(parents=True, exist_ok=True)
    Manifest({}, text={"language": "english"}).write(folder)
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    return path


def test_read_gives_what_was_written(tmp_path, space):
    manifest = Manifest({"dense": Manifest.note(space, "body", tmp_path)}, passages=True, store_text=False)
    manifest.write(tmp_path)
    assert Manifest.read(tmp_path) == manifest
    assert manifest.spaces["dense"].path is None
    assert set(manifest.versions) == {"pairspace", "qdrant-edge-py"}


def test_the_space_is_remembered_relative_to_the_index(tmp_path, make_space):
    note = Manifest.note(make_space(path=tmp_path / "spaces" / "a"), "body", tmp_path / "indexes" / "b")
    assert note.path == "../../spaces/a"
    assert note.folder(tmp_path / "indexes" / "b") == (tmp_path / "spaces" / "a").resolve()


def test_a_space_in_another_tree_is_remembered_as_it_is(tmp_path, make_space):
    assert Manifest.note(make_space(path="/elsewhere/space"), "body", tmp_path).path == "/elsewhere/space"


def test_no_folder_and_no_manifest(tmp_path):
    with pytest.raises(IndexingError, match="no such folder"):
        Manifest.read(tmp_path / "none")
    with pytest.raises(IndexingError, match=r"is not an index: it has no manifest\.json"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "\x80\xff", "[" * 5])
def test_a_garbled_manifest_says_so(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content, encoding="latin-1")
    with pytest.raises(IndexingError, match=r"manifest.json cannot be read"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "other"}, "not the manifest of a pairspace index"),
        ({"version": 99}, "has version 99; this pairspace reads version 1"),
        ({"spaces": {"dense": {"name": "x"}}}, "is damaged"),
        ({"spaces": 3}, "is damaged"),
        ({"more": 3}, "is damaged"),
    ],
)
def test_another_format_version_or_content_is_refused(tmp_path, change, words):
    write(tmp_path, **change)
    with pytest.raises(IndexingError, match=words):
        Manifest.read(tmp_path)
