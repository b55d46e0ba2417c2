from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from pairspace.errors import IndexingError
from pairspace.index import Condition, parse_filter


def test_forms_are_read():
    assert parse_filter(None) == ()
    assert parse_filter({"a": 1, "!b": ["x", "y"], "c": {"gte": 1, "lt": 2.5}, "d": None}) == (
        Condition(("a",), (1,)),
        Condition(("b",), ("x", "y"), negated=True),
        Condition(("c",), bounds=(("gte", 1), ("lt", 2.5))),
        Condition(("d",), (None,)),
    )


def test_dots_step_into_objects_and_quotes_keep_them():
    assert parse_filter({"a.b c": 1})[0].field == ("a", "b c")
    assert parse_filter({'"a.b".c': 1})[0].field == ("a.b", "c")
    assert parse_filter({r'"a\"b"': 1})[0].field == ('a"b',)


def test_numpy_values_and_dates_become_plain():
    assert parse_filter({"a": np.int64(3), "b": np.array([1, 2]), "c": date(2001, 2, 3)}) == (
        Condition(("a",), (3,)),
        Condition(("b",), (1, 2)),
        Condition(("c",), ("2001-02-03",)),
    )


@pytest.mark.parametrize(
    ("filter", "words"),
    [
        ("section=games", "mapping"),
        ({"": 1}, "names of payload fields"),
        ({"!": 1}, "names of payload fields"),
        ({"a..b": 1}, "nested fields"),
        ({"a": {"above": 3}}, "gt, gte, lt, lte"),
        ({"a": {"gt": 1, "gte": 2}}, "one lower and one upper"),
        ({"a": {}}, "gt, gte, lt, lte"),
        ({"a": {"gt": True}}, "all numbers"),
        ({"a": {"gt": 1, "lt": "2001-01-01"}}, "all numbers"),
        ({"a": {"gt": "yesterday"}}, "ISO 8601"),
        ({"a": float("nan")}, "finite"),
        ({"a": b"x"}, "a value must be text"),
    ],
)
def test_what_cannot_be_meant_is_refused(filter, words):
    with pytest.raises(IndexingError, match=words):
        parse_filter(filter)
