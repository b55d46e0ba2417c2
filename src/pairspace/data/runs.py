"""Runs: what a system answered, in TREC's six columns.

    query Q0 document rank score tag

Evaluation goes by the score; the rank is written for readers and ignored when read, as trec_eval does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from pairspace.data.files import atomic_file, open_text
from pairspace.errors import DataError

__all__ = ["Run", "read_run", "write_run"]

Run: TypeAlias = dict[str, dict[str, float]]


def read_run(path: Path | str) -> Run:
    """A run as {query id: {document id: score}}, documents in the order of the file.

    Raises:
        DataError: no such file, a line without six columns, a score that is no number, a document twice for a query.
    """
    run: Run = {}
    try:
        with open_text(path) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    _add(run, line.split(), f"{path}, line {number}")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8; convert the file (iconv -t UTF-8)") from error
    except OSError as error:
        raise DataError(f"{path}: {error}") from error
    if not run:
        raise DataError(f"{path}: no answers; lines of `query Q0 document rank score tag` were expected")
    return run


def _add(run: Run, cells: list[str], place: str) -> None:
    if len(cells) != 6:
        raise DataError(f"{place}: {len(cells)} columns; a run has six: query Q0 document rank score tag")
    query, _, document, _, score, _ = cells
    try:
        value = float(score)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise DataError(f"{place}: the score {score!r} is no number")
    if document in run.setdefault(query, {}):
        raise DataError(f"{place}: document {document} was there before for query {query}")
    run[query][document] = value


def write_run(path: Path | str, run: Mapping[str, Mapping[str, float]], tag: str = "pairspace") -> None:
    """Write a run, each query's documents by falling score, equal scores in the order given.

    Scores are written so that reading gives the same numbers back.

    Raises:
        DataError: an id or the tag is empty or holds white space, or a score is not a number.
        StorageError: the file could not be written.
    """
    _check_word(tag, "tag")
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for query, answers in run.items():
            _check_word(query, "query id")
            ranked = sorted(answers.items(), key=lambda item: -item[1])
            for rank, (document, score) in enumerate(ranked, start=1):
                _check_word(document, "document id")
                if math.isnan(score):
                    raise DataError(f"query {query}, document {document}: the score is not a number")
                file.write(f"{query} Q0 {document} {rank} {float(score)!r} {tag}\n")


def _check_word(word: str, what: str) -> None:
    if not word or word.split() != [word]:
        raise DataError(f"the {what} {word!r} is empty or holds white space, which a run file cannot carry")
