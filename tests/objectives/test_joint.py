"""The joint loss against its formula written out on whole logits."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from pairspace.errors import TrainingError
from pairspace.objectives import Batch, Joint, Sparsity, Temperature


def plain(dense, sparse, temperature, other, mixing, shares):
    s_dense, s_sparse = dense[0] @ dense[1].T / temperature, sparse[0] @ sparse[1].T / other
    s_both = mixing[0] * s_dense + mixing[1] * s_sparse

    def nce(s):
        right = torch.arange(len(s))
        return (functional.cross_entropy(s, right) + functional.cross_entropy(s.T, right)) / 2

    def kl(student, teacher):
        total = 0.0
        for s, t in ((student, teacher), (student.T, teacher.T)):
            t = t.detach().log_softmax(1)
            total = total + (t.exp() * (t - s.log_softmax(1))).sum(1).mean() / 2
        return total

    contrast = (shares[0] * nce(s_dense) + shares[1] * nce(s_sparse) + nce(s_both)) / 2
    taught = (shares[0] * kl(s_dense, s_both) + shares[1] * kl(s_sparse, s_both)) / 2
    return (contrast + taught) / 2


def vectors(unit, n=7, dense=4, terms=9):
    made = [unit(n, dense, seed).detach() for seed in (0, 1)]
    sparse = [torch.randn(n, terms, generator=torch.Generator().manual_seed(s), dtype=torch.float64) for s in (2, 3)]
    return [torch.cat([one, two.relu()], 1).requires_grad_() for one, two in zip(made, sparse, strict=True)]


@pytest.mark.parametrize(
    ("mixing", "shares"), [((0.1, 0.1), (0.9, 0.3)), ((0.5, 2.0), (1.0, 1.0)), ((0.0, 1.0), (0.1, 1.0))]
)
def test_equals_the_formula_on_whole_logits_with_gradients(unit, agree, mixing, shares):
    a, b = vectors(unit)
    temperature, other = Temperature(0.2).double(), Temperature(0.5).double()
    objective = Joint(temperature, other, dense=4, mixing=mixing, shares=shares)
    ours = objective(Batch(a, b))
    right = plain((a[:, :4], b[:, :4]), (a[:, 4:], b[:, 4:]), temperature(), other(), mixing, shares)
    agree(ours, right, a, b, temperature.log_scale, other.log_scale, rtol=1e-6, atol=1e-8)


def test_the_regulariser_sees_the_sparse_part_alone(unit):
    a, b = vectors(unit)
    sparsity = Sparsity("l1", weights=(0.5, 0.5), warmup=0)
    objective = Joint(Temperature(0.2).double(), Temperature(0.5).double(), dense=4, sparsity=sparsity)
    objective.at(0.5)
    without = Joint(Temperature(0.2).double(), Temperature(0.5).double(), dense=4)(Batch(a, b))
    extra = objective(Batch(a, b)) - without
    assert extra.item() == pytest.approx(0.5 * float((a[:, 4:].sum() + b[:, 4:].sum()).detach()) / 7)
    assert objective.scalars()["query_terms"] > 0


def test_same_items_are_no_negatives(unit):
    a, b = vectors(unit)
    ids = torch.tensor([0, 0, 1, 2, 3, 4, 5]), torch.arange(7)
    loss = Joint(Temperature(0.2).double(), Temperature(0.5).double(), dense=4)
    assert loss(Batch(a, b, ids=ids)).item() < loss(Batch(a, b)).item()


def test_weights_below_zero_are_refused():
    with pytest.raises(TrainingError, match="0 or more"):
        Joint(Temperature(0.1), Temperature(0.1), dense=4, mixing=(-1.0, 1.0))
