"""Best thresholds against trying all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pairspace.errors import PairspaceError, ShapeError
from pairspace.tagging import best_threshold, best_thresholds


def f1_score(truth, given, average="binary"):
    hits, total = (truth & given).sum(0), truth.sum(0) + given.sum(0)
    if average == "macro":
        return np.mean([2 * h / t if t else 0 for h, t in zip(hits, total, strict=True)])
    return 2 * hits.sum() / total.sum()


SCORES = arrays(np.float64, (8, 3), elements=st.integers(-3, 3).map(float))
LABELS = arrays(bool, (8, 3), elements=st.booleans())


@settings(max_examples=60, deadline=None)
@given(SCORES, LABELS, LABELS)
def test_no_other_threshold_is_better(scores, labels, judged):
    own = best_thresholds(scores, labels, judged=judged)
    for column in range(3):
        used = judged[:, column]
        s, y = scores[used, column], labels[used, column]
        if not y.any():
            assert own[column] == np.inf
            continue
        tried = [f1_score(y, s >= t) for t in np.unique(s)]
        assert f1_score(y, s >= own[column]) == pytest.approx(max(tried))
    micro = best_threshold(scores, labels, judged=judged)
    if (labels & judged).any():
        s, y = scores[judged], labels[judged]
        assert f1_score(y, s >= micro) == pytest.approx(max(f1_score(y, s >= t) for t in np.unique(s)))
    else:
        assert micro == np.inf


@settings(max_examples=40, deadline=None)
@given(SCORES, LABELS.filter(lambda y: y.any(0).all()))
def test_macro_takes_one_threshold_for_the_mean_of_classes(scores, labels):
    found = best_threshold(scores, labels, average="macro")
    tried = [f1_score(labels, scores >= t, average="macro") for t in np.unique(scores)]
    assert f1_score(labels, scores >= found, average="macro") == pytest.approx(max(tried))


def test_thresholds_stand_halfway():
    scores, labels = np.array([[0.9, 0.1], [0.5, 0.3], [0.1, 0.2]]), np.array([[1, 0], [0, 1], [0, 1]])
    assert best_thresholds(scores, labels) == pytest.approx([0.7, 0.15])
    next_to = np.array([[np.nextafter(1, 2)], [1.0]])
    assert (next_to >= best_thresholds(next_to, [[1], [0]])).ravel().tolist() == [True, False]


def test_bad_input_is_named():
    with pytest.raises(ShapeError, match="one shape"):
        best_thresholds(np.ones((2, 2)), np.ones((2, 3)))
    with pytest.raises(ShapeError, match="0 or 1"):
        best_thresholds(np.ones((1, 2)), [[0, -1]])
    with pytest.raises(PairspaceError, match="micro or macro"):
        best_threshold(np.ones((1, 2)), np.ones((1, 2)), average="mean")
