"""The tables of a translation memory on disk, mapped into memory and not read: what is not looked up costs nothing.

texts.arrow      every distinct text of a language
units.arrow      where each unit came from, its context, and what its inline tags do
variants.arrow   which unit has which text; and the variants in the order of their texts
keys.arrow       of every text its language and its first variant in that order; and the hashes of all keys, sorted,
                 with the text of each

Texts, units and variants go by number. Files are Arrow's own (IPC), not compressed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pairspace.bitext.matching import key_of
from pairspace.data.files import Closing
from pairspace.errors import IndexingError

__all__ = ["SCHEMAS", "MemoryTables", "TableWriter", "key_hash", "table_path"]

SCHEMAS = {
    "texts": pa.schema([("text", pa.large_string())]),
    "units": pa.schema(
        [
            ("file", pa.int32()),
            ("id", pa.large_string()),
            ("line", pa.int64()),
            ("context", pa.large_string()),
            ("plural", pa.int32()),
            ("tags", pa.large_string()),
        ]
    ),
    "variants": pa.schema([("unit", pa.int64()), ("text", pa.int64()), ("by_text", pa.int64())]),
    "keys": pa.schema([("language", pa.int32()), ("first", pa.int64()), ("hash", pa.uint64()), ("text", pa.int64())]),
}
_BATCH = 1 << 16


def table_path(folder: Path, name: str) -> Path:
    """Where a table lies."""
    return folder / f"{name}.arrow"


def key_hash(key: str) -> int:
    """64 bits that stand for a key: the first eight bytes (little-endian) of its BLAKE2b digest of length 8."""
    return int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


class TableWriter(Closing):
    """A table written a row or a batch at a time, in a `with` block."""

    def __init__(self, folder: Path, name: str, schema: pa.Schema | None = None) -> None:
        self.schema = SCHEMAS[name] if schema is None else schema
        self.count = 0
        self._rows: list[Sequence[Any]] = []
        self._file = pa.OSFile(str(table_path(folder, name)), "wb")
        self._writer = pa.ipc.new_file(self._file, self.schema)

    def add(self, row: Sequence[Any]) -> None:
        """One more row."""
        self.count += 1
        self._rows.append(row)
        if len(self._rows) == _BATCH:
            self._flush()

    def write(self, *columns: Any) -> None:
        """A batch of rows as whole columns."""
        arrays = [pa.array(column, form.type) for column, form in zip(columns, self.schema, strict=True)]
        self._writer.write_batch(pa.record_batch(arrays, schema=self.schema))
        self.count += len(arrays[0])

    def close(self) -> None:
        """Write what is left; closing twice does no harm."""
        if not self._file.closed:
            self._flush()
            self._writer.close()
            self._file.close()

    def _flush(self) -> None:
        if self._rows:
            rows, self._rows = self._rows, []
            self.count -= len(rows)
            self.write(*map(list, zip(*rows, strict=True)))


class MemoryTables:
    """The tables in a folder.

    Args:
        folder: of the memory.
        counts: how many rows each table has.

    Raises:
        IndexingError: a table is missing, damaged, or not the one that the manifest names.
    """

    def __init__(self, folder: Path, counts: dict[str, int]) -> None:
        texts, self._units, variants, keys = (_opened(folder, name, counts[name]) for name in SCHEMAS)
        self._texts = texts["text"]
        self._unit_of, self._text_of, self._by_text = _arrays(variants)
        self._languages, self._firsts, self._hashes, self._hashed = _arrays(keys)

    def __len__(self) -> int:
        return len(self._units)

    def text(self, number: int) -> str:
        """A text."""
        return str(self._texts[number].as_py())

    def language(self, number: int) -> int:
        """The language of a text."""
        return int(self._languages[number])

    def texts_with(self, key: str, languages: Collection[int]) -> list[int]:
        """The texts of some languages that have a key."""
        wanted = np.uint64(key_hash(key))
        start, end = np.searchsorted(self._hashes, wanted, "left"), np.searchsorted(self._hashes, wanted, "right")
        found = sorted(self._hashed[start:end].tolist())
        return [one for one in found if self.language(one) in languages and key_of(self.text(one)) == key]

    def count(self, language: int) -> int:
        """How many texts a language has."""
        return int(np.count_nonzero(self._languages == language))

    def keys(self, language: int) -> Iterator[tuple[np.ndarray, list[str]]]:
        """The texts of a language and their keys, a batch at a time."""
        start = 0
        for chunk in self._texts.chunks:
            rows = np.flatnonzero(self._languages[start : start + len(chunk)] == language)
            if len(rows):
                yield rows + start, [key_of(text) for text in chunk.take(pa.array(rows)).to_pylist()]
            start += len(chunk)

    def variants_of(self, text: int) -> list[int]:
        """The variants that a text is."""
        end = self._firsts[text + 1] if text + 1 < len(self._firsts) else len(self._by_text)
        return [int(variant) for variant in self._by_text[self._firsts[text] : end]]

    def variant_in(self, unit: int, languages: Sequence[int]) -> int | None:
        """The variant of a unit in the first of some languages that it has."""
        there = {self.language(self.text_of(one)): one for one in self._variants(unit)}
        return next((there[language] for language in languages if language in there), None)

    def unit_of(self, variant: int) -> int:
        """The unit that a variant is of."""
        return int(self._unit_of[variant])

    def text_of(self, variant: int) -> int:
        """The text that a variant is."""
        return int(self._text_of[variant])

    def tags_of(self, variant: int) -> str:
        """What is kept of the inline tags of a variant."""
        unit = self.unit_of(variant)
        tags = self.value(unit, "tags")
        return "" if tags is None else str(tags).split("|")[variant - self._variants(unit)[0]]

    def value(self, unit: int, name: str) -> Any:
        """What a unit has in a column."""
        return self._units[name][unit].as_py()

    def _variants(self, unit: int) -> range:
        start, end = np.searchsorted(self._unit_of, [unit, unit + 1]).tolist()
        return range(start, end)


def _opened(folder: Path, name: str, count: int) -> pa.Table:
    path = table_path(folder, name)
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except (OSError, pa.ArrowException) as error:
        raise IndexingError(f"{path} is missing or damaged ({error}): build the memory again") from error
    if len(table) != count or not table.schema.equals(SCHEMAS[name]):
        raise IndexingError(f"{path} is not the table that the manifest names: build the memory again")
    return table


def _arrays(table: pa.Table) -> list[np.ndarray]:
    """The columns, which are one chunk each, without a copy."""
    return [column.chunk(0).to_numpy(zero_copy_only=True) for column in table.columns]
