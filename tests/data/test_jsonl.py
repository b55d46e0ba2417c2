from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairspace.data import jsonl, lines
from pairspace.data.tables import column_names, open_source, read_table
from pairspace.errors import DataError


def write(path, *rows):
    path.write_bytes(b"\n".join(row if isinstance(row, bytes) else row.encode() for row in rows) + b"\n")
    return path


def test_lists_objects_and_missing_keys(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"q": "x", "pos": ["a", "b"]}', "", '{"q": "y", "pos": [], "n": 3}')
    table = read_table(path)
    assert table.to_pydict() == {"q": ["x", "y"], "pos": [["a", "b"], []], "n": [None, 3]}
    assert table.schema.field("q").type == pa.large_string()
    assert read_table(path, ["n", "q"]).to_pydict() == {"n": [None, 3], "q": ["x", "y"]}
    assert column_names(path) == ["q", "pos", "n"]


def test_text_that_looks_like_a_date_stays_text(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"a": "2020-01-01", "b": ["2020-01-01 10:00:00"], "c": {"d": "2021-02-03"}}')
    assert read_table(path).to_pylist() == [{"a": "2020-01-01", "b": ["2020-01-01 10:00:00"], "c": {"d": "2021-02-03"}}]


def test_a_dot_reaches_into_objects(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"translation": {"en": "dog", "de": "Hund"}}')
    assert read_table(path, ["translation.de"]).to_pydict() == {"translation.de": ["Hund"]}
    with pytest.raises(
        DataError, match=r"no column 'translation\.fr'; its columns are: translation\.en, translation\.de"
    ):
        read_table(path, ["translation.fr"])


BAD = [
    (b'{"a": "x"', "broken JSON"),
    (b'{"a": "caf\xe9"}', "not UTF-8"),
    (b'{"a": 3}', "'a' is a number, and text in the lines before"),
    (b'{"a": ["x"]}', "'a' is a list of text, and text in the lines before"),
    (b'["x"]', "a list of text where an object is needed"),
    (b'{"a": "x"} {"a": "y"}', "broken JSON"),
    (b'{"a": "\\ud800"}', "surrogate"),
]


@pytest.mark.parametrize(("line", "reason"), BAD)
def test_a_bad_line_is_named_with_its_reason(tmp_path, line, reason):
    path = write(tmp_path / "a.jsonl", '{"a": "one"}', "", line, '{"a": "two"}')
    with pytest.raises(DataError, match=rf"a\.jsonl, line 3: .*{reason}.*--skip-bad"):
        read_table(path)
    source = open_source(path, skip_bad=True)
    assert source.table.to_pydict() == {"a": ["one", "two"]}
    assert (source.skipped, source.row_numbers.tolist()) == (1, [0, 2])
    assert source.place(2) == f"{path}, line 4"


@pytest.mark.parametrize(("line", "reason"), BAD)
def test_blocks_give_the_same_as_one_piece(tmp_path, monkeypatch, line, reason):
    monkeypatch.setattr(lines, "_BLOCK", 30)
    path = write(tmp_path / "a.jsonl", *['{"a": "one"}'] * 9, "", line, '{"a": "two", "b": 1.5}', '{"a": "x", "b": 2}')
    with pytest.raises(DataError, match=rf"a\.jsonl, line 11: .*{reason}"):
        read_table(path)
    source = open_source(path, skip_bad=True)
    assert source.table.to_pydict() == {"a": ["one"] * 9 + ["two", "x"], "b": [None] * 9 + [1.5, 2.0]}
    assert source.row_numbers.tolist() == [*range(9), 10, 11]


def test_mixed_types_in_another_column_do_not_matter(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"a": "x", "junk": 1}', '{"a": "y", "junk": "two"}')
    assert read_table(path, ["a"]).to_pydict() == {"a": ["x", "y"]}


def test_an_empty_list_first_does_not_decide_the_kind(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "_BLOCK", 4)
    path = write(tmp_path / "a.jsonl", '{"a": []}', '{"a": null}', '{"a": ["x"]}', '{"a": []}')
    assert read_table(path).to_pydict() == {"a": [[], None, ["x"], []]}


def test_a_json_array_and_an_empty_file_say_what_is_needed(tmp_path):
    with pytest.raises(DataError, match="one object a line is needed"):
        read_table(write(tmp_path / "a.json", '[{"a": 1}]'))
    with pytest.raises(DataError, match="empty"):
        read_table(write(tmp_path / "b.jsonl", ""))
    with pytest.raises(DataError, match="no column 'b'; its columns are: a"):
        read_table(write(tmp_path / "c.jsonl", '{"a": "x"}'), ["b"])


texts = st.text(st.characters(codec="utf-8"), max_size=8)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.fixed_dictionaries({"a": texts, "b": st.lists(texts, max_size=3)}), min_size=1, max_size=8),
    st.booleans(),
)
def test_fast_and_slow_reading_agree_with_the_json_module(rows, ascii):
    content = "".join(json.dumps(row, ensure_ascii=ascii) + "\n" for row in rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_text(content, encoding="utf-8", newline="")
        assert read_table(path).to_pylist() == rows
        assert jsonl._Reader(path, None, False)._slow(content.encode()).to_pylist() == rows
