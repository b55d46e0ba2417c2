"""Doubtful pairs: each doubt on texts made for it."""

from __future__ import annotations

import numpy as np
import pytest

from pairspace.bitext.scoring import score_pairs, unlikeness
from pairspace.neighbours import normalise

ENGLISH = ["open", "close", "window", "file", "folder", "print", "search", "colour", "picture", "letter"]
ITALIAN = ["apri", "chiudi", "finestra", "documento", "cartella", "stampa", "cerca", "colore", "immagine", "lettera"]


class Known:
    query_side, sides = "en", ("en", "it")

    def __init__(self, table):
        self.table = table

    def encode(self, items, *, side, progress=None):
        return np.stack([self.table[text] for text in items.to_pylist()])


@pytest.fixture
def memory():
    rng = np.random.default_rng(0)
    words = [rng.permutation(10)[:5] for _ in range(120)]
    english = [" ".join(f"the {ENGLISH[i]}" for i in row) for row in words]
    italian = [" ".join(f"il {ITALIAN[i]}" for i in row) for row in words]
    x = normalise(rng.normal(size=(120, 12))).astype(np.float32)
    table = dict(zip(english, x, strict=True)) | dict(zip(italian, x, strict=True))
    return Known(table), english, italian


def test_good_pairs_have_no_doubts(memory):
    space, english, italian = memory
    found = score_pairs(space, english, italian)
    assert found.doubts == [()] * 120 and not found.doubtful.any()
    np.testing.assert_allclose(found.cosine, 1, atol=1e-5)


def test_each_planted_error_is_doubted_for_what_it_is(memory):
    space, english, italian = memory
    bad = list(italian)
    bad[3], bad[4] = bad[4], bad[3]
    bad[10] = italian[10][:12]
    bad[20] = "wszystko jest w porządku dziękuję bardzo przyjacielu mój"
    bad[30] = "открыть окно и закрыть документ, пожалуйста, сегодня"
    for row in (10, 20, 30):
        space.table[bad[row]] = space.table[english[row]]  # a space that would not notice
    found = score_pairs(space, english, bad)
    assert {"score", "nearer"} <= set(found.doubts[3]) and {"score", "nearer"} <= set(found.doubts[4])
    assert "length" in found.doubts[10]
    assert "language" in found.doubts[20]
    assert "script" in found.doubts[30]
    assert set(np.flatnonzero(found.doubtful)) == {3, 4, 10, 20, 30}


def test_texts_too_short_to_tell_are_like_any():
    assert unlikeness(["a", "bb", ""]).tolist() == [0, 0, 0]
