"""Seismic as an engine: sparse vectors of large collections that are written once and searched often.

Seismic (Bruch et al., SIGIR 2024) cuts every posting list into blocks of similar documents with a summary each, looks
at a query's heaviest terms only, and skips the blocks whose summary promises nothing. It cannot be added to. So points
live in Qdrant Edge as always, and `optimise` builds Seismic's files of their sparse fields beside it; a search without
conditions reads those, any other one reads Edge. A write removes the files before it begins: what is searched is
always what is stored, quick after the next `optimise` and exact until then.

The settings were chosen on 52,792 x 100 terms (package descriptions over 2,000 words; docs/log.md);
benchmarks/sparse_search.py measures them again. To build, all vectors of a field are in memory. Weights are kept in
half precision, which shows in the fourth digit of scores. Seismic's graph of nearest neighbours is not used: with an
item that has fewer of them than the graph is to hold, its version 0.5.4 reads beyond the end.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Self
from uuid import UUID

import numpy as np

from pairspace.data.files import atomic_folder, sync
from pairspace.errors import IndexingError
from pairspace.index.edge import NO_WORDS, EdgeEngine, bytes_below
from pairspace.index.engine import Field, Found, Point, Sparse, Vector, best_first
from pairspace.index.filters import Condition
from pairspace.index.lock import Lock

__all__ = ["SeismicEngine"]

_log = logging.getLogger(__name__)
_CUT, _HEAP = 8, 1.1  # of a query the heaviest terms that lists are looked up for; blocks below this share are skipped
_KEPT, _FEWEST = 0.25, 300  # share of all postings that lists keep, heaviest first, and the fewest a list on average
_CENTROIDS, _ENERGY = 0.3, 0.6
_FORMAT = 2  # of the files
_FIELDS, _TERMS, _KEYS, _VECTORS = "fields.json", "terms.npy", "keys.npy", "vectors.bin"


class _Quick(NamedTuple):
    """A field's files, loaded: Seismic knows terms and points by numbers of its own."""

    index: Any
    terms: np.ndarray  # ids of the terms that occur, rising
    keys: list[UUID]


class SeismicEngine(EdgeEngine):
    """Qdrant Edge whose sparse fields are searched through Seismic once they are optimised."""

    def __init__(self, path: Path, shard: Any, lock: Lock) -> None:
        super().__init__(path, shard, lock)
        self._folder = path.with_name(path.name + ".seismic")
        self._quick = self._load()

    @classmethod
    def create(cls, path: Path, fields: Mapping[str, Field]) -> Self:
        """See EdgeEngine; refuses where the package is missing."""
        _package()
        return super().create(path, fields)

    def upsert(self, points: Sequence[Point]) -> None:  # noqa: D102 (documented once, in Engine)
        self._forget()
        super().upsert(points)

    def replace(self, field: str, vectors: Mapping[UUID, Vector]) -> None:  # noqa: D102
        self._forget()
        super().replace(field, vectors)

    def delete(self, keys: Sequence[UUID]) -> int:  # noqa: D102
        self._forget()
        return super().delete(keys)

    def search(  # noqa: D102
        self,
        field: str,
        queries: Sequence[Vector],
        k: int,
        conditions: Sequence[Condition] = (),
        *,
        exact: bool = False,
        first: Sequence[Vector] | None = None,
        depth: int = 100,
    ) -> list[list[Found]]:
        quick = self._quick.get(field)
        if quick is None or conditions or exact or first is not None:
            return super().search(field, queries, k, conditions, exact=exact, first=first, depth=depth)
        answers = [_ask(quick, query, k) for query in queries if isinstance(query, Sparse)]
        payloads = self.get(list(dict.fromkeys(key for answer in answers for key, _ in answer)))
        return [_in_order([Found(key, score, payloads[key]) for key, score in one]) for one in answers]

    def info(self) -> dict[str, int]:  # noqa: D102
        found = super().info()
        return found | {"bytes": found["bytes"] + (bytes_below(self._folder) if self._folder.is_dir() else 0)}

    def optimise(self) -> None:  # noqa: D102
        super().optimise()
        if self._quick:  # nothing was written since
            return
        self._forget()  # what a kill has left
        with atomic_folder(self._folder) as temporary:
            built = {}
            for number, field in enumerate(self.sparse_fields()):
                if self._build(field, temporary / str(number)):
                    built[field] = str(number)
            found = {"format": _FORMAT, "fields": built}
            (temporary / _FIELDS).write_text(json.dumps(found), encoding="utf-8")
        self._quick = self._load()

    def _build(self, field: str, folder: Path) -> bool:
        """Seismic's files of one field in a folder; False where no point has a term in it."""
        every = (one for batch in self.vectors(field) for one in batch)
        rows = [(key, vector) for key, vector in every if vector.ids[0] != NO_WORDS.ids[0]]
        if not rows:
            return False
        terms = np.unique(np.concatenate([vector.ids for _, vector in rows]))
        folder.mkdir()
        _write(folder / _VECTORS, [vector for _, vector in rows], terms)
        total = sum(len(vector.ids) for _, vector in rows)
        with _quiet():
            index = _kind(_package(), terms).build(
                str(folder / _VECTORS),
                n_postings=max(_FEWEST, int(_KEPT * total / len(terms))),
                centroid_fraction=_CENTROIDS,
                summary_energy=_ENERGY,
            )
            index.save(str(folder / "postings"))
        (folder / _VECTORS).unlink()
        np.save(folder / _TERMS, terms)
        np.save(folder / _KEYS, np.frombuffer(b"".join(key.bytes for key, _ in rows), np.uint8).reshape(-1, 16))
        return True

    def _load(self) -> dict[str, _Quick]:
        """The fields that have files; none where these are of another version or damaged: Edge has everything."""
        path = self._folder / _FIELDS
        if not path.is_file():
            return {}
        package, found = _package(), {}
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            if known["format"] != _FORMAT:
                raise ValueError(f"format {known['format']}, not {_FORMAT}")
            for field, name in known["fields"].items():
                folder = self._folder / name
                terms = np.load(folder / _TERMS)
                with _quiet():
                    files = folder.glob("postings*")  # with an ending in some versions
                    index = _kind(package, terms).load(str(next(files)))
                found[field] = _Quick(index, terms, [UUID(bytes=key.tobytes()) for key in np.load(folder / _KEYS)])
        except Exception as error:  # damaged files make the package raise almost anything
            _log.warning("%s is not read (%s): searches go without it until the next optimise", self._folder, error)
            return {}
        return found

    def _forget(self) -> None:
        """Remove the files, since what they hold is about to change, and what a kill has left of others."""
        self._quick = {}
        if self._folder.is_dir():
            (self._folder / _FIELDS).unlink(missing_ok=True)  # from now on they are no longer read
            sync(self._folder)
            shutil.rmtree(self._folder)
        for left in self._folder.parent.glob(f".{self._folder.name}.*.tmp*"):
            shutil.rmtree(left, ignore_errors=True)


def _ask(quick: _Quick, query: Sparse, k: int) -> list[tuple[UUID, float]]:
    """Keys and scores of about the k best."""
    numbers, known = _numbers(quick.terms, query.ids)
    if not len(numbers):
        return []
    weights = query.weights[known].astype(np.float32)
    found = quick.index.search(numbers, weights, k, _CUT, _HEAP, 0, True)
    return [(quick.keys[row], score) for score, row in found if score > 0]


def _in_order(found: list[Found]) -> list[Found]:
    """Best first: as they came, but for equal scores."""
    tied = any(one.score == other.score for one, other in pairwise(found))
    return sorted(found, key=best_first) if tied else found


def _numbers(terms: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Seismic's numbers of those ids that are among the terms, int32, and which these are."""
    place = np.searchsorted(terms, ids)
    place[place == len(terms)] = 0
    known = terms[place] == ids
    return place[known].astype(np.int32), known


def _write(path: Path, vectors: Sequence[Sparse], terms: np.ndarray) -> None:
    """Vectors in Seismic's own form: how many, and of each how many terms, their numbers and their weights."""
    with path.open("wb") as file:
        file.write(np.uint32(len(vectors)).tobytes())
        for vector in vectors:
            order = np.argsort(vector.ids)
            numbers = np.searchsorted(terms, vector.ids[order]).astype(np.uint32)
            file.write(np.uint32(len(numbers)).tobytes() + numbers.tobytes())
            file.write(vector.weights[order].astype(np.float32).tobytes())


def _kind(package: Any, terms: np.ndarray) -> Any:
    """The index for so many terms: numbers of two bytes, where they are enough, are searched faster."""
    return package.SeismicIndexRaw if len(terms) <= 1 << 16 else package.SeismicIndexRawLV


def _package() -> Any:
    try:
        import seismic
    except ImportError as error:
        raise IndexingError(
            "this index reads its sparse vectors through Seismic: pip install 'pairspace[seismic]'"
        ) from error
    return seismic


@contextmanager
def _quiet() -> Iterator[None]:
    """Seismic tells the standard output what it does, below Python: that goes nowhere inside the block."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
