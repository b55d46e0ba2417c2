"""CSV and TSV, read by Arrow in blocks of 16 MiB.

The first line names the columns. CSV follows RFC 4180: fields in double quotes may hold commas and line breaks; a
header without a comma but with semicolons or tabs is read with those. TSV follows IANA's text/tab-separated-values: no
quoting at all, because raw corpora are full of lone quotation marks, and one must not swallow the lines after it.

Every field is read as bytes and then checked to be UTF-8, so that one wrongly encoded field costs one row and not the
file. A column becomes numbers only where nothing is lost by it: every value must print back as it stood (so `007` and
`1.10` stay text). Empty fields of text columns are empty strings, not nulls: the word `NA` is a word.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pairspace.data.files import open_arrow, open_binary, open_text
from pairspace.data.source import Source, missing_column
from pairspace.errors import DataError

__all__ = ["delimited_columns", "read_delimited"]

_BLOCK = 1 << 24


def read_delimited(path: Path, columns: Sequence[str] | None, *, tab: bool, skip_bad: bool) -> Source:
    """A CSV (`tab=False`) or TSV file.

    Args:
        path: the file, possibly compressed.
        columns: those to keep; None for all.
        tab: tab-separated without quoting.
        skip_bad: leave rows out that have too many or too few fields or are not UTF-8.

    Raises:
        DataError: no header, a column missing or named twice, a ragged or wrongly encoded row (with its line).
    """
    header, delimiter = _header(path, tab)
    kept = list(header) if columns is None else list(columns)
    for name in kept:
        if name not in header:
            raise missing_column(path, name, header)

    def line_of(row: int) -> int | None:
        return _line_of(path, row, delimiter, tab)

    ragged: list[tuple[int, int]] = []  # record number and fields of each row left out
    tables, bad = [], []
    start = 0
    for batch in _batches(path, kept, delimiter, tab, ragged, skip_bad, line_of, len(header)):
        table, undecodable = _decode(batch)
        if len(undecodable):
            row = _record_number(start + int(undecodable[0]), ragged)
            if not skip_bad:
                raise DataError(
                    f"{path}, line {line_of(row)}: not UTF-8; convert the file (iconv -t UTF-8), or {_SKIP}"
                )
            bad.append(start + undecodable)
        tables.append(table)
        start += batch.num_rows
    table = pa.concat_tables(tables) if tables else pa.table({n: pa.array([], pa.large_string()) for n in kept})
    total = start + len(ragged)
    rows = None
    if ragged or bad:
        numbers = np.setdiff1d(np.arange(total), [row for row, _ in ragged], assume_unique=True)
        rows = np.delete(numbers, np.concatenate(bad)) if bad else numbers
    return Source(path, _numbers(table), total, rows, line_of)


def delimited_columns(path: Path, *, tab: bool) -> list[str]:
    """The names on the first line."""
    return _header(path, tab)[0]


_SKIP = "leave such rows out with skip_bad=True (--skip-bad)"


def _header(path: Path, tab: bool) -> tuple[list[str], str]:
    try:
        with open_binary(path) as file:
            first = next((line for line in file if line.strip()), b"")
    except OSError as error:
        raise DataError(f"{path}: {error}") from error
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}, line 1: UTF-16, and UTF-8 is needed (iconv -f UTF-16 -t UTF-8)")
    try:
        text = first.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}, line 1: not UTF-8; convert the file (iconv -t UTF-8)") from error
    if not text.strip():
        raise DataError(f"{path}: empty; the first line must name the columns")
    delimiter = "\t" if tab else ","
    if not tab and "," not in text:
        delimiter = next((d for d in ";\t" if d in text), ",")
    header = text.split("\t") if tab else next(csv.reader([text], delimiter=delimiter))
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}, line 1: two columns are named {twice!r}")
    return header, delimiter


def _batches(
    path: Path,
    kept: list[str],
    delimiter: str,
    tab: bool,
    ragged: list[tuple[int, int]],
    skip_bad: bool,
    line_of: Any,
    width: int,
) -> Iterator[pa.RecordBatch]:
    def on_ragged(row: Any) -> str:
        ragged.append((row.number - 2, row.actual_columns))  # Arrow counts from 1 and the header too
        return "skip" if skip_bad else "error"

    parse = pa.csv.ParseOptions(
        delimiter=delimiter,
        quote_char=False if tab else '"',
        double_quote=not tab,
        newlines_in_values=not tab,
        invalid_row_handler=on_ragged,
    )
    convert = pa.csv.ConvertOptions(
        column_types=dict.fromkeys(kept, pa.large_binary()),
        include_columns=kept,
        strings_can_be_null=False,
        check_utf8=False,
    )
    read = pa.csv.ReadOptions(use_threads=False, block_size=_BLOCK)
    try:
        yield from pa.csv.open_csv(open_arrow(path), read_options=read, parse_options=parse, convert_options=convert)
    except (pa.ArrowException, OSError) as error:
        if ragged and not skip_bad:
            row, fields = ragged[0]
            quoting = " (TSV is read without quoting; a file with quoted tabs belongs in .csv)" if tab else ""
            found = f"{fields} field{'s' if fields != 1 else ''} where the header names {width}"
            raise DataError(f"{path}, line {line_of(row)}: {found}{quoting}; correct it, or {_SKIP}") from error
        if "Empty CSV" in str(error):
            return
        raise DataError(f"{path}: {error}") from error


def _decode(batch: pa.RecordBatch) -> tuple[pa.Table, np.ndarray]:
    """The batch as text, and the rows (within it) that were left out because a field is not UTF-8."""
    table = pa.Table.from_batches([batch])
    wanted = pa.schema([(name, pa.large_string()) for name in table.column_names])
    try:
        return table.cast(wanted), np.array([], dtype=np.int64)
    except pa.ArrowInvalid:
        bad = set()
        for name in table.column_names:
            for row, value in enumerate(table[name]):
                try:
                    value.as_py().decode()
                except UnicodeDecodeError:
                    bad.add(row)
        undecodable = np.array(sorted(bad), dtype=np.int64)
        good = np.setdiff1d(np.arange(len(table)), undecodable, assume_unique=True)
        return table.take(good).cast(wanted), undecodable


def _record_number(position: int, ragged: list[tuple[int, int]]) -> int:
    """The record number of the row at `position` among those that Arrow kept."""
    for row, _ in ragged:
        if row > position:
            break
        position += 1
    return position


def _numbers(table: pa.Table) -> pa.Table:
    """Columns of whole or fractional numbers as such, where every value prints back as it stood."""
    for position, name in enumerate(table.column_names):
        column = table.column(position)
        for kind in (pa.int64(), pa.float64()):
            if _round_trips(column.slice(0, 1000), kind) and _round_trips(column, kind):
                table = table.set_column(position, name, _as_number(column, kind))
                break
    return table


def _as_number(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    return pc.if_else(pc.equal(column, ""), None, column).cast(kind)


def _round_trips(column: pa.ChunkedArray, kind: pa.DataType) -> bool:
    try:
        numbers = _as_number(column, kind)
    except pa.ArrowInvalid:
        return False
    if numbers.null_count == len(numbers):
        return False
    return bool(pc.all(pc.equal(pc.fill_null(numbers.cast(pa.large_string()), ""), column)).as_py())


def _line_of(path: Path, row: int, delimiter: str, tab: bool) -> int | None:
    """The line (from 1) on which record `row` begins, by reading the file once more; latin-1 never fails."""
    csv.field_size_limit(sys.maxsize)
    with open_text(path, encoding="latin-1") as file:
        reader = csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE if tab else csv.QUOTE_MINIMAL)
        seen, before = -2, 0
        for record in reader:
            if record:
                seen += 1
                if seen == row:
                    return before + 1
            before = reader.line_num
    return None
