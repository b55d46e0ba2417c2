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
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"projector_epochs": -1}, "projector_epochs must be at least 0"),
        ({"chunk_size": 0}, "chunk_size must be at least 1"),
        ({"encoder_learning_rate": 0.0}, "encoder_learning_rate must be above 0, got 0"),
        ({"train_blocks": 0}, "train_blocks must be at least 1, or None"),
        ({"lora": 0}, "lora must be at least 1, or None"),
        ({"train_blocks": 1, "lora": 4}, "train_blocks and lora are two ways to train an encoder: give one"),
        ({"debias": 0.9, "objective": "distill"}, "debias says which pairs are no negatives.*distill asks a teacher"),
        ({"mix": 0.4, "batch_size": 3}, "mixing halves a batch, so batch_size must be at least 4, got 3"),
        ({"margin": -0.1}, "margin must not be negative"),
        ({"mix": float("inf")}, "mix must not be negative"),
        ({"structure": float("nan")}, "structure must not be negative"),
        ({"debias": 1.5}, "debias is a cosine, got 1.5"),
        ({"teacher_weight": 1.1}, "teacher_weight is a share between 0 and 1"),
        ({"teacher_temperature": 0.0}, "teacher_temperature must be above 0"),
        ({"mixing": 0.5}, "mixing must be at least 1"),
        ({"objective": "hinge"}, "objective 'hinge' is unknown: choose one of infonce, sigmoid, margin, distill"),
        ({"precision": "int8"}, "precision 'int8' is unknown: choose one of auto, fp32, bf16"),
    ],
)
def test_an_option_out_of_range_is_told_with_its_range(option, message):
    with pytest.raises(TrainingError, match=message):
        TrainingOptions(**option)


def test_options_come_back_from_their_dictionary():
    options = TrainingOptions(epochs=3, patience=None, matryoshka=[4, 8], lora=2)
    assert options.matryoshka == (4, 8)
    assert TrainingOptions(**options.to_dict()) == options


def test_a_pretrained_encoder_in_training_has_defaults_of_its_own():
    options = TrainingOptions.for_encoders(epochs=7)
    assert (options.epochs, options.batch_size, options.patience) == (7, 256, None)


@pytest.mark.parametrize("name", ["train_blocks", "lora", "projector_epochs", "encoder_learning_rate"])
def test_settings_of_encoders_that_train_want_some(name):
    options = TrainingOptions(**{name: 1})
    options.check_trained(encoders=True, pretrained=True)
    with pytest.raises(TrainingError, match=rf"{name} is of (pretrained )?encoders that train, and none does: name"):
        options.check_trained(encoders=False, pretrained=False)
    if name in ("train_blocks", "lora"):
        with pytest.raises(TrainingError, match=f"{name} is of pretrained encoders"):
            options.check_trained(encoders=True, pretrained=False)
    else:
        options.check_trained(encoders=True, pretrained=False)
    TrainingOptions().check_trained(encoders=False, pretrained=False)
