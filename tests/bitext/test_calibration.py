from __future__ import annotations

import numpy as np
import pytest

from pairspace.bitext.calibration import calibrate, threshold_for
from pairspace.errors import PairspaceError


@pytest.fixture
def sample():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=20_000) * 0.1 + 1.0
    return scores, rng.random(20_000) < 1 / (1 + np.exp(-(30 * scores - 31)))


def test_probabilities_are_as_often_right_as_they_say(sample):
    scores, right = sample
    found = calibrate(scores, right)
    assert found.slope == pytest.approx(30, rel=0.1) and found.intercept == pytest.approx(-31, rel=0.1)
    probability = found.probability(scores)
    for low in (0.1, 0.4, 0.7):
        some = (probability > low) & (probability < low + 0.2)
        assert right[some].mean() == pytest.approx(probability[some].mean(), abs=0.03)


def test_a_sample_without_an_overlap_is_not_believed_too_much():
    found = calibrate(np.array([1.3, 1.2, 0.8, 0.9]), np.array([True, True, False, False]))
    assert np.isfinite(found.slope) and 0.6 < found.probability(np.array([1.3]))[0] < 0.99


def test_equal_scores_say_nothing_of_others():
    found = calibrate(np.ones(30), np.arange(30) < 10)
    assert found.probability(np.array([0.5, 1.0, 1.5])) == pytest.approx([1 / 3] * 3, abs=0.02)


def test_the_threshold_is_the_lowest_that_keeps_its_promise():
    scores = np.array([5.0, 4.0, 3.0, 3.0, 2.0, 1.0])
    right = np.array([True, True, True, False, True, False])
    assert threshold_for(1.0, scores, right) == 4.0
    assert threshold_for(0.75, scores, right) == 2.0
    assert threshold_for(0.5, scores, right) == 1.0
    with pytest.raises(PairspaceError, match=r"the best has 0\.5"):
        threshold_for(0.9, scores[2:4], right[2:4])


@pytest.mark.parametrize("right", [[True, True], [False, False]])
def test_samples_of_one_kind_are_refused(right):
    with pytest.raises(PairspaceError, match="both kinds"):
        calibrate(np.array([1.0, 2.0]), np.array(right))
