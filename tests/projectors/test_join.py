from __future__ import annotations

import torch
from torch.nn.functional import normalize

from pairspace.projectors import join_vectors, unit_vectors


def test_unit_vectors_and_their_gradient_are_those_of_a_norm_and_a_division():
    torch.manual_seed(0)
    x = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(unit_vectors, x)
    torch.testing.assert_close(unit_vectors(x), normalize(x, dim=1))


def test_an_empty_item_stays_zero_and_teaches_nothing():
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    y = unit_vectors(x)
    y.sum().backward()
    assert y.tolist() == [[0.0, 0.0], [0.6000000238418579, 0.800000011920929]]
    assert x.grad[0].tolist() == [0.0, 0.0] and x.grad[1].abs().sum() > 0


def test_joined_vectors_weigh_the_same_whatever_their_length():
    a, b = torch.tensor([[5.0, 0.0]]), torch.tensor([[0.0, 0.1]])
    torch.testing.assert_close(join_vectors([a, b]), torch.tensor([[0.5, 0.5]]).sqrt())
    torch.testing.assert_close(join_vectors([a]), torch.tensor([[1.0, 0.0]]))
