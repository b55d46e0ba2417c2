"""Own words added to the expansion, and the masks of expansion control."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from pairspace.projectors import Echo
from pairspace.training import Expansion, OwnWords
from pairspace.training.own_words import FOLDED

COUNTS = sparse.csr_array(np.array([[2, 0, 0, 0, 1], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]], np.float32))  # 4 terms


def test_masks_of_whole_batches_leave_own_words_only():
    words = OwnWords(COUNTS, 4, expansion=Expansion("texts", rate=1.0))
    weights = torch.rand(2, 4) + 1
    found = words.apply(weights, np.array([1, 0]), training=True)
    torch.testing.assert_close(found, weights * torch.tensor([[0, 1, 1, 0], [1, 0, 0, 0]]))
    torch.testing.assert_close(words.apply(weights, np.array([1, 0]), training=False), weights)


def test_masks_of_words_keep_own_ones_and_others_as_often_as_said():
    words = OwnWords(sparse.csr_array(np.eye(1, 2000, dtype=np.float32)), 2000, expansion=Expansion("words", rate=0.3))
    found = words.apply(torch.ones(1, 2000), np.array([0]), training=True)
    assert found[0, 0] == 1 and float(found.mean()) == pytest.approx(0.7, abs=0.05)


def test_the_probability_falls_to_zero_before_the_end():
    control = Expansion("texts")
    seen = []
    for control.share in (0.0, 0.475, 0.95, 1.0):
        seen.append(control.probability)
    assert seen == pytest.approx([1.0, 0.5, 0.0, 0.0])
    assert control.allowed(torch.zeros(2, 3, dtype=torch.bool)) is None


def test_an_echo_adds_own_words_to_the_same_values_as_outside_training():
    echo = Echo(4)
    torch.nn.init.normal_(echo.log_weights)
    words = OwnWords(COUNTS, 4, echo=echo)
    rows = np.array([0, 2, 1])
    found = words.apply(torch.zeros(3, 4), rows, training=True)
    assert found.shape == (3, 4 + FOLDED)
    outside = words.rows(rows).toarray()
    np.testing.assert_allclose(found[:, :5].detach().numpy(), outside, rtol=1e-6)
    found.sum().backward()
    assert echo.log_weights.grad is not None and bool((echo.log_weights.grad[[0, 1, 2, 4]] != 0).all())


def test_two_unknown_words_of_one_fold_add_up():
    counts = sparse.csr_array((np.ones(2, np.float32), [1, 1 + FOLDED], [0, 2]), shape=(1, 1 + 2 * FOLDED))
    echo = Echo(1)
    words = OwnWords(counts, 1, echo=echo)
    found = words.apply(torch.zeros(1, 1), np.array([0]), training=False)
    assert float(found.detach().sum()) == pytest.approx(float(words.rows(np.array([0])).sum()), rel=1e-6)
    assert int((found > 0).sum()) == 1
