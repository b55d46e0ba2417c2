"""The regulariser against NumPy, entry by entry."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pairspace.errors import ShapeError, TrainingError
from pairspace.objectives import Batch, Structure
from pairspace.objectives.structure import structure


def plain(features, x, levels, temperature):
    powers = []
    for rows in (np.asarray(features), np.asarray(x)):
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows - rows.mean(0)
        weights = np.exp(rows @ rows.T / temperature)
        share = weights / weights.sum(1, keepdims=True)
        powers.append([np.linalg.matrix_power(share, level) for level in range(1, levels + 1)])
    total = 0.0
    for level, (p, q) in enumerate(zip(*powers, strict=True), 1):
        rows = []
        for left, right in zip(p, q, strict=True):
            middle = (left + right) / 2
            rows.append(sum((one * np.log(one / middle)).sum() for one in (left, right)) / 2)
        total += np.mean(rows) / level
    return total / levels


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 12), levels=st.integers(1, 4), temperature=st.floats(0.05, 1.0), seed=st.integers(0, 50))
def test_equals_the_plain_formula(unit, n, levels, temperature, seed):
    features, x = 3 * unit(n, 5, seed).detach(), unit(n, 4, seed + 100).detach()
    ours = structure(features, x, levels=levels, temperature=temperature)
    assert ours.item() == pytest.approx(plain(features, x, levels, temperature), rel=1e-9, abs=1e-12)


def test_passes_gradcheck(unit):
    features, x = unit(5, 3, 0), unit(5, 4, 1)
    assert torch.autograd.gradcheck(lambda x: structure(features, x, levels=3, temperature=0.3), (x,))
    assert structure(features, x, levels=3, temperature=0.3).grad_fn is not None
    (gradient,) = torch.autograd.grad(structure(features, x, levels=1, temperature=1.0), features, allow_unused=True)
    assert gradient is None


def test_is_nothing_for_a_space_turned_or_stretched_and_bounded_by_ln_2(unit):
    features = unit(20, 6, 0).detach()
    turned = features @ torch.linalg.qr(unit(6, 6, 1).detach()).Q * 5
    assert structure(features, turned, levels=3, temperature=0.07).item() == pytest.approx(0.0, abs=1e-12)
    assert 0 < structure(features, unit(20, 6, 2), levels=1, temperature=0.001).item() <= math.log(2)


def test_float32_gradients_stay_finite_where_shares_vanish(unit):
    features, x = unit(50, 8, 0).detach().float(), unit(50, 8, 1).detach().float().requires_grad_()
    structure(features, x, levels=3, temperature=0.001).backward()
    assert x.grad.isfinite().all()


def test_the_module_takes_the_mean_of_both_sides_over_the_first_rows(unit, largest):
    a, b, features = unit(300, 4, 0), unit(300, 4, 1), (unit(300, 5, 2).detach(), unit(300, 3, 3).detach())
    objective = Structure(levels=2, temperature=0.1, rows=20)
    loss = objective(Batch(a, b, features=features))
    sides = [plain(of[:20], x[:20].detach(), 2, 0.1) for of, x in zip(features, (a, b), strict=True)]
    assert loss.item() == pytest.approx(sum(sides) / 2)
    assert largest(lambda: objective(Batch(a, b, features=features)).backward()) == 300 * 4


def test_what_is_out_of_range_or_does_not_fit_is_named(unit):
    with pytest.raises(TrainingError, match="got levels=0, rows=512"):
        Structure(levels=0)
    with pytest.raises(TrainingError, match="Structure needs features"):
        Structure()(Batch(unit(3, 4, 0), unit(3, 4, 1)))
    with pytest.raises(ShapeError, match="got 2 for 3"):
        structure(unit(2, 4, 0), unit(3, 4, 1), levels=1, temperature=1.0)
