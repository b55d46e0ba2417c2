from __future__ import annotations

import pytest

from pairspace.errors import TrainingError
from pairspace.training import TrainingOptions


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_size": 1}, "batch_size must be at least 2, got 1"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0"),
        ({"weight_decay": -0.1}, "weight_decay must not be negative"),
        ({"warmup": 1.0}, "warmup is a share"),
        ({"temperature": 0.001}, "temperature must lie between 0.01 and 1"),
        ({"patience": 0}, "patience must be at least 1"),
        ({"seed": -1}, "seed must not be negative"),
    ],
)
def test_an_option_out_of_range_is_told_with_its_range(option, message):
    with pytest.raises(TrainingError, match=message):
        TrainingOptions(**option)


def test_options_come_back_from_their_dictionary():
    options = TrainingOptions(epochs=3, patience=None)
    assert TrainingOptions(**options.to_dict()) == options
