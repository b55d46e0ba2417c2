"""The measures of sparse spaces against their definitions, pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from pairspace.evaluation.sparsity import (
    exact_at_k,
    jaccard,
    overlap_flops,
    semantic_at_k,
    top_terms,
    vocabulary_share,
)


def made(n, terms, seed, share=0.4):
    rng = np.random.default_rng(seed)
    return sparse.csr_array((rng.random((n, terms)) * (rng.random((n, terms)) < share)).astype(np.float32))


def test_flops_are_the_terms_that_a_pair_shares():
    queries, documents = made(5, 9, 0), made(7, 9, 1)
    there, here = queries.toarray() > 0, documents.toarray() > 0
    right = np.mean([(one & other).sum() for one in there for other in here])
    assert overlap_flops(queries, documents) == pytest.approx(right)
    assert overlap_flops(queries[:0], documents) == 0


def test_share_of_the_vocabulary_counts_terms_only():
    vectors = sparse.csr_array(np.array([[1, 0, 0, 1], [0, 0, 2, 1]], np.float32))
    assert vocabulary_share(vectors, 4) == 0.75
    assert vocabulary_share(vectors, 3) == pytest.approx(2 / 3)  # the last column is no term


def test_jaccard_tends_to_the_mean_over_all_pairs():
    vectors = made(6, 12, 2)
    there = vectors.toarray() > 0
    pairs = [(i, j) for i in range(6) for j in range(6) if i != j]
    right = np.mean([(there[i] & there[j]).sum() / max(1, (there[i] | there[j]).sum()) for i, j in pairs])
    assert jaccard(vectors, pairs=50_000) == pytest.approx(right, abs=0.01)
    assert np.isnan(jaccard(vectors[:1]))


def test_top_terms_and_exact_at_k():
    vectors = sparse.csr_array(np.array([[0, 3, 1, 2], [0, 0, 0, 5], [0, 0, 0, 0]], np.float32))
    own = sparse.csr_array(np.array([[0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 0]], np.float32))
    assert top_terms(vectors, 2).tolist() == [[1, 3], [3, -1], [-1, -1]]
    assert exact_at_k(vectors, own, 2) == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)


def test_semantic_at_k_is_the_cosine_with_the_nearest_own_word():
    table = np.array([[1, 0], [0, 2], [1, 1]], np.float32)
    vectors = sparse.csr_array(np.array([[0, 0, 1], [0, 1, 2]], np.float32))
    own = sparse.csr_array(np.array([[1, 0, 0, 7], [0, 1, 0, 0]], np.float32))  # column 3 is an unknown word
    half = 0.5**0.5
    assert semantic_at_k(vectors, own, 2, table) == pytest.approx((half + (1 + half) / 2) / 2)
    assert np.isnan(semantic_at_k(sparse.csr_array((2, 3), dtype=np.float32), own, 2, table))
