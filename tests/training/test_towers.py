from __future__ import annotations

import numpy as np
import torch
from torch import nn

from pairspace.training import FrozenTower, towers


def test_vectors_are_unit_rows_with_a_gradient(rows):
    tower = FrozenTower(rows(np.random.default_rng(0).normal(size=(9, 5))), nn.Linear(5, 3))
    vectors = tower.vectors(np.array([4, 4, 1]))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    assert torch.equal(vectors[0], vectors[1])
    vectors[:, 0].sum().backward()
    assert tower.projector.weight.grad.abs().sum() > 0


def test_features_too_large_for_memory_are_gathered_step_by_step(rows, monkeypatch):
    values = np.random.default_rng(1).normal(size=(50, 4))
    held = FrozenTower(rows(values), nn.Identity())
    monkeypatch.setattr(towers, "IN_MEMORY", 100)
    read = []

    class Counted(rows):
        def rows(self, indices=None):
            read.append(None if indices is None else len(indices))
            return super().rows(indices)

    streamed = FrozenTower(Counted(values), nn.Identity())
    chosen = np.array([7, 3, 49])
    assert torch.equal(streamed.vectors(chosen), held.vectors(chosen))
    assert torch.equal(streamed.all_vectors(chunk=20), held.all_vectors())
    assert read == [3, 20, 20, 10]


def test_all_vectors_come_in_order_without_gradients(rows):
    tower = FrozenTower(rows(np.eye(6)), nn.Identity())
    vectors = tower.all_vectors(chunk=4)
    assert torch.equal(vectors, torch.eye(6))
    assert not vectors.requires_grad


def test_a_sample_is_spread_over_all_rows(rows):
    tower = FrozenTower(rows(np.arange(1000.0)[:, None]), nn.Identity())
    sample = tower.sample()[:, 0]
    assert len(sample) == towers.SAMPLE and sample[0] == 0 and sample[-1] == 999
    assert len(FrozenTower(rows(np.ones((3, 2))), nn.Identity()).sample()) == 3
