"""From settings to an objective: what is put together, and what it cannot be put together from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from pairspace.errors import TrainingError
from pairspace.objectives import (
    AdditiveMargin,
    Batch,
    DistillKl,
    InfoNce,
    MarginMse,
    Matryoshka,
    Sigmoid,
    Structure,
    Temperature,
)
from pairspace.training import Examples, TrainingOptions, build_objective


def unit(*shape, seed):
    return normalize(torch.randn(shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


@pytest.fixture
def batch():
    return Batch(
        unit(6, 8, seed=0),
        unit(6, 8, seed=1),
        negatives=unit(4, 8, seed=2),
        own=torch.tensor([[0, 1], [1, -1], [2, 3], [-1, -1], [3, 0], [1, 2]]),
        negative_ids=torch.arange(10, 14),
        ids=(torch.arange(6), torch.arange(6)),
        scores=torch.randn(6, 3, generator=torch.Generator().manual_seed(3)),
        teacher=(unit(6, 5, seed=4), unit(6, 5, seed=5)),
        features=(unit(6, 7, seed=6), unit(6, 7, seed=7)),
    )


def given(*names):
    """Pairs with these beside them."""
    rows = np.arange(6)
    makes = {
        "negatives": np.zeros((6, 2), np.int64),
        "scores": np.zeros((6, 3), np.float32),
        "teacher": (np.eye(6), np.eye(6)),
        "guide": (None, None),
    }
    return Examples(rows, rows, **{name: makes[name] for name in names})


TEMPERATURE = Temperature(0.07)


def built(*names, bias=None, **options):
    return build_objective(TrainingOptions(**options), TEMPERATURE, given(*names), dimension=8, bias=bias)


def kl():
    return DistillKl(TEMPERATURE, teacher_temperature=0.1)


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (lambda: built(), lambda: InfoNce(TEMPERATURE)),
        (lambda: built("guide", debias=0.3), lambda: InfoNce(TEMPERATURE, debias=0.3)),
        (lambda: built(objective="sigmoid"), lambda: Sigmoid(TEMPERATURE)),
        (lambda: built(objective="sigmoid", bias=-3.0), lambda: Sigmoid(TEMPERATURE, bias=-3.0)),
        (lambda: built(objective="margin", margin=0.1), lambda: AdditiveMargin(TEMPERATURE, margin=0.1)),
        (lambda: built("negatives", "scores", objective="margin-mse"), lambda: MarginMse()),
        (lambda: built("teacher", objective="distill", teacher_temperature=0.1), kl),
        (lambda: built("negatives", "scores", objective="distill", teacher_temperature=0.1), kl),
        (lambda: built(matryoshka=(4, 2)), lambda: Matryoshka(InfoNce(TEMPERATURE), [2, 4, 8])),
        (lambda: built(matryoshka=(4, 8)), lambda: Matryoshka(InfoNce(TEMPERATURE), [4, 8])),
    ],
)
def test_an_objective_is_the_one_named(batch, objective, expected):
    torch.testing.assert_close(objective()(batch), expected()(batch))


def test_a_teacher_is_weighed_beside_and_structure_added(batch):
    found = built("teacher", "guide", teacher_weight=0.3, teacher_temperature=0.1, structure=2.0, matryoshka=(4,))
    inner = [Matryoshka(one, [4, 8])(batch) for one in (kl(), InfoNce(TEMPERATURE))]
    torch.testing.assert_close(found(batch), 0.3 * inner[0] + 0.7 * inner[1] + 2.0 * Structure()(batch))


def test_the_temperature_is_one_everywhere():
    found = built("teacher", matryoshka=(4,), structure=0.0)
    assert [p is TEMPERATURE.log_scale for p in found.parameters()] == [True]
    assert found.scalars() == {"temperature": pytest.approx(0.07)}
    assert built(objective="sigmoid", matryoshka=(4,), bias=-2.0).scalars()["bias"] == -2.0


@pytest.mark.parametrize(
    ("options", "names", "message"),
    [
        ({"objective": "margin-mse"}, (), "'margin-mse' needs negatives: read_pairs"),
        ({"objective": "margin-mse"}, ("negatives",), "'margin-mse' needs a teacher's scores"),
        ({"objective": "distill"}, (), "'distill' needs a teacher space"),
        ({"debias": 0.5}, (), "needs features of frozen encoders"),
        ({"structure": 1.0}, (), "needs features of frozen encoders"),
        ({"matryoshka": (4, 9, 16)}, (), r"matryoshka sizes \[9, 16\] exceed the space's 8 dimensions"),
        ({"mix": 1.0}, ("negatives",), "mixing of features has no place for given negatives"),
    ],
)
def test_what_is_missing_or_does_not_fit(options, names, message):
    with pytest.raises(TrainingError, match=message):
        built(*names, **options)
