from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pairspace.errors import ShapeError
from pairspace.objectives import Near
from pairspace.objectives.masks import KnownPairs, masks_of

ids = st.integers(-3, 4)  # any integers will do


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(ids, ids), min_size=1, max_size=20), st.lists(ids, max_size=6), st.integers(1, 8))
def test_known_pairs_are_those_of_a_search_by_hand(pairs, extra, chunk):
    queries, documents = (list(one) for one in zip(*pairs, strict=True))
    mask = KnownPairs(*(torch.tensor(one, dtype=torch.int64) for one in (queries, documents, extra)))
    got = torch.zeros(len(pairs), len(pairs) + len(extra))
    for start in range(0, len(pairs), chunk):
        mask.mask_(got[start : start + chunk], start)
    for i, query in enumerate(queries):
        for j, document in enumerate(documents + extra):
            assert (got[i, j] == -torch.inf) == (i != j and (query, document) in pairs), (i, j)


def test_ids_that_never_repeat_need_no_mask():
    one, other = torch.arange(5), torch.tensor([9, 4, 2, 1, 0])
    assert masks_of(5, None) == ()
    assert masks_of(5, one) == ()
    assert masks_of(5, (one, other)) == ()


@pytest.mark.parametrize("keep", [0, 3, 1000])
def test_near_items_are_those_of_the_whole_matrix_and_are_searched_once_where_they_fit(monkeypatch, unit, keep):
    import pairspace.objectives.masks as masks

    monkeypatch.setattr(masks, "KEEP", keep)
    sides = 3 * unit(30, 3, 0).detach(), 0.1 * unit(30, 2, 1).detach()
    near = Near(sides, above=0.8)
    for _ in range(2):
        got = torch.zeros(30, 34)
        for start in range(0, 30, 7):
            near.mask_(got[start : start + 7], start)
        cosines = [x @ x.T / (x.norm(dim=1)[:, None] * x.norm(dim=1)) for x in sides]
        right = (cosines[0] > 0.8) | (cosines[1] > 0.8)
        right.fill_diagonal_(False)
        assert torch.equal(got[:, :30] == -torch.inf, right)
        assert not got[:, 30:].any()
    assert sum(len(places) for places in near._kept.values()) <= keep


def test_features_of_half_precision_are_compared_in_full():
    angle = torch.tensor([0.0, 0.02, 0.06])
    x = torch.stack([angle.cos(), angle.sin()], 1).half()
    got = torch.zeros(3, 3)
    Near((x,), above=0.9995).mask_(got, 0)  # cos 0.02 = 0.9998, cos 0.04 = 0.9992: one step of float16 apart
    assert (got == -torch.inf).tolist() == [[False, True, False], [True, False, False], [False, False, False]]


def test_a_row_of_zeros_is_near_to_nothing():
    near = Near((torch.zeros(4, 3),), above=0.5)
    got = torch.zeros(4, 4)
    near.mask_(got, 0)
    assert not got.any()


def test_sides_of_different_length_are_refused():
    with pytest.raises(ShapeError, match=r"\[3, 4\]"):
        Near((torch.zeros(3, 2), torch.zeros(4, 2)), above=0.5)
