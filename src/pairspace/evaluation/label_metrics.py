"""Measures of many labels a picture, for any weights of the pictures: so that resampling costs sums, not sorting.

    AP         sum over positives i of P_i / positives,  P_i = precision of all scores >= s_i          (area)
    AP11       mean over r = 0, .1, ..., 1 of the largest precision at a recall >= r                   (VOC 2007)
    mAP        mean of AP over the classes that have a positive
    F1         2 TP / (2 TP + FP + FN); macro the mean over classes, micro of the counts together
    coverage   how far down a picture's ranking its last label lies, counted from 1 (0 without labels)
    ranking    share of a picture's (label, no label) pairs in the wrong order, equal scores count as wrong
    ECE        sum over 15 equal bins of [0, 1] of share_b |mean score_b - share of positives_b|, over all cells

Equal scores of a class are one step of its curve. A cell that is not judged (VOC's difficult objects) has weight 0:
it is left out of its class's ranking, its picture's ranking, all counts and bins. Weights 1 give scikit-learn's
values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pairspace.errors import DataError
from pairspace.tagging import best_threshold, best_thresholds

__all__ = ["LABEL_METRICS", "LabelMetrics"]

LABEL_METRICS = (
    *("mAP", "mAP11", "F1 micro", "F1 macro", "F1 micro per class", "F1 macro per class"),
    *("coverage", "ranking loss", "ECE"),
)
_BINS = 15
_RECALLS = np.arange(11) / 10


class LabelMetrics:
    """One system's scores, sorted once and ready to be measured under any weights.

    Args:
        scores: float64 (n, classes).
        truth: bool (n, classes).
        counted: bool (n, classes), False where a label is not judged.
        thresholds: (classes,) to measure F1 at; by default those that are best on these very labels.

    Raises:
        DataError: no class has a positive.
    """

    def __init__(
        self, scores: np.ndarray, truth: np.ndarray, counted: np.ndarray, thresholds: np.ndarray | None = None
    ) -> None:
        self.used = np.flatnonzero((truth & counted).any(0))  # classes with a positive
        if not len(self.used):
            raise DataError("no class has a positive label: there is nothing to measure")
        self.scores, self.truth, self.counted = (one[:, self.used] for one in (scores, truth, counted))
        self.probabilities = bool((self.scores >= 0).all() and (self.scores <= 1).all())
        self.curves = [_Curve(*columns) for columns in zip(self.scores.T, self.truth.T, self.counted.T, strict=True)]
        if thresholds is None:
            own = best_thresholds(self.scores, self.truth, judged=self.counted)
            single = [
                best_threshold(self.scores, self.truth, average=average, judged=self.counted)
                for average in ("micro", "macro")
            ]
        else:
            own, single = thresholds[self.used], [np.nan, np.nan]
        self.thresholds, self.single = own, single
        self.coverage, self.ranking = _rankings(self.scores, self.truth, self.counted)
        self._given = {
            name: self._cells(limit)
            for name, limit in (("micro", single[0]), ("macro", single[1]), ("own", own))
            if np.isfinite(limit).any()
        }
        self._bins = np.minimum((self.scores * _BINS).astype(int), _BINS - 1) if self.probabilities else None

    def per_class(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """AP and AP11 of the classes that have a positive, (resamples, classes) each, NaN where none was drawn.

        Args:
            weights: of the pictures, (resamples, n).
        """
        both = [curve.average_precision(weights) for curve in self.curves]
        return np.stack([one[0] for one in both], 1), np.stack([one[1] for one in both], 1)

    def values(self, weights: np.ndarray) -> np.ndarray:
        """All of `LABEL_METRICS`, float64 (resamples, metrics); NaN for what cannot be said."""
        areas, elevens = self.per_class(weights)
        total = weights.sum(1)
        columns = {
            "mAP": _mean_of_known(areas),
            "mAP11": _mean_of_known(elevens),
            "coverage": weights @ self.coverage / total,
            "ranking loss": weights @ self.ranking / total,
        }
        if "micro" in self._given:
            columns["F1 micro"] = self._f1("micro", weights)[0]
        if "macro" in self._given:
            columns["F1 macro"] = self._f1("macro", weights)[1]
        columns["F1 micro per class"], columns["F1 macro per class"] = self._f1("own", weights)
        if self._bins is not None:
            columns["ECE"] = self._calibration_error(weights)
        nothing = np.full(len(weights), np.nan)
        return np.stack([columns.get(name, nothing) for name in LABEL_METRICS], 1)

    def _cells(self, limit: float | np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What is given and right, given, and right, float64 (n, classes) each, of the judged cells."""
        given = (self.scores >= limit) & self.counted
        right = self.truth & self.counted
        return tuple(one.astype(np.float64) for one in (given & right, given, right))  # type: ignore[return-value]

    def _f1(self, name: str, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        hits, given, right = (weights @ cells for cells in self._given[name])
        f1 = 2 * hits / np.maximum(given + right, 1e-300)
        micro = 2 * hits.sum(1) / np.maximum((given + right).sum(1), 1e-300)
        return micro, _mean_of_known(np.where(right > 0, f1, np.nan))

    def _calibration_error(self, weights: np.ndarray) -> np.ndarray:
        assert self._bins is not None
        gap = np.zeros((len(weights), _BINS))
        cells = np.zeros(len(weights))
        for place in range(_BINS):
            here = ((self._bins == place) & self.counted).astype(np.float64)
            gap[:, place] = np.abs(weights @ (here * (self.scores - self.truth)).sum(1))
            cells += weights @ here.sum(1)
        return np.asarray(gap.sum(1) / np.maximum(cells, 1e-300))


class _Curve:
    """The ranking of one class."""

    def __init__(self, scores: np.ndarray, truth: np.ndarray, counted: np.ndarray) -> None:
        rows = np.flatnonzero(counted)
        self.order = rows[np.argsort(-scores[rows], kind="stable")]
        ordered = scores[self.order]
        self.ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        self.truth = truth[self.order].astype(np.float64)

    def average_precision(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """AP and AP11, (resamples,) each; NaN where no positive was drawn."""
        drawn = weights[:, self.order]
        hits = np.cumsum(drawn * self.truth, 1)[:, self.ends]
        taken = np.cumsum(drawn, 1)[:, self.ends]
        precision = hits / np.maximum(taken, 1e-300)
        positives = hits[:, -1]
        some = np.maximum(positives, 1e-300)
        area = (np.diff(hits, axis=1, prepend=0.0) * precision).sum(1) / some
        best = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
        eleven = np.zeros(len(weights))
        for recall in _RECALLS:
            place = (hits < recall * some[:, None] * (1 - 1e-12)).sum(1)
            eleven += best[np.arange(len(weights)), np.minimum(place, hits.shape[1] - 1)] / len(_RECALLS)
        return tuple(np.where(positives > 0, one, np.nan) for one in (area, eleven))  # type: ignore[return-value]


def _rankings(scores: np.ndarray, truth: np.ndarray, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coverage and ranking loss of each picture, float64 (n,) each."""
    yes, no = truth & counted, ~truth & counted
    last = np.where(yes, scores, np.inf).min(1)
    coverage = ((scores >= last[:, None]) & counted).sum(1).astype(np.float64)
    wrong = np.zeros(len(scores))
    for column in range(scores.shape[1]):
        above = (no & (scores >= scores[:, column, None])).sum(1)
        wrong += np.where(yes[:, column], above, 0)
    pairs = yes.sum(1) * no.sum(1)
    return np.where(yes.any(1), coverage, 0.0), wrong / np.maximum(pairs, 1)


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values)
    count = known.sum(1)
    mean = np.where(known, values, 0.0).sum(1) / np.maximum(count, 1)
    return np.where(count > 0, mean, np.nan)


def class_names(classes: Sequence[str], used: np.ndarray) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the classes measured, and of those left out."""
    kept = set(used.tolist())
    return tuple(classes[i] for i in used), tuple(name for i, name in enumerate(classes) if i not in kept)
