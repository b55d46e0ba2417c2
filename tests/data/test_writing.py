from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairspace.data import Pairs, read_pairs, write_pairs
from pairspace.errors import DataError, StorageError

item = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(lambda text: text.strip())
row = st.tuples(item, item, st.lists(item, max_size=3), st.floats(-10, 10), item)


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
@given(rows=st.lists(row, min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read_again(tmp_path_factory, suffix, rows):
    titles, bodies, negatives, scores, ids = (list(column) for column in zip(*rows, strict=True))
    pairs = Pairs.from_columns(
        {"title": titles, "body": bodies}, negatives=[["x"], *negatives[1:]], score=scores, id=ids, group=ids
    )
    path = tmp_path_factory.mktemp("written") / f"pairs.{suffix}"
    write_pairs(path, pairs)
    read = read_pairs(path, ("title", "body"), negatives="negatives", score="score", id="id", group="group")
    assert read.table.to_pydict() == pairs.table.to_pydict()
    assert read.table.schema.types == pairs.table.schema.types


def test_a_part_of_the_rows_counts_from_nought_again(tmp_path):
    pairs = Pairs.from_columns({"a": ["1", "2", "3"], "b": ["x", "y", "z"]}).select(np.array([2, 0]))
    write_pairs(tmp_path / "a.PARQUET", pairs)
    read = read_pairs(tmp_path / "a.PARQUET", ("a", "b"))
    assert read.table.to_pydict() == {"a": ["3", "1"], "b": ["z", "x"], "row": [0, 1]}


def test_bytes_go_to_parquet_alone(tmp_path):
    pairs = Pairs.from_columns({"image": [b"\x00\xff", b"\x01"], "text": ["x", "y"]})
    write_pairs(tmp_path / "a.parquet", pairs)
    assert read_pairs(tmp_path / "a.parquet", ("image", "text")).table["image"].to_pylist() == [b"\x00\xff", b"\x01"]
    with pytest.raises(DataError, match=r"side 'image' holds bytes, which JSONL cannot carry: write \.parquet"):
        write_pairs(tmp_path / "a.jsonl", pairs)
    assert not (tmp_path / "a.jsonl").exists()


def test_lines_are_plain_utf8(tmp_path):
    pairs = Pairs.from_columns({"a": ["Bücher"], "b": ["книги"]}, negatives=[["本"]])
    write_pairs(tmp_path / "a.jsonl", pairs)
    content = (tmp_path / "a.jsonl").read_text(encoding="utf-8")
    assert "Bücher" in content and json.loads(content) == {"a": "Bücher", "b": "книги", "negatives": ["本"]}


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("a.csv", DataError, r"a\.csv: pairs are written as \.parquet or \.jsonl, and the suffix is '\.csv'"),
        ("a.jsonl.gz", DataError, r"the suffix is '\.gz'"),
        ("a", DataError, "the suffix is 'missing'"),
        ("none/a.parquet", StorageError, r"a\.parquet could not be written: no such folder"),
        ("folder.parquet", StorageError, r"folder\.parquet is a folder"),
    ],
)
def test_a_path_that_cannot_be_written(tmp_path, name, error, message):
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(error, match=message):
        write_pairs(tmp_path / name, Pairs.from_columns({"a": ["x"], "b": ["y"]}))
