"""Hard negatives of pairs: both sides encoded by a space, mined, and put beside the pairs as a column.

What is mined with may be any space: the encoders as they are (identity projectors), one that was trained on the same
pairs, or one of another kind. `training.negatives` says what is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairspace.data import Pairs
from pairspace.errors import SpaceError
from pairspace.training.negatives import Mining, Negatives
from pairspace.training.negatives import mine_negatives as mine_arrays

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["find_negatives", "mine_negatives", "with_negatives"]


def mine_negatives(space: Space, pairs: Pairs, *, progress: bool | None = None, **settings: Any) -> Pairs:
    """The pairs with a column of hard negatives.

    Args:
        space: has the query and document side of the pairs.
        pairs: their documents are the candidates; negatives that they have already are replaced.
        progress: show bars; None where a person can see them.
        **settings: fields of `Mining`: `num_negatives`, `range_min`, `range_max`, `max_score`, `absolute_margin`,
            `relative_margin`, `sampling`, `seed`.

    Returns:
        The same pairs, with `negatives` (large_list of items of the space's document side), nearest first; shorter
        lists, or empty ones, where too few documents pass. Their query side is the space's.

    Raises:
        SpaceError: the space lacks a side, or shares no space between its sides yet.
        TrainingError: settings that make no sense.

    Memory: the vectors of both sides' distinct items (4 bytes a value), 8 bytes a pair and negative, and what
    `training.negatives.mine_negatives` states.
    """
    return with_negatives(pairs, find_negatives(space, pairs, mining=Mining(**settings), progress=progress), space)


def find_negatives(
    space: Space, pairs: Pairs, *, mining: Mining | None = None, progress: bool | None = None
) -> Negatives:
    """What `mine_negatives` puts into the column, as rows of the distinct documents, with scores and counts."""
    items, vectors, codes = [], [], []
    for side in (space.query_side, space.document_side):
        if side not in pairs.sides:
            raise SpaceError(f"the pairs have the sides {', '.join(pairs.sides)}, the space needs '{side}'")
        distinct, rows = pairs.unique(side)
        first = np.unique(rows, return_index=True)[1]
        vectors.append(
            space.encode(space.part(side).items(pairs, side).take(pa.array(first)), side=side, progress=progress)
        )
        items.append(distinct)
        codes.append(rows)
    return mine_arrays(
        vectors[0], vectors[1], (codes[0], codes[1]), mining=mining, same=_same(*items), progress=progress
    )


def with_negatives(pairs: Pairs, found: Negatives, space: Space) -> Pairs:
    """The pairs with a query's negatives in each of its rows, and the space's query side.

    Lists of scores would be of the old negatives: the score of the pair stays.
    """
    distinct, _ = pairs.unique(space.document_side)
    rows = found.documents[pairs.codes(space.query_side)]
    offsets = np.concatenate([[0], np.cumsum((rows >= 0).sum(1))])
    column = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), distinct.take(pa.array(rows[rows >= 0])))
    table = pairs.table
    if "negatives" in table.column_names:
        table = table.drop_columns(["negatives"])
    if "score" in table.column_names and pa.types.is_large_list(table["score"].type):
        own = pc.list_element(table["score"], 0)
        table = table.set_column(table.schema.get_field_index("score"), "score", own)
    return Pairs(
        table.append_column("negatives", column),
        pairs.sides,
        query_side=space.query_side,
        source=pairs.source,
        skipped=pairs.skipped,
        root=pairs.root,
        total=pairs.total,
    )


def _same(queries: pa.Array, documents: pa.Array) -> np.ndarray | None:
    """For each query the document that is the same item, -1 for none; None where the sides are of different types."""
    if queries.type != documents.type:
        return None
    return np.asarray(pc.fill_null(pc.index_in(queries, value_set=documents), -1).to_numpy(), np.int64)
