"""Sparse vectors in an index: as right as exact products, pruned, asked in two stages, beside dense ones."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from scipy import sparse

from pairspace.errors import IndexingError, PairspaceError, ShapeError
from pairspace.index import Index
from pairspace.neighbours import prune, top_k


@pytest.fixture
def words(fitted_space):
    return fitted_space("words")


@pytest.fixture
def bodies(shuffled):
    return shuffled.items("body").to_pylist()


def ids(count):
    return [f"b{n}" for n in range(count)]


def test_given_vectors_are_found_as_by_exact_products(words, tmp_path):
    rng = np.random.default_rng(0)
    width = words.dimension
    columns = np.sort(rng.integers(0, 200, (500, 30)), 1)
    vectors = sparse.csr_array(
        (rng.random(500 * 30).astype(np.float32), columns.ravel(), np.arange(0, 15_001, 30)), shape=(500, width)
    )
    vectors.sum_duplicates()
    queries = vectors[rng.integers(0, 500, 20)]
    exact = top_k(queries, vectors, 10, similarity="dot")
    with Index.create(tmp_path / "index", words, side="body") as index:
        index.add(ids(500), vectors=vectors)
        for hits, scores, found in zip(index.search(queries, k=10), exact.scores, exact.indices, strict=True):
            assert [hit.score for hit in hits] == pytest.approx(scores[: len(hits)], rel=1e-4)
            assert [hit.id for hit in hits[:3]] == [f"b{n}" for n in found[:3]]


def test_pruned_vectors_keep_the_largest_weights_and_cost_little(words, bodies, tmp_path):
    full = words.encode(bodies, side="body")
    with Index.create(tmp_path / "index", words, side="body", mass=0.8, terms=4) as index:
        index.add(ids(len(bodies)), bodies)
        assert index.manifest.pruning == {"mass": 0.8, "count": 4}
        hits = index.search(bodies[3], k=5, side="body")
    kept = prune(full[[3]], mass=0.8, count=4)
    assert kept.nnz < full[[3]].nnz
    best = next(hit for hit in hits if hit.id == "b3")
    assert best.score == pytest.approx(float((full[[3]] @ kept.T).toarray()[0, 0]), rel=1e-3)


def test_given_vectors_are_pruned_too_and_left_as_they_were(words, tmp_path):
    given = sparse.csr_array(([0.0, 0.5, 0.25, 0.25, 0.1], [0, 1, 2, 2, 3], [0, 5]), shape=(1, words.dimension))
    with Index.create(tmp_path / "index", words, side="body", terms=2) as index:
        index.add(["b0"], vectors=given)
        index.optimise()
        assert given.nnz == 5 and given.data.tolist() == [0.0, 0.5, 0.25, 0.25, 0.1]
        one = sparse.csr_array(([1.0, 1.0, 1.0], [1, 2, 3], [0, 3]), shape=(1, words.dimension))
        (hits,) = index.search(one, k=1)
        assert hits[0].score == pytest.approx(1.0)
        assert index.search(sparse.coo_array(one).reshape(-1), k=1)[0].id == "b0"
        with pytest.raises(IndexingError, match="negative weights"):
            index.add(["b1"], vectors=-given)


def own_part(space, query):
    """The part of a query's vector that stands for its own words, dense."""
    vector, terms = space.encode([query], side="title").toarray()[0], len(space.lexicon)
    vector[:terms] *= space.lexicon.counts([query]).toarray()[0, :terms] > 0  # behind the terms are own words
    return vector


@pytest.mark.parametrize("kind", ["words", "words from nothing"])
def test_two_stages_find_by_own_words_and_score_by_all(kind, fitted_space, bodies, tmp_path):
    words = fitted_space(kind)
    query = next(q for q in bodies if 0 < np.count_nonzero(own_part(words, q)) < words.encode([q], side="title").nnz)
    own = own_part(words, query)
    weights = dict(zip(ids(len(bodies)), (words.encode(bodies, side="body") @ own), strict=True))
    with Index.create(tmp_path / "index", words, side="body") as index:
        index.add(ids(len(bodies)), bodies)
        full = {hit.id: hit.score for hit in index.search(query, k=len(bodies))}
        found = index.search(query, k=len(bodies), expansion="none")
        for hit in found:
            assert hit.score == pytest.approx(weights[hit.id], rel=1e-4)
        assert any(hit.score < full[hit.id] - 1e-3 for hit in found)
        again = index.search(query, k=5, expansion="rescore")
        for hit in again:
            assert hit.score == pytest.approx(full[hit.id], rel=1e-4)
        with pytest.raises(IndexingError, match="only texts have words of their own"):
            index.search(words.encode([query]), expansion="rescore")
        with pytest.raises(IndexingError, match="expansion must be one of"):
            index.search(query, expansion="some")


def test_an_item_without_terms_is_told_and_found_by_nothing(words, tmp_path, caplog):
    with Index.create(tmp_path / "index", words, side="body") as index, caplog.at_level(logging.WARNING):
        index.add(["a", "b"], vectors=sparse.csr_array((2, words.dimension), dtype=np.float32))
        index.add(["c"], ["play chess"])
        assert len(index) == 3
        assert "a" not in [hit.id for hit in index.search("play chess", k=3)]


def test_dense_queries_on_a_sparse_index_and_the_other_way_are_refused(words, fitted_space, tmp_path):
    with Index.create(tmp_path / "index", words, side="body") as index:
        with pytest.raises(IndexingError, match="holds sparse vectors: ask with texts"):
            index.search(np.ones(8, np.float32))
        with pytest.raises(ShapeError, match="dimension"):
            index.search(sparse.csr_array((1, 3), dtype=np.float32))
        with pytest.raises(IndexingError, match="give a SciPy CSR matrix"):
            index.add(["a"], vectors=np.ones((1, 8), np.float32))
        with pytest.raises(ShapeError, match="is needed"):
            index.add(["a"], vectors=sparse.csr_array((1, 3), dtype=np.float32))
        bad = sparse.csr_array(([np.nan], [2], [0, 1]), shape=(1, words.dimension), dtype=np.float32)
        with pytest.raises(IndexingError, match="row 0 holds NaN"):
            index.add(["a"], vectors=bad)
    with (
        Index.create(tmp_path / "dense", fitted_space("frozen"), side="body") as index,
        pytest.raises(IndexingError, match="holds dense vectors"),
    ):
        index.search(sparse.csr_array((1, 32), dtype=np.float32))
    with pytest.raises(PairspaceError, match="pruning keeps"):
        Index.create(tmp_path / "never", words, side="body", mass=0.0)
    assert not (tmp_path / "never").exists()


def test_dense_sparse_and_words_in_one_index_fused_as_asked(words, fitted_space, bodies, tmp_path):
    spaces = {"dense": fitted_space("frozen"), "sparse": words}
    with Index.create(tmp_path / "index", spaces, side="body", text=True) as index:
        index.add(ids(len(bodies)), bodies)
        found = {}
        for mode in ("dense", "sparse", "bm25", "dense+sparse", "sparse+bm25", "hybrid"):
            found[mode] = [hit.id for hit in index.search("play chess against the computer", k=5, mode=mode)]
        assert len({tuple(one) for one in found.values()}) > 3
        with pytest.raises(IndexingError, match="no mode 'other'"):
            index.search("chess", mode="dense+other")
    with Index.open(tmp_path / "index", spaces) as index:
        assert [h.id for h in index.search("play chess against the computer", k=5, mode="hybrid")] == found["hybrid"]


def test_of_passages_each_term_has_its_largest_weight(words, tmp_path):
    long = (
        "play chess against the computer. " * 4 + "a game of cards with friends. " * 4 + "music for gnome files. " * 4
    )
    passages, _ = words.split_passages([long], "body")
    assert len(passages) > 1
    parts = words.encode(passages, side="body")
    expected = parts.max(0).tocsr() if hasattr(parts.max(0), "tocsr") else sparse.csr_array(parts.max(0))
    with Index.create(tmp_path / "index", words, side="body", passages=True) as index:
        index.add(["a"], [long])
        [hit] = index.search(words.encode(["chess music"]), k=1)[0]
    query = words.encode(["chess music"])
    score = float((query @ sparse.csr_array(expected.reshape(1, -1)).T).toarray()[0, 0])
    assert hit.score == pytest.approx(score, rel=1e-3)
