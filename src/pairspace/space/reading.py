"""Pairs as training needs them: distinct items a side, and for each pair the numbers of its own.

Each data set is of two sides in the end: one is searched with and one searched for. A space of two sides has these two
in every data set; one of more has several data sets, and numbers the items of all its sides through, side after side,
on either end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairspace.data import Pairs
from pairspace.data.numbering import number_values
from pairspace.errors import SpaceError, TrainingError

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["PairData", "Pairing", "check_types", "pairings", "read_data"]

_NO_FEATURES = "negatives are texts, but the features of side '{}' are filed by row or id"


class Pairing(NamedTuple):
    """A data set and two of its sides: the one that is searched with, and the one that is searched for."""

    pairs: Pairs
    query: str
    document: str


@dataclass(frozen=True)
class PairData:
    """Numbers of items.

    Attributes:
        items: on the end of the queries and on that of the documents: the distinct items of each side, numbered
            through; given negatives are among the documents.
        query, document: of each pair, the number of its items (n,).
        negatives: (n, k) numbers of documents, -1 where there are fewer than k; None where none were given.
        scores: (n, 1 + k), NaN where none was given.
        sources: which of several data sets a pair is from.
        source: the names of all.
        parts: the data sets.
    """

    items: tuple[Mapping[str, Any], Mapping[str, Any]]
    query: np.ndarray
    document: np.ndarray
    negatives: np.ndarray | None
    scores: np.ndarray | None
    sources: np.ndarray | None
    source: str
    parts: tuple[Pairing, ...]

    @property
    def sides(self) -> tuple[str, ...]:
        """All sides that take part, those that are searched with first."""
        return tuple(dict.fromkeys(side for end in self.items for side in end))

    def start(self, end: int, side: str) -> int:
        """The number of a side's first item on an end."""
        sides = list(self.items[end])
        return sum(len(self.items[end][other]) for other in sides[: sides.index(side)])

    def partners(self, one: str, other: str, rows: np.ndarray, most: int) -> list[tuple[int, np.ndarray]]:
        """Pairs of two sides: for each of the two the end that it is on, and the numbers of its items there (m,).

        Args:
            one: a side.
            other: the other one; a side is its own partner.
            rows: pairs in the order in which they are looked through; those of the first data set that has any count.
            most: so many of them at most.

        Returns:
            Two ends with numbers, or nothing where no pair is of these sides.
        """
        which = np.repeat(np.arange(len(self.parts)), [len(part.pairs) for part in self.parts])[rows]
        for number, part in enumerate(self.parts):
            some = rows[which == number][:most]
            if {one, other} <= {part.query, part.document} and len(some):
                ends = [int(side == part.document) for side in (one, other)]
                codes = self.query[some], self.document[some]
                both = zip(ends, (one, other), strict=True)
                return [(end, codes[end] - self.start(end, side)) for end, side in both]
        return []

    def items_for(self, space: Space) -> tuple[dict[str, Any], dict[str, Any]]:
        """The same items in the same order, as another space wants them: as they are, or by row or id.

        Args:
            space: has these sides, or some of them: what it does not know stays as it is.

        Raises:
            SpaceError: there are no ids; or negatives, which have none.
        """
        ends: list[dict[str, Any]] = []
        for end in (0, 1):
            ends.append(
                {
                    side: _as_wanted(space, self.parts, end, side, items) if side in space.sides else items
                    for side, items in self.items[end].items()
                }
            )
        return ends[0], ends[1]


def pairings(space: Space, parts: Sequence[Pairs], *, held: bool = False) -> list[Pairing]:
    """The data sets as pairs of two sides of a space.

    A space of two sides searches with its query side. In one of more, pairs of several of its sides are as many data
    sets as there are sides beside the one that is searched with: the space's if they have it, else their own.

    Args:
        space: whose sides are meant.
        parts: the data sets.
        held: they are held out, and need not have all sides.

    Raises:
        SpaceError: pairs without two sides of the space, sides of an untrained space without pairs, or more than two
            sides in a space of words.
        TrainingError: no pairs.
    """
    if not parts:
        raise TrainingError("no pairs to train on")
    if len(space.sides) > 2 and space.sparse:
        raise SpaceError(f"a space of words is trained on two sides, and this one has {', '.join(space.sides)}")
    found = []
    for pairs in parts:
        own = [side for side in space.sides if side in pairs.sides]
        if len(own) < 2:
            missing = [side for side in space.sides if side not in own]
            wanted = f"'{missing[0]}'" if len(space.sides) == 2 else f"two of {', '.join(space.sides)}"
            raise SpaceError(
                f"the pairs of {pairs.source} have the sides {', '.join(pairs.sides)}, the space needs {wanted}"
            )
        query = next((side for side in (space.query_side, pairs.query_side) if side in own), own[0])
        found += [Pairing(pairs, query, other) for other in own if other != query]
    if not (held or space.trained) and (alone := set(space.sides) - {side for _, *two in found for side in two}):
        raise SpaceError(f"no pairs have the side {', '.join(sorted(alone))}, which the space is to be trained for")
    return found


def _check_negatives(space: Space, part: Pairing, sets: int) -> None:
    """See that negatives are items of the side that is searched, and of one side only."""
    pairs = part.pairs
    if pairs.query_side != part.query:
        raise SpaceError(
            f"the negatives of {pairs.source} are wrong answers to the side '{pairs.query_side}', which they are "
            f"searched with, but this space is searched with '{part.query}': read them and make the space "
            "with the same query side (query_side=, --query-side)"
        )
    if sets > 1:
        raise SpaceError(
            f"the negatives of {pairs.source} are of one side, and its pairs have {', '.join(pairs.sides)}: read them "
            "as pairs of two sides"
        )
    if _filed(space, part.document):
        raise SpaceError(_NO_FEATURES.format(part.document))


def read_data(space: Space, parts: Sequence[Pairing], *, negatives: bool = True) -> PairData:
    """Number the items of one or several data sets.

    Args:
        space: whose sides are meant.
        parts: the data sets.
        negatives: take given negatives and scores along.

    Raises:
        SpaceError: data sets of texts and of bytes; negatives of another side than the one that is searched, or of one
            whose features are filed by row or id; lists of scores of another length than the pair and its negatives.
    """
    check_types(parts)
    lists = [part.pairs.table["negatives"] if "negatives" in part.pairs.table.column_names else None for part in parts]
    with_negatives = negatives and any(column is not None for column in lists)
    queries, query, _ = _number_sides(parts, 0, [None] * len(parts))
    documents, document, others = _number_sides(parts, 1, lists if with_negatives else [None] * len(parts))
    table, counts = None, [len(part.pairs) for part in parts]
    if with_negatives:
        for part, column in zip(parts, lists, strict=True):
            if column is not None:
                _check_negatives(space, part, sum(other.pairs is part.pairs for other in parts))
        owners, places = _owners(counts, lists)
        table = np.full((sum(counts), int(places.max(initial=-1)) + 1), -1, np.int64)
        table[owners, places] = others
    width = 0 if table is None else table.shape[1]
    data = PairData(
        (queries, documents),
        query,
        document,
        table if width else None,
        _scores([part.pairs for part in parts], width) if negatives else None,
        np.repeat(np.arange(len(parts)), counts) if len(parts) > 1 else None,
        ", ".join(dict.fromkeys(part.pairs.source for part in parts)),
        tuple(parts),
    )
    return replace(data, items=data.items_for(space)) if any(_filed(space, side) for side in data.sides) else data


def _number_sides(
    parts: Sequence[Pairing], end: int, lists: Sequence[pa.ChunkedArray | None]
) -> tuple[dict[str, pa.Array], np.ndarray, np.ndarray]:
    """The distinct items of each side on an end, the number of each pair's, and those of the negatives in `lists`."""
    sides = dict.fromkeys((part.query, part.document)[end] for part in parts)
    items: dict[str, pa.Array] = {}
    codes: list[np.ndarray] = [np.empty(0, np.int64)] * len(parts)
    others: list[np.ndarray] = [np.empty(0, np.int64)] * len(parts)
    for side in sides:
        own = [number for number, part in enumerate(parts) if (part.query, part.document)[end] == side]
        columns = [parts[number].pairs.items(side) for number in own]
        given = [(number, lists[number]) for number in own]
        flat = [chunk.flatten() for _, column in given if column is not None for chunk in column.chunks]
        start = sum(map(len, items.values()))
        items[side], numbers = number_values([*(chunk for column in columns for chunk in column.chunks), *flat])
        sizes = [len(column) for column in columns]
        sizes += [0 if column is None else len(pc.list_flatten(column)) for _, column in given]
        cut = np.split(numbers + start, np.cumsum(sizes)[:-1])
        for place, number in enumerate(own):
            codes[number], others[number] = cut[place], cut[len(own) + place]
    return items, np.concatenate(codes), np.concatenate(others)


def _owners(counts: Sequence[int], lists: Sequence[pa.ChunkedArray | None]) -> tuple[np.ndarray, np.ndarray]:
    """Of all negatives one after the other: the pair each is of, and its place among that pair's."""
    starts = np.cumsum([0, *counts])
    owners = [
        start + pc.list_parent_indices(column).to_numpy()
        for start, column in zip(starts.tolist(), lists, strict=False)
        if column is not None
    ]
    owner = np.concatenate(owners) if owners else np.empty(0, np.int64)
    return owner, np.arange(len(owner)) - np.searchsorted(owner, owner)


def check_types(parts: Sequence[Pairing]) -> None:
    """See that a side holds the same kind of items in all data sets.

    Raises:
        SpaceError: texts here, bytes there.
    """
    first: dict[str, Pairs] = {}
    for pairs, *sides in parts:
        for side in sides:
            kinds = [one.items(side).type for one in (first.setdefault(side, pairs), pairs)]
            if kinds[0] != kinds[1]:
                words = ["texts" if pa.types.is_large_string(kind) else "bytes" for kind in kinds]
                raise SpaceError(
                    f"side '{side}' holds {words[0]} in {first[side].source} and {words[1]} in {pairs.source}: data "
                    "sets that are trained on together hold the same kind of items"
                )


def _filed(space: Space, side: str) -> bool:
    return space.part(side).encoder.modality in ("row", "id")


def _as_wanted(space: Space, parts: Sequence[Pairing], end: int, side: str, items: Any) -> Any:
    """The distinct items of a side as its encoders want them: themselves or, for features that are filed, row or id.

    Raises:
        SpaceError: features are filed, and there are more items than the pairs have, which are negatives.
    """
    own = [part.pairs for part in parts if (part.query, part.document)[end] == side]
    _, numbers = number_values([chunk for pairs in own for chunk in pairs.items(side).chunks])
    first = np.unique(numbers, return_index=True)[1]
    if len(first) < len(items):
        if _filed(space, side):
            raise SpaceError(_NO_FEATURES.format(side))
        return items
    wanted = pa.chunked_array([chunk for pairs in own for chunk in space.part(side).items(pairs, side).chunks])
    return wanted.take(pa.array(first)).combine_chunks()


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
