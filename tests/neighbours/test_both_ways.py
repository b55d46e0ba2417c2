"""Neighbours both ways against two separate rankings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairspace.errors import FeatureError, PairspaceError, ShapeError
from pairspace.neighbours import BothWays, both_ways, top_k


def finished(x, y, k):
    work = BothWays(x, y, k)
    while work.advance():
        pass
    return work.result()


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 6), st.integers(0, 2**32 - 1), st.booleans())
def test_equals_a_ranking_each_way(n, m, k, seed, tied):
    draw = np.random.default_rng(seed)
    x, y = (draw.integers(-1, 2, (rows, 2)) if tied else draw.normal(size=(rows, 5)) for rows in (n, m))
    x, y = x.astype(np.float32), y.astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(both_ways, "_STRIPE", 7)
        patch.setattr(both_ways, "_BLOCK", 5)
        patch.setattr(both_ways, "_MANY", 1)
        there, back = finished(x, y, k)
    for found, wanted in ((there, top_k(x, y, k)), (back, top_k(y, x, k))):
        np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-6)
        if not tied:
            assert np.array_equal(found.indices, wanted.indices)


def test_of_equal_ones_the_first_is_taken(monkeypatch):
    monkeypatch.setattr(both_ways, "_STRIPE", 3)
    monkeypatch.setattr(both_ways, "_BLOCK", 2)
    x = np.eye(4, dtype=np.float32)[[0, 1, 0, 0, 1, 0]]
    there, back = finished(x, x, 2)
    assert there.indices.tolist() == [[0, 2], [1, 4], [0, 2], [0, 2], [1, 4], [0, 2]] == back.indices.tolist()


def test_a_kept_state_is_taken_up_again(monkeypatch):
    monkeypatch.setattr(both_ways, "_STRIPE", 10)
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(35, 8)), draw.normal(size=(50, 8))
    whole = finished(x, y, 3)
    first = BothWays(x, y, 3)
    assert first.advance() == 10
    state = {name: array.copy() for name, array in first.state().items()}
    second = BothWays(x, y, 3)
    second.restore(state)
    taken = []
    while count := second.advance():
        taken.append(count)
    assert taken == [10, 10, 5] and second.done == 35
    for a, b in zip(second.result(), whole, strict=True):
        assert np.array_equal(a.indices, b.indices) and np.array_equal(a.scores, b.scores)
    with pytest.raises(ShapeError, match="the state has rows"):
        BothWays(x[:30], y, 3).restore(state)


def test_bad_input_is_refused():
    x = np.ones((3, 4), np.float32)
    with pytest.raises(ShapeError, match="dimension 4"):
        BothWays(x, np.ones((3, 5)), 1)
    with pytest.raises(PairspaceError, match="at least 1"):
        BothWays(x, x, 0)
    broken = x.copy()
    broken[1, 2] = np.nan
    with pytest.raises(FeatureError, match="NaN"):
        finished(broken, x, 1)
