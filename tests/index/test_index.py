from __future__ import annotations

import json
import shutil
import sys
import types

import numpy as np
import pyarrow as pa
import pytest

from pairspace.errors import IndexingError, ShapeError, StorageError
from pairspace.index import Hit, Index
from pairspace.neighbours import Ranking, reciprocal_rank_fusion, top_k, zscore_fusion

IDS = ["chess", "edit", "engine", "cc", "numbers", "music"]


@pytest.fixture
def full(index, texts):
    index.add(IDS, texts, payload=[{"section": "ab"[i % 2], "year": 2000 + i} for i in range(6)])
    return index


def ids(hits):
    return [hit.id for hit in hits]


def test_one_query_gives_a_list_and_several_give_lists(full):
    hits = full.search("play chess", k=2)
    assert hits[0] == Hit(
        "chess", hits[0].score, {"section": "a", "year": 2000, "text": "play chess against the computer"}
    )
    assert full.search(["play chess", "edit text"], k=2)[0] == hits
    assert full.search([]) == []


def test_exact_search_is_the_product_of_vectors(full, space, texts):
    queries = ["play chess", "programs for music", "functions"]
    expected = top_k(space.encode(queries, side="title"), space.encode(texts, side="body"), 6)
    for hits, scores, order in zip(full.search(queries, k=6, exact=True), *expected, strict=True):
        assert ids(hits) == [IDS[i] for i in order]
        np.testing.assert_allclose([hit.score for hit in hits], scores, atol=1e-6)


def test_vectors_can_be_asked_with(full, space):
    vector = space.encode(["play chess"], side="title")
    assert full.search(vector[0], k=3) == full.search("play chess", k=3)
    assert full.search(vector.astype(np.float64), k=3) == [full.search("play chess", k=3)]
    with pytest.raises(ShapeError, match="dimension 16, the query has 3"):
        full.search(np.ones(3, np.float32))
    with pytest.raises(IndexingError, match="NaN"):
        full.search(np.full(16, np.nan))
    with pytest.raises(IndexingError, match="ask with texts"):
        full.search(vector, mode="bm25")


def test_queries_are_encoded_as_the_other_side_and_stay_out_of_the_cache(full, space, tmp_path):
    space.asked.clear()
    full.search(["a", "b"])
    full.search("a", side="body")
    assert space.asked == [("title", 2, False), ("body", 1, False)]
    with Index.create(tmp_path / "titles", space, side="title") as titles:
        titles.add(["x"], ["play chess"])
        space.asked.clear()
        titles.search("chess")
    assert space.asked == [("body", 1, False)]


def test_adding_an_id_again_replaces_it(full):
    assert full.add(["chess", "new"], ["sort numbers", "chess"], payload=[{"n": 1}, {}]) == 2
    assert len(full) == 7
    assert full.get("chess") == {"n": 1, "text": "sort numbers"}
    assert "chess" not in ids(full.search("chess", k=10, mode="bm25"))
    assert full.update(["new"], ["music"]) == 1 and len(full) == 7


def test_delete_counts_and_forgets(full):
    assert full.delete(["chess", "chess", "nobody"]) == 1
    assert full.delete("edit") == 1
    assert len(full) == 4 and "chess" not in full and "music" in full
    assert set(full) == {"engine", "cc", "numbers", "music"}
    assert "chess" not in ids(full.search("play chess", k=10))


def test_get_keeps_order_and_says_what_is_missing(full):
    assert [p and p["year"] for p in full.get(["music", "nobody", "chess"])] == [2005, None, 2000]
    assert full.get("nobody") is None


def test_filters_narrow_count_and_search(full):
    assert full.count() == 6
    assert full.count({"section": "a"}) == 3
    assert full.count({"section": ["a", "c"], "year": {"gte": 2001, "lt": 2004}}) == 1
    assert ids(full.search("play chess", filter={"!section": "a"}, k=10)) != []
    assert {h.payload["section"] for h in full.search("play chess", filter={"!section": "a"}, k=10)} == {"b"}
    assert ids(full.search("chess", mode="bm25", filter={"year": 2002})) == ["engine"]
    assert ids(full.search("chess", mode="hybrid", filter={"year": 2002})) == ["engine"]


def test_whole_numbers_are_ids_and_come_back_as_texts(index):
    index.add([1, 20], ["play chess", "edit text"])
    assert set(index) == {"1", "20"} and 1 in index and "1" in index
    assert index.get(20)["text"] == "edit text"
    assert index.delete(np.array([1])) == 1


def test_arrow_in(index):
    table = pa.table({"year": [2001, 2002], "tags": [["a", "b"], []]})
    index.add(pa.array(["x", "y"]), pa.chunked_array([["play chess"], ["edit text"]]), payload=table, batch_size=1)
    assert index.get("x") == {"year": 2001, "tags": ["a", "b"], "text": "play chess"}
    assert index.count({"tags": "b"}) == 1


def test_given_vectors_are_stored_as_they_are(tmp_path, space):
    vectors = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    with Index.create(tmp_path / "i", space) as index:
        assert index.add(range(5), vectors=vectors, batch_size=2) == 5
        assert ids(index.search(vectors[3] * 7, k=1)) == ["3"]
        assert index.get("3") == {}
        assert space.asked == []


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"ids": ["a", "b"], "items": ["x"]}, ShapeError, "2 ids, but 1 items"),
        ({"ids": ["a"], "items": ["x"], "payload": []}, ShapeError, "1 ids, but 0 payload rows"),
        ({"ids": ["a", "a"], "items": ["x", "y"]}, IndexingError, "row 0 and in row 1"),
        ({"ids": ["a", "b"], "items": ["x", None]}, IndexingError, "row 1: a text is needed"),
        ({"ids": ["a"]}, IndexingError, "this index holds their words"),
        ({"ids": ["a"], "items": ["x"], "vectors": np.ones((2, 16))}, ShapeError, "1 ids, but 2 vectors"),
        ({"ids": ["a"], "items": ["x"], "vectors": np.ones((1, 3))}, ShapeError, "dimension 16 is needed"),
        ({"ids": ["a"], "items": ["x"], "vectors": np.full((1, 16), np.inf)}, IndexingError, "row 0 holds NaN"),
        ({"ids": ["a"], "items": ["x"], "vectors": {"other": np.ones((1, 16))}}, IndexingError, "vectors for dense"),
        ({"ids": ["a", "b"], "items": ["x", "y"], "payload": [{}, {"v": b"x"}]}, IndexingError, "row 1, field 'v'"),
    ],
)
def test_what_cannot_be_added_is_refused_before_anything_is_written(index, arguments, error, words):
    with pytest.raises(error, match=words):
        index.add(**arguments, batch_size=1)
    assert len(index) == 0
    index.add(["a"], ["x"])
    assert len(index) == 1


def test_nothing_added_is_nothing(index):
    assert index.add([], []) == 0
    assert len(index) == 0 and bool(index) and list(index) == [] and index.search("x") == []
    index.optimise()


def test_the_best_passage_counts(tmp_path, space):
    long = "edit text files now compile programs written well play chess against computers"
    with Index.create(tmp_path / "i", space, passages=True, text=True) as index:
        index.add(["long", "short"], [long, "music formats numbers many"])
        hit = index.search("play chess against computers", k=1)[0]
        assert (hit.id, hit.payload["text"]) == ("long", long)
        assert hit.score == pytest.approx(1, abs=1e-6)  # the third passage alone, not the mean of three
        assert len(index) == 2
        index.add(["given"], ["two"], vectors=[space.encode(["one passage", "another thing"], side="body")])
        assert index.search("another thing", k=1)[0].id == "given"


def test_several_spaces_are_several_modes(tmp_path, make_space, texts):
    a, b = make_space("a"), make_space("b", seed=1, dimension=8, sides=("question", "body"))
    with Index.create(tmp_path / "i", {"dense": a, "other": b}) as index:
        index.add(IDS, texts)
        assert index.search(texts[0], k=1, mode="other")[0].id == "chess"
        assert b.asked[-1][0] == "question"
        with pytest.raises(IndexingError, match=r"no mode 'bm25'; it has: dense, other, hybrid \(words are indexed by"):
            index.search("chess", mode="bm25")
        with pytest.raises(IndexingError, match=r"vectors dense, other: give vectors="):
            index.add(["x"], vectors=np.ones((1, 16)))
    with Index.open(tmp_path / "i", {"other": b}) as index:
        assert index.search(texts[0], k=1, mode="other")[0].id == "chess"
    with pytest.raises(IndexingError, match=r"no vectors named third; it has: dense, other"):
        Index.open(tmp_path / "i", {"third": b})


@pytest.mark.parametrize("weight", [None, 0.7])
def test_hybrid_is_the_fusion_of_both_lists(tmp_path, make_space, texts, weight):
    space = make_space(fusion_weight=weight)
    with Index.create(tmp_path / "i", space, text=True) as index:
        index.add(IDS, texts)
        lists = []
        for mode in ("dense", "bm25"):
            hits = index.search("play chess programs", mode=mode, k=100)
            lists.append(Ranking(np.array([[h.score for h in hits]]), np.array([[IDS.index(h.id) for h in hits]])))
        fused = reciprocal_rank_fusion(lists, 4) if weight is None else zscore_fusion(lists, [weight, 1 - weight], 4)
        hits = index.search("play chess programs", mode="hybrid", k=4)
        np.testing.assert_allclose([h.score for h in hits], fused.scores[0], atol=1e-6)
        if weight is not None:
            assert ids(hits) == [IDS[i] for i in fused.indices[0]]


def test_words_alone_need_no_space(tmp_path, texts):
    with Index.create(tmp_path / "i", text=True, language="de") as index:
        index.add(IDS, texts)
        assert ids(index.search("against computers")) == ["chess"]
        for mode in ("dense", "hybrid"):
            with pytest.raises(IndexingError, match=f"no mode '{mode}'; it has: bm25"):
                index.search("chess", mode=mode)
    with Index.open(tmp_path / "i") as index:
        assert index.info()["text"]["language"] == "de"


def test_text_can_be_left_out(tmp_path, space):
    with Index.create(tmp_path / "i", space, store_text=False) as index:
        index.add(["a"], ["play chess"], payload=[{"text": "something else"}])
        assert index.get("a") == {"text": "something else"}


def test_k_and_mode_are_checked(full):
    with pytest.raises(IndexingError, match="k must be 1 or more"):
        full.search("x", k=0)
    with pytest.raises(IndexingError, match=r"no mode 'sparse'; it has: dense, bm25, hybrid$"):
        full.search("x", mode="sparse")
    assert len(full.search("play chess", k=1000)) == 6


def test_reopening_gives_the_same(full, space):
    before = full.search(["play chess", "music"], mode="hybrid")
    full.optimise()
    full.close()
    with Index.open(full.path, space) as index:
        assert index.search(["play chess", "music"], mode="hybrid") == before
        assert len(index) == 6


def test_another_space_is_refused_and_both_are_named(full, space, make_space):
    full.close()
    other = make_space("other", seed=3)
    with pytest.raises(IndexingError) as error:
        Index.open(full.path, other)
    for part in ("'fake'", space.fingerprint, "'other'", other.fingerprint):
        assert part in str(error.value)
    Index.open(full.path, space).close()  # and it was not left locked


def test_the_space_is_found_where_it_was_saved(tmp_path, make_space, texts, monkeypatch):
    saved = tmp_path / "space"
    saved.mkdir()
    space = make_space(path=saved)
    with Index.create(tmp_path / "index", space) as index:
        index.add(IDS, texts)
    opened = []
    loader = types.SimpleNamespace(from_pretrained=lambda path: opened.append(path) or space)
    monkeypatch.setitem(sys.modules, "pairspace.space", types.SimpleNamespace(Space=loader))
    moved = tmp_path / "moved"
    moved.mkdir()
    saved.rename(moved / "space")
    (tmp_path / "index").rename(moved / "index")
    with Index.open(moved / "index") as index:
        assert len(index) == 6 and opened == []
        assert index.search("play chess", k=1)[0].id == "chess"
        assert opened == [(moved / "space").resolve()]
    loader.from_pretrained = lambda path: make_space("retrained", seed=9)
    with Index.open(moved / "index") as index, pytest.raises(IndexingError, match="not with 'retrained'"):
        index.search("play chess")
    shutil.rmtree(moved / "space")
    with Index.open(moved / "index") as index, pytest.raises(IndexingError, match=r"is no longer at .*space"):
        index.search("play chess")


def test_a_space_that_was_never_saved_must_be_given(full):
    full.close()
    with Index.open(full.path) as index:
        assert set(ids(index.search("chess", mode="bm25"))) == {"chess", "engine"}
        with pytest.raises(IndexingError, match=r"'fake' .* was never saved: give it to Index.open"):
            index.search("chess")


def test_closed_is_closed(full):
    full.close()
    full.close()
    for use in (
        lambda: full.search("x"),
        lambda: full.add(["a"], ["b"]),
        lambda: len(full),
        lambda: list(full),
        full.info,
    ):
        with pytest.raises(IndexingError, match="is closed"):
            use()


def test_opening_again_in_the_same_process_takes_over(full, space):
    full.delete("chess")
    again = Index.open(full.path, space)
    assert len(again) == 5
    with pytest.raises(IndexingError, match="is closed"):
        len(full)
    full.close()  # closing twice does no harm, neither to the other
    assert len(again) == 5
    new = Index.create(full.path, space, overwrite=True)
    assert len(new) == 0
    new.close()


def test_create_leaves_what_is_there_alone(full, space, tmp_path):
    full.close()
    with pytest.raises(StorageError, match="exists already"):
        Index.create(full.path, space)
    with Index.create(full.path, space, overwrite=True) as index:
        assert len(index) == 0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(StorageError, match=r"no manifest\.json, so it is left alone"):
        Index.create(tmp_path / "mine", space, overwrite=True)


def test_a_failed_create_leaves_nothing(tmp_path, space, monkeypatch):
    def fail(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("pairspace.index.manifest.Manifest.write", fail)
    with pytest.raises(KeyboardInterrupt):
        Index.create(tmp_path / "i", space)
    assert list(tmp_path.iterdir()) == []


def test_create_needs_something_to_index_by(tmp_path, space, make_space):
    with pytest.raises(IndexingError, match="needs a space, or text=True"):
        Index.create(tmp_path / "i")
    with pytest.raises(IndexingError, match="no side 'caption'; it has title, body"):
        Index.create(tmp_path / "i", space, side="caption")
    with pytest.raises(IndexingError, match="other than 'bm25' and 'hybrid'"):
        Index.create(tmp_path / "i", {"bm25": space})


def test_a_damaged_index_says_what_is_missing(full, space):
    full.close()
    shutil.rmtree(full.path / "engine")
    with pytest.raises(IndexingError, match="missing or incomplete"):
        Index.open(full.path, space)
    with pytest.raises(IndexingError, match="no such folder"):
        Index.open(full.path / "none")


def test_info_tells_what_it_is(full):
    info = full.info()
    assert info["items"] == 6 and info["bytes"] > 0 and info["path"] == str(full.path)
    assert info["spaces"] == {
        "dense": {
            "name": "fake",
            "fingerprint": full.manifest.spaces["dense"].fingerprint,
            "side": "body",
            "dimension": 16,
        }
    }
    assert json.loads(json.dumps(info)) == info
