"""How sparse a space of words is, and the two ways in which one fails (Nguyen et al., ECIR 2024).

Co-activation: everything is described by the same words, so the inverted index has no short lists any more,

    FLOPs      = 1/(Nq Nd) sum_v df_q(v) df_d(v)            terms that a query and a document share on average
    vocabulary = share of the terms that any document has
    Jaccard    = mean |A n B| / |A u B| over random pairs of documents, A and B their terms

Semantic deviation: the words do not mean what the text says,

    Exact@k    = mean |top_k(x) n own(x)| / k,              own(x) the words of the text itself
    Semantic@k = mean over top_k(x) of max cos(e_v, e_u), u in own(x),   e the words' vectors under an encoder
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import sparse

from pairspace.neighbours import normalise

__all__ = ["WordUse", "exact_at_k", "jaccard", "overlap_flops", "semantic_at_k", "vocabulary_share", "word_use"]

TOP = 20  # the k of Exact@k and Semantic@k
_PAIRS = 10_000
_ROWS = 2_000  # texts that Semantic@k is measured on


@dataclass(frozen=True)
class WordUse:
    """How the items of a side use the words of a space; NaN where a measure cannot be had.

    Attributes:
        side: its name.
        terms: mean number of terms of an item, own words among them.
        empty: items without any, which nothing finds.
        vocabulary: share of all terms that some item has.
        jaccard: mean overlap of what is found for two random items.
        exact: Exact@20 of what is found for texts, own words beside it left out.
        semantic: Semantic@20 of the same.
    """

    side: str
    terms: float
    empty: int
    vocabulary: float
    jaccard: float
    exact: float
    semantic: float

    def to_dict(self) -> dict[str, Any]:
        """By name; None for what cannot be had."""
        return {name: None if value != value else value for name, value in asdict(self).items()}


def word_use(side: str, vectors: sparse.csr_array, terms: int, own: Any = None, table: Any = None) -> WordUse:
    """All measures of one side.

    Args:
        side: its name.
        vectors: CSR (n, terms, and behind them columns of own words, which mean what the text says by themselves).
        terms: how many columns are terms.
        own: CSR, what each item holds itself; None where they are no texts.
        table: (terms, dim), a vector of each term; None where there is none.
    """
    sizes, found, nothing = active_terms(vectors), vectors[:, :terms], float("nan")
    return WordUse(
        side,
        float(sizes.mean()) if len(sizes) else 0.0,
        int((sizes == 0).sum()),
        vocabulary_share(vectors, terms),
        jaccard(found),
        nothing if own is None else exact_at_k(found, own, TOP),
        nothing if own is None or table is None else semantic_at_k(found, own, TOP, table),
    )


def active_terms(vectors: sparse.csr_array) -> np.ndarray:
    """How many terms each row has."""
    return np.diff(vectors.indptr)


def overlap_flops(queries: sparse.csr_array, documents: sparse.csr_array) -> float:
    """Terms that a query and a document share, on average over all pairs of them."""
    if not queries.shape[0] or not documents.shape[0]:
        return 0.0
    ids, counts = np.unique(documents.indices, return_counts=True)
    asked, times = np.unique(queries.indices, return_counts=True)
    _, left, right = np.intersect1d(asked, ids, assume_unique=True, return_indices=True)
    shared = float((times[left].astype(np.float64) * counts[right]).sum())
    return shared / float(queries.shape[0] * documents.shape[0])


def vocabulary_share(vectors: sparse.csr_array, terms: int) -> float:
    """Share of the first `terms` columns that any row has."""
    used = np.unique(vectors.indices)
    return float((used < terms).sum() / max(1, terms))


def jaccard(vectors: sparse.csr_array, *, pairs: int = _PAIRS, seed: int = 0) -> float:
    """Mean overlap of the terms of two different rows, over random pairs; NaN with fewer than two rows."""
    count = vectors.shape[0]
    if count < 2:
        return float("nan")
    rng = np.random.default_rng(seed)
    left = rng.integers(count, size=pairs)
    right = (left + rng.integers(1, count, size=pairs)) % count
    there = sparse.csr_array(
        (np.ones(len(vectors.indices), np.float32), vectors.indices, vectors.indptr), vectors.shape
    )
    both = np.asarray(there[left].multiply(there[right]).sum(1)).ravel()
    sizes = active_terms(vectors)
    either = sizes[left] + sizes[right] - both
    return float(np.mean(both / np.maximum(either, 1)))


def top_terms(vectors: sparse.csr_array, k: int) -> np.ndarray:
    """The columns of the k largest weights of each row, -1 where it has fewer: int64 (n, k)."""
    rows = np.repeat(np.arange(vectors.shape[0]), active_terms(vectors))
    order = np.lexsort((vectors.indices, -vectors.data, rows))
    place = np.arange(len(rows)) - vectors.indptr[rows]
    found = np.full((vectors.shape[0], k), -1, np.int64)
    kept = place < k
    found[rows[kept], place[kept]] = vectors.indices[order][kept]
    return found


def exact_at_k(vectors: sparse.csr_array, own: sparse.csr_array, k: int) -> float:
    """Share of the k best terms that the text itself holds.

    Args:
        vectors: CSR (n, terms).
        own: CSR (n, terms), what each text holds.
        k: a row with fewer terms counts as if the missing ones were wrong.
    """
    best = top_terms(vectors, k)
    rows = np.repeat(np.arange(len(best)), k)
    columns = best.ravel()
    keys = np.repeat(np.arange(own.shape[0]), active_terms(own)).astype(np.int64) * own.shape[1] + own.indices
    hit = np.isin(rows * own.shape[1] + columns, keys) & (columns >= 0)
    return float(hit.reshape(len(best), k).mean())


def semantic_at_k(vectors: sparse.csr_array, own: sparse.csr_array, k: int, table: np.ndarray) -> float:
    """How near the k best terms are to the nearest word of the text itself.

    Args:
        vectors: CSR (n, terms).
        own: CSR (n, terms or more).
        k: terms a row; those it lacks are left out.
        table: (terms, dim), a vector of each term.
    """
    rows = np.unique(np.linspace(0, vectors.shape[0] - 1, _ROWS).astype(np.int64))
    unit, found = normalise(table), []
    for row, best in zip(rows, top_terms(vectors[rows], k), strict=True):
        words = own.indices[own.indptr[row] : own.indptr[row + 1]]
        words, best = words[words < len(unit)], best[(best >= 0) & (best < len(unit))]
        if len(words) and len(best):
            found.append(float((unit[best] @ unit[words].T).max(1).mean()))
    return float(np.mean(found)) if found else float("nan")
