from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from pairspace.training import FrozenBranch, History, Tower
from pairspace.training.watch import describe_chance, describe_collapse


def tower(features):
    return Tower([FrozenBranch(features, nn.Identity())])


def towers(rows, spread):
    values = np.random.default_rng(0).normal(size=(200, 8))
    shifted = np.concatenate([np.full((200, 1), 1.0), spread * values], axis=1)
    return tower(rows(shifted)), tower(rows(values))


def test_a_side_whose_items_all_lie_close_has_collapsed(rows):
    (note,) = describe_collapse(*towers(rows, spread=0.03))
    assert "unrelated items of the query side have a mean cosine of 0.99" in note


def test_a_healthy_space_gets_no_note(rows):
    assert describe_collapse(*towers(rows, spread=5.0)) == []
    assert describe_chance(History([{"epoch": 1, "loss": 0.5}]), 50) == []


def test_a_loss_at_chance_says_that_the_sides_seem_unrelated():
    history = History([{"epoch": 1, "loss": math.log(50)}])
    (note,) = describe_chance(history, 50)
    assert "still at chance (ln 50 = 3.91)" in note and "row i" in note


def test_the_mean_cosine_leaves_out_an_item_with_itself(rows):
    orthogonal = tower(rows(np.eye(12)))
    assert describe_collapse(orthogonal, orthogonal) == []


def test_pairs_dealt_at_random_are_noted(planted):
    problem = planted(n=200, held_out=0)
    problem.examples.document[:] = np.random.default_rng(1).permutation(200)
    history = problem.train(options={"epochs": 1, "learning_rate": 1e-5, "batch_size": 100})
    assert any("still at chance" in note for note in history.notes)


@pytest.mark.parametrize("options", [{"objective": "sigmoid"}, {"matryoshka": (4,)}, {"mix": 1.0}])
def test_chance_is_known_for_infonce_alone(planted, options):
    problem = planted(n=200, held_out=0)
    problem.examples.document[:] = np.random.default_rng(1).permutation(200)
    history = problem.train(options={"epochs": 1, "learning_rate": 1e-5, "batch_size": 100} | options)
    assert not any("chance" in note for note in history.notes)


def test_a_batch_that_holds_all_pairs_is_noted(planted):
    history = planted(held_out=0).train(options={"epochs": 1, "batch_size": 121})
    assert history.notes[0] == (
        "batch_size 121 is more than the 120 pairs there are, so an epoch is a single step over all of them; "
        "a smaller batch makes more steps"
    )
    history = planted(held_out=0).train(options={"epochs": 1, "batch_size": 120})
    assert not any("batch_size" in note for note in history.notes)


def test_a_projector_that_collapses_while_training_is_noted(planted):
    problem = planted(held_out=0)
    with torch.no_grad():
        problem.projectors[1].linear.bias.fill_(1e4)
    history = problem.train(options={"epochs": 1, "learning_rate": 1e-6})
    assert any("collapse" in note and "document side" in note for note in history.notes)
