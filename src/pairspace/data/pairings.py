"""Tables of more than two sides as data sets of two: a sentence in many languages, wide or one language a row.

    en      it      de          ->   pairs of en and it, pairs of en and de
    house   casa    Haus
    bread           Brot

An empty item is no mistake here: its row just says nothing about that side. A side `@lang` stands for as many sides as
the column `lang` has values, each called by its value; `it`, `IT` or `pt_BR`, `pt-BR` are one, called as most are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairspace.data.numbering import number_values
from pairspace.data.pairs import Pairs
from pairspace.data.rows import Extra, check_names, is_empty, items_of, pair_rows
from pairspace.data.source import Source, text_column
from pairspace.data.splitting import choose_test_rows, components, fall_back_to_rows, group_codes
from pairspace.data.tables import open_source
from pairspace.data.units import same_language
from pairspace.errors import DataError

__all__ = ["EVERY", "read_pairings", "split_together"]

EVERY = "all"  # as pivot: every two sides are paired


@dataclass(frozen=True)
class _Column:
    """Where the items of a side stand: a column, or those rows of it whose language column has one of these values."""

    name: str
    language: str | None = None
    values: tuple[str, ...] = ()


def read_pairings(
    path: Path | str | Sequence[Path | str],
    sides: Mapping[str, str],
    *,
    pivot: str | None = None,
    group: str | None = None,
    id: str | None = None,
    root: Path | str | None = None,
    skip_bad: bool = False,
) -> list[Pairs]:
    """Pairs of a pivot side and each other side, from a file of any known format or several of one layout.

    Args:
        path: as in `read_pairs`.
        sides: side name -> column; `@lang` -> column: a side for each language of the column `lang`.
        pivot: the side that all others are paired with; None for the first, "all" for every two sides.
        group: column whose equal values must stay on one side of a split.
        id: column that names the rows.
        root: folder that relative paths among the items start from.
        skip_bad: leave out rows that cannot be read, or do not say which language they are in, and count them.

    Returns:
        The data sets, each of two sides and none empty; those of one side less before those of the next. What cannot
        be read, or has no language, is counted as skipped in the first.

    Raises:
        DataError: no such file or column, a row without a language or with two items of one side (file, line or row),
            no such pivot, or a side that is never beside another.
    """
    paths = [Path(path)] if isinstance(path, (str, Path)) else [Path(one) for one in path]
    if not paths:
        raise DataError("no files to read pairs from")
    languages = [name.removeprefix("@") for name in sides if name.startswith("@")]
    extra = Extra(group, id)
    columns = [*sides.values(), *languages, *extra.columns]
    read = [open_source(one, columns, skip_bad=skip_bad) for one in paths]
    skipped, sources = sum(source.skipped for source in read), []
    for source in read:
        for language in languages:
            source, left_out = _with_language(source, language, skip_bad)
            skipped += left_out
        sources.append(source)
    where = _columns_of(sources, sides)
    check_names(list(where))
    pivot = next(iter(where)) if pivot is None else pivot
    if pivot != EVERY and pivot not in where:
        raise DataError(f"no side {pivot!r} to pair the others with: the sides are {', '.join(where)}, or '{EVERY}'")
    found = [_pairs(sources, (one, other), where, extra, root) for one, other in _two_by_two(list(where), pivot)]
    made = [pairs for pairs in found if pairs is not None]
    alone = [side for side in where if not any(side in pairs.sides for pairs in made)]
    if alone:
        beside = "another side" if pivot == EVERY else f"side {pivot!r}"
        raise DataError(f"{paths[0]}: no row has side {alone[-1]!r} beside {beside}: are the columns the right ones?")
    made[0].skipped = skipped
    return made


def _two_by_two(sides: Sequence[str], pivot: str) -> Iterator[tuple[str, str]]:
    if pivot != EVERY:
        yield from ((pivot, side) for side in sides if side != pivot)
    else:
        yield from ((one, other) for at, one in enumerate(sides) for other in sides[at + 1 :])


def _with_language(source: Source, language: str, skip_bad: bool) -> tuple[Source, int]:
    """The same rows with the language as text, without those that have none; and how many these are."""
    column = text_column(source.table[language], f"{source.path}: column {language!r} (language)")
    missing = is_empty(column).to_numpy()
    count = int(missing.sum())
    if count and not skip_bad:
        place = source.place(int(source.row_numbers[np.flatnonzero(missing)[0]]))
        raise DataError(
            f"{place}: no language (column {language!r}), {count:,} such rows in all. Correct them, or leave them out "
            "with skip_bad=True (--skip-bad)"
        )
    table = source.table.set_column(
        source.table.schema.get_field_index(language), language, pc.utf8_trim_whitespace(column)
    )
    return _rows(replace(source, table=table), ~missing), count


def _rows(source: Source, mask: np.ndarray) -> Source:
    """Some of the rows, which keep their numbers."""
    return replace(source, table=source.table.filter(pa.array(mask)), rows=source.row_numbers[mask])


def _columns_of(sources: Sequence[Source], sides: Mapping[str, str]) -> dict[str, list[_Column]]:
    """Of each side the columns that hold its items; those of a language column by how often they occur."""
    where: dict[str, list[_Column]] = {}
    for side, column in sides.items():
        if not side.startswith("@"):
            where.setdefault(side, []).append(_Column(column))
            continue
        language, counts = side.removeprefix("@"), Counter[str]()
        for source in sources:
            for entry in pc.value_counts(source.table[language]).to_pylist():
                counts[entry["values"]] += entry["counts"]
        spelt: dict[str, list[str]] = {}
        for value, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
            alike = (side for side in (*where, *spelt) if same_language(side, value))
            spelt.setdefault(value if value in where else next(alike, value), []).append(value)
        for side, values in spelt.items():
            where.setdefault(side, []).append(_Column(column, language, tuple(values)))
    return where


def _pairs(
    sources: Sequence[Source],
    sides: tuple[str, str],
    where: Mapping[str, list[_Column]],
    extra: Extra,
    root: Path | str | None,
) -> Pairs | None:
    """The pairs of two sides; None where no row has both."""
    tables, start = [], 0
    for source in sources:
        items = [_items(source, side, where[side]) for side in sides]
        both = np.logical_and(*(~is_empty(column).to_numpy() for column in items))
        if both.any():
            names = {side: f"items of side {side}" for side in sides}  # no other column is called so
            kept = {name: source.table[name] for name in extra.columns} | dict(zip(names.values(), items, strict=True))
            some = _rows(replace(source, table=pa.table(kept)), both)
            table, _ = pair_rows(some, names, extra, skip_bad=False)
            rows = pa.chunked_array([table["row"].to_numpy() + start])
            tables.append(table.set_column(table.schema.get_field_index("row"), "row", rows))
        start += source.total
    if not tables:
        return None
    if any(not table.schema.equals(tables[0].schema) for table in tables):
        raise DataError(f"{sources[0].path} and the files after it hold items of different types (text and bytes)")
    return Pairs(
        pa.concat_tables(tables),
        sides,
        source=", ".join(str(source.path) for source in sources),
        root=None if root is None else Path(root),
        total=start,
    )


def _items(source: Source, side: str, columns: Sequence[_Column]) -> pa.ChunkedArray:
    """A side's item of each row, null where there is none.

    Raises:
        DataError: a row has two.
    """
    found = None
    for column in columns:
        items = items_of(source.table[column.name], f"{source.path}: column {column.name!r}")
        if column.language is not None:
            own = pc.is_in(source.table[column.language], value_set=pa.array(column.values, pa.large_string()))
            items = pc.if_else(own, items, None)
        if found is not None:
            twice = np.flatnonzero(~is_empty(found).to_numpy() & ~is_empty(items).to_numpy())
            if len(twice):
                place = source.place(int(source.row_numbers[twice[0]]))
                raise DataError(f"{place}: two items of side {side!r}, where each has to be on a side of its own")
            items = pc.if_else(is_empty(found), items, found)
        found = items
    assert found is not None  # a side has a column at least
    return found


def split_together(sets: Sequence[Pairs], *, test: float | int, seed: int = 0) -> tuple[list[Pairs], list[Pairs]]:
    """Train and test pairs of several data sets; what belongs together is in the same part of all of them.

    Rows of one group belong together, in whatever data set, if all have groups. Otherwise rows do that share an item on
    a side of one name, or are of one row of the same file: a sentence that is tested in Italian was not trained on in
    German.

    Args:
        sets: with some sides in common.
        test: share of all rows (float) or number of rows (int) of the second part, as near as groups allow.
        seed: the same seed gives the same split.

    Returns:
        The first and the second part of each data set, which may be empty.

    Raises:
        DataError: no data sets, or one of the parts would be empty altogether.
    """
    if not sets:
        raise DataError("no data sets to split")
    rows, count = _of_source(sets), sum(map(len, sets))
    if all("group" in pairs.table.column_names for pairs in sets):
        groups = group_codes(pa.chunked_array([chunk for pairs in sets for chunk in pairs.table["group"].chunks]))
    else:
        sides = dict.fromkeys(side for pairs in sets for side in pairs.sides)
        linked = components([np.arange(count), rows, *(_numbers(sets, side) for side in sides)])
        groups = fall_back_to_rows(linked, rows)
    parts = np.split(choose_test_rows(groups, test, seed), np.cumsum([len(pairs) for pairs in sets])[:-1])
    both = list(zip(sets, parts, strict=True))
    return [pairs.select(~mask) for pairs, mask in both], [pairs.select(mask) for pairs, mask in both]


def _of_source(sets: Sequence[Pairs]) -> np.ndarray:
    """The rows of all data sets, numbered so that the same row of the same source has the same number."""
    sources = {source: number for number, source in enumerate(dict.fromkeys(pairs.source for pairs in sets))}
    rows = [np.stack([np.full(len(one), sources[one.source]), one.table["row"].to_numpy()], 1) for one in sets]
    return np.unique(np.concatenate(rows), axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _numbers(sets: Sequence[Pairs], side: str) -> np.ndarray:
    """The number of each row's item of a side; rows of data sets without that side have one of their own."""
    chunks = [chunk for pairs in sets if side in pairs.sides for chunk in pairs.items(side).chunks]
    _, known = number_values(chunks)
    has = np.repeat([side in pairs.sides for pairs in sets], [len(pairs) for pairs in sets])
    out = int(known.max(initial=-1)) + 1 + np.arange(len(has))
    out[has] = known
    return np.asarray(out, np.int64)
