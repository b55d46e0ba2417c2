from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairspace.errors import ShapeError, TrainingError
from pairspace.training.batches import Batches


def most_in_a_batch(batches, code):
    """For each item the most rows of it in one batch."""
    most = np.zeros(code.max() + 1, int)
    for rows in batches:
        most = np.maximum(most, np.bincount(code[rows], minlength=len(most)))
    return most


def assert_promises(batches, codes, steps):
    assert len(batches) == steps
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(codes[0])))
    sizes = [len(rows) for rows in batches]
    assert min(sizes) >= 2 and max(sizes) - min(sizes) <= 1
    for code in codes:
        rare = np.bincount(code) <= steps
        assert (most_in_a_batch(batches, code)[rare] <= 1).all()


@st.composite
def pairs(draw):
    n = draw(st.integers(2, 60))
    kinds = draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return tuple(rng.integers(0, kind, n) for kind in kinds)


@given(codes=pairs(), batch_size=st.integers(2, 30), epoch=st.integers(0, 5), near=st.booleans())
@settings(max_examples=150, deadline=None)
def test_every_row_once_in_even_batches_and_no_item_twice(codes, batch_size, epoch, near):
    n = len(codes[0])
    features = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32) if near else None
    batches = Batches(codes, batch_size=batch_size, seed=1, near=features)
    steps = min(math.ceil(n / batch_size), n // 2)
    assert batches.steps == steps
    assert_promises(batches.epoch(epoch), codes, steps)


@pytest.mark.parametrize("m", [2, 3, 5, 9, 12])
def test_a_latin_square_is_dealt_without_a_clash(m):
    codes = np.divmod(np.random.default_rng(m).permutation(m * m), m)
    assert_promises(Batches(codes, batch_size=m, seed=0).epoch(1), codes, m)


def test_large_and_repetitive():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 400, 20_000), np.minimum(rng.zipf(1.6, 20_000), 300)
    assert_promises(Batches(codes, batch_size=100, seed=0).epoch(1), codes, 200)


def test_an_item_in_more_rows_than_there_are_batches_is_spread_evenly():
    codes = np.r_[np.zeros(400, int), np.arange(1, 601)], np.arange(1000)
    batches = Batches(codes, batch_size=100, seed=0).epoch(1)
    assert [int((codes[0][rows] == 0).sum()) for rows in batches] == [40] * 10


def test_an_epoch_depends_on_seed_and_number_alone():
    codes = np.arange(100), np.arange(100)

    def dealt(seed, number):
        return [rows.tolist() for rows in Batches(codes, batch_size=10, seed=seed).epoch(number)]

    assert dealt(1, 2) == dealt(1, 2)
    assert dealt(1, 2) != dealt(1, 3) and dealt(1, 2) != dealt(2, 2)


def test_rows_meet_by_chance_not_by_their_place():
    batches = Batches((np.arange(1000), np.arange(1000)), batch_size=500, seed=0)
    together = [np.isin([0, 1], epoch[0]).sum() != 1 for epoch in map(batches.epoch, range(60))]
    assert 15 < sum(together) < 45


def clustered(repeats):
    """Eight far topics of 64 rows each; every item comes `repeats` times."""
    rng = np.random.default_rng(0)
    topic = np.repeat(np.arange(8), 64)
    near = (rng.normal(size=(8, 40))[topic] * 5 + rng.normal(size=(512, 40))).astype(np.float32)
    order = rng.permutation(512)
    return (np.arange(512)[order] // repeats, np.arange(512)[order]), topic[order], near[order]


@pytest.mark.parametrize(("repeats", "share"), [(1, 0.9), (2, 0.7)])
def test_near_batches_hold_near_topics_and_no_item_twice(repeats, share):
    codes, topic, near = clustered(repeats)
    batches = Batches(codes, batch_size=16, seed=0, near=near)
    shares = []
    for number in range(4):
        epoch = batches.epoch(number)
        assert_promises(epoch, codes, 32)
        shares += [np.bincount(topic[rows]).max() / len(rows) for rows in epoch]
    assert np.mean(shares) > share
    assert (
        np.mean([np.bincount(topic[rows]).max() / 16 for rows in Batches(codes, batch_size=16, seed=0).epoch(0)]) < 0.4
    )


def test_near_partitions_differ_from_epoch_to_epoch():
    codes, _, near = clustered(1)
    batches = Batches(codes, batch_size=16, seed=0, near=near)
    one, other = ({frozenset(rows.tolist()) for rows in batches.epoch(number)} for number in (0, 1))
    assert len(one & other) < 16


which_set = np.r_[np.zeros(1000, int), np.ones(100, int), np.full(20, 7)]


def mixed(mixing):
    n = len(which_set)
    return Batches((np.arange(n), np.arange(n)), batch_size=20, seed=0, sources=which_set, mixing=mixing)


def of_each(batches):
    """How many batches each data set has; every batch is of one."""
    found = [np.unique(which_set[rows]) for rows in batches]
    assert all(len(one) == 1 for one in found)
    return {int(s): sum(int(one[0]) == s for one in found) for s in np.unique(which_set)}


def test_each_batch_is_of_one_data_set_and_every_row_comes_once():
    batches = mixed(1.0)
    assert batches.steps == 56 and batches.shares == [50, 5, 1]
    for number in range(3):
        epoch = batches.epoch(number)
        assert sorted(np.concatenate(epoch).tolist()) == list(range(len(which_set)))
        assert of_each(epoch) == {0: 50, 1: 5, 7: 1}


def test_a_temperature_of_two_gives_shares_by_the_square_root():
    batches, roots = mixed(2.0), np.sqrt([1000, 100, 20])
    epoch = batches.epoch(3)
    assert batches.steps == len(epoch) == 56
    assert np.abs(np.array(list(of_each(epoch).values())) - 56 * roots / roots.sum()).max() < 1


def test_what_waits_comes_in_a_later_epoch():
    batches = mixed(2.0)
    seen = np.bincount(np.concatenate([rows for number in range(9) for rows in batches.epoch(number)]))
    for source in (0, 1, 7):
        assert np.ptp(seen[which_set == source]) <= 1
    assert seen[which_set == 7].min() > seen[which_set == 0].max()


def test_a_batch_larger_than_the_data_is_one_batch_of_all():
    assert [len(rows) for rows in Batches((np.arange(7), np.arange(7)), batch_size=100, seed=0).epoch(0)] == [7]


@pytest.mark.parametrize(
    ("error", "message", "n", "options"),
    [
        (ShapeError, "5 items of the second side for 6 pairs", 6, {}),
        (TrainingError, "batch_size must be at least 2, got 1", 5, {"batch_size": 1}),
        (TrainingError, "mixing is a temperature of at least 1", 5, {"mixing": 0.5}),
        (TrainingError, "mixing is a temperature of at least 1", 5, {"mixing": math.inf}),
        (ShapeError, "3 features for 5 pairs", 5, {"near": np.zeros((3, 2), np.float32)}),
        (ShapeError, "4 sources for 5 pairs", 5, {"sources": np.zeros(4, int)}),
        (TrainingError, "1 pairs in data set 3: at least 2", 5, {"sources": np.array([0, 0, 0, 0, 3])}),
    ],
)
def test_bad_input_is_named(error, message, n, options):
    with pytest.raises(error, match=message):
        Batches((np.arange(n), np.arange(5)), **{"batch_size": 2, "seed": 0} | options)


def test_one_pair_is_too_few():
    with pytest.raises(TrainingError, match="1 pairs to train on: at least 2 are needed"):
        Batches((np.zeros(1, int), np.zeros(1, int)), batch_size=2, seed=0)
