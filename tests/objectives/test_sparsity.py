"""The regularisers against loops, and the weights that rise."""

from __future__ import annotations

import math

import pytest
import torch

from pairspace.errors import TrainingError
from pairspace.objectives import Batch, Sparsity
from pairspace.objectives.sparsity import flops, l1


def rows(n, terms, seed):
    made = torch.randn(n, terms, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return made.relu().requires_grad_()


def test_both_equal_the_plain_sums():
    w = rows(7, 5, 0)
    assert l1(w.detach()).item() == pytest.approx(sum(float(row.sum()) for row in w.detach()) / 7)
    pairs = [float(w[i] @ w[j]) for i in range(7) for j in range(7) if i != j]
    assert flops(w).item() == pytest.approx(sum(pairs) / len(pairs))
    assert torch.autograd.gradcheck(flops, (w,)) and torch.autograd.gradcheck(l1, (w,))


def test_flops_is_spades_form_less_what_depends_on_the_batch():
    w = rows(9, 4, 1).detach()
    theirs = w.mean(0).square().sum()
    assert theirs.item() == pytest.approx((8 * flops(w) / 9 + w.square().sum(1).mean() / 9).item())


def test_expectation_of_flops_is_that_of_any_batch_size():
    w = rows(1200, 6, 2).detach()
    small = torch.stack([flops(part) for part in w.split(4)]).mean()
    assert small.item() == pytest.approx(flops(w).item(), rel=0.05)
    assert flops(w[:1]).item() == 0


def test_the_weight_rises_with_the_square_of_the_share_and_then_stays():
    a, b = rows(6, 5, 0), rows(6, 5, 1)
    objective = Sparsity("l1", weights=(0.5, 0.25), warmup=0.2)
    for share, factor in ((0.0, 0.0), (0.1, 0.25), (0.2, 1.0), (0.9, 1.0)):
        objective.at(share)
        right = factor * (0.5 * l1(a) + 0.25 * l1(b))
        assert objective(Batch(a, b)).item() == pytest.approx(right.item())
    assert objective.scalars() == {
        "query_terms": float((a > 0).sum()) / 6,
        "document_terms": float((b > 0).sum()) / 6,
    }


def test_a_side_that_lost_every_term_stops_training():
    with pytest.raises(TrainingError, match="document side has a term left"):
        Sparsity()(Batch(torch.ones(2, 3), torch.zeros(2, 3)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "l0"}, "unknown regulariser"),
        ({"weights": (-1.0, 0.0)}, "0 or more"),
        ({"weights": (math.nan, 0.0)}, "0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(TrainingError, match=message):
        Sparsity(**settings)
