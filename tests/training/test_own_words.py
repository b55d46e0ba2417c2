"""The masks of expansion control."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from pairspace.training import Expansion, OwnWords
from pairspace.training.own_words import draw_masks

COUNTS = sparse.csr_array(np.array([[2, 0, 0, 0, 1], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]], np.float32))  # 4 terms


def drawn(level, **how):
    control = Expansion(level, **how)
    control.draw(np.random.default_rng(0))
    return control


def test_masks_of_whole_batches_leave_own_words_only():
    words = OwnWords(COUNTS, 4, drawn("texts", rate=1.0))
    assert words.allowed(np.array([1, 0])).tolist() == [[False, True, True, False], [True, False, False, False]]
    assert OwnWords(COUNTS, 4, drawn("texts", rate=0.0)).allowed(np.array([1, 0])) is None


def test_a_batch_is_masked_as_a_whole_and_as_often_as_said():
    control, rng, seen = Expansion("texts", rate=0.3), np.random.default_rng(0), []
    words = OwnWords(COUNTS, 4, control)
    for _ in range(400):
        control.draw(rng)
        chunks = [words.allowed(np.array([row])) is not None for row in (0, 1)]
        assert chunks[0] == chunks[1]
        seen.append(chunks[0])
    assert np.mean(seen) == pytest.approx(0.3, abs=0.06)


def test_of_two_sides_one_is_masked_at_a_time():
    sides, rng = [Expansion("texts", rate=1.0), Expansion("words", rate=1.0)], np.random.default_rng(0)
    seen = []
    for _ in range(200):
        draw_masks(sides, rng)
        assert sides[0].masks != sides[1].masks
        seen.append(sides[0].masks)
    assert np.mean(seen) == pytest.approx(0.5, abs=0.1)
    draw_masks(sides[:1], rng)
    assert sides[0].masks
    draw_masks([], rng)


def test_masks_of_words_keep_own_ones_and_others_as_often_as_said():
    words = OwnWords(sparse.csr_array(np.eye(1, 2000, dtype=np.float32)), 2000, drawn("words", rate=0.3))
    found = words.allowed(np.array([0])).float()
    assert found[0, 0] == 1 and float(found.mean()) == pytest.approx(0.7, abs=0.05)


def test_the_probability_falls_to_zero_before_the_end():
    control = Expansion("texts")
    seen = []
    for control.share in (0.0, 0.475, 0.95, 1.0):
        seen.append(control.probability)
    assert seen == pytest.approx([1.0, 0.5, 0.0, 0.0])
    control.draw(np.random.default_rng(0))
    assert control.allowed(torch.zeros(2, 3, dtype=torch.bool)) is None
