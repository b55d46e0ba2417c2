from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from pairspace.errors import PairspaceError
from pairspace.neighbours import prune


def plain(row: np.ndarray, mass: float, count: int | None) -> np.ndarray:
    out, kept, sum_ = np.zeros_like(row), 0, 0.0
    for column in np.argsort(-row, kind="stable"):
        if row[column] == 0 or (count is not None and kept >= count) or sum_ >= mass * row.sum() * (1 - 1e-9):
            break
        out[column], kept, sum_ = row[column], kept + 1, sum_ + row[column]
    return out


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.lists(st.integers(0, 4), min_size=6, max_size=6), min_size=1, max_size=5),
    mass=st.floats(0.05, 1.0),
    count=st.none() | st.integers(1, 4),
)
def test_equals_the_plain_form_row_by_row(rows, mass, count):
    dense = np.asarray(rows, np.float32)
    found = prune(sparse.csr_array(dense), mass=mass, count=count)
    np.testing.assert_array_equal(found.toarray(), [plain(row, mass, count) for row in dense])
    assert found.has_sorted_indices or found.nnz == 0


@pytest.mark.parametrize("wrong", [{"mass": 0.0}, {"mass": 1.1}, {"count": 0}])
def test_out_of_range_is_refused(wrong):
    with pytest.raises(PairspaceError, match="pruning keeps"):
        prune(sparse.csr_array(np.eye(2, dtype=np.float32)), **wrong)
