"""Texts in, pairs of translations out: mining through a space, and scores of pairs that are there already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import sparse

from pairspace.bitext.calibration import Calibration, calibrate, check_sample, threshold_for
from pairspace.bitext.filters import FILTERS, check_filters, filter_pairs
from pairspace.bitext.mining import Candidates, check_choices, mine_vectors
from pairspace.errors import DataError, PairspaceError
from pairspace.neighbours import correct, neighbour_means, normalise, top_k

__all__ = ["Judged", "MinedPairs", "language_sides", "mine", "pair_scores"]

Judged = tuple[Sequence[str], Sequence[str], Sequence[bool]]  # left texts, right texts, whether they are translations


@dataclass(frozen=True)
class MinedPairs:
    """Pairs of texts, the best first.

    Attributes:
        left, right: the texts.
        lines: int64 (pairs, 2), where each stands first in its pile, from 0.
        score, cosine: float32 (pairs,).
        probability: float64 (pairs,), where a judged sample was given.
        threshold: the least score.
        removed: how many pairs each filter took away.
    """

    left: list[str]
    right: list[str]
    lines: np.ndarray
    score: np.ndarray
    cosine: np.ndarray
    probability: np.ndarray | None = None
    threshold: float | None = None
    removed: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.left)


def language_sides(space: Any, left: str | None, right: str | None) -> tuple[str, str]:
    """The sides meant: by default the query side, and the first of the others.

    Raises:
        PairspaceError: the space has no such side, or both are the same.
    """
    left = left or (space.query_side if right != space.query_side else next(s for s in space.sides if s != right))
    right = right or next(side for side in space.sides if side != left)
    for side in (left, right):
        if side not in space.sides:
            raise PairspaceError(f"the space has no side {side!r}: it has {', '.join(space.sides)}")
    if left == right:
        raise PairspaceError(f"both sides are {left!r}: name two of {', '.join(space.sides)}")
    return left, right


def mine(
    space: Any,
    left: Sequence[str],
    right: Sequence[str],
    *,
    left_side: str | None = None,
    right_side: str | None = None,
    k: int = 4,
    score: str = "margin",
    retrieval: str = "max",
    every: bool = False,
    threshold: float | None = None,
    judged: Judged | None = None,
    precision: float | None = None,
    filters: Iterable[str] = FILTERS,
    state: str | Path | None = None,
    progress: bool | None = None,
) -> MinedPairs:
    """Find the translations among two piles of texts.

    Args:
        space: a `Space` with a side a language, dense or sparse.
        left: texts of one language; equal ones are one.
        right: texts of the other.
        left_side: the side of the left texts; by default the query side.
        right_side: the side of the right ones; by default the first other one.
        k: neighbours that means are taken over and candidates come from.
        score: see `mine_vectors`.
        retrieval: likewise.
        every: likewise.
        state: a file to keep the work in, so that a run that was killed goes on; to be removed once the result is safe.
        threshold: the least score.
        judged: a sample of judged pairs: gives each pair found a probability, and with
        precision: a threshold above which so large a share of the sample is right.
        filters: which of `FILTERS` to apply, in this order.
        progress: show bars.

    Raises:
        PairspaceError: settings that do not go together, see also `mine_vectors` and `filter_pairs`.
        DataError: something that is no text.
    """
    if precision is not None and (judged is None or threshold is not None):
        raise PairspaceError("precision chooses the threshold on a judged sample: give the sample, and no threshold")
    how: dict[str, Any] = {"k": k, "score": score, "retrieval": retrieval, "every": every}
    check_choices(**how, threshold=threshold)
    filters = check_filters(filters)
    if judged is not None:
        if not len(judged[0]) == len(judged[1]) == len(judged[2]):
            raise PairspaceError("each judged pair has two texts and a judgement")
        check_sample(np.asarray(judged[2], bool))
    sides = language_sides(space, left_side, right_side)
    piles = [_pile(name, texts) for name, texts in (("left", left), ("right", right))]
    if not all(map(len, piles)):
        raise PairspaceError("there is nothing to mine: one of the piles has no texts")
    distinct = [pile.unique() for pile in piles]
    x, y = (space.encode(texts, side=side, progress=progress) for texts, side in zip(distinct, sides, strict=True))
    calibration: Calibration | None = None
    if judged is not None:
        scores = _judged_scores(space, judged, sides, (x, y), k, score, progress)
        calibration = calibrate(scores, np.asarray(judged[2], bool))
        if precision is not None:
            threshold = threshold_for(precision, scores, np.asarray(judged[2], bool))
    found = mine_vectors(x, y, threshold=threshold, state=state, progress=progress, **how)
    texts = [
        texts.take(pa.array(rows)).to_pylist() for texts, rows in zip(distinct, (found.left, found.right), strict=True)
    ]
    kept, removed = filter_pairs(texts[0], texts[1], filters)
    found = found.select(kept)
    stays = np.flatnonzero(kept).tolist()
    return MinedPairs(
        [texts[0][row] for row in stays],
        [texts[1][row] for row in stays],
        lines=_lines(piles, distinct, found),
        score=found.score,
        cosine=found.cosine,
        probability=None if calibration is None else calibration.probability(found.score),
        threshold=threshold,
        removed=removed,
    )


def _pile(name: str, texts: Sequence[str]) -> pa.Array:
    try:
        pile = pa.array(texts, pa.large_string())
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError) as error:
        raise DataError(f"the {name} texts are not all texts: {error}") from error
    if pile.null_count:
        raise DataError(f"{name} text {pile.is_null().index(True).as_py() + 1}: None, and a text is needed")
    return pile


def _lines(piles: Sequence[pa.Array], distinct: Sequence[pa.Array], found: Candidates) -> np.ndarray:
    """Where the texts of the pairs stand first."""
    firsts = []
    for pile, texts, rows in zip(piles, distinct, (found.left, found.right), strict=True):
        codes = pile.dictionary_encode().indices.to_numpy()
        first = np.empty(len(texts), np.int64)
        first[codes[::-1]] = np.arange(len(codes))[::-1]
        firsts.append(first[rows])
    return np.stack(firsts, 1)


def _judged_scores(
    space: Any, judged: Judged, sides: tuple[str, str], piles: tuple[Any, Any], k: int, score: str, progress: Any
) -> np.ndarray:
    """Scores of judged pairs among the neighbours they would have in the piles."""
    a, b = (
        space.encode(list(texts), side=side, progress=progress) for texts, side in zip(judged[:2], sides, strict=True)
    )
    means = [neighbour_means(top_k(own, pile, k)) for own, pile in ((a, piles[1]), (b, piles[0]))]
    cosine = row_products(a, b)
    return np.asarray(cosine if score == "cosine" else correct(cosine, means[0], means[1], score))


def row_products(a: Any, b: Any) -> np.ndarray:
    """The cosine of each row of a with the same row of b, float32."""
    a, b = normalise(a), normalise(b)
    if sparse.issparse(a):
        return np.asarray(a.multiply(b).sum(1), np.float32).ravel()
    return np.asarray((a * b).sum(1), np.float32)


def pair_scores(
    space: Any,
    left: Sequence[str],
    right: Sequence[str],
    *,
    left_side: str | None = None,
    right_side: str | None = None,
    k: int = 4,
    score: str = "margin",
    progress: bool | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of pairs that are there already, each among the others.

    Args:
        space: a `Space` with a side a language.
        left: texts.
        right: as many of the other language, row by row.
        left_side: see `mine`.
        right_side: likewise.
        k: neighbours that means are taken over.
        score: see `mine_vectors`.
        progress: show bars.

    Returns:
        For each pair its score, its cosine, and how much nearer, in cosine, the best other text is than its own one:
        above zero where another one is nearer. float32 (n,) each.

    Raises:
        PairspaceError: sides of unequal length.
    """
    if len(left) != len(right):
        raise PairspaceError(f"pairs have two texts each, got {len(left)} left ones and {len(right)} right ones")
    if not len(left):
        return tuple(np.empty(0, np.float32) for _ in range(3))  # type: ignore[return-value]
    sides = language_sides(space, left_side, right_side)
    piles = [_pile(name, texts).dictionary_encode() for name, texts in (("left", left), ("right", right))]
    x, y = (
        space.encode(pile.dictionary, side=side, progress=progress) for pile, side in zip(piles, sides, strict=True)
    )
    own, other = (pile.indices.to_numpy() for pile in piles)
    there, back = top_k(x, y, k + 1), top_k(y, x, k + 1)
    cosine = row_products(x[own], y[other])
    means = [neighbour_means(type(one)(one.scores[:, :k], one.indices[:, :k])) for one in (there, back)]
    found = cosine if score == "cosine" else correct(cosine, means[0][own], means[1][other], score)
    nearer = np.maximum(_best_other(there, own, other, cosine), _best_other(back, other, own, cosine))
    return np.asarray(found, np.float32), cosine, np.asarray(nearer, np.float32)


def _best_other(ranking: Any, rows: np.ndarray, own: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """How much nearer than its own partner the best other text is to each row."""
    others = np.where(ranking.indices[rows] == own[:, None], -np.inf, ranking.scores[rows])
    best = others.max(1)
    return np.where(np.isfinite(best), best - cosine, -cosine)
