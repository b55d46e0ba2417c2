"""Hybrid search: the lists of several searches over one index made into one.

Where every space knows how much to trust itself beside BM25 (`fusion_weight` w, learnt on validation), z-scores are
weighted: BM25 has weight 1, a space w / (1 - w). Else ranks are added up. Both come from `pairspace.neighbours`, so
that search and evaluation fuse a space and BM25 alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from uuid import UUID

import numpy as np

from pairspace.index.engine import Found
from pairspace.neighbours.fusion import reciprocal_rank_fusion, zscore_fusion
from pairspace.neighbours.topk import Ranking

__all__ = ["DEPTH", "fuse", "fusion_weights"]

DEPTH = 100  # candidates taken from each list
_MOST = 0.75  # weight of one of several spaces: one that holds own words trusts BM25 no more, but others may help


def fusion_weights(learnt: Sequence[float | None]) -> list[float] | None:
    """The weight of each list, from those that spaces have learnt beside BM25; None where one has learnt none.

    Args:
        learnt: a space's weight in [0, 1] beside BM25, of which at most `_MOST` is taken where there are more lists
            than these two; BM25's own is 1/2.
    """
    if any(weight is None for weight in learnt):
        return None
    most = _MOST if len(learnt) > 2 else 1.0
    capped = [min(weight, most, 1 - 1e-6) for weight in learnt if weight is not None]
    odds = [weight / (1 - weight) for weight in capped]
    return [one / sum(odds) for one in odds] if any(odds) else None


def fuse(found: Sequence[list[list[Found]]], k: int, weights: Sequence[float] | None) -> list[list[Found]]:
    """The k best of several lists of hits for each query.

    Args:
        found: for each list the hits of each query, best first.
        k: how many to keep.
        weights: of the lists' z-scores; None for reciprocal rank.
    """
    points = {one.key: one for hits in chain.from_iterable(found) for one in hits}
    keys = list(points)
    codes = {key: code for code, key in enumerate(keys)}
    if not keys:
        return [[] for _ in found[0]]
    lists = [_ranking(one, codes) for one in found]
    fused = reciprocal_rank_fusion(lists, k) if weights is None else zscore_fusion(lists, weights, k)
    return [
        [
            Found(keys[code], float(score), points[keys[code]].payload)
            for score, code in zip(*row, strict=True)
            if code >= 0
        ]
        for row in zip(fused.scores, fused.indices, strict=True)
    ]


def _ranking(found: Sequence[Sequence[Found]], codes: dict[UUID, int]) -> Ranking:
    width = max(1, *map(len, found))
    scores = np.full((len(found), width), -np.inf, np.float32)
    indices = np.full((len(found), width), -1, np.int64)
    for row, hits in enumerate(found):
        scores[row, : len(hits)] = [hit.score for hit in hits]
        indices[row, : len(hits)] = [codes[hit.key] for hit in hits]
    return Ranking(scores, indices)
