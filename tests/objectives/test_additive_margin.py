from __future__ import annotations

import pytest
import torch

from pairspace.errors import TrainingError
from pairspace.objectives import AdditiveMargin, Batch, InfoNce, Temperature


def printed(phi, m):
    """LaBSE's formula as it is printed, both directions added."""
    total = 0.0
    for scores in (phi, phi.T):
        for i in range(len(scores)):
            own = torch.exp(scores[i, i] - m)
            others = sum(torch.exp(scores[i, j]) for j in range(len(scores)) if j != i)
            total = total - torch.log(own / (own + others)) / len(scores)
    return total


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_is_half_the_printed_formula_of_cosines_over_temperature(unit, agree, temperature):
    a, b = unit(9, 5, 0), unit(9, 5, 1)
    ours = AdditiveMargin(Temperature(temperature, learnable=False).double(), margin=0.3)(Batch(a, b))
    exact = float(Temperature(temperature).double().value)
    agree(ours, printed(a @ b.T / exact, 0.3 / exact) / 2, a, b)


def test_without_margin_it_is_infonce_with_ids_and_negatives(unit):
    ids = (torch.arange(9) // 2, torch.arange(9))
    batch = Batch(unit(9, 5, 0), unit(9, 5, 1), ids=ids, negatives=unit(4, 5, 2), negative_ids=torch.arange(4))
    temperature = Temperature(0.1)
    without, plain = AdditiveMargin(temperature, margin=0.0)(batch), InfoNce(temperature)(batch)
    assert without.item() == plain.item()
    assert AdditiveMargin(temperature, margin=0.2)(batch).item() > plain.item() + 0.1


def test_a_negative_margin_is_refused():
    with pytest.raises(TrainingError, match=r"got -0\.1"):
        AdditiveMargin(Temperature(), margin=-0.1)
