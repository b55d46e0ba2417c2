"""Parquet, read one batch at a time and only the columns asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pairspace.data.files import open_arrow
from pairspace.data.source import Source, missing_column, tidy_types
from pairspace.errors import DataError

__all__ = ["parquet_columns", "read_parquet"]

_BATCH = 65536


def read_parquet(path: Path, columns: Sequence[str] | None, *, skip_bad: bool) -> Source:
    """A Parquet file; a compressed one (`.parquet.gz`) is held in memory while it is read.

    `skip_bad` changes nothing here: a Parquet file is whole or it is not.

    Raises:
        DataError: not Parquet, cut short, damaged, not UTF-8, or a column is missing.
    """
    del skip_bad
    row = 0
    try:
        file = _open(path)
        schema = file.schema_arrow
        for name in columns or ():
            if name not in schema.names:
                raise missing_column(path, name, schema.names)
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns])
        batches = []
        for batch in file.iter_batches(_BATCH, columns=None if columns is None else list(columns)):
            batches.append(tidy_types(pa.Table.from_batches([batch]).select(schema.names)))
            row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}{f', after row {row}' if row else ''}: {_explain(path, error)}") from error
    table = pa.concat_tables(batches) if batches else tidy_types(schema.empty_table())
    return Source(path, table.replace_schema_metadata(None), table.num_rows)


def parquet_columns(path: Path) -> list[str]:
    """The names in the footer."""
    try:
        return list(_open(path).schema_arrow.names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: {_explain(path, error)}") from error


def _open(path: Path) -> pq.ParquetFile:
    stream = open_arrow(path)
    return pq.ParquetFile(stream if stream.seekable() else pa.BufferReader(stream.read()))


def _explain(path: Path, error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "UTF8" in text:
        return f"text that is not UTF-8 ({text})"
    with open_arrow(path) as stream:
        start = stream.read(4)
    if not start:
        return "empty; a Parquet file was expected"
    if start != b"PAR1":
        return "not a Parquet file (it does not begin with PAR1)"
    return f"a truncated or damaged Parquet file ({text}); copy it again from where it came"
