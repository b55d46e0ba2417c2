from __future__ import annotations

import gzip

import pytest

from pairspace.data import read_moses
from pairspace.errors import DataError


def write(path, text):
    raw = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def test_lines_that_belong_together_are_pairs(tmp_path):
    left, right = write(tmp_path / "c.en", "dog\r\ncat\n"), write(tmp_path / "c.it.gz", "cane\ngatto")
    pairs = read_moses(left, right)
    assert pairs.table.to_pydict() == {"en": ["dog", "cat"], "it": ["cane", "gatto"], "row": [0, 1]}
    assert (pairs.source, pairs.total) == (f"{left}, {right}", 2)
    assert read_moses(left, right, sides=("a", "b")).sides == ("a", "b")


def test_files_of_other_lengths_say_where_they_part(tmp_path):
    left, right = write(tmp_path / "c.en", "a\nb\nc\n"), write(tmp_path / "c.it", "a\nb\n")
    for one, other in ((left, right), (right, left)):
        with pytest.raises(DataError, match=r"c\.en, line 3: .*c\.it ends before it \(2 lines there, 3 here\)"):
            read_moses(one, other, skip_bad=True)


def test_empty_lines_are_named_or_left_out(tmp_path):
    left, right = write(tmp_path / "c.en", "a\n\nc\nd\n"), write(tmp_path / "c.it", b"1\n2\n \ncaff\xe8\n")
    with pytest.raises(DataError, match=r"c\.it, line 4: not UTF-8"):
        read_moses(left, right)
    pairs = read_moses(left, right, skip_bad=True)
    assert (pairs.table.to_pydict(), pairs.skipped) == ({"en": ["a"], "it": ["1"], "row": [0]}, 3)
    write(right, "1\n2\n3\n4\n")
    with pytest.raises(DataError, match=r"c\.en, line 2: side 'en' \(column 'c\.en'\) is empty"):
        read_moses(left, right)


def test_sides_need_names_that_differ(tmp_path):
    (tmp_path / "it").mkdir()
    left, right = write(tmp_path / "c.txt", "a\n"), write(tmp_path / "it" / "c.txt", "b\n")
    with pytest.raises(DataError, match="two sides are needed"):
        read_moses(left, right)
    assert read_moses(left, right, sides=("en", "it")).table["it"].to_pylist() == ["b"]
