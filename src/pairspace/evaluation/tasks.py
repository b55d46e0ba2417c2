"""Retrieval tasks: what is searched with what and which answers are right, from pairs or from a judged collection.

From pairs, the queries are the distinct items of one side, the documents those of the other, and every pairing that
occurs is a right answer: a title that two packages share has two. From a collection, the judgements say it, also of
documents that the collection does not hold (they stay right and are never found, as trec_eval has it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from pairspace.data import Corpus, Pairs, Qrels
from pairspace.errors import DataError

__all__ = ["Items", "Task", "collection_task", "pair_tasks"]


@dataclass(frozen=True, eq=False)
class Items:
    """Distinct items of one side.

    Attributes:
        side: whose encoder reads them.
        ids: one name an item.
        items: what the encoder is given: texts, or row numbers or ids of given features.
        texts: their texts; None where they have none.
    """

    side: str
    ids: tuple[str, ...] = field(repr=False)
    items: Any = field(repr=False)
    texts: pa.ChunkedArray | None = field(repr=False)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class Task:
    """One direction of search.

    Attributes:
        name: "title -> body".
        queries: all are judged and have a right answer.
        documents: what is searched.
        qrels: query id -> document id -> grade, queries in order; those without a text come last.
        left_out: queries without a right answer.
        missing: judged queries without a text.
    """

    name: str
    queries: Items
    documents: Items
    qrels: Mapping[str, Mapping[str, int]] = field(repr=False)
    left_out: int = 0
    missing: int = 0


def pair_tasks(space: Any, pairs: Pairs) -> list[Task]:
    """Both directions between the query side and each other side.

    Raises:
        DataError: no pairs, or fewer than two of the space's sides among them.
    """
    sides = [side for side in pairs.sides if side in space.sides]
    if len(sides) < 2:
        raise DataError(
            f"the pairs have the sides {', '.join(pairs.sides)}, the space has {', '.join(space.sides)}: "
            "name the columns as the space's sides (--side name=column)"
        )
    if len(pairs) == 0:
        raise DataError(f"no pairs to evaluate in {pairs.source}")
    first = space.query_side if space.query_side in sides else sides[0]
    chosen = {side: _pair_items(space, pairs, side) for side in sides}
    tasks = []
    for side in sides:
        if side != first:
            for one, other in ((first, side), (side, first)):
                qrels = _pairings(chosen[one], chosen[other], pairs.codes(one), pairs.codes(other))
                tasks.append(Task(f"{one} -> {other}", chosen[one], chosen[other], qrels))
    return tasks


def collection_task(space: Any, corpus: Corpus, queries: Corpus, qrels: Qrels) -> Task:
    """Queries against a corpus, as judged.

    The documents stand in falling order of their ids: the first of equal scores is then the one trec_eval takes first.

    Raises:
        DataError: no judged query with a right answer has a text.
    """
    right = {query: judged for query, judged in qrels.items() if any(grade > 0 for grade in judged.values())}
    rows = np.asarray([row for row, query in enumerate(queries.ids) if query in right], np.int64)
    if not len(rows):
        raise DataError(
            f"no query of {queries.source} has a right answer in the judgements: its ids are like "
            f"{next(iter(queries.ids), None)!r}, those of the judgements like {next(iter(qrels), None)!r}"
        )
    asked = [queries.ids[row] for row in rows]
    known = set(asked)
    without_text = [query for query in right if query not in known]
    if not any(document in right[query] for query in asked for document in corpus.ids[:1]):
        _check_documents(corpus, right)
    texts = queries.table["text"].take(pa.array(rows))
    ids = corpus.ids
    falling = sorted(range(len(ids)), key=ids.__getitem__, reverse=True)
    documents = corpus.table["text"].take(pa.array(falling, pa.int64()))
    return Task(
        "queries -> corpus",
        Items(space.query_side, tuple(asked), texts, texts),
        Items(space.document_side, tuple(ids[row] for row in falling), documents, documents),
        {query: right[query] for query in [*asked, *without_text]},
        left_out=len(set(queries.ids) | set(qrels)) - len(right),
        missing=len(without_text),
    )


def _check_documents(corpus: Corpus, right: Qrels) -> None:
    there = set(corpus.ids)
    if not any(document in there for judged in right.values() for document in judged):
        judged = next(iter(next(iter(right.values()))))
        raise DataError(
            f"none of the judged documents is in {corpus.source}: its ids are like {next(iter(corpus.ids), None)!r}, "
            f"those of the judgements like {judged!r}"
        )


def _pair_items(space: Any, pairs: Pairs, side: str) -> Items:
    distinct, codes = pairs.unique(side)
    first = np.unique(codes, return_index=True)[1]
    items = space.part(side).items(pairs, side).take(pa.array(first))
    readable = pa.types.is_string(distinct.type) or pa.types.is_large_string(distinct.type)
    readable = readable and space.part(side).encoder.modality != "image"  # paths are no texts
    name = "-".join(side.split())
    ids = tuple(f"{name}-{number}" for number in range(len(distinct)))
    return Items(side, ids, items, pa.chunked_array([distinct]) if readable else None)


def _pairings(queries: Items, documents: Items, asked: np.ndarray, right: np.ndarray) -> dict[str, dict[str, int]]:
    keys = np.unique(asked * len(documents) + right)
    qrels: dict[str, dict[str, int]] = {query: {} for query in queries.ids}
    for query, document in zip((keys // len(documents)).tolist(), (keys % len(documents)).tolist(), strict=True):
        qrels[queries.ids[query]][documents.ids[document]] = 1
    return qrels
