from __future__ import annotations

import pytest
import torch

from pairspace.errors import TrainingError
from pairspace.objectives import Batch, InfoNce, MarginMse, Matryoshka, Objective, Sigmoid, Sum, Temperature


def test_what_a_batch_lacks_is_named(unit):
    with pytest.raises(TrainingError, match="MarginMse needs negatives and scores"):
        MarginMse()(Batch(unit(3, 4, 0), unit(3, 4, 1)))


def test_learnt_scalars_are_found_and_clamped_wherever_they_are():
    temperature = Temperature(0.07)
    objective = Sum([(1.0, Matryoshka(Sigmoid(temperature, bias=-3.0), [4])), (0.5, InfoNce(temperature))])
    assert objective.scalars() == {"temperature": pytest.approx(0.07), "bias": -3.0}
    assert len(list(objective.parameters())) == 2  # a shared temperature is one parameter
    with torch.no_grad():
        temperature.log_scale.fill_(10.0)
    objective.clamp_()
    assert objective.scalars()["temperature"] == pytest.approx(0.01)


def test_the_first_of_several_temperatures_is_the_one_recorded():
    objective = Sum([(1.0, InfoNce(Temperature(0.2))), (1.0, InfoNce(Temperature(0.5)))])
    assert objective.scalars()["temperature"] == pytest.approx(0.2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_and_autocast_do_not_reach_the_sums(unit, dtype):
    a, b, negatives = (unit(n, 8, seed).detach().to(dtype).requires_grad_() for n, seed in ((40, 0), (40, 1), (5, 2)))
    objective = InfoNce(Temperature(0.05))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = objective(Batch(a, b, negatives=negatives))
    exact = objective(Batch(a.float(), b.float(), negatives=negatives.float()))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=1e-6)
    loss.backward()
    assert a.grad.dtype == dtype


def test_an_objective_is_a_few_lines(unit):
    class Distance(Objective):
        def loss(self, batch):
            return (batch.a - batch.b).square().mean()

    a = unit(3, 4, 0)
    assert Distance()(Batch(a, a)).item() == 0.0
