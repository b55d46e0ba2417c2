from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from pairspace.data.files import (
    atomic_file,
    atomic_folder,
    default_cache_path,
    open_binary,
    open_text,
    plain_suffix,
)
from pairspace.errors import DataError, StorageError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_suffix_looks_through_compression():
    assert [plain_suffix(name) for name in ("a.csv", "a.JSONL.gz", "a.b.tsv.zst", "plain")] == [
        ".csv",
        ".jsonl",
        ".tsv",
        "",
    ]


@pytest.mark.parametrize("pack", [lambda b: b, gzip.compress, lambda b: pa.Codec("zstd").compress(b, asbytes=True)])
def test_compression_is_known_by_its_first_bytes_not_by_the_name(tmp_path, pack):
    (tmp_path / "file").write_bytes(pack("grün\nblau\n".encode()))
    with open_binary(tmp_path / "file") as file:
        assert file.read() == "grün\nblau\n".encode()
    with open_text(tmp_path / "file") as file:
        assert list(file) == ["grün\n", "blau\n"]


def test_opening_what_is_not_there_names_it(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.csv: no such file"):
        open_binary(tmp_path / "nothing.csv")
    with pytest.raises(DataError, match="is a folder"):
        open_binary(tmp_path)


def test_an_atomic_file_appears_only_when_the_block_ends(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with atomic_file(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
        assert temporary.parent == tmp_path
    assert target.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error), atomic_file(target) as temporary:
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_is_a_storage_error_that_names_the_file(tmp_path):
    message = r"a\.txt could not be written: No space left on device"
    with pytest.raises(StorageError, match=message), atomic_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")
    assert names(tmp_path) == []


def test_a_device_that_is_really_full_is_reported_too(tmp_path):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(StorageError, match="No space left"), atomic_file(tmp_path / "a.txt"), full.open("w") as file:
        file.write("x")
        file.flush()


def test_a_missing_folder_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="no such folder"), atomic_file(tmp_path / "none" / "a.txt"):
        pass


def test_a_written_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "plain").write_text("")
    with atomic_file(tmp_path / "a") as temporary:
        temporary.write_text("x")
    with atomic_folder(tmp_path / "f"):
        pass
    (tmp_path / "g").mkdir()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert (tmp_path / "f").stat().st_mode == (tmp_path / "g").stat().st_mode


def test_an_atomic_folder_replaces_the_old_one_whole(tmp_path):
    target = tmp_path / "space"
    with atomic_folder(target) as temporary:
        (temporary / "config.json").write_text("1")
        (temporary / "old").write_text("")
        assert not target.exists()
    with atomic_folder(target, overwrite=True) as temporary:
        (temporary / "config.json").write_text("2")
    assert names(target) == ["config.json"]
    assert (target / "config.json").read_text() == "2"
    assert names(tmp_path) == ["space"]


def test_an_atomic_folder_that_failed_leaves_the_old_one(tmp_path):
    target = tmp_path / "space"
    target.mkdir()
    (target / "config.json").write_text("1")
    with pytest.raises(KeyboardInterrupt), atomic_folder(target, overwrite=True) as temporary:
        (temporary / "config.json").write_text("2")
        raise KeyboardInterrupt
    assert (target / "config.json").read_text() == "1"
    assert names(tmp_path) == ["space"]


def test_a_folder_with_content_is_replaced_only_when_allowed_and_only_if_it_is_one_of_ours(tmp_path):
    target = tmp_path / "home"
    target.mkdir()
    (target / "thesis.txt").write_text("years of work")
    with pytest.raises(StorageError, match="exists already"), atomic_folder(target):
        pass
    with pytest.raises(StorageError, match=r"no config\.json"), atomic_folder(target, True, marker="config.json"):
        pass
    with pytest.raises(StorageError, match="is a file"), atomic_folder(target / "thesis.txt", True):
        pass
    assert names(target) == ["thesis.txt"]


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "new").mkdir()
    with atomic_folder(tmp_path / "new") as temporary:
        (temporary / "x").write_text("")
    assert names(tmp_path / "new") == ["x"]


def test_the_old_folder_comes_back_when_the_last_rename_fails(tmp_path, monkeypatch):
    target = tmp_path / "space"
    target.mkdir()
    (target / "config.json").write_text("1")
    rename = Path.replace

    def refuse(self, to):
        if self.suffix == ".tmp":
            raise OSError(28, "No space left on device")
        return rename(self, to)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StorageError, match="No space left"), atomic_folder(target, overwrite=True):
        pass
    assert (target / "config.json").read_text() == "1"
    assert names(tmp_path) == ["space"]


def test_where_the_cache_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("PAIRSPACE_CACHE", str(tmp_path / "own"))
    assert default_cache_path() == tmp_path / "own"
    monkeypatch.delenv("PAIRSPACE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_path() == tmp_path / "pairspace"
