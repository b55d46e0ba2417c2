"""The score that training is watched by: both directions' success at one and reciprocal rank on held-out pairs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from pairspace.neighbours import Ranking, top_k
from pairspace.objectives import alignment, uniformity
from pairspace.training.towers import Tower

__all__ = ["Score", "Validation"]

DEPTH = 10
SAMPLE = 2048  # items on which alignment and uniformity are measured


class Score(NamedTuple):
    """Means over queries and over the two directions."""

    recall: float
    reciprocal_rank: float


class Validation:
    """Held-out pairs of two sides.

    Args:
        query, document: towers over the held-out items; they share their projectors with the towers in training.
        codes: of each pair, the row of its query and of its document among the distinct items.
    """

    def __init__(self, query: Tower, document: Tower, codes: tuple[np.ndarray, np.ndarray]) -> None:
        self.query, self.document = query, document
        self.codes = codes
        self._pairs = _keys(*codes, len(document)), _keys(codes[1], codes[0], len(query))

    def vectors(self) -> tuple[Any, Any]:
        """Vectors of the distinct queries and documents as they are now: arrays, or CSR in a sparse space."""
        return self.query.all_vectors(), self.document.all_vectors()

    def score(self) -> Score:
        """R@1 and MRR@10 now: every pairing that occurs counts as right."""
        return self.score_of(*self._evaluated())

    def record(self) -> dict[str, Any]:
        """The score, and what else tells how training goes, for the history.

        That is the two parts of a contrastive loss (Wang & Isola 2020), and of sparse vectors how many terms they have.
        """
        queries, documents = self._evaluated()
        score = self.score_of(queries, documents)
        found = {"validation_R@1": round(score.recall, 5), "validation_MRR@10": round(score.reciprocal_rank, 5)}
        if self.query.sparse:
            sizes = ("query_terms", queries), ("document_terms", documents)
            return found | {name: round(one.nnz / max(1, one.shape[0]), 2) for name, one in sizes}
        a, b = (torch.from_numpy(vectors) for vectors in (queries, documents))
        left, right = (torch.from_numpy(code[:SAMPLE]) for code in self.codes)
        found["alignment"] = round(float(alignment(a[left], b[right])), 5)
        if min(len(a), len(b)) > 1:
            found["uniformity"] = round((float(uniformity(a[:SAMPLE])) + float(uniformity(b[:SAMPLE]))) / 2, 5)
        return found

    def _evaluated(self) -> tuple[Any, Any]:
        modules = [m for tower in (self.query, self.document) for m in tower.modules()]
        modes = [m.training for m in modules]
        for m in modules:
            m.eval()
        found = self.vectors()
        for m, mode in zip(modules, modes, strict=True):
            m.train(mode)
        return found

    def score_of(self, queries: Any, documents: Any) -> Score:
        """R@1 and MRR@10 of given vectors of the distinct queries and documents."""
        similarity, (left, right) = "dot" if self.query.sparse else "cosine", self._pairs
        there = _hits(top_k(queries, documents, DEPTH, similarity=similarity), left, documents.shape[0])
        back = _hits(top_k(documents, queries, DEPTH, similarity=similarity), right, queries.shape[0])
        recall, rank = (np.mean([value(h) for h in (there, back)]) for value in (_recall, _reciprocal_rank))
        return Score(float(recall), float(rank))


def _keys(left: np.ndarray, right: np.ndarray, size: int) -> np.ndarray:
    return np.unique(left.astype(np.int64) * size + right)


def _hits(ranking: Ranking, pairs: np.ndarray, size: int) -> np.ndarray:
    """Which of each query's first ten are right, bool (queries, 10)."""
    keys = np.arange(len(ranking.indices))[:, None] * size + ranking.indices
    return np.isin(keys, pairs) & (ranking.indices >= 0)


def _recall(hits: np.ndarray) -> float:
    return float(hits[:, 0].mean())


def _reciprocal_rank(hits: np.ndarray) -> float:
    first = hits.argmax(1)
    return float(np.where(hits.any(1), 1.0 / (first + 1), 0.0).mean())
