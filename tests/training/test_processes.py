"""Several processes that train one model; all of them run on this machine, over gloo."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pairspace.errors import TrainingError
from pairspace.training import Processes, loop
from pairspace.training.checkpoint import NAME


def test_one_process_is_alone():
    alone, part = Processes(), torch.randn(3, 2)
    assert alone.first and alone.count == 1
    assert alone.share(np.arange(5)).tolist() == [0, 1, 2, 3, 4]
    assert alone.gather(part, 3) is part and alone.tell("it") == "it"
    layer = nn.Linear(2, 2)
    alone.add_gradients([layer])
    alone.wait()
    alone.leave()
    assert layer.weight.grad is None


def talk(conftest):
    processes = Processes.join()
    mine = processes.share(np.arange(5))
    gathered = processes.gather(torch.from_numpy(mine).float()[:, None].expand(-1, 2) + 1, 5)
    layer = nn.Linear(2, 1)
    fixed, unused, once = (nn.Parameter(torch.zeros(3)) for _ in range(3))
    fixed.requires_grad_(False)
    module = nn.Module()
    module.layer, module.again = layer, layer
    module.register_parameter("fixed", fixed)
    module.register_parameter("unused", unused)
    module.register_parameter("once", once)
    layer.weight.grad = torch.full_like(layer.weight, 10.0 ** (processes.rank + 1))
    layer.bias.grad = torch.ones(1)
    if processes.rank == 1:
        once.grad = torch.full((3,), 7.0)
    processes.add_gradients([module, layer])
    told = processes.tell({"score": 0.5} if processes.first else None)
    processes.wait()
    processes.leave()
    return {
        "who": (processes.rank, processes.count, processes.first),
        "share": mine.tolist(),
        "gathered": gathered.tolist(),
        "gradients": [p.grad if p.grad is None else p.grad.tolist() for p in (layer.weight, layer.bias, once, unused)],
        "told": told,
    }


def test_shares_are_gathered_gradients_are_summed_and_the_first_is_heard(together):
    ended = together(talk, count=3)
    assert [one.code for one in ended] == [0, 0, 0]
    results = [one.result for one in ended]
    assert [one["who"] for one in results] == [(0, 3, True), (1, 3, False), (2, 3, False)]
    assert [one["share"] for one in results] == [[0, 1], [2, 3], [4]]
    for one in results:
        assert one["gathered"] == [[n + 1.0] * 2 for n in range(5)]
        assert one["gradients"] == [[[1110.0, 1110.0]], [3.0], [7.0, 7.0, 7.0], None]
        assert one["told"] == {"score": 0.5}


def problem_of(conftest, n=101):
    """Pairs in an odd number, so that shares are unequal; some items twice."""
    problem = conftest.Problem(n=n)
    problem.examples.query[:10] = problem.examples.query[10:20]
    return problem


def whole_run(conftest, folder):
    processes = Processes.join()
    problem, seen = problem_of(conftest), []
    history = problem.train(
        options={"matryoshka": (4,)},
        processes=processes,
        checkpoint=Path(folder) / str(processes.rank),
        after_epoch=lambda h: seen.append(1),
    )
    return problem.weights(), problem.without_times(history), len(seen), history.notes


def test_a_run_of_two_is_the_run_of_one(planted, together, tmp_path):
    ended = together(whole_run, str(tmp_path))
    assert [one.code for one in ended] == [0, 0]
    (weights, records, calls, notes), (others, theirs, none, _) = (one.result for one in ended)
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert records == theirs and (calls, none) == (6, 0)
    assert (tmp_path / "0" / NAME).exists() and not (tmp_path / "1").exists()  # the first alone writes
    alone = problem_of(type("one", (), {"Problem": planted}))
    history = alone.train(options={"matryoshka": (4,)})
    for name, value in alone.weights().items():
        torch.testing.assert_close(weights[name], value, atol=1e-5, rtol=1e-4)
    assert history.notes == notes
    for ours, expected in zip(records, planted.without_times(history), strict=True):
        assert ours == pytest.approx(expected, abs=1e-4)


def killed_run(conftest, folder, victim):
    """The victim kills itself in the middle of the fourth epoch."""
    processes, real, epochs = Processes.join(), loop._Run._update, []

    def update(self, rows, rng, where):
        epochs.append(self.epoch)
        if processes.rank == victim and epochs.count(3) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, rows, rng, where)

    loop._Run._update = update
    problem_of(conftest).train(processes=processes, checkpoint=Path(folder))


def resumed_run(conftest, folder):
    problem = problem_of(conftest)
    history = problem.train(processes=Processes.join(), checkpoint=Path(folder), resume=True)
    return problem.weights(), problem.without_times(history)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize("victim", [0, 1])
def test_where_one_is_killed_the_others_say_so_and_all_go_on_bit_for_bit(planted, together, tmp_path, victim):
    ended = together(killed_run, str(tmp_path / "run"), victim)
    assert ended[victim].code == -signal.SIGKILL
    assert ended[1 - victim].code == 2
    message = ended[1 - victim].err
    assert message.startswith("another process of this run ended or cannot be reached (")
    assert message.endswith("The last checkpoint is whole: start all of them again with resume=True (--resume)\n")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [NAME]
    (weights, records), (others, _) = (one.result for one in together(resumed_run, str(tmp_path / "run")))
    assert [record["epoch"] for record in records] == list(range(7))
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    (whole, expected), _ = (one.result for one in together(resumed_run, str(tmp_path / "new")))
    assert records == expected
    assert all(torch.equal(weights[name], whole[name]) for name in whole)


def test_others_that_cannot_be_reached_are_told_before_anything_starts(monkeypatch):
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(TrainingError, match="that 2 processes train together, but MASTER_ADDR, MASTER_PORT is not set"):
        Processes.join()
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert Processes.join().count == 1
