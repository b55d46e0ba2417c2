"""Vectors to try objectives on, and whether one is right."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize


@pytest.fixture(scope="session")
def unit():
    """unit(n, dim, seed): random unit vectors that ask for gradients."""

    def make(n, dim, seed, dtype=torch.float64):
        generator = torch.Generator().manual_seed(seed)
        return normalize(torch.randn(n, dim, generator=generator, dtype=dtype), dim=1).requires_grad_()

    return make


@pytest.fixture(scope="session")
def agree():
    """agree(ours, right, *inputs): two losses have one value and the same gradients in all inputs."""

    def check(ours, right, *inputs, rtol=1e-8, atol=1e-9):
        assert ours.item() == pytest.approx(right.item(), rel=1e-9, abs=1e-11)
        inputs = [one for one in inputs if one is not None]
        pairs = zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(right, inputs), strict=True)
        for one, other in pairs:
            torch.testing.assert_close(one, other, rtol=rtol, atol=atol)

    return check
