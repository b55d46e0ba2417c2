"""What a format's reader hands on: a table, which rows of the file they are, and how to say where a row stands.

Row numbers count the records of the file from 0, broken ones included, so that features given in row order still fit
when bad rows were left out. Lines are found only when a message needs one, by going through the file once more: keeping
a line number for each of ten million rows would cost memory for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairspace.errors import DataError

__all__ = ["Source", "join_tables", "missing_column", "text_column", "tidy_types"]


@dataclass(frozen=True)
class Source:
    """One file, read.

    Attributes:
        path: where it was read from.
        table: the columns asked for; text is large_string, bytes large_binary, whatever the file said.
        total: records in the file, broken ones included.
        rows: record number of each row of `table` (int64), or None when nothing was left out.
        line_of: record number -> line (from 1) in the file; None for formats without lines.
    """

    path: Path
    table: pa.Table
    total: int
    rows: np.ndarray | None = None
    line_of: Callable[[int], int | None] | None = None

    @property
    def skipped(self) -> int:
        """Records that could not be read and were left out."""
        return self.total - int(self.table.num_rows)

    @property
    def row_numbers(self) -> np.ndarray:
        """Record number of each row (int64)."""
        return np.arange(self.table.num_rows, dtype=np.int64) if self.rows is None else self.rows

    def place(self, row: int) -> str:
        """Where record number `row` stands, in words: `pairs.csv, line 17` or `pairs.parquet, row 15 (from 0)`."""
        line = None if self.line_of is None else self.line_of(row)
        return f"{self.path}, row {row} (from 0)" if line is None else f"{self.path}, line {line}"


def tidy_types(table: pa.Table) -> pa.Table:
    """The same table with text as large_string and bytes as large_binary; dictionaries are decoded.

    Raises:
        pa.ArrowInvalid: text that is not UTF-8.
    """
    for position, field in enumerate(table.schema):
        wanted = _tidy_type(field.type)
        column = table.column(position)
        if not wanted.equals(field.type):
            column = column.cast(wanted)
            table = table.set_column(position, field.name, column)
        if pa.types.is_large_string(wanted):
            column.validate(full=True)
    return table


def _tidy_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _tidy_type(kind.value_type)
    if pa.types.is_string(kind) or pa.types.is_string_view(kind) or pa.types.is_null(kind):
        return pa.large_string()
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind) or pa.types.is_binary_view(kind):
        return pa.large_binary()
    return kind


def join_tables(tables: Sequence[pa.Table], path: Path | str) -> pa.Table:
    """One table of many; whole numbers widen to fractions, missing columns become nulls.

    Raises:
        DataError: a column is of different kinds in different parts.
    """
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"{path}: a column has different types in different parts ({error})") from error


def text_column(column: pa.ChunkedArray, what: str) -> pa.ChunkedArray:
    """Text or whole numbers as large_string; nulls stay.

    Raises:
        DataError: the column holds something else.
    """
    if pa.types.is_large_string(column.type):
        return column
    if pa.types.is_string(column.type) or pa.types.is_integer(column.type) or pa.types.is_null(column.type):
        return column.cast(pa.large_string())
    if pa.types.is_dictionary(column.type):
        return text_column(pc.cast(column, column.type.value_type), what)
    raise DataError(f"{what} holds {column.type}, and text or whole numbers are needed")


def missing_column(path: Path | str, wanted: str, columns: Sequence[str], hint: str = "") -> DataError:
    """The error for a column that is not there, listing those that are."""
    there = ", ".join(columns) or "none"
    return DataError(f"{path}: no column {wanted!r}; its columns are: {there}{'. ' + hint if hint else ''}")
