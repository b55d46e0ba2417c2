from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pairspace.errors import ShapeError
from pairspace.evaluation import bootstrap_intervals, sign_flip_p_values


def _values(queries: int) -> np.ndarray:
    draw = np.random.default_rng(1)
    return np.stack([draw.random(queries) < 0.7, draw.normal(0.3, 0.2, queries), draw.exponential(1, queries)], axis=1)


def test_intervals_are_those_of_scipy():
    values = _values(400).astype(float)
    low, high = bootstrap_intervals(values, resamples=20_000, seed=3)
    for column in range(3):
        theirs = stats.bootstrap(
            (values[:, column],), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(5)
        ).confidence_interval
        width = theirs.high - theirs.low
        assert low[column] == pytest.approx(theirs.low, abs=0.03 * width)
        assert high[column] == pytest.approx(theirs.high, abs=0.03 * width)


def test_p_values_are_those_of_scipys_exact_test():
    differences = np.random.default_rng(2).normal([0.0, 0.3, 0.6, -0.9], 1, (14, 4))
    differences[:, 0] = np.round(differences[:, 0])  # many equal sums
    p = sign_flip_p_values(differences, resamples=40_000, seed=1)
    for column in range(4):
        exact = stats.permutation_test(
            (differences[:, column],), np.mean, permutation_type="samples", n_resamples=np.inf
        ).pvalue
        assert p[column] == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 40_000) + 1e-4)


def test_p_values_are_honest_where_nothing_differs():
    draw = np.random.default_rng(7)
    p = sign_flip_p_values(draw.normal(0, 1, (60, 800)), resamples=999, seed=0)
    assert p.min() >= 1 / 1000
    for level in (0.05, 0.2, 0.5):
        assert (p <= level).mean() == pytest.approx(level, abs=3 * np.sqrt(level * (1 - level) / 800))
    assert sign_flip_p_values(np.zeros((5, 2)), resamples=99).tolist() == [1, 1]


def test_smallest_p_counts_the_seen_one():
    assert sign_flip_p_values(np.ones((200, 1)), resamples=99)[0] == 1 / 100


@pytest.mark.parametrize("function", [bootstrap_intervals, sign_flip_p_values])
def test_seed_repeats_and_chunks_do_not_matter_for_columns(function, monkeypatch: pytest.MonkeyPatch):
    values = _values(50) - 0.5
    whole = np.asarray(function(values, resamples=300, seed=4))
    assert np.array_equal(whole, np.asarray(function(values, resamples=300, seed=4)))
    assert not np.array_equal(whole, np.asarray(function(values, resamples=300, seed=5)))
    alone = np.asarray(function(values[:, 1:2], resamples=300, seed=4))
    np.testing.assert_allclose(alone[..., 0], whole[..., 1], atol=1e-12)
    monkeypatch.setattr("pairspace.evaluation.significance._CELLS", 50 * 7)
    assert np.asarray(function(values, resamples=300, seed=4)).shape == whole.shape


def test_no_queries():
    with pytest.raises(ShapeError, match=r"\(0, 3\)"):
        bootstrap_intervals(np.empty((0, 3)))
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        sign_flip_p_values(np.ones(3))
