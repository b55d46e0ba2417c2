from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pairspace.errors import TrainingError
from pairspace.objectives import InfoNce
from pairspace.training import FrozenBranch, Tower
from pairspace.training.batches import Batches
from pairspace.training.validation import Score, Validation


@pytest.mark.parametrize("kind", ["linear", "residual"])
def test_training_finds_what_was_planted(planted, kind):
    problem = planted(kind=kind)
    history = problem.train(options={"epochs": 30})
    before, after = history.records[0], history.records[history.best_epoch]
    assert before["epoch"] == 0 and before["validation_R@1"] < 0.1
    assert after["validation_R@1"] > 0.5
    assert history.column("loss")[-1] < 0.5 * history.column("loss")[0]


def test_a_seed_repeats_a_run_exactly_and_another_seed_does_not(planted):
    first, second, third = (planted(kind="residual") for _ in range(3))
    one, two = first.train(), second.train()
    third.train(options={"seed": 4})
    assert first.has_the_weights_of(second)
    assert planted.without_times(one) == planted.without_times(two)
    assert not first.has_the_weights_of(third)


def test_the_random_numbers_of_others_are_left_alone_and_do_not_matter(planted):
    first, second = planted(kind="residual"), planted(kind="residual")
    torch.manual_seed(1)
    first.train()
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(1))
    torch.manual_seed(2)
    second.train()
    assert first.has_the_weights_of(second)


def test_projectors_hold_the_best_weights_and_training_stops_when_patience_is_out(planted, monkeypatch):
    problem, seen = planted(), []
    scores = iter([0.1, 0.2, 0.5, 0.3, 0.5, 0.4, 0.9])  # before training, then an epoch each; an equal one is no better

    def score(self, *vectors):
        seen.append(problem.weights())
        return Score(0.0, next(scores))

    monkeypatch.setattr(Validation, "score_of", score)
    history = problem.train(options={"epochs": 20, "patience": 3})
    assert [r["epoch"] for r in history.records] == [0, 1, 2, 3, 4, 5]
    assert history.best_epoch == 2
    best = problem.weights()
    assert all(torch.equal(best[name], value) for name, value in seen[2].items())
    assert not torch.equal(best["0.linear.weight"], seen[5]["0.linear.weight"])
    assert not any(p.training for p in problem.projectors)


def test_a_perfect_score_does_not_stop_what_can_still_be_learnt(planted, monkeypatch):
    problem = planted()
    scores = iter([0.8, 1.0, 1.0, 1.0, 1.0, 0.9, 0.9])
    monkeypatch.setattr(Validation, "score_of", lambda self, *vectors: Score(0.0, next(scores)))
    history = problem.train(options={"epochs": 20, "patience": 2})
    assert history.best_epoch == 4 and history.records[-1]["epoch"] == 6


def test_where_training_only_harms_the_start_is_kept(planted, monkeypatch):
    problem = planted()
    scores = iter([0.9] + [0.1] * 9)
    start = problem.weights()
    monkeypatch.setattr(Validation, "score_of", lambda self, *vectors: Score(0.0, next(scores)))
    history = problem.train(options={"patience": 2})
    assert history.best_epoch == 0
    assert all(torch.equal(problem.weights()[name], value) for name, value in start.items())


def test_without_validation_the_last_weights_are_kept(planted):
    problem, last = planted(held_out=0), []
    history = problem.train(options={"patience": 1}, after_epoch=lambda h: last.append(problem.weights()))
    assert history.best_epoch == len(last) == 6
    assert "validation_R@1" not in history.records[-1]
    assert all(torch.equal(problem.weights()[name], value) for name, value in last[-1].items())


def test_an_exception_leaves_the_best_weights_so_far(planted):
    problem, seen = planted(held_out=0), []

    def stop(history):
        seen.append(problem.weights())
        if history.best_epoch == 2:
            with torch.no_grad():
                problem.projectors[0].linear.weight.fill_(7)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        problem.train(after_epoch=stop)
    assert all(torch.equal(problem.weights()[name], value) for name, value in seen[1].items())


@pytest.fixture
def batches(monkeypatch):
    """Every batch that the objective was given."""
    seen, real = [], InfoNce.loss
    monkeypatch.setattr(InfoNce, "loss", lambda self, batch: seen.append(batch) or real(self, batch))
    return seen


@pytest.mark.parametrize(("pairs", "size", "sizes"), [(100, 50, [50, 50]), (101, 50, [34, 34, 33]), (9, 50, [9])])
def test_every_pair_is_seen_once_an_epoch_in_even_batches(planted, batches, pairs, size, sizes):
    problem, notes = planted(n=pairs, held_out=0), []
    history = problem.train(options={"epochs": 2, "batch_size": size}, after_epoch=notes.append)
    assert history is notes[0]
    assert sorted(map(len, batches)) == sorted(sizes * 2)
    seen = [[batch.ids[0].numpy() for batch in some] for some in (batches[: len(sizes)], batches[len(sizes) :])]
    for epoch in seen:
        assert sorted(np.concatenate(epoch)) == list(range(pairs))
    assert not np.array_equal(*map(np.concatenate, seen))
    expected = Batches((problem.examples.query, problem.examples.document), batch_size=size, seed=3).epoch(2)
    assert all((a == b).all() for a, b in zip(seen[1], expected, strict=True))


def test_no_batch_is_a_single_pair(planted, batches):
    planted(n=7, held_out=0).train(options={"epochs": 1, "batch_size": 2})
    assert sorted(map(len, batches)) == [2, 2, 3]


def test_a_shared_projector_trains_and_resumes(planted, rows, tmp_path):
    def shared():
        problem = planted(held_out=0)
        projector = problem.projectors[0]
        problem.towers = (problem.towers[0], Tower([FrozenBranch(rows(problem.sides[0][:, ::-1].copy()), projector)]))
        return problem

    whole, stopped, resumed = shared(), shared(), shared()
    whole.train()
    with pytest.raises(KeyboardInterrupt):
        stopped.train(checkpoint=tmp_path, after_epoch=_stop_at(3))
    resumed.train(checkpoint=tmp_path, resume=True)
    assert whole.has_the_weights_of(resumed)


def _stop_at(epoch):
    def stop(history):
        if len(history.records) > epoch:
            raise KeyboardInterrupt

    return stop


def test_temperature_is_clamped_after_every_step(planted):
    problem = planted()
    history = problem.train(options={"learning_rate": 3.0, "weight_decay": 0.0})
    assert min(history.column("temperature")) >= 0.01 * (1 - 1e-6)
    assert max(history.column("temperature")) <= 1 + 1e-6


def test_a_fixed_temperature_stays(planted):
    problem = planted()
    problem.temperature.log_scale.requires_grad_(False)
    assert set(problem.train().column("temperature")) == {problem.temperature.value}


def test_nothing_to_train_is_said(planted):
    problem = planted()
    for parameter in [*problem.temperature.parameters(), *(p for m in problem.projectors for p in m.parameters())]:
        parameter.requires_grad_(False)
    with pytest.raises(TrainingError, match="nothing to train"):
        problem.train()


def test_a_loss_that_is_no_number_is_told_with_place_and_remedy(planted, monkeypatch):
    problem, calls = planted(), []
    real = problem.towers[0].vectors

    def spoilt(rows, mix=None):
        calls.append(1)
        return real(rows, mix) * (math.nan if len(calls) == 5 else 1)

    monkeypatch.setattr(problem.towers[0], "vectors", spoilt)
    with pytest.raises(TrainingError, match=r"loss became nan in epoch 2, step 2.*smaller learning rate than 0\.02"):
        problem.train()
    assert all(value.isfinite().all() for value in problem.weights().values())


def test_weights_that_the_last_step_spoils_are_noticed(planted, monkeypatch):
    problem = planted(held_out=0)
    start = problem.weights()
    monkeypatch.setattr(
        "torch.optim.AdamW.step",
        lambda self, closure=None: self.param_groups[0]["params"][0].data.fill_(math.inf),
    )
    with pytest.raises(TrainingError, match=r"weights became NaN or infinite in epoch 1.*smaller learning rate"):
        problem.train(options={"batch_size": 120})
    assert all(torch.equal(problem.weights()[name], value) for name, value in start.items())
