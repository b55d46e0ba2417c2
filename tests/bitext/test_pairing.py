"""Texts in, pairs out, through spaces whose vectors are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from pairspace.bitext.mining import mine_vectors
from pairspace.bitext.pairing import mine, pair_scores
from pairspace.errors import DataError, PairspaceError
from pairspace.neighbours import normalise


class Known:
    """A space whose vectors are in a table."""

    query_side, sides = "de", ("de", "en")

    def __init__(self, vectors, form=np.asarray):
        self.vectors, self.form = vectors, form

    def encode(self, items, *, side, progress=None):
        texts = items.to_pylist() if hasattr(items, "to_pylist") else items
        return self.form(np.stack([self.vectors[side][text] for text in texts]))


@pytest.fixture(params=["dense", "sparse"])
def known(request):
    rng = np.random.default_rng(0)
    x = normalise(rng.random((40, 10))).astype(np.float32)
    y = normalise(x + 0.15 * rng.random(x.shape)).astype(np.float32)
    german, english = (
        [f"{word} {'ABCDEFGH'[n % 8]}{'x' * (n // 8)} lang" for n in range(40)] for word in ("Satz", "Set")
    )
    table = {"de": dict(zip(german, x, strict=True)), "en": dict(zip(english, y, strict=True))}
    return Known(table, sparse.csr_array if request.param == "sparse" else np.asarray), german, english


def test_pairs_are_found_with_their_lines_and_the_same_as_by_vectors(known):
    space, german, english = known
    left = ["Satz A lang", *german[::-1]]  # one text twice
    found = mine(space, left, english)
    vectors = mine_vectors(space.encode(german, side="de"), space.encode(english, side="en"))
    wanted = {(german[i], english[j]) for i, j in zip(vectors.left, vectors.right, strict=True)}
    assert set(zip(found.left, found.right, strict=True)) == wanted
    assert sum(one[4:] == other[3:] for one, other in wanted) > 35
    for (i, j), one, other in zip(found.lines.tolist(), found.left, found.right, strict=True):
        assert (left[i], english[j]) == (one, other)
    assert 0 in found.lines[:, 0] and set(found.removed.values()) == {0}
    assert mine(space, english, german, left_side="en").left[0] in english


def test_a_judged_sample_gives_probabilities_and_a_threshold(known):
    space, german, english = known
    judged = (german[:20] + german[:20], english[:20] + english[1:21], [True] * 20 + [False] * 20)
    found = mine(space, german[10:], english[10:], judged=judged, precision=0.95)
    assert found.threshold is not None and (found.score >= found.threshold).all()
    assert found.probability is not None and (np.diff(found.probability) <= 0).all() and found.probability[0] > 0.5
    with pytest.raises(PairspaceError, match="judged sample"):
        mine(space, german, english, precision=0.9)


def test_swapped_pairs_score_low_and_have_a_nearer_one(known):
    space, german, english = known
    swapped = [*english[:36], english[37], english[36], *english[38:]]
    score, cosine, nearer = pair_scores(space, german, swapped)
    x, y = (normalise(space.encode(texts, side=s)) for texts, s in ((german, "de"), (swapped, "en")))
    plain = (x @ y.T).toarray() if sparse.issparse(x) else x @ y.T
    np.testing.assert_allclose(cosine, np.diag(plain), atol=1e-5)
    middle = (np.sort(plain, 1)[:, -4:].mean(1) + np.sort(plain, 0)[-4:].mean(0)) / 2
    np.testing.assert_allclose(score, np.diag(plain) / middle, atol=1e-5)
    off = plain - 9 * np.eye(40)
    np.testing.assert_allclose(nearer, np.maximum(off.max(1), off.max(0)) - np.diag(plain), atol=1e-5)
    assert set(np.argsort(-nearer)[:2]) == {36, 37}


def test_bad_input_is_refused(known):
    space, german, english = known
    with pytest.raises(PairspaceError, match="two texts each"):
        pair_scores(space, german, english[:-1])
    with pytest.raises(PairspaceError, match="no side 'fr'"):
        mine(space, german, english, right_side="fr")
    with pytest.raises(PairspaceError, match="nothing to mine"):
        mine(space, [], english)
    for wrong in ([None, *german], [*german, 3], [*german, "\ud800"]):
        with pytest.raises(DataError, match="left text"):
            mine(space, wrong, english)
        with pytest.raises(DataError, match="right text"):
            pair_scores(space, [*english, "x"], wrong, left_side="en")
    assert [len(part) for part in pair_scores(space, [], [])] == [0, 0, 0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"filters": ["length", "lenght"]}, "unknown filter 'lenght'"),
        ({"score": "ratio"}, "score must be"),
        ({"every": True}, "all candidates"),
        ({"k": 0}, "k must be at least 1"),
        ({"threshold": float("nan")}, "not a number"),
        ({"left_side": "en", "right_side": "en"}, "both sides are 'en'"),
        ({"judged": (["a"], ["b"], [True])}, "no wrong pair"),
        ({"judged": (["a"], ["b"], [])}, "two texts and a judgement"),
    ],
)
def test_what_cannot_be_mined_is_refused_before_anything_is_encoded(known, monkeypatch, wrong, said):
    space, german, english = known
    monkeypatch.setattr(Known, "encode", None)
    with pytest.raises(PairspaceError, match=said):
        mine(space, german, english, **wrong)


def test_more_neighbours_than_texts_take_no_room_and_find_the_same(known):
    space, german, english = known
    most, many = (mine(space, german, english, k=k) for k in (40, 10**12))
    assert (most.left, most.right) == (many.left, many.right)
