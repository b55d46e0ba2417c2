"""What verbs of items read: one column of a file, each item's id, and the count of rows left out.

Rows keep the number they have in the file, also where bad ones were left out, and messages name lines of the file.
Everything is checked here, before a space is put to work or a folder is made. An empty text is an item (a vector file
stays row for row with its text file); a missing one is not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Items", "picture_payload", "read_items", "stoppable"]


@dataclass(frozen=True)
class Items:
    """One column of a file.

    Attributes:
        items: the column.
        ids: one an item, none twice: of the id column, or the rows' numbers in the file.
        payload: the columns to keep with each item, or None.
        skipped: rows that were left out.
    """

    items: pa.ChunkedArray
    ids: list[str]
    payload: pa.Table | None
    skipped: int


def read_items(
    path: Path,
    side: str,
    *,
    column: str | None = None,
    id: str | None = None,
    payload: Sequence[str] | None = None,
    skip_bad: bool = False,
    pictures: bool = False,
    root: Path | None = None,
    beside: str | None = None,
    no_blanks: bool = False,
) -> Items:
    """Read the items of a side.

    Args:
        path: any file that `read_table` reads.
        side: names the column where `column` does not; after it "text" (of pictures "image"), after it the only column
            there is.
        column: of the items.
        id: column of the ids; without it an item's id is its row's number in the file; of a folder or archive of
            pictures, its path or key within.
        payload: columns to keep with each item.
        skip_bad: leave out rows without an item or id and those that cannot be read, instead of stopping.
        pictures: the items are pictures: with `skip_bad` each is decoded to see whether it can be.
        root: folder that paths of pictures start from.
        beside: a column of texts that makes up for an item: a row needs one of the two.
        no_blanks: the items are texts, and an empty one is none.

    Raises:
        DataError: a column is missing, a row is bad, no row is left, or an id comes twice (both lines are named).
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from pairspace.data.corpus import refuse_repeats
    from pairspace.data.source import missing_column, text_column
    from pairspace.data.tables import open_source
    from pairspace.errors import DataError

    source = open_source(path, skip_bad=skip_bad)
    table, names = source.table, source.table.column_names
    usual = [name for name in (side, "image" if pictures else "text") if name in names]
    usual = usual or (names if len(names) == 1 else [])
    id = id or (_own_id(path) if pictures else None)
    column = column or next(iter(usual), None)
    if column is None:
        raise DataError(f"{path}: name the items' --column; there are {', '.join(names)}")
    for name in (column, id, beside, *(payload or ())):
        if name is not None and name not in names:
            raise missing_column(path, name, names)
    checks = [(pc.is_null(table[column]), f"the item (column {column!r}) is missing")]
    if no_blanks:
        checks = [(_blank(text_column(table[column], f"column {column!r}")), f"the text (column {column!r}) is empty")]
    if pictures:
        table, checks = _with_pictures(table, column, f"{path}: column {column!r}", root, skip_bad)
    if beside is not None:
        bare = _blank(text_column(table[beside], f"column {beside!r}"))
        checks[0] = (pc.and_(checks[0][0], bare), f"neither {column!r} nor {beside!r} holds anything")
    if id is not None:
        keys = text_column(table[id], f"{path}: column {id!r} (id)")
        checks.append((_blank(keys), f"the id (column {id!r}) is empty"))
    masks = [(mask.to_numpy(), why) for mask, why in checks]
    bad, rows = np.logical_or.reduce([mask for mask, _ in masks]), source.row_numbers
    if bad.any() and not skip_bad:
        first = int(np.flatnonzero(bad)[0])
        why = next(why for mask, why in masks if mask[first])
        count = f"{bad.sum():,} such rows in all" if bad.sum() > 1 else "the only such row"
        raise DataError(f"{source.place(int(rows[first]))}: {why} ({count}). --skip-bad leaves such rows out")
    table, rows = table.filter(pa.array(~bad)), rows[~bad]
    skipped = source.skipped + int(bad.sum())
    if not len(table):
        raise DataError(f"{path}: no rows that can be used ({skipped:,} bad ones)")
    if id is None:
        ids = [str(row) for row in rows]
    else:
        keys = text_column(table[id], f"{path}: column {id!r} (id)")
        refuse_repeats(source, keys, rows)
        ids = keys.to_pylist()
    return Items(table[column], ids, table.select(list(payload)) if payload else None, skipped)


def _blank(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which texts are missing, empty or of blanks alone."""
    import pyarrow.compute as pc

    return pc.fill_null(pc.equal(pc.utf8_trim_whitespace(texts), ""), True)


def picture_payload(read: Items, thumbnails: int | None) -> Sequence[Mapping[str, Any]]:
    """What is stored with pictures: the columns asked for, their paths, and small copies where wished.

    Args:
        read: the pictures.
        thumbnails: most pixels a side; None for no copies.
    """
    from pairspace.data.pictures import thumbnail

    rows: list[dict[str, Any]] = [{} for _ in read.ids] if read.payload is None else read.payload.to_pylist()
    for number, row in enumerate(rows):
        item = read.items[number].as_py()
        if isinstance(item, str):
            row.setdefault("path", item)
        if thumbnails is not None:
            row["thumbnail"] = thumbnail(item, thumbnails)
    return rows


def _own_id(path: Path) -> str | None:
    """The column that names the pictures of a folder or an archive."""
    return "id" if path.is_dir() and not (path / "state.json").is_file() else "key" if path.suffix == ".tar" else None


def _with_pictures(
    table: pa.Table, column: str, what: str, root: Path | None, skip_bad: bool
) -> tuple[pa.Table, list[tuple[pa.ChunkedArray, str]]]:
    """The table with whole paths, or bytes, and masks of rows that cannot be used, each with the reason."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from pairspace.data.picture_paths import bad_pictures, missing_pictures, whole_paths
    from pairspace.data.rows import items_of

    items = items_of(table[column], what)
    if pa.types.is_large_string(items.type):  # a path of blanks is none
        nothing = pa.scalar(None, items.type)
        items = pc.if_else(pc.equal(pc.utf8_trim_whitespace(items), ""), nothing, items)
    items = whole_paths(items, root)
    table = table.set_column(table.schema.get_field_index(column), column, items)
    found = bad_pictures(items) if skip_bad else missing_pictures(items)
    found = {row: why for row, why in found.items() if items[row].is_valid}
    reason = next(iter(found.values()), "")
    bad = np.zeros(len(items), bool)
    bad[list(found)] = True
    gone = (pc.is_null(items), f"the picture (column {column!r}) is missing")
    return table, [gone, (pa.chunked_array([pa.array(bad)]), reason)]


@contextmanager
def stoppable() -> Iterator[None]:
    """Let Ctrl-C end a verb whose work so far is kept: one line and code 130."""
    try:
        yield
    except KeyboardInterrupt:
        print("\nstopped; what was done is kept, and the same command goes on from there", file=sys.stderr)
        raise typer.Exit(130) from None
