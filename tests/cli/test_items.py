"""What `index` and `encode` read, and what they say of rows that they cannot use."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairspace.cli.items import read_items
from pairspace.errors import DataError
from pairspace.index import Index


def written(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_column_is_the_one_named_or_the_usual_one(tmp_path):
    path = written(tmp_path / "a.csv", "title,text,n\nT1,X1,1\nT2,X2,2\n")
    assert read_items(path, "title").items.to_pylist() == ["T1", "T2"]
    assert read_items(path, "other").items.to_pylist() == ["X1", "X2"]
    read = read_items(path, "title", column="text", id="n", payload=["title", "n"])
    assert (read.items.to_pylist(), read.ids, read.skipped) == (["X1", "X2"], ["1", "2"], 0)
    assert read.payload.to_pylist() == [{"title": "T1", "n": 1}, {"title": "T2", "n": 2}]
    assert read_items(written(tmp_path / "b.csv", "only\nX\n"), "title").items.to_pylist() == ["X"]
    with pytest.raises(DataError, match=r"b\.csv: name the items' --column; there are a, b"):
        read_items(written(tmp_path / "b.csv", "a,b\nx,y\n"), "title")


@pytest.mark.parametrize("option", [{"column": "x"}, {"id": "x"}, {"payload": ["text", "x"]}])
def test_a_missing_column_lists_those_that_are_there(tmp_path, option):
    with pytest.raises(DataError, match=r"a\.csv: no column 'x'; its columns are: text, n"):
        read_items(written(tmp_path / "a.csv", "text,n\nX1,1\n"), "title", **option)


def test_the_same_id_twice_names_both_lines(tmp_path):
    path = written(tmp_path / "a.csv", 'id,text\na,1\nb,"2\n2"\nc\na,3\n')
    with pytest.raises(DataError, match=r"a\.csv, line 6: the id 'a' was there before, at .*a\.csv, line 2; ids must"):
        read_items(path, "title", id="id", skip_bad=True)
    pq.write_table(pa.table({"id": [7, 8, 7], "text": ["x", "y", "z"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"row 2 \(from 0\): the id '7' was there before, at .*row 0 \(from 0\)"):
        read_items(tmp_path / "a.parquet", "title", id="id")


def test_bad_rows_are_named_or_left_out_and_counted(tmp_path):
    lines = ['{"id": "a", "text": "x"}', '{"id": "b"}', "{broken", '{"id": "", "text": "y"}', '{"id": "e", "text": ""}']
    path = written(tmp_path / "a.jsonl", "\n".join(lines))
    with pytest.raises(DataError, match=r"a\.jsonl, line 3"):
        read_items(path, "title", id="id")
    read = read_items(path, "title", id="id", skip_bad=True)
    assert (read.ids, read.items.to_pylist(), read.skipped) == (["a", "e"], ["x", ""], 3)
    assert read_items(path, "title", skip_bad=True).ids == ["0", "3", "4"]  # rows keep the file's numbers
    path = written(tmp_path / "b.jsonl", "\n".join(one for one in lines if one != "{broken"))
    with pytest.raises(DataError, match=r"line 2: the item .* is missing \(2 such rows in all\)\. --skip-bad leaves"):
        read_items(path, "title", id="id")
    path = written(tmp_path / "c.jsonl", "\n".join(lines[:1] + lines[3:]))
    with pytest.raises(DataError, match=r"line 2: the id \(column 'id'\) is empty \(the only such row\)"):
        read_items(path, "title", id="id")
    with pytest.raises(DataError, match=r"d\.jsonl: no rows that can be used \(1 bad ones\)"):
        read_items(written(tmp_path / "d.jsonl", '{"id": "b", "text": null}'), "title", skip_bad=True)


def test_index_refuses_a_repeated_id_before_anything_is_made(files, untrained, refused):
    path = written(files / "twice.csv", "key,d\na,one\nb,two\na,three\n")
    said = refused("index", untrained, path, "--column", "d", "--id", "key", "-o", files / "index")
    assert f"{path}, line 4: the id 'a' was there before, at {path}, line 2" in said
    assert not (files / "index").exists()


def test_index_and_encode_count_what_was_left_out(files, untrained, run, refused):
    path = written(files / "bad.csv", b"key,d\na,one\nb\nc,caf\xe9\nd,two\n")
    index = ("index", untrained, path, "--column", "d", "--skip-bad", "-o", files / "index")
    assert "bad.csv, line 3: 1 field" in refused(*(part for part in index if part != "--skip-bad"))
    result = json.loads(run(*index, "--json"))
    assert (result["added"], result["skipped"], result["items"]) == (2, 2, 2)
    with Index.open(files / "index") as opened:
        assert set(opened) == {"0", "3"}
    assert "2 items added" in (said := run(*index)) and ", 2 bad rows left out; " in said
    encode = ("encode", untrained, path, "--column", "d", "--skip-bad", "-o", files / "v.npy")
    result = json.loads(run(*encode, "--json"))
    assert (result["rows"], result["skipped"]) == (2, 2) and np.load(files / "v.npy").shape == (2, 32)
    assert "; 2 bad rows left out" in run(*encode)
