"""Hard negatives: documents that lie near a query without belonging to it.

    candidates(q) = the range_max documents nearest to q that no pair gives to q
    kept(q)       = those with   score <= max_score,
                                 score <= p - absolute_margin,
                                 score <= p - relative_margin * |p|,      p = the lowest score of the pairs of q
    negatives(q)  = of the kept ones, without the first range_min: the first num_negatives, or as many by chance

Words and meaning are those of `mine_hard_negatives` of sentence-transformers; relative_margin=0.05 is TopK-PercPos of
NV-Retriever (arXiv 2407.15831). A filter says what a false negative looks like: an answer that nobody marked as one
often scores as high as the right one.

Exact: all documents are compared with all queries in blocks, and the best few kept (`neighbours.top_k`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from pairspace.errors import ShapeError, TrainingError
from pairspace.neighbours import normalise, top_k
from pairspace.progress import progress_bar

__all__ = ["Mining", "Negatives", "mine_negatives"]

_QUERIES = 16_384  # queries a chunk,
_CELLS = 1 << 22  # and candidates in it


@dataclass(frozen=True)
class Mining:
    """Which documents make a query's negatives.

    Attributes:
        num_negatives: at most so many a query.
        range_min: so many of the nearest that are left after the filters are passed over.
        range_max: so many of the nearest are candidates; None for range_min + num_negatives, or ten times as many
            negatives where a filter or chance is to choose among them.
        max_score: no negative has a cosine above this.
        absolute_margin: a negative's cosine is at least so much below the query's lowest positive.
        relative_margin: likewise, as a share of the positive's magnitude.
        sampling: "top", the nearest, or "random", drawn evenly from all that are left.
        seed: of the drawing.
    """

    num_negatives: int = 3
    range_min: int = 0
    range_max: int | None = None
    max_score: float | None = None
    absolute_margin: float | None = None
    relative_margin: float | None = None
    sampling: Literal["top", "random"] = "top"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_negatives < 1:
            raise TrainingError(f"num_negatives must be at least 1, got {self.num_negatives}")
        if self.range_min < 0:
            raise TrainingError(f"range_min must not be negative, got {self.range_min}")
        if self.depth - self.range_min < self.num_negatives:
            raise TrainingError(
                f"range_min={self.range_min} to range_max={self.depth} leaves {max(0, self.depth - self.range_min)} "
                f"candidates, and num_negatives={self.num_negatives} are wanted: raise range_max"
            )
        for name in ("max_score", "absolute_margin", "relative_margin"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise TrainingError(f"{name} must be a finite number, got {value}")
        if self.sampling not in ("top", "random"):
            raise TrainingError(f"sampling is 'top' or 'random', got {self.sampling!r}")

    @property
    def depth(self) -> int:
        """Candidates a query: `range_max`, or what stands for it."""
        if self.range_max is not None:
            return self.range_max
        filters = (self.max_score, self.absolute_margin, self.relative_margin)
        choice = self.sampling == "random" or any(value is not None for value in filters)
        return self.range_min + self.num_negatives * (10 if choice else 1)


class Negatives(NamedTuple):
    """What was mined, a row a query; `documents[codes[0]]` is a row a pair."""

    documents: np.ndarray  # int64 (queries, num_negatives), nearest first; -1 where a query has fewer
    scores: np.ndarray  # float32 (queries, num_negatives), their cosines; NaN where there is none
    positives: np.ndarray  # float32 (queries,), the lowest cosine of a query's pairs; NaN for a query without pairs
    removed: dict[str, int]  # candidates that each filter took, in the order max_score, absolute and relative margin


def mine_negatives(
    queries: Any,
    documents: Any,
    codes: tuple[np.ndarray, np.ndarray],
    *,
    mining: Mining | None = None,
    same: np.ndarray | None = None,
    device: str | torch.device | None = None,
    progress: bool | None = None,
) -> Negatives:
    """The hard negatives of each query; every document that a pair gives to a query is a positive, never a negative.

    Args:
        queries: (n, dim) vectors of the distinct queries, NumPy array (also memory-mapped) or torch tensor.
        documents: (m, dim) vectors of the distinct documents.
        codes: of each pair the row of its query and of its document, (pairs,) integers each.
        mining: which documents to take.
        same: int (n,), the document that is the same item as the query, -1 for none; it is no negative either.
        device: where products are taken; default: where the queries are.
        progress: show a bar; None where a person can see it.

    Returns:
        The negatives' rows among the documents, their scores, and how many candidates the filters took.

    Raises:
        ShapeError: vectors of different dimension, or codes that do not fit them.
        FeatureError: NaN in the vectors.

    Memory: beside vectors and result 16 bytes a pair and at most about 500 MiB, whatever the numbers of queries,
    documents and candidates; on a `device` of its own it also holds a block of documents at a time.
    """
    mining = mining or Mining()
    size, count = queries.shape[0], documents.shape[0]
    keys = _positive_keys(codes, size, count)
    if same is not None and (same.shape != (size,) or (size and int(same.max()) >= count)):
        raise ShapeError(
            f"same needs a row of the {count} documents for each of {size} queries, got shape {same.shape}"
        )
    positives = _lowest_positives(queries, documents, keys, count)
    taken = np.bincount(keys // count, minlength=size) + (0 if same is None else same >= 0)
    found = np.full((size, mining.num_negatives), -1, np.int64)
    scores = np.full(found.shape, np.nan, np.float32)
    removed: dict[str, int] = {}
    with progress_bar("mining negatives", size, unit="queries", show=progress) as bar:
        for number, (rows, k) in enumerate(_chunks(taken, mining.depth, count)):
            ranking = top_k(queries[rows], documents, k, device=device)
            allowed = ranking.indices >= 0
            allowed &= ~_contains(keys, rows[:, None] * count + ranking.indices)
            if same is not None:
                allowed &= ranking.indices != same[rows][:, None]
            allowed &= np.cumsum(allowed, axis=1) <= mining.depth
            _filter(allowed, ranking.scores, positives[rows][:, None], mining, removed)
            allowed &= np.cumsum(allowed, axis=1) > mining.range_min
            columns = _choose(allowed, mining, number)
            there = np.take_along_axis(allowed, columns, 1)
            found[rows, : columns.shape[1]] = np.where(there, np.take_along_axis(ranking.indices, columns, 1), -1)
            scores[rows, : columns.shape[1]] = np.where(there, np.take_along_axis(ranking.scores, columns, 1), np.nan)
            bar.advance(len(rows))
    return Negatives(found, scores, positives, removed)


def _positive_keys(codes: tuple[np.ndarray, np.ndarray], size: int, count: int) -> np.ndarray:
    """Every pairing that occurs, once, as query * documents + document, sorted."""
    if len(codes[0]) != len(codes[1]):
        raise ShapeError(f"a pair has two items, but there are {len(codes[0])} queries and {len(codes[1])} documents")
    for code, rows, name in ((codes[0], size, "queries"), (codes[1], count, "documents")):
        if len(code) and (code.min() < 0 or code.max() >= rows):
            raise ShapeError(f"pairs name rows {code.min()} to {code.max()} of {rows} {name}")
    return np.unique(codes[0].astype(np.int64) * count + codes[1])


def _lowest_positives(queries: Any, documents: Any, keys: np.ndarray, count: int) -> np.ndarray:
    """The lowest cosine of each query with its positives, float32 (queries,)."""
    lowest = np.full(queries.shape[0], np.inf, np.float32)
    for start in range(0, len(keys), _QUERIES):
        left, right = np.divmod(keys[start : start + _QUERIES], count)
        a, b = _unit(queries[left]), _unit(documents[right])
        np.minimum.at(lowest, left, (a * b).sum(1).numpy())
    return np.where(np.isinf(lowest), np.float32(np.nan), lowest)


def _unit(vectors: Any) -> torch.Tensor:
    unit: torch.Tensor = normalise(torch.as_tensor(vectors, dtype=torch.float32, device="cpu"))
    return unit


def _chunks(taken: np.ndarray, depth: int, count: int) -> Iterator[tuple[np.ndarray, int]]:
    """Queries with about equally many documents to leave out, and how many to look at so that `depth` are left."""
    bucket = np.ceil(np.log2(np.maximum(taken, 1))).astype(int)
    for one in np.unique(bucket):
        rows = np.flatnonzero(bucket == one)
        k = min(depth + (1 << int(one)), count)
        width = max(1, min(_QUERIES, _CELLS // k))
        for start in range(0, len(rows), width):
            yield rows[start : start + width], k


def _contains(ordered: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Which keys are in a sorted array."""
    if not len(ordered):
        return np.zeros(keys.shape, bool)
    found: np.ndarray = ordered[np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)] == keys
    return found


def _filter(
    allowed: np.ndarray, scores: np.ndarray, positives: np.ndarray, mining: Mining, removed: dict[str, int]
) -> None:
    """Take out of `allowed` (rows, k) what is too near, and count it by filter."""
    limits: dict[str, Any] = {}
    if mining.max_score is not None:
        limits["max_score"] = mining.max_score
    if mining.absolute_margin is not None:
        limits["absolute_margin"] = positives - mining.absolute_margin
    if mining.relative_margin is not None:
        limits["relative_margin"] = positives - np.abs(positives) * mining.relative_margin
    for name, limit in limits.items():
        near = allowed & (scores > limit)
        removed[name] = removed.get(name, 0) + int(near.sum())
        allowed &= ~near


def _choose(allowed: np.ndarray, mining: Mining, number: int) -> np.ndarray:
    """Columns of the candidates to take, (rows, at most num_negatives): nearest first, then those not allowed."""
    if mining.sampling == "random":
        chance = np.random.default_rng([mining.seed, number]).random(allowed.shape)
        drawn = np.argsort(np.where(allowed, chance, 2.0), axis=1)[:, : mining.num_negatives]
        mask = np.zeros_like(allowed)
        np.put_along_axis(mask, drawn, True, 1)
        allowed = allowed & mask
    return np.argsort(~allowed, axis=1, kind="stable")[:, : mining.num_negatives]
