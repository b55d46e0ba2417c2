"""Seismic beside Edge: quick where nothing was written since `optimise`, right always."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from pairspace.errors import IndexingError
from pairspace.index import Index
from pairspace.neighbours import normalise, top_k

pytest.importorskip("seismic")

COUNT, WIDTH = 2000, 300


class Words:
    """A sparse space whose vectors are made elsewhere."""

    name, fingerprint, language, fusion_weight, sparse = "words", "0" * 32, "english", 0.5, True
    sides, query_side, document_side, dimension = ("title", "body"), "title", "body", 5_000_000


@pytest.fixture(scope="module")
def vectors():
    """Twenty terms each, near those of one of forty topics; ids far apart, as unknown words have."""
    rng = np.random.default_rng(0)
    topics = np.array([rng.permutation(WIDTH)[:60] for _ in range(40)])
    chosen = np.array([rng.permutation(topics[i % 40])[:20] for i in range(COUNT)])
    columns = np.sort(chosen, 1) * 16_000 + 7
    made = (rng.random((COUNT, 20)).astype(np.float32).ravel(), columns.ravel(), np.arange(0, COUNT * 20 + 1, 20))
    return normalise(sparse.csr_array(made, shape=(COUNT, Words.dimension)))


@pytest.fixture
def index(vectors, tmp_path):
    with Index.create(tmp_path / "index", Words(), engine="seismic") as index:
        payload = [{"shelf": i % 4} for i in range(COUNT)]
        index.add([str(i) for i in range(COUNT)], vectors=vectors, payload=payload)
        yield index


def answers(index, queries, **how):
    return [[int(hit.id) for hit in hits] for hits in index.search(queries, k=10, **how)]


def recall(found, exact):
    return np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, exact.tolist(), strict=True)])


def test_nearly_all_of_the_best_are_found_and_scores_are_the_dot_products(index, vectors, capfd):
    queries = vectors[:100]
    exact = top_k(queries, vectors, 10, similarity="dot")
    index.optimise()
    assert "sparse" in index._engine._quick
    assert recall(answers(index, queries), exact.indices) > 0.97
    assert answers(index, queries, exact=True) == exact.indices.tolist()
    best = [hits[0].score for hits in index.search(queries, k=1)]
    np.testing.assert_allclose(best, exact.scores[:, 0], atol=1e-3)
    assert index.search(queries[[3]], k=1)[0][0].payload == {"shelf": 3}
    assert capfd.readouterr().out == ""


def test_filters_are_kept(index, vectors):
    index.optimise()
    assert {hit.payload["shelf"] for hit in index.search(vectors[[5]], k=20, filter={"shelf": 1})[0]} == {1}


def test_what_is_written_is_found_at_once_and_what_is_deleted_never(index, vectors):
    index.optimise()
    index.add(["new"], vectors=vectors[[7]])
    assert not index._engine._quick
    assert {hit.id for hit in index.search(vectors[[7]], k=2)[0]} == {"7", "new"}
    index.optimise()
    assert {hit.id for hit in index.search(vectors[[7]], k=2)[0]} == {"7", "new"}
    index.delete(["7"])
    assert index.search(vectors[[7]], k=1)[0][0].id == "new"


def test_opened_again_it_is_as_quick_and_a_broken_off_removal_leaves_nothing(index, vectors, tmp_path):
    index.optimise()
    before = answers(index, vectors[:20])
    index.close()
    with Index.open(tmp_path / "index", Words()) as again:
        assert again._engine._quick and answers(again, vectors[:20]) == before
        assert again.info()["engine"] == "seismic"
    (tmp_path / "index" / "engine.seismic" / "fields.json").unlink()  # as a kill in the middle of a write would
    with Index.open(tmp_path / "index", Words()) as again:
        assert not again._engine._quick
        assert answers(again, vectors[:20]) == top_k(vectors[:20], vectors, 10, similarity="dot").indices.tolist()
        again.optimise()
        assert again._engine._quick


def test_queries_of_unknown_terms_find_nothing(index):
    index.optimise()
    query = sparse.csr_array(([1.0], [3], [0, 1]), shape=(1, Words.dimension))
    assert index.search(query, k=5) == [[]]


def test_dense_spaces_and_unknown_engines_are_refused(space, tmp_path):
    with pytest.raises(IndexingError, match="sparse spaces"):
        Index.create(tmp_path / "a", space, engine="seismic")
    with pytest.raises(IndexingError, match="edge, seismic"):
        Index.create(tmp_path / "a", Words(), engine="lucene")
    assert not (tmp_path / "a").exists()


def test_without_the_package_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "seismic", None)
    with pytest.raises(IndexingError, match=r"pairspace\[seismic\]"):
        Index.create(tmp_path / "a", Words(), engine="seismic")


@pytest.mark.parametrize("count", [1, 5, 11])
def test_few_items_are_found_as_by_exact_products(vectors, tmp_path, count):
    few = vectors[:count]
    with Index.create(tmp_path / "few", Words(), engine="seismic") as index:
        index.add([str(i) for i in range(count)], vectors=few)
        index.optimise()
        assert index._engine._quick
        for row in range(count):
            assert index.search(few[[row]], k=5)[0][0].id == str(row)


def test_items_that_share_no_term_are_not_found(vectors, tmp_path):
    alone = sparse.csr_array(([1.0], [3], [0, 1]), shape=(1, Words.dimension), dtype=np.float32)
    empty = sparse.csr_array((1, Words.dimension), dtype=np.float32)
    with Index.create(tmp_path / "some", Words(), engine="seismic") as index:
        index.add([str(i) for i in range(300)], vectors=vectors[:300])
        index.add(["alone", "empty"], vectors=sparse.vstack([alone, empty], format="csr"))
        index.optimise()
        assert [hit.id for hit in index.search(alone, k=10)[0]] == ["alone"]
        found = {hit.id for hits in index.search(vectors[:300], k=100) for hit in hits}
        assert "empty" not in found and len(found) == 300


@pytest.mark.parametrize("name", ["fields.json", "0/terms.npy", "0/keys.npy"])
def test_damaged_files_are_left_aside_and_made_again(index, vectors, tmp_path, name, caplog):
    index.optimise()
    index.close()
    path = tmp_path / "index" / "engine.seismic" / name
    path.write_bytes(path.read_bytes()[:20])
    with Index.open(tmp_path / "index", Words()) as again:
        assert not again._engine._quick and "until the next optimise" in caplog.text
        assert again.search(vectors[[4]], k=1)[0][0].id == "4"
        again.optimise()
        assert again._engine._quick


def test_more_terms_than_two_bytes_number(tmp_path):
    rng = np.random.default_rng(0)
    count, width = 660, 100  # Seismic takes a time that grows with the square of the terms
    columns = np.sort(rng.permutation(count * width).reshape(count, width), 1)
    weights = rng.random(columns.size).astype(np.float32) + 0.1
    many = sparse.csr_array((weights, columns.ravel(), np.arange(0, columns.size + 1, width)), (count, Words.dimension))
    assert len(np.unique(columns)) > 1 << 16
    with Index.create(tmp_path / "many", Words(), engine="seismic") as index:
        index.add([str(i) for i in range(count)], vectors=many)
        index.optimise()
        found = [hits[0].id for hits in index.search(many[::10], k=1)]
    assert found == [str(row) for row in range(0, count, 10)]
