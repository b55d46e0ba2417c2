"""The frozen features' own similarity says what is no negative, in every objective that has negatives."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from pairspace.errors import TrainingError
from pairspace.objectives import AdditiveMargin, Batch, InfoNce, Sigmoid, Temperature

KINDS = [
    lambda debias: InfoNce(Temperature(0.1), debias=debias),
    lambda debias: AdditiveMargin(Temperature(0.1), debias=debias),
    lambda debias: Sigmoid(Temperature(0.5), bias=0.0, debias=debias),
]


def batch(*, ids: bool) -> Batch:
    """Rows 0 and 3 have nearly equal features; the same is said by their ids if asked."""
    torch.manual_seed(0)
    a, b = normalize(torch.randn(6, 4), dim=1), normalize(torch.randn(6, 4), dim=1)
    features = normalize(torch.randn(6, 64), dim=1)
    features[3] = normalize(features[0] + 0.01, dim=0)
    own = torch.tensor([0, 1, 2, 0, 4, 5]) if ids else torch.arange(6)
    return Batch(a, b, ids=(own, torch.arange(6)), features=(features, normalize(torch.randn(6, 64), dim=1)))


@pytest.mark.parametrize("kind", KINDS, ids=["infonce", "margin", "sigmoid"])
def test_near_features_mask_as_equal_ids_do(kind):
    torch.testing.assert_close(kind(0.9)(batch(ids=False)), kind(None)(batch(ids=True)))
    assert kind(0.9)(batch(ids=False)) != kind(None)(batch(ids=False))


@pytest.mark.parametrize("kind", KINDS, ids=["infonce", "margin", "sigmoid"])
def test_without_features_it_is_refused(kind):
    one = batch(ids=False)
    with pytest.raises(TrainingError, match="needs features"):
        kind(0.9)(Batch(one.a, one.b))
