"""Searches corrected for hubs: as `corrected_top_k` finds with the hubs of the reference, after every change."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from pairspace.errors import IndexingError, PairspaceError, ShapeError
from pairspace.index import Index
from pairspace.index import hubs as hubs_module
from pairspace.index.records import HUBS, ID
from pairspace.neighbours import top_k
from pairspace.neighbours.hubness import Hubs, correct, corrected_top_k, find_hubs

KINDS = ("csls", "margin")
DIMENSION = 16


def unit(rng, count):
    """Vectors with a common part, so that there are hubs."""
    rows = rng.normal(size=(count, DIMENSION)) + rng.normal(size=DIMENSION)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def terms(rng, count, width):
    rows = sparse.csr_array((rng.random((count, 30)) * (rng.random((count, 30)) < 0.4)).astype(np.float32))
    rows = sparse.csr_array((rows.data, rows.indices, rows.indptr), shape=(count, width))
    norms = np.maximum(sparse.linalg.norm(rows, axis=1), 1e-9)
    return sparse.csr_array((rows.data / np.repeat(norms, np.diff(rows.indptr)), rows.indices, rows.indptr), rows.shape)


def names(rows):
    return [f"d{row}" for row in rows]


def assert_right(index, queries, documents, reference, rows, k=5):
    """The index holds these documents under the names of their rows; a few, so that all are candidates."""
    r = find_hubs(reference, documents).right
    for kind in KINDS:
        left = find_hubs(queries, documents).left
        expected = corrected_top_k(queries, documents, k, kind=kind, hubs=Hubs(left, r))
        for hits, scores, found in zip(index.search(queries, k=k, similarity=kind), *expected, strict=True):
            assert [hit.score for hit in hits] == pytest.approx(scores.tolist(), abs=2e-3)
            assert [hit.id for hit in hits] == names(rows[i] for i in found)


@pytest.fixture
def drawn():
    rng = np.random.default_rng(3)
    # in half precision already, so that what is stored is exactly what was given
    reference = unit(rng, 60).astype(np.float16).astype(np.float32)
    return unit(rng, 80), unit(rng, 8), reference


def test_the_order_is_that_of_corrected_top_k(space, drawn, tmp_path):
    documents, queries, reference = drawn
    with Index.create(tmp_path / "index", space, reference=reference) as index:
        index.add(names(range(80)), vectors=documents, batch_size=32)
        assert_right(index, queries, documents, reference, range(80))
        plain = index.search(queries, k=5)
        assert [[hit.id for hit in hits] for hits in plain] != [
            [hit.id for hit in hits] for hits in index.search(queries, k=5, similarity="csls")
        ]
        assert plain == index.search(queries, k=5, similarity="cosine")
        assert index.search(queries[0], similarity="csls") == index.search(queries[:1], similarity="csls")[0]


def test_changes_and_reopening_leave_it_right(space, drawn, tmp_path):
    documents, queries, reference = drawn
    with Index.create(tmp_path / "index", space, reference=reference) as index:
        index.add(names(range(50)), vectors=documents[:50])
    with Index.open(tmp_path / "index", space) as index:
        index.add(names(range(40, 70)), vectors=documents[50:])  # ten of them replaced
        index.delete(names(range(5)))
        index.optimise()
        now = np.concatenate([documents[5:40], documents[50:]])
        assert_right(index, queries, now, reference, range(5, 70))
    with Index.open(tmp_path / "index", space) as index:
        assert_right(index, queries, now, reference, range(5, 70))


def test_sparse_items_are_corrected_too(fitted_space, tmp_path):
    space = fitted_space("words")
    rng = np.random.default_rng(5)
    documents, queries, reference = (terms(rng, n, space.dimension) for n in (70, 6, 40))
    with Index.create(tmp_path / "index", space, side="body", reference=reference) as index:
        index.add(names(range(70)), vectors=documents, batch_size=20)
        assert_right(index, queries, documents, reference, range(70))
        longer = index.search(queries * 7, similarity="csls")  # a query's length says nothing
        for hits, others in zip(longer, index.search(queries, similarity="csls"), strict=True):
            assert [hit.id for hit in hits] == [hit.id for hit in others]
            assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in others], abs=1e-5)
    with Index.open(tmp_path / "index", space) as index:
        index.delete(names(range(10)))
        assert_right(index, queries, documents[10:], reference, range(10, 70))


def test_items_that_share_nothing_with_a_sparse_query_count_as_zero(fitted_space, tmp_path):
    space = fitted_space("words")
    eye = sparse.csr_array((np.ones(12, np.float32), np.arange(12), np.arange(13)), shape=(12, space.dimension))
    with Index.create(tmp_path / "index", space, side="body", reference=eye[:4]) as index:
        index.add(names(range(12)), vectors=eye)
        [hit] = index.search(eye[[0]], similarity="csls")[0]
        assert hit.id == "d0" and hit.score == pytest.approx(2 - 1 / 10 - 1 / 4)
        [hit] = index.search(eye[[8]], similarity="csls")[0]
        assert hit.id == "d8" and hit.score == pytest.approx(2 - 1 / 10)
        index.delete(names(range(5, 12)))
        [hit] = index.search(eye[[0]], similarity="csls")[0]
        assert hit.score == pytest.approx(2 - 1 / 5 - 1 / 4)


def test_seismic_corrects_as_edge_does(fitted_space, tmp_path):
    pytest.importorskip("seismic")
    space = fitted_space("words")
    rng = np.random.default_rng(5)
    documents, queries, reference = (terms(rng, n, space.dimension) for n in (70, 6, 40))
    with Index.create(tmp_path / "index", space, side="body", engine="seismic", reference=reference) as index:
        index.add(names(range(70)), vectors=documents)
        index.optimise()
        found = index.search(queries, k=1, similarity="csls")
        exact = index.search(queries, k=1, similarity="csls", exact=True)
        assert [hits[0].id for hits in found] == [hits[0].id for hits in exact]


def test_reference_queries_are_encoded_as_the_asking_side(space, texts, tmp_path):
    asked = ["play chess", "edit text", "sort numbers"]
    for name, side, expected in (("bodies", None, "title"), ("titles", "title", "body")):
        space.asked.clear()
        with Index.create(tmp_path / name, space, side=side, reference=pa.array(asked)) as index:
            assert space.asked == [(expected, 3, True)]
            assert index.info()["reference"] == {"dense": 3}
            index.add(names(range(6)), texts)
            vectors = space.encode(texts, side="body")
            r = top_k(vectors, space.encode(asked, side="title"), 3).scores.mean(1)
            query = space.encode(["music"], side="title")
            own = top_k(query, vectors, 6).scores.mean()
            expected_scores = correct((query @ vectors.T)[0], own, r, "csls")
            hits = index.search("music", k=6, similarity="csls")
            assert {hit.id: hit.score for hit in hits} == pytest.approx(
                dict(zip(names(range(6)), expected_scores.tolist(), strict=True)), abs=2e-3
            )


def test_payloads_stay_clean(space, texts, tmp_path):
    with Index.create(tmp_path / "index", space, text=True, reference=["play chess"]) as index:
        index.add(names(range(6)), texts, payload=[{"n": n} for n in range(6)])
        whole = {"n": 2, "text": texts[2]}
        assert index.get("d2") == whole and index.get(["d2"]) == [whole]
        for how in ({}, {"similarity": "csls"}, {"mode": "bm25"}, {"mode": "hybrid"}):
            hit = next(hit for hit in index.search(texts[2], **how) if hit.id == "d2")
            assert hit.payload == whole
        assert set(index) == set(names(range(6)))
        for reserved in (HUBS, ID):
            with pytest.raises(IndexingError, match=f"row 0: the name '{reserved}' is reserved"):
                index.add(["x"], ["y"], payload=[{reserved: 1}])


def test_filters_hold_for_candidates(space, drawn, tmp_path):
    documents, queries, reference = drawn
    with Index.create(tmp_path / "index", space, reference=reference) as index:
        index.add(names(range(80)), vectors=documents, payload=[{"even": n % 2 == 0} for n in range(80)])
        expected = index.search(queries, k=40, similarity="csls", filter={"even": True})
    with Index.create(tmp_path / "half", space, reference=reference) as index:
        index.add(names(range(0, 80, 2)), vectors=documents[::2])
        found = index.search(queries, k=40, similarity="csls")
    assert [[(hit.id, hit.score) for hit in hits] for hits in found] == [
        [(hit.id, pytest.approx(hit.score)) for hit in hits] for hits in expected
    ]


def test_of_passages_each_query_counts_the_nearest(space, tmp_path):
    texts = ["one two three four five six seven eight nine", "ten eleven twelve", "two four six eight ten twelve one"]
    asked = [f"{a} {b}" for a in ("one", "five", "nine", "twelve") for b in ("two", "six", "ten", "zero")]
    with Index.create(tmp_path / "index", space, passages=True, reference=asked) as index:
        index.add(names(range(3)), texts)
        passages, owners = space.split_passages(texts)
        cosines = space.encode(asked, side="title") @ space.encode(passages, side="body").T
        best = np.stack([cosines[:, owners == one].max(1) for one in range(3)], 1)
        r = -np.sort(-best, axis=0)[:10].mean(0)
        query = space.encode(["six"], side="title") @ space.encode(passages, side="body").T
        scores = np.array([query[0, owners == one].max() for one in range(3)])
        expected = correct(scores, scores.mean(), r, "csls")
        hits = index.search("six", similarity="csls")
        assert {hit.id: hit.score for hit in hits} == pytest.approx(
            dict(zip(names(range(3)), expected.tolist(), strict=True)), abs=2e-3
        )


def test_several_spaces_have_a_reference_each(make_space, texts, tmp_path):
    spaces = {"a": make_space("a", 1), "b": make_space("b", 2, dimension=8)}
    with Index.create(tmp_path / "both", spaces, reference=["play", "edit"]) as index:
        index.add(names(range(6)), texts)
        assert index.info()["reference"] == {"a": 2, "b": 2}
        found = {name: index.search("music", mode=name, similarity="csls") for name in spaces}
    for name, one in spaces.items():
        with Index.create(tmp_path / name, one, reference=["play", "edit"]) as index:
            index.add(names(range(6)), texts)
            assert index.search("music", similarity="csls") == found[name]
    with Index.create(tmp_path / "one", spaces, reference={"b": ["play", "edit"]}) as index:
        index.add(names(range(6)), texts)
        assert index.search("music", mode="b", similarity="csls") == found["b"]
        with pytest.raises(IndexingError, match="without them for 'a'"):
            index.search("music", mode="a", similarity="csls")
    with pytest.raises(IndexingError, match="reference={name: vectors"):
        Index.create(tmp_path / "no", spaces, reference=np.ones((2, 8), np.float32))
    with pytest.raises(IndexingError, match="no vectors named c"):
        Index.create(tmp_path / "no", spaces, reference={"c": ["play"]})


def test_of_many_reference_queries_some_are_drawn_always_the_same(space, monkeypatch, tmp_path):
    monkeypatch.setattr(hubs_module, "_MOST", 5)
    many = [f"word{n}" for n in range(40)]
    kept = []
    for name, given in (("a", many), ("b", many), ("c", space.encode(many, side="title"))):
        with Index.create(tmp_path / name, space, reference=given) as index:
            assert index.manifest.reference == {"dense": {"file": "reference.npy", "queries": 5}}
        kept.append(np.load(tmp_path / name / "reference.npy"))
    assert kept[0].shape == (5, 16) and kept[0].dtype == np.float16
    np.testing.assert_array_equal(kept[0], kept[1])
    np.testing.assert_array_equal(kept[0], kept[2])


def test_what_cannot_be_corrected_says_so(index, space, texts, tmp_path):
    index.add(names(range(6)), texts)
    with pytest.raises(IndexingError, match="needs reference queries.*reference=queries.*--reference FILE"):
        index.search("chess", similarity="csls")
    with pytest.raises(IndexingError, match="one of cosine, csls, margin, got 'dot'"):
        index.search("chess", similarity="dot")
    with Index.create(tmp_path / "with", space, text=True, reference=["play"]) as index:
        with pytest.raises(IndexingError, match="'bm25' has none"):
            index.search("chess", mode="bm25", similarity="csls")
        with pytest.raises(IndexingError, match=r"one field, not of dense\+bm25"):
            index.search("chess", mode="hybrid", similarity="margin")
        with pytest.raises(IndexingError, match="has no mode 'sparse'"):
            index.search("chess", mode="sparse", similarity="margin")
        with pytest.raises(IndexingError, match="whole queries"):
            index.search("chess", similarity="csls", expansion="none")


@pytest.mark.parametrize(
    ("reference", "error", "message"),
    [
        ([], IndexingError, "no queries"),
        ("play", IndexingError, "a list of queries"),
        (np.ones(16, np.float32), IndexingError, "a list of queries"),
        (["play", None], IndexingError, "row 1"),
        (np.ones((2, 3), np.float32), ShapeError, "dimension 16"),
        (np.full((2, 16), np.nan, np.float32), IndexingError, "NaN"),
        (sparse.csr_array(np.ones((2, 16))), IndexingError, "dense vectors"),
    ],
)
def test_a_bad_reference_leaves_no_index(space, tmp_path, reference, error, message):
    with pytest.raises(error, match=message):
        Index.create(tmp_path / "index", space, reference=reference)
    assert not list(tmp_path.iterdir())


def test_words_alone_have_no_reference(tmp_path):
    with pytest.raises(IndexingError, match="give a space too"):
        Index.create(tmp_path / "index", text=True, reference=["play"])


def test_an_older_manifest_has_no_reference(index, space, tmp_path):
    path = tmp_path / "index" / "manifest.json"
    index.close()
    content = json.loads(path.read_text())
    assert content.pop("reference") == {}
    path.write_text(json.dumps(content))
    with Index.open(tmp_path / "index", space) as opened:
        opened.add(["a"], ["play chess"])
        assert opened.search("chess")[0].payload == {"text": "play chess"}


def test_a_reference_that_is_gone_is_named(space, tmp_path):
    Index.create(tmp_path / "index", space, reference=["play"]).close()
    (tmp_path / "index" / "reference.npy").unlink()
    with Index.open(tmp_path / "index", space) as index, pytest.raises(PairspaceError, match="reference.npy"):
        index.add(["a"], ["play chess"])
