from __future__ import annotations

import pyarrow as pa

from pairspace.data.numbering import number_values


def test_values_are_numbered_as_they_first_appear_over_all_arrays():
    values, codes = number_values([pa.array(["b", "a", "b"]), pa.array(["c", "a"]), pa.array([], pa.string())])
    assert values.to_pylist() == ["b", "a", "c"] and codes.tolist() == [0, 1, 0, 2, 1] and codes.dtype == "int64"


def test_nothing_has_no_numbers():
    values, codes = number_values([pa.array([], pa.string())])
    assert len(values) == len(codes) == 0
