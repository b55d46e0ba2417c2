"""Documents of made-up languages through a space that knows them by heart."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest

from pairspace.bitext import AlignmentOptions, align_documents, trusted_score
from pairspace.bitext.alignment import Bead
from pairspace.bitext.documents import joiner_of
from pairspace.errors import DataError, PairspaceError, SpaceError


class Space:
    """A text's vector is the sum of those of its words, which are the same in both languages but for capitals."""

    sides, query_side, sparse = ("en", "it"), "en", False

    def __init__(self):
        self.asked = {side: [] for side in self.sides}

    def encode(self, texts, *, side, **options):
        self.asked[side] += list(texts)
        return np.array([sum(self.word(word, side) for word in text.split()) for text in texts], np.float32)

    def word(self, word, side):
        known = word.islower() == (side == "en")
        seed = int.from_bytes((word.lower() if known else word + side).encode(), "little")
        return np.random.default_rng(seed).normal(size=128)


LETTERS = "abcdefghijklmnopqrstuvwxyz"
ENGLISH = [f"{a}o {a}u {a}{b}" for a, b in pairwise(LETTERS)]
ITALIAN = [text.upper() for text in ENGLISH]
WHOLE = [((i,), (i,)) for i in range(len(ENGLISH))]


def pairs(beads):
    return [(bead.left, bead.right) for bead in beads]


def test_aligns_texts_and_encodes_each_distinct_run_once():
    space = Space()
    refrain = ["la li lo"] * 2
    found = align_documents(space, ENGLISH + refrain, [*ITALIAN, "LA LI LO", "LA LI LO"])
    assert pairs(found) == [((i,), (i,)) for i in range(len(ENGLISH) + 2)]
    for side in space.sides:
        assert len(set(space.asked[side])) == len(space.asked[side])
    assert "zo zu za" not in space.asked["en"] and "la li lo la li lo" in space.asked["en"]


def test_merges_and_deletions():
    left = [*ENGLISH[:5], " ".join(ENGLISH[5:7]), *ENGLISH[7:]]
    right = [*ITALIAN[:10], "QUI QUO QUA QUE QUY XY XZ WK", *ITALIAN[10:]]
    found = pairs(align_documents(Space(), left, right))
    assert ((5,), (5, 6)) in found and ((), (10,)) in found
    assert found[:5] == WHOLE[:5]


def test_documents_of_one_sentence_score_as_alike_as_they_are():
    alike, halves, strange = (
        align_documents(Space(), ["do re mi fa"], [other])
        for other in ("DO RE MI FA", "DO RE QUI QUO", "QUI QUO QUA QUE")
    )
    assert pairs(alike) == pairs(halves) == pairs(strange) == [((0,), (0,))]
    assert alike[0].score > 0.999 and 0.3 < halves[0].score < 0.7 and abs(strange[0].score) < 0.3
    among = align_documents(Space(), ["do re mi fa"], ["QUI QUO QUA QUE", "DO RE MI FA", "XA XO XI XU"])
    assert pairs(among) == [((), (0,)), ((0,), (1,)), ((), (2,))] and among[1].score > 0.999


def test_empty_sentences_are_deletions_in_their_place():
    left, right = list(ENGLISH), list(ITALIAN)
    left[3:3] = ["", "  "]
    right.append("")
    found = align_documents(Space(), left, right)
    assert pairs(found)[2:6] == [((2,), (2,)), ((3,), ()), ((4,), ()), ((5,), (3,))]
    assert found[-1] == Bead((), (len(right) - 1,), 0.0)
    assert [i for bead in found for i in bead.left] == list(range(len(left)))


def test_sides_and_settings():
    turned = align_documents(Space(), ITALIAN, ENGLISH, left_side="it")
    assert pairs(turned) == WHOLE
    space = Space()
    align_documents(space, ENGLISH, ITALIAN, options=AlignmentOptions(most_left=1, most_right=2), joiners=(None, "+"))
    assert len(space.asked["en"]) == len(ENGLISH)
    assert f"{ITALIAN[0]}+{ITALIAN[1]}" in space.asked["it"] and len(space.asked["it"]) == 2 * len(ITALIAN) - 1


def test_warns_of_documents_that_are_no_translations():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        align_documents(Space(), ENGLISH, ITALIAN)
    with pytest.warns(
        UserWarning, match=r"on average.* are these documents translations .* side 'en' .* side 'it'\?"
    ) as said:
        align_documents(Space(), ENGLISH, ENGLISH)
    assert [one.filename for one in said] == [__file__]


def test_says_what_is_wrong_with_a_document():
    with pytest.raises(DataError, match="the left document has no sentences"):
        align_documents(Space(), [], ITALIAN)
    with pytest.raises(DataError, match="the right document holds empty sentences only"):
        align_documents(Space(), ENGLISH, ["", " "])
    with pytest.raises(DataError, match="right document, sentence 2: NoneType, and a text is needed"):
        align_documents(Space(), ENGLISH, ["A", None])
    with pytest.raises(PairspaceError, match="no side 'de'"):
        align_documents(Space(), ENGLISH, ITALIAN, left_side="de")
    space = Space()
    space.sparse = True
    with pytest.raises(SpaceError, match="dense vectors"):
        align_documents(space, ENGLISH, ITALIAN)


def test_a_real_space(fitted_space):
    texts = ["play chess", "a game of cards", "music player for gnome", "library files"]
    found = align_documents(fitted_space("bag"), texts, texts, progress=False)
    assert [i for bead in found for i in bead.left] == [0, 1, 2, 3]


def test_what_stands_between_sentences():
    assert joiner_of(["Good morning.", "How are you?"]) == " "
    assert joiner_of(["今日は晴れです。", "明日は雨です。"]) == ""
    assert joiner_of(["วันนี้อากาศดี", "พรุ่งนี้ฝนตก"]) == ""
    assert joiner_of(["오늘은 맑습니다.", "내일은 비가 옵니다."]) == " "


def test_the_trusted_score_is_that_of_the_better_half():
    beads = [Bead((0,), (0,), 0.9), Bead((1,), (), 0.0), Bead((2,), (1,), 0.7), Bead((3,), (2,), 0.1)]
    assert trusted_score(beads) == pytest.approx(0.8)
    assert trusted_score(beads[1:2]) is None
