from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pairspace.data import Pairs
from pairspace.errors import SpaceError, TrainingError
from pairspace.space import Space, mine_negatives

TITLES = ["a red fox", "a small boat", "a red boat", "the sea", "bread", "a red fox"]
BODIES = ["the fox is red", "boats on the sea", "the boat is red", "a sea of boats", "bread and the sea", "a small fox"]


@pytest.fixture
def space(mean):
    return Space.create(("title", "body"), encoder=mean, projector="identity", device="cpu", cache=False)


@pytest.fixture
def pairs():
    return Pairs.from_columns({"title": TITLES, "body": BODIES}, id=list("abcdef"))


def test_each_pair_gets_the_nearest_documents_that_are_not_its_querys(space, pairs):
    mined = mine_negatives(space, pairs, num_negatives=2)
    scores = space.similarity(space.encode(TITLES, side="title"), space.encode(BODIES, side="body"))
    column = mined.table["negatives"]
    assert column.type == pa.large_list(pa.large_string())
    for row, (title, got) in enumerate(zip(TITLES, column.to_pylist(), strict=True)):
        own = {BODIES[i] for i in range(6) if TITLES[i] == title}
        expected = [BODIES[i] for i in np.argsort(-scores[row], kind="stable") if BODIES[i] not in own]
        assert got == expected[:2]
    assert mined.table.drop_columns(["negatives"]).equals(pairs.table)
    assert (mined.sides, mined.query_side, mined.source) == (pairs.sides, pairs.query_side, pairs.source)


def test_the_query_side_is_the_spaces(mean, pairs):
    space = Space.create(
        ("title", "body"), encoder=mean, projector="identity", query_side="body", device="cpu", cache=False
    )
    mined = mine_negatives(space, pairs, num_negatives=1)
    assert all(one in TITLES for (one,) in mined.table["negatives"].to_pylist())
    assert (pairs.query_side, mined.query_side, mined.sides) == ("title", "body", ("title", "body"))


def test_an_item_of_both_sides_is_not_its_own_negative(space):
    pairs = Pairs.from_columns(
        {"title": ["a red fox", "a small boat", "bread"], "body": ["bread", "the sea", "a red fox"]}
    )
    lists = mine_negatives(space, pairs, num_negatives=3).table["negatives"].to_pylist()
    assert lists[0] == ["the sea"] and "a red fox" not in lists[0]
    assert sorted(lists[1]) == ["a red fox", "bread"]


def test_lists_are_empty_where_nothing_passes(space, pairs):
    mined = mine_negatives(space, pairs, max_score=-1.0)
    assert mined.table["negatives"].to_pylist() == [[]] * 6


def test_old_negatives_are_replaced(space):
    pairs = Pairs.from_columns({"title": TITLES, "body": BODIES}, negatives=[["old"]] * 6)
    mined = mine_negatives(space, pairs, num_negatives=1)
    assert all(one in BODIES for (one,) in mined.table["negatives"].to_pylist())
    assert mined.table.column_names.count("negatives") == 1


def test_scores_of_the_old_negatives_go_with_them(space):
    scores = [[n / 10, 0.0] for n in range(6)]
    pairs = Pairs.from_columns({"title": TITLES, "body": BODIES}, negatives=[["old"]] * 6, score=scores)
    mined = mine_negatives(space, pairs, num_negatives=1)
    assert mined.table["score"].to_pylist() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]


def test_sides_that_do_not_fit(space):
    with pytest.raises(SpaceError, match="the pairs have the sides q, d, the space needs 'title'"):
        mine_negatives(space, Pairs.from_columns({"q": ["x"], "d": ["y"]}))


def test_settings_that_make_no_sense(space, pairs):
    with pytest.raises(TrainingError, match="num_negatives must be at least 1"):
        mine_negatives(space, pairs, num_negatives=0)
