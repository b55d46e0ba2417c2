"""Pairs as numbers: distinct items, negatives among the documents, scores, several data sets."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairspace.data import Pairs
from pairspace.errors import SpaceError
from pairspace.space import Space
from pairspace.space.reading import read_data


@pytest.fixture(scope="module")
def space(plain_folder):
    return Space.create(("q", "d"), encoder=str(plain_folder), device="cpu", cache=False)


def pairs(queries, documents, **more):
    return Pairs.from_columns({"q": list(queries), "d": list(documents)}, **more)


def spelled(data):
    """The pairs again, from their numbers."""
    queries, documents = (items.to_pylist() for items in data.items)
    return [(queries[i], documents[j]) for i, j in zip(data.query, data.document, strict=True)]


def test_equal_items_have_one_number(space):
    data = read_data(space, [pairs("abac", "xyyz")])
    assert data.items[0].to_pylist() == ["a", "b", "c"] and data.items[1].to_pylist() == ["x", "y", "z"]
    assert data.query.tolist() == [0, 1, 0, 2] and data.document.tolist() == [0, 1, 1, 2]
    assert data.negatives is data.scores is data.sources is None


def test_the_query_side_comes_first(plain_folder):
    space = Space.create(("q", "d"), encoder=str(plain_folder), device="cpu", cache=False, query_side="d")
    data = read_data(space, [pairs("ab", "xx")])
    assert data.items[0].to_pylist() == ["x"] and data.items[1].to_pylist() == ["a", "b"]


def test_several_data_sets_are_numbered_together(space):
    data = read_data(space, [pairs("ab", "xy"), pairs("bc", "zx")])
    assert spelled(data) == [("a", "x"), ("b", "y"), ("b", "z"), ("c", "x")]
    assert data.sources.tolist() == [0, 0, 1, 1] and len(data.items[0]) == 3


def test_negatives_are_documents(space):
    given = pairs("abc", "xyz", negatives=[["y", "new"], [], ["new"]])
    data = read_data(space, [given])
    documents = data.items[1].to_pylist()
    assert documents == ["x", "y", "z", "new"]
    assert data.negatives.tolist() == [[1, 3], [-1, -1], [3, -1]]
    assert read_data(space, [given], negatives=False).negatives is None
    assert len(read_data(space, [given], negatives=False).items[1]) == 3


def test_negatives_of_one_data_set_among_several(space):
    data = read_data(space, [pairs("a", "x"), pairs("bc", "yz", negatives=[["x"], ["x", "y"]])])
    assert data.negatives.tolist() == [[-1, -1], [0, -1], [0, 1]]
    assert read_data(space, [pairs("ab", "xy", negatives=[[], []])]).negatives is None


def test_scores_are_of_the_pair_and_of_its_negatives(space):
    one = pairs("ab", "xy", negatives=[["y", "z"], ["x"]], score=[[0.9, 0.2, 0.1], [0.8, 0.3]])
    np.testing.assert_array_equal(
        read_data(space, [one, pairs("c", "x", score=[0.5])]).scores,
        np.array([[0.9, 0.2, 0.1], [0.8, 0.3, np.nan], [0.5, np.nan, np.nan]], np.float32),
    )


@pytest.mark.parametrize("second", [[0.8], [0.8, 0.3], [0.8, 0.3, 0.1, 0.0]])
def test_a_list_of_scores_is_as_long_as_the_pair_and_its_negatives(space, second):
    given = pairs("cab", "xxy", negatives=[["z"], ["y"], ["x", "z"]], score=[[0.7, 0.1], [0.9, 0.2], second])
    message = (
        rf"row 2 has {len(second)} scores and 2 negatives \(1 such rows in all\): one score of the pair and one of"
    )
    with pytest.raises(SpaceError, match=message):
        read_data(space, [given])
    with pytest.raises(SpaceError, match=message):
        read_data(space, [given.select([2])])  # the row of the file, not of what is left of it
    with pytest.raises(SpaceError, match="row 0 has 2 scores and 0 negatives"):
        read_data(space, [pairs("a", "x", score=[[0.9, 0.2]])])


def test_negatives_have_no_features_where_those_are_filed_by_row(plain_folder, tmp_path):
    np.save(tmp_path / "own.npy", np.ones((2, 8), np.float32))
    space = Space.create(("q", "d"), encoder={"q": str(plain_folder), "d": str(tmp_path / "own.npy")}, device="cpu")
    with pytest.raises(SpaceError, match="negatives are texts, but the features of side 'd' are filed by row or id"):
        read_data(space, [pairs("ab", "xy", negatives=[["y"], ["x"]])])


def test_negatives_are_of_the_side_that_the_space_searches(space):
    turned = pairs("ab", "xy", negatives=[["b"], ["a"]], query_side="d")
    with pytest.raises(SpaceError, match="wrong answers to the side 'd'.*this space is searched with 'q'"):
        read_data(space, [pairs("c", "z"), turned])
    assert len(read_data(space, [turned], negatives=False).items[1]) == 2
    assert len(read_data(space, [pairs("ab", "xy", query_side="d")]).query) == 2  # without negatives it is all one


@pytest.fixture
def by_id(plain_folder, tmp_path):
    """A space whose documents' features are filed by id."""
    table = pa.table({"id": ["i", "j", "k"], "vector": [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]})
    pq.write_table(table, tmp_path / "own.parquet")
    encoders = {"q": str(plain_folder), "d": str(tmp_path / "own.parquet")}
    return Space.create(("q", "d"), encoder=encoders, device="cpu", cache=False)


def test_another_space_has_the_same_items_in_its_own_terms(space, by_id):
    parts = [pairs("ab", "yy", id=["k", "i"]), pairs("ca", "xz", id=["j", "i"])]
    texts, filed = read_data(space, parts), read_data(by_id, parts)
    assert [items.to_pylist() for items in texts.items] == [["a", "b", "c"], ["y", "x", "z"]]
    assert [items.to_pylist() for items in filed.items] == [["a", "b", "c"], ["k", "j", "i"]]
    for data in (texts, filed):
        assert [items.to_pylist() for items in data.items_for(space, ("q", "d"))] == [["a", "b", "c"], ["y", "x", "z"]]
        assert [items.to_pylist() for items in data.items_for(by_id, ("q", "d"))] == [["a", "b", "c"], ["k", "j", "i"]]


def test_another_space_of_given_negatives(space, by_id):
    own = read_data(space, [pairs("ab", "yx", id=["k", "i"], negatives=[["x"], ["y"]])])
    assert own.items_for(by_id, ("q", "d"))[1].to_pylist() == ["k", "i"]  # all of them are documents of pairs
    new = read_data(space, [pairs("ab", "yx", id=["k", "i"], negatives=[["new"], ["y"]])])
    assert new.items_for(space, ("q", "d"))[1].to_pylist() == ["y", "x", "new"]
    with pytest.raises(SpaceError, match="negatives are texts, but the features of side 'd' are filed"):
        new.items_for(by_id, ("q", "d"))
    with pytest.raises(SpaceError, match="filed by id: read the pairs with id="):
        read_data(space, [pairs("ab", "yx")]).items_for(by_id, ("q", "d"))
