from __future__ import annotations

import pytest

from pairspace.data.tables import open_source, read_table
from pairspace.errors import DataError


def test_a_text_file_is_one_item_a_line(tmp_path):
    (tmp_path / "a.txt").write_bytes('\ufeffeins\r\n\nzwei "x\ndrei'.encode())
    assert read_table(tmp_path / "a.txt").to_pydict() == {"text": ["eins", "", 'zwei "x', "drei"]}


def test_a_wrongly_encoded_line_of_a_text_file(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"eins\ncaf\xe9\ndrei\n")
    with pytest.raises(DataError, match=r"a\.txt, line 2: not UTF-8"):
        read_table(tmp_path / "a.txt")
    source = open_source(tmp_path / "a.txt", skip_bad=True)
    assert (source.table.to_pydict(), source.skipped, source.row_numbers.tolist()) == (
        {"text": ["eins", "drei"]},
        1,
        [0, 2],
    )
    with pytest.raises(DataError, match="no column 'title'; its columns are: text"):
        read_table(tmp_path / "a.txt", ["title"])


def test_an_unknown_format_lists_the_known_ones(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"a\.xlsx: unknown format '\.xlsx'; known are \.csv, \.tsv"):
        read_table(tmp_path / "a.xlsx")
    with pytest.raises(DataError, match=r"none\.csv: no such file"):
        read_table(tmp_path / "none.csv")
