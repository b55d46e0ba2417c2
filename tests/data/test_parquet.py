from __future__ import annotations

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairspace.data import parquet
from pairspace.data.tables import column_names, read_table
from pairspace.errors import DataError


def test_text_and_bytes_are_large_and_dictionaries_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_BATCH", 2)
    table = pa.table({"a": pa.array(["x", "y", "x"]).dictionary_encode(), "b": [b"1", b"2", None], "n": [1, 2, 3]})
    pq.write_table(table, tmp_path / "a.parquet")
    read = read_table(tmp_path / "a.parquet", ["n", "b", "a"])
    assert read.to_pydict() == {"n": [1, 2, 3], "b": [b"1", b"2", None], "a": ["x", "y", "x"]}
    assert read.schema.types == [pa.int64(), pa.large_binary(), pa.large_string()]
    assert column_names(tmp_path / "a.parquet") == ["a", "b", "n"]


def test_a_compressed_file(tmp_path):
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "a.parquet")
    (tmp_path / "b.parquet.gz").write_bytes(gzip.compress((tmp_path / "a.parquet").read_bytes()))
    assert read_table(tmp_path / "b.parquet.gz").to_pydict() == {"a": ["x"]}


def test_an_empty_table_keeps_its_columns(tmp_path):
    pq.write_table(pa.table({"a": pa.array([], pa.string())}), tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").to_pydict() == {"a": []}


def test_maps_are_reached_into(tmp_path):
    names = pa.array([[("de", "Hund"), ("en", "dog")], [("en", "cat")]], pa.map_(pa.string(), pa.string()))
    pq.write_table(pa.table({"names": names}), tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet", ["names.de"]).to_pydict() == {"names.de": ["Hund", None]}


def test_a_truncated_file_is_named(tmp_path):
    pq.write_table(pa.table({"a": ["x" * 100] * 100}), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:-10])
    with pytest.raises(DataError, match=r"cut\.parquet: a truncated or damaged Parquet file"):
        read_table(tmp_path / "cut.parquet")
    (tmp_path / "other.parquet").write_bytes(b"a,b\n1,2\n" * 10)
    with pytest.raises(DataError, match="not a Parquet file"):
        read_table(tmp_path / "other.parquet")
    (tmp_path / "none.parquet").write_bytes(b"")
    with pytest.raises(DataError, match="empty"):
        column_names(tmp_path / "none.parquet")


def test_damage_in_the_middle_is_an_error_too(tmp_path):
    pq.write_table(pa.table({"a": [f"text {i}" for i in range(5000)]}), tmp_path / "a.parquet", compression="zstd")
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[100:2000] = bytes(1900)
    (tmp_path / "a.parquet").write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"a\.parquet"):
        read_table(tmp_path / "a.parquet")


def test_text_that_is_not_utf8_is_refused(tmp_path):
    wrong = pa.Array.from_buffers(pa.string(), 1, pa.array([b"caf\xe9"]).buffers())
    pq.write_table(pa.table({"a": wrong}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="not UTF-8"):
        read_table(tmp_path / "a.parquet")


def test_a_missing_column_lists_those_that_are_there(tmp_path):
    pq.write_table(pa.table({"a": ["x"], "b": ["y"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="no column 'c'; its columns are: a, b"):
        read_table(tmp_path / "a.parquet", ["a", "c"])
