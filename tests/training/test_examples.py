"""What is no ground to learn from is said before anything is computed."""

from __future__ import annotations

import numpy as np
import pytest

from pairspace.errors import ShapeError, TrainingError
from pairspace.training import Examples


def test_one_pair_is_too_few(planted):
    with pytest.raises(TrainingError, match=r"1 pair\(s\) to train on: at least 2"):
        planted(n=1, held_out=0).train()


@pytest.mark.parametrize(("side", "name"), [("query", "first"), ("document", "second")])
def test_one_item_on_a_side_leaves_no_negatives(planted, side, name):
    problem = planted()
    getattr(problem.examples, side)[:] = 5
    with pytest.raises(TrainingError, match=f"all 120 pairs have the same item on the {name} side.*which columns"):
        problem.train()


def test_sides_of_different_length_are_refused(planted):
    problem = planted()
    problem.examples = Examples(problem.examples.query, problem.examples.document[:-1])
    with pytest.raises(ShapeError, match="there are 120 queries and 119 of document"):
        problem.train()


@pytest.mark.parametrize("name", ["negatives", "scores", "sources"])
def test_what_is_given_beside_the_pairs_has_a_row_for_each(name):
    rows = np.arange(4)
    with pytest.raises(ShapeError, match=f"there are 4 queries and 3 of {name}"):
        Examples(rows, rows, **{name: np.zeros((3, 1))}).check()


def test_its_length_is_the_number_of_pairs():
    examples = Examples(np.arange(4), np.arange(4)[::-1], negatives=np.full((4, 2), -1))
    examples.check()
    assert len(examples) == 4
