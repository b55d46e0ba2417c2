"""What goes into a translation memory: the units of translators' files and of pairs, and each distinct text once.

Of XLIFF and PO only what is translated and needs no review is taken; of TMX all languages of a unit. Texts are told
apart as they stand, and each has a key, the text with single blanks for all white space, by which it is found again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from pairspace.bitext.inline_tags import kept_tags
from pairspace.bitext.matching import key_of
from pairspace.data import Unit, read_pairs
from pairspace.data.files import plain_suffix
from pairspace.data.translations import TRANSLATION_SUFFIXES, scan_units
from pairspace.data.units import same_language
from pairspace.errors import DataError

__all__ = ["Remembered"]

UNIT_TABLE = pa.schema(
    [
        ("file", pa.int32()),
        ("id", pa.large_string()),
        ("line", pa.int64()),
        ("context", pa.large_string()),
        ("plural", pa.int32()),
    ]
)
TEXT_TABLE = pa.schema([("language", pa.int32()), ("text", pa.large_string()), ("key", pa.large_string())])
VARIANT_TABLE = pa.schema([("unit", pa.int64()), ("text", pa.int64()), ("tags", pa.large_string())])
_BATCH = 1 << 16


@dataclass
class Remembered:
    """Units as they are collected.

    Attributes:
        languages: codes, in the order they came in; those that differ in spelling alone are one.
        files: where the units came from.
        skipped: units and rows that could not be read.
        left: units with no translation, or with one that needs review.
        counts: how many units have each pair of languages, source first.
    """

    languages: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    skipped: int = 0
    left: int = 0
    counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._texts: dict[tuple[int, str], int] = {}
        self._codes: dict[str, int] = {}
        self._units, self._variants = _Rows(UNIT_TABLE), _Rows(VARIANT_TABLE)

    def __len__(self) -> int:
        return self._units.count

    def add_file(self, path: Path, source: str | None, target: str | None, *, skip_bad: bool = False) -> None:
        """Take in the units of a file.

        Args:
            path: TMX, XLIFF or PO, or a file of pairs.
            source: its language, for a file that does not say so; of several in a TMX the one to read from.
            target: likewise; in a TMX all others are taken too.
            skip_bad: leave out what cannot be read, and count it.

        Raises:
            DataError: a file that cannot be read, or languages that are not known.
        """
        number = len(self.files)
        self.files.append(str(path))
        if plain_suffix(path) not in TRANSLATION_SUFFIXES:
            self._add_pairs(path, number, source, target, skip_bad)
            return
        for unit in scan_units(path, source=source, target=target):
            if isinstance(unit, DataError):
                if not skip_bad:
                    raise DataError(f"{unit}; skip_bad=True (--skip-bad) leaves such units out") from unit
                self.skipped += 1
            else:
                self.add(unit, number, source, target)

    def add(self, unit: Unit, file: int, source: str | None = None, target: str | None = None) -> None:
        """Take in one unit.

        Args:
            unit: as `read_units` gives it.
            file: number of its file.
            source: name of the source language, instead of the one the unit has.
            target: likewise.

        Raises:
            DataError: the unit does not say its languages, and they were not given.
        """
        first, second = source or unit.source_language, target or unit.target_language
        if unit.state == "review":
            self.left += 1
            return
        if unit.target and "" in (first, second):
            what = "target" if first else "source"
            place = f"{self.files[file]}, line {unit.line}"
            raise DataError(f"{place}: the file does not name its {what} language: give {what}= (--{what})")
        texts = {first: (unit.source, unit.tags_source)}
        if unit.target:
            texts[second] = (unit.target, unit.tags_target)
        for code, text in unit.texts.items():
            if not any(same_language(code, known) for known in (unit.source_language, unit.target_language, *texts)):
                texts[code] = (text, unit.tags.get(code, ()))
        texts = {code: text for code, text in texts.items() if text[0].strip()}
        if len(texts) < 2:
            self.left += 1
            return
        self._units.add((file, unit.id or unit.key, unit.line, unit.context, unit.plural))
        tags = kept_tags({code: own for code, (_, own) in texts.items()})
        for code, (text, _) in texts.items():
            self._variants.add((len(self) - 1, self._text(code, text), tags[code] or None))
        first = self.languages[self._language(first)] if first in texts else ""
        for code in texts:
            pair = (first, self.languages[self._language(code)])
            if pair[0] and pair[0] != pair[1]:
                self.counts[pair] = self.counts.get(pair, 0) + 1

    def tables(self) -> dict[str, pa.Table]:
        """The texts, the units, and which unit has which texts, in the order of the units."""
        keys = list(self._texts)
        texts = _Rows(TEXT_TABLE)
        for language, text in keys:
            texts.add((language, text, key_of(text)))
        return {"texts": texts.table(), "units": self._units.table(), "variants": self._variants.table()}

    def _add_pairs(self, path: Path, file: int, source: str | None, target: str | None, skip_bad: bool) -> None:
        if source is None or target is None:
            raise DataError(f"{path}: name the columns of its languages: source= and target= (--source, --target)")
        pairs = read_pairs(path, (source, target), skip_bad=skip_bad)
        self.skipped += pairs.skipped
        rows = (pairs.table["row"], pairs.items(source), pairs.items(target))
        for row, text, translation in _zipped(rows):
            if not isinstance(text, str) or not isinstance(translation, str):
                raise DataError(f"{path}, row {row + 1}: a memory holds one text for another, not lists or bytes")
            unit = Unit(str(row + 1), text, translation, row + 1, source, target, "translated")
            self.add(unit, file)

    def _language(self, code: str) -> int:
        if code not in self._codes:
            alike = next((place for place, one in enumerate(self.languages) if same_language(one, code)), None)
            if alike is None:
                alike = len(self.languages)
                self.languages.append(code)
            self._codes[code] = alike
        return self._codes[code]

    def _text(self, code: str, text: str) -> int:
        return self._texts.setdefault((self._language(code), text), len(self._texts))


class _Rows:
    """Rows that become an Arrow table, a batch at a time."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema, self.count = schema, 0
        self._rows: list[Sequence[Any]] = []
        self._batches: list[pa.RecordBatch] = []

    def add(self, row: Sequence[Any]) -> None:
        self.count += 1
        self._rows.append(row)
        if len(self._rows) == _BATCH:
            self._flush()

    def table(self) -> pa.Table:
        self._flush()
        return pa.Table.from_batches(self._batches, self.schema)

    def _flush(self) -> None:
        columns = zip(*self._rows, strict=True) if self._rows else [()] * len(self.schema)
        arrays = [pa.array(list(column), form.type) for column, form in zip(columns, self.schema, strict=True)]
        self._batches.append(pa.record_batch(arrays, schema=self.schema))
        self._rows = []


def _zipped(columns: Iterable[pa.ChunkedArray]) -> Iterator[tuple[Any, ...]]:
    """Rows of columns, without making all of them Python objects at once."""
    table = pa.table({str(place): column for place, column in enumerate(columns)})
    for batch in table.to_batches(max_chunksize=_BATCH):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
