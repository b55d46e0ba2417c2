from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairspace.errors import FeatureError
from pairspace.features.keys import KeyTable, content_keys, distinct

pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40)


def as_keys(values):
    return np.array(values, np.uint64).reshape(-1, 2)


def test_a_key_is_the_hash_of_the_bytes_in_any_container():
    texts = ["chess", "", "Bücher", "chess"]
    keys = content_keys(texts)
    assert keys.shape == (4, 2)
    assert keys[2].tobytes() == hashlib.blake2b("Bücher".encode(), digest_size=16).digest()
    for other in (pa.array(texts), pa.chunked_array([texts[:1], [], texts[1:]]), [text.encode() for text in texts]):
        assert (content_keys(other) == keys).all()
    assert content_keys([]).shape == (0, 2)


def test_what_is_no_content_is_named():
    with pytest.raises(FeatureError, match="item 1 is None"):
        content_keys(pa.chunked_array([["a"], pa.array([None], pa.string())]))
    with pytest.raises(FeatureError, match="item 0 is 3"):
        content_keys([3])


@given(pairs)
def test_distinct_keeps_the_order_of_first_appearance(values):
    rows, codes = distinct(as_keys(values))
    assert [values[row] for row in rows] == list(dict.fromkeys(values))
    assert [values[rows[code]] for code in codes] == values


@given(pairs, pairs)
def test_find_equals_a_dictionary(stored, asked):
    found = KeyTable(as_keys(stored)).find(as_keys(asked))
    for key, place in zip(asked, found, strict=True):
        assert (key in stored) == (place >= 0)
        assert place < 0 or stored[place] == key
