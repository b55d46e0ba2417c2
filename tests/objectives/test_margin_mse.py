from __future__ import annotations

import pytest
import torch

from pairspace.errors import TrainingError
from pairspace.objectives import Batch, MarginMse


def test_equals_that_of_sentence_transformers(unit, agree):
    from sentence_transformers.sentence_transformer.losses import MarginMSELoss

    a, b, c, d = (unit(10, 6, seed) for seed in range(4))
    scores = torch.randn(10, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    theirs = MarginMSELoss(None).compute_loss_from_embeddings([a, b, c, d], scores)
    own = torch.stack([torch.arange(10), torch.arange(10, 20)], 1)
    ours = MarginMse()(Batch(a, b, negatives=torch.cat([c, d]), own=own, scores=scores))
    agree(ours, theirs, a, b, c, d)


def test_counts_only_what_is_there_and_scored(unit, agree):
    a, b, negatives = unit(3, 4, 0), unit(3, 4, 1), unit(2, 4, 2)
    own = torch.tensor([[1, 0], [0, -1], [0, 1]])
    scores = torch.tensor([[9.0, 1.0, torch.nan], [7.0, 4.0, 5.0], [torch.nan, 1.0, 1.0]])
    ours = MarginMse(scale=2.0)(Batch(a, b, negatives=negatives, own=own, scores=scores))
    first = a[0] @ b[0] - a[0] @ negatives[1] - 8.0 / 2
    second = a[1] @ b[1] - a[1] @ negatives[0] - 3.0 / 2
    agree(ours, (first**2 + second**2) / 2, a, b, negatives)


def test_a_batch_without_a_scored_negative_has_no_loss_and_no_gradient(unit):
    a, b = unit(3, 4, 0), unit(3, 4, 1)
    batch = Batch(a, b, negatives=torch.zeros(0, 4), own=torch.full((3, 1), -1), scores=torch.ones(3, 2))
    loss = MarginMse()(batch)
    assert loss.item() == 0.0
    loss.backward()
    assert not a.grad.any()


def test_a_scale_of_nothing_is_refused():
    with pytest.raises(TrainingError, match="above 0, got 0"):
        MarginMse(scale=0)
