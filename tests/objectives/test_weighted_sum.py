from __future__ import annotations

import pytest
import torch

from pairspace.errors import TrainingError
from pairspace.objectives import Batch, InfoNce, MarginMse, Sigmoid, Structure, Sum, Temperature


def test_is_the_weighted_sum_in_value_and_gradients(unit, agree):
    batch = Batch(unit(8, 4, 0), unit(8, 4, 1))
    one, other = InfoNce(Temperature(0.1)), Sigmoid(Temperature(0.05))
    agree(Sum([(0.3, one), (0.7, other)])(batch), 0.3 * one(batch) + 0.7 * other(batch), batch.a, batch.b)


def test_needs_what_any_term_needs(unit):
    objective = Sum([(1.0, InfoNce(Temperature())), (0.1, Structure()), (0.1, MarginMse())])
    assert objective.needs == {"features", "negatives", "scores"}
    with pytest.raises(TrainingError, match="Sum needs features and negatives and scores"):
        objective(Batch(unit(3, 4, 0), unit(3, 4, 1)))


@pytest.mark.parametrize("weights", [[], [float("nan")], [1.0, float("inf")]])
def test_no_term_or_a_weight_that_is_no_number_is_refused(weights):
    with pytest.raises(TrainingError, match="finite weights"):
        Sum([(weight, InfoNce(Temperature())) for weight in weights])


def test_trains_the_scalars_of_all_terms(unit):
    objective = Sum([(1.0, InfoNce(Temperature())), (1.0, Sigmoid(Temperature()))])
    objective(Batch(unit(8, 4, 0), unit(8, 4, 1))).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad) for p in objective.parameters())
    assert len(list(objective.parameters())) == 3
