"""A score as a probability of being right: Platt's logistic curve.

    p(s) = 1 / (1 + exp(-(a s + b)))          a and b of the largest likelihood on judged scores

Its targets are (P + 1) / (P + 2) for what is right and 1 / (N + 2) for what is wrong (Platt 1999), so that P right and
N wrong ones that scores separate do not drive the slope to infinity.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

__all__ = ["platt"]


def platt(scores: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Slope a and offset b.

    Args:
        scores: float (n,), finite.
        right: bool (n,).
    """
    good, bad = int(right.sum()), int((~right).sum())
    targets = np.where(right, (good + 1) / (good + 2), 1 / (bad + 2))
    middle, spread = scores.mean(), max(float(scores.std()), 1e-9)
    z = (scores - middle) / spread

    def loss(ab: np.ndarray) -> tuple[float, np.ndarray]:
        logits = ab[0] * z + ab[1]
        value = np.logaddexp(0, logits) - targets * logits
        slope = expit(logits) - targets
        return float(value.mean()), np.array([slope @ z, slope.sum()]) / len(z)

    a, b = minimize(loss, np.zeros(2), jac=True, method="BFGS", options={"gtol": 1e-9}).x
    return float(a / spread), float(b - a * middle / spread)
