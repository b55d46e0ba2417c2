from __future__ import annotations

import pytest
import torch

from pairspace.errors import ShapeError
from pairspace.objectives import Batch


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"b": torch.zeros(3, 5)}, r"\(4, 2\) and \(3, 5\)"),
        ({"ids": (torch.zeros(4), torch.zeros(3))}, r"ids of the document side .* \(4\), got \(3,\)"),
        ({"negatives": torch.zeros(6, 3)}, r"negatives .* \(any, 2\), got \(6, 3\)"),
        ({"negatives": torch.zeros(6, 2), "negative_ids": torch.zeros(5)}, r"negative_ids .* \(6\), got \(5,\)"),
        ({"own": torch.zeros(3, 2, dtype=torch.int64)}, r"own .* \(4, any\), got \(3, 2\)"),
        ({"own": torch.full((4, 2), 6), "negatives": torch.zeros(6, 2)}, "names negative 6, but the batch has 6"),
        ({"own": torch.full((4, 2), -1), "scores": torch.zeros(4, 2)}, r"scores .* \(4, 3\), got \(4, 2\)"),
        ({"teacher": (torch.zeros(4, 9), torch.zeros(4))}, r"teacher of the document side .* \(4, any\), got \(4,\)"),
        ({"features": (torch.zeros(5, 9), torch.zeros(4, 7))}, r"features of the query side .* got \(5, 9\)"),
    ],
)
def test_parts_that_do_not_fit_are_named(given, message):
    with pytest.raises(ShapeError, match=message):
        Batch(**({"a": torch.zeros(4, 2), "b": torch.zeros(4, 2)} | given))


def test_own_cosines_follow_the_rows_and_leave_out_what_is_missing(unit):
    a, b, negatives = unit(3, 4, 0), unit(3, 4, 1), unit(2, 4, 2)
    own = torch.tensor([[1, 0], [0, -1], [-1, -1]])
    cosines, counts = Batch(a, b, negatives=negatives, own=own).own_cosines()
    assert counts.tolist() == [[True, True, True], [True, True, False], [True, False, False]]
    torch.testing.assert_close(cosines[0], torch.stack([a[0] @ b[0], a[0] @ negatives[1], a[0] @ negatives[0]]))
    torch.testing.assert_close(cosines[1, 1], a[1] @ negatives[0])
    scores = torch.tensor([[1.0, torch.nan, 2.0], [torch.nan, 1.0, 1.0], [1.0, 1.0, 1.0]])
    _, counts = Batch(a, b, negatives=negatives, own=own, scores=scores).own_cosines()
    assert counts.tolist() == [[True, False, True], [False, True, False], [True, False, False]]


def test_a_batch_whose_pairs_happen_to_have_no_negative_has_cosines_of_its_pairs_alone(unit):
    a, b = unit(3, 4, 0), unit(3, 4, 1)
    cosines, counts = Batch(a, b, negatives=torch.zeros(0, 4), own=torch.full((3, 2), -1)).own_cosines()
    assert counts.sum(1).tolist() == [1, 1, 1]
    torch.testing.assert_close(cosines[:, 0], (a * b).sum(1))


def test_own_cosines_of_a_batch_without_negatives_are_refused(unit):
    with pytest.raises(ShapeError, match="`negatives` and `own`"):
        Batch(unit(3, 4, 0), unit(3, 4, 1)).own_cosines()


def test_ids_of_negatives_come_third():
    a, ids = torch.zeros(2, 3), torch.arange(2)
    assert Batch(a, a).same is None
    assert len(Batch(a, a, ids=(ids, ids)).same) == 2
    assert Batch(a, a, ids=(ids, ids), negatives=torch.zeros(1, 3), negative_ids=ids[1:]).same[2].tolist() == [1]
