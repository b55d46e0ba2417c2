"""Corrections for hubs against the formulas written out on whole matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from pairspace.errors import PairspaceError, ShapeError
from pairspace.neighbours import CORRECTIONS, Hubs, corrected_top_k, find_hubs, normalise


def plain(x, y, kind, nearest=10, beta=30.0):
    """The corrected similarities of all pairs."""
    cosine = normalise(x.astype(np.float64)) @ normalise(y.astype(np.float64)).T
    left = np.sort(cosine, 1)[:, -nearest:].mean(1)[:, None]
    right = np.sort(cosine, 0)[-nearest:].mean(0)[None]
    return {
        "csls": 2 * cosine - left - right,
        "margin": cosine / ((left + right) / 2),
        "distance": cosine - (left + right) / 2,
        "softmax": np.log(np.exp(beta * cosine) / np.exp(beta * cosine).sum(0)) / beta,
    }[kind]


@pytest.fixture(params=["dense", "sparse"])
def sides(request):
    rng = np.random.default_rng(0)
    x, y = rng.random((70, 12)).astype(np.float32), rng.random((90, 12)).astype(np.float32)
    return x, y, sparse.csr_array if request.param == "sparse" else np.asarray


@pytest.mark.parametrize("kind", CORRECTIONS)
def test_equals_the_formula(sides, kind):
    x, y, form = sides
    found = corrected_top_k(form(x), form(y), 5, kind=kind)
    wanted = plain(x, y, kind)
    order = np.argsort(-wanted, 1, kind="stable")[:, :5]
    np.testing.assert_array_equal(found.indices, order)
    np.testing.assert_allclose(found.scores, np.take_along_axis(wanted, order, 1), atol=1e-5)


def test_a_hub_is_no_longer_everyones_best():
    rng = np.random.default_rng(1)
    x = normalise(rng.normal(size=(200, 16)) + 0.8).astype(np.float32)
    y = normalise(x + 0.55 * rng.normal(size=x.shape)).astype(np.float32)
    y[0] = normalise(x.mean(0, keepdims=True))[0]
    right = np.arange(200)
    cosine = np.argmax(x @ y.T, 1)
    assert (cosine == 0).sum() > 20
    for kind in CORRECTIONS:
        best = corrected_top_k(x, y, 1, kind=kind).indices[:, 0]
        assert (best == 0).sum() < (cosine == 0).sum() / 2 and (best == right).mean() > (cosine == right).mean()


def test_hubs_found_elsewhere_can_be_used_for_one_query(sides):
    x, y, form = sides
    hubs = find_hubs(form(x), form(y))
    one = corrected_top_k(form(x[:1]), form(y), 5, hubs=Hubs(hubs.left[:1], hubs.right))
    np.testing.assert_array_equal(one.indices, corrected_top_k(form(x), form(y), 5).indices[:1])


def test_an_unknown_correction_is_refused():
    with pytest.raises(PairspaceError, match="csls, margin"):
        find_hubs(np.eye(2), np.eye(2), kind="qb")


def test_hubs_of_any_precision_are_the_same_and_those_of_other_sets_are_refused(sides):
    x, y, form = sides
    hubs = find_hubs(form(x), form(y))
    wide = Hubs(hubs.left.astype(np.float64), hubs.right.tolist())
    given = [corrected_top_k(form(x), form(y), 5, hubs=one) for one in (hubs, wide)]
    np.testing.assert_array_equal(given[0].scores, given[1].scores)
    np.testing.assert_array_equal(given[0].indices, given[1].indices)
    for wrong in (Hubs(hubs.left[1:], hubs.right), Hubs(hubs.left, hubs.right[:-1])):
        with pytest.raises(ShapeError, match="is needed"):
            corrected_top_k(form(x), form(y), 5, hubs=wrong)


@pytest.mark.parametrize("kind", CORRECTIONS)
def test_sides_that_do_not_fit_are_refused(kind):
    with pytest.raises(ShapeError, match="of one space"):
        find_hubs(np.eye(3), np.eye(4), kind=kind)
    with pytest.raises(PairspaceError, match="both be dense or both be CSR"):
        find_hubs(np.eye(3), sparse.csr_array(np.eye(3)), kind=kind)
