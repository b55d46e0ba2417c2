"""Any of the formats as an Arrow table: the one door through which files come in.

The suffix decides the format (`.gz` and `.zst` are looked through); a folder is one that Hugging Face `datasets` saved,
or holds pictures.
A column may be reached inside an object or a map by a dot: `translation.de`, `names.fr`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pairspace.data.archives import read_tar, tar_columns
from pairspace.data.delimited import delimited_columns, read_delimited
from pairspace.data.files import plain_suffix
from pairspace.data.folders import folder_columns, read_folder
from pairspace.data.jsonl import jsonl_columns, read_jsonl
from pairspace.data.lines import read_lines
from pairspace.data.parquet import parquet_columns, read_parquet
from pairspace.data.saved import read_saved, saved_columns
from pairspace.data.source import Source, missing_column, tidy_types
from pairspace.data.unit_tables import read_tmx, read_translation, tmx_columns, translation_columns
from pairspace.errors import DataError

__all__ = ["column_names", "open_source", "read_table"]


class _Format(NamedTuple):
    read: Callable[..., Source]
    columns: Callable[[Path], list[str]]


_CSV = _Format(partial(read_delimited, tab=False), partial(delimited_columns, tab=False))
_TSV = _Format(partial(read_delimited, tab=True), partial(delimited_columns, tab=True))
_JSONL = _Format(read_jsonl, jsonl_columns)
_PARQUET = _Format(read_parquet, parquet_columns)
_SAVED = _Format(read_saved, saved_columns)
_FOLDER = _Format(read_folder, folder_columns)
_TRANSLATION = _Format(read_translation, translation_columns)
_FORMATS = {
    ".csv": _CSV,
    ".tsv": _TSV,
    ".tab": _TSV,
    ".jsonl": _JSONL,
    ".ndjson": _JSONL,
    ".json": _JSONL,
    ".parquet": _PARQUET,
    ".pq": _PARQUET,
    ".tar": _Format(read_tar, tar_columns),
    ".txt": _Format(read_lines, lambda path: ["text"]),
    ".tmx": _Format(read_tmx, tmx_columns),
    ".xlf": _TRANSLATION,
    ".xliff": _TRANSLATION,
    ".po": _TRANSLATION,
}


def read_table(path: Path | str, columns: Sequence[str] | None = None, skip_bad: bool = False) -> pa.Table:
    """The rows of a CSV, TSV, JSONL, Parquet, text, TMX, XLIFF or PO file, a tar archive, or a folder.

    Args:
        path: the file or folder; gzip and zstd are read as they are.
        columns: those to read, in this order; None for all. `a.b` reaches into objects and maps.
        skip_bad: leave out rows that cannot be read instead of stopping at the first.

    Returns:
        An Arrow table; text is large_string and bytes are large_binary, in every format. A text file has the column
        `text`; of archives and folders of pictures see `archives.py` and `folders.py`.

    Raises:
        DataError: no such file, unknown format, a missing column, or a row that cannot be read (file, line, reason).
    """
    return open_source(path, columns, skip_bad=skip_bad).table


def open_source(path: Path | str, columns: Sequence[str] | None = None, *, skip_bad: bool = False) -> Source:
    """As `read_table`, together with what says where a row stands and how many were left out."""
    path, reader = Path(path), _format(path).read
    if columns is None:
        return reader(path, None, skip_bad=skip_bad)
    if not any("." in name for name in columns):
        return reader(path, list(dict.fromkeys(columns)), skip_bad=skip_bad)
    return _reach_in(reader, path, columns, skip_bad)


def column_names(path: Path | str) -> list[str]:
    """The columns of a file, in its order, without reading all of it."""
    return _format(path).columns(Path(path))


def _format(path: Path | str) -> _Format:
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if path.is_dir():
        saved = (path / "state.json").is_file() or (path / "dataset_dict.json").is_file()
        return _SAVED if saved else _FOLDER
    if plain_suffix(path) not in _FORMATS:
        raise DataError(f"{path}: unknown format {plain_suffix(path)!r}; known are {', '.join(_FORMATS)} and folders")
    return _FORMATS[plain_suffix(path)]


def _reach_in(reader: Callable[..., Source], path: Path, columns: Sequence[str], skip_bad: bool) -> Source:
    """Columns named with a dot: a column of that very name if there is one, else a field of an object or map."""
    there = column_names(path)
    outer = [name if name in there else name.split(".")[0] for name in columns]
    source = reader(path, list(dict.fromkeys(outer)), skip_bad=skip_bad)
    arrays = [_field(path, source.table, name, column) for name, column in zip(columns, outer, strict=True)]
    table = tidy_types(pa.table(arrays, names=list(columns)))
    return Source(source.path, table, source.total, source.rows, source.line_of)


def _field(path: Path, table: pa.Table, name: str, outer: str) -> pa.ChunkedArray:
    column = table[outer]
    if name == outer:
        return column
    for key in name.removeprefix(f"{outer}.").split("."):
        if pa.types.is_map(column.type):
            column = pc.map_lookup(column, pa.scalar(key, column.type.key_type), "first")
        elif pa.types.is_struct(column.type):
            fields = [field.name for field in column.type]
            if key not in fields:
                raise missing_column(path, name, [f"{outer}.{field}" for field in fields])
            column = pc.struct_field(column, key)
        else:
            raise DataError(f"{path}: {name!r} reaches into column {outer!r}, but that holds {column.type}")
    return column
