from __future__ import annotations

import math
import random

import bm25s
import numpy as np
import pyarrow as pa
import pytest

from pairspace.errors import PairspaceError
from pairspace.neighbours import TERM_IDS, Bm25, term_id

TEXTS = [
    "The chess engines play chess against each other",
    "A player for music and films",
    "playing the game of go",
    "library of functions for linear algebra",
    "",
    "the of and",
]


def _random_texts(seed: int, count: int, longest: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(f"w{int(draw.paretovariate(0.6))}" for _ in range(draw.randint(1, longest))) for _ in range(count)]


@pytest.mark.parametrize(("k1", "b"), [(1.2, 0.75), (1.5, 0.75), (0.9, 0.0), (2.0, 1.0)])
def test_scores_equal_those_of_bm25s(k1: float, b: float):
    documents, queries = _random_texts(1, 300, 60), _random_texts(2, 40, 8)
    mine = Bm25(None, k1=k1, b=b).fit(documents)
    peer = bm25s.BM25(k1=k1, b=b, method="lucene")
    peer.index(mine.analyse(documents), show_progress=False)
    ranking = mine.search(queries, k=300)
    for row, tokens in enumerate(mine.analyse(queries)):
        known = [token for token in tokens if token in peer.vocab_dict]
        expected = peer.get_scores(known) if known else np.zeros(300)
        found = ranking.indices[row][ranking.indices[row] >= 0]
        scores = np.zeros(300, np.float32)
        scores[found] = ranking.scores[row, : len(found)]
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)
        assert (np.diff(ranking.scores[row, : len(found)]) <= 0).all()


def test_stems_and_stopwords_decide_what_matches():
    bm25 = Bm25("en").fit(TEXTS)
    assert bm25.analyse(TEXTS[:1]) == [["chess", "engin", "play", "chess", "against", "each", "other"]]
    assert bm25.search(["plays"], k=3).indices.tolist() == [
        [2, 0, -1]
    ]  # the shorter text first; "player" is another stem
    assert bm25.search(["the of"], k=1).indices.tolist() == [[-1]]
    assert Bm25(None).fit(TEXTS).search(["plays"], k=1).indices.tolist() == [[-1]]


def test_vectors_are_the_formula():
    bm25 = Bm25(None, k1=1.5, b=0.5).fit(["a a b", "b c", "d"])
    row = bm25.documents(["a a b"])
    values = dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))
    norm = 1.5 * (1 - 0.5 + 0.5 * 3 / 2)  # three terms, two on average
    assert values == pytest.approx({term_id("a"): 2 / (2 + norm), term_id("b"): 1 / (1 + norm)})
    query = bm25.queries(["b b new"])
    values = dict(zip(query.indices.tolist(), query.data.tolist(), strict=True))
    assert values == pytest.approx(
        {term_id("b"): 2 * math.log(1 + 1.5 / 2.5), term_id("new"): math.log(1 + 3.5 / 0.5)}, rel=1e-6
    )
    assert sorted(bm25.queries(["b b new"], idf=False).data.tolist()) == [1.0, 2.0]
    assert row.shape == (1, TERM_IDS) and row.dtype == np.float32


def test_term_ids_never_change():
    # Stored in indexes on disk: another hash would make every one of them unreadable.
    assert [term_id(term) for term in ("chess", "über")] == [2087430884, 2785703251]


def test_terms_of_one_id_count_as_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pairspace.neighbours.bm25.term_id", lambda term: len(term))
    bm25 = Bm25(None).fit(["aa bb", "cc", "ddd"])
    assert bm25.documents(["aa bb"]).nnz == 1
    assert bm25.search(["bb"], k=3).indices.tolist() == [[0, 1, -1]]
    assert bm25.idf(np.array([2]))[0] == pytest.approx(math.log(1 + 1.5 / 2.5))


def test_state_gives_the_same_vectors():
    bm25 = Bm25("de", k1=1.4, b=0.6).fit(["Das Schachspiel", "Spiele mit Schach"])
    again = Bm25.from_state(bm25.state())
    for made in (bm25, again):
        assert made.average_length == 1.5 and (made.k1, made.b, made.language) == (1.4, 0.6, "de")
    for text in ("Schachspiele", "Spiel"):
        assert np.array_equal(again.documents([text]).data, bm25.documents([text]).data)
        assert np.array_equal(again.queries([text]).data, bm25.queries([text]).data)
    with pytest.raises(PairspaceError, match="fit"):
        again.search(["Spiel"])
    with pytest.raises(PairspaceError, match="keep=True"):
        bm25.fit(["x"], keep=False).search(["x"])


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch):
    texts = _random_texts(3, 50, 20)
    whole = Bm25(None).fit(texts)
    monkeypatch.setattr("pairspace.neighbours.bm25._BATCH", 7)
    cut = Bm25(None).fit(pa.chunked_array([texts[:20], texts[20:]]))
    assert {k: np.asarray(v).tolist() for k, v in cut.state().items()} == {
        k: np.asarray(v).tolist() for k, v in whole.state().items()
    }
    assert np.array_equal(cut.search(texts, 5).indices, whole.search(texts, 5).indices)


def test_nothing_fitted_and_nothing_asked():
    assert Bm25().fit([]).search(["x"], k=2).indices.tolist() == [[-1, -1]]
    assert Bm25().fit(["x"]).search([], k=2).indices.shape == (0, 2)
    assert Bm25().fit(["", "the"]).search(["x"], k=1).indices.tolist() == [[-1]]
    assert Bm25().average_length == 1.0


@pytest.mark.parametrize("arguments", [{"k1": -1}, {"b": 1.5}, {"language": "klingon"}])
def test_bad_settings(arguments: dict):
    with pytest.raises(PairspaceError, match=r"klingon.*en \(english\)" if "language" in arguments else "k1"):
        Bm25(**arguments)
