"""Pairs written to a file that `read_pairs` reads: Parquet or JSONL, as the suffix says.

Every side is a column of its name; `id`, `group`, `score` and `negatives` follow where the pairs have them. The rows'
numbers are not written: they count the rows of the file that the pairs came from.
"""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pairspace.data.files import atomic_file
from pairspace.data.pairs import Pairs
from pairspace.errors import DataError, StorageError

__all__ = ["check_pairs_path", "write_pairs"]

_BATCH = 8192


def check_pairs_path(path: Path | str) -> Path:
    """See that pairs can be written there, before the work that makes them.

    Raises:
        DataError: the suffix is neither `.parquet` nor `.jsonl`.
        StorageError: the folder is missing, or a folder stands in the place of the file.
    """
    path = Path(path)
    if path.suffix.lower() not in (".parquet", ".jsonl"):
        raise DataError(
            f"{path}: pairs are written as .parquet or .jsonl, and the suffix is {path.suffix or 'missing'!r}"
        )
    if not path.absolute().parent.is_dir():
        raise StorageError(f"{path} could not be written: no such folder")
    if path.is_dir():
        raise StorageError(f"{path} is a folder, and a file is to be written there: choose another name")
    return path


def write_pairs(path: Path | str, pairs: Pairs) -> None:
    """Write pairs; an existing file is replaced at once or not at all.

    Read them again with `read_pairs(path, pairs.sides, negatives="negatives", ...)`, naming the columns that are there.

    Args:
        path: ends in `.parquet` or `.jsonl`.
        pairs: items that are bytes need Parquet.

    Raises:
        DataError: an unknown suffix, or bytes for JSONL.
        StorageError: the file could not be written.
    """
    path = check_pairs_path(path)
    table = pairs.table.drop_columns(["row"])
    lines = path.suffix.lower() == ".jsonl"
    if lines:
        for side in pairs.sides:
            if pa.types.is_large_binary(table[side].type):
                raise DataError(f"{path}: side {side!r} holds bytes, which JSONL cannot carry: write .parquet")
    with atomic_file(path) as temporary:
        if lines:
            _write_lines(temporary, table)
        else:
            pq.write_table(table, temporary)


def _write_lines(path: Path, table: pa.Table) -> None:
    with path.open("w", encoding="utf-8") as file:
        for batch in table.to_batches(_BATCH):
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in batch.to_pylist())
