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
from pairspace.data.units import Unit, column_of_language, language_among, matching_languages
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
        columns: those to keep; None for all. A language may be named in any way that finds it in a unit: `en`, `en-US`.
        skip_bad: leave out units that cannot be read. Invalid XML stops in any case.

    Raises:
        DataError: a column that is not there, a broken unit, or invalid XML (with its line).
    """
    names = tmx_columns(path) if columns is None else list(columns)
    spoken = _languages(path, names)

    def row(unit: Unit) -> list[str | None] | None:
        values = [_text_in(unit, name) if name in spoken else _said(unit, name) for name in names]
        lacking = any(value is None and name in spoken for name, value in zip(names, values, strict=True))
        return None if lacking and columns is not None else values

    source = _table(path, names, row, skip_bad)
    if _SCORE not in names or _SCORE in spoken:
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
        try:
            if isinstance(unit, DataError):
                raise unit
            values = row(unit)
        except DataError as error:
            if not skip_bad:
                raise DataError(f"{error}; skip_bad=True (--skip-bad) leaves such units out") from error
            bad.append(len(lines))
            lines.append(0)
            continue
        if values is None:
            continue
        batch.append(values)
        lines.append(unit.line)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _languages(path: Path, names: list[str]) -> set[str]:
    """Which of the columns of a memory are languages; the others are the id and properties."""
    languages, properties = tmx_properties(path)
    found = {name for name in names if name != "id" and matching_languages(name, languages)}
    if missing := [name for name in names if name not in ("id", *found, *properties)]:
        raise missing_column(path, missing[0], tmx_columns(path))
    return found


def _text_in(unit: Unit, language: str) -> str | None:
    return unit.texts.get(language_among(language, tuple(unit.texts)))


def _said(unit: Unit, name: str) -> str | None:
    return unit.id or unit.key if name == "id" else unit.properties.get(name)


def _value(unit: Unit, name: str) -> str | None:
    if name in _FIXED:
        return str(getattr(unit, name)) if name != "id" else unit.id or unit.key
    if _is_language(name, [unit.source_language]):
        return unit.source
    return unit.target if _is_language(name, [unit.target_language]) else None


def _is_language(name: str, codes: list[str]) -> bool:
    try:
        return language_among(name, tuple(codes)) != ""
    except DataError:
        return False


def _numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(pa.float64())
    except pa.ArrowInvalid:
        return column
