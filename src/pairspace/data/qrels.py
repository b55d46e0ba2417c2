"""Relevance judgements: which document is right for which query, and how right.

BEIR         query-id <tab> corpus-id <tab> score        with a header
TREC         query iteration document relevance          four columns, no header
tables       columns found by their names, in any order; further ones (a collection's own code) are ignored
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from pairspace.data.files import open_text, plain_suffix
from pairspace.data.tables import column_names, open_source
from pairspace.errors import DataError

__all__ = ["Qrels", "read_qrels"]

Qrels: TypeAlias = dict[str, dict[str, int]]

_QUERY = ("query_id", "query-id", "qid", "query", "topic")
_DOCUMENT = ("doc_id", "corpus-id", "corpus_id", "docid", "doc-id", "docno", "document", "document_id")
_GRADE = ("relevance", "score", "rel", "label", "grade")


def read_qrels(path: Path | str) -> Qrels:
    """Judgements as {query id: {document id: grade}}, queries and documents in the order of the file.

    Args:
        path: BEIR's TSV, TREC's qrels, a table with a header, or Parquet and JSON lines with such columns.

    Raises:
        DataError: no such file, a row with too few columns, a grade that is no whole number, or a document judged twice
            with different grades (file and line).
    """
    path = Path(path)
    qrels: Qrels = {}
    if plain_suffix(path) in {".parquet", ".pq", ".jsonl", ".ndjson", ".json"}:
        rows = _from_table(path)
    else:
        rows = _from_text(path)
    for place, query, document, grade in rows:
        try:
            value = float(grade)
        except (ValueError, TypeError):
            value = float("nan")
        if not value.is_integer():
            raise DataError(f"{path}, {place}: the grade {grade!r} is no whole number")
        known = qrels.setdefault(query, {}).setdefault(document, int(value))
        if known != int(value):
            raise DataError(f"{path}, {place}: query {query}, document {document} has {int(value)}, and had {known}")
    if not qrels:
        raise DataError(f"{path}: no judgements")
    return qrels


def _from_table(path: Path) -> Iterator[tuple[str, str, str, str]]:
    positions = _positions(column_names(path), path)
    names = [column_names(path)[position] for position in positions]
    source = open_source(path, names)
    columns = [source.table[name].to_pylist() for name in names]
    for number, (query, document, grade) in enumerate(zip(*columns, strict=True)):
        yield f"row {number} (from 0)", str(query), str(document), str(grade)


def _from_text(path: Path) -> Iterator[tuple[str, str, str, str]]:
    comma = plain_suffix(path) == ".csv"
    try:
        with open_text(path) as file:
            yield from _fields(((number, _cells(line, comma)) for number, line in enumerate(file, start=1)), path)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8; convert the file (iconv -t UTF-8)") from error
    except OSError as error:
        raise DataError(f"{path}: {error}") from error


def _cells(line: str, comma: bool) -> list[str]:
    if comma:
        return [cell.strip().strip('"') for cell in line.strip().split(",")] if line.strip() else []
    if "\t" in line:
        return [cell.strip() for cell in line.rstrip("\r\n").split("\t")]
    return line.split()


def _fields(rows: Iterable[tuple[int, list[str]]], path: Path) -> Iterator[tuple[str, str, str, str]]:
    rows = ((number, cells) for number, cells in rows if cells)
    first = next(rows, None)
    if first is None:
        return
    if any(cell.lower() in _DOCUMENT for cell in first[1]):
        positions = _positions(first[1], path)
    elif len(first[1]) == 4:
        positions, rows = (0, 2, 3), itertools.chain([first], rows)
    elif len(first[1]) == 3:
        positions, rows = (0, 1, 2), itertools.chain([first], rows)
    else:
        raise DataError(
            f"{path}, line {first[0]}: {len(first[1])} columns; TREC's four (query, iteration, document, "
            "relevance) or a header with query_id, doc_id, relevance is needed"
        )
    for number, cells in rows:
        if len(cells) <= max(positions):
            raise DataError(f"{path}, line {number}: {len(cells)} columns where {max(positions) + 1} are needed")
        query, document, grade = (cells[position] for position in positions)
        yield f"line {number}", query, document, grade


def _positions(names: Sequence[str], path: Path) -> tuple[int, int, int]:
    lower = [name.lower() for name in names]
    found = []
    for usual in (_QUERY, _DOCUMENT, _GRADE):
        position = next((lower.index(name) for name in usual if name in lower), None)
        if position is None:
            raise DataError(f"{path}: no column {' or '.join(usual[:3])}; its columns are: {', '.join(names)}")
        found.append(position)
    return found[0], found[1], found[2]
