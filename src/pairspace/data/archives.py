"""Tar archives of pictures and what belongs to them, as WebDataset writes them: read where they lie.

    0001.jpg  0001.txt  0001.json        one row: image, text, json (an object), and key "0001"

Nothing is unpacked. A member is named by a path that leads through the archive (`shard.tar/0001.jpg`), its place is
looked up once for each archive, and its bytes are read when the picture is wanted. A compressed archive has no places
to go to, so it is refused.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pairspace.data.source import Source, missing_column, tidy_types
from pairspace.errors import DataError

__all__ = ["find_member", "has_member", "read_member", "read_tar", "tar_columns"]

_COLUMNS = {"txt": "text", "caption": "text"}
_PICTURES = frozenset(["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm", "pgm", "avif", "jp2"])


def find_member(path: str | Path) -> tuple[Path, str] | None:
    """The archive and the member's name, where a path leads through a tar archive; else None."""
    text = str(path)
    if ".tar/" not in text.lower().replace("\\", "/"):
        return None
    for parent in Path(text).parents:
        if parent.suffix.lower() == ".tar" and parent.is_file():
            return parent, Path(text).relative_to(parent).as_posix()
    return None


def has_member(archive: Path, name: str) -> bool:
    """Whether the archive has this file."""
    return name in _places(archive)


def read_member(archive: Path, name: str) -> bytes:
    """The bytes of a member.

    Raises:
        DataError: the archive has no such member, or is damaged.
    """
    places = _places(archive)
    if name not in places:
        raise DataError(f"{archive}/{name}: the archive has no such member")
    start, size = places[name]
    with archive.open("rb") as file:
        file.seek(start)
        content = file.read(size)
    if len(content) != size:
        raise DataError(f"{archive}/{name}: the archive is cut short")
    return content


def _places(archive: Path) -> dict[str, tuple[int, int]]:
    status = archive.stat()
    return _read_places(archive, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _read_places(archive: Path, changed: int, size: int) -> dict[str, tuple[int, int]]:
    """Where each file of an archive begins, and its size; an archive that was changed is read anew."""
    del changed
    found = {}
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                if member.isreg():
                    found[member.name.removeprefix("./")] = member.offset_data, member.size
                    if member.offset_data + member.size > size:
                        raise tarfile.ReadError(f"{member.name} is cut short")
    except (tarfile.TarError, OSError) as error:
        with archive.open("rb") as file:
            packed = file.read(4).startswith((b"\x1f\x8b", b"\x28\xb5", b"BZh", b"\xfd7zX"))
        why = "a compressed archive; decompress it first (pictures are compressed already)" if packed else str(error)
        raise DataError(f"{archive}: not a readable tar archive ({why})") from None
    return found


def _groups(archive: Path) -> dict[str, dict[str, str]]:
    """Key -> column -> member; what stands before the first dot of a file's name is the key."""
    groups: dict[str, dict[str, str]] = {}
    for name in _places(archive):
        folder, _, base = name.rpartition("/")
        stem, dot, suffix = base.partition(".")
        if not dot or not stem:
            continue  # hidden files, and files without a kind
        suffix = suffix.lower()
        column = _COLUMNS.get(suffix, suffix)
        if suffix.rpartition(".")[2] in _PICTURES:
            column = suffix.rpartition(".")[0] or "image"  # of `0001.left.png` it is "left"
        own = groups.setdefault(f"{folder}/{stem}" if folder else stem, {})
        own.setdefault(column, name)
    if not groups:
        raise DataError(f"{archive}: an archive without files")
    return groups


def tar_columns(path: Path) -> list[str]:
    """`key`, then the columns of its members."""
    return ["key", *dict.fromkeys(column for own in _groups(path).values() for column in own)]


def read_tar(path: Path, columns: Sequence[str] | None, *, skip_bad: bool) -> Source:
    """An archive as a table: `key`, `image` (paths through the archive), `text`, `json`, and others by their suffix.

    Raises:
        DataError: not a tar archive, a column is missing, or a text or JSON member cannot be read.
    """
    groups, there = _groups(path), tar_columns(path)
    for name in columns or ():
        if name not in there:
            raise missing_column(path, name, there)
    wanted = there if columns is None else list(columns)
    rows: list[dict[str, Any]] = []
    kept = []
    for number, (key, own) in enumerate(groups.items()):
        try:
            rows.append({name: key if name == "key" else _value(path, name, own.get(name)) for name in wanted})
            kept.append(number)
        except DataError:
            if not skip_bad:
                raise
    if not rows:
        raise DataError(f"{path}: nothing in it can be read")
    try:
        table = tidy_types(pa.table({name: pa.array([row[name] for row in rows]) for name in wanted}))
    except pa.ArrowException as error:
        raise DataError(f"{path}: members of one kind hold different things ({error})") from None
    return Source(path, table, len(groups), np.asarray(kept, np.int64) if len(kept) < len(groups) else None)


def _value(archive: Path, column: str, member: str | None) -> Any:
    if member is None:
        return None
    if member.rpartition(".")[2].lower() in _PICTURES:
        return f"{archive}/{member}"
    content = read_member(archive, member)
    try:
        text = content.decode("utf-8-sig")
        return json.loads(text) if column == "json" else text.strip()
    except UnicodeDecodeError:
        if column in ("json", "text"):
            raise DataError(f"{archive}/{member}: not UTF-8") from None
        return content
    except ValueError as error:
        raise DataError(f"{archive}/{member}: not valid JSON ({error})") from None
