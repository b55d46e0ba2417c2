"""Losses cell by cell, and gradients by differences."""

from __future__ import annotations

import math

import pytest
import torch

from pairspace.tagging.losses import LOSSES, asymmetric, bce, focal

LOGITS = torch.tensor([[-3.0, 0.2, 4.0], [1.0, -0.5, -6.0]], dtype=torch.float64)
LABELS = torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.3, 1.0]], dtype=torch.float64)


def cells():
    for x, y in zip(LOGITS.flatten().tolist(), LABELS.flatten().tolist(), strict=True):
        yield 1 / (1 + math.exp(-x)), y


def test_by_hand():
    slow = [-(y * math.log(p) + (1 - y) * math.log(1 - p)) for p, y in cells()]
    assert float(bce(LOGITS, LABELS)) == pytest.approx(sum(slow) / 6)
    slow = [-(0.25 * y * (1 - p) ** 2 * math.log(p) + 0.75 * (1 - y) * p**2 * math.log(1 - p)) for p, y in cells()]
    assert float(focal(LOGITS, LABELS)) == pytest.approx(sum(slow) / 6)
    slow = []
    for p, y in cells():
        q = max(p - 0.05, 0)
        slow.append(-(y * (1 - p) * math.log(p) + (1 - y) * q**4 * math.log(1 - q)))
    assert float(asymmetric(LOGITS, LABELS)) == pytest.approx(sum(slow) / 6)


def test_they_meet():
    assert float(focal(LOGITS, LABELS, gamma=0, alpha=0.5)) == pytest.approx(float(bce(LOGITS, LABELS)) / 2)
    plain = asymmetric(LOGITS, LABELS, negative=0, positive=0, margin=0)
    assert float(plain) == pytest.approx(float(bce(LOGITS, LABELS)))


def test_gradients():
    for loss in (bce, focal):
        assert torch.autograd.gradcheck(lambda x, f=loss: f(x, LABELS), LOGITS.clone().requires_grad_())


@pytest.mark.parametrize("name", LOSSES)
def test_extreme_logits_stay_finite(name):
    x = torch.tensor([[80.0, -80.0, 200.0]], requires_grad=True)
    loss = LOSSES[name](x, torch.tensor([[0.0, 1.0, 1.0]]))
    loss.backward()
    assert loss.isfinite() and x.grad.isfinite().all()


def test_asymmetric_forgets_easy_negatives():
    easy = torch.tensor([[-4.0]], requires_grad=True)
    asymmetric(easy, torch.zeros(1, 1)).backward()
    assert float(easy.grad) == 0
