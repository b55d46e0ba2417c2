"""The vectors of an index: items and queries through their spaces and BM25, or vectors that the user has.

A dense field holds one vector an item, or, with passages, one for each passage of a document that is longer than its
encoder reads; a search then counts the best passage. A sparse field holds one vector an item: of several passages the
largest weight of each term, as SPLADE takes it over tokens. The space is loaded from where it was saved when it is
first needed: an index that is only counted, or searched by words, loads no model.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from pairspace.data.pictures import is_picture
from pairspace.errors import IndexingError, ShapeError
from pairspace.index.engine import Engine, Sparse
from pairspace.index.lexical import SAMPLE, Lexical, sparse_rows
from pairspace.index.manifest import Manifest, SpaceLike, is_sparse
from pairspace.index.records import TEXT
from pairspace.neighbours import prune
from pairspace.progress import progress_bar

__all__ = [
    "BM25",
    "HYBRID",
    "Spaces",
    "Vectors",
    "as_queries",
    "asking_side",
    "checked_pruning",
    "checked_vectors",
    "named_spaces",
]

DENSE, SPARSE = "dense", "sparse"
BM25 = "bm25"
HYBRID = "hybrid"
_log = logging.getLogger(__name__)

Spaces = SpaceLike | Mapping[str, SpaceLike]


class Vectors:
    """Makes what an index stores and asks with.

    Args:
        path: the index's folder.
        manifest: which fields it has, and from which spaces.
        spaces: those of the spaces that are loaded already.
    """

    def __init__(self, path: Path, manifest: Manifest, spaces: Mapping[str, SpaceLike]) -> None:
        self._path, self._manifest, self._spaces = path, manifest, dict(spaces)
        self.words = Lexical(manifest.text) if manifest.text is not None else None

    def space(self, name: str) -> SpaceLike:
        """The space of a vector name; loaded and checked at the first call.

        Raises:
            IndexingError: it is not where it was saved, or it is another one now.
        """
        if name not in self._spaces:
            note = self._manifest.spaces[name]
            folder = note.folder(self._path)
            if folder is None or not folder.is_dir():
                where = "was never saved" if folder is None else f"is no longer at {folder}"
                raise IndexingError(
                    f"{self._path} was made with the space {note.name!r} ({note.fingerprint}), which {where}: "
                    "give it to Index.open(path, space)"
                )
            from pairspace.space import Space

            space: SpaceLike = Space.from_pretrained(folder)
            note.check(space, self._path)
            self._spaces[name] = space
        return self._spaces[name]

    def documents(self, items: list[Any] | None, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """The vectors to store, by name: one entry an item.

        Args:
            items: the items; None where only given vectors are stored.
            given: vectors to take instead of encoding.
        """
        columns: dict[str, Any] = {} if given is None else dict(given)
        if items is not None and given is None:
            for name, note in self._manifest.spaces.items():
                space = self.space(name)
                if note.sparse:
                    columns[name] = self._terms(space, items, note.side)
                elif self._manifest.passages:
                    columns[name] = _passages(space, items, note.side)
                else:
                    columns[name] = np.asarray(space.encode(items, side=note.side, progress=False), np.float32)
        if items is not None and self.words is not None:
            columns[BM25] = self.words.documents(items)
        return columns

    def _terms(self, space: SpaceLike, items: list[Any], side: str) -> list[Sparse]:
        """Weights of terms of each item, pruned as the index is to be."""
        if self._manifest.passages:
            passages, owners = space.split_passages(items, side)
            found = _largest(space.encode(passages, side=side, progress=False), np.asarray(owners), len(items))
        else:
            found = space.encode(items, side=side, progress=False)
        found = prune(found, **self._manifest.pruning)
        empty = int((np.diff(found.indptr) == 0).sum())
        if empty:
            _log.warning("%d of %d items have no term: the space finds them by nothing", empty, len(items))
        return sparse_rows(found)

    def modes(self, mode: str) -> list[str]:
        """The fields that a mode searches: one by name, several joined by a plus, or all as "hybrid"."""
        every = [*self._manifest.spaces, *([BM25] if self.words else [])]
        if mode == HYBRID and len(every) > 1:
            return every
        return list(dict.fromkeys(mode.split("+")))

    def fusion_weight(self, name: str) -> float | None:
        """How much a field counts beside BM25, in [0, 1]; None where its space has not learnt it."""
        return 0.5 if name == BM25 else self.space(name).fusion_weight

    def queries(self, name: str, queries: Any, side: str | None) -> Any:
        """The vectors to ask a field with.

        Args:
            name: the field.
            queries: items of the asking side, or a float array (n, dimension).
            side: the asking side; None for the query side, or the document side where the query side is indexed.

        Raises:
            IndexingError: no such field, or queries that it cannot read.
            ShapeError: vectors of the wrong dimension.
        """
        given = isinstance(queries, np.ndarray) or sparse.issparse(queries)
        if name == BM25 and self.words is not None:
            if given or not all(isinstance(query, str) for query in queries):
                raise IndexingError(f"mode={BM25!r} searches by words: ask with texts")
            return self.words.queries(queries)
        if name not in self._manifest.spaces:
            modes = [*self._manifest.spaces, *([BM25] if self.words else [])]
            modes += [HYBRID] if len(modes) > 1 else []
            hint = "" if self.words else " (words are indexed by Index.create(..., text=True))"
            raise IndexingError(f"{self._path} has no mode {name!r}; it has: {', '.join(modes)}{hint}")
        found = self.questions(name, queries, side)
        return sparse_rows(found) if sparse.issparse(found) else found

    def questions(
        self, name: str, queries: Any, side: str | None, *, cache: bool = False, progress: bool | None = False
    ) -> Any:
        """The vectors of queries through a space: a float array or CSR (n, dimension).

        Args:
            name: the vector name.
            queries: items of the asking side, or their vectors, which are checked.
            side: the asking side; None as in `queries`.
            cache: keep the encoders' features.
            progress: show a bar; None where there is a terminal.

        Raises:
            IndexingError: vectors of the wrong kind.
            ShapeError: vectors of the wrong dimension.
        """
        note = self._manifest.spaces[name]
        given = isinstance(queries, np.ndarray) or sparse.issparse(queries)
        if given:
            if sparse.issparse(queries) != note.sparse:
                what = "sparse vectors: ask with texts, or a SciPy CSR matrix" if note.sparse else "dense vectors"
                raise IndexingError(f"{name!r} of {self._path} holds {what}, the query is {type(queries).__name__}")
            if queries.shape[1] != note.dimension:
                raise ShapeError(
                    f"{self._path} holds vectors of dimension {note.dimension}, the query has {queries.shape[1]}"
                )
            return queries
        space = self.space(name)
        found = space.encode(queries, side=side or asking_side(space, note.side), cache=cache, progress=progress)
        return found if note.sparse else np.asarray(found, np.float32)

    def own_terms(self, name: str, queries: Any, vectors: Sequence[Sparse]) -> list[Sparse]:
        """Of the vectors of queries the part that stands for words which the queries hold themselves.

        These are the terms that stand in the query, and with an echo the columns of own words.

        Raises:
            IndexingError: the queries are no texts.
        """
        if not all(isinstance(query, str) for query in queries):
            raise IndexingError("only texts have words of their own: ask with texts, or with expansion='full'")
        space: Any = self.space(name)
        counts = space.lexicon.counts(queries)
        own = np.split(counts.indices, counts.indptr[1:-1])
        kept = [(ids >= len(space.lexicon)) | np.isin(ids, one) for (ids, _), one in zip(vectors, own, strict=True)]
        return [Sparse(ids[keep], weights[keep]) for (ids, weights), keep in zip(vectors, kept, strict=True)]

    def measure(self, texts: Any) -> None:
        """Take BM25's average length from these texts if none is known yet; the manifest remembers it."""
        if self.words is not None and not self.words.measured and len(texts):
            self._remember(self.words.measure(texts[:: max(1, len(texts) // (10 * SAMPLE))]))

    def refresh(self, engine: Engine, progress: bool | None) -> None:
        """Compute all BM25 vectors anew where the stored texts' average length has drifted.

        Keys are hashes, so the first of them are a fair sample. The new length is remembered last: after a kill in the
        middle the next call starts over.
        """
        if self.words is None or not self.words.measured or not self._manifest.store_text:
            return
        rows = chain.from_iterable(engine.scan([TEXT]))
        now = self.words.measure([payload.get(TEXT, "") for _, payload in islice(rows, SAMPLE)])
        if not now.measured or not self.words.drifted(now):
            return
        with progress_bar("weighing words", total=engine.count(), show=progress) as bar:
            for batch in engine.scan([TEXT]):
                vectors = now.documents([payload.get(TEXT, "") for _, payload in batch])
                engine.replace(BM25, {key: vector for (key, _), vector in zip(batch, vectors, strict=True)})
                bar.advance(len(batch))
        self._remember(now)

    def _remember(self, words: Lexical) -> None:
        self.words, self._manifest.text = words, words.settings
        self._manifest.write(self._path)


def named_spaces(space: Spaces | None) -> dict[str, SpaceLike]:
    """The spaces by vector name.

    Raises:
        IndexingError: a name that cannot be used.
    """
    if space is None:
        return {}
    if not isinstance(space, Mapping):
        return {SPARSE if is_sparse(space) else DENSE: space}
    for name in space:
        if not isinstance(name, str) or not name or name in (BM25, HYBRID) or "+" in name:
            raise IndexingError(
                f"a vector's name must be a text without '+', other than {BM25!r} and {HYBRID!r}, got {name!r}"
            )
    return dict(space)


def asking_side(space: SpaceLike, side: str) -> str:
    """The side whose items ask for those of `side`: the query side, or the document side where that is indexed."""
    return space.query_side if space.query_side != side else space.document_side


def _passages(space: SpaceLike, texts: list[str], side: str) -> list[np.ndarray]:
    """One array (passages of the text, dimension) for each text."""
    passages, owners = space.split_passages(texts, side)
    vectors = np.asarray(space.encode(passages, side=side, progress=False), np.float32)
    return np.split(vectors, np.searchsorted(np.asarray(owners), np.arange(1, len(texts))))


def _largest(vectors: sparse.csr_array, owners: np.ndarray, count: int) -> sparse.csr_array:
    """Of the passages of each text the largest weight of each term: CSR (count, terms)."""
    rows = np.repeat(owners, np.diff(vectors.indptr))
    order = np.lexsort((-vectors.data, vectors.indices, rows))
    rows, columns, data = rows[order], vectors.indices[order], vectors.data[order]
    first = np.ones(len(rows), bool)
    first[1:] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows[first], minlength=count))])
    return sparse.csr_array((data[first], columns[first], starts), shape=(count, vectors.shape[1]))


def checked_pruning(mass: float, terms: int | None) -> dict[str, Any]:
    """Arguments of `prune`.

    Raises:
        PairspaceError: one is out of range.
    """
    prune(sparse.csr_array((0, 1)), mass=mass, count=terms)
    return {"mass": mass, "count": terms}


def checked_vectors(
    vectors: Any,
    names: Mapping[str, int],
    count: int,
    *,
    passages: bool,
    sparse_names: Collection[str] = (),
    pruning: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The user's vectors by name, checked.

    Args:
        vectors: an array (count, dimension), or a SciPy CSR matrix for a sparse field; with several spaces a mapping of
            name to these; with passages also a sequence of arrays (passages, dimension).
        names: vector name -> dimension.
        count: how many items there are.
        passages: whether an item may have several vectors.
        sparse_names: those that are sparse.
        pruning: how much of these is kept, see `prune`.

    Raises:
        IndexingError: a name is missing or unknown, or a value is not finite; names the row.
        ShapeError: the wrong number or dimension.
    """
    if not isinstance(vectors, Mapping):
        if len(names) != 1:
            raise IndexingError(f"this index has the vectors {', '.join(names)}: give vectors={{name: array, ...}}")
        vectors = {next(iter(names)): vectors}
    if set(vectors) != set(names):
        raise IndexingError(
            f"vectors for {', '.join(names) or 'no name'} are needed, got {', '.join(vectors) or 'none'}"
        )
    checked: dict[str, Any] = {}
    for name, dimension in names.items():
        given = vectors[name]
        if name in sparse_names:
            checked[name] = sparse_rows(prune(_checked_sparse(given, name, dimension, count), **(pruning or {})))
            continue
        if passages and not (isinstance(given, np.ndarray) and given.ndim == 2):
            given = [np.atleast_2d(np.asarray(rows, np.float32)) for rows in given]
            shapes = [(row, rows) for row, rows in enumerate(given) if rows.shape[1:] != (dimension,) or not len(rows)]
            finite: Iterator[bool] = (bool(np.isfinite(rows).all()) for rows in given)
        else:
            given = np.asarray(given, np.float32)
            shapes = [(0, given)] if given.shape[1:] != (dimension,) else []
            finite = iter(np.isfinite(given).all(1).tolist() if not shapes else [])
        if len(given) != count:
            raise ShapeError(f"{count} ids, but {len(given)} vectors of {name!r}; nothing was written")
        if shapes:
            raise ShapeError(f"vectors of {name!r}: dimension {dimension} is needed, got shape {shapes[0][1].shape}")
        for row, good in enumerate(finite):
            if not good:
                raise IndexingError(f"vectors of {name!r}: row {row} holds NaN or infinity; nothing was written")
        checked[name] = [rows[None] for rows in given] if passages and isinstance(given, np.ndarray) else given
    return checked


def _checked_sparse(given: Any, name: str, dimension: int, count: int) -> sparse.csr_array:
    if not sparse.issparse(given):
        raise IndexingError(f"vectors of {name!r} are sparse: give a SciPy CSR matrix; nothing was written")
    if given.shape != (count, dimension):
        raise ShapeError(f"vectors of {name!r}: shape {(count, dimension)} is needed, got {given.shape}")
    given = plain_rows(given)
    bad = np.flatnonzero(~np.isfinite(given.data))
    if len(bad):
        row = int(np.searchsorted(given.indptr, bad[0], "right")) - 1
        raise IndexingError(f"vectors of {name!r}: row {row} holds NaN or infinity; nothing was written")
    if (given.data < 0).any():
        raise IndexingError(f"vectors of {name!r} hold negative weights: terms have weights above zero")
    return given


def plain_rows(matrix: Any) -> sparse.csr_array:
    """As CSR, float32: one row at least, each column once a row and none of zero; what came in is left as it is."""
    kind = matrix.format, matrix.ndim, matrix.dtype
    if kind == ("csr", 2, np.float32) and matrix.has_canonical_format and matrix.data.all():
        return matrix
    if matrix.ndim == 1:
        matrix = matrix.reshape(1, -1)
    found = sparse.csr_array(matrix, dtype=np.float32, copy=True)
    found.sum_duplicates()
    found.eliminate_zeros()
    return found


def _is_one_picture(query: Any) -> bool:
    return is_picture(query) and (not isinstance(query, np.ndarray) or query.dtype.kind in "ub")


def as_queries(query: Any) -> tuple[bool, Any]:
    """Whether the query is a single one, and the queries: a float array or CSR (n, dimension), or a list of items.

    Raises:
        IndexingError: neither.
    """
    if isinstance(query, str | bytes | Path | int | np.integer) or _is_one_picture(query):
        return True, [query]
    if sparse.issparse(query):
        if not np.isfinite(query.data).all():
            raise IndexingError("the query vectors hold NaN or infinity")
        return query.ndim == 1, plain_rows(query)
    if isinstance(query, np.ndarray) and query.dtype.kind == "f":
        if query.ndim not in (1, 2):
            raise ShapeError(f"a query vector has one dimension, several have two; got shape {query.shape}")
        if not np.isfinite(query).all():
            raise IndexingError("the query vectors hold NaN or infinity")
        return query.ndim == 1, np.atleast_2d(query).astype(np.float32)
    if hasattr(query, "to_pylist"):
        return False, query.to_pylist()
    if isinstance(query, Sequence | np.ndarray):
        return False, list(query)
    raise IndexingError(f"a query is a text, a list of texts, or an array of vectors, got {query!r}")
