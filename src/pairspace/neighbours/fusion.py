"""Fusion: one ranking out of several, by z-scores with weights or by reciprocal rank.

    z-score:          s(d) = sum_l  w_l * (s_l(d) - mean_l) / std_l       mean and std over list l's own candidates
    reciprocal rank:  s(d) = sum_l  1 / (60 + rank_l(d))                  Cormack et al. 2009

Scores of different systems (a cosine, a BM25 sum) have different scales; z-scores make them comparable query by query
and keep how far ahead a document is, which ranks throw away. A document that one list lacks gets that list's lowest
score: it cannot have scored higher. The weight of two lists is learnt on validation queries (`learn_weight`); without
any, ranks are the safer choice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from pairspace.errors import PairspaceError, ShapeError
from pairspace.neighbours.topk import Ranking

__all__ = ["learn_scale", "learn_weight", "reciprocal_rank_fusion", "zscore_fusion"]

_NONE = np.iinfo(np.int64).max  # stands for "no document": sorts last


def zscore_fusion(rankings: Sequence[Ranking], weights: Sequence[float], k: int) -> Ranking:
    """Weighted sum of each list's z-scores.

    Args:
        rankings: lists over the same queries and documents.
        weights: one a list, none negative; divided by their sum.
        k: how many of the fused list to keep.

    Returns:
        The fused `Ranking`; equal scores are ordered by document index. Rows with too few candidates are filled up.

    Raises:
        ShapeError: the lists are of different queries, or weights and lists differ in number.
        PairspaceError: a negative weight, or none above 0.
    """
    _check(rankings)
    share = np.asarray(weights, dtype=np.float64)
    if share.shape != (len(rankings),):
        raise ShapeError(f"{len(rankings)} rankings need {len(rankings)} weights, got {len(share)}")
    if (share < 0).any() or not share.sum() > 0:
        raise PairspaceError(f"fusion weights must be 0 or more and not all 0, got {list(weights)}")
    items, values = _union(rankings, [_zscores(ranking.scores) for ranking in rankings])
    return _best(items, np.tensordot(share / share.sum(), values, 1), k)


def reciprocal_rank_fusion(rankings: Sequence[Ranking], k: int, constant: int = 60) -> Ranking:
    """Sum of 1 / (constant + rank), ranks counted from 1; a list that lacks a document gives it nothing.

    Args:
        rankings: lists over the same queries and documents.
        k: how many of the fused list to keep.
        constant: how flat the ranks are weighed; 60 in Cormack et al. 2009.

    Raises:
        ShapeError: the lists are of different queries.
    """
    _check(rankings)
    gains = []
    for scores, indices in rankings:
        gain = np.broadcast_to(1.0 / (constant + 1.0 + np.arange(scores.shape[1])), scores.shape)
        gains.append((np.where(indices >= 0, gain, 0.0), np.zeros(len(scores))))
    items, values = _union(rankings, gains)
    return _best(items, values.sum(0), k)


def learn_weight(first: Ranking, second: Ranking, relevant: Any, *, k: int = 10, step: float = 0.05) -> float:
    """The weight of `first` in [0, 1] (`second` has the rest) whose z-score fusion has the best MRR@k, then R@1.

    Args:
        first: one system's rankings of the validation queries.
        second: the other's.
        relevant: the right documents of each query: one array of indices a query, or a CSR matrix (queries, documents).
        k: cutoff of the reciprocal rank.
        step: distance of the weights tried.

    Returns:
        The best weight. Where neighbouring weights do as well (MRR within 0.0005), the middle of them: it is the choice
        least moved by the accident of which queries were drawn.

    Raises:
        ShapeError: the lists or `relevant` are of different queries.
    """
    _check([first, second])
    items, (one, two) = _union([first, second], [_zscores(first.scores), _zscores(second.scores)])
    weights = np.linspace(0, 1, round(1 / step) + 1)
    return round(_best_choice(weights, lambda w: w * one + (1 - w) * two, items, _relevance(items, relevant), k), 4)


def learn_scale(first: Ranking, second: Ranking, relevant: Any, *, k: int = 10, steps: int = 33) -> float:
    """The factor a with which first + a * second, the scores as they are, has the best MRR@k, then R@1.

    Args:
        first: one part's rankings of the validation queries. A document that a full list lacks has its lowest score; if
            the list has room for it, it has 0, as vectors without a common term do.
        second: the other's.
        relevant: as in `learn_weight`.
        k: cutoff of the reciprocal rank.
        steps: how many factors are tried: the one by which the highest scores are equal on average, and around it from
            1/16 to 16 times as much.

    Returns:
        The factor, the middle of those that do as well; 1 where either part has no scores.

    Raises:
        ShapeError: the lists or `relevant` are of different queries.
    """
    _check([first, second])
    tops = [float(np.where(np.isneginf(one.scores), 0, one.scores).max(1, initial=0).mean()) for one in (first, second)]
    if not all(top > 0 for top in tops):
        return 1.0
    lists = [np.where(np.isneginf(one.scores), 0.0, one.scores).astype(np.float64) for one in (first, second)]
    items, (one, two) = _union([first, second], [(values, values.min(1)) for values in lists])
    factors = tops[0] / tops[1] * np.geomspace(1 / 16, 16, steps)
    return _best_choice(factors, lambda a: one + a * two, items, _relevance(items, relevant), k)


def _best_choice(
    choices: np.ndarray, combine: Callable[[float], np.ndarray], items: np.ndarray, right: np.ndarray, k: int
) -> float:
    """The choice with the best MRR@k, then R@1; of neighbours that do as well the middle."""
    tried = []
    for choice in choices:
        ranks = _first_ranks(combine(float(choice)), items, right)
        tried.append((float(np.where(ranks <= k, 1 / ranks, 0.0).mean()), float((ranks == 1).mean())))
    top = max(range(len(tried)), key=tried.__getitem__)
    low = high = top
    while low > 0 and tried[low - 1][0] >= tried[top][0] - 0.0005:
        low -= 1
    while high < len(tried) - 1 and tried[high + 1][0] >= tried[top][0] - 0.0005:
        high += 1
    return float(choices[(low + high + (high - low) % 2) // 2])


def _zscores(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """z-scores (queries, k) of a list over its own candidates (0 where there is none), each row's lowest (queries,)."""
    there = ~np.isneginf(scores)
    known = np.where(there, scores, 0.0).astype(np.float64)
    count = np.maximum(there.sum(1, keepdims=True), 1)
    mean = known.sum(1, keepdims=True) / count
    spread = np.sqrt((np.where(there, known - mean, 0.0) ** 2).sum(1, keepdims=True) / count)
    z = np.where(there, (known - mean) / np.where(spread > 1e-12, spread, 1.0), 0.0)
    lowest = np.where(there, z, np.inf).min(1, initial=np.inf)
    return z, np.where(np.isinf(lowest), 0.0, lowest)


def _union(
    rankings: Sequence[Ranking], scored: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """All candidates of each query, and what each list gives them.

    Returns:
        items (queries, width): document indices, rising, filled with `_NONE`; values (lists, queries, width): the
        list's score of each, its `lowest` where the list lacks it.
    """
    every = np.concatenate([np.where(ranking.indices < 0, _NONE, ranking.indices) for ranking in rankings], axis=1)
    order = np.argsort(every, axis=1, kind="stable")
    ordered = np.take_along_axis(every, order, 1)
    fresh = np.ones(ordered.shape, bool)
    fresh[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.cumsum(fresh, axis=1) - 1, 1)
    width = int(places.max(initial=0)) + 1
    items = np.full((len(every), width), _NONE)
    np.put_along_axis(items, places, every, 1)
    values = np.empty((len(rankings), len(every), width))
    start = 0
    for value, (score, lowest) in zip(values, scored, strict=True):
        stop = start + score.shape[1]
        value[:] = lowest[:, None]
        there = every[:, start:stop] != _NONE
        rows = np.nonzero(there)[0]
        value[rows, places[:, start:stop][there]] = score[there]
        start = stop
    return items, values


def _best(items: np.ndarray, scores: np.ndarray, k: int) -> Ranking:
    scores = np.where(items == _NONE, -np.inf, scores)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]  # items rise, so ties keep the lower index first
    best, chosen = np.take_along_axis(scores, order, 1), np.take_along_axis(items, order, 1)
    out = Ranking(np.full((len(items), k), -np.inf, np.float32), np.full((len(items), k), -1, np.int64))
    out.scores[:, : best.shape[1]] = best
    out.indices[:, : best.shape[1]] = np.where(chosen == _NONE, -1, chosen)
    return out


def _relevance(items: np.ndarray, relevant: Any) -> np.ndarray:
    """Which candidates (queries, width) are right answers."""
    if not sparse.issparse(relevant):
        rows = np.repeat(np.arange(len(relevant)), [len(found) for found in relevant])
        columns = np.concatenate([np.asarray(found, np.int64) for found in relevant]) if len(rows) else rows
        width = int(columns.max(initial=0)) + 1
        shape = (len(relevant), width)
        relevant = sparse.csr_array((np.ones(len(rows), bool), (rows, columns)), shape=shape)
    if relevant.shape[0] != len(items):
        raise ShapeError(f"right answers of {relevant.shape[0]} queries for rankings of {len(items)}")
    table = relevant.tocoo()
    span = max(int(relevant.shape[1]), 1)
    keys = np.where(items < span, np.arange(len(items))[:, None] * span + items, -1)
    return np.isin(keys, table.row.astype(np.int64) * span + table.col)


def _first_ranks(scores: np.ndarray, items: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Rank (from 1) of each query's first right answer, infinite where there is none among the candidates."""
    order = np.argsort(np.where(items == _NONE, np.inf, -scores), axis=1, kind="stable")
    ranked = np.take_along_axis(right, order, 1)
    return np.where(ranked.any(1), ranked.argmax(1) + 1.0, np.inf)


def _check(rankings: Sequence[Ranking]) -> None:
    if not rankings:
        raise PairspaceError("fusion needs at least one ranking")
    lengths = {len(ranking.indices) for ranking in rankings}
    if len(lengths) > 1:
        raise ShapeError(f"rankings to fuse must be of the same queries, got {sorted(lengths)} queries")
