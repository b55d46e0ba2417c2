"""A folder of pictures as a table: every picture in it and below it, in natural order (`2.png` before `10.png`).

Columns: `image` (the path), `id` (the path within the folder), `folder` (the folder it lies in, within the first), and
`text` where a file of the same name with the suffix `.txt` lies beside a picture.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from pairspace.data.pictures import PICTURE_SUFFIXES
from pairspace.data.source import Source, missing_column
from pairspace.errors import DataError

__all__ = ["folder_columns", "natural", "read_folder"]

_NUMBER = re.compile(r"(\d+)")


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts numbers within names by their value."""
    return [(0, int(part), part) if part.isdigit() else (1, 0, part) for part in _NUMBER.split(name)]


def folder_columns(path: Path) -> list[str]:
    """The columns a folder of pictures has."""
    found = _pictures(path)
    captions = any((path / name).with_suffix(".txt").is_file() for name in found)
    return ["image", "id", "folder", *(["text"] if captions else [])]


def read_folder(path: Path, columns: Sequence[str] | None, *, skip_bad: bool) -> Source:
    """See the module docstring.

    Raises:
        DataError: no pictures there, a column is missing, or a caption is not UTF-8.
    """
    there, names = folder_columns(path), _pictures(path)
    for name in columns or ():
        if name not in there:
            raise missing_column(path, name, there)
    wanted = there if columns is None else list(columns)
    values: dict[str, list[str | None]] = {
        "image": [str(path / name) for name in names],
        "id": [*names],
        "folder": [name.rpartition("/")[0] for name in names],
    }
    if "text" in wanted:
        values["text"] = [_caption((path / name).with_suffix(".txt"), skip_bad) for name in names]
    table = pa.table({name: pa.array(values[name], pa.large_string()) for name in wanted})
    return Source(path, table, len(names))


def _pictures(folder: Path) -> list[str]:
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        here = Path(root).relative_to(folder)
        found += [
            (here / name).as_posix()
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES
        ]
    if not found:
        raise DataError(
            f"{folder}: a folder without state.json, and without pictures; a folder written by datasets' save_to_disk, "
            f"or one of pictures ({', '.join(sorted(PICTURE_SUFFIXES)[:6])}, ...) was expected"
        )
    return sorted(found, key=natural)


def _caption(path: Path, skip_bad: bool) -> str | None:
    try:
        return path.read_text("utf-8-sig").strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        if skip_bad:
            return None
        raise DataError(f"{path}: not UTF-8; convert it (iconv -t UTF-8), or --skip-bad") from None
