"""Canonical maps, against the formula in matrix square roots, and what they promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import inv, sqrtm, svd

from pairspace.errors import ShapeError, TrainingError
from pairspace.projectors.canonical import canonical_maps


def centred(n=40, d=6, e=5, seed=0):
    draw = np.random.default_rng(seed)
    shared = draw.normal(size=(n, 3))
    sides = [shared @ draw.normal(size=(3, size)) + 0.5 * draw.normal(size=(n, size)) for size in (d, e)]
    return [torch.tensor(one - one.mean(0), dtype=torch.float32) for one in sides]


def slow(x, y, weights, ridge, power):
    """As the formula says it, and the similarities that come of it: signs of directions are arbitrary."""
    x, y, w = x.double().numpy(), y.double().numpy(), weights / weights.sum()
    roots = []
    for one in (x, y):
        c = (one * w[:, None]).T @ one
        roots.append(inv(sqrtm(c + ridge * np.trace(c) / len(c) * np.eye(len(c))).real))
    u, s, vt = svd(roots[0] @ ((x * w[:, None]).T @ y) @ roots[1], full_matrices=False)
    return x @ roots[0] @ u * s**power @ (vt @ roots[1] @ y.T * (s**power)[:, None])


@pytest.mark.parametrize(("ridge", "power"), [(1.0, 0.5), (0.1, 0.0), (3.0, 1.0)])
def test_maps_are_those_of_the_formula(ridge, power):
    x, y = centred()
    weights = np.random.default_rng(1).uniform(0.1, 2, len(x))
    a, b = canonical_maps(x, y, weights=torch.tensor(weights), ridge=ridge, power=power)
    found = (x @ a.T @ (y @ b.T).T).numpy()
    np.testing.assert_allclose(found, slow(x, y, weights, ridge, power), atol=2e-4 * np.abs(found).max())


def test_fewer_rows_than_columns_give_the_same_as_the_formula():
    x, y = centred(n=12, d=30, e=9)
    a, b = canonical_maps(x, y, ridge=0.5, components=11)
    kept = 11  # axes of 12 centred rows: the ridge is in units of the mean variance along them, not along all 30
    axes = np.linalg.svd(x.double().numpy(), full_matrices=False)[2][:kept]
    expected = slow(x.double() @ torch.tensor(axes.T), y, np.ones(12), 0.5, 0.5)
    np.testing.assert_allclose((x @ a.T @ (y @ b.T).T).numpy(), expected, atol=1e-3 * np.abs(expected).max())


def test_a_weight_of_two_is_the_row_twice_and_of_none_no_row():
    x, y = centred()
    weights = torch.ones(len(x))
    weights[:5], weights[5:8] = 2, 0
    rows = [*range(5), *range(5), *range(8, len(x))]
    one, two = canonical_maps(x, y, weights=weights), canonical_maps(x[rows], y[rows])
    torch.testing.assert_close(x @ one[0].T @ one[1] @ y.T, x @ two[0].T @ two[1] @ y.T, atol=1e-3, rtol=1e-3)


def test_dimension_cuts_the_least_certain_and_fills_up_with_zeros():
    x, y = centred()
    whole, cut, wide = (canonical_maps(x, y, dimension=size)[0] for size in (5, 2, 8))
    torch.testing.assert_close(whole[:2], cut)
    assert wide.shape == (8, 6) and not wide[5:].any() and wide[:5].any(1).all()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"y": torch.ones(3, 5)}, ShapeError, "as many rows"),
        ({"ridge": 0.0}, ShapeError, "ridge must be above 0"),
        ({"components": 0}, ShapeError, "components 1 or more"),
        ({"weights": torch.ones(3)}, ShapeError, "one number a pair"),
        ({"weights": -torch.ones(40)}, ShapeError, "none below 0"),
        ({"y": torch.zeros(40, 5)}, TrainingError, "all features are equal"),
    ],
)
def test_what_has_no_solution_is_refused(change, error, words):
    x, y = centred()
    with pytest.raises(error, match=words):
        canonical_maps(**({"x": x, "y": y} | change))


def test_values_that_are_not_finite_are_named():
    x, y = centred()
    for value in (float("nan"), float("inf")):
        bad = x.clone()
        bad[3, 1] = value
        with pytest.raises(TrainingError, match="values that are not finite"):
            canonical_maps(bad, y)
