"""Scores made comparable between classes: by a few labelled pictures, or by many without labels.

    platt    p_c = 1 / (1 + exp(-(a_c s + b_c)))     a_c, b_c of the largest likelihood on labelled pictures
    z        (s - mean_c) / deviation_c              over unlabelled pictures
    rank     share of the unlabelled pictures' scores of class c that lie below s, equal ones counted half

Platt's curve is `neighbours.platt`. A class that the labelled pictures show no positive or no negative of takes its
slope and place from all classes together, and is named. All three keep or, with a negative Platt slope, turn the order
of pictures within a class; what changes is the order of classes within a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit

from pairspace.errors import DataError, ShapeError
from pairspace.neighbours import platt
from pairspace.tagging.checks import check_labels

__all__ = ["Platt", "Ranks", "ZScores"]


@dataclass(frozen=True)
class Platt:
    """A logistic curve a class.

    Attributes:
        slope: float64 (classes,).
        offset: float64 (classes,).
        pooled: numbers of the classes whose curve is that of all classes together.
    """

    slope: np.ndarray
    offset: np.ndarray
    pooled: tuple[int, ...] = ()

    @classmethod
    def fit(cls, scores: np.ndarray, labels: np.ndarray, *, judged: np.ndarray | None = None) -> Platt:
        """Fit to labelled pictures.

        Args:
            scores: (n, classes).
            labels: bool (n, classes).
            judged: bool (n, classes), False where a label is not to be counted.

        Raises:
            ShapeError: shapes that differ, no row, or scores that are not finite.
            DataError: not one positive, or not one negative, of any class.
        """
        scores, truth, counted = check_labels(scores, labels, judged)
        if not (truth & counted).any() or not (~truth & counted).any():
            raise DataError("calibration needs at least one positive and one negative label")
        pooled = []
        curves = np.empty((2, scores.shape[1]))
        together = platt(scores[counted], truth[counted])
        for column in range(scores.shape[1]):
            x, y = scores[counted[:, column], column], truth[counted[:, column], column]
            if y.any() and not y.all():
                curves[:, column] = platt(x, y)
            else:
                curves[:, column] = together
                pooled.append(column)
        return cls(curves[0], curves[1], tuple(pooled))

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities float64 (n, classes) of scores (n, classes)."""
        _columns(scores, self.slope)
        return np.asarray(expit(np.asarray(scores, np.float64) * self.slope + self.offset))


@dataclass(frozen=True)
class ZScores:
    """Mean and deviation a class of unlabelled pictures' scores; a class without deviation is only centred."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def fit(cls, scores: np.ndarray) -> ZScores:
        """Of scores (n, classes). Raises ShapeError where there are none, or some are not finite."""
        scores = _table(scores)
        deviation = scores.std(0)
        return cls(scores.mean(0), np.where(deviation > 0, deviation, 1.0))

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """z-scores float64 (n, classes)."""
        _columns(scores, self.mean)
        return np.asarray((np.asarray(scores, np.float64) - self.mean) / self.deviation)


@dataclass(frozen=True)
class Ranks:
    """The unlabelled pictures' scores, sorted, a class."""

    columns: Sequence[np.ndarray] = field(repr=False)

    @classmethod
    def fit(cls, scores: np.ndarray) -> Ranks:
        """Of scores (n, classes). Raises ShapeError where there are none, or some are not finite."""
        return cls(tuple(np.sort(column) for column in _table(scores).T))

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Shares between 0 and 1, float64 (n, classes)."""
        _columns(scores, np.empty(len(self.columns)))
        given = np.asarray(scores, np.float64)
        found = [
            (np.searchsorted(known, column, "left") + np.searchsorted(known, column, "right")) / (2 * len(known))
            for known, column in zip(self.columns, given.T, strict=True)
        ]
        return np.stack(found, 1)


def _table(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or not scores.size or not np.isfinite(scores).all():
        raise ShapeError(f"calibration needs finite scores (pictures, classes), at least one row; got {scores.shape}")
    return scores


def _columns(scores: np.ndarray, known: np.ndarray) -> None:
    if np.ndim(scores) != 2 or np.shape(scores)[1] != len(known):
        raise ShapeError(f"calibrated for {len(known)} classes, and the scores are {np.shape(scores)}")
