"""Translators' files as tables, for pairs: TMX with a column a language, XLIFF and PO with `source` and `target`.

Records are what is translated: of XLIFF and PO the units whose state is "translated", of TMX those that have all the
languages asked for. Other units are no records, good or bad, and do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from pairspace.data.source import Source, missing_column
from pairspace.data.tmx import tmx_properties
from pairspace.data.translations import scan_units
from pairspace.data.units import Unit, column_of_language, find_language, same_language
from pairspace.errors import DataError

__all__ = ["read_tmx", "read_translation", "tmx_columns", "translation_columns"]

_BATCH = 1 << 16
_FIXED = ("id", "source", "target", "state", "context")
_SCORE = "score"

Row = Callable[[Unit], list[str | None] | None]


def read_tmx(path: Path, columns: Sequence[str] | None, *, skip_bad: bool) -> Source:
    """A memory: `id` (tuid, or the number of the unit), each language, and each type of `<prop>`; `score` as numbers.

    Args:
        path: the file.
        columns: those to keep; None for all. A language may be named in any way that finds it: `en`, `en-US`.
        skip_bad: leave out units that cannot be read. Invalid XML stops in any case.

    Raises:
        DataError: a column that is not there, a broken unit, or invalid XML (with its line).
    """
    languages, properties = tmx_properties(path)
    names = tmx_columns(path) if columns is None else list(columns)
    codes = {name: _code(path, name, languages, properties) for name in names}

    def row(unit: Unit) -> list[str | None] | None:
        values = [_tmx_value(unit, name, codes[name]) for name in names]
        lacking = any(value is None and codes[name] for name, value in zip(names, values, strict=True))
        return None if lacking and columns is not None else values

    source = _table(path, names, row, skip_bad)
    if _SCORE not in names or codes[_SCORE]:
        return source
    place = names.index(_SCORE)
    table = source.table.set_column(place, _SCORE, _numbers(source.table[_SCORE]))
    return Source(source.path, table, source.total, source.rows, source.line_of)


def read_translation(path: Path, columns: Sequence[str] | None, *, skip_bad: bool) -> Source:
    """An XLIFF or PO file: `id`, `source`, `target`, `state`, `context`, and the two languages, where it says which.

    Arguments and errors as in `read_tmx`.
    """
    there: list[str] = []
    names = translation_columns(path) if columns is None else list(columns)

    def row(unit: Unit) -> list[str | None] | None:
        for code in (unit.source_language, unit.target_language):
            if code and code not in there:
                there.append(code)
        if unit.state != "translated":
            return None
        values = [_value(unit, name) for name in names]
        return None if None in values else values

    source = _table(path, names, row, skip_bad)
    for name in names:
        if name not in _FIXED and not _is_language(name, there):
            raise missing_column(path, name, [*_FIXED, *(column_of_language(code, there) for code in there)])
    return source


def tmx_columns(path: Path) -> list[str]:
    """The columns of a memory; languages by their primary tag (`en` for `en-US`) where no other has the same."""
    languages, properties = tmx_properties(path)
    codes = [column_of_language(code, languages) for code in languages]
    return ["id", *codes, *(name for name in properties if name not in ("id", *codes))]


def translation_columns(path: Path) -> list[str]:
    """The columns of an XLIFF or PO file, with the languages of its first unit."""
    first = next((unit for unit in scan_units(path) if isinstance(unit, Unit)), None)
    codes = [] if first is None else [code for code in (first.source_language, first.target_language) if code]
    return [*_FIXED, *(column_of_language(code, codes) for code in codes)]


def _table(path: Path, names: list[str], row: Row, skip_bad: bool) -> Source:
    """The rows of all units, in batches."""
    lines, bad = list[int](), list[int]()
    arrays: list[list[pa.Array]] = [[] for _ in names]
    for batch in _batches(path, row, lines, bad, skip_bad):
        for column, values in zip(arrays, zip(*batch, strict=True), strict=True):
            column.append(pa.array(values, pa.large_string()))
    columns = {name: pa.chunked_array(parts, pa.large_string()) for name, parts in zip(names, arrays, strict=True)}
    places = np.array(lines, np.int64)
    rows = np.delete(np.arange(len(places)), bad) if bad else None
    return Source(path, pa.table(columns), len(places), rows, lambda number: int(places[number]))


def _batches(
    path: Path, row: Row, lines: list[int], bad: list[int], skip_bad: bool
) -> Iterator[list[list[str | None]]]:
    batch: list[list[str | None]] = []
    for unit in scan_units(path):
        if isinstance(unit, DataError):
            if not skip_bad:
                raise DataError(f"{unit}; skip_bad=True (--skip-bad) leaves such units out") from unit
            bad.append(len(lines))
            lines.append(0)
            continue
        values = row(unit)
        if values is None:
            continue
        batch.append(values)
        lines.append(unit.line)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _code(path: Path, name: str, languages: list[str], properties: list[str]) -> str:
    """The language that a column holds; "" for the id or a property."""
    if name == "id":
        return ""
    try:
        return find_language(name, languages, path)
    except DataError as error:
        if name in properties:
            return ""
        if "may be any of" in str(error):
            raise
        raise missing_column(path, name, tmx_columns(path)) from error


def _tmx_value(unit: Unit, name: str, code: str) -> str | None:
    if not code:
        return unit.id or unit.key if name == "id" else unit.properties.get(name)
    if code in unit.texts:
        return unit.texts[code]
    return next((text for other, text in unit.texts.items() if same_language(other, code)), None)


def _value(unit: Unit, name: str) -> str | None:
    if name in _FIXED:
        return str(getattr(unit, name)) if name != "id" else unit.id or unit.key
    if _is_language(name, [unit.source_language]):
        return unit.source
    return unit.target if _is_language(name, [unit.target_language]) else None


def _is_language(name: str, codes: list[str]) -> bool:
    try:
        find_language(name, codes, "")
    except DataError:
        return False
    return True


def _numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(pa.float64())
    except pa.ArrowInvalid:
        return column
