"""Moses pairs: two text files whose lines belong together, `corpus.en` and `corpus.it`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from pairspace.data.lines import read_lines
from pairspace.data.pairs import Pairs
from pairspace.data.rows import Extra, pair_rows
from pairspace.data.source import Source
from pairspace.errors import DataError

__all__ = ["read_moses"]


def read_moses(
    left: Path | str, right: Path | str, *, sides: Sequence[str] | None = None, skip_bad: bool = False
) -> Pairs:
    """Pairs of two files, line by line.

    Args:
        left: a text file in UTF-8, possibly compressed.
        right: the other, with as many lines.
        sides: names of the two sides; None for the files' suffixes: `en` and `it` of `corpus.en` and `corpus.it.gz`.
        skip_bad: leave out pairs with an empty line or one that is not UTF-8, and count them, instead of stopping.

    Raises:
        DataError: one file is longer (says at which line they part), an empty line, one that is not UTF-8, or two sides
            that would have the same name.
    """
    paths = [Path(left), Path(right)]
    names = list(sides) if sides is not None else [_side(path) for path in paths]
    if len(names) != 2 or names[0] == names[1] or not all(names):
        raise DataError(
            f"{left} and {right}: two sides are needed, and they are {names}: name them (sides=('en', 'it'))"
        )
    read = [read_lines(path, None, skip_bad=skip_bad) for path in paths]
    if read[0].total != read[1].total:
        short, long = sorted(read, key=lambda source: source.total)
        raise DataError(
            f"{long.path}, line {short.total + 1}: {short.path} ends before it ({short.total:,} lines there, "
            f"{long.total:,} here); lines that belong together need the same number, so one may be missing earlier too"
        )
    rows = np.intersect1d(read[0].row_numbers, read[1].row_numbers, assume_unique=True)
    texts = [source.table["text"].take(pa.array(np.searchsorted(source.row_numbers, rows))) for source in read]
    columns = [str(path) if paths[0].name == paths[1].name else path.name for path in paths]
    source = Source(
        paths[0], pa.table(dict(zip(columns, texts, strict=True))), read[0].total, rows, lambda row: row + 1
    )
    table, skipped = pair_rows(source, dict(zip(names, columns, strict=True)), Extra(), skip_bad=skip_bad)
    return Pairs(table, names, source=f"{left}, {right}", skipped=skipped, total=source.total)


def _side(path: Path) -> str:
    suffixes = [suffix[1:] for suffix in path.suffixes if suffix.lower() not in (".gz", ".zst", ".zstd", ".txt")]
    return suffixes[-1] if suffixes else ""
