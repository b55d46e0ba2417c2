"""Calibration against general optimisers and plain counting."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from pairspace.errors import DataError, ShapeError
from pairspace.tagging import Platt, Ranks, ZScores

DRAW = np.random.default_rng(0)
LABELS = DRAW.random((80, 3)) < [0.5, 0.2, 0.1]
SCORES = DRAW.normal([0, 5, -2], [1, 0.1, 3], (80, 3)) + LABELS * [1, 0.1, 4]


def slow(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    positives, negatives = y.sum(), (~y).sum()
    target = np.where(y, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(w):
        margin = w[0] * (x - x.mean()) / x.std() + w[1]
        return (np.logaddexp(0, margin) - target * margin).sum()

    a, b = minimize(loss, [0, 0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000}).x
    return 1 / (1 + np.exp(-(a * (x - x.mean()) / x.std() + b)))


def test_platt_is_the_most_likely_curve():
    found = Platt.fit(SCORES, LABELS)(SCORES)
    for column in range(3):
        np.testing.assert_allclose(found[:, column], slow(SCORES[:, column], LABELS[:, column]), atol=1e-5)


def test_platt_survives_separable_and_constant_scores():
    easy = Platt.fit(LABELS * 2.0 - 1, LABELS)
    assert np.isfinite(easy.slope).all() and (easy(np.ones((1, 3))) < 1).all() and (easy(np.ones((1, 3))) > 0.8).all()
    flat = Platt.fit(np.ones_like(SCORES), LABELS)(np.ones((1, 3)))
    assert flat[0, 0] == pytest.approx((LABELS[:, 0].sum() + 1) / 82, abs=0.02)


def test_a_class_without_positives_takes_the_curve_of_all_and_is_named():
    none = LABELS.copy()
    none[:, 1] = False
    judged = np.ones_like(none)
    judged[LABELS[:, 2], 2] = False
    fitted = Platt.fit(SCORES, none, judged=judged)
    assert fitted.pooled == (1, 2)
    np.testing.assert_allclose(
        fitted(SCORES)[:, 1],
        fitted.slope[1] * 0 + 1 / (1 + np.exp(-(fitted.slope[2] * SCORES[:, 1] + fitted.offset[2]))),
    )
    with pytest.raises(DataError, match="at least one positive"):
        Platt.fit(SCORES, np.zeros_like(none))


def test_z_scores_and_ranks_by_counting():
    z, ranks = ZScores.fit(SCORES), Ranks.fit(np.round(SCORES))
    new = np.round(DRAW.normal([0, 5, -2], 1, (20, 3)))
    for column in range(3):
        known = SCORES[:, column]
        mean = sum(known) / 80
        spread = (sum((v - mean) ** 2 for v in known) / 80) ** 0.5
        np.testing.assert_allclose(z(new)[:, column], (new[:, column] - mean) / spread)
        known = np.round(known)
        below = [((known < v).sum() + (known == v).sum() / 2) / 80 for v in new[:, column]]
        np.testing.assert_allclose(ranks(new)[:, column], below)
    assert np.array_equal(ZScores.fit(np.ones((4, 2)))(np.ones((1, 2))), np.zeros((1, 2)))


def test_bad_input_is_named():
    with pytest.raises(ShapeError, match="finite scores"):
        Ranks.fit(np.full((2, 2), np.nan))
    for fitted in (Platt.fit(SCORES, LABELS), ZScores.fit(SCORES), Ranks.fit(SCORES)):
        with pytest.raises(ShapeError, match="calibrated for 3 classes"):
            fitted(SCORES[:, :2])
