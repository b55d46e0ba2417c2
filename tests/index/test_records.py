from __future__ import annotations

import datetime
import decimal
import uuid
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pytest

from pairspace.errors import IndexingError, ShapeError
from pairspace.index.records import Payloads, check_ids, checked_items, point_key


def test_keys_are_digests_of_ids():
    assert point_key("é 1") == uuid.UUID(bytes=blake2b("é 1".encode(), digest_size=16).digest())
    assert point_key("1") != point_key("01")


def test_whole_numbers_become_texts():
    assert check_ids([1, np.int64(2), "3"]) == ["1", "2", "3"]
    assert check_ids(pa.array([7, 8])) == ["7", "8"]
    assert check_ids(np.arange(2)) == ["0", "1"]


def test_the_same_id_twice_names_both_rows():
    with pytest.raises(IndexingError, match=r"id 'b' twice: in row 1 and in row 3"):
        check_ids(["a", "b", "c", "b"])
    with pytest.raises(IndexingError, match=r"id '1' twice: in row 0 and in row 1"):
        check_ids([1, "1"])


@pytest.mark.parametrize("bad", [None, "", 1.5, True, b"x", "\ud800"])
def test_what_is_no_id_is_refused(bad):
    with pytest.raises(IndexingError, match="row 1"):
        check_ids(["a", bad])


def test_a_lone_text_is_not_a_list_of_ids_or_items():
    with pytest.raises(IndexingError, match="ids are a list"):
        check_ids("abc")
    with pytest.raises(IndexingError, match="items are a list"):
        checked_items("abc", 3, texts=True)


def test_items_are_checked():
    assert checked_items(("a", "b"), 2, texts=True) == ["a", "b"]
    assert checked_items(np.array([4, 5]), 2, texts=False) == [4, 5]
    with pytest.raises(ShapeError, match="2 ids, but 1 items"):
        checked_items(["a"], 2, texts=True)
    with pytest.raises(IndexingError, match="row 1: a text is needed here, got 5"):
        checked_items(["a", 5], 2, texts=True)
    with pytest.raises(IndexingError, match="row 0: an item is needed here, got None"):
        checked_items(pa.array([None, "x"]), 2, texts=False)


def test_values_become_plain_json():
    row = {
        "i": np.int32(4),
        "f": np.float32(0.5),
        "d": datetime.date(2001, 2, 3),
        "t": datetime.datetime(2001, 2, 3, 4, 5),
        "m": decimal.Decimal("1.5"),
        "l": (1, [None, True]),
        "o": {"x": np.array([1, 2])},
    }
    assert Payloads([row], 1).rows(0, 1) == [
        {
            "i": 4,
            "f": 0.5,
            "d": "2001-02-03",
            "t": "2001-02-03T04:05:00",
            "m": 1.5,
            "l": [1, [None, True]],
            "o": {"x": [1, 2]},
        }
    ]


def test_a_table_gives_a_row_each():
    table = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})
    assert Payloads(table, 3).rows(1, 3) == [{"a": 2, "b": None}, {"a": 3, "b": "z"}]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"__id__": 1}, "reserved"),
        ({"a": float("nan")}, "row 1, field 'a': float nan cannot be stored; use None"),
        ({"a": {"b": b"x"}}, "field 'a', field 'b': bytes"),
        ({"a": 2**70}, "int"),
        ({1: 2}, "names must be texts"),
        ({"a": "\ud800"}, "not valid Unicode"),
        (["a"], "mapping"),
    ],
)
def test_what_cannot_be_stored_names_row_and_field(row, words):
    with pytest.raises(IndexingError, match=words) as error:
        Payloads([{}, row], 2)
    assert "row 1" in str(error.value)


def test_payload_and_ids_must_be_as_many():
    with pytest.raises(ShapeError, match="3 ids, but 1 payload rows"):
        Payloads([{}], 3)


def test_texts_join_the_payload_unless_another_text_is_there():
    assert Payloads([{"text": "a"}, {}], 2, texts=["a", "b"]).rows(0, 2) == [{"text": "a"}, {"text": "b"}]
    with pytest.raises(IndexingError, match="row 1: its field 'text' is not the item's text"):
        Payloads([{}, {"text": "x"}], 2, texts=["a", "b"])
