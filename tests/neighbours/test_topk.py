from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from pairspace.errors import FeatureError, PairspaceError, ShapeError
from pairspace.neighbours import top_k


def _plain(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Sort everything; the lower index first among equals."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, 1), order


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pairspace.neighbours.topk._BLOCK", 7)
    monkeypatch.setattr("pairspace.neighbours.topk._CELLS", 40)


# Small whole numbers: exact products, and ties everywhere, also across blocks and across the k-th place.
_matrices = st.tuples(st.integers(1, 9), st.integers(1, 40), st.integers(1, 12), st.integers(0, 2**32 - 1))


@settings(max_examples=150, deadline=None)
@given(_matrices, st.sampled_from([1, 3, 1024]), st.booleans())
def test_equals_sorting_everything(shape: tuple[int, int, int, int], chunk: int, in_torch: bool):
    n, m, k, seed = shape
    draw = np.random.default_rng(seed)
    queries = draw.integers(-2, 3, (n, 2)).astype(np.float32)
    documents = draw.integers(-2, 3, (m, 2)).astype(np.float32)
    kind = torch.from_numpy if in_torch else np.asarray
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pairspace.neighbours.topk._BLOCK", 7)
        ranking = top_k(kind(queries), kind(documents), k, similarity="dot", chunk=chunk)
    scores, order = _plain(queries @ documents.T, k)
    width = min(k, m)
    assert ranking.indices.dtype == np.int64 and ranking.scores.dtype == np.float32
    assert np.array_equal(ranking.indices[:, :width], order)
    assert np.array_equal(ranking.scores[:, :width], scores)
    assert (ranking.indices[:, width:] == -1).all() and np.isneginf(ranking.scores[:, width:]).all()


@settings(max_examples=100, deadline=None)
@given(_matrices)
def test_sparse_finds_what_shares_a_column(shape: tuple[int, int, int, int]):
    n, m, k, seed = shape
    draw = np.random.default_rng(seed)
    queries, documents = (draw.integers(0, 3, (rows, 4)) * (draw.random((rows, 4)) < 0.4) for rows in (n, m))
    far = np.array([5, 9, 2**31, 2**32 - 1])  # columns as hashes are

    def hashed(dense: np.ndarray) -> sparse.csr_array:
        rows = sparse.csr_array(dense.astype(np.float32))
        return sparse.csr_array((rows.data, far[rows.indices], rows.indptr), shape=(len(dense), 2**32))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pairspace.neighbours.topk._CELLS", 40)
        ranking = top_k(hashed(queries), hashed(documents), k, similarity="dot")
    expected = (queries @ documents.T).astype(np.float32)
    for row in range(n):
        found = [(-score, index) for index, score in enumerate(expected[row]) if score > 0]
        wanted = [index for _, index in sorted(found)[:k]]
        assert ranking.indices[row].tolist() == wanted + [-1] * (k - len(wanted))
        assert ranking.scores[row, : len(wanted)].tolist() == expected[row, wanted].tolist()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_best_passage_counts(kind: str):
    draw = np.random.default_rng(0)
    queries, passages = draw.random((5, 6)).astype(np.float32), draw.random((30, 6)).astype(np.float32)
    owners = np.sort(draw.integers(0, 9, 30))
    owners[owners == 4] = 5  # a document without any passage is never found
    scores = np.full((5, 9), -np.inf, np.float32)
    for passage, owner in enumerate(owners):
        scores[:, owner] = np.maximum(scores[:, owner], queries @ passages[passage])
    make = sparse.csr_array if kind == "sparse" else np.asarray
    ranking = top_k(make(queries), make(passages), 9, similarity="dot", owners=owners)
    present = len(np.unique(owners))
    assert np.array_equal(ranking.indices[:, :present], _plain(scores, present)[1])
    np.testing.assert_allclose(ranking.scores[:, :present], _plain(scores, present)[0], rtol=1e-6)
    assert (ranking.indices[:, present:] == -1).all()


def test_cosine_ignores_length_and_is_zero_for_zeros():
    documents = np.array([[0, 0], [10, 0], [0.1, 0.1]], np.float16)
    ranking = top_k(np.array([[1.0, 0.0]]), documents, 3)
    assert ranking.indices.tolist() == [[1, 2, 0]]
    assert ranking.scores[0] == pytest.approx([1, np.sqrt(0.5), 0], abs=1e-4)
    ranking = top_k(sparse.csr_array([[1.0, 0.0]]), sparse.csr_array(documents.astype(np.float32)), 3)
    assert ranking.indices.tolist() == [[1, 2, -1]]


@pytest.mark.usefixtures("small_blocks")
def test_reads_a_memory_map_and_leaves_the_inputs_alone(tmp_path):
    documents = np.arange(60, dtype=np.float32).reshape(20, 3)
    np.save(tmp_path / "d.npy", documents)
    mapped = np.load(tmp_path / "d.npy", mmap_mode="r")
    assert top_k(documents[:2] + 1, mapped, 1, similarity="dot").indices.tolist() == [[19], [19]]
    top_k(documents, documents, 2)
    assert np.array_equal(documents, mapped)


def test_nothing_to_search():
    assert top_k(np.ones((2, 3)), np.ones((0, 3)), 2).indices.tolist() == [[-1, -1], [-1, -1]]
    assert top_k(np.ones((0, 3)), np.ones((2, 3)), 2).scores.shape == (0, 2)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"k": 0}, PairspaceError, "k=0"),
        ({"similarity": "l2"}, PairspaceError, "'l2'"),
        ({"documents": np.ones((4, 5))}, ShapeError, "queries have dimension 3, documents 5"),
        ({"documents": np.ones(3)}, ShapeError, r"documents must be a matrix .*\(3,\)"),
        ({"documents": sparse.csr_array(np.ones((4, 3)))}, PairspaceError, "both be CSR"),
        ({"owners": np.array([0, 1, 0, 2])}, ShapeError, "never fall"),
        ({"owners": np.array([0, 1])}, ShapeError, "4 ids"),
        ({"queries": np.array([[1, 1, 1], [1, np.nan, 1]])}, FeatureError, "query 1"),
    ],
)
def test_bad_input(change: dict, error: type, message: str):
    arguments = {"queries": np.ones((2, 3)), "documents": np.ones((4, 3)), "k": 1, "similarity": "dot"} | change
    with pytest.raises(error, match=message):
        top_k(arguments.pop("queries"), arguments.pop("documents"), arguments.pop("k"), **arguments)
