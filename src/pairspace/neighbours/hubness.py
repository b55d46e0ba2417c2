"""Similarities corrected for hubs: items that lie near everything are right for less than they seem.

With r(x) the mean cosine of x to its k nearest on the other side, and r(y) likewise:

    csls       2 cos(x, y) - r(x) - r(y)                                (Conneau et al., ICLR 2018; k = 10)
    margin     cos(x, y) / ((r(x) + r(y)) / 2)                          (Artetxe and Schwenk, ACL 2019: ratio; k = 4)
    distance   cos(x, y) - (r(x) + r(y)) / 2                            (the same paper)
    softmax    cos(x, y) - log(sum over x' of exp(beta cos(x', y))) / beta   (inverted softmax, Smith et al., ICLR 2017)

The last is the logarithm of the inverted softmax exp(beta cos(x, y)) / sum over x' of exp(beta cos(x', y)), divided by
beta: it orders alike, and does not overflow. For one x the first three order the ys by cosine and r(y) alone, so the r
of the documents and the query's own nearest are all that a search needs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse

from pairspace.errors import PairspaceError, ShapeError
from pairspace.neighbours.both_ways import BothWays
from pairspace.neighbours.similarity import check_shapes, normalise
from pairspace.neighbours.topk import Ranking, dense_rows, top_k

__all__ = [
    "BETA",
    "CORRECTIONS",
    "Hubs",
    "check_correction",
    "correct",
    "corrected_top_k",
    "find_hubs",
    "neighbour_means",
]

CORRECTIONS = ("csls", "margin", "distance", "softmax")
BETA = 30.0
_NEAREST = 10
_LEAST = 1e-3  # mean cosine that a margin divides by at least: where neighbours are further, there is no margin
_CHUNK = 2048


class Hubs(NamedTuple):
    """How near everything each item is: of the left side and of the right, float32 (n,) and (m,)."""

    left: np.ndarray
    right: np.ndarray


def check_correction(kind: str) -> None:
    """Raise PairspaceError unless `kind` is a known correction."""
    if kind not in CORRECTIONS:
        raise PairspaceError(f"the correction for hubs is one of {', '.join(CORRECTIONS)}, got {kind!r}")


def find_hubs(
    x: Any, y: Any, *, kind: str = "csls", nearest: int = _NEAREST, beta: float = BETA, device: Any = None
) -> Hubs:
    """The r of both sides; for "softmax" of the right side the log-sum, and zeros for the left.

    Args:
        x: (n, dim) vectors, an array or CSR.
        y: (m, dim), likewise.
        kind: one of `CORRECTIONS`.
        nearest: k, how many neighbours; fewer where there are fewer.
        beta: of "softmax".
        device: where dense products are taken.

    Raises:
        PairspaceError: an unknown kind, or only one side is CSR.
        ShapeError: dimensions differ.
    """
    check_correction(kind)
    check_shapes(x, y, ("the left", "the right"))
    if sparse.issparse(x) != sparse.issparse(y):
        raise PairspaceError("the two sides must both be dense or both be CSR matrices")
    if kind == "softmax":
        return Hubs(np.zeros(x.shape[0], np.float32), _log_sums(x, y, beta))
    return Hubs(*(neighbour_means(one) for one in _rankings(x, y, nearest, device)))


def _rankings(x: Any, y: Any, nearest: int, device: Any) -> tuple[Ranking, Ranking]:
    if sparse.issparse(x):
        return top_k(x, y, nearest), top_k(y, x, nearest)
    work = BothWays(x, y, nearest, device=device)
    while work.advance():
        pass
    return work.result()


def neighbour_means(ranking: Ranking) -> np.ndarray:
    """The mean score of each row's neighbours, float32 (n,).

    Where a sparse item has fewer, since others share nothing with it, the missing ones count as zero.
    """
    found = ranking.indices >= 0
    width = max(1, int(found.sum(1).max(initial=0)))
    return np.asarray(np.where(found, ranking.scores, 0).sum(1) / width, np.float32)


def _log_sums(x: Any, y: Any, beta: float) -> np.ndarray:
    if sparse.issparse(x):
        x, y = normalise(x), normalise(y)
    total = torch.full((y.shape[0],), -torch.inf)
    for start in range(0, x.shape[0], _CHUNK):
        rows = slice(start, start + _CHUNK)
        for first in range(0, y.shape[0], _CHUNK):
            columns = slice(first, first + _CHUNK)
            if sparse.issparse(x):
                scores = torch.from_numpy((x[rows] @ y[columns].T).toarray())
            else:
                cpu = torch.device("cpu")
                scores = dense_rows(x, rows, True, cpu) @ dense_rows(y, columns, True, cpu).T
            total[columns] = torch.logaddexp(total[columns], (beta * scores).logsumexp(0))
    return np.asarray((total / beta).numpy(), np.float32)


def correct(scores: Any, left: Any, right: Any, kind: str) -> Any:
    """Cosines corrected; all three NumPy arrays or all torch tensors, of shapes that broadcast.

    Args:
        scores: cosines.
        left: r of the left items.
        right: r of the right ones.
        kind: one of `CORRECTIONS`.
    """
    if kind == "csls":
        return 2 * scores - left - right
    if kind == "softmax":
        return scores - right
    middle = (left + right) / 2
    return scores - middle if kind == "distance" else scores / middle.clip(_LEAST)


def corrected_top_k(
    queries: Any, documents: Any, k: int, *, kind: str = "csls", hubs: Hubs | None = None, device: Any = None
) -> Ranking:
    """The k best documents of each query by corrected similarity; exact, in blocks.

    Args:
        queries: (n, dim) vectors, an array or CSR.
        documents: (m, dim), likewise.
        k: how many.
        kind: one of `CORRECTIONS`.
        hubs: r of queries and documents; by default what `find_hubs` finds in these very sets.
        device: where dense products are taken.

    Raises:
        PairspaceError: an unknown kind.
        ShapeError: dimensions differ, or `hubs` are of other sets.
    """
    check_correction(kind)
    hubs = find_hubs(queries, documents, kind=kind, device=device) if hubs is None else hubs
    left, right = (torch.from_numpy(np.asarray(one, np.float32)) for one in hubs)
    for name, own, wanted in (("queries", left, queries.shape[0]), ("documents", right, documents.shape[0])):
        if own.shape != (wanted,):
            raise ShapeError(f"hubs of {wanted} {name} have the shape {tuple(own.shape)}, and ({wanted},) is needed")

    def adjust(scores: torch.Tensor, rows: slice, columns: slice) -> torch.Tensor:
        here = scores.device
        found: torch.Tensor = correct(scores, left[rows, None].to(here), right[None, columns].to(here), kind)
        return found

    return top_k(queries, documents, k, adjust=adjust, device=device)
