"""Thresholds that make F1 the largest: one a class, or one for all.

    F1 = 2 TP / (2 TP + FP + FN)                     a label is given where score >= threshold
    macro   the mean of the classes' F1              micro   F1 of the counts of all classes together

Every threshold that could matter lies between two neighbouring scores, so one sorted pass finds the best. The
threshold stands halfway to the next lower score, which serves unseen pictures better than a score itself. The best
threshold of the very labels that it is then measured on is optimistic: choose on one part, measure on another.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from pairspace.errors import PairspaceError
from pairspace.tagging.checks import check_labels

__all__ = ["best_threshold", "best_thresholds"]


def best_thresholds(scores: np.ndarray, labels: np.ndarray, *, judged: np.ndarray | None = None) -> np.ndarray:
    """The threshold of the largest F1 for each class by itself.

    Args:
        scores: (n, classes), higher is more certain.
        labels: bool (n, classes).
        judged: bool (n, classes), False where a label is not to be counted; all are by default.

    Returns:
        float64 (classes,); infinite, so that it is never given, for a class without a positive.

    Raises:
        ShapeError: shapes that differ, no row, or scores that are not finite.
    """
    scores, truth, counted = check_labels(scores, labels, judged)
    thresholds = np.full(scores.shape[1], np.inf)
    for column in range(scores.shape[1]):
        used = counted[:, column]
        if not truth[used, column].any():
            continue
        thresholds[column] = _best(*_curve(scores[used, column], truth[used, column]))
    return thresholds


def best_threshold(
    scores: np.ndarray,
    labels: np.ndarray,
    *,
    average: Literal["micro", "macro"] = "micro",
    judged: np.ndarray | None = None,
) -> float:
    """One threshold for all classes, of the largest micro or macro F1.

    Classes without a positive have no part in macro.

    Args:
        scores: as `best_thresholds` takes them.
        labels: likewise.
        average: "micro" or "macro".
        judged: likewise.

    Returns:
        The threshold; infinite where there is no positive at all.

    Raises:
        ShapeError: as `best_thresholds`.
        PairspaceError: an unknown average.
    """
    if average not in ("micro", "macro"):
        raise PairspaceError(f"average must be micro or macro, got {average!r}")
    scores, truth, counted = check_labels(scores, labels, judged)
    if not (truth & counted).any():
        return float("inf")
    if average == "micro":
        return _best(*_curve(scores[counted], truth[counted]))
    cells, steps = [], []
    for column in range(scores.shape[1]):
        used = counted[:, column]
        if truth[used, column].any():
            ordered, f1 = _curve(scores[used, column], truth[used, column])
            cells.append(ordered)
            steps.append(np.diff(f1, prepend=0.0))
    every, change = np.concatenate(cells), np.concatenate(steps)
    order = np.argsort(-every, kind="stable")
    return _best(every[order], np.cumsum(change[order]))


def _curve(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores from the highest down, and F1 of the labels given down to each."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    return scores[order], 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1])


def _best(ordered: np.ndarray, values: np.ndarray) -> float:
    """The threshold of the best value among those where a run of equal scores ends: it takes no score below."""
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    place = ends[np.argmax(np.round(values[ends], 12))]
    if place + 1 == len(ordered):
        return float(ordered[place])
    middle = (ordered[place] + ordered[place + 1]) / 2
    return float(middle if middle > ordered[place + 1] else ordered[place])
