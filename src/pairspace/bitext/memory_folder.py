"""What lies on disk of a translation memory: tables, indices of languages, and a manifest that ties them.

memory.json        languages, files, counts, and the space whose vectors the indices hold
*.arrow            the tables: see `memory_tables.py`
words/0, words/1   of a language with many texts: which of them have which words
index/0, index/1   of a language that the space has a side for: the vectors of its texts
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from pairspace.bitext.memory_tables import MemoryTables
from pairspace.bitext.remembered import Remembered
from pairspace.bitext.word_index import WordIndex
from pairspace.data.units import matching_languages
from pairspace.errors import IndexingError, PairspaceError
from pairspace.index import Index
from pairspace.index.manifest import read_values
from pairspace.neighbours import normalise
from pairspace.progress import Bar, progress_bar

__all__ = [
    "MANIFEST",
    "WHOLE",
    "MemoryManifest",
    "complete_memory",
    "index_folder",
    "read_memory",
    "words_folder",
]

MANIFEST = "memory.json"
WHOLE = 100_000  # so many texts are compared one by one, in about 20 ms; of more, their words pick the candidates
_FORMAT = "pairspace translation memory"
_VERSION = 2
_MEND = "build the memory again"
_BATCH = 1 << 14


@dataclass(frozen=True)
class MemoryManifest:
    """The settings of a memory.

    Attributes:
        languages: codes; texts name them by number.
        files: where units came from; units name them by number.
        counts: rows of each table.
        source: the language that most units are translated from; target: and the one they are translated into.
        sides: number of a language -> the side of the space that encodes it.
        words: numbers of the languages whose words are indexed.
        space: name and fingerprint of the space; None for a memory without one.
        created: UTC time, ISO 8601.
    """

    languages: list[str]
    files: list[str]
    counts: dict[str, int]
    source: str
    target: str
    sides: dict[str, str] = field(default_factory=dict)
    words: list[int] = field(default_factory=list)
    space: dict[str, str] | None = None
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


def index_folder(path: Path, language: int) -> Path:
    """Where the vectors of a language lie."""
    return path / "index" / str(language)


def words_folder(path: Path, language: int) -> Path:
    """Where the words of a language lie."""
    return path / "words" / str(language)


def complete_memory(folder: Path, units: Remembered, space: Any = None, *, progress: bool | None = None) -> None:
    """Write what is lacking of a memory once all its units are there: tables, indices and the manifest.

    Args:
        folder: where the units are.
        units: which they are.
        space: whose sides are languages; None for a memory that is searched by the letters of texts alone.
        progress: show bars.

    Raises:
        PairspaceError: no side of the space is a language of the memory.
    """
    sides = {} if space is None else _sides(units.languages, space.sides)
    if space is not None and not sides:
        raise PairspaceError(
            f"the space {space.name!r} has the sides {', '.join(space.sides)}, and the memory the languages "
            f"{', '.join(units.languages)}: a side must be called as its language is"
        )
    source, target = max(units.counts, key=lambda pair: units.counts[pair])
    counts = units.finish()
    tables, words = MemoryTables(folder, counts), list[int]()
    for number, code in enumerate(units.languages):
        count = tables.count(number)
        if count > WHOLE:
            words.append(number)
            with progress_bar(f"words of {code}", count, unit="texts", show=progress) as bar:
                WordIndex.build(words_folder(folder, number), _told(tables.keys(number), bar), code)
        if number in sides:
            with progress_bar(f"vectors of {code}", count, unit="texts", show=progress) as bar:
                _index(index_folder(folder, number), _told(tables.keys(number), bar), space, sides[number])
    manifest = MemoryManifest(
        units.languages,
        units.files,
        counts,
        source,
        target,
        {str(number): side for number, side in sides.items()},
        words,
        None if space is None else {"name": space.name, "fingerprint": space.fingerprint},
    )
    content = {"format": _FORMAT, "version": _VERSION, **asdict(manifest)}
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def read_memory(path: Path) -> tuple[MemoryManifest, MemoryTables]:
    """The manifest and the tables of a memory.

    Raises:
        IndexingError: no memory there, or it is damaged or of another version; says which file.
    """
    place = path / MANIFEST
    if not path.is_dir():
        raise IndexingError(f"{path}: no such folder; 'pairspace tm build' makes a translation memory there")
    values = read_values(place, _FORMAT, version=_VERSION, what="a translation memory", mend=_MEND)
    try:
        manifest = MemoryManifest(**values)
        return manifest, MemoryTables(path, manifest.counts)
    except (TypeError, KeyError) as error:
        raise IndexingError(f"{place} is damaged ({error}): {_MEND}") from error


def _sides(languages: list[str], sides: list[str]) -> dict[int, str]:
    """The side of each language that has one."""
    found = {number: matching_languages(code, sides) for number, code in enumerate(languages)}
    return {number: near[0] for number, near in found.items() if near}


def _told(batches: Iterable[tuple[np.ndarray, list[str]]], bar: Bar) -> Iterator[tuple[np.ndarray, list[str]]]:
    for rows, keys in batches:
        yield rows, keys
        bar.advance(len(rows))


def _index(path: Path, batches: Iterable[tuple[np.ndarray, list[str]]], space: Any, side: str) -> None:
    """Store the vectors of a language's texts."""
    with Index.create(path, space, side=side, store_text=False) as index:
        for rows, keys in batches:
            for start in range(0, len(rows), _BATCH):
                part = slice(start, start + _BATCH)
                vectors = normalise(space.encode(keys[part], side=side, progress=False))
                index.add(rows[part].tolist(), keys[part], vectors=vectors, progress=False)
        index.optimise(progress=False)
