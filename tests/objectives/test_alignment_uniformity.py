from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pairspace.errors import ShapeError
from pairspace.objectives import alignment, uniformity


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 30), seed=st.integers(0, 50))
def test_equal_the_authors_formulas(unit, n, seed):
    a, b = unit(n, 5, seed), unit(n, 5, seed + 100)
    assert alignment(a, b).item() == pytest.approx((a - b).norm(dim=1).pow(2).mean().item())
    assert uniformity(a).item() == pytest.approx(torch.pdist(a).pow(2).mul(-2).exp().mean().log().item(), rel=1e-9)


def test_carry_no_gradient_and_hold_no_square_matrix(unit, largest, monkeypatch):
    import pairspace.objectives.blocks as blocks

    monkeypatch.setattr(blocks, "BLOCK", 1)
    monkeypatch.setattr(blocks, "ROWS", 10)
    x = unit(600, 8, 0)
    assert largest(lambda: uniformity(x)) == 6000
    assert not uniformity(x).requires_grad
    assert not alignment(x, x).requires_grad


def test_extremes(unit):
    x = unit(1, 4, 0).expand(5, 4)
    assert uniformity(x).item() == pytest.approx(0.0, abs=1e-9)
    assert alignment(x, -x).item() == pytest.approx(4.0)
    spread = uniformity(unit(2000, 256, 1))
    assert spread.item() == pytest.approx(-4 * (1 - 1 / 256), abs=0.05)


def test_what_has_no_pairs_is_refused():
    with pytest.raises(ShapeError, match="at least two"):
        uniformity(torch.ones(1, 4))
    with pytest.raises(ShapeError, match="alignment needs"):
        alignment(torch.ones(1, 4), torch.ones(2, 4))
