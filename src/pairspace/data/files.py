"""Files opened and files written: compressed ones are read as they are, and nothing half-written is ever left.

Compression is recognised by the first bytes, not by the name. Arrow's own decompressors are used, so that its CSV
reader takes the stream without going through Python. A write goes to a temporary name in the same folder, reaches the
disk (fsync) and is then renamed: a reader sees the old file or the new one, also after a kill or a power cut.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TextIO, cast

import pyarrow as pa

from pairspace.errors import DataError, StorageError

__all__ = [
    "Closing",
    "atomic_file",
    "atomic_folder",
    "check_place",
    "create_binary",
    "default_cache_path",
    "open_arrow",
    "open_binary",
    "open_text",
    "plain_suffix",
]

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_BUFFER = 1 << 20


class Closing(ABC):
    """What holds files open until it is closed; a `with` block does so at its end."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the files; closing twice does no harm."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def plain_suffix(path: Path | str) -> str:
    """The suffix that says the format, in lower case: `.jsonl` of `pairs.JSONL.gz`."""
    suffixes = [s.lower() for s in Path(path).suffixes]
    while suffixes and suffixes[-1] in {".gz", ".zst", ".zstd"}:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def open_arrow(path: Path | str) -> pa.NativeFile:
    """An Arrow stream over the file's content, decompressed where it begins like gzip or zstd.

    Raises:
        DataError: the file does not exist, is a folder, or may not be read.
    """
    if Path(path).is_dir():
        raise DataError(f"{path}: is a folder, and a file is needed")
    try:
        file = pa.OSFile(str(path), "rb")
        start = file.read(4)
        file.seek(0)
    except OSError as error:
        raise DataError(f"{path}: {_reason(error, path)}") from error
    for magic, codec in _MAGIC.items():
        if start.startswith(magic):
            return pa.CompressedInputStream(file, codec)
    return file


def open_binary(path: Path | str) -> BinaryIO:
    """A buffered binary stream over the decompressed content. Errors as in `open_arrow`."""
    return cast(BinaryIO, io.BufferedReader(open_arrow(path), _BUFFER))


def open_text(path: Path | str, *, encoding: str = "utf-8-sig") -> TextIO:
    """A text stream over the decompressed content; a byte order mark at the start is dropped."""
    return io.TextIOWrapper(cast(io.BufferedReader, open_binary(path)), encoding=encoding, newline="")


def create_binary(path: Path | str, name: Path | str) -> BinaryIO:
    """A binary stream that writes to `path`, compressed if `name` ends in `.gz`, `.zst` or `.zstd`."""
    suffix = Path(name).suffix.lower()
    if suffix not in (".gz", ".zst", ".zstd"):
        return Path(path).open("wb")
    stream = pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "gzip" if suffix == ".gz" else "zstd")
    return cast(BinaryIO, io.BufferedWriter(stream, _BUFFER))


def check_place(path: Path | str) -> None:
    """See that a file may be written there, before the work that makes it.

    Raises:
        StorageError: the folder is missing, or a folder stands in the place of the file.
    """
    if not Path(path).absolute().parent.is_dir():
        raise StorageError(f"{path} could not be written: no such folder")
    if Path(path).is_dir():
        raise StorageError(f"{path} is a folder, and a file is to be written there: choose another name")


def default_cache_path() -> Path:
    """$PAIRSPACE_CACHE, or pairspace in $XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get("PAIRSPACE_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pairspace"


@contextmanager
def atomic_file(path: Path | str) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it becomes `path` when the block ends well.

    Any exception inside the block, Ctrl-C too, removes the temporary file and leaves `path` as it was.

    Raises:
        StorageError: the system refused a write (full disk, no permission, no such folder); names path and reason.
    """
    path = Path(path)
    with _storage_errors(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
    temporary = Path(name)
    try:
        with _storage_errors(path):
            temporary.chmod(0o666 & ~_umask())
            yield temporary
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: Path | str, overwrite: bool = False, *, marker: str | None = None) -> Iterator[Path]:
    """A temporary folder beside `path` to fill; it becomes `path` when the block ends well.

    Args:
        path: the folder to make. An empty one may exist already.
        overwrite: replace a folder that has content.
        marker: a file that the folder must hold to be replaced ("config.json"), so that a slip of the keyboard
            (`--output ~`) never deletes something else.

    Raises:
        StorageError: `path` exists and may not be replaced, or the system refused a write.
    """
    path = Path(path)
    _check_replaceable(path, overwrite, marker)
    with _storage_errors(path):
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.absolute().parent))
    try:
        with _storage_errors(path):
            temporary.chmod(0o777 & ~_umask())
            yield temporary
            for file in sorted(temporary.rglob("*")):
                sync(file)
            sync(temporary)
            _swap(temporary, path)
            sync(path.absolute().parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _check_replaceable(path: Path, overwrite: bool, marker: str | None) -> None:
    if path.exists() and not path.is_dir():
        raise StorageError(f"{path} is a file, and a folder is to be written there: choose another name")
    if path.is_dir() and any(path.iterdir()):
        if not overwrite:
            raise StorageError(f"{path} exists already: choose another name, or allow it to be overwritten")
        if marker is not None and not (path / marker).is_file():
            raise StorageError(f"{path} has content but no {marker}, so it is left alone: choose another name")


def _swap(temporary: Path, path: Path) -> None:
    """Put `temporary` in the place of `path`; what stood there before comes back if that fails."""
    if not path.exists():
        temporary.replace(path)
        return
    old = temporary.with_name(temporary.name + ".old")
    path.replace(old)
    try:
        temporary.replace(path)
    except BaseException:
        old.replace(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, have reached the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path} could not be written: {_reason(error, path)}; nothing was left behind") from error


def _reason(error: OSError, path: Path | str) -> str:
    """What the system said, without Arrow's preamble and without the path, which the message names already."""
    if isinstance(error, FileNotFoundError) and not Path(path).exists():
        return "no such file" if Path(path).absolute().parent.is_dir() else "no such folder"
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))
