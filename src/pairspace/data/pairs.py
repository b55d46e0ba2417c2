"""Pairs: what belongs together, one column a side, held by Arrow.

A row is always one item a side. Items are never Python objects until one is looked at: ten million pairs of sentences
are a few gigabytes of text and one pointer each. `unique` numbers the distinct items of a side, which is what encoding,
duplicates, false negatives and splits all need.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pairspace.data.forms import recognise
from pairspace.data.rows import Extra, check_names, pair_rows
from pairspace.data.source import Source, tidy_types
from pairspace.data.splitting import choose_test_rows, components, fall_back_to_rows, group_codes
from pairspace.data.tables import column_names, open_source
from pairspace.errors import DataError

__all__ = ["Pairs", "read_pairs"]


class Pairs:
    """Pairs of items; not to be changed once made.

    Attributes:
        table: one column a side (large_string or large_binary); `row`, the row in the source file (int64, from 0; over
            several files counted on); and where given `id` and `group` (large_string), `score` (float64, or a
            large_list of them), `negatives` (large_list of items).
        sides: names of the sides.
        query_side: the side that is searched with; the first unless said otherwise.
        source: where they come from, for messages.
        skipped: bad rows that were left out.
        root: folder that relative paths among the items start from.
        total: rows of the source, whatever was left out or selected since.
    """

    def __init__(
        self,
        table: pa.Table,
        sides: Sequence[str],
        *,
        query_side: str | None = None,
        source: str = "memory",
        skipped: int = 0,
        root: Path | None = None,
        total: int | None = None,
    ) -> None:
        self.total = int(table.num_rows) if total is None else total
        self.table, self.sides, self.source, self.skipped, self.root = table, tuple(sides), source, skipped, root
        self.query_side = self.sides[0] if query_side is None else query_side
        if self.query_side not in self.sides:
            raise DataError(f"query side {query_side!r} is none of the sides {', '.join(self.sides)}")
        self._codes: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        return f"Pairs({len(self):,} rows, sides {', '.join(self.sides)}, from {self.source})"

    @property
    def document_side(self) -> str:
        """The first side that is not the query side."""
        return next(side for side in self.sides if side != self.query_side)

    @cached_property
    def duplicates(self) -> int:
        """Rows that are equal on every side to an earlier one; they are kept."""
        together = self.codes(self.sides[0])
        for side in self.sides[1:]:
            codes = self.codes(side)
            together = np.unique(together * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)[1]
        return len(self) - (int(together.max()) + 1 if len(self) else 0)

    def items(self, side: str) -> pa.ChunkedArray:
        """The items of a side, one a row."""
        if side not in self.sides:
            raise DataError(f"no side {side!r}; the sides are {', '.join(self.sides)}")
        return self.table[side]

    def unique(self, side: str) -> tuple[pa.Array, np.ndarray]:
        """The distinct items of a side in order of first appearance, and the number of each row's item (int64)."""
        codes = self.codes(side)
        first = np.empty(int(codes.max(initial=-1)) + 1, dtype=np.int64)
        first[codes[::-1]] = np.arange(len(codes))[::-1]  # of several, the last written stays: the first row
        items = self.items(side).take(pa.array(first))
        return pa.concat_arrays(items.chunks) if items.num_chunks else pa.array([], items.type), codes

    def codes(self, side: str) -> np.ndarray:
        """For each row the number of its item among the distinct ones (int64); equal items, equal numbers."""
        if side not in self._codes:
            encoded = self.items(side).dictionary_encode()
            chunks = [chunk.indices.to_numpy() for chunk in encoded.chunks]
            self._codes[side] = np.concatenate(chunks).astype(np.int64) if chunks else np.empty(0, np.int64)
        return self._codes[side]

    def select(self, indices: np.ndarray | Sequence[int]) -> Pairs:
        """The pairs at these positions, or where a boolean mask is true, in that order."""
        indices = np.asarray(indices)
        if indices.dtype == bool:
            indices = np.flatnonzero(indices)
        return self._with(self.table.take(pa.array(indices, pa.int64())))

    def split(self, *, test: float | int, seed: int = 0) -> tuple[Pairs, Pairs]:
        """Train and test pairs; rows that belong together are never on both sides of the split.

        Rows of one group belong together (a row without a group stands alone). Without groups, rows that share an item
        do; if more than half of all rows hang together in that way, single source rows are split, with a warning.

        Args:
            test: share of the rows (float) or number of rows (int) of the second part, as near as groups allow.
            seed: the same seed gives the same split.

        Raises:
            DataError: one of the parts would be empty.
        """
        rows = self.table["row"].to_numpy()
        if "group" in self.table.column_names:
            groups = group_codes(self.table["group"])
        else:
            groups = fall_back_to_rows(components([self.codes(side) for side in self.sides]), rows)
        mask = choose_test_rows(groups, test, seed)
        return self.select(~mask), self.select(mask)

    def _with(self, table: pa.Table) -> Pairs:
        return Pairs(
            table,
            self.sides,
            query_side=self.query_side,
            source=self.source,
            skipped=self.skipped,
            root=self.root,
            total=self.total,
        )

    @classmethod
    def from_columns(
        cls,
        columns: Mapping[str, Any],
        *,
        group: Any = None,
        id: Any = None,
        negatives: Any = None,
        score: Any = None,
        root: Path | str | None = None,
        query_side: str | None = None,
        skip_bad: bool = False,
    ) -> Pairs:
        """Pairs from lists or Arrow arrays in memory: `Pairs.from_columns({"title": [...], "body": [...]})`.

        Args:
            columns: side name -> items, or lists of items.
            group: what must stay together in a split, one value a row.
            id: names, one a row.
            negatives: a list of items a row.
            score: numbers, one a row, or a list a row: of the pair, and of each of its negatives.
            root: as in `read_pairs`.
            query_side: as in `read_pairs`.
            skip_bad: as in `read_pairs`.

        Raises:
            DataError: columns of different lengths or of no usable type, or an empty item.
        """
        check_names(list(columns))
        extras = {"group": group, "id": id, "negatives": negatives, "score": score}
        given = {**columns, **{name: values for name, values in extras.items() if values is not None}}
        try:
            arrays = {name: _array(values) for name, values in given.items()}
        except (pa.ArrowException, TypeError) as error:
            raise DataError(f"items of different types in one column ({error})") from error
        lengths = {name: len(values) for name, values in arrays.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(
                f"columns of different lengths: {', '.join(f'{n} {count}' for n, count in lengths.items())}"
            )
        table = tidy_types(pa.table(arrays))
        group, id, score = (name if name in given else None for name in ("group", "id", "score"))
        extra = Extra(group, id, score, ("negatives",) if negatives is not None else ())
        source = Source(Path("memory"), table, table.num_rows)
        rows, skipped = pair_rows(source, {side: side for side in columns}, extra, skip_bad=skip_bad)
        return cls(rows, list(columns), query_side=query_side, skipped=skipped, root=_path(root))

    @classmethod
    def concat(cls, parts: Iterable[Pairs]) -> Pairs:
        """All pairs of several, one after the other. Row numbers stay as they are; extra columns must agree.

        Raises:
            DataError: no parts, or parts with different sides, columns or folders that paths start from.
        """
        parts = list(parts)
        if not parts:
            raise DataError("nothing to put together")
        first = parts[0]
        for part in parts[1:]:
            if part.sides != first.sides or not part.table.schema.equals(first.table.schema):
                raise DataError(
                    f"pairs from {first.source} and {part.source} do not fit together: "
                    f"{', '.join(first.table.column_names)} and {', '.join(part.table.column_names)}"
                )
            if part.root != first.root:
                raise DataError(
                    f"paths of {first.source} start from {first.root or 'here'}, those of {part.source} from "
                    f"{part.root or 'here'}: read both with one root, or make paths whole first"
                )
        source = ", ".join(dict.fromkeys(part.source for part in parts))
        skipped = sum(part.skipped for part in parts)
        table = pa.concat_tables([part.table for part in parts])
        return cls(table, first.sides, query_side=first.query_side, source=source, skipped=skipped, root=first.root)


def read_pairs(
    path: Path | str | Sequence[Path | str],
    sides: Mapping[str, str] | Sequence[str] | None = None,
    *,
    group: str | None = None,
    id: str | None = None,
    negatives: str | Sequence[str] | None = None,
    score: str | None = None,
    root: Path | str | None = None,
    query_side: str | None = None,
    skip_bad: bool = False,
) -> Pairs:
    """Pairs from a file of any known format, or from several of one layout.

    Args:
        path: CSV, TSV, JSONL, Parquet, or a saved `datasets` folder; or a list of them.
        sides: side name -> column; or the names alone where columns are called so; None for a layout known from
            sentence-transformers, FlagEmbedding or open_clip. A column may hold lists: several positives.
        group: column whose equal values must stay on one side of a split.
        id: column that names the pairs.
        negatives: column, or columns, of items known to be wrong for the row.
        score: column of numbers, or of lists: the score of the pair, then of each of its negatives.
        root: folder that relative paths among the items start from.
        query_side: the side that is searched with; the first unless said otherwise.
        skip_bad: leave out rows that cannot be read or have an empty item, and count them, instead of stopping.

    Raises:
        DataError: no such file or column, a bad row (file, line or row, reason, how many), or no rows at all.
    """
    paths = [Path(path)] if isinstance(path, (str, Path)) else [Path(one) for one in path]
    if not paths:
        raise DataError("no files to read pairs from")
    wrong = [negatives] if isinstance(negatives, str) else list(negatives or ())
    if sides is None:
        form = recognise(column_names(paths[0]), paths[0])
        sides, wrong = form.sides, wrong or form.negatives
    elif isinstance(sides, str) or not isinstance(sides, Mapping):
        sides = {name: name for name in ([sides] if isinstance(sides, str) else sides)}
    check_names(list(sides))
    extra = Extra(group, id, score, tuple(wrong))
    tables, skipped, start = [], 0, 0
    for one in paths:
        source = open_source(one, [*sides.values(), *extra.columns], skip_bad=skip_bad)
        table, left_out = pair_rows(source, sides, extra, skip_bad=skip_bad)
        rows = pa.chunked_array([table["row"].to_numpy() + start])
        tables.append(table.set_column(table.schema.get_field_index("row"), "row", rows))
        skipped, start = skipped + left_out, start + source.total
    if any(not table.schema.equals(tables[0].schema) for table in tables):
        raise DataError(f"{paths[0]} and the files after it hold items of different types (text and bytes)")
    return Pairs(
        pa.concat_tables(tables),
        list(sides),
        query_side=query_side,
        source=", ".join(map(str, paths)),
        skipped=skipped,
        root=_path(root),
        total=start,
    )


def _array(values: Any) -> pa.Array | pa.ChunkedArray:
    return values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values)


def _path(root: Path | str | None) -> Path | None:
    return None if root is None else Path(root)
