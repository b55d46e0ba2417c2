"""From raw columns to rows of one item a side: lists exploded, bad rows found.

All of it by Arrow kernels on chunks; a Python object is made only for the one row that an error message shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairspace.data.source import Source, text_column
from pairspace.errors import DataError

__all__ = ["Extra", "check_names", "is_empty", "items_of", "pair_rows"]

RESERVED = ("row", "id", "group", "score", "negatives")
_SKIP = "Correct them, or leave them out with skip_bad=True (--skip-bad)"


@dataclass(frozen=True)
class Extra:
    """The columns beside the sides, by the name they have in the file."""

    group: str | None = None
    id: str | None = None
    score: str | None = None
    negatives: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """All that are set."""
        return [name for name in (self.group, self.id, self.score, *self.negatives) if name is not None]


def check_names(names: list[str]) -> None:
    """See that sides can be called so.

    Raises:
        DataError: fewer than two, one of them twice, or a name that means something else.
    """
    if len(names) < 2:
        raise DataError(f"pairs need at least two sides, and there is {names or 'none'} (--side name=column, twice)")
    for name in names:
        if name in RESERVED or not name or names.count(name) > 1:
            raise DataError(f"a side cannot be called {name!r}: names differ and are none of {', '.join(RESERVED)}")


def pair_rows(source: Source, sides: Mapping[str, str], extra: Extra, *, skip_bad: bool) -> tuple[pa.Table, int]:
    """A table with one column a side, `row`, and those of id, group, score, negatives that are wanted.

    A list is as many rows as it has items; lists on two sides give every combination.

    Args:
        source: what was read.
        sides: side name -> column.
        extra: the other columns.
        skip_bad: count bad rows instead of stopping.

    Returns:
        The table, and the number of rows left out.

    Raises:
        DataError: a column of the wrong type, an empty item (file, line or row, how many there are), nothing left.
    """
    table = pa.table({"row": pa.array(source.row_numbers)})
    for side, column in sides.items():
        table = table.append_column(side, items_of(source.table[column], f"{source.path}: column {column!r}"))
    table = _append_extra(table, source, extra)
    for side, column in sides.items():
        if pa.types.is_list(table[side].type) or pa.types.is_large_list(table[side].type):
            table = _explode(table, side)
        if pa.types.is_list(table[side].type) or pa.types.is_large_list(table[side].type):
            raise DataError(
                f"{source.path}: column {column!r} holds lists of lists; an item or a list of items is needed"
            )
    bad, reason = _bad_rows(table, sides, extra)
    count = int(bad.sum())
    if count and not skip_bad:
        position = int(np.flatnonzero(bad)[0])
        place = source.place(int(table["row"][position].as_py()))
        more = f"{count} such rows in all" if count > 1 else "the only such row"
        raise DataError(f"{place}: {reason(position)} ({more}). {_SKIP}")
    if count:
        table = table.filter(pa.array(~bad))
    if table.num_rows == 0:
        raise DataError(f"{source.path}: no usable pairs ({source.total} rows, {count + source.skipped} of them bad)")
    order = [*sides, "row", *(name for name in RESERVED if name != "row" and name in table.column_names)]
    return table.select(order), count + source.skipped


def items_of(column: pa.ChunkedArray, what: str) -> pa.ChunkedArray:
    """A side's column as large_string, large_binary, or a list of these."""
    kind = column.type
    if pa.types.is_struct(kind) and {"bytes", "path"} <= {field.name for field in kind}:  # datasets' Image
        content = pc.struct_field(column, "bytes")
        return items_of(content if content.null_count < len(content) else pc.struct_field(column, "path"), what)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return column.cast(pa.large_binary())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return column.cast(pa.large_list(kind.value_type)) if not pa.types.is_list(kind) else column
    return text_column(column, what)


def _explode(table: pa.Table, side: str) -> pa.Table:
    """One row for each item of the lists of `side`; a null or empty list stays as one row with a null."""
    lists = table[side]
    parents, items, start = [], [], 0
    for chunk in lists.chunks:
        length = pc.fill_null(pc.list_value_length(chunk), 0).to_numpy(zero_copy_only=False)
        parent = np.repeat(np.arange(start, start + len(chunk)), np.maximum(length, 1))
        flat = pc.list_flatten(chunk)
        source = np.full(len(parent), -1, dtype=np.int64)
        source[np.repeat(length > 0, np.maximum(length, 1))] = np.arange(len(flat))
        items.append(flat.take(pa.array(source, mask=source < 0)))
        parents.append(parent)
        start += len(chunk)
    values = pa.chunked_array(items, type=lists.type.value_type)
    place = table.schema.get_field_index(side)
    rest = table.remove_column(place).take(pa.array(np.concatenate(parents) if parents else [], pa.int64()))
    return rest.add_column(place, side, items_of(values, f"the lists of side {side!r}"))


def _append_extra(table: pa.Table, source: Source, extra: Extra) -> pa.Table:
    what = f"{source.path}: column"
    if extra.id is not None:
        table = table.append_column("id", text_column(source.table[extra.id], f"{what} {extra.id!r} (id)"))
    if extra.group is not None:
        table = table.append_column("group", text_column(source.table[extra.group], f"{what} {extra.group!r} (group)"))
    if extra.score is not None:
        table = table.append_column("score", _scores(source, extra.score))
    if extra.negatives:
        items, parent = _negatives(source, extra.negatives)
        keep = ~is_empty(pa.chunked_array([items])).to_numpy()
        if extra.score is not None and pa.types.is_large_list(table["score"].type):
            scores = _drop_scores(table["score"], parent, keep)
            table = table.set_column(table.schema.get_field_index("score"), "score", scores)
        column = _lists(items.filter(pa.array(keep)), parent[keep], len(table))
        table = table.append_column("negatives", column)
    return table


def _scores(source: Source, name: str) -> pa.ChunkedArray:
    """One number a row, or a list: of the pair, and of each of its negatives."""
    column = source.table[name]
    listed = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    try:
        return column.cast(pa.large_list(pa.float64()) if listed else pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{source.path}: column {name!r} (score) must hold numbers ({error})") from error


def _negatives(source: Source, names: Sequence[str]) -> tuple[pa.Array, np.ndarray]:
    """All negatives of one list column, or of several columns, empty ones too, and the row of each, in row order."""
    parents, values = [], []
    for name in names:
        what = f"{source.path}: column {name!r} (negatives)"
        column, parent = items_of(source.table[name], what), np.arange(len(source.table))
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            parent, column = pc.list_parent_indices(column).to_numpy(), items_of(pc.list_flatten(column), what)
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            raise DataError(f"{what} holds lists of lists; an item or a list of items is needed")
        parents.append(parent)
        values.append(column)
    kinds = {column.type for column in values}
    if len(kinds) > 1:
        raise DataError(f"{source.path}: the columns of negatives {', '.join(names)} are of different types")
    items = pa.concat_arrays([chunk for column in values for chunk in column.chunks] or [pa.array([], kinds.pop())])
    parent = np.concatenate(parents).astype(np.int64)
    order = np.argsort(parent, kind="stable")
    return items.take(pa.array(order)), parent[order]


def _drop_scores(scores: pa.ChunkedArray, parent: np.ndarray, keep: np.ndarray) -> pa.ChunkedArray:
    """Lists of scores without those of the negatives that are left out.

    Args:
        scores: a list a row, of the pair and of each of its negatives.
        parent: the row of each negative, ascending.
        keep: False for a negative that is left out.

    A row whose list is not as long as that, such as one with scores of the negatives that are not empty only, stays.
    """
    first = np.concatenate([[0], np.cumsum(np.bincount(parent, minlength=len(scores)))])
    lengths = pc.fill_null(pc.list_value_length(scores), 0).to_numpy()
    owner = pc.list_parent_indices(scores).to_numpy()
    place = np.arange(len(owner)) - np.searchsorted(owner, owner)
    of_negative = np.flatnonzero((lengths == 1 + np.diff(first))[owner] & (place > 0))
    left = np.ones(len(owner), bool)
    left[of_negative] = keep[first[owner[of_negative]] + place[of_negative] - 1]
    values = pa.concat_arrays([chunk.flatten() for chunk in scores.chunks] or [pa.array([], pa.float64())])
    return _lists(values.filter(pa.array(left)), owner[left], len(scores))


def _lists(values: pa.Array, parent: np.ndarray, count: int) -> pa.ChunkedArray:
    """A list a row of `count`, from values in row order and the row of each."""
    offsets = np.concatenate([[0], np.cumsum(np.bincount(parent, minlength=count))])
    return pa.chunked_array([pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values)])


def is_empty(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """True where an item is null, empty, or white space only; of a column of lists, where there is no list."""
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return pc.fill_null(pc.equal(pc.list_value_length(column), 0), True)
    empty = pc.equal(pc.binary_length(column), 0)
    if pa.types.is_large_string(column.type):
        empty = pc.or_(empty, pc.utf8_is_space(column))
    return pc.fill_null(empty, True)


def _no_number(scores: pa.ChunkedArray) -> pa.ChunkedArray:
    """True where a score is missing or not finite; of a list, any of it."""
    if not pa.types.is_large_list(scores.type):
        return pc.invert(pc.fill_null(pc.is_finite(scores), False))
    bad = np.equal(pc.fill_null(pc.list_value_length(scores), 0).to_numpy(), 0)
    wrong = pc.invert(pc.fill_null(pc.is_finite(pc.list_flatten(scores)), False))
    bad[pc.list_parent_indices(scores).to_numpy()[wrong.to_numpy()]] = True
    return pa.chunked_array([pa.array(bad)])


def _bad_rows(table: pa.Table, sides: Mapping[str, str], extra: Extra) -> tuple[np.ndarray, Callable[[int], str]]:
    """A mask of the bad rows, and what says why the row at a position is bad."""
    checks = [(is_empty(table[side]), f"side {side!r} (column {column!r}) is empty") for side, column in sides.items()]
    if extra.id is not None:
        checks.append((is_empty(table["id"]), f"the id (column {extra.id!r}) is empty"))
    if extra.score is not None:
        checks.append((_no_number(table["score"]), f"the score (column {extra.score!r}) is no number"))
    masks = [(mask.to_numpy(), why) for mask, why in checks]
    bad = np.logical_or.reduce([mask for mask, _ in masks])
    return bad, lambda position: next(why for mask, why in masks if mask[position])
