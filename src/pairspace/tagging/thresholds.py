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

from pairspace.errors import PairspaceError, ShapeError

__all__ = ["best_threshold", "best_thresholds", "check_labels"]


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
        ordered, hits = _sorted(scores[used, column], truth[used, column])
        f1 = 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1])
        thresholds[column] = _below(ordered, _best_end(ordered, f1))
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
        ordered, hits = _sorted(scores[counted], truth[counted])
        value = 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1])
        return float(_below(ordered, _best_end(ordered, value)))
    cells, steps = [], []
    for column in range(scores.shape[1]):
        used = counted[:, column]
        if truth[used, column].any():
            ordered, hits = _sorted(scores[used, column], truth[used, column])
            f1 = 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1])
            cells.append(ordered)
            steps.append(np.diff(f1, prepend=0.0))
    every, change = np.concatenate(cells), np.concatenate(steps)
    order = np.argsort(-every, kind="stable")
    ordered, value = every[order], np.cumsum(change[order])
    return float(_below(ordered, _best_end(ordered, value)))


def check_labels(
    scores: np.ndarray, labels: np.ndarray, judged: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores as float64, labels and what is judged as bool, all (n, classes).

    Raises:
        ShapeError: shapes that differ, no row, labels other than 0 and 1, or scores that are not finite.
    """
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels)
    counted = np.ones(labels.shape, bool) if judged is None else np.asarray(judged).astype(bool)
    if scores.ndim != 2 or not scores.size or not scores.shape == labels.shape == counted.shape:
        raise ShapeError(
            "scores, labels and judged must be of one shape (pictures, classes) and not empty, got "
            f"{scores.shape}, {labels.shape}, {counted.shape}"
        )
    if labels.dtype != bool and not np.isin(labels, (0, 1)).all():
        raise ShapeError("labels must be 0 or 1 (what is not judged goes into `judged`)")
    if not np.isfinite(scores).all():
        row, column = np.argwhere(~np.isfinite(scores))[0]
        raise ShapeError(f"the score in row {row}, class {column} is {scores[row, column]}, not a finite number")
    return scores, labels.astype(bool), counted


def _sorted(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-scores, kind="stable")
    return scores[order], np.cumsum(truth[order])


def _best_end(ordered: np.ndarray, values: np.ndarray) -> int:
    """The place of the best value among those where a run of equal scores ends."""
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    return int(ends[np.argmax(np.round(values[ends], 12))])


def _below(ordered: np.ndarray, place: int) -> float:
    """A threshold that takes the scores down to `place` and no further."""
    if place + 1 == len(ordered):
        return float(ordered[place])
    middle = (ordered[place] + ordered[place + 1]) / 2
    return float(middle if middle > ordered[place + 1] else ordered[place])
