"""The threshold that keeps the number of terms where it is wanted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pairspace.projectors import LexicalProjector
from pairspace.training import Expansion, FrozenBranch, OwnWords, Tower
from pairspace.training.steering import Steering


class Rows:
    truncated = 0.0

    def __init__(self, values):
        self.values, self.dimension = values, values.shape[1]

    def __len__(self):
        return len(self.values)

    def rows(self, indices=None):
        return self.values if indices is None else self.values[indices]


@pytest.fixture
def tower():
    torch.manual_seed(0)
    values = torch.randn(300, 16)
    projector = LexicalProjector([16], 400)
    projector.pass_through(values)
    projector.calibrate(values, gain=10.0, terms=100.0)
    return Tower([FrozenBranch(Rows(values.numpy()), projector)])


def mean_terms(tower):
    return float((tower.vectors(np.arange(300)) > 0).sum(1).float().mean())


@pytest.mark.parametrize("wanted", [5.0, 40.0, 180.0])
def test_the_mean_number_of_terms_comes_to_what_is_wanted(tower, wanted):
    steering = Steering((tower,), (wanted,))
    steering.share = 0.3
    for _ in range(60):
        steering([tower.vectors(np.arange(300))])
    assert mean_terms(tower) == pytest.approx(wanted, rel=0.05)


def test_at_the_start_twice_as_many_are_wanted(tower):
    steering = Steering((tower,), (50.0,))
    for _ in range(60):
        steering([tower.vectors(np.arange(300))])
    assert mean_terms(tower) == pytest.approx(100.0, rel=0.05)


def test_without_a_wish_and_where_all_is_masked_nothing_moves(tower):
    before = float(tower.branches[0].projector.threshold)
    Steering((tower,), ())([tower.vectors(np.arange(300))])
    from scipy import sparse

    tower.words = OwnWords(sparse.csr_array((300, 400), dtype=np.float32), 400, expansion=Expansion("texts", rate=1.0))
    tower.branches[0].projector.train()
    Steering((tower,), (3.0,))([tower.vectors(np.arange(300))])
    assert float(tower.branches[0].projector.threshold) == before
