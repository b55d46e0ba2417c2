from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairspace.data import read_qrels, read_run, write_run
from pairspace.errors import DataError, StorageError

EXPECTED = {"1": {"d2": 3, "d1": 0}, "2": {"d1": -1}}


def write(path, content):
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "query-id\tcorpus-id\tscore\n1\td2\t3\n1\td1\t0\n2\td1\t-1\n"),
        ("a.tsv", "query_id\tdoc_id\trelevance\tcode\n1\td2\t3\t2\n1\td1\t0\t9\n2\td1\t-1\t9\n"),
        ("a.tsv", "code\trelevance\tdoc_id\tquery_id\r\n2\t3\td2\t1\r\n9\t0\td1\t1\r\n9\t-1\td1\t2\r\n"),
        ("a.qrels", "1 0 d2 3\n1 0 d1 0\n\n2  0  d1  -1\n"),
        ("a.tsv", "1\td2\t3\n1\td1\t0\n2\td1\t-1.0\n"),
        ("a.csv", 'query_id,doc_id,score\n1,"d2",3\n1,d1,0\n2,d1,-1\n'),
    ],
)
def test_judgements_in_all_layouts(tmp_path, name, content):
    assert read_qrels(write(tmp_path / name, content)) == EXPECTED


def test_judgements_in_parquet(tmp_path):
    table = pa.table({"score": [3, 0, -1], "query-id": [1, 1, 2], "corpus-id": ["d2", "d1", "d1"]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_qrels(tmp_path / "a.parquet") == EXPECTED


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 0 d1 1\n1 0 d2\n", "line 2: 3 columns where 4 are needed"),
        ("1 0 d1 high\n", "line 1: the grade 'high' is no whole number"),
        ("1 0 d1 0.5\n", "line 1: the grade '0.5' is no whole number"),
        ("1 0 d1 nan\n", "no whole number"),
        ("1 0 d1 inf\n", "no whole number"),
        ("1 0 d1 1\n1 0 d1 2\n", "line 2: query 1, document d1 has 2, and had 1"),
        ("1 d1\n", "line 1: 2 columns"),
        (
            "query_id\tdoc_id\tgood\n1\td1\t1\n",
            "no column relevance or score or rel; its columns are: query_id, doc_id, good",
        ),
        ("\n", "no judgements"),
    ],
)
def test_bad_judgements(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_qrels(write(tmp_path / "a.tsv", content))


def test_judgements_that_are_not_there_or_not_utf8(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_qrels(tmp_path / "none.tsv")
    (tmp_path / "a.tsv").write_bytes(b"1 0 caf\xe9 1\n")
    with pytest.raises(DataError, match="not UTF-8"):
        read_qrels(tmp_path / "a.tsv")


def test_a_run_is_written_by_falling_score(tmp_path):
    write_run(tmp_path / "a.run", {"q": {"a": 0.5, "b": 2, "c": 0.5}}, "mine")
    lines = ["q Q0 b 1 2.0 mine", "q Q0 a 2 0.5 mine", "q Q0 c 3 0.5 mine"]
    assert (tmp_path / "a.run").read_text().splitlines() == lines


words = st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1, max_size=5)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(words, st.dictionaries(words, st.floats(allow_nan=False), min_size=1), min_size=1))
def test_a_run_comes_back_as_it_was_written(run):
    with tempfile.TemporaryDirectory() as folder:
        write_run(Path(folder) / "a.run", run)
        assert read_run(Path(folder) / "a.run") == run


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("q Q0 d 1 0.5\n", r"a\.run, line 1: 5 columns; a run has six"),
        ("q Q0 d 1 0.5 t\n\nq Q0 e 2 high t\n", r"a\.run, line 3: the score 'high' is no number"),
        ("q Q0 d 1 nan t\n", "the score 'nan' is no number"),
        ("q Q0 d 1 2 t\nq Q0 d 2 1 t\n", "line 2: document d was there before for query q"),
        ("", "no answers"),
    ],
)
def test_bad_runs(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_run(write(tmp_path / "a.run", content))


def test_what_a_run_cannot_carry_is_refused_and_nothing_is_written(tmp_path):
    for run in ({"q 1": {"d": 1.0}}, {"q": {"": 1.0}}, {"q": {"d": float("nan")}}):
        with pytest.raises(DataError):
            write_run(tmp_path / "a.run", run)
    with pytest.raises(StorageError, match="no such folder"):
        write_run(tmp_path / "none" / "a.run", {"q": {"d": 1.0}})
    assert list(tmp_path.iterdir()) == []
