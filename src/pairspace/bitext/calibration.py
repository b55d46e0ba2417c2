"""What a score is worth: from a small sample of judged pairs to a threshold or a probability.

threshold     the lowest score above which at least the wanted share of the sample's pairs are right
probability   1 / (1 + exp(-(a s + b))), with a and b of greatest likelihood on the sample (see `neighbours.platt`)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pairspace.errors import PairspaceError
from pairspace.neighbours import platt

__all__ = ["Calibration", "calibrate", "check_sample", "threshold_for"]


@dataclass(frozen=True)
class Calibration:
    """A score's probability of being right: slope a and intercept b."""

    slope: float
    intercept: float

    def probability(self, scores: np.ndarray) -> np.ndarray:
        """The probability of each score, float64."""
        return np.asarray(expit(self.slope * np.asarray(scores, float) + self.intercept))


def calibrate(scores: np.ndarray, right: np.ndarray) -> Calibration:
    """Fit a calibration.

    Args:
        scores: float (n,), of judged pairs.
        right: bool (n,), whether each is right.

    Raises:
        PairspaceError: no right pair, or no wrong one.
    """
    scores, right = _checked(scores, right)
    return Calibration(*platt(scores, right))


def threshold_for(precision: float, scores: np.ndarray, right: np.ndarray) -> float:
    """The lowest score from which on the wanted share of the sample is right.

    Args:
        precision: the share, in (0, 1].
        scores: float (n,), of judged pairs.
        right: bool (n,).

    Raises:
        PairspaceError: no threshold reaches it, or the sample has no right or no wrong pair.
    """
    if not 0 < precision <= 1:
        raise PairspaceError(f"precision must be above 0 and at most 1, got {precision}")
    scores, right = _checked(scores, right)
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    last = np.append(np.diff(scores[order]) < 0, True)  # equal scores are taken together
    shares = hits / np.arange(1, len(hits) + 1)
    good = np.flatnonzero(last & (shares >= precision))
    if not len(good):
        raise PairspaceError(
            f"no threshold has a precision of {precision:g} on the sample: the best has {shares[last].max():.3f}"
        )
    return float(scores[order][good[-1]])


def check_sample(right: np.ndarray) -> None:
    """Raise PairspaceError unless a sample, bool (n,), has right pairs and wrong ones."""
    if not right.any() or right.all():
        what = "no right pair" if not right.any() else "no wrong pair"
        raise PairspaceError(f"the judged sample of {len(right)} pairs has {what}: both kinds are needed")


def _checked(scores: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, right = np.asarray(scores, float), np.asarray(right, bool)
    if scores.shape != right.shape or scores.ndim != 1:
        raise PairspaceError(f"each judged pair has a score and a judgement, got {scores.shape} and {right.shape}")
    check_sample(right)
    return scores, right
