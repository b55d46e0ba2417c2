from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairspace.data import Pairs
from pairspace.data.splitting import choose_test_rows, components
from pairspace.errors import DataError


def numbered(groups):
    return np.unique(groups, return_inverse=True)[1]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=60), st.floats(0.01, 0.99), st.integers(0, 5))
def test_groups_never_straddle_and_both_parts_have_rows(groups, test, seed):
    groups = numbered(groups)
    if groups.max() == 0:
        with pytest.raises(DataError, match="cannot be split"):
            choose_test_rows(groups, test, seed)
        return
    mask = choose_test_rows(groups, test, seed)
    assert 0 < mask.sum() < len(mask)
    assert not set(groups[mask]) & set(groups[~mask])
    assert (mask == choose_test_rows(groups, test, seed)).all()
    target, sizes = max(1, round(test * len(groups))), np.bincount(groups)
    assert abs(mask.sum() - target) <= max(sizes.max(), len(groups) - target)


def test_single_rows_give_exactly_the_number_wanted_at_random():
    masks = [choose_test_rows(np.arange(1000), 100, seed) for seed in (0, 1)]
    assert [mask.sum() for mask in masks] == [100, 100]
    assert (masks[0] != masks[1]).any()
    assert 350 < np.flatnonzero(masks[0]).mean() < 650


def test_small_groups_fill_what_large_ones_leave():
    groups = numbered([0] * 50 + [1] * 7 + [2] * 7 + list(range(3, 20)))
    assert choose_test_rows(groups, 10, 0).sum() == 10


@pytest.mark.parametrize("test", [0, 1.0, -0.1, 10, 11, True])
def test_shares_out_of_range_are_refused(test):
    with pytest.raises(DataError, match="a share between 0 and 1, or a number of rows below 10"):
        choose_test_rows(np.arange(10), test, 0)


def test_one_pair_cannot_be_split():
    with pytest.raises(DataError, match="one pair only"):
        Pairs.from_columns({"a": ["x"], "b": ["y"]}).split(test=0.5)


def test_components_follow_shared_items_on_any_side():
    a, b = np.array([0, 0, 1, 2, 3]), np.array([0, 1, 1, 2, 3])
    assert components([a, b]).tolist() == [0, 0, 0, 1, 2]
    assert components([a, b, np.array([0, 1, 2, 3, 3])]).tolist() == [0, 0, 0, 1, 1]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=4, max_size=40), st.integers(0, 3))
def test_without_groups_no_item_is_in_both_parts(rows, seed):
    pairs = Pairs.from_columns({"a": [f"a{a}" for a, _ in rows], "b": [f"b{b}" for _, b in rows]})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train, test = pairs.split(test=0.25, seed=seed)
    assert len(train) + len(test) == len(rows)
    assert len(train) and len(test)
    if not caught:
        for side in pairs.sides:
            assert not set(train.items(side).to_pylist()) & set(test.items(side).to_pylist())


def test_when_most_rows_hang_together_rows_are_split_with_a_warning():
    pairs = Pairs.from_columns({"a": ["x"] * 10, "b": [f"{i}" for i in range(10)]})
    with pytest.warns(UserWarning, match=r"10 of 10 rows are linked by shared items.*give a group column") as said:
        train, test = pairs.split(test=3)
    assert (len(train), len(test)) == (7, 3)
    assert [one.filename for one in said] == [__file__]


def test_rows_without_a_group_stand_alone():
    pairs = Pairs.from_columns({"a": list("abcdef"), "b": list("ghijkl")}, group=["g", None, "g", None, None, "g"])
    for seed in range(5):
        train, test = pairs.split(test=1, seed=seed)
        assert test.table["group"].to_pylist() == [None]
        assert len(train) == 5


def test_a_given_group_counts_and_shared_items_do_not():
    pairs = Pairs.from_columns({"a": ["x"] * 4, "b": list("1234")}, group=["g", "g", "h", "h"])
    train, test = pairs.split(test=0.5)
    assert {tuple(train.table["group"].to_pylist()), tuple(test.table["group"].to_pylist())} == {("g", "g"), ("h", "h")}
