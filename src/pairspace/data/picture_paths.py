"""Pairs with pictures: their paths made whole and seen to exist, broken ones found before they are encoded.

What names a picture is a path from `root` (by default from where the program runs). Whether all files are there is
asked at once, which costs little; whether they can be decoded only where bad rows are to be left out, because that
costs as much as reading them all.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairspace.data.archives import find_member, has_member
from pairspace.data.pairs import Pairs
from pairspace.data.pictures import open_picture
from pairspace.errors import DataError

__all__ = ["bad_pictures", "check_pictures", "locate", "missing_pictures", "whole_paths"]

_log = logging.getLogger(__name__)
_BATCH = 256  # pictures whose bytes are Python objects at the same time


def whole_paths(items: pa.ChunkedArray, root: Path | None) -> pa.ChunkedArray:
    """Paths that start from a folder joined to it; bytes, and paths from the top, stay as they are.

    Args:
        items: large_string or large_binary.
        root: the folder; None to leave all.
    """
    if root is None or not pa.types.is_large_string(items.type):
        return items
    whole = pa.array([None if path is None else str(root / path) for path in items.to_pylist()], pa.large_string())
    return pa.chunked_array([whole])


def locate(pairs: Pairs, sides: Sequence[str]) -> Pairs:
    """The same pairs with whole paths on these sides.

    Args:
        pairs: with any items; of those that are bytes nothing changes.
        sides: whose items are pictures.

    Raises:
        DataError: a file is missing; names row and path, and how many are.
    """
    table = pairs.table
    for side in sides:
        items = whole_paths(pairs.items(side), pairs.root)
        if not pa.types.is_large_string(items.type):
            continue
        if gone := missing_pictures(items):
            first = min(gone)
            raise DataError(
                f"{pairs.source}, row {pairs.table['row'][first].as_py()} (from 0): side {side!r}: {gone[first]} "
                f"({len(gone):,} such rows in all). Paths start from {pairs.root or Path.cwd()}; root= (--root) names "
                "another folder, and --skip-bad leaves such rows out"
            )
        table = table.set_column(table.schema.get_field_index(side), side, items)
    if table is pairs.table:
        return pairs
    return _like(pairs, table, root=None, skipped=pairs.skipped)


def check_pictures(pairs: Pairs, sides: Sequence[str], *, skip_bad: bool = False) -> Pairs:
    """Decode every picture once, and tell of those that cannot be used.

    Args:
        pairs: with any items.
        sides: whose items are pictures.
        skip_bad: leave their rows out and count them, instead of stopping.

    Returns:
        The pairs that can be used, with whole paths.

    Raises:
        DataError: a picture cannot be used (row, path, reason, how many); or none can.
    """
    table, bad = pairs.table, np.zeros(len(pairs), bool)
    reasons: dict[int, str] = {}
    for side in sides:
        items = whole_paths(pairs.items(side), pairs.root)
        table = table.set_column(table.schema.get_field_index(side), side, items)
        codes = pairs.codes(side)
        first = np.unique(codes, return_index=True)[1]
        for number, reason in bad_pictures(items.take(pa.array(first))).items():
            rows = np.flatnonzero(codes == number)
            reasons |= {int(row): f"side {side!r}: {reason}" for row in rows}
            bad[rows] = True
    count = int(bad.sum())
    if count and (not skip_bad or count == len(pairs)):
        row = int(np.flatnonzero(bad)[0])
        place = f"{pairs.source}, row {pairs.table['row'][row].as_py()} (from 0)"
        raise DataError(f"{place}: {reasons[row]} ({count:,} such rows in all). --skip-bad leaves such rows out")
    if count:
        first_bad = int(np.flatnonzero(bad)[0])
        _log.warning("%d rows with unusable pictures are left out, the first: %s", count, reasons[first_bad])
        table = table.filter(pa.array(~bad))
    return _like(pairs, table, root=None, skipped=pairs.skipped + count)


def missing_pictures(items: pa.ChunkedArray) -> dict[int, str]:
    """Number -> reason, of the paths at which there is no file; bytes are always there."""
    if not pa.types.is_large_string(items.type):
        return {}
    gone = [path for path in items.unique().to_pylist() if path is not None and not _exists(path)]
    bad = pc.is_in(items, value_set=pa.array(gone, pa.large_string())).to_numpy()
    return {int(row): f"{items[int(row)].as_py()}: no such file" for row in np.flatnonzero(bad)}


def bad_pictures(items: pa.ChunkedArray) -> dict[int, str]:
    """Number -> reason, of the pictures that cannot be decoded."""
    found: dict[int, str] = {}

    def look(number: int, item: str | bytes | None) -> None:
        try:
            open_picture(b"" if item is None else item)
        except DataError as error:
            found[number] = str(error)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(items), _BATCH):
            some = items[start : start + _BATCH].to_pylist()
            list(pool.map(look, range(start, start + len(some)), some))
    return dict(sorted(found.items()))


def _exists(path: str) -> bool:
    member = find_member(path)
    return Path(path).is_file() if member is None else has_member(*member)


def _like(pairs: Pairs, table: pa.Table, *, root: Path | None, skipped: int) -> Pairs:
    own = {"query_side": pairs.query_side, "source": pairs.source, "total": pairs.total}
    return Pairs(table, pairs.sides, skipped=skipped, root=root, **own)  # type: ignore[arg-type]
