"""Bitext measures against counting by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import sparse

from pairspace.data import Pairs
from pairspace.errors import DataError, PairspaceError
from pairspace.evaluation.bitext import evaluate_bitext, mining_f1
from pairspace.neighbours import normalise


class Known:
    """A space whose vectors are in a table."""

    name, fingerprint, query_side, sides = "known", "0" * 32, "de", ("de", "en")

    def __init__(self, vectors):
        self.vectors = vectors

    def encode(self, items, *, side, progress=None):
        return np.stack([self.vectors[side][text] for text in items.to_pylist()])


@pytest.fixture
def known():
    rng = np.random.default_rng(0)
    x = normalise(rng.normal(size=(60, 8))).astype(np.float32)
    y = normalise(x + 0.35 * rng.normal(size=x.shape)).astype(np.float32)
    names = [f"satz {n}" for n in range(60)], [f"sentence {n}" for n in range(60)]
    space = Known({"de": dict(zip(names[0], x, strict=True)), "en": dict(zip(names[1], y, strict=True))})
    return space, Pairs.from_columns({"de": names[0], "en": names[1]}), x, y


def test_accuracy_and_recall_are_as_counted(known):
    space, pairs, x, y = known
    report = evaluate_bitext(space, pairs, resamples=200)
    scores = x @ y.T
    for direction, matrix in (("de -> en", scores), ("en -> de", scores.T)):
        order = np.argsort(-matrix, 1)
        line = next(f for f in report.found if (f.direction, f.similarity) == (direction, "cosine"))
        for k, value in zip((1, 5, 10), line.recall, strict=True):
            assert value == pytest.approx(np.mean([row in order[row, :k] for row in range(60)]))
        assert line.low <= line.accuracy <= line.high
        near = np.sort(matrix, 1)[:, -4:].mean(1)[:, None] + np.sort(matrix, 0)[-4:].mean(0)[None]
        assert report.xsim[direction] == pytest.approx(np.mean(np.argmax(matrix / near, 1) != np.arange(60)))
    assert json.loads(report.to_json())["found"][0]["R@1"] == report.accuracy("de -> en")
    assert "mining F1" in str(report) and "csls" in str(report)


def test_equal_texts_are_one_sentence_with_several_translations(known):
    space, _, _, y = known
    space.vectors["de"]["beides"] = normalise((y[0] + y[1])[None])[0]
    pairs = Pairs.from_columns({"de": ["beides", "beides", "satz 2"], "en": ["sentence 0", "sentence 1", "sentence 2"]})
    report = evaluate_bitext(space, pairs, noise=(), resamples=10)
    assert [f.queries for f in report.found if f.similarity == "cosine"] == [2, 3]
    assert report.accuracy("de -> en") == 1.0


def test_mining_finds_whole_pairs_and_leaves_halves_alone():
    x = np.eye(40, dtype=np.float32)
    codes = np.arange(40), np.arange(40)
    found = mining_f1(x, x, codes, noise=0.5, rng=np.random.default_rng(0))
    assert (found.f1, found.precision, found.recall) == (1.0, 1.0, 1.0)
    rng = np.random.default_rng(0)
    noisy = normalise(x + 0.3 * rng.normal(size=x.shape)).astype(np.float32)
    worse = mining_f1(x, noisy, codes, noise=0.5, rng=np.random.default_rng(0))
    assert 0 < worse.f1 < 1
    with pytest.raises(PairspaceError, match="leaves no pair whole"):
        mining_f1(x, x, codes, noise=1.0, rng=rng)


def test_words_that_no_two_texts_share_find_nothing():
    x, y = (sparse.csr_array(np.eye(4, 8, shift, dtype=np.float32)) for shift in (0, 4))
    found = mining_f1(x, y, (np.arange(4), np.arange(4)), noise=0, rng=np.random.default_rng(0))
    assert (found.f1, found.precision, found.recall, found.threshold) == (0, 0, 0, 0)


def test_bad_input_is_refused(known):
    space, pairs, *_ = known
    with pytest.raises(DataError, match="no side 'fr'"):
        evaluate_bitext(space, pairs, right="fr")
    with pytest.raises(PairspaceError, match="csls"):
        evaluate_bitext(space, pairs, similarities=("cosine", "dot"))
    for share in (-0.5, 1.0, float("nan")):
        with pytest.raises(PairspaceError, match="noise is a share"):
            evaluate_bitext(space, pairs, noise=(0.5, share))
    with pytest.raises(DataError, match="both sides are 'en'"):
        evaluate_bitext(space, pairs, left="en", right="en")
