from __future__ import annotations

import csv
import gzip
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairspace.data.tables import column_names, open_source, read_table
from pairspace.errors import DataError


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_quotes_line_breaks_and_the_byte_order_mark(tmp_path):
    path = write(tmp_path / "a.csv", '\ufefftitle,body\n"a, b","line 1\nline ""2"""\nc,NA\n')
    assert read_table(path).to_pydict() == {"title": ["a, b", "c"], "body": ['line 1\nline "2"', "NA"]}
    assert column_names(path) == ["title", "body"]


def test_columns_are_read_in_the_order_asked_for(tmp_path):
    path = write(tmp_path / "a.csv", "a,b,c\nx,y,z\n")
    assert read_table(path, ["c", "a"]).to_pydict() == {"c": ["z"], "a": ["x"]}
    assert read_table(path).schema.field("a").type == pa.large_string()


def test_compressed_files_are_read_as_they_are(tmp_path):
    path = write(tmp_path / "a.csv.gz", gzip.compress(b"a,b\nx,y\n"))
    assert read_table(path).to_pydict() == {"a": ["x"], "b": ["y"]}


def test_a_header_with_semicolons_is_read_with_them(tmp_path):
    assert read_table(write(tmp_path / "a.csv", "a;b\nx,1;y\n")).to_pydict() == {"a": ["x,1"], "b": ["y"]}


def test_tsv_has_no_quoting(tmp_path):
    path = write(tmp_path / "a.tsv", 'a\tb\n"x\ty\nz\t5" disk\n')
    assert read_table(path).to_pydict() == {"a": ['"x', "z"], "b": ["y", '5" disk']}


def test_numbers_only_where_nothing_is_lost(tmp_path):
    path = write(tmp_path / "a.csv", "n,x,id,version,mixed\n1,0.5,007,1.10,1\n-2,,008,1.9,two\n")
    assert read_table(path).to_pydict() == {
        "n": [1, -2],
        "x": [0.5, None],
        "id": ["007", "008"],
        "version": ["1.10", "1.9"],
        "mixed": ["1", "two"],
    }


def test_a_ragged_row_is_named_by_its_line(tmp_path):
    path = write(tmp_path / "a.csv", 'a,b\n"one\ntwo",x\n\nc,d,e\nf\ng,h\n')
    with pytest.raises(DataError, match=r"a\.csv, line 5: 3 fields where the header names 2.*--skip-bad"):
        read_table(path)
    source = open_source(path, skip_bad=True)
    assert source.table.to_pydict() == {"a": ["one\ntwo", "g"], "b": ["x", "h"]}
    assert (source.skipped, source.row_numbers.tolist()) == (2, [0, 3])
    assert source.place(3) == f"{path}, line 7"


def test_a_wrongly_encoded_row_is_named_by_its_line(tmp_path):
    path = write(tmp_path / "a.csv", b'a,b\n"x\ny",1\nz,2,3\ncaf\xe9,2\nok,3\n')
    source = open_source(path, skip_bad=True)
    assert source.table.to_pydict() == {"a": ["x\ny", "ok"], "b": [1, 3]}
    assert (source.skipped, source.row_numbers.tolist()) == (2, [0, 3])
    path = write(tmp_path / "b.csv", b'a,b\n"x\ny",1\ncaf\xe9,2\nok,3\n')
    with pytest.raises(DataError, match=r"b\.csv, line 4: not UTF-8"):
        read_table(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty; the first line must name the columns"),
        ("a,b\nx,y\n".encode("utf-16"), "line 1: UTF-16"),
        (b"a,caf\xe9\nx,y\n", "line 1: not UTF-8"),
        (b"a,a\nx,y\n", "line 1: two columns are named 'a'"),
        (gzip.compress(b"a,b\n" + b"xyz,123\n" * 1000, mtime=0)[:-20], "Truncated"),
    ],
)
def test_bad_files(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_table(write(tmp_path / "a.csv", content))


def test_a_missing_column_lists_those_that_are_there(tmp_path):
    with pytest.raises(DataError, match=r"a\.csv: no column 'titel'; its columns are: title, body"):
        read_table(write(tmp_path / "a.csv", "title,body\nx,y\n"), ["titel"])


def test_a_header_alone_is_an_empty_table(tmp_path):
    assert read_table(write(tmp_path / "a.csv", "a,b\n")).to_pydict() == {"a": [], "b": []}


cells = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=8))
def test_what_the_csv_module_writes_is_read_back(rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("a", "b"), ("t", "t"), *rows])
        table = read_table(path)
    assert list(zip(table["a"].to_pylist(), table["b"].to_pylist(), strict=True))[1:] == rows
