from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from pairspace.errors import FeatureError, PairspaceError, ShapeError
from pairspace.neighbours import normalise, similarity_matrix

A = np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)
B = np.array([[6.0, 8.0], [4.0, -3.0], [0.0, 2.0]], np.float32)
KINDS = [np.asarray, torch.from_numpy, sparse.csr_array]


@pytest.mark.parametrize("kind", KINDS)
def test_cosine_and_dot(kind):
    cosine = similarity_matrix(kind(A), kind(B))
    assert np.asarray(cosine) == pytest.approx(np.array([[1, 0, 0.8], [0, 0, 0]]), abs=1e-6)
    dot = similarity_matrix(kind(A), kind(B), "dot")
    assert np.asarray(dot).tolist() == [[50.0, 0.0, 8.0], [0.0, 0.0, 0.0]]
    assert isinstance(dot, torch.Tensor if kind is torch.from_numpy else np.ndarray)


@pytest.mark.parametrize("kind", KINDS)
def test_normalise_keeps_kind_and_zero_rows(kind):
    unit = normalise(kind(A.copy()))
    assert isinstance(unit, type(kind(A.copy())))
    dense = unit.toarray() if sparse.issparse(unit) else np.asarray(unit)
    assert dense.dtype == np.float32 and dense == pytest.approx(np.array([[0.6, 0.8], [0, 0]]))


def test_bad_input():
    with pytest.raises(PairspaceError, match="manhattan"):
        similarity_matrix(A, B, "manhattan")
    with pytest.raises(ShapeError, match="dimension 2, the second 3"):
        similarity_matrix(A, np.ones((1, 3)))
    with pytest.raises(ShapeError, match=r"the first must be a matrix .*\(2,\)"):
        similarity_matrix(A[0], B)
    with pytest.raises(FeatureError, match="NaN or infinity"):
        similarity_matrix(A, np.array([[np.nan, 1]], np.float32))
