"""What lies on disk of a translation memory: three tables, an index a language, and a manifest that ties them.

manifest.json      languages, files, counts, and the space whose vectors the indices hold
texts.parquet      every distinct text of a language, and its key
units.parquet      where each unit came from, and its context
variants.parquet   which unit has which texts, with what its inline tags do and where they stand
index/0, index/1   of a language: its words, and the vectors of its side of the space
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairspace.bitext.remembered import TEXT_TABLE, UNIT_TABLE, VARIANT_TABLE, Remembered
from pairspace.data.files import atomic_folder
from pairspace.errors import IndexingError, PairspaceError
from pairspace.index import Index
from pairspace.neighbours import normalise
from pairspace.neighbours.words import language_name
from pairspace.progress import progress_bar

__all__ = ["MANIFEST", "WHOLE", "MemoryManifest", "code_matches", "index_folder", "read_memory", "write_memory"]

MANIFEST = "memory.json"
WHOLE = 100_000  # so many texts are compared one by one, in about 20 ms; of more, the index picks the candidates
_FORMAT = "pairspace translation memory"
_VERSION = 2
_BATCH = 1 << 14
_TABLES = {"texts": TEXT_TABLE, "units": UNIT_TABLE, "variants": VARIANT_TABLE}
_PLAIN_WORDS = "zh"  # a language without a stemmer: words as they are


@dataclass(frozen=True)
class MemoryManifest:
    """The settings of a memory.

    Attributes:
        languages: codes; texts name them by number.
        files: where units came from; units name them by number.
        counts: rows of each table.
        source: the language that most units are translated from; target: and the one they are translated into.
        sides: number of a language -> the side of the space that encodes it.
        words: numbers of the languages that have an index.
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


def code_matches(wanted: str, codes: list[str]) -> list[str]:
    """The codes that a language may be found under, the same one first: `en` finds `en` and then `en-US`."""
    asked = wanted.strip().lower().replace("_", "-").split("-")
    parts = [(code.strip().lower().replace("_", "-").split("-"), code) for code in codes]
    near = [(other != asked, code) for other, code in parts if other[: len(asked)] == asked[: len(other)]]
    return [code for _, code in sorted(near, key=lambda one: one[0])]


def index_folder(path: Path, language: int) -> Path:
    """Where the index of a language lies."""
    return path / "index" / str(language)


def write_memory(
    path: Path, units: Remembered, space: Any = None, *, overwrite: bool = False, progress: bool | None = None
) -> None:
    """Write a memory, whole or not at all.

    Args:
        path: the folder.
        units: what it holds.
        space: whose sides are languages; None for a memory that is searched by the letters of texts alone.
        overwrite: replace a memory that is there.
        progress: show bars.

    Raises:
        PairspaceError: no side of the space is a language of the memory.
        StorageError: the folder is there already, or cannot be written.
    """
    tables = units.tables()
    sides = {} if space is None else _sides(units.languages, space.sides)
    if space is not None and not sides:
        raise PairspaceError(
            f"the space {space.name!r} has the sides {', '.join(space.sides)}, and the memory the languages "
            f"{', '.join(units.languages)}: a side must be called as its language is"
        )
    source, target = max(units.counts, key=lambda pair: units.counts[pair])
    languages = tables["texts"]["language"]
    words = []
    with atomic_folder(path, overwrite, marker=MANIFEST) as temporary:
        for name, table in tables.items():
            pq.write_table(table, temporary / f"{name}.parquet", compression="zstd")
        for number in range(len(units.languages)):
            rows = pc.indices_nonzero(pc.equal(languages, number))
            if number in sides or len(rows) > WHOLE:
                words.append(number)
                code = units.languages[number]
                _index(index_folder(temporary, number), tables["texts"], rows, code, space, sides.get(number), progress)
        manifest = MemoryManifest(
            units.languages,
            units.files,
            {name: len(table) for name, table in tables.items()},
            source,
            target,
            {str(number): side for number, side in sides.items()},
            words,
            None if space is None else {"name": space.name, "fingerprint": space.fingerprint},
        )
        content = {"format": _FORMAT, "version": _VERSION, **asdict(manifest)}
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (temporary / MANIFEST).write_text(text, encoding="utf-8")


def read_memory(path: Path) -> tuple[MemoryManifest, dict[str, pa.Table]]:
    """The manifest and the tables of a memory.

    Raises:
        IndexingError: no memory there, or it is damaged or of another version; says which file.
    """
    place = path / MANIFEST
    if not path.is_dir():
        raise IndexingError(f"{path}: no such folder; 'pairspace tm build' makes a translation memory there")
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise IndexingError(f"{path} is not a translation memory: it has no {MANIFEST}") from error
    except (OSError, ValueError) as error:
        raise IndexingError(f"{place} cannot be read ({error}): build the memory again") from error
    if not isinstance(content, Mapping) or content.get("format") != _FORMAT:
        raise IndexingError(f"{place} is not the manifest of a translation memory")
    if content.get("version") != _VERSION:
        said = content.get("version")
        raise IndexingError(f"{place} has version {said}; this pairspace reads version {_VERSION}: build it again")
    try:
        manifest = MemoryManifest(**{k: v for k, v in content.items() if k not in ("format", "version")})
        expected = {name: manifest.counts[name] for name in _TABLES}
    except (TypeError, KeyError) as error:
        raise IndexingError(f"{place} is damaged ({error}): build the memory again") from error
    return manifest, {name: _table(path / f"{name}.parquet", name, count) for name, count in expected.items()}


def _table(path: Path, name: str, count: int) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise IndexingError(f"{path} is missing or damaged ({error}): build the memory again") from error
    if len(table) != count or not table.schema.equals(_TABLES[name]):
        raise IndexingError(f"{path} is not the table that {MANIFEST} names: build the memory again")
    return table


def _sides(languages: list[str], sides: list[str]) -> dict[int, str]:
    """The side of each language that has one."""
    found = {number: code_matches(code, list(sides)) for number, code in enumerate(languages)}
    return {number: near[0] for number, near in found.items() if near}


def _index(
    path: Path, texts: pa.Table, rows: pa.Array, code: str, space: Any, side: str | None, progress: bool | None
) -> None:
    """Store the words of a language's texts, and their vectors where it has a side."""
    try:
        language_name(code)
    except PairspaceError:
        code = _PLAIN_WORDS
    how: dict[str, Any] = {"side": side, "text": True, "language": code, "store_text": False}
    with (
        Index.create(path, None if side is None else space, **how) as index,
        progress_bar(f"indexing {code}", len(rows), unit="texts", show=progress) as bar,
    ):
        for start in range(0, len(rows), _BATCH):
            part = rows.slice(start, _BATCH)
            items = texts["key"].take(part).to_pylist()
            vectors = None if side is None else normalise(space.encode(items, side=side, progress=False))
            index.add(part.to_pylist(), items, vectors=vectors, progress=False)
            bar.advance(len(part))
        index.optimise(progress=False)
