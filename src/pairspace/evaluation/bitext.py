"""How well translations find each other: accuracy, xsim and mining, as bitext research measures them.

    accuracy   share of sentences whose nearest one of the other side is a translation of theirs: Tatoeba's measure
    R@k        share of those that have one among the nearest k
    xsim       share of sentences whose best by margin is no translation (LASER's error rate: ratio of the cosine to
               the mean over the 4 nearest of both)
    mining     some pairs lose one half, so that its other half should find nothing; of all pairs of sentences that are
               each other's best those above a threshold are taken, and F1 is that of the best threshold (BUCC's way)

A sentence may have several translations in the data, and equal texts are one sentence: each pairing that occurs counts
as right.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pairspace.data import Pairs
from pairspace.errors import DataError, PairspaceError
from pairspace.evaluation.significance import bootstrap_intervals
from pairspace.evaluation.table import pipe_table, short
from pairspace.neighbours import CORRECTIONS, Ranking, corrected_top_k, find_hubs, top_k

__all__ = ["BitextReport", "Found", "Mined", "evaluate_bitext", "mining_f1"]

_KS = (1, 5, 10)
_XSIM = 4  # neighbours of LASER's margin


@dataclass(frozen=True)
class Found:
    """One direction under one similarity.

    Attributes:
        direction: "de -> en".
        similarity: "cosine" or a correction for hubs.
        queries: how many sentences were asked with.
        recall: R@1 (the accuracy), R@5, R@10.
        low, high: of the accuracy, 95 % bootstrap interval.
    """

    direction: str
    similarity: str
    queries: int
    recall: tuple[float, ...]
    low: float
    high: float

    @property
    def accuracy(self) -> float:
        """R@1."""
        return self.recall[0]


@dataclass(frozen=True)
class Mined:
    """The best threshold and what it gives.

    Attributes:
        sides: "en - it".
        noise: share of the pairs that lost a half.
        f1, precision, recall: at the threshold.
        threshold: of the margin.
    """

    sides: str
    noise: float
    f1: float
    precision: float
    recall: float
    threshold: float


@dataclass(frozen=True)
class BitextReport:
    """What `evaluate_bitext` found; print it.

    Attributes:
        found: a line a direction and similarity.
        xsim: error rate a direction.
        mined: a line for two sides and a share of their pairs that lost a half.
        settings: what was measured, and how.
    """

    found: tuple[Found, ...]
    xsim: dict[str, float]
    mined: tuple[Mined, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)

    def accuracy(self, direction: str, similarity: str = "cosine") -> float:
        """The accuracy in a direction under a similarity."""
        return next(f.accuracy for f in self.found if (f.direction, f.similarity) == (direction, similarity))

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON values."""
        return {
            "settings": self.settings,
            "found": [
                {
                    "direction": one.direction,
                    "similarity": one.similarity,
                    "queries": one.queries,
                    **{f"R@{k}": value for k, value in zip(_KS, one.recall, strict=True)},
                    "interval": [one.low, one.high],
                }
                for one in self.found
            ],
            "xsim": self.xsim,
            "mining": [vars(one) for one in self.mined],
        }

    def to_json(self) -> str:
        """Everything, as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)

    def __str__(self) -> str:
        rows = [
            [
                one.direction,
                one.similarity,
                f"{one.queries:,}",
                short(one.accuracy),
                f"{short(one.low)} {short(one.high)}",
                *map(short, one.recall[1:]),
            ]
            for one in self.found
        ]
        head = ["direction", "similarity", "sentences", "accuracy", "95 %", *(f"R@{k}" for k in _KS[1:])]
        lines = [pipe_table(head, rows), "", "xsim error: " + ", ".join(f"{d} {e:.2%}" for d, e in self.xsim.items())]
        if self.mined:
            own = [
                [
                    one.sides,
                    f"{one.noise:.0%}",
                    *map(short, (one.f1, one.precision, one.recall)),
                    f"{one.threshold:.3f}",
                ]
                for one in self.mined
            ]
            head = ["sides", "without a partner", "mining F1", "precision", "recall", "threshold"]
            lines += ["", pipe_table(head, own)]
        return "\n".join([*lines, "", "Equal texts are one sentence; each pairing that occurs is right."])


def evaluate_bitext(
    space: Any,
    pairs: Pairs | Sequence[Pairs],
    *,
    left: str | None = None,
    right: str | None = None,
    similarities: Sequence[str] = ("cosine", "csls", "margin"),
    noise: Sequence[float] = (0.5,),
    resamples: int = 10_000,
    seed: int = 0,
    progress: bool | None = None,
) -> BitextReport:
    """Measure a space on translations, in both directions.

    Args:
        space: a `Space`, dense or sparse.
        pairs: translations of each other, a side a language; several data sets, of other languages each, are measured
            one by one.
        left: one of the sides; the query side by default.
        right: the other; the first of the others by default.
        similarities: "cosine", and corrections for hubs out of `CORRECTIONS`.
        noise: shares of the pairs that lose one half, for mining; () leaves it out.
        resamples: of the bootstrap.
        seed: of it, and of the noise.
        progress: show bars.

    Raises:
        DataError: no pairs, or a side that they or the space do not have.
        PairspaceError: an unknown similarity, or a share that is none.
    """
    for one in similarities:
        if one != "cosine" and one not in CORRECTIONS:
            raise PairspaceError(f"similarity must be cosine or one of {', '.join(CORRECTIONS)}, got {one!r}")
    if wrong := [share for share in noise if not 0 <= share < 1]:
        raise PairspaceError(f"noise is a share of the pairs, from 0 to below 1, got {wrong[0]:g}")
    how: dict[str, Any] = {"left": left, "right": right, "similarities": similarities, "noise": noise}
    how |= {"resamples": resamples, "seed": seed, "progress": progress}
    reports = [_measure(space, one, **how) for one in ([pairs] if isinstance(pairs, Pairs) else pairs)]
    if not reports:
        raise DataError("no pairs to evaluate")
    return reports[0] if len(reports) == 1 else _together(space, reports)


def _measure(
    space: Any,
    pairs: Pairs,
    *,
    left: str | None,
    right: str | None,
    similarities: Sequence[str],
    noise: Sequence[float],
    resamples: int,
    seed: int,
    progress: bool | None,
) -> BitextReport:
    """One data set."""
    left = left or (space.query_side if space.query_side in pairs.sides else pairs.query_side)
    right = right or next((side for side in pairs.sides if side != left), "")
    for side in (left, right):
        if side not in pairs.sides or side not in space.sides:
            raise DataError(
                f"no side {side!r}: the pairs have {', '.join(pairs.sides)}, the space {', '.join(space.sides)}"
            )
    if left == right:
        raise DataError(f"both sides are {left!r}: name two of {', '.join(pairs.sides)}")
    if not len(pairs):
        raise DataError(f"no pairs to evaluate in {pairs.source}")
    vectors, codes = {}, {}
    for side in (left, right):
        items, codes[side] = pairs.unique(side)
        vectors[side] = space.encode(items, side=side, progress=progress)
    found, xsim = [], {}
    for one, other in ((left, right), (right, left)):
        x, y = vectors[one], vectors[other]
        for similarity in similarities:
            hits = _hits(_ranking(x, y, similarity, max(_KS)), codes[one], codes[other])
            low, high = bootstrap_intervals(hits[:, :1], resamples=resamples, seed=seed)
            recall = tuple(float(value) for value in hits.mean(0))
            found.append(Found(f"{one} -> {other}", similarity, len(hits), recall, float(low[0]), float(high[0])))
        hubs = find_hubs(x, y, kind="margin", nearest=_XSIM)
        best = corrected_top_k(x, y, 1, kind="margin", hubs=hubs)
        xsim[f"{one} -> {other}"] = 1 - float(_hits(best, codes[one], codes[other])[:, 0].mean())
    rng = np.random.default_rng(seed)
    mined = tuple(
        mining_f1(
            vectors[left], vectors[right], (codes[left], codes[right]), noise=share, rng=rng, name=f"{left} - {right}"
        )
        for share in noise
    )
    settings = {"space": space.name, "fingerprint": space.fingerprint, "evaluated": pairs.source, "pairs": len(pairs)}
    return BitextReport(tuple(found), xsim, mined, settings)


def _together(space: Any, reports: Sequence[BitextReport]) -> BitextReport:
    """Several data sets in one report."""
    return BitextReport(
        tuple(one for report in reports for one in report.found),
        {direction: error for report in reports for direction, error in report.xsim.items()},
        tuple(one for report in reports for one in report.mined),
        {
            "space": space.name,
            "fingerprint": space.fingerprint,
            "evaluated": ", ".join(dict.fromkeys(report.settings["evaluated"] for report in reports)),
            "pairs": sum(report.settings["pairs"] for report in reports),
        },
    )


def _ranking(x: Any, y: Any, similarity: str, k: int) -> Ranking:
    return top_k(x, y, k) if similarity == "cosine" else corrected_top_k(x, y, k, kind=similarity)


def _hits(ranking: Ranking, asked: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Whether each query has a right answer among its first 1, 5 and 10, float64 (queries, 3 or fewer)."""
    width = int(right.max()) + 1
    known = np.unique(asked * width + right)
    keys = np.arange(len(ranking.indices))[:, None] * width + ranking.indices
    good = np.isin(keys, known) & (ranking.indices >= 0)
    return np.stack([good[:, :k].any(1) for k in _KS if k <= good.shape[1] or k == 1], 1).astype(np.float64)


def mining_f1(
    x: Any,
    y: Any,
    codes: tuple[np.ndarray, np.ndarray],
    *,
    noise: float,
    rng: np.random.Generator,
    kind: str = "margin",
    name: str = "",
) -> Mined:
    """F1 of mining at its best threshold, after a share of the pairs have lost one half.

    Args:
        x: vectors of the left side's sentences.
        y: of the right side's.
        codes: for each pair which left and which right sentence it is of.
        noise: share of the pairs that lose a half, the left and the right one equally often.
        rng: chooses them.
        kind: of correction.
        name: of the two sides, for the report.

    Raises:
        PairspaceError: no pair is left whole.
    """
    left, right = codes
    count = len(left)
    lost = rng.permutation(count)[: round(noise * count)]
    gone_left, gone_right = lost[: len(lost) // 2], lost[len(lost) // 2 :]
    keep_x = np.setdiff1d(np.arange(x.shape[0]), left[gone_left])
    keep_y = np.setdiff1d(np.arange(y.shape[0]), right[gone_right])
    gold = np.isin(left, keep_x) & np.isin(right, keep_y)
    if not gold.any():
        raise PairspaceError(f"noise of {noise:g} leaves no pair whole")
    some_x, some_y = x[keep_x], y[keep_y]
    there = corrected_top_k(some_x, some_y, 1, kind=kind)
    back = corrected_top_k(some_y, some_x, 1, kind=kind)
    best = there.indices[:, 0]
    mutual = (best >= 0) & (back.indices[best, 0] == np.arange(len(best)))
    width = y.shape[0]
    wanted = np.unique(left[gold] * width + right[gold])
    right_ones = np.isin(keep_x[mutual] * width + keep_y[best[mutual]], wanted)
    if not mutual.any():  # weights of terms of which no two texts share one
        return Mined(name, noise, 0.0, 0.0, 0.0, 0.0)
    scores = there.scores[mutual, 0]
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right_ones[order])
    precision, recall = hits / np.arange(1, len(hits) + 1), hits / len(wanted)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    place = int(np.argmax(f1))
    return Mined(
        name, noise, float(f1[place]), float(precision[place]), float(recall[place]), float(scores[order][place])
    )
