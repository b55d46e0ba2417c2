from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from pairspace.neighbours import Bm25
from pairspace.projectors import Echo


def test_both_sides_weights_multiply_to_bm25():
    texts = ["play chess on a board", "chess engine", "a board of directors and a board game", "music"]
    bm25 = Bm25(language="english").fit(texts)
    hashed = bm25.documents(texts)
    ids = np.unique(hashed.indices)
    counts = bm25.queries(texts, idf=False)
    counts = sparse.csr_array((counts.data, np.searchsorted(ids, counts.indices), counts.indptr), (4, len(ids) + 5))
    echo = Echo(len(ids))
    echo.start(counts)
    weights = echo.weigh(counts)
    expected = sparse.csr_array((hashed.data, np.searchsorted(ids, hashed.indices), hashed.indptr), counts.shape)
    idf = np.append(bm25.idf(ids), np.zeros(5))
    np.testing.assert_allclose(weights.toarray(), expected.toarray() * np.sqrt(idf), rtol=1e-5, atol=1e-7)
    assert float(echo.average) == pytest.approx(bm25.average_length)


def test_unknown_words_share_the_weight_of_a_word_seen_once():
    counts = sparse.csr_array(np.array([[1, 0, 1, 0], [1, 1, 0, 1]], np.float32))
    echo = Echo(2)
    echo.start(counts)
    weights = echo.weigh(counts).toarray()
    once = np.log1p((2 - 1 + 0.5) / 1.5) ** 0.5
    saturated = 1 / (1 + 1.2 * (0.25 + 0.75 * np.array([2, 3]) / 2.5))  # each word stands once
    expected = counts.toarray()[:, 2:] * saturated[:, None] * once
    np.testing.assert_allclose(weights[:, 2:], expected, rtol=1e-6)


def test_the_scale_multiplies_every_weight_and_nothing_is_learnt_by_gradient():
    counts = sparse.csr_array(np.array([[1, 0, 3, 0]], np.float32))
    echo = Echo(2)
    before = echo.weigh(counts).toarray()
    echo.scale.fill_(0.25)
    np.testing.assert_allclose(echo.weigh(counts).toarray(), 0.25 * before, rtol=1e-6)
    assert not list(echo.parameters())
