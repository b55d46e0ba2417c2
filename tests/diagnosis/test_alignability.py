from __future__ import annotations

import numpy as np
import pytest

from pairspace.diagnosis import centred_kernel_alignment, mutual_knn
from pairspace.errors import ShapeError


def features(seed, n=40, d=7):
    return np.random.default_rng(seed).normal(size=(n, d))


def slow_mutual_knn(x, y, k):
    def near(z, i):
        cosines = [
            -np.inf if j == i else z[i] @ z[j] / (np.linalg.norm(z[i]) * np.linalg.norm(z[j])) for j in range(len(z))
        ]
        return set(sorted(range(len(z)), key=lambda j: -cosines[j])[:k])

    return np.mean([len(near(x, i) & near(y, i)) / k for i in range(len(x))])


def slow_cka(x, y):
    h = np.eye(len(x)) - 1 / len(x)

    def hsic(a, b):
        return np.trace(a @ a.T @ h @ b @ b.T @ h) / (len(x) - 1) ** 2

    return hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))


def slow_unbiased(x, y):
    n, one = len(x), np.ones(len(x))

    def hsic(a, b):
        k, m = a @ a.T, b @ b.T
        np.fill_diagonal(k, 0)
        np.fill_diagonal(m, 0)
        middle = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
        return (np.trace(k @ m) + middle - 2 / (n - 2) * (one @ k @ m @ one)) / (n * (n - 3))

    return hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))


def test_all_are_what_their_formulas_say():
    x = features(0)
    y = 0.7 * x @ features(1, 7, 5) + features(2, d=5)
    assert mutual_knn(x, y, k=6) == pytest.approx(slow_mutual_knn(x, y, 6), abs=1e-12)
    assert centred_kernel_alignment(x, y) == pytest.approx(slow_cka(x, y), rel=1e-10)
    assert centred_kernel_alignment(x, y, unbiased=True) == pytest.approx(slow_unbiased(x, y), rel=1e-10)


def test_a_turned_and_scaled_copy_is_the_same():
    x = features(3)
    turn = np.linalg.qr(features(4, 7, 7))[0]
    assert mutual_knn(x, 3 * x @ turn) == 1
    for unbiased in (False, True):
        assert centred_kernel_alignment(x, 3 * x @ turn, unbiased=unbiased) == pytest.approx(1)


def test_unrelated_features_are_nothing_alike_without_bias():
    drawn = [(features(s, 60, 200), features(1000 + s, 60, 200)) for s in range(20)]
    assert np.mean([centred_kernel_alignment(*one) for one in drawn]) > 0.7
    assert abs(np.mean([centred_kernel_alignment(*one, unbiased=True) for one in drawn])) < 0.02
    assert np.mean([mutual_knn(*one, k=10) for one in drawn]) == pytest.approx(10 / 59, abs=0.02)


def test_equal_rows_have_no_scale():
    assert np.isnan(centred_kernel_alignment(np.ones((8, 3)), features(5, 8)))


@pytest.mark.parametrize(
    ("x", "y", "k", "message"),
    [
        (features(0), features(0, 39), 10, "there are 40 and 39 rows"),
        (features(0, 3), features(1, 3), 1, "four items or more"),
        (features(0, 10), features(1, 10), 10, "10 neighbours of 10 rows"),
    ],
)
def test_what_cannot_be_compared(x, y, k, message):
    with pytest.raises(ShapeError, match=message):
        mutual_knn(x, y, k=k)
