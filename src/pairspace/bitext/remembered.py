"""What goes into a translation memory: the units of translators' files and of pairs, and each distinct text once.

Of XLIFF and PO only what is translated and needs no review is taken; of TMX all languages of a unit. Texts are told
apart as they stand. They go to disk as they come, and of each only a digest of 16 bytes stays, by which it is known
again: a memory of millions of units takes a few dozen bytes a text while it is made.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pairspace.bitext.inline_tags import kept_tags
from pairspace.bitext.matching import key_of
from pairspace.bitext.memory_tables import TableWriter, key_hash, table_path
from pairspace.data import Unit, open_binary, read_pairs
from pairspace.data.files import Closing, plain_suffix
from pairspace.data.translations import TRANSLATION_SUFFIXES, scan_units
from pairspace.data.units import same_language
from pairspace.errors import DataError
from pairspace.progress import progress_bar

__all__ = ["Remembered"]

_BATCH = 1 << 16
_SHOWN = 1000  # lines between two changes of the bar
_HELD = pa.schema([("language", pa.int32()), ("text", pa.large_string())])


class Remembered(Closing):
    """Units as they are collected, in a folder; to be used in a `with` block.

    Args:
        folder: where the tables of the memory are written.

    Attributes:
        languages: codes, in the order they came in; those that differ in spelling alone are one.
        files: where the units came from.
        skipped: units and rows that could not be read.
        left: units with no translation, or with one that needs review.
        counts: how many units have each pair of languages, source first.
    """

    def __init__(self, folder: Path) -> None:
        self.languages: list[str] = []
        self.files: list[str] = []
        self.skipped = self.left = 0
        self.counts: dict[tuple[str, str], int] = {}
        self._folder = folder
        self._codes: dict[str, int] = {}
        self._units, self._held = TableWriter(folder, "units"), TableWriter(folder, "held", _HELD)
        self._digests, self._sizes = bytearray(), array("H")

    def __len__(self) -> int:
        return self._units.count

    def close(self) -> None:
        """Let go of the tables."""
        self._units.close()
        self._held.close()

    def add_file(
        self,
        path: Path,
        source: str | None,
        target: str | None,
        *,
        skip_bad: bool = False,
        progress: bool | None = None,
    ) -> None:
        """Take in the units of a file.

        Args:
            path: TMX, XLIFF or PO, or a file of pairs.
            source: its language, for a file that does not say so; of several in a TMX the one to read from.
            target: likewise; in a TMX all others are taken too.
            skip_bad: leave out what cannot be read, and count it.
            progress: show a bar.

        Raises:
            DataError: a file that cannot be read, or languages that are not known.
        """
        number = len(self.files)
        self.files.append(str(path))
        if plain_suffix(path) not in TRANSLATION_SUFFIXES:
            self._add_pairs(path, number, source, target, skip_bad)
            return
        line = 0
        with progress_bar(f"reading {path.name}", _count_lines(path), unit="lines", show=progress) as bar:
            for unit in scan_units(path, source=source, target=target):
                if isinstance(unit, DataError):
                    if not skip_bad:
                        raise DataError(f"{unit}; skip_bad=True (--skip-bad) leaves such units out") from unit
                    self.skipped += 1
                    continue
                self.add(unit, number, source, target)
                if unit.line - line >= _SHOWN:
                    bar.advance(unit.line - line)
                    line = unit.line

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
        tags = {code: own for code, (_, own) in texts.items()}
        kept = "|".join(kept_tags(tags).values()) if any(tags.values()) else None
        self._units.add((file, unit.id or unit.key, unit.line, unit.context, unit.plural, kept))
        self._sizes.append(len(texts))
        for code, (text, _) in texts.items():
            self._hold(self._language(code), text)
        first = self.languages[self._language(first)] if first in texts else ""
        for code in texts:
            pair = (first, self.languages[self._language(code)])
            if pair[0] and pair[0] != pair[1]:
                self.counts[pair] = self.counts.get(pair, 0) + 1

    def finish(self) -> dict[str, int]:
        """Write the tables, once all units are there; returns how many rows each has."""
        self.close()
        text_of, is_first = _numbered(np.frombuffer(self._digests, np.uint64).reshape(-1, 2))
        languages, hashes = self._write_texts(is_first)
        sizes, times = np.frombuffer(self._sizes, np.uint16), np.bincount(text_of)
        with TableWriter(self._folder, "variants") as writer:
            writer.write(np.repeat(np.arange(len(sizes)), sizes), text_of, np.argsort(text_of, kind="stable"))
        order = np.argsort(hashes, kind="stable")
        with TableWriter(self._folder, "keys") as writer:
            writer.write(languages, np.cumsum(times) - times, hashes[order], order)
        return {"texts": len(languages), "units": len(sizes), "variants": len(text_of), "keys": len(languages)}

    def _hold(self, language: int, text: str) -> None:
        raw = text.encode("utf-8", "surrogatepass")
        self._digests += hashlib.blake2b(raw, digest_size=16, salt=language.to_bytes(4, "little")).digest()
        self._held.add((language, text))

    def _write_texts(self, is_first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Write each distinct text; returns their languages and the hashes of their keys."""
        path, start = table_path(self._folder, "held"), 0
        languages, hashes = list[np.ndarray](), list[np.ndarray]()
        with pa.memory_map(str(path)) as file, TableWriter(self._folder, "texts") as writer:
            held = pa.ipc.open_file(file)
            for number in range(held.num_record_batches):
                batch = held.get_batch(number)
                chosen = batch.filter(pa.array(is_first[start : start + len(batch)]))
                start += len(batch)
                writer.write(chosen["text"])
                languages.append(chosen["language"].to_numpy())
                hashes.append(np.array([key_hash(key_of(text)) for text in chosen["text"].to_pylist()], np.uint64))
        path.unlink()
        return np.concatenate(languages), np.concatenate(hashes)

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


def _count_lines(path: Path) -> int:
    """How many lines a file has; 0 where it is broken, which its reader will say."""
    try:
        with open_binary(path) as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    except OSError:
        return 0


def _numbered(digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of each digest, in order of first appearance, and whether it is the first of its kind."""
    order = np.lexsort(digests.T)
    changes = np.ones(len(digests), bool)
    changes[1:] = np.any([half[order][1:] != half[order][:-1] for half in digests.T], axis=0)
    firsts = order[changes]  # the sort is stable: of equal ones the first comes first
    is_first = np.zeros(len(digests), bool)
    is_first[firsts] = True
    numbers = np.empty(len(digests), np.int64)
    numbers[order] = (np.cumsum(is_first) - 1)[firsts][np.cumsum(changes) - 1]
    return numbers, is_first


def _zipped(columns: Iterable[pa.ChunkedArray]) -> Iterator[tuple[Any, ...]]:
    """Rows of columns, without making all of them Python objects at once."""
    table = pa.table({str(place): column for place, column in enumerate(columns)})
    for batch in table.to_batches(max_chunksize=_BATCH):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
