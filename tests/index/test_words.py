"""BM25 in an index is the BM25 of `pairspace.neighbours`."""

from __future__ import annotations

import random

import numpy as np
import pytest

from pairspace.index import Index
from pairspace.neighbours import Bm25

WORDS = ["chess", "game", "play", "editor", "text", "file", "library", "music", "compile", "program", "the", "of", "in"]


def corpus(count, seed=0, longest=20):
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randrange(longest))) for _ in range(count)]


def assert_equal_to_bm25(index, texts, queries):
    expected = Bm25("english").fit(texts).search(queries, 10)
    for hits, scores, order in zip(index.search(queries, mode="bm25"), *expected, strict=True):
        scores, order = scores[order >= 0], order[order >= 0]
        np.testing.assert_allclose([hit.score for hit in hits], scores, rtol=2e-6)
        clear = [i for i in range(len(order)) if np.sum(np.isclose(scores, scores[i], rtol=1e-5)) == 1 and i < 9]
        assert [hits[i].id for i in clear] == [str(order[i]) for i in clear]


def test_search_equals_bm25(tmp_path):
    texts = corpus(300)
    with Index.create(tmp_path / "i", text=True) as index:
        index.add(range(300), texts, batch_size=64)
        assert_equal_to_bm25(
            index, texts, ["chess games", "play play music", "compile the program", "nothing here", ""]
        )


def test_search_equals_bm25_again_after_changes_and_optimise(tmp_path):
    texts = corpus(300, longest=8)
    with Index.create(tmp_path / "i", text=True) as index:
        index.add(range(300), texts)
        index.optimise()
        new = corpus(250, seed=1, longest=60)  # seven times as long: the average length moves
        index.add(range(50, 300), new, batch_size=100)
        index.delete(range(20))
        index.optimise()
        texts = texts[:50] + new
        left = Bm25("english").fit(texts[20:]).search(["chess music", "the editor"], 10)
        for hits, scores in zip(index.search(["chess music", "the editor"], mode="bm25"), left.scores, strict=True):
            np.testing.assert_allclose([hit.score for hit in hits], scores, rtol=2e-6)
        assert index.info()["text"]["count"] == 280
    with Index.open(tmp_path / "i") as index:
        assert index.info()["text"]["count"] == 280


def test_the_average_length_stays_while_it_drifts_little(tmp_path):
    texts = corpus(200)
    with Index.create(tmp_path / "i", text=True) as index:
        index.add(range(200), texts)
        before = index.info()["text"]
        index.add(["more"], ["chess"])
        index.optimise()
        assert index.info()["text"] == before


def test_without_stored_texts_the_weights_stay(tmp_path):
    with Index.create(tmp_path / "i", text=True, store_text=False) as index:
        index.add(["a"], ["chess"])
        index.add(["b"], ["play chess " * 50])
        before = index.search("chess", mode="bm25")
        index.optimise()
        assert [(h.id, h.score) for h in index.search("chess", mode="bm25")] == [(h.id, h.score) for h in before]
        assert index.get("b") == {}


@pytest.mark.parametrize("texts", [[""], ["the of in"], ["", "chess"]])
def test_texts_without_words_are_no_trouble(tmp_path, texts):
    with Index.create(tmp_path / "i", text=True) as index:
        index.add(range(len(texts)), texts)
        index.add(["later"], ["play chess"])
        index.optimise()
        assert index.search("play", mode="bm25")[0].id == "later"
