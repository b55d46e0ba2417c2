from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairspace.training import colouring
from pairspace.training.colouring import Colouring


def clashes(items, batch):
    """Rows that are the second or later of their item in a batch, on one side."""
    keys = items * (batch.max() + 1) + batch
    first = np.unique(keys, return_index=True)[1]
    return np.setdiff1d(np.arange(len(keys)), first)


def placed(items, batches):
    """All rows dealt in order, then every clash given its place."""
    batch = np.arange(len(items[0])) % batches
    shared = [(np.bincount(one)[one] > 1) & (np.bincount(one)[one] <= batches) for one in items]
    bad = np.unique(
        np.concatenate([clashes(np.where(s, i, i.max() + 1 + np.arange(len(i))), batch) for i, s in zip(items, shared)])
    )
    Colouring(items, shared, batch, batches).place(bad)
    return batch


@given(st.integers(2, 12), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_regular_graphs_without_room_to_spare(m, seed):
    rng = np.random.default_rng(seed)
    items = np.concatenate([np.arange(m)] * m), np.concatenate([rng.permutation(m) for _ in range(m)])
    order = rng.permutation(m * m)
    items = items[0][order], items[1][order]
    batch = placed(items, m)
    assert np.bincount(batch).tolist() == [m] * m
    assert all(len(clashes(one, batch)) == 0 for one in items)


def test_items_that_are_too_frequent_are_left_alone():
    items = np.zeros(12, int), np.arange(12) // 3
    batch = placed(items, 3)
    assert np.bincount(batch).tolist() == [4, 4, 4]
    assert len(clashes(items[1], batch)) == 0


@pytest.mark.parametrize("patience", [0, 5, 40])
def test_when_patience_runs_out_every_row_has_a_batch_and_sizes_are_even(monkeypatch, patience):
    monkeypatch.setattr(colouring, "_PATIENCE", patience)
    batch = placed(np.divmod(np.random.default_rng(0).permutation(100), 10), 10)
    assert np.bincount(batch, minlength=10).tolist() == [10] * 10
