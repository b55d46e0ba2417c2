"""Hubs in an index: items that lie near every query are right for fewer of them than they seem.

A corrected search takes from each similarity what the query and the item have with everything:

    csls      2 cos(q, d) - r(q) - r(d)            margin      cos(q, d) / ((r(q) + r(d)) / 2)

r(q) is the mean similarity of a query to its ten nearest items, which its own search finds. r(d) is that of an item to
its ten nearest queries; so an index keeps reference queries, and each item's r(d) is computed when it is stored and
lies in its payload beside the id. It depends on that item alone: additions, updates and deletions leave the others
right. A filter narrows r(q) to the items that pass; of sparse vectors similarities are products, as in any search.
Formulas and sources are in `pairspace.neighbours.hubness`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from pairspace.errors import IndexingError
from pairspace.index.engine import Found, Sparse, best_first
from pairspace.index.hybrid import DEPTH
from pairspace.index.manifest import Manifest
from pairspace.index.records import HUBS, checked_items
from pairspace.index.vectors import BM25, Vectors, as_queries
from pairspace.neighbours import normalise, top_k
from pairspace.neighbours.hubness import correct

__all__ = ["SIMILARITIES", "Hubs", "check_similarity", "corrected", "depth", "of_length_one", "write_reference"]

SIMILARITIES = ("cosine", "csls", "margin")
_NEAREST = 10
_MOST = 10_000  # reference queries: r is a mean over ten of them, and each item is compared with all
_SEED = 0


class Hubs:
    """How near the reference queries items are.

    Args:
        path: the index's folder; a field's reference is read when it is first needed.
        manifest: says which fields have one.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self._path, self._manifest = path, manifest
        self._loaded: dict[str, Any] = {}

    def of(self, columns: Mapping[str, Any]) -> list[dict[str, float]] | None:
        """The r of items by field, one dict an item; None where the index has no reference.

        Args:
            columns: what is stored of the items, by field.

        Raises:
            IndexingError: a reference cannot be read.
        """
        if not self._manifest.reference:
            return None
        means = {name: _means(columns[name], self._reference(name)).tolist() for name in self._manifest.reference}
        return [dict(zip(means, row, strict=True)) for row in zip(*means.values(), strict=True)]

    def _reference(self, name: str) -> Any:
        if name not in self._loaded:
            path = self._path / self._manifest.reference[name]["file"]
            try:
                found = sparse.load_npz(path) if path.suffix == ".npz" else np.load(path, allow_pickle=False)
            except (OSError, ValueError, KeyError) as error:
                raise IndexingError(f"{path} cannot be read ({error}): restore it, or make the index again") from error
            self._loaded[name] = sparse.csr_array(found) if sparse.issparse(found) else found
        return self._loaded[name]


def write_reference(folder: Path, manifest: Manifest, vectors: Vectors, reference: Any) -> None:
    """Write the vectors of reference queries into an index's folder; the manifest notes them.

    Of more than 10,000 queries so many are drawn. Dense vectors are kept in half precision.

    Args:
        folder: where to.
        manifest: of the index.
        vectors: encode the queries.
        reference: queries of the asking side, for all spaces; or their vectors; or either by vector name.

    Raises:
        IndexingError: no queries, a vector name that the index does not have, or values that cannot be used.
        ShapeError: the vectors' dimension is not the space's.
    """
    names = list(manifest.spaces)
    if not names:
        raise IndexingError("reference queries correct the similarities of vectors: give a space too")
    if not isinstance(reference, Mapping):
        if len(names) > 1 and (isinstance(reference, np.ndarray) or sparse.issparse(reference)):
            raise IndexingError(f"this index has the vectors {', '.join(names)}: give reference={{name: vectors, ...}}")
        reference = dict.fromkeys(names, reference)
    unknown = set(reference) - set(names)
    if unknown or not reference:
        raise IndexingError(f"reference: no vectors named {', '.join(map(str, unknown))}; there are {', '.join(names)}")
    for name, given in reference.items():
        found = normalise(vectors.questions(name, _drawn(given), None, cache=True, progress=None))
        file = f"reference{names.index(name) or ''}{'.npz' if manifest.spaces[name].sparse else '.npy'}"
        if sparse.issparse(found):
            sparse.save_npz(folder / file, sparse.csr_array(found, dtype=np.float32), compressed=False)
        else:
            np.save(folder / file, np.asarray(found, np.float16))
        manifest.reference[name] = {"file": file, "queries": int(found.shape[0])}


def check_similarity(manifest: Manifest, similarity: str, names: Sequence[str], expansion: str) -> None:
    """Refuse a similarity that these fields cannot be searched by.

    Raises:
        IndexingError: it is unknown or needs what the index or the query does not have; says which.
    """
    if similarity not in SIMILARITIES:
        raise IndexingError(f"similarity must be one of {', '.join(SIMILARITIES)}, got {similarity!r}")
    if similarity == "cosine":
        return
    if len(names) > 1:
        raise IndexingError(
            f"similarity={similarity!r} is of one field, not of {'+'.join(names)}: name one as the mode"
        )
    if names[0] == BM25:
        raise IndexingError(f"similarity={similarity!r} corrects similarities of vectors, and {BM25!r} has none")
    if names[0] in manifest.spaces and names[0] not in manifest.reference:
        raise IndexingError(
            f"similarity={similarity!r} needs reference queries, and the index was made without them for {names[0]!r}: "
            "make it again with Index.create(..., reference=queries) or `pairspace index --reference FILE`"
        )
    if expansion == "none":
        raise IndexingError(f"similarity={similarity!r} needs whole queries: ask with expansion 'full' or 'rescore'")


def depth(k: int) -> int:
    """How many candidates are corrected to find the k best."""
    return max(DEPTH, 10 * k)


def of_length_one(queries: Any) -> Any:
    """Sparse queries with their weights divided by their length, as those of the reference are; dense ones as they are.

    An engine divides dense ones itself.
    """
    if isinstance(queries, np.ndarray):
        return queries
    return [Sparse(ids, weights / (np.linalg.norm(weights) or 1)) for ids, weights in queries]


def corrected(
    found: Sequence[Sequence[Found]], k: int, name: str, similarity: str, count: Callable[[], int]
) -> list[list[Found]]:
    """The k best of each query's candidates by corrected similarity.

    Args:
        found: the candidates, best first.
        k: how many to keep.
        name: the field they were found by.
        similarity: "csls" or "margin".
        count: tells how many items were searched. Asked only where candidates are few: items that share no term with a
            query are not found, and their similarity is zero.
    """
    most = count() if any(len(hits) < _NEAREST for hits in found) else _NEAREST
    width = max(1, min(_NEAREST, most))
    best = []
    for hits in found:
        own = sum(hit.score for hit in hits[:_NEAREST]) / width
        scores = np.array([hit.score for hit in hits])
        hubs = np.array([hit.payload[HUBS][name] for hit in hits])
        anew = [
            hit._replace(score=float(score))
            for hit, score in zip(hits, correct(scores, own, hubs, similarity), strict=True)
        ]
        best.append(sorted(anew, key=best_first)[:k])
    return best


def _drawn(given: Any) -> Any:
    """Reference queries, checked, and no more of them than are used."""
    single, queries = as_queries(given)
    if single:
        raise IndexingError("the reference is a list of queries, or an array (n, dimension) of their vectors")
    matrix = isinstance(queries, np.ndarray) or sparse.issparse(queries)
    total = queries.shape[0] if matrix else len(queries)
    if not total:
        raise IndexingError("the reference holds no queries")
    if not matrix:
        queries = checked_items(queries, total, texts=False)
    if total <= _MOST:
        return queries
    rows = np.sort(np.random.default_rng(_SEED).choice(total, _MOST, replace=False))
    return queries[rows] if matrix else [queries[row] for row in rows]


def _means(column: Any, reference: Any) -> np.ndarray:
    """The r of items whose vectors are given as they are stored: float32 (items,)."""
    width = min(_NEAREST, reference.shape[0])
    if sparse.issparse(reference):
        ids, weights = zip(*column, strict=True)
        starts = np.concatenate([[0], np.cumsum([len(one) for one in ids])])
        shape = (len(column), reference.shape[1])
        rows = sparse.csr_array((np.concatenate(weights), np.concatenate(ids).astype(np.int64), starts), shape=shape)
        found = top_k(rows, reference, width, similarity="dot")
    elif isinstance(column, np.ndarray):
        found = top_k(column, reference, width)
    else:
        return _passage_means(column, reference, width)
    return np.asarray(np.where(found.indices >= 0, found.scores, 0).sum(1) / width, np.float32)


def _passage_means(column: Sequence[np.ndarray], reference: np.ndarray, width: int) -> np.ndarray:
    """The same of items of several passages, where each query counts the passage that is nearest to it.

    The queries nearest to an item are among those nearest to one of its passages.
    """
    found = top_k(np.concatenate(column), reference, width)
    ends = np.cumsum([len(rows) for rows in column])[:-1]
    means = []
    for scores, indices in zip(np.split(found.scores, ends), np.split(found.indices, ends), strict=True):
        order = np.argsort(-scores, axis=None, kind="stable")
        _, first = np.unique(indices.ravel()[order], return_index=True)
        means.append(scores.ravel()[order][np.sort(first)[:width]].mean())
    return np.array(means, np.float32)
