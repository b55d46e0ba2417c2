"""Pairs as numbers: distinct items, negatives among the documents, scores, several data sets."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairspace.data import Pairs
from pairspace.errors import SpaceError
from pairspace.space import Space
from pairspace.space.reading import pairings, read_data


@pytest.fixture(scope="module")
def space(plain_folder):
    return Space.create(("q", "d"), encoder=str(plain_folder), device="cpu", cache=False)


def pairs(queries, documents, **more):
    return Pairs.from_columns({"q": list(queries), "d": list(documents)}, **more)


def numbered(space, parts, **how):
    return read_data(space, pairings(space, parts), **how)


def ends(items):
    """The items of two sides, as lists."""
    return [one.to_pylist() for end in items for one in end.values()]


def spelled(data):
    """The pairs again, from their numbers."""
    queries, documents = ends(data.items)
    return [(queries[i], documents[j]) for i, j in zip(data.query, data.document, strict=True)]


def test_equal_items_have_one_number(space):
    data = numbered(space, [pairs("abac", "xyyz")])
    assert ends(data.items) == [["a", "b", "c"], ["x", "y", "z"]]
    assert data.query.tolist() == [0, 1, 0, 2] and data.document.tolist() == [0, 1, 1, 2]
    assert data.negatives is data.scores is data.sources is None


def test_the_query_side_comes_first(plain_folder):
    space = Space.create(("q", "d"), encoder=str(plain_folder), device="cpu", cache=False, query_side="d")
    data = numbered(space, [pairs("ab", "xx")])
    assert ends(data.items) == [["x"], ["a", "b"]]


def test_several_data_sets_are_numbered_together(space):
    data = numbered(space, [pairs("ab", "xy"), pairs("bc", "zx")])
    assert spelled(data) == [("a", "x"), ("b", "y"), ("b", "z"), ("c", "x")]
    assert data.sources.tolist() == [0, 0, 1, 1] and len(data.items[0]["q"]) == 3


def test_negatives_are_documents(space):
    given = pairs("abc", "xyz", negatives=[["y", "new"], [], ["new"]])
    data = numbered(space, [given])
    documents = data.items[1]["d"].to_pylist()
    assert documents == ["x", "y", "z", "new"]
    assert data.negatives.tolist() == [[1, 3], [-1, -1], [3, -1]]
    assert numbered(space, [given], negatives=False).negatives is None
    assert len(numbered(space, [given], negatives=False).items[1]["d"]) == 3


def test_negatives_of_one_data_set_among_several(space):
    data = numbered(space, [pairs("a", "x"), pairs("bc", "yz", negatives=[["x"], ["x", "y"]])])
    assert data.negatives.tolist() == [[-1, -1], [0, -1], [0, 1]]
    assert numbered(space, [pairs("ab", "xy", negatives=[[], []])]).negatives is None


def test_scores_are_of_the_pair_and_of_its_negatives(space):
    one = pairs("ab", "xy", negatives=[["y", "z"], ["x"]], score=[[0.9, 0.2, 0.1], [0.8, 0.3]])
    np.testing.assert_array_equal(
        numbered(space, [one, pairs("c", "x", score=[0.5])]).scores,
        np.array([[0.9, 0.2, 0.1], [0.8, 0.3, np.nan], [0.5, np.nan, np.nan]], np.float32),
    )


@pytest.mark.parametrize("second", [[0.8], [0.8, 0.3], [0.8, 0.3, 0.1, 0.0]])
def test_a_list_of_scores_is_as_long_as_the_pair_and_its_negatives(space, second):
    given = pairs("cab", "xxy", negatives=[["z"], ["y"], ["x", "z"]], score=[[0.7, 0.1], [0.9, 0.2], second])
    message = (
        rf"row 2 has {len(second)} scores and 2 negatives \(1 such rows in all\): one score of the pair and one of"
    )
    with pytest.raises(SpaceError, match=message):
        numbered(space, [given])
    with pytest.raises(SpaceError, match=message):
        numbered(space, [given.select([2])])  # the row of the file, not of what is left of it
    with pytest.raises(SpaceError, match="row 0 has 2 scores and 0 negatives"):
        numbered(space, [pairs("a", "x", score=[[0.9, 0.2]])])


def test_negatives_have_no_features_where_those_are_filed_by_row(plain_folder, tmp_path):
    np.save(tmp_path / "own.npy", np.ones((2, 8), np.float32))
    space = Space.create(("q", "d"), encoder={"q": str(plain_folder), "d": str(tmp_path / "own.npy")}, device="cpu")
    with pytest.raises(SpaceError, match="negatives are texts, but the features of side 'd' are filed by row or id"):
        numbered(space, [pairs("ab", "xy", negatives=[["y"], ["x"]])])


def test_negatives_are_of_the_side_that_the_space_searches(space):
    turned = pairs("ab", "xy", negatives=[["b"], ["a"]], query_side="d")
    with pytest.raises(SpaceError, match="wrong answers to the side 'd'.*this space is searched with 'q'"):
        numbered(space, [pairs("c", "z"), turned])
    assert len(numbered(space, [turned], negatives=False).items[1]["d"]) == 2
    assert len(numbered(space, [pairs("ab", "xy", query_side="d")]).query) == 2  # without negatives it is all one


@pytest.fixture
def by_id(plain_folder, tmp_path):
    """A space whose documents' features are filed by id."""
    table = pa.table({"id": ["i", "j", "k"], "vector": [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]})
    pq.write_table(table, tmp_path / "own.parquet")
    encoders = {"q": str(plain_folder), "d": str(tmp_path / "own.parquet")}
    return Space.create(("q", "d"), encoder=encoders, device="cpu", cache=False)


def test_another_space_has_the_same_items_in_its_own_terms(space, by_id):
    parts = [pairs("ab", "yy", id=["k", "i"]), pairs("ca", "xz", id=["j", "i"])]
    texts, filed = numbered(space, parts), numbered(by_id, parts)
    assert ends(texts.items) == [["a", "b", "c"], ["y", "x", "z"]]
    assert ends(filed.items) == [["a", "b", "c"], ["k", "j", "i"]]
    for data in (texts, filed):
        assert ends(data.items_for(space)) == [["a", "b", "c"], ["y", "x", "z"]]
        assert ends(data.items_for(by_id)) == [["a", "b", "c"], ["k", "j", "i"]]


def test_another_space_of_given_negatives(space, by_id):
    own = numbered(space, [pairs("ab", "yx", id=["k", "i"], negatives=[["x"], ["y"]])])
    assert own.items_for(by_id)[1]["d"].to_pylist() == ["k", "i"]  # all of them are documents of pairs
    new = numbered(space, [pairs("ab", "yx", id=["k", "i"], negatives=[["new"], ["y"]])])
    assert new.items_for(space)[1]["d"].to_pylist() == ["y", "x", "new"]
    with pytest.raises(SpaceError, match="negatives are texts, but the features of side 'd' are filed"):
        new.items_for(by_id)
    with pytest.raises(SpaceError, match="filed by id: read the pairs with id="):
        numbered(space, [pairs("ab", "yx")]).items_for(by_id)
