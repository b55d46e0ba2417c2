"""Pairs as training needs them: distinct items a side, and for each pair the numbers of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairspace.data import Pairs
from pairspace.errors import SpaceError

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["PairData", "check_types", "read_data"]

_NO_FEATURES = "negatives are texts, but the features of side '{}' are filed by row or id"


@dataclass(frozen=True)
class PairData:
    """Numbers of items.

    Attributes:
        items: the distinct items of the query side and of the document side, given negatives among the documents.
        query, document: of each pair, the number of its items (n,).
        negatives: (n, k) numbers of documents, -1 where there are fewer than k; None where none were given.
        scores: (n, 1 + k), NaN where none was given.
        sources: which of several data sets a pair is from.
        source: the names of all.
        parts: the data sets.
    """

    items: tuple[Any, Any]
    query: np.ndarray
    document: np.ndarray
    negatives: np.ndarray | None
    scores: np.ndarray | None
    sources: np.ndarray | None
    source: str
    parts: tuple[Pairs, ...]

    def items_for(self, space: Space, sides: Sequence[str]) -> tuple[Any, Any]:
        """The same items in the same order, as another space wants them: as they are, or by row or id.

        Args:
            space: has these sides, or one of them: what it does not know stays as it is.
            sides: query side and document side.

        Raises:
            SpaceError: there are no ids; or negatives, which have none.
        """
        found = []
        for side, items, code in zip(sides, self.items, (self.query, self.document), strict=True):
            if side not in space.sides:
                found.append(items)
                continue
            if len(items) == code.max(initial=-1) + 1:
                items = _by_file(space, self.parts, side, code)
            elif _filed(space, side):
                raise SpaceError(_NO_FEATURES.format(side))
            found.append(items)
        return found[0], found[1]


def read_data(space: Space, parts: Sequence[Pairs], *, negatives: bool = True) -> PairData:
    """Number the items of one or several data sets.

    Args:
        space: whose query side and document side are meant.
        parts: the data sets, with these sides.
        negatives: take given negatives and scores along.

    Raises:
        SpaceError: data sets of texts and of bytes; negatives of the wrong side, or of one whose features are filed by
            row or id; lists of scores of another length than the pair and its negatives.
    """
    sides = space.query_side, space.document_side
    check_types(parts, sides)
    rows = sum(map(len, parts))
    columns = [[chunk for pairs in parts for chunk in pairs.items(side).chunks] for side in sides]
    lists = [pairs.table["negatives"] if "negatives" in pairs.table.column_names else None for pairs in parts]
    table = None
    queries, query = _number(columns[0])
    if negatives and any(column is not None for column in lists):
        _check_query_side(space, [one for one, column in zip(parts, lists, strict=True) if column is not None])
        if _filed(space, sides[1]):
            raise SpaceError(_NO_FEATURES.format(sides[1]))
        flat, owners, places = _flat_negatives(parts, lists)
        documents, numbers = _number([*columns[1], *flat])
        document, others = numbers[:rows], numbers[rows:]
        table = np.full((rows, int(places.max(initial=-1)) + 1), -1, np.int64)
        table[owners, places] = others
    else:
        documents, document = _number(columns[1])
    items = [
        _by_file(space, parts, side, code) if _filed(space, side) else distinct
        for side, distinct, code in zip(sides, (queries, documents), (query, document), strict=True)
    ]
    width = 0 if table is None else table.shape[1]
    return PairData(
        (items[0], items[1]),
        query,
        document,
        table if width else None,
        _scores(parts, width) if negatives else None,
        np.repeat(np.arange(len(parts)), [len(pairs) for pairs in parts]) if len(parts) > 1 else None,
        ", ".join(dict.fromkeys(pairs.source for pairs in parts)),
        tuple(parts),
    )


def _check_query_side(space: Space, parts: Sequence[Pairs]) -> None:
    """See that negatives are items of the side that the space searches."""
    for pairs in parts:
        if pairs.query_side != space.query_side:
            raise SpaceError(
                f"the negatives of {pairs.source} are wrong answers to the side '{pairs.query_side}', which they are "
                f"searched with, but this space is searched with '{space.query_side}': read them and make the space "
                "with the same query side (query_side=, --query-side)"
            )


def check_types(parts: Sequence[Pairs], sides: Sequence[str]) -> None:
    """See that a side holds the same kind of items in all data sets.

    Raises:
        SpaceError: texts here, bytes there.
    """
    for side in sides:
        for pairs in parts[1:]:
            kinds = [one.items(side).type for one in (parts[0], pairs)]
            if kinds[0] != kinds[1]:
                words = ["texts" if pa.types.is_large_string(kind) else "bytes" for kind in kinds]
                raise SpaceError(
                    f"side '{side}' holds {words[0]} in {parts[0].source} and {words[1]} in {pairs.source}: data sets "
                    "that are trained on together hold the same kind of items"
                )


def _filed(space: Space, side: str) -> bool:
    return space.part(side).encoder.modality in ("row", "id")


def _by_file(space: Space, parts: Sequence[Pairs], side: str, code: np.ndarray) -> pa.Array:
    """Each distinct item as the side's encoders want it: for features that are filed, the row or id."""
    first = np.unique(code, return_index=True)[1]
    filed = pa.chunked_array([chunk for pairs in parts for chunk in space.part(side).items(pairs, side).chunks])
    return filed.take(pa.array(first)).combine_chunks()


def _number(chunks: Sequence[pa.Array]) -> tuple[pa.Array, np.ndarray]:
    """The distinct values in order of first appearance, and the number of each (int64)."""
    encoded = pa.chunked_array(chunks).dictionary_encode().unify_dictionaries()
    codes = [chunk.indices.to_numpy(zero_copy_only=False) for chunk in encoded.chunks]
    return encoded.chunk(0).dictionary, np.concatenate(codes).astype(np.int64)


def _flat_negatives(
    parts: Sequence[Pairs], lists: Sequence[pa.ChunkedArray | None]
) -> tuple[list[pa.Array], np.ndarray, np.ndarray]:
    """All negatives one after the other, the pair each is of, and its place among that pair's."""
    flat: list[pa.Array] = []
    owners, start = [], 0
    for pairs, column in zip(parts, lists, strict=True):
        if column is not None:
            for chunk in column.chunks:
                flat.append(chunk.flatten())
            owners.append(start + pc.list_parent_indices(column).to_numpy())
        start += len(pairs)
    owner = np.concatenate(owners) if owners else np.empty(0, np.int64)
    first = np.searchsorted(owner, owner)
    return flat, owner, np.arange(len(owner)) - first


def _scores(parts: Sequence[Pairs], negatives: int) -> np.ndarray | None:
    """Scores of each pair and of its own negatives, (n, 1 + negatives)."""
    columns = [pairs.table["score"] if "score" in pairs.table.column_names else None for pairs in parts]
    if all(column is None for column in columns):
        return None
    out = np.full((sum(map(len, parts)), 1 + negatives), np.nan, np.float32)
    start = 0
    for pairs, column in zip(parts, columns, strict=True):
        if column is not None and pa.types.is_large_list(column.type):
            _check_lengths(pairs)
            owner = pc.list_parent_indices(column).to_numpy()
            place = np.arange(len(owner)) - np.searchsorted(owner, owner)
            out[start + owner, place] = pc.list_flatten(column).to_numpy()
        elif column is not None:
            out[start : start + len(pairs), 0] = column.to_numpy()
        start += len(pairs)
    return out


def _check_lengths(pairs: Pairs) -> None:
    """See that each list of scores has one of the pair and one of each of its negatives."""
    scores, negatives = _lengths(pairs, "score"), _lengths(pairs, "negatives")
    wrong = np.flatnonzero(scores != 1 + negatives)
    if len(wrong):
        row, first = pairs.table["row"][wrong[0]].as_py(), wrong[0]
        raise SpaceError(
            f"{pairs.source}: row {row} has {scores[first]} scores and {negatives[first]} "
            f"negatives ({len(wrong):,} such rows in all): one score of the pair and one of each of its negatives are "
            "wanted"
        )


def _lengths(pairs: Pairs, name: str) -> np.ndarray:
    """How long each row's list is; 0 for none."""
    if name not in pairs.table.column_names:
        return np.zeros(len(pairs), np.int64)
    return np.asarray(pc.fill_null(pc.list_value_length(pairs.table[name]), 0).to_numpy())
