"""JSON lines: one object a line, read by Arrow in blocks of 16 MiB.

Where Arrow refuses a block, its lines are read one by one in Python, which costs time only there and finds the line and
the reason. A column keeps the kind (text, number, list of text, ...) of its first value in the file: `{"title": 3}`
among strings is a mistake of that line, not of the file. Arrow would turn text that looks like a date into a date;
columns for which it does are read again as the text they are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json

from pairspace.data.lines import blocks_of_lines
from pairspace.data.source import Source, join_tables, missing_column, tidy_types
from pairspace.errors import DataError

__all__ = ["jsonl_columns", "read_jsonl"]

_NOTHING, _LIST, _EMPTY = "nothing", "a list of ", "a list of nothing"


def read_jsonl(path: Path, columns: Sequence[str] | None, *, skip_bad: bool) -> Source:
    """A file of JSON objects, one a line; blank lines do not count.

    Args:
        path: the file, possibly compressed.
        columns: those to keep; None for all. A column that some lines lack is null there.
        skip_bad: leave lines out that are no JSON object, not UTF-8, or of another kind than those before.

    Raises:
        DataError: a column that no line has, or a bad line (with its number and the reason).
    """
    reader = _Reader(path, None if columns is None else list(columns), skip_bad)
    tables = [reader.block(block) for block in blocks_of_lines(path)]
    if reader.total == 0:
        raise DataError(f"{path}: empty; JSON objects, one a line, were expected")
    for name in columns or ():
        if name not in reader.seen:
            raise missing_column(path, name, sorted(reader.seen))
    table = join_tables([table for table in tables if table.num_rows] or tables, path)
    table = tidy_types(table if columns is None else _with_all(table, columns))
    rows = np.delete(np.arange(reader.total), reader.bad) if reader.bad else None
    return Source(path, table, reader.total, rows, lambda row: _line_of(path, row))


def jsonl_columns(path: Path) -> list[str]:
    """The names that occur in the first 16 MiB."""
    reader = _Reader(path, None, skip_bad=True)
    return list(reader.block(next(blocks_of_lines(path), b"")).column_names)


class _Reader:
    """What must be remembered from one block to the next."""

    def __init__(self, path: Path, columns: list[str] | None, skip_bad: bool) -> None:
        self.path, self.columns, self.skip_bad = path, columns, skip_bad
        self.total, self.line = 0, 0  # records and lines so far
        self.bad: list[int] = []
        self.seen: set[str] = set()
        self.kinds: dict[str, str] = {}

    def block(self, block: bytes) -> pa.Table:
        if self.line == 0 and block.lstrip().startswith(b"["):
            raise DataError(
                f"{self.path}: a JSON array, and one object a line is needed (jq -c '.[]' old.json > new.jsonl)"
            )
        table = self._fast(block)
        if table is None:
            return self._slow(block)
        self.total += table.num_rows
        self.line += block.count(b"\n")
        return table

    def _fast(self, block: bytes) -> pa.Table | None:
        """The block through Arrow; None where a line of it must be looked at."""
        try:
            block.decode()
            table = _parse(block)
        except (pa.ArrowException, UnicodeDecodeError):
            return None
        if table.num_rows != sum(1 for line in block.split(b"\n") if line.strip()):
            return None  # two objects on a line
        kept = [name for name in table.column_names if self.columns is None or name in self.columns]
        kinds = {name: _kind_of_type(table.schema.field(name).type) for name in kept}
        if not all(self._agrees(name, kind) for name, kind in kinds.items()):
            return None
        self.seen.update(table.column_names)
        return table.select(kept)

    def _agrees(self, name: str, kind: str) -> bool:
        """Whether a value of this kind may stand in the column; the first that says anything decides."""
        known = self.kinds.get(name, _NOTHING)
        if known == _NOTHING or (known == _EMPTY and kind.startswith(_LIST)):
            self.kinds[name] = kind
            return True
        return kind in (known, _NOTHING) or (kind == _EMPTY and known.startswith(_LIST))

    def _slow(self, block: bytes) -> pa.Table:
        """The block line by line, for the line and the reason of what is wrong with it."""
        objects: list[dict[str, Any]] = []
        for line in block.removesuffix(b"\n").split(b"\n"):
            self.line += 1
            if not line.strip():
                continue
            found = self._object(line)
            if isinstance(found, dict):
                objects.append(found)
            elif self.skip_bad:
                self.bad.append(self.total)
            else:
                raise DataError(
                    f"{self.path}, line {self.line}: {found}; correct it, or leave such lines out with skip_bad=True "
                    "(--skip-bad)"
                )
            self.total += 1
        names = list(dict.fromkeys(name for found in objects for name in found))
        try:
            columns = {name: pa.array([found.get(name) for found in objects]) for name in names}
            return pa.table(columns) if names else pa.table({"": pa.nulls(len(objects))}).select([])
        except (pa.ArrowException, TypeError, OverflowError) as error:
            raise DataError(f"{self.path}, lines up to {self.line}: values of different types ({error})") from error

    def _object(self, line: bytes) -> dict[str, Any] | str:
        """The wanted columns of a line's object, or what is wrong with it."""
        try:
            found = json.loads(line.decode())
            line.decode().encode()
            json.dumps(found, ensure_ascii=False).encode()  # a lone surrogate cannot be stored
        except UnicodeDecodeError:
            return "not UTF-8"
        except UnicodeEncodeError:
            return "half of a surrogate pair (\\ud800 to \\udfff), which is no character"
        except ValueError as error:
            return f"broken JSON ({error})"
        if not isinstance(found, dict):
            return f"{_kind(found)} where an object is needed"
        self.seen.update(found)
        kept = {name: value for name, value in found.items() if self.columns is None or name in self.columns}
        for name, value in kept.items():
            kind = _kind(value)
            if not self._agrees(name, kind):
                return f"{name!r} is {kind}, and {self.kinds[name]} in the lines before"
        return kept


def _parse(block: bytes) -> pa.Table:
    options = pa.json.ReadOptions(use_threads=True, block_size=min(len(block) + 1, 2**31 - 1))
    table = pa.json.read_json(pa.BufferReader(block), read_options=options)
    wanted = pa.schema([pa.field(field.name, _without_dates(field.type)) for field in table.schema])
    if wanted.equals(table.schema):
        return table
    parse = pa.json.ParseOptions(explicit_schema=wanted)
    return pa.json.read_json(pa.BufferReader(block), read_options=options, parse_options=parse)


def _without_dates(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_without_dates(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, _without_dates(field.type)) for field in kind])
    return kind


def _kind(value: Any) -> str:
    if value is None:
        return _NOTHING
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, dict):
        return "an object"
    kinds = {_kind(item) for item in value} - {_NOTHING}
    return _LIST + (" and ".join(sorted(kinds)) or _NOTHING)


def _kind_of_type(kind: pa.DataType) -> str:
    if pa.types.is_null(kind):
        return _NOTHING
    if pa.types.is_boolean(kind):
        return "true or false"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "a number"
    if pa.types.is_struct(kind):
        return "an object"
    if pa.types.is_list(kind):
        return _LIST + _kind_of_type(kind.value_type)
    return "text"


def _with_all(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    for name in columns:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(table.num_rows, pa.large_string()))
    return table.select(list(columns))


def _line_of(path: Path, row: int) -> int | None:
    seen, number = -1, 0
    for block in blocks_of_lines(path):
        for line in block.removesuffix(b"\n").split(b"\n"):
            number += 1
            if line.strip():
                seen += 1
                if seen == row:
                    return number
    return None
