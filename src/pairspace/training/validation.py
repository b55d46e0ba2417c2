"""The score that training is watched by: both directions' success at one and reciprocal rank on held-out pairs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pairspace.neighbours import Ranking, top_k
from pairspace.training.towers import FrozenTower

__all__ = ["Score", "Validation"]

DEPTH = 10


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

    def __init__(self, query: FrozenTower, document: FrozenTower, codes: tuple[np.ndarray, np.ndarray]) -> None:
        self.query, self.document = query, document
        self.codes = codes
        self._pairs = _keys(*codes, len(document)), _keys(codes[1], codes[0], len(query))

    def vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Vectors of the distinct queries and documents as they are now."""
        return self.query.all_vectors().cpu().numpy(), self.document.all_vectors().cpu().numpy()

    def score(self) -> Score:
        """R@1 and MRR@10 now: every pairing that occurs counts as right."""
        modules = [m for tower in (self.query, self.document) for m in tower.modules()]
        modes = [m.training for m in modules]
        for m in modules:
            m.eval()
        queries, documents = self.vectors()
        for m, mode in zip(modules, modes, strict=True):
            m.train(mode)
        there = _hits(top_k(queries, documents, DEPTH), self._pairs[0], len(documents))
        back = _hits(top_k(documents, queries, DEPTH), self._pairs[1], len(queries))
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
