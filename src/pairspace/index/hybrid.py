"""Hybrid search: the lists of two searches over one index made into one.

Where the space knows how much to trust itself beside BM25 (`fusion_weight`, learnt on validation), z-scores are
weighted; else ranks are added up. Both come from `pairspace.neighbours`, so that search and evaluation fuse alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import numpy as np

from pairspace.index.engine import Found
from pairspace.neighbours.fusion import reciprocal_rank_fusion, zscore_fusion
from pairspace.neighbours.topk import Ranking

__all__ = ["DEPTH", "fuse"]

DEPTH = 100  # candidates taken from each list


def fuse(dense: list[list[Found]], words: list[list[Found]], k: int, weight: float | None) -> list[list[Found]]:
    """The k best of two lists of hits for each query.

    Args:
        dense: hits of each query in one field, best first.
        words: hits of the same queries by words, best first.
        k: how many to keep.
        weight: of `dense` in [0, 1] for z-scores, `words` having the rest; None for reciprocal rank.
    """
    points = {found.key: found for hits in (*dense, *words) for found in hits}
    keys = list(points)
    codes = {key: code for code, key in enumerate(keys)}
    if not keys:
        return [[] for _ in dense]
    lists = [_ranking(dense, codes), _ranking(words, codes)]
    if weight is None:
        fused = reciprocal_rank_fusion(lists, k)
    else:
        fused = zscore_fusion(lists, [weight, 1 - weight], k)
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
