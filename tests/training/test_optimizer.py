"""AdamW's groups and the schedule."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pairspace.errors import TrainingError
from pairspace.objectives import InfoNce, Temperature
from pairspace.training import FrozenBranch, Tower, TrainingOptions
from pairspace.training.optimizer import make_optimizer, schedule, set_rate


def test_learning_rate_rises_then_falls_as_half_a_cosine():
    options = TrainingOptions(learning_rate=1.0, warmup=0.2)
    rates = [schedule(options, step, 10) for step in range(10)]
    assert rates[:3] == pytest.approx([0.5, 1.0, 1.0])
    assert rates[6] == pytest.approx(0.5)  # half way down, from step 2 to step 10
    assert rates[2:] == sorted(rates[2:], reverse=True) and rates[-1] > 0


def test_one_step_in_all_has_the_whole_rate():
    assert schedule(TrainingOptions(learning_rate=1.0, warmup=0.0), 0, 1) == 1.0


def test_a_shared_projector_is_counted_once_and_vectors_do_not_decay(planted, rows):
    problem = planted()
    shared = problem.projectors[0]
    towers = [Tower([FrozenBranch(rows(problem.sides[0]), shared)]) for _ in range(2)]
    objective = InfoNce(problem.temperature)
    decayed, *others = make_optimizer(towers, objective, TrainingOptions(weight_decay=0.1)).param_groups
    assert [p is shared.linear.weight for p in decayed["params"]] == [True]
    plain = [p for group in others for p in group["params"]]
    assert sorted(map(id, plain)) == sorted([id(shared.linear.bias), id(problem.temperature.log_scale)])
    assert decayed["weight_decay"] == 0.1 and {group["weight_decay"] for group in others} == {0.0}


class Live:
    """A branch with an encoder in training."""

    def __init__(self, projector: nn.Module, module: nn.Module, rate: float) -> None:
        self.projector, self.encoder_module, self.encoder_rate = projector, module, rate


@pytest.mark.parametrize(("asked", "expected"), [(None, 5e-5), (0.25, 0.25)])
def test_each_part_has_its_own_rate_and_all_follow_one_schedule(asked, expected):
    tower = Tower([Live(nn.Linear(3, 2), nn.Linear(5, 3), 5e-5)])
    options = TrainingOptions(learning_rate=0.5, encoder_learning_rate=asked)
    optimizer = make_optimizer([tower], InfoNce(Temperature()), options)
    base = {id(p): group["base"] for group in optimizer.param_groups for p in group["params"]}
    branch = tower.branches[0]
    assert [base[id(p)] for p in branch.projector.parameters()] == [0.5, 0.5]
    assert [base[id(p)] for p in branch.encoder_module.parameters()] == [expected, expected]
    set_rate(optimizer, 0.1)
    assert [group["lr"] for group in optimizer.param_groups] == [
        pytest.approx(0.1 * g["base"]) for g in optimizer.param_groups
    ]


def test_what_is_frozen_is_left_out(planted):
    problem = planted()
    problem.temperature.log_scale.requires_grad_(False)
    problem.projectors[0].requires_grad_(False)
    groups = make_optimizer(problem.towers, InfoNce(problem.temperature), TrainingOptions()).param_groups
    found = {id(p) for group in groups for p in group["params"]}
    assert found == {id(p) for p in problem.projectors[1].parameters()}


def test_a_temperature_alone_is_nothing_to_train(planted, rows):
    towers = [Tower([FrozenBranch(rows(torch.eye(4).numpy()), nn.Identity())])] * 2
    with pytest.raises(TrainingError, match=r"nothing to train: .*train_encoders=, --train-encoder"):
        make_optimizer(towers, InfoNce(planted().temperature), TrainingOptions())
