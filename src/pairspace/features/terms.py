"""Features that are weights of terms: sparse rows that become dense only where some of them are asked for.

In the cache they are one more ragged layer: an item has as many rows (id // 256, id % 256, weight) as it has terms, in
float16, which holds whole numbers up to 2,048 exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from pairspace.features.states import TokenStates

__all__ = ["LAYER", "TermFeatures", "TermRows", "compute_terms"]

LAYER = "terms"
_BASE = 256


class TermFeatures:
    """Weights of terms of some items, in the items' order.

    Args:
        vectors: CSR (n, terms).
        truncated: share of the items that are longer than the encoder reads.
    """

    def __init__(self, vectors: sparse.csr_array, truncated: float) -> None:
        self.vectors, self.truncated = vectors, truncated
        self.dimension = int(vectors.shape[1])

    def __len__(self) -> int:
        return int(self.vectors.shape[0])

    def rows(self, indices: Any = None) -> np.ndarray:
        """Dense rows, float32 (n, terms)."""
        chosen = self.vectors if indices is None else self.vectors[np.arange(len(self))[indices]]
        return np.asarray(chosen.toarray(), np.float32)


class TermRows:
    """An encoder to terms as the cache's ragged layers want one: its vectors as rows of (id // 256, id % 256, weight).

    Args:
        encoder: with `encode_sparse`.
    """

    dtype, width, max_length = "float16", 3, None

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder
        self.name, self.precision = encoder.name, encoder.precision

    @property
    def fingerprint(self) -> str:
        """The encoder's own."""
        return str(self.encoder.fingerprint)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.encoder, name)

    def token_states(self, texts: Sequence[str], layer: str) -> tuple[np.ndarray, np.ndarray]:
        """The rows of all texts, one text after the other, and how many each has."""
        vectors, _ = self.encoder.encode_sparse(texts, progress=False)
        rows = np.stack([vectors.indices // _BASE, vectors.indices % _BASE, vectors.data], 1)
        return rows.astype(np.float16), np.diff(vectors.indptr).astype(np.int32)


def read_terms(states: TokenStates, terms: int, truncated: float) -> TermFeatures:
    """Features from what the cache holds."""
    flat = states.take(np.arange(len(states))).astype(np.float32)
    columns = (flat[:, 0] * _BASE + flat[:, 1]).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(states.counts)])
    return TermFeatures(sparse.csr_array((flat[:, 2], columns, starts), shape=(len(states), terms)), truncated)


def compute_terms(encoder: Any, items: Any, *, cache: Any = None, progress: bool | None = None) -> TermFeatures:
    """Weights of terms of items, to the same values with a cache as without.

    Args:
        encoder: with `encode_sparse` and a lexicon.
        items: texts, or an Arrow array of them.
        cache: a `FeatureCache`; None computes all anew.
        progress: see `progress_bar`.
    """
    terms = len(encoder.lexicon)
    if cache is None:
        vectors, lengths = encoder.encode_sparse(items, progress=progress)
        vectors.data = vectors.data.astype(np.float16).astype(np.float32)
    else:
        texts = items.to_pylist() if hasattr(items, "to_pylist") else list(items)
        lengths = encoder.tokens(texts)[1] if len(texts) else np.empty(0)
    limit = encoder.max_length
    truncated = float((lengths > limit).mean()) if limit is not None and len(lengths) else 0.0
    if cache is None:
        return TermFeatures(vectors, truncated)
    return read_terms(cache.token_states(TermRows(encoder), items, LAYER, progress=progress), terms, truncated)
