from __future__ import annotations

import math

import pytest
import torch

from pairspace.objectives import Temperature


def test_starts_where_clip_does_and_carries_a_gradient():
    temperature = Temperature()
    value = temperature()
    assert value.item() == pytest.approx(0.07)
    value.backward()
    assert temperature.log_scale.grad.item() == pytest.approx(-0.07)  # d exp(-s) / ds


@pytest.mark.parametrize(("log_scale", "kept"), [(10.0, 0.01), (-3.0, 1.0), (math.log(20), 0.05)])
def test_is_clamped_between_a_hundredth_and_one(log_scale, kept):
    temperature = Temperature()
    with torch.no_grad():
        temperature.log_scale.fill_(log_scale)
    temperature.clamp_()
    assert temperature.value == pytest.approx(kept)


def test_a_fixed_temperature_is_no_parameter_to_train():
    assert not Temperature(0.05, learnable=False).log_scale.requires_grad
