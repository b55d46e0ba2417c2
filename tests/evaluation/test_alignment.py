"""Strict and lax scores, against counts by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairspace.evaluation.alignment import alignment_scores

GOLD = [([0], [0]), ([1], [1, 2]), ([2, 3], [3]), ([], [4]), ([4], [5])]


def test_gold_is_right():
    assert set(alignment_scores(GOLD, GOLD).to_dict().values()) == {1.0}


def test_counts_by_hand():
    # right: 0-0 and the deletion of 4; overlap: 1-1 with 1-1,2 and 2-3 with 2,3-3; wrong: 4-2 and the deletions
    found = [
        ((0,), (0,), 0.9),
        ((1,), (1,), 0.8),
        ((4,), (2,), 0.1),
        ((2,), (3,), 0.5),
        ((3,), ()),
        ((), (4,)),
        ((), (5,)),
    ]
    scores = alignment_scores(found, GOLD)
    assert (scores.strict_precision, scores.lax_precision) == (2 / 7, 4 / 7)
    assert (scores.strict_recall, scores.lax_recall) == (1 / 4, 3 / 4)  # gold's deletion is not asked for
    assert scores.strict_f1 == pytest.approx(2 * (2 / 7) * (1 / 4) / (2 / 7 + 1 / 4))


def test_lax_wants_one_pairing_on_both_sides():
    gold = [([0], [0]), ([1], [1])]
    assert alignment_scores([([0], [1])], gold).lax_precision == 0
    assert alignment_scores([([0, 1], [1, 2])], gold).lax_precision == 1


def test_equal_beads_count_once_and_empty_ones_never():
    assert alignment_scores([([0], [0])] * 3 + [([], [])], [([0], [0])]).strict_precision == 1


def test_nothing_is_0_and_no_error():
    assert set(alignment_scores([], GOLD).to_dict().values()) == {0.0}
    assert set(alignment_scores(GOLD, []).to_dict().values()) == {0.0}


sides = st.lists(st.integers(0, 5), max_size=3, unique=True).map(sorted)
beads = st.lists(st.tuples(sides, sides), max_size=8)


@given(beads, beads)
def test_lax_is_never_stricter_and_swapping_sides_changes_nothing(found, gold):
    scores = alignment_scores(found, gold)
    assert scores.strict_precision <= scores.lax_precision and scores.strict_recall <= scores.lax_recall
    turned = [[(right, left) for left, right in one] for one in (found, gold)]
    assert alignment_scores(*turned) == scores
