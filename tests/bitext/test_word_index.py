"""Texts found by their words, against the formula over sets of words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pairspace.bitext import word_index
from pairspace.bitext.word_index import WordIndex
from pairspace.errors import IndexingError

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu"]


@pytest.fixture
def build(tmp_path):
    def build(texts, language="xx", size=7):
        batches = [
            (np.arange(start, min(start + size, len(texts))) * 10, texts[start : start + size])
            for start in range(0, len(texts), size)
        ]
        WordIndex.build(tmp_path / "words", batches, language)
        return WordIndex(tmp_path / "words", language)

    return build


def slow(query, texts):
    """The likeness of every text."""
    sets = [set(text.split()) for text in texts]
    df = {word: max(1, sum(word in one for one in sets)) for word in WORDS}
    idf = {word: math.log1p(len(texts) / df[word]) for word in WORDS}
    asked = set(query.split())
    weight = {frozenset(one): sum(idf[word] for word in one) for one in [asked, *sets]}
    return [
        2 * sum(idf[word] for word in asked & one) / ((weight[frozenset(asked)] + weight[frozenset(one)]) or 1)
        for one in sets
    ]


@pytest.mark.parametrize("step", [1 << 22, 3])
def test_the_texts_most_like_a_question_are_found(build, monkeypatch, step):
    monkeypatch.setattr(word_index, "_STEP", step)
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS[:9], rng.integers(0, 6))) for _ in range(60)]
    index = build(texts)
    for query in [*texts[:20], "kappa", "kappa lambda mu nu alpha beta gamma", ""]:
        likeness = slow(query, texts)
        found = index.search(query, 5)
        wanted = sorted((one for one in likeness if one > 0), reverse=True)[:5]
        assert [likeness[number // 10] for number in found] == pytest.approx(wanted, abs=1e-6)
        assert len(set(found)) == len(found)


def test_words_are_cut_as_their_language_is(build):
    texts = ["the files were not found", "a library of pictures", "it is not", "of"]
    index = build(texts, "en-GB")
    assert index.search("file", 3) == [0]
    assert index.search("of the", 3) == [30]  # nothing but stopwords: then they count
    assert index.search("not", 3)[0] == 20


def test_an_index_without_words_finds_nothing(build):
    assert build(["", "!"]).search("alpha", 3) == []


def test_words_are_forgotten_when_they_are_many(build, monkeypatch):
    monkeypatch.setattr(word_index, "_KNOWN", 3)
    assert build([" ".join(WORDS), "alpha beta"]).search("alpha beta", 1) == [10]


def test_a_damaged_index_says_so(build, tmp_path):
    build(["alpha"])
    (tmp_path / "words" / "texts.npy").write_bytes(b"x")
    with pytest.raises(IndexingError, match=r"words is missing or damaged.*build the memory again"):
        WordIndex(tmp_path / "words", "en")
